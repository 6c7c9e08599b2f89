#!/usr/bin/env bash
# What differs between PostgreSQL's releases lives in core/compat.h alone.
! grep -rnE '\bPG_VERSION_NUM\b|\bPG_MAJORVERSION_NUM\b' src --include='*.[ch]' | grep -v '^src/core/compat\.h:'
