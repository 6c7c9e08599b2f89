#!/usr/bin/python3
"""Search within one tenant: memai's key column against pgvector's three ways; and the size of tenants of one row.

usage: tenants.py [--draws N] [--each N] [--suffix S] [--no-build] [--table FILE]

Works on the table base of the databases that run.py made. Its rows belong to tenants whose sizes follow a Zipf law from 0.3
of the rows down to 10; which row is whose is a function of its id, tenant_of(id), that both sides index as an expression,
so the table and pgvector's HNSW over all rows (the long part of a run) stay as they are. --no-build uses the indexes
of an earlier run.

Queries are of the query table, each for one tenant: --draws (60) with tenants drawn as often as they have rows, so
large ones dominate, and --each (20) for tenants of each size. pgvector's ways: a B-tree on the tenant and exact distances;
HNSW with a filter and iterative scans; partial HNSW indexes for the three largest tenants and the B-tree for the
others. Times are the server's execution time of the second run of a query; recall@10 is of exact answers. The ratio is to
the way of pgvector with the best median among those that reach recall 0.99.

Then each row becomes a tenant of its own (memai only): bytes of index a row.
"""
import argparse
import json
import random
import statistics

from common import K, SIDES, database, figures, has, psql, record

EXPONENT = 1.37
LEAST = 10
LARGE = 3
RECALL = 0.99
SIZES = (100, 1000, 10000, 100000, 1000000000)
PARTIAL = [f"base_tenant_{t}" for t in range(LARGE)]


def tenant_sizes(rows):
    sizes, rank = [], 1
    while sum(sizes) < rows:
        size = max(LEAST, int(0.3 * rows / rank ** EXPONENT))
        sizes.append(min(size, rows - sum(sizes)))
        rank += 1
    return sizes


def make_tenants(name, sizes):
    """tenant_of: the hash of the id among bounds that give each tenant its number of rows."""
    bounds, total = [], 0
    for size in sizes[:-1]:
        total += size
        bounds.append(total)
    hashes = [int(h) for h in psql(name, "SELECT hashint4(id) FROM base ORDER BY 1").split()]
    array = ",".join(str(hashes[b]) for b in bounds)
    # an SQL expression, which the planner puts in the place of the call
    psql(name, f"""DROP FUNCTION IF EXISTS tenant_of CASCADE;
        CREATE FUNCTION tenant_of(id integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN width_bucket(hashint4(id), '{{{array}}}'::integer[]);""")


def build(name, side, sizes):
    make_tenants(name, sizes)
    if side == "memai":
        indexes = {"base_tenant": "USING memai (tenant_of(id), embedding vector_cosine_ops)"}
    else:
        hnsw = SIDES["pgvector"]["index"].format(efc=64)
        indexes = {"base_tenant": "(tenant_of(id))"}
        for tenant, index in enumerate(PARTIAL):
            indexes[index] = f"{hnsw} WHERE tenant_of(id) = {tenant}"
    for index, definition in indexes.items():
        (_, clock, _), = figures(name, "SET maintenance_work_mem = '2GB'", [f"CREATE INDEX {index} ON base {definition}"])
        print(f"{side}: {index} made in {clock:.1f} s", flush=True)
    psql(name, "ANALYZE base")


def search(tenant, query):
    return f"""SELECT id FROM base WHERE tenant_of(id) = {tenant}
        ORDER BY embedding <=> (SELECT embedding FROM query WHERE id = {query}) LIMIT {K}"""


