#!/usr/bin/env bash
#
# coverage.sh: `make coverage`.  Runs regress, isolation and TAP tests on a build
# that counts, and prints how many lines of each file they reached.
set -u
# shellcheck source=test/harness/lib.sh
. "$(dirname "$0")/lib.sh"

prepare memai-cover
build PROFILE=--coverage || exit 1
start_cluster
for others in "ISOLATION= TAP_TESTS=" "REGRESS= TAP_TESTS=" "REGRESS= ISOLATION="; do
	# shellcheck disable=SC2086
	run_group make -s PG_CONFIG="$PGBIN/pg_config" PROFILE=--coverage installcheck $others >"$WORK/tests.log" 2>&1 ||
		say "some tests failed (make test shows which); the figures are of what ran"
done
as_server "$PGBIN/pg_ctl" -D "$WORK/data" -m fast -s stop

# gcov: "File 'src/x.c'" and "Lines executed:81.25% of 64", a pair a file
find src -name '*.gcda' -exec gcov -n {} + 2>/dev/null | awk -F "['%: ]+" '
	/^File/ { file = $2 }
	/^Lines executed/ && file ~ /^src\// && !seen[file]++ {
		lines[file] = $5; hit[file] = $3 * $5 / 100
		all += $5; all_hit += hit[file]
	}
	END {
		for (file in lines)
			printf "%6.1f %% of %5d  %s\n", 100 * hit[file] / lines[file], lines[file], file | "sort -k5"
		close("sort -k5")
		printf "%6.1f %% of %5d  together\n", all ? 100 * all_hit / all : 0, all
	}'
