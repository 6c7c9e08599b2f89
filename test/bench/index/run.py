#!/usr/bin/python3
"""Compare memai's vector index with pgvector's HNSW, side by side in one server: search, build and size.

usage: run.py VECTORS [--rounds N] [--ef-construction N ...] [--suffix S] [--no-build] [--svg FILE] [--table FILE]

VECTORS is a folder that $MEMAI_DATA/make_vectors.py wrote: base.bin and query.bin, binary COPY files of (id integer,
embedding vector), and truth.npy, the exact neighbours. Both extensions must be installed in the server that psql reaches
(PGHOST, PGPORT, PGUSER), which must run on this machine: build pgvector 0.8 from source with OPTFLAGS="-march=native" to be
fair to it. The databases bench_memai and bench_pgvector (with the suffix) are made anew, or reused with --no-build. HNSW is
built once for each ef_construction, the first on the table base, others on a copy, base200 for 200; with --no-build those
that exist take part.

A figure is of one statement that runs all queries (LATERAL over the query table) in a session that has run it before, so
neither protocol nor parsing nor cold caches count. It is the backend's CPU time, all of which one connection can use: on a
machine that others use as well, the clock says more about them. Rounds visit the settings of all sides in turn; each
round gives a ratio at equal recall, between points straight in log(queries a second). The ratio is to the better of
pgvector's indexes. Points where memai loses are printed like the others.
"""
import argparse
import math
import statistics
import struct

from common import K, SIDES, create, database, figures, has, median_range, psql, record

VALUES = {"memai": [4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384],
          "pgvector": [10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1000]}
TARGETS = (0.80, 0.90, 0.95, 0.98, 0.99)
BARS = {"small": {0.95: "4", 0.98: "4", 0.99: "4"}, "large": {0.95: "5", 0.98: "5", 0.99: "5"}}
COLOURS = ("#1f6feb", "#d1242f", "#bf8700", "#8250df")


def search(table):
    return f"""SELECT q.id AS query, x.id FROM query q, LATERAL
        (SELECT id FROM {table} b ORDER BY b.embedding <=> q.embedding LIMIT {K}) x"""


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


def build_index(arguments, side, efc):
    """Makes the index, on a copy of the table but for the first ef_construction; seconds by the clock."""
    name = database(side, arguments.suffix)
    first = efc == arguments.ef_construction[0]
    table, index = ("base", "i") if first else (f"base{efc}", f"i{efc}")
    if not first:
        psql(name, f"CREATE TABLE {table} AS TABLE base; VACUUM (ANALYZE, FREEZE) {table};")
    (_, clock, _), = figures(name, f"SET maintenance_work_mem = '{arguments.memory}'",
                             [f"CREATE INDEX {index} ON {table} {SIDES[side]['index'].format(efc=efc)}"])
    return clock


def build(arguments):
    for side in SIDES:
        load(database(side, arguments.suffix), side, arguments.vectors)
    ours = build_index(arguments, "memai", arguments.ef_construction[0])
    for efc in arguments.ef_construction:
        theirs = build_index(arguments, "pgvector", efc)
        record(arguments.table, f"build, ef_construction {efc}, s", f"{ours:.1f}", f"{theirs:.1f}", theirs / ours, "8")


def contestants(arguments):
    """Who takes part: a name for print, the side, the table and the index."""
    found = [("memai", "memai", "base", "i")]
    name = database("pgvector", arguments.suffix)
    for efc in arguments.ef_construction:
        table, index = ("base", "i") if efc == arguments.ef_construction[0] else (f"base{efc}", f"i{efc}")
        if has(name, index):
            found.append((f"pgvector, efc {efc}", "pgvector", table, index))
        else:
            print(f"pgvector has no index with ef_construction {efc} here")
    return found


def run_queries(arguments, side, table, value, simd="auto"):
    """Recall and queries a second at one setting."""
    settings = f"SET enable_seqscan = off; SET jit = off; SET {SIDES[side]['knob']} = {value}"
    if side == "memai":
        settings += f"; SET memai.simd = {simd}"
    found, again = figures(database(side, arguments.suffix), settings, [search(table)] * 2)
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


def sweep(arguments, who):
    """Points of each round: {name: [{value: (recall, qps)}]}"""
    rounds = {name: [] for name, _, _, _ in who}
    for _ in range(arguments.rounds):
        for points in rounds.values():
            points.append({})
        for position in range(max(len(v) for v in VALUES.values())):
            for name, side, table, _ in who:
                value = VALUES[side][position]
                rounds[name][-1][value] = run_queries(arguments, side, table, value)
    return rounds


def print_points(who, rounds):
    curves = {}
    for name, side, _, _ in who:
        points = rounds[name]
        curves[name] = []
        for value in VALUES[side]:
            qps = statistics.median(p[value][1] for p in points)
            curves[name].append((points[0][value][0], qps))
            print(f"{name:18} {SIDES[side]['knob']:15} {value:5} recall {points[0][value][0]:.4f} {qps:8.0f} queries a second")
    return curves


