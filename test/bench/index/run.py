#!/usr/bin/python3
"""Compare memai's vector index with pgvector's HNSW, side by side in one server.

usage: run.py VECTORS [--rounds N] [--svg FILE] [--no-build]

VECTORS is a folder that $MEMAI_DATA/make_vectors.py wrote: base.bin and query.bin, binary COPY files of (id integer,
embedding vector), and truth.npy, the exact neighbours. Both extensions must be installed in the server that psql reaches
(PGHOST, PGPORT, PGUSER): build pgvector 0.8 from source with OPTFLAGS="-march=native" to be fair to it. The databases
bench_memai and bench_pgvector are made anew, or reused with --no-build. Times are the server's own, of one statement that
runs all queries (LATERAL over the query table), so neither protocol nor parsing counts. Rounds alternate between the two
sides; figures are medians. Points where memai loses are printed like the others.
"""
import argparse
import json
import math
import statistics
import struct
import subprocess
import sys

SIDES = {
    "memai": {"extension": "memai", "knob": "memai.probes", "values": [2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256],
              "index": "USING memai (embedding vector_cosine_ops)", "set": "SET enable_seqscan = off"},
    "pgvector": {"extension": "vector", "knob": "hnsw.ef_search", "values": [10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640],
                 "index": "USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = {efc})",
                 "set": "SET enable_seqscan = off"},
}
K = 10


def psql(side, sql):
    command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", f"bench_{side}"]
    done = subprocess.run(command, input=sql, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{side}: {done.stderr}")
    return done.stdout


def timed(side, sql, before=""):
    """Server time in seconds of one statement, by EXPLAIN or the client's clock for utility statements."""
    out = psql(side, f"{before};\n\\timing on\n{sql};\n")
    line = [x for x in out.splitlines() if x.startswith("Time:")][-1]
    return float(line.split()[1]) / 1000


def load(side, folder):
    subprocess.run(["psql", "-Xq", "-d", "postgres", "-c", f"DROP DATABASE IF EXISTS bench_{side}", "-c",
                    f"CREATE DATABASE bench_{side}"], check=True)
    psql(side, f"""CREATE EXTENSION {SIDES[side]['extension']};
        CREATE TABLE base (id integer, embedding vector(768));
        CREATE TABLE query (id integer, embedding vector(768));
        \\copy base FROM '{folder}/base.bin' (FORMAT binary)
        \\copy query FROM '{folder}/query.bin' (FORMAT binary)
        VACUUM (ANALYZE, FREEZE) base; VACUUM (ANALYZE) query;""")


def run_queries(side, value):
    """Seconds and recall of all queries at one setting."""
    spec = SIDES[side]
    search = f"""SELECT q.id AS query, x.id FROM query q, LATERAL
        (SELECT id FROM base b ORDER BY b.embedding <=> q.embedding LIMIT {K}) x"""
    before = f"{spec['set']}; SET {spec['knob']} = {value}; SET jit = off"
    out = psql(side, f"{before}; EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {search};")
    plan = json.loads(out)[0]
    found = psql(side, f"{before}; {search};").splitlines()
    return plan["Execution Time"] / 1000, found


def interpolate(points, recall):
    """Queries a second at a recall, straight in log(QPS) between neighbouring points; None outside."""
    points = sorted(points)
    for (r0, q0), (r1, q1) in zip(points, points[1:]):
        if r0 <= recall <= r1 and r1 > r0:
            f = (recall - r0) / (r1 - r0)
            return math.exp(math.log(q0) * (1 - f) + math.log(q1) * f)
    return None


def draw(path, curves):
    """Recall on the x axis, queries a second on a logarithmic y axis."""
    colours = ["#1f6feb", "#d1242f"]
    qps = [q for points in curves.values() for _, q in points]
    low, high = math.log10(min(qps)), math.log10(max(qps))
    x = lambda r: 60 + (r - 0.8) / 0.2 * 500
    y = lambda q: 340 - (math.log10(q) - low) / max(high - low, 1e-9) * 300
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400" font-family="sans-serif" font-size="12">',
           '<rect width="600" height="400" fill="white"/>']
    for r in (0.8, 0.85, 0.9, 0.95, 1.0):
        out.append(f'<line x1="{x(r)}" y1="40" x2="{x(r)}" y2="340" stroke="#ddd"/><text x="{x(r) - 12}" y="360">{r}</text>')
    for q in (10 ** e * m for e in range(0, 6) for m in (1, 2, 5)):
        if low <= math.log10(q) <= high:
            out.append(f'<line x1="60" y1="{y(q)}" x2="560" y2="{y(q)}" stroke="#ddd"/><text x="10" y="{y(q) + 4}">{q}</text>')
    for colour, (name, points) in zip(colours, curves.items()):
        path_data = " ".join(f"{x(r)},{y(q)}" for r, q in sorted(points) if r >= 0.8)
        out.append(f'<polyline points="{path_data}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="70" y="{60 + 16 * len(out) % 32}" fill="{colour}">{name}</text>')
    out.append('<text x="250" y="385">recall@10</text><text x="10" y="25">queries a second</text></svg>')
    with open(path, "w") as f:
        f.write("\n".join(out))


