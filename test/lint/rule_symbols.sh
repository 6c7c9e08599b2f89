#!/usr/bin/env bash
# The server loads libraries with RTLD_GLOBAL: two extensions that export one name
# share the first one loaded.  Every exported symbol starts with memai_.
! nm -D --defined-only "$LIBRARY" | awk '{ print $NF }' |
	grep -vE '^(memai_.*|pg_finfo_memai_.*|Pg_magic_func|_PG_init|__gcov_.*|__asan_.*|__ubsan_.*)$' |
	sed "s|^|$LIBRARY:1: exports |" | grep .
