#!/usr/bin/env bash
#
# run.sh SCRIPT: `make demo` and the benchmarks.  Builds memai, starts a
# throw-away cluster and runs SCRIPT on an empty database.  KEEP=1 leaves the
# cluster running.
set -u
# shellcheck source=test/harness/lib.sh
. "$(dirname "$0")/lib.sh"

prepare memai-run
build || exit 1
start_cluster
as_server "$PGBIN/createdb" memai
export PGDATABASE=memai
status=0
run_group env MEMAI_DATA="$MEMAI_DATA" bash "$1" || status=$?

if [ "${KEEP:-0}" = 1 ]; then
	trap - EXIT
	as=
	if [ "$(id -u)" = 0 ]; then
		as='runuser -u postgres -- '
	fi
	cat <<-END

		The cluster is still running. Go on by hand:
		  $PGBIN/psql -h $PGHOST -p $PGPORT -U $PGUSER -d $PGDATABASE
		Stop it and remove everything:
		  $as$PGBIN/pg_ctl -D $WORK/data -m fast stop && rm -rf $WORK
	END
fi
exit "$status"
