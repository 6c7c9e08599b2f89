#!/usr/bin/env bash
#
# run.sh: what the gateway adds to a call: milliseconds over libcurl alone, the
# rate at which 1,000 embeddings of 1,536 numbers are read, and the memory that takes.
# Needs psql on the PATH and PGHOST, PGPORT, PGUSER and PGDATABASE of an empty
# database where memai is installed, whose server runs as this user on this machine.
set -eu
cd "$(dirname "$0")"
calls=${CALLS:-2000}
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
"${CC:-cc}" -O2 -o "$work/raw" raw.c -lcurl
python3 server.py >"$work/server" &
server=$!
until [ -s "$work/server" ]; do sleep 0.1; done
read -r port size <"$work/server"
url=http://127.0.0.1:$port

sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1; }
# milliseconds of the timed statements
times() { sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'; }
smallest() { sort -n | head -n 1; }

sql <<SQL
CREATE EXTENSION IF NOT EXISTS memai;
SELECT memai.create_model('small', 'chat', 'openai', 'm', url => '$url/small');
SELECT memai.create_model('large', 'embed', 'openai', 'm', url => '$url/large', dimensions => 1536);
SQL

# raw and raw_cpu become the best of three runs of libcurl alone
measure_raw() {
	read -r raw raw_cpu < <(for _ in 1 2 3; do "$work/raw" "$1" "$2"; done | smallest)
}
# one session that runs a statement N times, three times over: times, then ticks of CPU
# (1/100 s) of all three; before that what else is to be run
measure() {
	cat <<-SQL
		SELECT pg_backend_pid() AS pid \\gset
		\\setenv BACKEND :pid
		SELECT memai.generate('hi', 'small') \\g /dev/null
		$2
		\\! awk '{ print "ticks", \$14 + \$15 }' /proc/\$BACKEND/stat
		\\timing on
		$1
		$1
		$1
		\\timing off
		\\! awk '{ print "ticks", \$14 + \$15 }' /proc/\$BACKEND/stat
	SQL
}
ticks='/^ticks/ { first = first == "" ? $2 : first; last = $2 }'

measure_raw "$url/small" "$calls"
measure "SELECT count(memai.generate('hi', 'small')) FROM generate_series(1, $calls);" '' | sql >"$work/small"
awk -v raw="$raw" -v raw_cpu="$raw_cpu" -v ours="$(times <"$work/small" | smallest)" -v n="$calls" "$ticks"'
	END {
		cpu = (last - first) * 10 / 3 / n
		printf "a call of libcurl alone:   %.3f ms, %.3f ms of CPU\n", raw, raw_cpu
		printf "a call of memai.generate:  %.3f ms, %.3f ms of CPU\n", ours / n, cpu
		printf "added:                     %.3f ms, %.3f ms of CPU\n", ours / n - raw, cpu - raw_cpu }' "$work/small"

measure_raw "$url/large" 10
texts='ARRAY(SELECT i::text FROM generate_series(1, 1000) i)'
measure "SELECT count(memai.embed($texts, 'large')) FROM generate_series(1, 10);" "
\\! echo 5 >/proc/\$BACKEND/clear_refs; sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/before \1/p' /proc/\$BACKEND/status
SELECT count(memai.embed($texts, 'large')) \\g /dev/null
\\! sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/peak \1/p' /proc/\$BACKEND/status" | sed 's/^\\\\/\\/' | sql >"$work/large"
awk -v raw="$raw" -v raw_cpu="$raw_cpu" -v ours="$(times <"$work/large" | smallest)" -v size="$size" "$ticks"'
	/^before/ { before = $2 } /^peak/ { peak = $2 }
	END {
		ours /= 10; cpu = (last - first) / 3
		printf "1,000 embeddings of 1,536: %.1f MB; libcurl alone %.1f ms, %.1f of CPU; memai.embed %.1f ms, %.1f of CPU\n", size / 1e6, raw, raw_cpu, ours, cpu
		printf "read at:                   %.0f MB/s on the clock, %.0f MB/s of CPU beside the transfer\n", size / 1e3 / (ours - raw), size / 1e3 / (cpu - raw_cpu)
		printf "peak memory:               %.2f times the body\n", (peak - before) * 1024 / size }' "$work/large"
