#!/usr/bin/env bash
# run.sh PROGRAM...: builds the fuzzers and runs each for FUZZ_TIME seconds.  The
# corpus grows in build/fuzz and is kept between runs; a finding stays there too.
set -u
failed=0

if [ $# -gt 0 ]; then
	if ! command -v "$CLANG" >/dev/null ||
		! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
		"$CLANG" -x c -fsanitize=fuzzer -o /dev/null - 2>/dev/null; then
		echo "ok - fuzzing # skip needs clang with libFuzzer (Debian: clang, libclang-rt-dev)"
		exit 0
	fi
fi

fuzz() {
	local program=$1 name corpus
	name=$(basename "$program")
	corpus=$program.corpus
	if [ ! -x "$program" ]; then
		echo "not ok - $name was not built"
		return 1
	fi
	mkdir -p "$corpus"
	if "$program" -max_total_time="$FUZZ_TIME" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
		-print_final_stats=1 -artifact_prefix="$program." "$corpus" >"$program.log" 2>&1; then
		echo "ok - $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$program.log") inputs"
	else
		tail -n 60 "$program.log"
		echo "not ok - $name"
		return 1
	fi
}

# as many at a time as there are processors
cores=$(nproc)
"$MAKE" -s -k -j"$cores" --no-print-directory "$@" || failed=1
for program in "$@"; do
	while [ "$(jobs -rp | wc -l)" -ge "$cores" ]; do
		wait -n || failed=1
	done
	fuzz "$program" &
done
for job in $(jobs -p); do
	wait "$job" || failed=1
done
exit "$failed"
