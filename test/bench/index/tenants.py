#!/usr/bin/python3
"""Search within one tenant: memai's key column against pgvector's three ways.

usage: tenants.py [--rows N] [--suffix S] [--no-build]

Works in the databases that run.py made: their first N rows get tenants whose sizes follow a Zipf law from 0.3 N down to 10
rows. Queries are 100 of the query table, each for one tenant; tenants are drawn as often as they have rows, so
large ones dominate, and once each from those below 1,000 rows. pgvector's ways: a B-tree on the tenant with exact distances;
HNSW with a filter and iterative scans; partial HNSW indexes for the three largest tenants and the B-tree for the
others. Printed: the median and 95th percentile of the server's execution time in ms, and recall@10 of exact answers.
"""
import argparse
import json
import random
import statistics

from common import K, SIDES, database, psql

EXPONENT = 1.37
LEAST = 10
LARGE = 3


def tenant_sizes(rows):
    sizes, rank = [], 1
    while sum(sizes) < rows:
        size = max(LEAST, int(0.3 * rows / rank ** EXPONENT))
        sizes.append(min(size, rows - sum(sizes)))
        rank += 1
    return sizes


def build(name, side, rows, sizes):
    values = ",".join(f"({tenant}, {size})" for tenant, size in enumerate(sizes))
    psql(name, f"""DROP TABLE IF EXISTS tenant, item; SET maintenance_work_mem = '4GB';
        CREATE TABLE tenant (id integer, size integer); INSERT INTO tenant VALUES {values};
        CREATE TABLE item AS SELECT b.id, t.id AS tenant, b.embedding FROM (SELECT id, embedding,
                row_number() OVER (ORDER BY hashint4(id)) AS n FROM base WHERE id < {rows}) b
            JOIN (SELECT id, sum(size) OVER (ORDER BY id) - size AS low, sum(size) OVER (ORDER BY id) AS high FROM tenant) t
            ON b.n > t.low AND b.n <= t.high;
        VACUUM (ANALYZE, FREEZE) item;""")
    if side == "memai":
        psql(name, "CREATE INDEX item_i ON item USING memai (tenant, embedding vector_cosine_ops)")
        return
    index = "USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64)"
    psql(name, "CREATE INDEX item_tenant ON item (tenant)")
    psql(name, f"SET maintenance_work_mem = '5GB'; CREATE INDEX item_i ON item {index}")
    for tenant in range(LARGE):
        psql(name, f"SET maintenance_work_mem = '5GB'; CREATE INDEX item_{tenant} ON item {index} WHERE tenant = {tenant}")


def search(tenant, query):
    return f"""SELECT id FROM item WHERE tenant = {tenant}
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


def report(label, times, answers, truth):
    hits = sum(len(a & t) for a, t in zip(answers, truth)) / sum(len(t) for t in truth)
    print(f"{label:44} p50 {statistics.median(times):8.2f} ms  p95 {sorted(times)[int(len(times) * 0.95)]:8.2f} ms  recall {hits:.3f}",
          flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--suffix", default="")
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    sizes = tenant_sizes(arguments.rows)
    names = {side: database(side, arguments.suffix) for side in SIDES}
    if not arguments.no_build:
        for side, name in names.items():
            build(name, side, arguments.rows, sizes)
    random.seed(1)
    popular = [(t, q) for q, t in enumerate(random.choices(range(len(sizes)), weights=sizes, k=100))]
    small = [(t, 100 + q) for q, t in enumerate(random.sample([t for t, s in enumerate(sizes) if s < 1000], 100))]
    partial = [f"item_{t}" for t in range(LARGE)]
    exact = "SET jit = off; SET enable_indexscan = off; SET max_parallel_workers_per_gather = 0"
    for label, draws in (("tenants by their rows", popular), ("tenants of less than 1,000 rows", small)):
        times, truth = run(names["pgvector"], exact, draws, ["item_i"] + partial)
        print(f"{label}: {len(sizes)} tenants of {min(sizes)} to {max(sizes)} rows")
        report("pgvector, B-tree and exact distances", times, truth, truth)
        for ef in (100, 400):
            report(f"pgvector, iterative HNSW, ef_search {ef}",
                   *run(names["pgvector"], f"SET jit = off; SET enable_bitmapscan = off; SET enable_seqscan = off; SET hnsw.ef_search = {ef}; "
                        "SET hnsw.iterative_scan = relaxed_order; SET hnsw.max_scan_tuples = 200000", draws, ["item_tenant"] + partial), truth)
            report(f"pgvector, partial HNSW, ef_search {ef}",
                   *run(names["pgvector"], f"SET jit = off; SET hnsw.ef_search = {ef}", draws, ["item_i"]), truth)
        for recall in (0.95, 0.99):
            report(f"memai, target_recall {recall}", *run(names["memai"], f"SET jit = off; SET memai.target_recall = {recall}", draws), truth)


if __name__ == "__main__":
    main()
