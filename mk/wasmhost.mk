# The host of WebAssembly programs and their compiler (user/wasmhost): Linux programs, linked statically with glibc and the engine
# that lies in ENGINE (host/kpio/engine.py makes it): include/, libkpio_wasmtime.a.
#   make wasmhost ENGINE=FOLDER KIND=full|runtime    build/wasmhost-KIND/wasmhost, and with KIND=full wasmc; in boot/ as guests get them.
#                                                    KIND=runtime needs the wasmc of the other
#   make wasmbench ENGINE=FOLDER KIND=full           these and what measures them (tests/bench/wasm)
#   make wasmrandom ENGINE=FOLDER KIND=full          what runs random modules (tests/wasm/random)
.PHONY: wasmhost
ENGINE ?=
KIND ?= full
WASMHOST_OUT := build/wasmhost-$(KIND)
WASMHOST_FLAGS := -std=gnu2x -O2 -g -fno-common -ffunction-sections -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  -Wvla -Wno-unused-parameter -I. -I$(WASMHOST_OUT)/gen -isystem $(ENGINE)/include
WASMHOST_SRC := $(filter-out user/wasmhost/wasmc.c,$(wildcard user/wasmhost/*.c))
WASMC_SRC := $(patsubst %,user/wasmhost/%.c,wasmc engine file heap memory report text)
WASMHOST_LINK = clang-19 -static -fuse-ld=lld-19 -Wl,--gc-sections $(filter %.o,$^) $(ENGINE)/libkpio_wasmtime.a -lpthread -ldl -lm -o $@

# Which engine it is: programs are linked anew with another one, even if that was made before.
$(WASMHOST_OUT)/engine: always
	@mkdir -p $(@D)
	@echo $(ENGINE) | cmp -s - $@ || echo $(ENGINE) > $@
.PHONY: always

$(WASMHOST_OUT)/gen/abi/gen/.stamp: $(wildcard abi/*.def abi/*.py protocols/*)
	@mkdir -p $(@D)
	$(PYTHON) abi/generate.py --out $(WASMHOST_OUT)/gen
	@touch $@
$(WASMHOST_OUT)/%.o: user/wasmhost/%.c mk/wasmhost.mk $(WASMHOST_OUT)/gen/abi/gen/.stamp $(WASMHOST_OUT)/engine
	@mkdir -p $(@D)
	clang-19 $(WASMHOST_FLAGS) -MMD -MP -c $< -o $@

# The host is linked twice. The first runs two programs here, which tells what runs in it as programs start; that lies side by side in the
# second. What is scattered over 15 MB costs a page fault every 1,200 bytes.
WASMHOST_OBJ := $(WASMHOST_SRC:user/wasmhost/%.c=$(WASMHOST_OUT)/%.o)
WASMHOST_SAMPLES := module component
$(WASMHOST_OUT)/unordered: $(WASMHOST_OBJ) $(WASMHOST_OUT)/engine
	$(WASMHOST_LINK)
$(WASMHOST_OUT)/order: $(WASMHOST_OUT)/unordered mk/order.py $(WASMHOST_SAMPLES:%=user/wasmhost/sample/%.wat) | build/wasmhost-full/wasmc
	for name in $(WASMHOST_SAMPLES); do build/wasmhost-full/wasmc user/wasmhost/sample/$$name.wat $(@D)/$$name.aot || exit 1; done
	$(PYTHON) mk/order.py $< $(foreach name,$(WASMHOST_SAMPLES),-- --mode aot $(@D)/$(name).aot) > $@
$(WASMHOST_OUT)/wasmhost: $(WASMHOST_OBJ) $(WASMHOST_OUT)/order
	$(WASMHOST_LINK) -Wl,--symbol-ordering-file=$(WASMHOST_OUT)/order -Wl,--no-warn-symbol-ordering
$(WASMHOST_OUT)/wasmc: $(WASMC_SRC:user/wasmhost/%.c=$(WASMHOST_OUT)/%.o) $(WASMHOST_OUT)/engine
	$(WASMHOST_LINK)
$(WASMHOST_OUT)/boot/%: $(WASMHOST_OUT)/%
	@mkdir -p $(@D)
	llvm-strip-19 $< -o $@
WASMHOST_PROGRAMS := wasmhost $(if $(filter full,$(KIND)),wasmc)
wasmhost: $(WASMHOST_PROGRAMS:%=$(WASMHOST_OUT)/boot/%)
$(WASMHOST_OUT)/instantiate.o: tests/bench/wasm/instantiate.c mk/wasmhost.mk $(WASMHOST_OUT)/gen/abi/gen/.stamp $(WASMHOST_OUT)/engine
	@mkdir -p $(@D)
	clang-19 $(WASMHOST_FLAGS) -MMD -MP -c $< -o $@
$(WASMHOST_OUT)/instantiate: $(patsubst %,$(WASMHOST_OUT)/%.o,instantiate engine heap memory) $(WASMHOST_OUT)/engine
	$(WASMHOST_LINK)
$(WASMHOST_OUT)/random.o: tests/wasm/random/random.c mk/wasmhost.mk $(WASMHOST_OUT)/gen/abi/gen/.stamp $(WASMHOST_OUT)/engine
	@mkdir -p $(@D)
	clang-19 $(WASMHOST_FLAGS) -MMD -MP -c $< -o $@
$(WASMHOST_OUT)/random: $(patsubst %,$(WASMHOST_OUT)/%.o,random engine file heap memory report) $(WASMHOST_OUT)/engine
	$(WASMHOST_LINK)
.PHONY: wasmrandom
wasmrandom: $(WASMHOST_OUT)/boot/random
.PHONY: wasmbench
wasmbench: $(WASMHOST_OUT)/instantiate wasmhost
-include $(wildcard $(WASMHOST_OUT)/*.d)
