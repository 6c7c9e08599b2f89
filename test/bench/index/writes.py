#!/usr/bin/python3
"""What changing rows costs with memai's index and with pgvector's HNSW: inserts, VACUUM, and updates of another column.

usage: writes.py [--rows N] [--inserts N] [--limit SECONDS] [--suffix S] [--table FILE]

Works in the databases that run.py made, on a table of their first N rows with a primary key and the vector index (HNSW with
ef_construction 64). Each figure is the backend's CPU time of one step: inserts, one row a statement in one transaction;
VACUUM after deleting 5 %; an update of an integer column of all rows, 100,000 at most. A step that takes longer than the
limit is ended, and its figure is a lower bound, marked with >.
"""
import argparse

from common import SIDES, database, figures, psql, record

UPDATES = 100000
BARS = {"insert": "10", "vacuum": "50", "update": "8"}


def prepare(name, side, rows, inserts):
    index = SIDES[side]["index"].format(efc=64)
    # rows to insert lie between two stored ones
    psql(name, f"""DROP TABLE IF EXISTS written, spare; SET maintenance_work_mem = '1GB';
        CREATE TABLE written AS SELECT id, 0 AS counter, embedding FROM base WHERE id < {rows};
        ALTER TABLE written ADD PRIMARY KEY (id);
        CREATE TABLE spare AS SELECT a.id + 100000000 AS id, a.embedding + b.embedding AS embedding
            FROM base a JOIN base b ON b.id = a.id + 1 WHERE a.id % ({rows} / {inserts}) = 0 AND a.id < {rows};
        CREATE INDEX written_i ON written {index}; VACUUM (ANALYZE) written;""")


def bounded(name, limit, statement):
    """CPU seconds of a statement, and whether it ended within the limit; its time until then if not."""
    settings = f"SET jit = off; SET statement_timeout = {limit * 1000}"
    _, clock, cpu = figures(name, settings, [statement], stop=False)[0]
    return cpu, 0 < clock < limit * 0.99


def measure(name, side, arguments):
    """CPU seconds and whether it is all of the step, for each."""
    updates = min(UPDATES, arguments.rows)
    prepare(name, side, arguments.rows, arguments.inserts)
    found = {}
    found["insert"] = bounded(name, arguments.limit, """DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM spare LOOP
        INSERT INTO written VALUES (r.id, 0, r.embedding); END LOOP; END $$""")
    psql(name, "DELETE FROM written WHERE id % 20 = 7")
    found["vacuum"] = bounded(name, arguments.limit, "VACUUM (PARALLEL 0) written")
    found["update"] = bounded(name, arguments.limit, f"UPDATE written SET counter = counter + 1 WHERE id < {updates}")
    psql(name, "DROP TABLE written, spare")
    for step, (seconds, whole) in found.items():
        print(f"{side}: {step} {'' if whole else 'not ended after '}{seconds:.2f} s of CPU time", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--inserts", type=int, default=2000)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--suffix", default="")
    parser.add_argument("--table")
    arguments = parser.parse_args()
    found = {side: measure(database(side, arguments.suffix), side, arguments) for side in SIDES}
    updates = min(UPDATES, arguments.rows) * 0.95
    for step, what, unit, many in (("insert", "insert, us a row", 1e6, arguments.inserts),
                                   ("vacuum", f"VACUUM after deleting 5 % of {arguments.rows}, s", 1, 1),
                                   ("update", "UPDATE of another column, us a row", 1e6, updates)):
        figure = {side: found[side][step][0] * unit / many for side in SIDES}
        shown = {side: ("" if found[side][step][1] else ">") + f"{figure[side]:.4g}" for side in SIDES}
        record(arguments.table, what, shown["memai"], shown["pgvector"], figure["pgvector"] / figure["memai"], BARS[step])


if __name__ == "__main__":
    main()
