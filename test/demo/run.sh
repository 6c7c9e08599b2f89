#!/usr/bin/env bash
#
# run.sh: what `make demo` shows.  Needs psql on the PATH and PGHOST, PGPORT,
# PGUSER and PGDATABASE pointing at an empty database where memai is installed.
set -eu
cd "$(dirname "$0")"
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set dialogue="$(cat dialogue.json)" --file demo.sql
