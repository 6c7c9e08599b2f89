#!/usr/bin/python3
"""What changing rows costs with memai's index and with pgvector's HNSW: inserts, VACUUM, and updates of another column.

usage: writes.py [--rows N] [--suffix S]

Works in the databases that run.py made, on a table of their first N rows with a primary key and the vector index.
Each figure is the backend's CPU time of one step; inserts are one row a statement, in one transaction.
"""
import argparse

from common import SIDES, database, figures, psql

INSERTS = 2000
STEPS = {
    "insert": """DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM spare LOOP
        INSERT INTO item VALUES (r.id, 0, r.embedding); END LOOP; END $$""",
    "vacuum": "VACUUM (PARALLEL 0) item",
    "update": "UPDATE item SET counter = counter + 1 WHERE id < {rows}",
}


def prepare(name, side, rows):
    index = SIDES[side]["index"].format(efc=64)
    # rows to insert lie between two stored ones
    psql(name, f"""DROP TABLE IF EXISTS item, spare; SET maintenance_work_mem = '1GB';
        CREATE TABLE item AS SELECT id, 0 AS counter, embedding FROM base WHERE id < {rows};
        ALTER TABLE item ADD PRIMARY KEY (id);
        CREATE TABLE spare AS SELECT a.id + 100000000 AS id, a.embedding + b.embedding AS embedding
            FROM base a JOIN base b ON b.id = a.id + 1 WHERE a.id % ({rows} / {INSERTS}) = 0 AND a.id < {rows};
        CREATE INDEX item_i ON item {index}; VACUUM (ANALYZE) item;""")


def measure(name, side, rows):
    prepare(name, side, rows)
    seconds = {}
    seconds["insert"] = figures(name, "SET jit = off", [STEPS["insert"]])[0][2]
    psql(name, "DELETE FROM item WHERE id % 20 = 7")
    for step in ("vacuum", "update"):
        seconds[step] = figures(name, "SET jit = off", [STEPS[step].format(rows=rows)])[0][2]
    psql(name, "DROP TABLE item, spare")
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--suffix", default="")
    arguments = parser.parse_args()
    found = {side: measure(database(side, arguments.suffix), side, arguments.rows) for side in SIDES}
    ours, theirs = found["memai"], found["pgvector"]
    print(f"inserts a second             {INSERTS / ours['insert']:9.0f} {INSERTS / theirs['insert']:9.0f}  {theirs['insert'] / ours['insert']:7.1f} x")
    print(f"VACUUM after deleting 5 %, s {ours['vacuum']:9.2f} {theirs['vacuum']:9.2f}  {theirs['vacuum'] / ours['vacuum']:7.1f} x")
    print(f"UPDATE of another column, s  {ours['update']:9.2f} {theirs['update']:9.2f}  {theirs['update'] / ours['update']:7.1f} x")


if __name__ == "__main__":
    main()
