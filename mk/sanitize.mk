# Debug builds: KASAN (a call before every access; kernel/mm/kasan.c finds the shadow, so the offset here is never used) and
# UBSan with the kernel's own run-time (kernel/core/ubsan.c). A folder or file is left out by name here.
KASAN_SHADOW_OFFSET := 0xdffffc0000000000
ifneq ($(CLANG),)
KASAN_FLAGS := -fsanitize=kernel-address -mllvm -asan-mapping-offset=$(KASAN_SHADOW_OFFSET) \
  -mllvm -asan-instrumentation-with-call-threshold=0 -mllvm -asan-stack=0 -mllvm -asan-globals=0
else
KASAN_FLAGS := -fsanitize=kernel-address -fasan-shadow-offset=$(KASAN_SHADOW_OFFSET) \
  --param asan-instrumentation-with-call-threshold=0 --param asan-stack=0 --param asan-globals=0
endif
UBSAN_FLAGS := -fsanitize=bounds,shift,signed-integer-overflow,integer-divide-by-zero,null,alignment,unreachable,bool,enum,vla-bound
NO_SANITIZE := kernel/arch/x86_64/boot% kernel/arch/x86_64/early% kernel/mm/kasan% kernel/core/ubsan%
# SLUB works on free objects, which nobody else may touch; the check of freed pages reads only pages that it has just opened;
# the lock-order checker touches but its tables and the lock, which whoever unlocks it is checked for.
NO_KASAN := kernel/mm/slub% kernel/mm/page_debug% kernel/core/lockdep%
SANITIZE = $(if $(filter $(NO_SANITIZE),$<),,$(if $(filter $(NO_KASAN),$<),,$(KASAN_FLAGS)) $(UBSAN_FLAGS) $(COVERAGE_FLAGS))
# What runs before every access, or for every byte, is worth more than -O1.
$(OUT)/kobj/kernel/mm/kasan%.o $(OUT)/kobj/kernel/mm/page_debug.o $(OUT)/kobj/kernel/mm/slub_debug.o: KERNEL_CFLAGS += -O2 -momit-leaf-frame-pointer
