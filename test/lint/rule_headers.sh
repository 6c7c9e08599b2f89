#!/usr/bin/env bash
# Every header compiles alone after postgres.h, and includes what it needs but postgres.h.
# A *_template.h is included several times, each time under other macros: left out.
set -u
failed=0
for header in $(find src -name '*.h' ! -name '*_template.h' | sort); do
	if grep -nH '^[[:space:]]*#[[:space:]]*include[[:space:]]*"postgres\(_fe\)\?\.h"' "$header"; then
		failed=1
	fi
	# shellcheck disable=SC2086
	printf '#include "postgres.h"\n#include "%s"\n' "${header#src/}" |
		$CC -x c -fsyntax-only -Wall -Werror -D_GNU_SOURCE -Isrc -isystem "$PG_INCLUDE" $LIBRARY_CFLAGS - || {
		echo "$header:1: does not compile alone after postgres.h"
		failed=1
	}
done
exit "$failed"
