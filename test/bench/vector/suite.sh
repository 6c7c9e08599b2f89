#!/usr/bin/env bash
# suite.sh PGVECTOR_SOURCE: the type part of pgvector's own regression suite,
# unchanged, against memai.  Needs a running server with memai installed and the
# connection in PGHOST, PGPORT and PGUSER; PG_CONFIG names the installation.
set -eu
source_dir=${1:?usage: suite.sh PGVECTOR_SOURCE}
pg_config=${PG_CONFIG:-pg_config}
work=$(mktemp -d /tmp/memai-suite.XXXXXX)
trap 'rm -rf "$work"' EXIT
cp -r "$source_dir/test/sql" "$source_dir/test/expected" "$work"
cd "$work"
"$(dirname "$("$pg_config" --pgxs)")/../../src/test/regress/pg_regress" --bindir="$("$pg_config" --bindir)" --inputdir=. \
	--dbname=memai_suite --load-extension=memai bit btree cast copy halfvec sparsevec vector_type ||
	{ cat regression.diffs; exit 1; }