def run(name, settings, draws, hide=()):
    """Execution times in ms and answers; indexes in hide are dropped for the run and come back after it."""
    script = [settings + ";", "BEGIN;"] + [f"DROP INDEX {index};" for index in hide]
    for tenant, query in draws:
        script += [search(tenant, query) + ";", "\\echo answer",
                   f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {search(tenant, query)};", "\\echo plan"]
    times, answers, lines = [], [], []
    for line in psql(name, "\n".join(script + ["ROLLBACK;"])).splitlines():
        if line == "answer":
            answers.append(set(lines))
            lines = []
        elif line == "plan":
            times.append(json.loads("\n".join(lines))[0]["Execution Time"])
            lines = []
        else:
            lines.append(line)
    return times, answers


def ways(names, draws, sizes):
    """Each way with its times and answers; the first is exact."""
    base = "SET jit = off; SET max_parallel_workers_per_gather = 0; SET enable_seqscan = off; "
    yield "B-tree, exact distances", *run(names["pgvector"], base + "SET enable_indexscan = off", draws, ["i"] + PARTIAL)
    for tuples in (20000, 200000):
        # reading so many for each of the small ones would take the day and lose to the B-tree
        if tuples == 20000 or min(sizes[t] for t, _ in draws) >= 10000:
            yield f"iterative HNSW, {tuples} tuples", *run(
                names["pgvector"], base + "SET enable_bitmapscan = off; SET hnsw.ef_search = 100; "
                f"SET hnsw.iterative_scan = relaxed_order; SET hnsw.max_scan_tuples = {tuples}", draws, ["base_tenant"] + PARTIAL)
    for ef in (100, 400):
        yield f"partial HNSW, ef_search {ef}", *run(names["pgvector"], base + f"SET hnsw.ef_search = {ef}", draws, ["i"])
    for recall in (0.95, 0.99):
        yield f"memai, target_recall {recall}", *run(names["memai"], base + f"SET memai.target_recall = {recall}", draws)


def compare(table, label, names, draws, sizes):
    truth, best, ours = None, None, None
    for way, times, answers in ways(names, draws, sizes):
        truth = truth or answers
        recall = sum(len(a & t) for a, t in zip(answers, truth)) / sum(len(t) for t in truth)
        p50 = statistics.median(times)
        print(f"  {way:32} p50 {p50:9.3f} ms  p95 {sorted(times)[int(len(times) * 0.95)]:9.3f} ms  recall {recall:.3f}", flush=True)
        if way.startswith("memai"):
            if recall >= RECALL and (ours is None or p50 < ours):
                ours = p50
        elif recall >= RECALL and (best is None or p50 < best[1]):
            best = way, p50
    record(table, f"p50 in ms, {label}", "recall below 0.99" if ours is None else f"{ours:.3f}",
           f"{best[1]:.3f} ({best[0]})", None if ours is None else best[1] / ours, "10")


def one_row_each(table, name):
    (_, clock, _), = figures(name, "SET maintenance_work_mem = '2GB'",
                             ["CREATE INDEX base_single ON base USING memai (id, embedding vector_cosine_ops)"])
    rows, size = psql(name, "SELECT count(*), pg_relation_size('base_single') FROM base").strip().split("|")
    psql(name, "DROP INDEX base_single")
    record(table, f"{rows} tenants of one row, bytes of index a row", f"{int(size) / int(rows):.0f}", "-", None, "<= 1536")
    print(f"    made in {clock:.1f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--suffix", default="")
    parser.add_argument("--table")
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    names = {side: database(side, arguments.suffix) for side in SIDES}
    sizes = tenant_sizes(int(psql(names["memai"], "SELECT count(*) FROM base")))
    for side, name in names.items():
        if not (arguments.no_build and has(name, "base_tenant")):
            build(name, side, sizes)
    print(f"{len(sizes)} tenants of {min(sizes)} to {max(sizes)} rows")
    random.seed(1)
    draws = [(t, q) for q, t in enumerate(random.choices(range(len(sizes)), weights=sizes, k=arguments.draws))]
    compare(arguments.table, "tenants drawn by their rows", names, draws, sizes)
    least = 0
    for most in SIZES:
        tenants = [t for t, s in enumerate(sizes) if least <= s < most]
        label = f"tenants of {least} to {most} rows" if most < SIZES[-1] else f"tenants of {least} rows and more"
        if tenants:
            compare(arguments.table, label, names, [(random.choice(tenants), 200 + q) for q in range(arguments.each)], sizes)
        least = most
    one_row_each(arguments.table, names["memai"])


if __name__ == "__main__":
    main()
