#!/usr/bin/env bash
# The install script of a released version never changes again: its checksum is
# recorded in SHA256SUMS when it is released.
set -u
cd src/sql/released 2>/dev/null || exit 0
failed=0
for script in memai--*.sql; do
	[ -e "$script" ] || continue
	grep -q "  $script\$" SHA256SUMS 2>/dev/null || { echo "src/sql/released/$script:1: not in SHA256SUMS"; failed=1; }
done
if [ -s SHA256SUMS ] && ! sha256sum --quiet --strict --check SHA256SUMS; then
	failed=1
fi
exit "$failed"
