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

WASMHOST_OBJ := $(WASMHOST_SRC:user/wasmhost/%.c=$(WASMHOST_OUT)/%.o)
$(WASMHOST_OUT)/wasmhost: $(WASMHOST_OBJ) $(WASMHOST_OUT)/engine
	$(WASMHOST_LINK)
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
# The host again, with its steps measured.
WASMHOST_STEPS := main engine_make wasmtime_func_call wasmtime_component_func_call wasmtime_module_deserialize_file \
  wasmtime_component_deserialize_file kpio_wasmtime_linker_define_wasi kpio_wasmtime_component_linker_define_wasi \
  wasmtime_linker_instantiate wasmtime_component_linker_instantiate
$(WASMHOST_OUT)/steps.o: tests/bench/wasm/steps.c mk/wasmhost.mk $(WASMHOST_OUT)/gen/abi/gen/.stamp $(WASMHOST_OUT)/engine
	@mkdir -p $(@D)
	clang-19 $(WASMHOST_FLAGS) -MMD -MP -c $< -o $@
$(WASMHOST_OUT)/steps: $(WASMHOST_OBJ) $(WASMHOST_OUT)/steps.o $(WASMHOST_OUT)/engine
	$(WASMHOST_LINK) $(WASMHOST_STEPS:%=-Wl,--wrap=%)
$(WASMHOST_OUT)/random.o: tests/wasm/random/random.c mk/wasmhost.mk $(WASMHOST_OUT)/gen/abi/gen/.stamp $(WASMHOST_OUT)/engine
	@mkdir -p $(@D)
	clang-19 $(WASMHOST_FLAGS) -MMD -MP -c $< -o $@
$(WASMHOST_OUT)/random: $(patsubst %,$(WASMHOST_OUT)/%.o,random engine file heap memory report) $(WASMHOST_OUT)/engine
	$(WASMHOST_LINK)
.PHONY: wasmrandom
wasmrandom: $(WASMHOST_OUT)/boot/random
.PHONY: wasmbench
wasmbench: $(WASMHOST_OUT)/instantiate $(WASMHOST_OUT)/steps wasmhost
-include $(wildcard $(WASMHOST_OUT)/*.d)
