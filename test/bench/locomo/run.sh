#!/usr/bin/env bash
#
# run.sh: retrieval quality and latency of memai.recall on LoCoMo dialogues.
# Needs psql on the PATH, PGHOST, PGPORT, PGUSER and PGDATABASE of an empty
# database where memai is installed, and MEMAI_DATA with locomo_1_5.json.
# Run it by `make bench-locomo`.  MODEL=<directory> takes the static model there (see
# docs/static-models.md) instead of the local embedder, WEIGHT=<n> (0.1) its recall_weight.
set -eu
cd "$(dirname "$0")"
data=${MEMAI_DATA:-}/locomo_1_5.json
if [ ! -r "$data" ]; then
	echo "skipped: no locomo_1_5.json in MEMAI_DATA (${MEMAI_DATA:-not set})"
	exit 0
fi
if [ -n "${MODEL:-}" ]; then
	set -- --set model="$(basename "$MODEL")" --set model_directory="$(cd "$(dirname "$MODEL")" && pwd)" --set weight="${WEIGHT:-0.1}"
fi
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set locomo="$data" "$@" --file locomo.sql
