#!/usr/bin/env bash
#
# run.sh VECTORS [--suffix S] [--no-build] [--rounds N] [--writes ROWS] [--svg FILE]
#
# All measurements of the index beside pgvector, in the server that psql reaches, and one table at the end: search, build
# and size (run.py), changes (writes.py), tenants (tenants.py).  What they do and need is said at the top of each.
#   --suffix S      of the names of the databases, bench_memai and bench_pgvector
#   --no-build      use the databases that an earlier run left
#   --rounds N      rounds of run.py (3)
#   --writes ROWS   rows of the table that is changed (100,000)
#   --svg FILE      recall and queries a second as a picture
set -eu
cd "$(dirname "$0")"

usage() { sed -n '3,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 1 ] || usage
vectors=$1
shift
suffix='' rounds=3 writes=100000 build=() svg=()
while [ $# -gt 0 ]; do
	case $1 in
		--suffix) suffix=$2; shift ;;
		--rounds) rounds=$2; shift ;;
		--writes) writes=$2; shift ;;
		--svg) svg=(--svg "$2"); shift ;;
		--no-build) build=(--no-build) ;;
		*) usage ;;
	esac
	shift
done

table=$(mktemp)
trap 'rm -f "$table"' EXIT
common=(--suffix "$suffix" --table "$table")
export PYTHONDONTWRITEBYTECODE=1
python3 run.py "$vectors" --rounds "$rounds" "${common[@]}" "${build[@]}" "${svg[@]}"
python3 tenants.py "${common[@]}" "${build[@]}"
python3 writes.py --rows "$writes" "${common[@]}"
echo
{ echo 'what|memai|pgvector|ratio|bar'; cat "$table"; } | column -t -s '|'
