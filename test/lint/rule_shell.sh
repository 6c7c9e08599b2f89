#!/usr/bin/env bash
# Shell scripts parse, and pass shellcheck where it is installed.
set -u
failed=0
mapfile -t scripts < <(find test .ci -name '*.sh' -o -path .ci/run)
for script in "${scripts[@]}"; do
	bash -n "$script" || failed=1
done
if command -v shellcheck >/dev/null; then
	shellcheck --severity=warning --shell=bash "${scripts[@]}" || failed=1
fi
exit "$failed"
