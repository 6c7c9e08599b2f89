# targets.mk: the developer's targets beside PGXS's own; included by the Makefile.
# What each one checks and how to read its failure: test/README.md.

# ---- make unit: C programs for the pure files, under the sanitizers ----
# A program test_<name>.c or fuzz_<name>.c names what it is linked with in a line
#   /* sources: src/core/hash.c src/text/chunk.c */
# and may name libraries:
#   /* libraries: -lcurl */
sources_of = $(shell sed -n 's|^/\* sources: \(.*\) \*/$$|\1|p' $(1))
libraries_of = $(shell sed -n 's|^/\* libraries: \(.*\) \*/$$|\1|p' $(1))
PURE_FLAGS = -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -fwrapv -D_GNU_SOURCE \
	-Wall -Wextra -Werror -Wno-unused-parameter -Isrc -isystem $(includedir_server) -MMD -MP
PURE_LIBS  = -L$(pkglibdir) -lpgcommon -lpgport -lm

UNIT_PROGRAMS = $(patsubst test/unit/%.c,build/unit/%,$(sort $(wildcard test/unit/test_*.c)))

.PHONY: unit
unit: $(UNIT_PROGRAMS)
	@bash test/unit/run.sh $^

define unit_rule
build/unit/$(1): test/unit/$(1).c $(call sources_of,test/unit/$(1).c)
	@mkdir -p $$(@D)
	$(CC) $(PURE_FLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all \
		-MF $$@.d -MT $$@ -o $$@ $$(filter %.c,$$^) $(PURE_LIBS) $(call libraries_of,test/unit/$(1).c)
endef
$(foreach p,$(notdir $(UNIT_PROGRAMS)),$(eval $(call unit_rule,$(p))))
-include $(addsuffix .d,$(UNIT_PROGRAMS))

# ---- make fuzz: libFuzzer programs, each as long as its line "seconds" says, or 5 s;
# MEMAI_FUZZ_SECONDS overrides all of them ----
FUZZ_PROGRAMS = $(patsubst test/fuzz/%.c,build/fuzz/%,$(sort $(wildcard test/fuzz/fuzz_*.c)))

.PHONY: fuzz
fuzz:
	@CLANG="$(CLANG)" MAKE="$(MAKE)" bash test/fuzz/run.sh $(FUZZ_PROGRAMS)

define fuzz_rule
build/fuzz/$(1): test/fuzz/$(1).c $(call sources_of,test/fuzz/$(1).c)
	@mkdir -p $$(@D)
	$(CLANG) $(PURE_FLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-MF $$@.d -MT $$@ -o $$@ $$(filter %.c,$$^) $(PURE_LIBS) $(call libraries_of,test/fuzz/$(1).c)
endef
$(foreach p,$(notdir $(FUZZ_PROGRAMS)),$(eval $(call fuzz_rule,$(p))))
-include $(addsuffix .d,$(FUZZ_PROGRAMS))

# ---- make lint: one script per rule ----
LINT_ENVIRONMENT = LAYERS="$(LAYERS)" LIBRARY=$(shlib) CC="$(CC)" \
	PG_INCLUDE=$(includedir_server) LIBRARY_CFLAGS="$(LIBRARY_CFLAGS)"

.PHONY: lint lint-selftest
lint: all
	@$(LINT_ENVIRONMENT) bash test/lint/run.sh

lint-selftest:
	@$(LINT_ENVIRONMENT) bash test/lint/selftest.sh

# ---- make compile-check: no warning from gcc or clang ----
# gcc warns of some things only when it optimises, clang without generating code
CHECK_FLAGS = -fno-strict-aliasing -fwrapv -fPIC -Wall -Wextra -Werror -Wno-unused-parameter \
	-Wmissing-prototypes -Wpointer-arith -Wdeclaration-after-statement -Wvla
CHECK_gcc   = gcc -O2 -c -o /dev/null
CHECK_clang = $(CLANG) -fsyntax-only

.PHONY: compile-check check-gcc check-clang
compile-check: check-gcc check-clang
check-gcc check-clang: check-%:
	@if ! command -v $(firstword $(CHECK_$*)) >/dev/null; then \
		echo "ok - $* # skip not installed"; \
	elif printf '%s\n' $(SRCS) | \
		xargs -P 2 -I{} $(CHECK_$*) $(CHECK_FLAGS) $(filter-out -MMD -MP,$(CPPFLAGS)) {}; then \
		echo "ok - $*"; \
	else \
		echo "not ok - $*"; exit 1; \
	fi

# ---- make indent: PostgreSQL's layout ----
.PHONY: indent
indent: all
	@bash test/harness/indent.sh $(shlib)
