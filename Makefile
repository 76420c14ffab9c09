# Builds the kernel, the user programs, the boot archive and the host-side unit tests. `./kpio` calls this; so may you:
#   make                      release kernel and initrd with clang-19
#   make BUILD=debug          assertions, KASAN, UBSan, lock-order checker      BUILD=cov  debug + line coverage
#   make COMPILER=gcc-12      the same with gcc
#   make unit | fuzz-short    host tests (mk/unit.mk)
BUILD ?= release
COMPILER ?= clang-19
OUT := build/$(BUILD)-$(COMPILER)
PYTHON ?= /usr/bin/python3
MAKEFLAGS += --no-builtin-rules
comma := ,
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all kernel user initrd clean print-cflags print-user-cflags generated
all: kernel initrd

ifneq ($(filter-out release debug cov,$(BUILD)),)
$(error BUILD=$(BUILD) is unknown: release, debug or cov)
endif
CC := $(COMPILER)
CLANG := $(findstring clang,$(COMPILER))
LD := ld.lld-19
OBJCOPY := llvm-objcopy-19
NM := llvm-nm-19

# ---- flags ----
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wno-unused-parameter
COMMON := -std=gnu2x -ffreestanding -fno-strict-aliasing -fno-common -fno-omit-frame-pointer -g -I. -I$(OUT)/gen $(WARN)
ifneq ($(CLANG),)
COMMON += -Wno-c23-extensions
endif
KERNEL_CFLAGS := $(COMMON) -fPIE -fvisibility=hidden -mno-red-zone -mgeneral-regs-only -mno-80387 \
  -fstack-protector-strong -mstack-protector-guard=tls -fno-asynchronous-unwind-tables \
  -fcf-protection=none -D__KPIO_KERNEL__=1
# The canary is struct cpu's stack_canary.
KERNEL_CFLAGS += -mstack-protector-guard-reg=gs -mstack-protector-guard-offset=40
ifneq ($(CLANG),)
KERNEL_CFLAGS += -fsanitize=kcfi -fdirect-access-external-data
endif
USER_CFLAGS := $(COMMON) -fPIE -fvisibility=hidden -fno-stack-protector -D__KPIO_USER__=1
ifeq ($(BUILD),release)
# Functions that call nothing do without a frame: a backtrace misses the caller of one, hot paths are shorter.
OPT := -O2 -momit-leaf-frame-pointer
else
OPT := -O1 -DCONFIG_DEBUG=1 -DCONFIG_LOCKDEP=1 -DCONFIG_KASAN=1
include mk/sanitize.mk
endif
ifeq ($(BUILD),cov)
OPT += -DCONFIG_COV=1
COVERAGE_FLAGS := $(if $(CLANG),-fsanitize-coverage=inline-8bit-counters$(comma)pc-table)
endif
KERNEL_CFLAGS += $(OPT)
USER_CFLAGS += -O2

# ---- generated ----
GEN := $(OUT)/gen/abi/gen/.stamp
generated: $(GEN)
$(GEN): $(wildcard abi/*.py abi/*.def abi/*.list protocols/*.py protocols/*.def)
	@mkdir -p $(@D)
	$(PYTHON) abi/generate.py --out $(OUT)/gen
	@touch $@

# ---- kernel ----
LIB_SRC := $(wildcard lib/*.c)
KERNEL_SRC := $(wildcard kernel/*.c kernel/*/*.c kernel/*/*/*.c) $(LIB_SRC)
KERNEL_ASM := $(wildcard kernel/*/*.S kernel/*/*/*.S)
KERNEL_SRC := $(foreach f,$(KERNEL_SRC),$(if $(findstring /test/,$(f)),,$(f)))
KERNEL_OBJ := $(KERNEL_SRC:%.c=$(OUT)/kobj/%.o) $(KERNEL_ASM:%.S=$(OUT)/kobj/%.S.o)
KERNEL_OBJ += $(OUT)/kobj/syscall_table.o
kernel: $(OUT)/kernel.elf

# A system call without a handler shows up here, at the link, as undefined symbol sys_NAME (abi/not_yet.list).
$(OUT)/kobj/syscall_table.o: $(GEN) Makefile
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) $(SANITIZE) -MMD -MP -c $(OUT)/gen/abi/gen/syscall_table.c -o $@

$(OUT)/kobj/%.o: %.c $(GEN) Makefile
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) $(SANITIZE) -MMD -MP -c $< -o $@
$(OUT)/kobj/%.S.o: %.S $(GEN) Makefile
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize% -O%,$(KERNEL_CFLAGS)) -D__ASSEMBLER__=1 -MMD -MP -c $< -o $@

# Linked twice: the second time with the symbol table that panics print names from (kernel/core/symbols).
LINK := $(LD) -pie --no-dynamic-linker -z norelro -z noexecstack -z separate-code -z max-page-size=4096 --build-id=none \
  --no-undefined -T kernel/arch/x86_64/kernel.ld
$(OUT)/kernel.elf: $(KERNEL_OBJ) kernel/arch/x86_64/kernel.ld mk/symbols.py
	$(LINK) $(KERNEL_OBJ) -o $(OUT)/kernel.pass1
	$(NM) -n $(OUT)/kernel.pass1 | $(PYTHON) mk/symbols.py > $(OUT)/symbols.S
	$(CC) -c $(OUT)/symbols.S -o $(OUT)/symbols.o
	$(LINK) $(KERNEL_OBJ) $(OUT)/symbols.o -o $@

# ---- user programs and the boot archive ----
include mk/user.mk
-include mk/unit.mk
-include mk/wasmhost.mk
include mk/linux_tests.mk

clean:
	rm -rf build
print-cflags: $(GEN)
	@echo $(KERNEL_CFLAGS)
print-user-cflags: $(GEN)
	@echo $(USER_CFLAGS)
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
