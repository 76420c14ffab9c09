# User programs are static PIE ELFs of libkpio. A program is
#   user/<name>/*.c               -> /bin/<name> (init: /sbin/init)
#   drivers/<class>/<name>/*.c    -> /drv/<name>
#   tests/guest/<suite>.c         -> /test/<suite>, with tests/guest/<suite>/*.c and the test framework tests/guest/kt
#   tests/bench/guest/<suite>.c   -> /bench/<suite>, with tests/bench/guest/lib
# and goes into the boot archive with the manifests user/init/manifests/* as /etc/init/*.
.PHONY: programs
ULIB_SRC := $(wildcard user/libkpio/*.c) $(wildcard lib/*.c)
ULIB_OBJ := $(ULIB_SRC:%.c=$(OUT)/uobj/%.o) $(OUT)/uobj/user/libkpio/crt0.S.o
KT_OBJ := $(patsubst %.c,$(OUT)/uobj/%.o,$(wildcard tests/guest/kt/*.c)) $(OUT)/uobj/tests/guest/kt/jump.S.o
BENCH_OBJ := $(patsubst %.c,$(OUT)/uobj/%.o,$(wildcard tests/bench/guest/lib/*.c) tests/guest/kt/driver.c) $(OUT)/uobj/tests/bench/guest/lib/fault_entry.S.o

# lld puts read-only data with the code (one mapping), pointers that need relocation with the data.
USER_LINK := $(LD) -pie --no-dynamic-linker -z norelro -z noexecstack -z separate-code -z max-page-size=4096 -z text \
  -z rodynamic --no-rosegment --gc-sections --build-id=none --no-undefined -e _start

$(OUT)/uobj/%.o: %.c $(GEN) Makefile mk/user.mk
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -ffunction-sections -fdata-sections -MMD -MP -c $< -o $@
$(OUT)/uobj/%.S.o: %.S $(GEN) Makefile mk/user.mk
	@mkdir -p $(@D)
	$(CC) $(filter-out -O%,$(USER_CFLAGS)) -D__ASSEMBLER__=1 -MMD -MP -c $< -o $@
$(OUT)/libkpio.a: $(ULIB_OBJ)
	@rm -f $@
	llvm-ar-19 rcs $@ $^

# program NAME-IN-ARCHIVE,SOURCES,MORE-OBJECTS. With symbols in sym/, as it is booted in root/.
define program
$(OUT)/sym/$(1): $(patsubst %.c,$(OUT)/uobj/%.o,$(2)) $(3) $(OUT)/libkpio.a
	@mkdir -p $$(@D)
	$(USER_LINK) --start-group $$^ --end-group -o $$@
$(OUT)/root/$(1): $(OUT)/sym/$(1)
	@mkdir -p $$(@D)
	llvm-strip-19 --strip-all $$< -o $$@
PROGRAMS += $(1)
endef
PROGRAMS :=
USER_NAMES := $(filter-out libkpio liblinux wasmhost,$(notdir $(patsubst %/,%,$(sort $(dir $(wildcard user/*/*.c))))))
# appd's digests: a packaged library, of which the linker takes what is used.
appd_MORE := /usr/lib/x86_64-linux-gnu/libbearssl.a
$(foreach n,$(USER_NAMES),$(eval $(call program,$(if $(filter init,$(n)),sbin/init,bin/$(n)),$(filter-out %_test.c,$(wildcard user/$(n)/*.c)),$($(n)_MORE))))
DRIVER_FOLDERS := $(sort $(patsubst %/,%,$(dir $(wildcard drivers/*/*/*.c))))
$(foreach d,$(DRIVER_FOLDERS),$(eval $(call program,drv/$(notdir $(d)),$(wildcard $(d)/*.c),$(patsubst %.c,$(OUT)/uobj/%.o,$(wildcard $(dir $(d))*.c drivers/*.c)))))
SUITES := $(patsubst tests/guest/%.c,%,$(wildcard tests/guest/*.c))
$(foreach s,$(SUITES),$(eval $(call program,test/$(s),tests/guest/$(s).c $(wildcard tests/guest/$(s)/*.c),$(KT_OBJ))))
$(foreach s,$(patsubst tests/bench/guest/%.c,%,$(wildcard tests/bench/guest/*.c)),$(eval $(call program,bench/$(s),tests/bench/guest/$(s).c,$(BENCH_OBJ))))

include mk/liblinux.mk
MANIFESTS := $(wildcard user/init/manifests/*)
programs: $(PROGRAMS:%=$(OUT)/root/%)
initrd: $(OUT)/initrd.cpio
$(OUT)/initrd.cpio: $(PROGRAMS:%=$(OUT)/root/%) $(MANIFESTS) mk/initrd.py
	$(PYTHON) mk/initrd.py $@ $(foreach p,$(PROGRAMS),$(p)=$(OUT)/root/$(p)) \
	  $(foreach m,$(MANIFESTS),etc/init/$(notdir $(m))=$(m))
