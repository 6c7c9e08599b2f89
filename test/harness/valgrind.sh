#!/usr/bin/env bash
#
# valgrind.sh: `make valgrind`.  Runs the regress tests on a server under
# valgrind's memcheck and fails when an error has memai in its stack.  The stock
# server does not tell valgrind about palloc, so this sees uninitialised values
# and errors of malloc'd memory, not overruns inside a memory context.
set -u
# shellcheck source=test/harness/lib.sh
. "$(dirname "$0")/lib.sh"

command -v valgrind >/dev/null || die "needs valgrind (Debian: valgrind)"
prepare memai-valgr
build COPT='-O1 -g' || exit 1
mkdir "$WORK/valgrind"
cat >"$WORK/postgres-valgrind" <<-END
	#!/bin/sh
	exec valgrind --quiet --trace-children=yes --track-origins=yes --num-callers=40 --fullpath-after= \\
		--log-file=$WORK/valgrind/%p.log "$PGBIN/postgres" "\$@"
END
chmod 755 "$WORK/postgres-valgrind"
[ "$(id -u)" != 0 ] || chown postgres: "$WORK/valgrind" "$WORK/postgres-valgrind"
SERVER_OPTIONS=(-p "$WORK/postgres-valgrind" -t 300)
start_cluster
status=0
run_group make -s PG_CONFIG="$PGBIN/pg_config" installcheck ISOLATION= TAP_TESTS= || status=$?
as_server "$PGBIN/pg_ctl" -D "$WORK/data" -m fast -t 300 -s stop

# a record ends at the line "==pid== "
errors=$(cat "$WORK"/valgrind/*.log | sed 's/^==[0-9]*== *//' |
	awk -v RS= -v ORS='\n\n' -v source="$WORK/src/src/" 'index($0, source)')
if [ -n "$errors" ]; then
	say "$errors"
	die "valgrind: errors with memai in their stack: $(awk -v RS= 'END { print NR }' <<<"$errors")"
fi
say "valgrind: no error in memai ($(find "$WORK/valgrind" -name '*.log' | wc -l) processes)"
exit "$status"
