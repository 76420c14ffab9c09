cd /tmp; printf '#include <stdio.h>\n#include <pthread.h>\nint main(void) { puts("hi"); return 0; }\n' > h.c
gcc-12 -O2 -g -flto -pthread -o h h.c; ./h
gcc-12 -c h.c; ar rc l.a h.o; ranlib l.a; nm h.o; objdump -d h.o; strip h; readelf -a h; size h; gcc-12 -static -pipe -o s h.c
./s; gcc-12 -E h.c -o h.i
printf 'all: h\nh: h.c\n\tgcc-12 -o h h.c\n' > Makefile; make -j2 -B; make
