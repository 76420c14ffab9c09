# The host of WebAssembly programs and their compiler (user/wasmhost): Linux programs, linked statically with glibc and the engine
# that lies in ENGINE (host/kpio/engine.py makes it): include/, libkpio_wasmtime.a.
#   make wasmhost ENGINE=FOLDER KIND=full|runtime    build/wasmhost-KIND/wasmhost, and with KIND=full wasmc; in boot/ as guests get them
#   make wasmbench ENGINE=FOLDER KIND=full           these and what measures them (tests/bench/wasm)
#   make wasmrandom ENGINE=FOLDER KIND=full          what runs random modules (tests/wasm/random)
.PHONY: wasmhost
ENGINE ?=
KIND ?= full
WASMHOST_OUT := build/wasmhost-$(KIND)
WASMHOST_FLAGS := -std=gnu2x -O2 -g -fno-common -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
  -Wno-unused-parameter -I. -I$(WASMHOST_OUT)/gen -isystem $(ENGINE)/include
WASMHOST_SRC := $(filter-out user/wasmhost/wasmc.c,$(wildcard user/wasmhost/*.c))
WASMC_SRC := $(patsubst %,user/wasmhost/%.c,wasmc engine file heap memory report text)
WASMHOST_LINK = clang-19 -static -fuse-ld=lld-19 -Wl,--gc-sections $^ $(ENGINE)/libkpio_wasmtime.a -lpthread -ldl -lm -o $@

$(WASMHOST_OUT)/gen/abi/gen/.stamp: $(wildcard abi/*.def abi/*.py protocols/*)
	@mkdir -p $(@D)
	$(PYTHON) abi/generate.py --out $(WASMHOST_OUT)/gen
	@touch $@
$(WASMHOST_OUT)/%.o: user/wasmhost/%.c mk/wasmhost.mk $(WASMHOST_OUT)/gen/abi/gen/.stamp
	@mkdir -p $(@D)
	clang-19 $(WASMHOST_FLAGS) -MMD -MP -c $< -o $@
$(WASMHOST_OUT)/wasmhost: $(WASMHOST_SRC:user/wasmhost/%.c=$(WASMHOST_OUT)/%.o)
	$(WASMHOST_LINK)
$(WASMHOST_OUT)/wasmc: $(WASMC_SRC:user/wasmhost/%.c=$(WASMHOST_OUT)/%.o)
	$(WASMHOST_LINK)
$(WASMHOST_OUT)/boot/%: $(WASMHOST_OUT)/%
	@mkdir -p $(@D)
	llvm-strip-19 $< -o $@
WASMHOST_PROGRAMS := wasmhost $(if $(filter full,$(KIND)),wasmc)
wasmhost: $(WASMHOST_PROGRAMS:%=$(WASMHOST_OUT)/boot/%)
$(WASMHOST_OUT)/instantiate.o: tests/bench/wasm/instantiate.c mk/wasmhost.mk $(WASMHOST_OUT)/gen/abi/gen/.stamp
	@mkdir -p $(@D)
	clang-19 $(WASMHOST_FLAGS) -MMD -MP -c $< -o $@
$(WASMHOST_OUT)/instantiate: $(patsubst %,$(WASMHOST_OUT)/%.o,instantiate engine heap memory)
	$(WASMHOST_LINK)
$(WASMHOST_OUT)/random.o: tests/wasm/random/random.c mk/wasmhost.mk $(WASMHOST_OUT)/gen/abi/gen/.stamp
	@mkdir -p $(@D)
	clang-19 $(WASMHOST_FLAGS) -MMD -MP -c $< -o $@
$(WASMHOST_OUT)/random: $(patsubst %,$(WASMHOST_OUT)/%.o,random engine file heap memory report)
	$(WASMHOST_LINK)
.PHONY: wasmrandom
wasmrandom: $(WASMHOST_OUT)/boot/random
.PHONY: wasmbench
wasmbench: $(WASMHOST_OUT)/instantiate wasmhost
-include $(wildcard $(WASMHOST_OUT)/*.d)
