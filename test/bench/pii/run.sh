#!/usr/bin/env bash
#
# run.sh: precision and recall of memai.find_pii on labelled texts.  Needs
# psql on the PATH, PGHOST, PGPORT, PGUSER and PGDATABASE of an empty database where
# memai is installed.  Run it by `make bench-pii`.
set -eu
cd "$(dirname "$0")"
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --file pii.sql
