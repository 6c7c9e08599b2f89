#!/usr/bin/env bash
#
# test.sh: `make test`.  Builds memai and runs every suite in a temporary folder
# and a cluster of its own; see test/README.md.
#
#   SUITES="regress tap"   run only these
#   KEEP=1                 leave the folder (not the cluster) behind for a look
set -u
# shellcheck source=test/harness/lib.sh
. "$(dirname "$0")/lib.sh"

ALL_SUITES="lint compile unit fuzz regress isolation tap"
SUITES=${SUITES:-$ALL_SUITES}
for suite in $SUITES; do
	case " $ALL_SUITES " in *" $suite "*) ;; *) die "no suite $suite; there are: $ALL_SUITES" ;; esac
done
OUTPUT=$ROOT/build/test-output
failures=0

# A suite's log lines in the forms of pg_regress (15: "test x ... ok", 16 on:
# TAP) and of TAP; each counts once.
count_log() {
	awk '/^ok |\.\.\. ok( |$)/ { if (/# *(SKIP|skip)/) s++; else p++ }
		/^not ok |\.\.\. FAILED/ { f++ }
		END { print p + 0, f + 0, s + 0 }' "$1"
}

# run_suite NAME COMMAND...: prints its output as it comes, and appends
# "NAME passed failed skipped" to the counts.
run_suite() {
	local name=$1 log=$WORK/log.$1 status=0 started=$SECONDS passed failed skipped
	shift
	case " $SUITES " in *" $name "*) ;; *) return 0 ;; esac
	say "" "== $name"
	rm -f "$WORK/tmp/counts"
	MEMAI_COUNTS=$WORK/tmp/counts run_group bash -c '"$@" 2>&1 | tee "$0"; exit "${PIPESTATUS[0]}"' "$log" "$@" || status=$?
	if [ -s "$WORK/tmp/counts" ]; then
		read -r passed failed skipped <"$WORK/tmp/counts"
	else
		read -r passed failed skipped < <(count_log "$log")
	fi
	# a suite that fails without a failed test did not get to its tests
	if [ "$status" != 0 ] && [ "$failed" = 0 ]; then
		failed=1
	fi
	say "$name: $passed passed, $failed failed, $skipped skipped, $((SECONDS - started)) s"
	say "$name $passed $failed $skipped" >>"$WORK/counts"
	if [ "$failed" != 0 ]; then
		failures=$((failures + 1))
		show_failure "$name"
	fi
}

show_failure() {
	case $1 in
		regress) cat regression.diffs 2>/dev/null ;;
		isolation) cat test/output_iso/regression.diffs 2>/dev/null ;;
		tap) sed 1d "$WORK/tmp/counts" | while read -r program; do
			log=tmp_check/log/regress_log_$(basename "$program" .pl)
			say "---- $log" "$(tail -n 40 "$log" 2>/dev/null)"
		done ;;
	esac
}

# A test that has no expected file yet fails and leaves its output, instead of
# ending the whole run.
expect_something() {
	local test
	for test in sql/*.sql; do
		[ -e "$test" ] || continue
		test=expected/$(basename "$test" .sql).out
		[ -e "$test" ] || : >"$test"
	done
	for test in test/specs/*.spec; do
		[ -e "$test" ] || continue
		test=test/expected/$(basename "$test" .spec).out
		[ -e "$test" ] || { mkdir -p test/expected && : >"$test"; }
	done
}

keep_output() {
	rm -rf "$OUTPUT" && mkdir -p "$OUTPUT" || return 0
	cp -rL regression.diffs regression.out results test/output_iso tmp_check/log "$WORK/server.log" "$OUTPUT" 2>/dev/null
	chown -R --reference="$ROOT" "$ROOT/build"
	say "the output of the failed tests is in build/test-output"
}

prepare memai-test
target=(make -s --no-print-directory PG_CONFIG="$PGBIN/pg_config")
: >"$WORK/counts"
if build; then
	run_suite lint "${target[@]}" -k lint lint-selftest
	# gcc has built it without a warning already
	run_suite compile "${target[@]}" check-clang
	run_suite unit "${target[@]}" -j"$(nproc)" unit
	run_suite fuzz "${target[@]}" fuzz
	# autovacuum would now and then hold up a VACUUM whose effect is asserted, or change a plan
	SERVER_OPTIONS=(-o '-c autovacuum=off')
	case " $SUITES " in *" regress "* | *" isolation "*) start_cluster ;; esac
	expect_something
	run_suite regress "${target[@]}" installcheck ISOLATION= TAP_TESTS=
	# without specs pg_isolation_regress would only make a database
	if ls test/specs/*.spec >/dev/null 2>&1; then
		run_suite isolation "${target[@]}" installcheck REGRESS= TAP_TESTS=
	fi
	case " $SUITES " in *" tap "*) provide_prometheus ;; esac
	run_suite tap env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE PERL5LIB="$WORK/src/test/harness" \
		"${target[@]}" installcheck REGRESS= ISOLATION= PROVE_FLAGS="-I test/perl -j2 --harness=CountingHarness"
else
	say "build 0 1 0" >>"$WORK/counts"
	failures=1
fi

if [ "$failures" != 0 ]; then
	keep_output
fi
if [ "${KEEP:-0}" = 1 ]; then
	stop_servers
	say "kept: $WORK"
	trap - EXIT
fi
say "" "$(awk '{ s += $4 } END { print s + 0 }' "$WORK/counts") skipped, $SECONDS s"
awk '{ p += $2; f += $3 } END { print p + 0 " passed, " f + 0 " failed"; exit f > 0 }' "$WORK/counts"
