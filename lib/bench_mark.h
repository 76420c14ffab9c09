// Marks by which a benchmark tells the QEMU plugin in tests/bench/plugin what it is doing.
//
// A mark is an eight-byte no-op, `nopl disp32(%rax,%rax,1)`, whose displacement carries a code. It
// does nothing on any processor, needs no privilege, touches no memory and costs one instruction,
// so that the code that is counted with the plugin is the code that runs without it. Marks stand
// outside the interval that a benchmark times:
//
//     bench_mark_begin(); t0 = rdtsc(); operation(); t1 = rdtsc(); bench_mark_end();
//     ...
//     bench_mark_report(index, operations);   then print {"name":...,"mark":index,...}
//
// The plugin counts on a CPU from its begin to its end; a report writes down the sums of all CPUs
// and starts again from nothing. The host joins both by `index`.
#pragma once
#include <stdint.h>

#define BENCH_MARK_MAGIC 0x4b504d00u // "KPM" in the three upper bytes
#define BENCH_MARK_BEGIN 0x01
#define BENCH_MARK_END 0x02
#define BENCH_MARK_REPORT 0x03
#define BENCH_MARK_DIGIT 0x10 // 0x10 to 0x1f: the next four bits of a number, highest first

#if defined(__x86_64__)
#define BENCH_MARK(code) \
    __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n\t.long %c0" : : "i"(BENCH_MARK_MAGIC | (code)) : "memory")
#else
#define BENCH_MARK(code) ((void)0)
#endif

// Counting starts on this CPU. Not nested.
static inline void bench_mark_begin(void) { BENCH_MARK(BENCH_MARK_BEGIN); }

// Counting ends on this CPU.
static inline void bench_mark_end(void) { BENCH_MARK(BENCH_MARK_END); }

// The code is part of the instruction, so that a number must be spelled in constant digits.
static inline void bench_mark_digit(unsigned digit)
{
    switch (digit & 15) {
    case 0: BENCH_MARK(BENCH_MARK_DIGIT | 0); break;
    case 1: BENCH_MARK(BENCH_MARK_DIGIT | 1); break;
    case 2: BENCH_MARK(BENCH_MARK_DIGIT | 2); break;
    case 3: BENCH_MARK(BENCH_MARK_DIGIT | 3); break;
    case 4: BENCH_MARK(BENCH_MARK_DIGIT | 4); break;
    case 5: BENCH_MARK(BENCH_MARK_DIGIT | 5); break;
    case 6: BENCH_MARK(BENCH_MARK_DIGIT | 6); break;
    case 7: BENCH_MARK(BENCH_MARK_DIGIT | 7); break;
    case 8: BENCH_MARK(BENCH_MARK_DIGIT | 8); break;
    case 9: BENCH_MARK(BENCH_MARK_DIGIT | 9); break;
    case 10: BENCH_MARK(BENCH_MARK_DIGIT | 10); break;
    case 11: BENCH_MARK(BENCH_MARK_DIGIT | 11); break;
    case 12: BENCH_MARK(BENCH_MARK_DIGIT | 12); break;
    case 13: BENCH_MARK(BENCH_MARK_DIGIT | 13); break;
    case 14: BENCH_MARK(BENCH_MARK_DIGIT | 14); break;
    default: BENCH_MARK(BENCH_MARK_DIGIT | 15); break;
    }
}

// Ends one benchmark: `operations` were done between all begins and ends since the last report.
// To be called once, on one CPU, when no window is open. `index` is what the JSON line says as
// "mark".
static inline void bench_mark_report(uint32_t index, uint32_t operations)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        bench_mark_digit(index >> shift);
    for (int shift = 28; shift >= 0; shift -= 4)
        bench_mark_digit(operations >> shift);
    BENCH_MARK(BENCH_MARK_REPORT);
}
