#!/usr/bin/python3
"""Compare memai's vector index with pgvector's HNSW, side by side in one server: search, build and size.

usage: run.py VECTORS [--rounds N] [--ef-construction N] [--suffix S] [--no-build] [--simd SET] [--svg FILE]

VECTORS is a folder that $MEMAI_DATA/make_vectors.py wrote: base.bin and query.bin, binary COPY files of (id integer,
embedding vector), and truth.npy, the exact neighbours. Both extensions must be installed in the server that psql reaches
(PGHOST, PGPORT, PGUSER), which must run on this machine: build pgvector 0.8 from source with OPTFLAGS="-march=native" to be
fair to it. The databases bench_memai and bench_pgvector (with the suffix) are made anew, or reused with --no-build.

A figure is of one statement that runs all queries (LATERAL over the query table) in a session that has run it before, so
neither protocol nor parsing nor cold caches count. It is the backend's CPU time, all of which one connection can use: on a
machine that others use as well, the clock says more about them. Rounds visit the settings of both sides in turn; each
round gives a ratio at equal recall, between points straight in log(queries a second). Points where memai loses are
printed like the others.
"""
import argparse
import math
import statistics
import struct

from common import K, SIDES, create, database, figures, median_range, psql

VALUES = {"memai": [4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384], "pgvector": [10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1000]}
TARGETS = (0.80, 0.90, 0.95, 0.98, 0.99)
SEARCH = f"""SELECT q.id AS query, x.id FROM query q, LATERAL
    (SELECT id FROM base b ORDER BY b.embedding <=> q.embedding LIMIT {K}) x"""


def load(name, side, folder):
    create(name, SIDES[side]["extension"])
    psql(name, f"""CREATE TABLE base (id integer, embedding vector(768));
        CREATE TABLE query (id integer, embedding vector(768));
        \\copy base FROM '{folder}/base.bin' (FORMAT binary)
        \\copy query FROM '{folder}/query.bin' (FORMAT binary)
        VACUUM (ANALYZE, FREEZE) base; VACUUM (ANALYZE) query;""")


def truth_rows(folder):
    """The exact neighbours in truth.npy, an array of 4-byte integers with one row a query, as lines of query and id."""
    with open(f"{folder}/truth.npy", "rb") as f:
        data = f.read()
    start = 10 + int.from_bytes(data[8:10], "little")
    rows, columns = (int(x) for x in data[10:start].decode().split("(")[1].split(")")[0].split(","))
    ids = struct.unpack(f"<{rows * columns}i", data[start:])
    return {f"{query}|{ids[query * columns + k]}" for query in range(rows) for k in range(K)}


def build(arguments):
    for side in SIDES:
        name = database(side, arguments.suffix)
        load(name, side, arguments.vectors)
        index = SIDES[side]["index"].format(efc=arguments.ef_construction)
        (_, clock, _), = figures(name, f"SET maintenance_work_mem = '{arguments.memory}'", [f"CREATE INDEX i ON base {index}"])
        print(f"{side}: build {clock:.1f} s", flush=True)


def run_queries(arguments, side, value):
    """Queries a second and recall at one setting."""
    settings = f"SET enable_seqscan = off; SET jit = off; SET {SIDES[side]['knob']} = {value}"
    if side == "memai":
        settings += f"; SET memai.simd = {arguments.simd}"
    found, again = figures(database(side, arguments.suffix), settings, [SEARCH, SEARCH])
    recall = len(arguments.truth.intersection(found[0])) / len(arguments.truth)
    return recall, arguments.queries / again[2]


def interpolate(points, recall):
    """Queries a second at a recall, straight in log(QPS) between neighbouring points; None outside."""
    points = sorted(points)
    for (r0, q0), (r1, q1) in zip(points, points[1:]):
        if r0 <= recall <= r1 and r1 > r0:
            f = (recall - r0) / (r1 - r0)
            return math.exp(math.log(q0) * (1 - f) + math.log(q1) * f)
    return None


