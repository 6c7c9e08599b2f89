"""What the benchmarks of the index share: psql, loading, and figures of one statement."""
import statistics
import subprocess
import sys

K = 10
SIDES = {
    "memai": {"extension": "memai", "knob": "memai.probes",               "index": "USING memai (embedding vector_cosine_ops)"},
    "pgvector": {"extension": "vector", "knob": "hnsw.ef_search",                  "index": "USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = {efc})"},
}
# each statement's CPU time is read by psql from /proc, so the server must be on this machine
CPU = "\\echo cpu `cut -d' ' -f1 /proc/:pid/schedstat`\n"


def database(side, suffix):
    return f"bench_{side}{suffix}"


def psql(name, sql, stop=True):
    """Standard output of psql; ends the program when a statement fails, unless told to go on."""
    command = ["psql", "-XqAt", "-v", f"ON_ERROR_STOP={int(stop)}", "-d", name]
    done = subprocess.run(command, input=sql, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{name}: {done.stderr}")
    return done.stdout


def figures(name, settings, statements, stop=True):
    """Runs statements in one session: for each its lines, seconds by the clock, and seconds of CPU time."""
    script = [f"SELECT pg_backend_pid() AS pid \\gset\n{settings};\n\\timing on\n"]
    for statement in statements:
        script.append(f"{CPU}{statement};\n{CPU}\\echo end\n")
    results, lines, cpu, clock = [], [], [], 0.0
    for line in psql(name, "".join(script), stop).splitlines():
        if line.startswith("cpu "):
            cpu.append(int(line.split()[1]) / 1e9)
        elif line.startswith("Time: "):
            clock = float(line.split()[1]) / 1000
        elif line == "end":
            results.append((lines, clock, cpu[1] - cpu[0]))
            lines, cpu = [], []
        else:
            lines.append(line)
    return results


def create(name, extension):
    subprocess.run(["psql", "-Xq", "-d", "postgres", "-c", f"DROP DATABASE IF EXISTS {name}", "-c",
                    f"CREATE DATABASE {name}"], check=True, stderr=subprocess.DEVNULL)
    psql(name, f"CREATE EXTENSION {extension}")


def has(name, relation):
    return psql(name, f"SELECT to_regclass('{relation}') IS NOT NULL").strip() == "t"


def record(path, what, ours, theirs, ratio, bar):
    """Prints a line of the table that run.sh prints at the end, and adds it there; ratio None where there is none."""
    ratio = "-" if ratio is None else f"{ratio:.2f}" + ("  memai loses" if ratio < 1 else "")
    print(f"{what}: memai {ours}, pgvector {theirs}, ratio {ratio}", flush=True)
    if path:
        with open(path, "a") as f:
            f.write(f"{what}|{ours}|{theirs}|{ratio}|{bar}\n")


def median_range(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
