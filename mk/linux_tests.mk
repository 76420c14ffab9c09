# Conformance tests of the Linux ABI: tests/linux/NAME.c is one program, linked statically with musl. A source that says
# "// also: glibc" is linked statically with glibc too (NAME.glibc); "// also: dynamic": with glibc's shared library (NAME.dynamic);
# "// links: LIBRARY": statically with that library of Debian's, and glibc only.
#   make linux-tests    builds them into build/linux-tests, prints their names
.PHONY: linux-tests
LINUX_TESTS_OUT := build/linux-tests
LINUX_TESTS_FLAGS := -std=gnu17 -O1 -g0 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-nonnull -Wno-clobbered -Wno-unused-function -I. -pthread
LINUX_TESTS_HEADERS := $(wildcard tests/linux/*.h)
linux_tests_also = $(patsubst tests/linux/%.c,$(LINUX_TESTS_OUT)/%.$(1),$(shell grep -l '^// also:.*\b$(1)\b' tests/linux/*.c))
LINUX_TESTS := $(patsubst tests/linux/%.c,$(LINUX_TESTS_OUT)/%,$(wildcard tests/linux/*.c)) $(call linux_tests_also,glibc) \
  $(call linux_tests_also,dynamic)

LINUX_TESTS_LINKED := $(patsubst tests/linux/%.c,$(LINUX_TESTS_OUT)/%,$(shell grep -l '^// links:' tests/linux/*.c))

$(LINUX_TESTS_LINKED): $(LINUX_TESTS_OUT)/%: tests/linux/%.c $(LINUX_TESTS_HEADERS) mk/linux_tests.mk
	@mkdir -p $(@D)
	gcc-12 -static $(LINUX_TESTS_FLAGS) $< $(shell sed -n 's,^// links: ,-l,p' tests/linux/$(@F).c) -o $@
$(LINUX_TESTS_OUT)/%: tests/linux/%.c $(LINUX_TESTS_HEADERS) mk/linux_tests.mk
	@mkdir -p $(@D)
	musl-gcc -static $(LINUX_TESTS_FLAGS) $< -o $@
$(LINUX_TESTS_OUT)/%.glibc: tests/linux/%.c $(LINUX_TESTS_HEADERS) mk/linux_tests.mk
	@mkdir -p $(@D)
	gcc-12 -static $(LINUX_TESTS_FLAGS) $< -o $@
$(LINUX_TESTS_OUT)/%.dynamic: tests/linux/%.c $(LINUX_TESTS_HEADERS) mk/linux_tests.mk
	@mkdir -p $(@D)
	gcc-12 $(LINUX_TESTS_FLAGS) $< -o $@
linux-tests: $(LINUX_TESTS)
	@for program in $(LINUX_TESTS); do echo "LINUX $$program"; done
