# liblinux (user/liblinux): one position-independent image, mapped into each process that runs a Linux program. It keeps its
# hands off the program's vector registers, and has no variables: a link with .data or .bss in it fails.
LIBLINUX_GEN := $(OUT)/gen/user/liblinux/gen
LIBLINUX_OBJ := $(patsubst %.c,$(OUT)/lobj/%.o,$(wildcard user/liblinux/*.c) user/libkpio/linux_launch.c lib/string.c lib/fmt.c lib/elf.c lib/text.c) \
  $(patsubst %.S,$(OUT)/lobj/%.S.o,$(wildcard user/liblinux/*.S)) $(OUT)/lobj/calls.o

$(LIBLINUX_GEN)/calls.S: user/liblinux/generate.py user/liblinux/calls.def $(wildcard user/liblinux/*.c)
	$(PYTHON) user/liblinux/generate.py --out $(LIBLINUX_GEN)
$(OUT)/lobj/calls.o: $(LIBLINUX_GEN)/calls.S
	@mkdir -p $(@D)
	$(CC) $(filter-out -O%,$(USER_CFLAGS)) -D__ASSEMBLER__=1 -c $< -o $@
$(OUT)/lobj/%.o: %.c $(GEN) $(LIBLINUX_GEN)/calls.S Makefile mk/liblinux.mk
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -mgeneral-regs-only -mno-80387 -ffunction-sections -MMD -MP -c $< -o $@
# The vDSO is an image of its own inside this one.
$(OUT)/lobj/vdso.o: user/liblinux/vdso/vdso.c $(GEN) Makefile mk/liblinux.mk
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIE -O%,$(USER_CFLAGS)) -O2 -fPIC -mgeneral-regs-only -fno-sanitize=all -MMD -MP -c $< -o $@
$(OUT)/lobj/vdso.so: $(OUT)/lobj/vdso.o user/liblinux/vdso/versions.ld
	$(LD) -shared -soname linux-vdso.so.1 --version-script user/liblinux/vdso/versions.ld --hash-style=both -z norelro -z noexecstack \
	  -z max-page-size=4096 -z text -z rodynamic --no-rosegment --build-id=none --no-undefined --strip-all $< -o $@
$(OUT)/lobj/user/liblinux/vdso_image.S.o: $(OUT)/lobj/vdso.so
$(OUT)/lobj/user/liblinux/vdso_image.S.o: ASSEMBLE += -DVDSO_FILE='"$(OUT)/lobj/vdso.so"'
$(OUT)/lobj/%.S.o: %.S $(GEN) Makefile mk/liblinux.mk
	@mkdir -p $(@D)
	$(CC) $(filter-out -O%,$(USER_CFLAGS)) -D__ASSEMBLER__=1 $(ASSEMBLE) -MMD -MP -c $< -o $@
# What most programs need comes first, up to quick_end: it is mapped when a program starts, the rest when it is called.
LIBLINUX_QUICK := at call_advise call_clone call_exec call_futex call_ids call_io call_limits call_memory call_open call_pipe call_poll call_prctl \
  call_rseq call_seek call_signal call_stat call_thread call_time children exception exec exec_find fd fd_ops fd_pipe fork heap local memory \
  node posix program ready robust signal signal_deliver signal_frame stack start strangers text thread timer vdso wait
LIBLINUX_FIRST := $(OUT)/lobj/calls.o $(patsubst %,$(OUT)/lobj/user/liblinux/%.o,entry.S $(LIBLINUX_QUICK)) \
  $(patsubst %,$(OUT)/lobj/%.o,user/libkpio/linux_launch lib/elf lib/string user/liblinux/quick_end.S)
$(OUT)/sym/lib/liblinux.so: $(LIBLINUX_FIRST) $(filter-out $(LIBLINUX_FIRST),$(LIBLINUX_OBJ))
	@mkdir -p $(@D)
	$(filter-out -e _start,$(USER_LINK)) -e lx_begin $^ -o $@
	@! llvm-readelf-19 -S --wide $@ | grep -E ' \.(data|bss) ' || { rm -f $@; echo "liblinux has variables: see .data and .bss above" >&2; false; }
$(OUT)/root/lib/liblinux.so: $(OUT)/sym/lib/liblinux.so
	@mkdir -p $(@D)
	llvm-strip-19 --strip-all $< -o $@
PROGRAMS += lib/liblinux.so

# Runs a Linux program where a guest suite would run (tests/linux).
$(eval $(call program,test/linux,tests/linux/runner/run.c tests/linux/runner/node.c tests/guest/kt/balance.c,))
