#!/usr/bin/env bash
# run.sh PROGRAM...: builds the fuzzers and runs each for as many seconds as its
# source says ("seconds: 30"; 5 when it says nothing; MEMAI_FUZZ_SECONDS for all).
# It starts from test/fuzz/seeds/<name>; the corpus grows in build/fuzz and is kept
# between runs; a finding stays there too.
# A short run draws the same numbers each time, so that it finds today what it found
# yesterday; with MEMAI_FUZZ_SECONDS others each time.
set -u
failed=0
seed=20240607
[ -z "${MEMAI_FUZZ_SECONDS:-}" ] || seed=0

if [ $# -gt 0 ]; then
	if ! command -v "$CLANG" >/dev/null ||
		! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
		"$CLANG" -x c -fsanitize=fuzzer -o /dev/null - 2>/dev/null; then
		echo "ok - fuzzing # skip needs clang with libFuzzer (Debian: clang, libclang-rt-dev)"
		exit 0
	fi
fi

seconds_of() {
	local said
	said=$(sed -n 's|^/\* seconds: \([0-9]*\) \*/$|\1|p' "test/fuzz/$(basename "$1").c")
	echo "${MEMAI_FUZZ_SECONDS:-${said:-5}}"
}

fuzz() {
	local program=$1 name corpus seconds
	name=$(basename "$program")
	corpus=$program.corpus
	seconds=$(seconds_of "$program")
	if [ ! -x "$program" ]; then
		echo "not ok - $name was not built"
		return 1
	fi
	mkdir -p "$corpus"
	if [ -d "test/fuzz/seeds/$name" ]; then
		set -- "test/fuzz/seeds/$name"
	else
		set --
	fi
	if "$program" -max_total_time="$seconds" -seed="$seed" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
		-print_final_stats=1 -artifact_prefix="$program." "$corpus" "$@" >"$program.log" 2>&1; then
		echo "ok - $name, $seconds s: $(sed -n 's/^stat::number_of_executed_units: *//p' "$program.log") inputs"
	else
		tail -n 60 "$program.log"
		echo "not ok - $name"
		return 1
	fi
}

# as many at a time as there are processors
cores=$(nproc)
"$MAKE" -s -k -j"$cores" --no-print-directory "$@" || failed=1
# the longest first, so that none runs alone at the end
while read -r _ program; do
	while [ "$(jobs -rp | wc -l)" -ge "$cores" ]; do
		wait -n || failed=1
	done
	fuzz "$program" &
done < <(for program in "$@"; do echo "$(seconds_of "$program") $program"; done | sort -rn)
for job in $(jobs -p); do
	wait "$job" || failed=1
done
exit "$failed"
