#!/usr/bin/env bash
#
# run.sh: what a job costs: submitting in a batch, claiming 100 among a million
# (with as many again that are not due), and the time from commit to start; what
# a vectorizer costs a writer, and how many short rows a second one worker makes
# vectors of with the model local/hash-384.
# Needs psql on the PATH and PGHOST, PGPORT, PGUSER and PGDATABASE of an empty
# database where memai can be installed; a superuser, and a free worker slot.
set -eu
cd "$(dirname "$0")"
rows=${JOBS:-1000000}

sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }

sql --command 'CREATE EXTENSION IF NOT EXISTS memai'

# the median of psql's "Time: n ms" lines, and the largest
summary() {
	sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | sort -n |
		awk '{ t[NR] = $1 } END { printf "median %.2f ms, worst %.2f ms of %d\n", t[int((NR + 1) / 2)], t[NR], NR }'
}

# submits rows jobs that are due at $1 and prints the milliseconds that takes
time_of() {
	sql <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
		\timing on
		INSERT INTO memai.job (tenant, user_id, namespace, scope, kind, model, priority, run_after)
		SELECT memai.current_tenant(), u, 'default', memai.scope_hash(memai.current_tenant(), u, 'default'), 'custom', 'm' || i % 3, i % 3, $1
		FROM (SELECT i, 'user ' || i % 1000 AS u FROM generate_series(1, $rows) AS i) AS j;
	SQL
}

echo -n "submit, jobs that are due:  "
time_of 'now()' | awk -v rows="$rows" '{ printf "%.1f us a job in a batch of %d\n", $1 * 1000 / rows, rows }'
time_of "now() + interval '1 day'" >/dev/null

# of what was just loaded, every claim would have to write out pages first
sql --command 'CHECKPOINT'
echo -n "claim of 100 of $rows:       "
(echo '\timing on'; for _ in $(seq 50); do echo "SELECT count(*) FROM memai.claim('{custom}', 100);"; done) | sql | summary
echo -n "claim that finds nothing:   "
(echo '\timing on'; for _ in $(seq 50); do echo "SELECT count(*) FROM memai.claim('{tool,embed}', 100);"; done) | sql | summary
sql --command 'TRUNCATE memai.job'

sql --command 'SELECT memai.start_worker()' --command 'SELECT pg_sleep(2)' >/dev/null
echo -n "commit to start of the job: "
for _ in $(seq 200); do
	echo "SELECT memai.submit_job('embed', user_id => 'u') IS NULL; SELECT pg_sleep(0.02);"
done | sql >/dev/null
# submitted_at is the beginning of the statement, started_at of the claim's transaction
sql --command "SELECT 'Time: ' || extract(epoch FROM started_at - submitted_at) * 1000 || ' ms' FROM memai.job WHERE status = 'done'" | summary
sql --command 'TRUNCATE memai.job'

echo -n "one job after the other:    "
sql --command "SELECT count(memai.submit_job('embed', user_id => 'user ' || i)) FROM generate_series(1, 5000) AS i" \
	--command "SELECT memai.flush('5 min')" >/dev/null
sql --command "SELECT round(count(*) / extract(epoch FROM max(finished_at) - min(started_at))) || ' jobs a second, one worker' FROM memai.job"
sql --command 'TRUNCATE memai.job'

# a table with and without a vectorizer, filled by one statement
fill() {
	sql <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
		\timing on
		INSERT INTO bench_row SELECT i, 'order ' || i || ' of customer ' || i * 7919::bigint % 1000 FROM generate_series($1, $2) AS i;
	SQL
}
vector_rows=${VECTOR_ROWS:-1000000}
batch=$((vector_rows / 10))
sql --command 'CREATE TABLE bench_row (id bigint PRIMARY KEY, remark text)'
plain=$(fill 1 "$batch")
sql --command "SELECT memai.create_vectorizer('bench_row', '{remark}')" --command "SELECT memai.pause_vectorizer('bench_row')" >/dev/null
watched=$(fill $((batch + 1)) $((2 * batch)))
echo "$plain $watched" | awk -v rows="$batch" '{ printf "vectorizer, cost for a writer: %.1f us a row in a batch of %d\n", ($2 - $1) * 1000 / rows, rows }'
fill $((2 * batch + 1)) "$vector_rows" >/dev/null
sql --command "SELECT memai.resume_vectorizer('bench_row')" --command "SELECT memai.flush('1 hour')" >/dev/null
sql --command "SELECT 'vectorizer, one worker:      ' || rate || ' rows a second, ' || done || ' rows' FROM memai.vectorizer_status"
sql --command "SELECT memai.drop_vectorizer('bench_row')" --command 'DROP TABLE bench_row' --command 'TRUNCATE memai.job' --command 'SELECT memai.stop_worker()' >/dev/null
