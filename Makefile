EXTENSION  = memai
# memai.control is the only place that knows the version
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
MODULE_big = $(EXTENSION)
PGFILEDESC = "memai - AI memory inside PostgreSQL"

# ---- modules by layer, lowest first: one directory, one public header, its install SQL.
# A module includes the public headers of lower layers only (checked by make lint). ----
comma := ,
LAYERS = core json,vector,text,stats index,http model,job memory ingest chat worker
MODULE_DIRS = $(subst $(comma), ,$(LAYERS))
SRCS = src/init.c $(sort $(wildcard $(addsuffix /*.c,$(addprefix src/,$(MODULE_DIRS)))))
OBJS = $(SRCS:.c=.o)

# ---- install script: header, the modules' fragments in layer order, grants ----
SQL_FRAGMENTS = src/sql/00-header.sql \
	$(foreach m,$(MODULE_DIRS),$(sort $(wildcard src/$(m)/$(m).sql src/$(m)/$(m)_*.sql))) \
	src/sql/99-grants.sql
INSTALL_SQL = src/sql/$(EXTENSION)--$(EXTVERSION).sql
DATA_built  = $(INSTALL_SQL)
# a released copy of the current version would be installed twice under one name
DATA        = $(wildcard src/sql/upgrade/*--*--*.sql) \
	$(filter-out %/$(EXTENSION)--$(EXTVERSION).sql,$(wildcard src/sql/released/*--*.sql))

PG_CONFIG      ?= pg_config
LIBRARY_CFLAGS := $(shell pkg-config --cflags libcurl json-c 2>/dev/null)
LIBRARY_LINK   := $(shell pkg-config --libs libcurl json-c 2>/dev/null || echo -lcurl -ljson-c)

# -isystem: PostgreSQL's own headers are not clean under -Wextra.
# -MMD -MP: each object lists the headers it was made from, see the -include below
PG_CPPFLAGS = -I$(srcdir)/src -isystem $(includedir_server) -MMD -MP \
	-DMEMAI_VERSION='"$(EXTVERSION)"' -Wextra -Werror -Wno-unused-parameter $(LIBRARY_CFLAGS)
SHLIB_LINK  = $(LIBRARY_LINK) -lm

# ---- tests: make installcheck runs these three against a running server ----
REGRESS        = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS   = --load-extension=$(EXTENSION)
ISOLATION      = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=test/output_iso --load-extension=$(EXTENSION)
TAP_TESTS      = 1
PROVE_TESTS   ?= $(sort $(wildcard test/t/*.pl))
EXTRA_CLEAN    = build test/output_iso $(OBJS:.o=.d) $(wildcard src/sql/$(EXTENSION)--*.sql)

# no bitcode: JIT never inlines these functions, and clang would double the build
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

ifneq ($(wildcard $(PGXS)),)
include $(PGXS)

# after the include: Makefile.global resets it
PROVE_FLAGS += -I test/perl

$(OBJS): Makefile $(EXTENSION).control
-include $(OBJS:.o=.d)

$(INSTALL_SQL): $(SQL_FRAGMENTS) $(EXTENSION).control Makefile
	cat $(SQL_FRAGMENTS) > $@.tmp && mv $@.tmp $@

include test/targets.mk
else
all install installcheck clean:
	@echo "$(PG_CONFIG) --pgxs names no file: install PostgreSQL 15 or later with its development" >&2; \
	 echo "files (Debian: postgresql-server-dev-15), set PG_CONFIG, or run make test as root." >&2; exit 1
endif

# These come without PostgreSQL too: they install what is missing, build,
# and run in a throw-away cluster of their own (test/README.md).
LONG_INDEX_TESTS = MEMAI_CRASH_CYCLES=1000 MEMAI_ORACLE_QUERIES=10000 MEMAI_WAL_TARGETS=1000000 \
	MEMAI_WRITERS_TRANSACTIONS=100000 MEMAI_KILLED_BACKENDS=1000 MEMAI_DAMAGE_CYCLES=2000

.PHONY: test coverage valgrind demo test-index-long bench-chat bench-dedup bench-index bench-ingest bench-locomo bench-memory bench-pii bench-static
test coverage valgrind:
	@bash test/harness/$@.sh
test-index-long:
	@SUITES=tap PROVE_TESTS="$(sort $(wildcard test/t/06?_index_*.pl))" $(LONG_INDEX_TESTS) bash test/harness/test.sh
demo:
	@bash test/harness/run.sh test/demo/run.sh
bench-chat:
	@bash test/harness/run.sh test/bench/chat/run.sh
bench-dedup:
	@bash test/harness/run.sh test/bench/dedup/run.sh
bench-ingest:
	@bash test/harness/run.sh test/bench/ingest/run.sh
bench-index:
	@bash test/bench/index/run.sh $(BENCH_INDEX)
bench-locomo:
	@bash test/harness/run.sh test/bench/locomo/run.sh
bench-memory:
	@bash test/harness/run.sh test/bench/memory/run.sh
bench-static:
	@bash test/harness/run.sh test/bench/static/run.sh
bench-pii:
	@bash test/harness/run.sh test/bench/pii/run.sh
