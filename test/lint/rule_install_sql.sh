#!/usr/bin/env bash
# Install fragments create objects plainly: OR REPLACE and IF NOT EXISTS would adopt
# an object that somebody else had put there (CVE-2022-2625).
! grep -niEH '\bor[[:space:]]+replace\b|\bif[[:space:]]+not[[:space:]]+exists\b' \
	src/sql/[0-9]*.sql src/[a-z]*/[a-z]*.sql 2>/dev/null | grep -v '^src/sql/memai--'
