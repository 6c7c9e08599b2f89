#!/usr/bin/env bash
# run.sh: every rule of this folder, on the tree in the current directory.
# A rule is a script rule_<name>.sh or .py: it prints "file:line: what is wrong"
# for each finding and fails if there was one.
set -u
failed=0
for rule in test/lint/rule_*; do
	name=${rule##*/rule_}
	case $rule in
		*.sh) command=bash ;;
		*.py) command=python3 ;;
	esac
	if "$command" "$rule"; then
		echo "ok - ${name%.*}"
	else
		echo "not ok - ${name%.*} (see test/README.md)"
		failed=1
	fi
done
exit "$failed"
