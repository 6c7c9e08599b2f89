#!/usr/bin/env bash
# run.sh PGVECTOR_SOURCE: the vector types beside pgvector, which is built from
# that folder with its own defaults (-march=native), and the kernels alone.
#
# Needs an installation that may be written to, with memai in it: PG_CONFIG names
# it (a private copy will do, see test/README.md).  Everything else is made in a
# temporary folder and removed: cluster, pgvector's build, tables.
set -eu
source_dir=${1:?usage: run.sh PGVECTOR_SOURCE}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
bin=$("${PG_CONFIG:-pg_config}" --bindir)
work=$(mktemp -d /tmp/memai-bench.XXXXXX)
chmod 755 "$work"
run_as=()
if [ "$(id -u)" = 0 ]; then
	run_as=(runuser -u postgres --)
	chown postgres "$work"
fi
cleanup() {
	"${run_as[@]}" "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap cleanup EXIT

cp -r "$source_dir" "$work/pgvector"
make -s -C "$work/pgvector" clean all install PG_CONFIG="$bin/pg_config" with_llvm=no >"$work/build.log" 2>&1 ||
	{ tail "$work/build.log"; exit 1; }

"${CC:-gcc}" -O2 -I"$root/src" -o "$work/kernels" "$here/kernels.c" \
	"$root"/src/vector/kernel.c "$root"/src/vector/kernel_{scalar,avx2,avx512,neon}.c -lm
"$work/kernels"
echo

export PGHOST=$work PGPORT=54399 PGUSER=postgres PGDATABASE=bench BENCH_DIR=$work
"${run_as[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust --no-locale -E UTF8 >/dev/null
"${run_as[@]}" "$bin/pg_ctl" -D "$work/data" -l "$work/log" -w -o "-p $PGPORT -c listen_addresses= -c unix_socket_directories=$work \
	-c shared_buffers=1536MB -c fsync=off -c max_wal_size=8GB -c autovacuum=off" start >/dev/null
"$bin/psql" -X -q -d postgres -c 'CREATE DATABASE bench'
PATH=$bin:$PATH python3 "$here/compare.py"
