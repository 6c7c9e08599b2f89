#!/usr/bin/env bash
# Every rule is run, explained in test/README.md and shown to fail on a bad sample.
set -u
failed=0
for rule in test/lint/*; do
	case $rule in
		test/lint/run.sh | test/lint/selftest.sh | test/lint/samples) continue ;;
		test/lint/rule_*.sh | test/lint/rule_*.py) ;;
		*) echo "$rule:1: not named rule_<name>.sh or .py, so nobody runs it"; failed=1; continue ;;
	esac
	name=${rule##*/rule_} name=${name%.*}
	grep -q "^### $name\$" test/README.md || { echo "$rule:1: no section \"### $name\" in test/README.md"; failed=1; }
	ls test/lint/samples/"$name".bad*.txt >/dev/null 2>&1 || { echo "$rule:1: no test/lint/samples/$name.bad*.txt"; failed=1; }
done
exit "$failed"
