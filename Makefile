EXTENSION  = memai
# memai.control is the only place that knows the version
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
MODULE_big = $(EXTENSION)
PGFILEDESC = "memai - AI memory inside PostgreSQL"

# ---- modules in layer order: one directory, one public header, its install SQL ----
MODULE_DIRS = core json vector text stats index http model job memory ingest chat worker
SRCS = src/init.c $(sort $(wildcard $(addsuffix /*.c,$(addprefix src/,$(MODULE_DIRS)))))
OBJS = $(SRCS:.c=.o)

# ---- install script: header, the modules' fragments in layer order, grants ----
SQL_FRAGMENTS = src/sql/00-header.sql \
	$(wildcard $(foreach m,$(MODULE_DIRS),src/$(m)/$(m).sql)) \
	src/sql/99-grants.sql
INSTALL_SQL = src/sql/$(EXTENSION)--$(EXTVERSION).sql
DATA_built  = $(INSTALL_SQL)
# a released copy of the current version would be installed twice under one name
DATA        = $(wildcard src/sql/upgrade/*--*--*.sql) \
	$(filter-out %/$(EXTENSION)--$(EXTVERSION).sql,$(wildcard src/sql/released/*--*.sql))

PG_CPPFLAGS = -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) \
	-DMEMAI_VERSION='"$(EXTVERSION)"' -Wextra -Werror -Wno-unused-parameter \
	$(shell pkg-config --cflags libcurl json-c)
SHLIB_LINK  = $(shell pkg-config --libs libcurl json-c) -lm

# ---- tests ----
REGRESS        = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS   = --load-extension=$(EXTENSION)
ISOLATION      = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=test/output_iso --load-extension=$(EXTENSION)
TAP_TESTS      = 1
PROVE_TESTS   ?= $(sort $(wildcard test/t/*.pl))
EXTRA_CLEAN    = test/output_iso $(wildcard src/sql/$(EXTENSION)--*.sql)

# no bitcode: JIT never inlines these functions, and clang would double the build
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# after the include: Makefile.global resets it
PROVE_FLAGS += -I test/perl

# PGXS tracks no headers: rebuild all when one changes
$(OBJS): $(wildcard src/*.h src/*/*.h) Makefile $(EXTENSION).control

$(INSTALL_SQL): $(SQL_FRAGMENTS) $(EXTENSION).control Makefile
	cat $(SQL_FRAGMENTS) > $@.tmp && mv $@.tmp $@