def sweep(arguments):
    """Points of each round: {side: [{value: (recall, qps)}]}"""
    rounds = {side: [] for side in SIDES}
    for _ in range(arguments.rounds):
        for side in SIDES:
            rounds[side].append({})
        for position in range(max(len(v) for v in VALUES.values())):
            for side, values in VALUES.items():
                if position < len(values):
                    rounds[side][-1][values[position]] = run_queries(arguments, side, values[position])
    return rounds


def report(rounds):
    curves = {}
    for side, points in rounds.items():
        curves[side] = []
        for value in VALUES[side]:
            qps = statistics.median(p[value][1] for p in points)
            curves[side].append((points[0][value][0], qps))
            print(f"{side:9} {SIDES[side]['knob']:15} {value:5} recall {points[0][value][0]:.4f} {qps:8.0f} queries a second")
    print("recall@10   memai  pgvector   ratio: median of the rounds (least to greatest)")
    for target in TARGETS:
        qps = {s: [interpolate(p.values(), target) for p in points] for s, points in rounds.items()}
        if None in qps["memai"] + qps["pgvector"]:
            print(f"{target:9.2f} not reached by " + " and ".join(s for s in qps if None in qps[s]))
            continue
        ratios = [m / p for m, p in zip(qps["memai"], qps["pgvector"])]
        print(f"{target:9.2f} {statistics.median(qps['memai']):7.0f} {statistics.median(qps['pgvector']):9.0f}   {median_range(ratios)}")
    return curves


def draw(path, curves):
    """Recall on the x axis, queries a second on a logarithmic y axis."""
    qps = [q for points in curves.values() for r, q in points if r >= 0.8]
    low, high = math.log10(min(qps)), math.log10(max(qps))
    x = lambda r: 60 + (r - 0.8) / 0.2 * 500
    y = lambda q: 340 - (math.log10(q) - low) / max(high - low, 1e-9) * 300
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400" font-family="sans-serif" font-size="12">',
           '<rect width="600" height="400" fill="white"/>']
    for r in (0.8, 0.85, 0.9, 0.95, 1.0):
        out.append(f'<line x1="{x(r):.1f}" y1="40" x2="{x(r):.1f}" y2="340" stroke="#ddd"/><text x="{x(r) - 12:.1f}" y="360">{r}</text>')
    for q in (10 ** e * m for e in range(0, 6) for m in (1, 2, 5)):
        if low <= math.log10(q) <= high:
            out.append(f'<line x1="60" y1="{y(q):.1f}" x2="560" y2="{y(q):.1f}" stroke="#ddd"/><text x="10" y="{y(q) + 4:.1f}">{q}</text>')
    for i, (name, points) in enumerate(curves.items()):
        colour = ("#1f6feb", "#d1242f")[i]
        line = " ".join(f"{x(r):.1f},{y(q):.1f}" for r, q in sorted(points) if r >= 0.8)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="480" y="{60 + 16 * i}" fill="{colour}">{name}</text>')
    out.append('<text x="270" y="385">recall@10</text><text x="10" y="25">queries a second</text></svg>\n')
    with open(path, "w") as f:
        f.write("\n".join(out))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vectors")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ef-construction", type=int, default=64)
    parser.add_argument("--memory", default="1GB", help="maintenance_work_mem")
    parser.add_argument("--suffix", default="")
    parser.add_argument("--simd", default="auto", help="memai.simd")
    parser.add_argument("--svg")
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    if not arguments.no_build:
        build(arguments)
    for side in SIDES:
        size, rows = psql(database(side, arguments.suffix),
                          "SELECT pg_relation_size('i'), count(*) FROM base").strip().split("|")
        print(f"{side}: {rows} rows, {int(size) / int(rows):.0f} bytes of index a vector", flush=True)
    arguments.truth = truth_rows(arguments.vectors)
    arguments.queries = int(psql(database("memai", arguments.suffix), "SELECT count(*) FROM query"))
    curves = report(sweep(arguments))
    if arguments.svg:
        draw(arguments.svg, curves)


if __name__ == "__main__":
    main()
