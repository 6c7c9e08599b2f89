#!/usr/bin/env bash
#
# run.sh: speed of provider static, on a model of 256 dimensions that it makes.
# Needs psql on the PATH, PGHOST, PGPORT, PGUSER and PGDATABASE of an empty
# database where memai is installed and the server runs as this user.  Run it by
# `make bench-static`.
set -eu
cd "$(dirname "$0")"
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT
mkdir "$models/made"
cat ../../../README.md ../../../docs/*.md | python3 make_model.py "$models/made" 30000 256
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set directory="$models" --file static.sql
