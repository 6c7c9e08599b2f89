#!/usr/bin/env bash
#
# run.sh: latency and throughput of the memory engine in a database of
# MEMORIES memories of USERS users (SKEW=zipf: of very different numbers each), and of scopes of 50 to 50,000.  Needs psql and pgbench on the PATH, PGHOST, PGPORT,
# PGUSER and PGDATABASE of an empty database where memai is installed.
# Run it by `make bench-memory`.
set -eu
cd "$(dirname "$0")"
memories=${MEMORIES:-1000000} users=${USERS:-20000} seconds=${SECONDS_EACH:-20}
command -v pgbench >/dev/null || { echo "skipped: no pgbench"; exit 0; }
export PGOPTIONS="-c memai.tenant=bench -c synchronous_commit=off"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# LOADED=1 measures again in a database that was loaded before
[ -n "${LOADED:-}" ] ||
	psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set memories="$memories" --set users="$users" --set skew="${SKEW:-even}" --file load.sql

# percentiles of the third column (microseconds) of pgbench's logs
percentiles() {
	cat "$work/log-$1".* | awk '{ print $3 / 1000 }' | sort -n |
		awk -v what="$2" '{ v[NR] = $1 } END { printf "%-46s %7d calls  p50 %6.2f ms  p95 %6.2f ms  max %7.2f ms\n", what, NR, v[int(NR * 0.5) + 1], v[int(NR * 0.95) + 1], v[NR] }'
}

# measure NAME DESCRIPTION SCRIPT [pgbench options]
measure() {
	local name=$1 what=$2 script=$3
	shift 3
	rm -f "$work/log-$name".*
	pgbench --no-vacuum --client 1 --time "$seconds" --file "$script" --log --log-prefix "$work/log-$name" "$@" >"$work/out.$name" 2>&1 ||
		{ cat "$work/out.$name" >&2; exit 1; }
	percentiles "$name" "$what"
}

questions=$(psql --no-psqlrc --tuples-only --no-align --command "SELECT count(*) FROM question WHERE kind = 'all'")
cat >"$work/recall.sql" <<-SQL
	\set id random(1, $questions)
	SELECT count(*) FROM question q, memai.recall(q.question, q.user_id) WHERE q.kind = 'all' AND q.id = :id;
SQL
for size in 50 700 2000 10000 50000; do
	cat >"$work/scope-$size.sql" <<-SQL
		\set id random(1, 50)
		SELECT count(*) FROM question q, memai.recall(q.question, q.user_id) WHERE q.kind = 'scope of $size' AND q.id = :id;
	SQL
done
cat >"$work/block.sql" <<-SQL
	\set user random(0, $((users - 1)))
	SELECT memai.get_block('persona', 'user ' || :user);
SQL
cat >"$work/remember.sql" <<-SQL
	\set user random(0, $((users - 1)))
	\set number random(1, 1000000000)
	SELECT memai.remember('a new statement about boats and number ' || :number, 'user ' || :user);
SQL
measure warm 'warming up' "$work/recall.sql" >/dev/null
measure recall 'recall, quiet' "$work/recall.sql"
pgbench --no-vacuum --client 1 --time $((seconds + 2)) --rate 200 --file "$work/remember.sql" >"$work/writer" 2>&1 &
writer=$!
sleep 1
measure busy 'recall, beside 200 remember a second' "$work/recall.sql"
wait "$writer"
for size in 50 700 2000 10000 50000; do
	measure "scope-$size" "recall in a scope of $size" "$work/scope-$size.sql"
done
# clocks lie on a busy machine: what the backend itself used
psql --no-psqlrc --quiet --file cpu.sql
measure block 'get_block' "$work/block.sql"
measure remember 'remember, one transaction each' "$work/remember.sql"
grep -h 'tps = ' "$work/out.remember" | sed 's/^/remember: /'