def truth_rows(folder):
    """The exact neighbours in truth.npy, an array of 4-byte integers with one row a query, as lines for COPY."""
    with open(f"{folder}/truth.npy", "rb") as f:
        data = f.read()
    start = 10 + int.from_bytes(data[8:10], "little")
    rows, columns = (int(x) for x in data[10:start].decode().split("(")[1].split(")")[0].split(","))
    ids = struct.unpack(f"<{rows * columns}i", data[start:])
    for query in range(rows):
        for k in range(K):
            yield f"{query}\t{ids[query * columns + k]}\n"


def build(folder, efc):
    for side in SIDES:
        load(side, folder)
        index = SIDES[side]["index"].format(efc=efc)
        seconds = timed(side, f"CREATE INDEX i ON base {index}", "SET maintenance_work_mem = '1GB'")
        size = int(psql(side, "SELECT pg_relation_size('i')"))
        rows = int(psql(side, "SELECT count(*) FROM base"))
        print(f"{side}: build {seconds:.1f} s, {size / rows:.0f} bytes a vector", flush=True)
    psql("memai", "CREATE TABLE truth (query integer, id integer); COPY truth FROM STDIN;\n" + "".join(truth_rows(folder)) + "\\.\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vectors")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ef-construction", type=int, default=64)
    parser.add_argument("--svg")
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    if not arguments.no_build:
        build(arguments.vectors, arguments.ef_construction)
    truth = set(psql("memai", "SELECT query, id FROM truth").splitlines())
    queries = int(psql("memai", "SELECT count(*) FROM query"))
    seconds, recall = {}, {}
    for _ in range(arguments.rounds):
        for position in range(max(len(s["values"]) for s in SIDES.values())):
            for side, spec in SIDES.items():
                if position < len(spec["values"]):
                    value = spec["values"][position]
                    time, found = run_queries(side, value)
                    seconds.setdefault((side, value), []).append(time)
                    recall[side, value] = len(truth.intersection(found)) / len(truth)
    curves = {side: [] for side in SIDES}
    for (side, value), times in seconds.items():
        qps = queries / statistics.median(times)
        curves[side].append((recall[side, value], qps))
        print(f"{side:9} {SIDES[side]['knob']:15} {value:5} recall {recall[side, value]:.4f} {qps:8.0f} queries a second")
    print("recall@10   memai  pgvector   ratio")
    for target in (0.90, 0.95, 0.98, 0.99):
        ours, theirs = interpolate(curves["memai"], target), interpolate(curves["pgvector"], target)
        ratio = f"{ours / theirs:7.2f}" if ours and theirs else "      -"
        print(f"{target:9.2f} {ours or 0:7.0f} {theirs or 0:9.0f} {ratio}")
    if arguments.svg:
        draw(arguments.svg, curves)


if __name__ == "__main__":
    main()
