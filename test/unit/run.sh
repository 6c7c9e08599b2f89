#!/usr/bin/env bash
# run.sh PROGRAM...: runs the unit tests; each prints TAP.  A program that ends
# badly (a sanitizer's finding, a crash) adds a failure of its own.
set -u
failed=0
for program in "$@"; do
	echo "# $(basename "$program")"
	"$program" | tee "$program.tap"
	if [ "${PIPESTATUS[0]}" != 0 ] || ! grep -q '^ok ' "$program.tap"; then
		echo "not ok - $(basename "$program") ended badly"
		failed=1
	fi
	grep -q '^not ok ' "$program.tap" && failed=1
done
exit "$failed"
