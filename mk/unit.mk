# Host tests: algorithm code built for this machine under ASan and UBSan, the same sources that boot.
#   <module>/test/<name>_test.c   a program of TEST()s (tests/unit/unit.h)
#   <module>/test/<name>_fuzz.c   a libFuzzer target; corpus in <module>/test/corpus/<name>/ if there is one
# A file says what it is linked with in lines `// links: lib/cpio.c lib/string.c`. tests/unit/*.c is linked to all.
#   make unit          builds and runs the tests       make unit-build   builds them, prints their names
#   make fuzz-short    each target for a fixed number of runs, the same ones every time
#   make fuzz          each target for FUZZ_SECONDS / targets, corpora in FUZZ_CORPUS
.PHONY: unit unit-build fuzz fuzz-short fuzz-build
UNIT_OUT := build/unit-$(COMPILER)
UNIT_LIMIT ?= 300
FUZZ_RUNS ?= 20000
FUZZ_SECONDS ?= 600
FUZZ_CORPUS ?= build/fuzz-corpus
UNIT_CFLAGS := -std=gnu2x -g -O1 -fno-strict-aliasing -fno-omit-frame-pointer -fno-builtin -I. -I$(OUT)/gen -D_GNU_SOURCE \
  -D__KPIO_KERNEL__=1 -D__KPIO_HOST__=1 -DCONFIG_DEBUG=1 -Wall -Wextra -Werror -Wno-unused-parameter \
  -fsanitize=address,undefined -fno-sanitize-recover=all
ifneq ($(CLANG),)
UNIT_CFLAGS += -Wno-c23-extensions
endif

find_host_tests = $(basename $(wildcard $(foreach d,lib abi kernel/* kernel/*/* user/* drivers drivers/* drivers/*/* protocols,$(d)/test/*_$(1).c)))
UNIT_NAMES := $(sort $(call find_host_tests,test))
FUZZ_NAMES := $(sort $(call find_host_tests,fuzz))
UNIT_PROGRAMS := $(UNIT_NAMES:%=$(UNIT_OUT)/%)
FUZZ_PROGRAMS := $(FUZZ_NAMES:%=$(UNIT_OUT)/%)
UNIT_COMMON := $(patsubst %.c,$(UNIT_OUT)/obj/%.o,$(sort $(wildcard tests/unit/*.c)))
FUZZ_COMMON := $(filter-out %/unit_main.o,$(UNIT_COMMON))
linked = $(patsubst %.c,$(UNIT_OUT)/obj/%.o,$(shell sed -n 's|^// links: *||p' $(1).c))

# Fuzz targets have objects of their own: libFuzzer's instrumentation would slow the tests and hides nothing from it.
$(UNIT_OUT)/obj/%.o: %.c $(GEN) mk/unit.mk
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MMD -MP -c $< -o $@
$(UNIT_OUT)/fuzzobj/%.o: %.c $(GEN) mk/unit.mk
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

.SECONDEXPANSION:
$(UNIT_PROGRAMS): $(UNIT_OUT)/%: $(UNIT_OUT)/obj/%.o $(UNIT_COMMON) $$(call linked,$$*)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) $^ -pthread -o $@
$(FUZZ_PROGRAMS): $(UNIT_OUT)/%: $(UNIT_OUT)/fuzzobj/%.o $(FUZZ_COMMON:$(UNIT_OUT)/obj/%=$(UNIT_OUT)/fuzzobj/%) \
  $$(patsubst $(UNIT_OUT)/obj/$$(percent),$(UNIT_OUT)/fuzzobj/$$(percent),$$(call linked,$$*))
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -fsanitize=fuzzer $^ -pthread -o $@
percent := %

unit-build: $(UNIT_PROGRAMS)
	@for program in $(UNIT_PROGRAMS); do echo "UNIT $$program"; done
fuzz-build: $(FUZZ_PROGRAMS)
	@for program in $(FUZZ_PROGRAMS); do echo "FUZZ $$program"; done
unit: $(UNIT_PROGRAMS)
	@failed=0; for program in $(UNIT_PROGRAMS); do timeout $(UNIT_LIMIT) $$program || { echo "failed: $$program"; failed=1; }; done; \
	exit $$failed
fuzz-short: $(FUZZ_PROGRAMS)
	@set -e; for name in $(FUZZ_NAMES); do corpus=$$(dirname $$name)/corpus/$$(basename $$name _fuzz); \
	if [ -d $$corpus ]; then seeds=$$corpus; else seeds=; fi; scratch=$$(mktemp -d); \
	timeout $(UNIT_LIMIT) $(UNIT_OUT)/$$name -runs=$(FUZZ_RUNS) -seed=1 -artifact_prefix=$$scratch/ $$scratch $$seeds 2>$$scratch.log \
	  || { cat $$scratch.log; echo "failed: $$name; input in $$scratch"; exit 1; }; \
	tail -n 1 $$scratch.log | sed "s|^|$$name: |"; rm -rf $$scratch $$scratch.log; done
fuzz: $(FUZZ_PROGRAMS)
	@set -e; seconds=$$(( $(FUZZ_SECONDS) / $(words $(FUZZ_NAMES) 1) + 1 )); for name in $(FUZZ_NAMES); do \
	corpus=$$(dirname $$name)/corpus/$$(basename $$name _fuzz); if [ -d $$corpus ]; then seeds=$$corpus; else seeds=; fi; \
	kept=$(FUZZ_CORPUS)/$$name; mkdir -p $$kept; \
	$(UNIT_OUT)/$$name -max_total_time=$$seconds -print_final_stats=1 -artifact_prefix=$$kept/ $$kept $$seeds; done

-include $(shell find $(UNIT_OUT) -name '*.d' 2>/dev/null)
