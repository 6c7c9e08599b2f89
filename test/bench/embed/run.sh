#!/usr/bin/env bash
#
# run.sh: speed of the local embedder and of the terms for lexical search.
# Needs psql on the PATH, PGHOST, PGPORT, PGUSER and PGDATABASE of an empty
# database where memai is installed.
set -eu
cd "$(dirname "$0")"
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --file embed.sql
