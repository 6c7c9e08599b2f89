#!/usr/bin/env bash
#
# run.sh: what chat adds to the call of its model, in threads of 60, 200 and 1,000
# messages turn by turn, for a user with MEMORIES memories among USERS others; and how soon the first
# piece of a stream is handed on.  The model is the stub, without latency; the embedder is local.
# Needs psql and python3 on the PATH, and PGHOST, PGPORT, PGUSER and PGDATABASE of an
# empty database where memai is installed, whose server runs on this machine.
# Run it by `make bench-chat`.
set -eu
cd "$(dirname "$0")"
memories=${MEMORIES:-10000} users=${USERS:-100000} calls=${CALLS:-200}
export PGOPTIONS="-c memai.tenant=bench -c synchronous_commit=off"
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 ../../stub/stub_llm.py /nonexistent >"$work/server" &
server=$!
until [ -s "$work/server" ]; do sleep 0.1; done
read -r port _ <"$work/server"

sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1; }
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set memories="$memories" --set users="$users" --file load.sql
sql <<-SQL
	SELECT memai.create_model('stub', 'chat', 'openai', 'm', url => 'http://127.0.0.1:$port/v1', context_window => 32000);
	SELECT memai.create_model('drip', 'chat', 'openai', 'm', url => 'http://127.0.0.1:$port/drip/1/0/v1');
SQL

# measure WHAT STATEMENT: percentiles of CALLS runs in one session, and its CPU time; p50 becomes the first
measure() {
	{
		echo "SELECT pg_backend_pid() AS pid \\gset"
		echo "\\setenv BACKEND :pid"
		for _ in 1 2 3 4 5; do echo "$2 \\g /dev/null"; done
		echo "\\! awk '{ print \"ticks\", \$14 + \$15 }' /proc/\$BACKEND/stat"
		echo "\\timing on"
		for _ in $(seq "$calls"); do echo "$2 \\g /dev/null"; done
		echo "\\timing off"
		echo "\\! awk '{ print \"ticks\", \$14 + \$15 }' /proc/\$BACKEND/stat"
	} | sql >"$work/out"
	cpu=$(awk -v n="$calls" '/^ticks/ { first = first == "" ? $2 : first; last = $2 } END { printf "%.2f", (last - first) * 10 / n }' "$work/out")
	read -r p50 p95 < <(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$work/out" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int(NR * 0.5) + 1], v[int(NR * 0.95) + 1] }')
	printf '%-44s p50 %7.2f ms  p95 %7.2f ms  CPU %6.2f ms\n' "$1" "$p50" "$p95" "$cpu"
}

# turn_of KIND: the call alone, or a turn of the thread that has so many messages
turn_of() {
	if [ "$1" = alone ]; then
		echo "SELECT memai.generate('And now?', 'stub') \\g /dev/null"
	else
		echo "SELECT content FROM memai.chat('What colour is the house by the trains?', 'ann', thread_id => :'thread_$1', model => 'stub') \\g /dev/null"
	fi
}

# All of them take turns in one session: what a turn stores is there for the next
# of each, and what the machine does meanwhile happens to each.
{
	for messages in 60 200 1000; do
		echo "SELECT id AS thread_$messages FROM bench_thread WHERE messages = $messages \\gset"
	done
	for kind in alone 60 200 1000; do
		for _ in 1 2 3 4 5; do turn_of "$kind"; done
	done
	echo "\\timing on"
	for _ in $(seq "$calls"); do
		for kind in alone 60 200 1000; do
			echo "\\echo kind $kind"
			turn_of "$kind"
		done
	done
} | sql >"$work/out"
declare -A half most
for kind in alone 60 200 1000; do
	read -r "half[$kind]" "most[$kind]" < <(awk -v kind="$kind" '/^kind/ { of = $2 } /^Time:/ && of == kind { print $2 }' "$work/out" |
		sort -n | awk '{ v[NR] = $1 } END { print v[int(NR * 0.5) + 1], v[int(NR * 0.95) + 1] }')
done
printf '%-44s p50 %7.2f ms  p95 %7.2f ms\n' 'the call alone (generate)' "${half[alone]}" "${most[alone]}"
for kind in 60 200 1000; do
	printf '%-44s p50 %7.2f ms  p95 %7.2f ms\n' "chat, thread of $kind messages" "${half[$kind]}" "${most[$kind]}"
	awk -v a="${half[$kind]}" -v b="${half[alone]}" -v c="${most[$kind]}" -v d="${most[alone]}" \
		'BEGIN { printf "%-44s p50 %7.2f ms  p95 %7.2f ms\n", "  added", a - b, c - d }'
done
awk -v a="${half[1000]}" -v b="${half[60]}" 'BEGIN { printf "a turn of 1,000 messages takes %.2f times one of 60 (p50)\n", a / b }'
measure '  of which recall' "SELECT count(*) FROM memai.recall('What colour is the house by the trains?', 'ann', k => 8)"

# the stub notes when it sent the only word; the row's time is taken when it leaves the executor
{
	for _ in $(seq "$calls"); do
		echo "SELECT extract(epoch FROM clock_timestamp()) FROM (SELECT memai.chat_stream('And now?', 'ann', model => 'drip', use_memory => false) AS s OFFSET 0) x LIMIT 1;"
	done
} | sql >"$work/arrived"
python3 - "$port" "$work/arrived" <<-PYTHON
	import json, sys, urllib.request
	requests = json.load(urllib.request.urlopen(f'http://127.0.0.1:{sys.argv[1]}/_requests'))
	sent = [r['sent'] for r in requests if 'sent' in r]
	arrived = [float(line) for line in open(sys.argv[2]) if line.strip()]
	delays = sorted((a - s) * 1000 for s, a in zip(sent, arrived))
	print(f'first piece after it was sent: {len(delays)} streams  p50 {delays[len(delays) // 2]:.2f} ms  p95 {delays[int(len(delays) * 0.95)]:.2f} ms')
PYTHON
