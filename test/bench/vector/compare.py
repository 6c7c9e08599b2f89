#!/usr/bin/env python3
"""Side by side with pgvector: exact scan, text input, binary input.

Both extensions are in one database of a server that run.sh started: pgvector's
types in schema public, memai's in schema ai.  One thread; the two take turns, so
that both meet the same machine; the best and the median of ROUNDS are printed.
Only psql is needed.  It reports \\timing of each statement."""
import os
import random
import re
import statistics
import subprocess

ROWS = int(os.environ.get("ROWS", 100000))
DIM = int(os.environ.get("DIM", 768))
ROUNDS = int(os.environ.get("ROUNDS", 15))
INPUTS = 3000
SIDES = {"pgvector": "public", "memai": "ai"}


def psql(script):
    run = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"], input=script,
                         capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(run.stderr)
    return run.stdout


def times(statements):
    """Milliseconds of each statement in turn, ROUNDS times: name -> list."""
    script = "SET max_parallel_workers_per_gather = 0;\nSET jit = off;\n"
    for _ in range(ROUNDS + 1):
        for name, sql in statements:
            script += f"\\echo @{name}\n\\timing on\n{sql}\n\\timing off\n"
    found = {name: [] for name, _ in statements}
    name = None
    for line in psql(script).splitlines():
        if line.startswith("@"):
            name = line[1:]
        match = re.match(r"Time: ([0-9.]+) ms", line)
        if match:
            found[name].append(float(match.group(1)))
    return {name: values[1:] for name, values in found.items()}  # the first warms up


def report(title, measured, count, unit):
    best = {side: min(measured[side]) / count * unit[1] for side in SIDES}
    middle = {side: statistics.median(measured[side]) / count * unit[1] for side in SIDES}
    print(f"{title:46s} pgvector {best['pgvector']:9.2f}  memai {best['memai']:9.2f} {unit[0]}"
          f"   memai's rate: {best['pgvector'] / best['memai']:.2f} x"
          f" (median {middle['pgvector'] / middle['memai']:.2f} x)")


def prepare():
    """The same random rows on both sides, stored PLAIN, in shared buffers."""
    script = f"""CREATE EXTENSION vector; CREATE SCHEMA ai; CREATE EXTENSION memai SCHEMA ai; CREATE EXTENSION pg_prewarm;
CREATE TABLE pgvector (id integer, embedding public.vector({DIM}));
CREATE TABLE memai (id integer, embedding ai.vector({DIM}));
ALTER TABLE pgvector ALTER embedding SET STORAGE plain;
ALTER TABLE memai ALTER embedding SET STORAGE plain;
SELECT setseed(0.5);
INSERT INTO pgvector SELECT i, (SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, {DIM}) WHERE i = i)::public.vector FROM generate_series(1, {ROWS}) i;
INSERT INTO memai SELECT id, embedding::real[]::ai.vector FROM pgvector;
VACUUM ANALYZE pgvector; VACUUM ANALYZE memai;
SELECT pg_prewarm('pgvector'), pg_prewarm('memai');
"""
    psql(script)


def scan(operator):
    query = psql("\\pset tuples_only on\n\\pset format unaligned\nSELECT embedding::text FROM pgvector WHERE id = 777;").strip()
    statements = [(side, f"SELECT id FROM {side} ORDER BY embedding OPERATOR({schema}.{operator}) '{query}' LIMIT 10;")
                  for side, schema in SIDES.items()]
    report(f"exact scan, ORDER BY embedding {operator} $1 LIMIT 10", times(statements), 1, ("ms", 1))


def text_input():
    random.seed(1)
    numbers = [random.gauss(0, 1 / DIM ** 0.5) for _ in range(DIM)]
    shortest = psql("\\pset tuples_only on\n\\pset format unaligned\n"
                    f"SELECT ARRAY[{','.join(map(repr, numbers))}]::float8[]::real[]::ai.vector::text;").strip()
    forms = {"float4, shortest": shortest,
             "float8 as Python and JavaScript print it": "[" + ",".join(map(repr, numbers)) + "]",
             "float8 with spaces (JSON)": "[" + ", ".join(map(repr, numbers)) + "]",
             "six decimals": "[" + ",".join(f"{x:.6f}" for x in numbers) + "]"}
    for name, text in forms.items():
        # CASE keeps the planner from converting the constant once
        statements = [(side, f"SELECT count((CASE WHEN i > 0 THEN '{text}'::text END)::{schema}.vector) FROM generate_series(1, {INPUTS}) i;")
                      for side, schema in SIDES.items()]
        report(f"text in: {name}", times(statements), INPUTS, ("us", 1000))


def binary_input(folder):
    for side in SIDES:
        psql(f"COPY (SELECT embedding FROM {side} LIMIT 20000) TO '{folder}/{side}.bin' (FORMAT binary);"
             f"CREATE UNLOGGED TABLE {side}_in (embedding {SIDES[side]}.vector({DIM})); ALTER TABLE {side}_in ALTER embedding SET STORAGE plain;")
    statements = []
    for side in SIDES:
        statements.append((side, f"COPY {side}_in FROM '{folder}/{side}.bin' (FORMAT binary);"))
        statements.append(("cleanup", f"TRUNCATE {side}_in;"))
    report("binary in: COPY of 20,000 vectors, per vector", times(statements), 20000, ("us", 1000))
    statements = [(side, f"COPY (SELECT embedding FROM {side} LIMIT 20000) TO '/dev/null' (FORMAT binary);") for side in SIDES]
    report("binary out: COPY of 20,000 vectors, per vector", times(statements), 20000, ("us", 1000))
    statements = [(side, f"COPY (SELECT embedding FROM {side} LIMIT 5000) TO '/dev/null';") for side in SIDES]
    report("text out: COPY of 5,000 vectors, per vector", times(statements), 5000, ("us", 1000))


def aggregate():
    statements = [(side, f"SELECT vector_dims(avg(embedding)) FROM {side};") for side in SIDES]
    psql("ALTER DATABASE " + os.environ["PGDATABASE"] + " SET search_path = public, ai")
    report("avg(embedding) over all rows", times(statements), 1, ("ms", 1))


if __name__ == "__main__":
    print(f"{ROWS} rows of {DIM} dimensions, STORAGE plain, in shared buffers; best of {ROUNDS}, one thread")
    prepare()
    for each in ("<=>", "<->", "<#>"):
        scan(each)
    text_input()
    binary_input(os.environ["BENCH_DIR"])
    aggregate()
