#!/usr/bin/env bash
# selftest.sh: does each rule find what it is there to find?
#
# A sample is samples/<rule>.bad[-x].txt or <rule>.good[-x].txt: a small tree in
# one file, each of its files after a line "==> path".  The rule must fail on the bad
# ones, printing the text of the sample's first line ("expect: text"), and
# pass on the good ones.  A file library.c is compiled to the library under test.
set -u
lint=$PWD/test/lint
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

for sample in "$lint"/samples/*.txt; do
	name=$(basename "$sample" .txt)
	rule=$(ls "$lint"/rule_"${name%%.*}".*)
	tree=$work/$name
	mkdir -p "$tree/src"
	(cd "$tree" && awk '/^==> / { file = $2; if (match(file, /.*\//)) system("mkdir -p " substr(file, 1, RLENGTH)); printf "" >file; next }
		file { print >file }' "$sample")
	LIBRARY=$tree/library.so
	if [ -f "$tree/library.c" ]; then
		${CC:-cc} -shared -fPIC -o "$LIBRARY" "$tree/library.c"
	fi

	case $rule in *.py) command=python3 ;; *) command=bash ;; esac
	status=0
	output=$(cd "$tree" && LIBRARY=$LIBRARY "$command" "$rule" 2>&1) || status=$?
	expected=$(sed -n '1s/^expect: //p' "$sample")
	case $name in
		*.bad*) [ "$status" != 0 ] && [ -n "$expected" ] && grep -qF -- "$expected" <<<"$output" ;;
		*.good*) [ "$status" = 0 ] ;;
		*) false ;;
	esac && echo "ok - $name" || { echo "not ok - $name (exit status $status, expected \"$expected\"):"; echo "$output"; failed=1; }
done
exit "$failed"