def compare(arguments, rounds, rows):
    bars = BARS["large" if rows >= 500000 else "small"]
    for target in TARGETS:
        qps = {name: [interpolate(p.values(), target) for p in points] for name, points in rounds.items()}
        ours = qps.pop("memai")
        theirs = {name: values for name, values in qps.items() if None not in values}
        if None in ours or not theirs:
            most = max(r for name, points in rounds.items() if name != "memai" for r, _ in points[0].values())
            record(arguments.table, f"queries/s at recall {target}", "-" if None in ours else f"{statistics.median(ours):.0f}",
                   f"not reached (at most {most:.4f})" if not theirs else "-", None, bars.get(target, "-"))
            continue
        best = max(theirs, key=lambda name: statistics.median(theirs[name]))
        ratios = [m / p for m, p in zip(ours, theirs[best])]
        record(arguments.table, f"queries/s at recall {target}", f"{statistics.median(ours):.0f}",
               f"{statistics.median(theirs[best]):.0f} ({best})", statistics.median(ratios), bars.get(target, "-"))
        print(f"    rounds: {median_range(ratios)}")


def compare_simd(arguments, rounds):
    """memai alone, AVX2 against the default, at the setting nearest to recall 0.95."""
    value, _ = min(rounds["memai"][0].items(), key=lambda p: abs(p[1][0] - 0.95))
    ratios = []
    for _ in range(max(3, arguments.rounds)):
        _, auto = run_queries(arguments, "memai", "base", value)
        _, avx2 = run_queries(arguments, "memai", "base", value, "avx2")
        ratios.append(avx2 / auto)
    print(f"memai.simd = avx2 against the default, memai.probes {value}: {median_range(ratios)} times the queries")


def draw(path, curves):
    """Recall on the x axis, queries a second on a logarithmic y axis; colours for light and dark pages."""
    qps = [q for points in curves.values() for r, q in points if r >= 0.8]
    low, high = math.log10(min(qps)), math.log10(max(qps))
    x = lambda r: 60 + (r - 0.8) / 0.2 * 500
    y = lambda q: 340 - (math.log10(q) - low) / max(high - low, 1e-9) * 300
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400" font-family="sans-serif" font-size="12">',
           '<style>rect { fill: #fff } text { fill: #24292f } .grid { stroke: #ddd } @media (prefers-color-scheme: dark) '
           '{ rect { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } }</style>',
           '<rect width="600" height="400"/>']
    for r in (0.8, 0.85, 0.9, 0.95, 1.0):
        out.append(f'<line class="grid" x1="{x(r):.1f}" y1="40" x2="{x(r):.1f}" y2="340"/><text x="{x(r) - 12:.1f}" y="360">{r}</text>')
    for q in (10 ** e * m for e in range(0, 6) for m in (1, 2, 5)):
        if low <= math.log10(q) <= high:
            out.append(f'<line class="grid" x1="60" y1="{y(q):.1f}" x2="560" y2="{y(q):.1f}"/><text x="10" y="{y(q) + 4:.1f}">{q}</text>')
    for i, (name, points) in enumerate(curves.items()):
        line = " ".join(f"{x(r):.1f},{y(q):.1f}" for r, q in sorted(points) if r >= 0.8)
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[i]}" stroke-width="2"/>')
        out.append(f'<line x1="400" y1="{56 + 16 * i}" x2="420" y2="{56 + 16 * i}" stroke="{COLOURS[i]}" stroke-width="2"/>'
                   f'<text x="426" y="{60 + 16 * i}">{name}</text>')
    out.append('<text x="270" y="385">recall@10</text><text x="10" y="25">queries a second</text></svg>\n')
    with open(path, "w") as f:
        f.write("\n".join(out))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vectors")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ef-construction", type=int, nargs="+", default=[64, 200])
    parser.add_argument("--memory", default="1GB", help="maintenance_work_mem")
    parser.add_argument("--suffix", default="")
    parser.add_argument("--svg")
    parser.add_argument("--table", help="file that the lines of the table are added to")
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    if not arguments.no_build:
        build(arguments)
    who = contestants(arguments)
    sizes = {}
    for name, side, table, index in who:
        size, rows = psql(database(side, arguments.suffix),
                          f"SELECT pg_relation_size('{index}'), count(*) FROM {table}").strip().split("|")
        sizes[name] = int(size) / int(rows)
        print(f"{name}: {rows} rows", flush=True)
    for name, _, _, _ in who[1:]:
        record(arguments.table, f"bytes of index a vector ({name})", f"{sizes['memai']:.0f}", f"{sizes[name]:.0f}",
               sizes[name] / sizes["memai"], "4")
    arguments.truth = truth_rows(arguments.vectors)
    arguments.queries = int(psql(database("memai", arguments.suffix), "SELECT count(*) FROM query"))
    rounds = sweep(arguments, who)
    curves = print_points(who, rounds)
    compare(arguments, rounds, int(rows))
    compare_simd(arguments, rounds)
    if arguments.svg:
        draw(arguments.svg, curves)


if __name__ == "__main__":
    main()
