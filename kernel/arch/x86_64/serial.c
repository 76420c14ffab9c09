// The 16550 UART at COM1: the boot console.
#include "kernel/arch/x86_64/serial.h"

#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/core/cpu.h"
#include "kernel/core/log.h"

#define COM1 0x3f8
enum { REG_DATA = 0, REG_IER = 1, REG_FIFO = 2, REG_LCR = 3, REG_MCR = 4, REG_LSR = 5, REG_SCRATCH = 7 };
enum { LSR_DATA_READY = 1, LSR_THR_EMPTY = 0x20 };
#define FIFO_SIZE 16
#define SPIN_LIMIT 100000  // a UART that never drains must not hang the kernel

static bool present;

// Received bytes until somebody reads them. Producer: the interrupt handler; consumer: arch_console_read, both on one lock-free
// ring with one writer per index.
static uint8_t input[256];
static uint32_t input_head, input_tail;
static uint32_t input_held;  // atomic: the ring was full; what comes stays in the UART, whose interrupt is off
static void (*input_notify)(void);

bool serial_init(void) {
    port_out8(COM1 + REG_SCRATCH, 0x5a);
    if (port_in8(COM1 + REG_SCRATCH) != 0x5a) return false;
    port_out8(COM1 + REG_IER, 0);
    port_out8(COM1 + REG_LCR, 0x80);  // divisor latch: 115200 baud
    port_out8(COM1 + REG_DATA, 1);
    port_out8(COM1 + REG_IER, 0);
    port_out8(COM1 + REG_LCR, 3);     // 8n1
    // What was typed before now lies in the UART; switching the FIFO on would drop it.
    for (unsigned i = 0; i < FIFO_SIZE && port_in8(COM1 + REG_LSR) & LSR_DATA_READY; i++)
        input[input_head++] = port_in8(COM1 + REG_DATA);
    port_out8(COM1 + REG_FIFO, 0x07);
    port_out8(COM1 + REG_MCR, 0x0b);  // DTR, RTS, OUT2: interrupts reach the controller
    present = true;
    return true;
}

static void wait_empty(void) {
    for (unsigned i = 0; i < SPIN_LIMIT && !(port_in8(COM1 + REG_LSR) & LSR_THR_EMPTY); i++) cpu_pause();
}

static void put(uint8_t c, unsigned *room) {
    if (*room == 0) {
        wait_empty();
        *room = FIFO_SIZE;
    }
    port_out8(COM1 + REG_DATA, c);
    (*room)--;
}

// What is written at once stays together. A panic may come from the middle of a write: nobody waits for ever.
#define PATIENCE (1u << 20)
static bool writing;  // atomic

static void begin(void) {
    for (unsigned tries = 0; __atomic_exchange_n(&writing, true, __ATOMIC_ACQUIRE) && tries < PATIENCE; tries++) cpu_relax();
}
static void end(void) { __atomic_store_n(&writing, false, __ATOMIC_RELEASE); }

void arch_console_write(const char *text, size_t len) {
    unsigned room = 0;
    if (!present) return;
    begin();
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') put('\r', &room);
        put((uint8_t)text[i], &room);
    }
    end();
}

void arch_console_emit(const char *bytes, size_t len) {
    unsigned room = 0;
    if (!present) return;
    begin();
    for (size_t i = 0; i < len; i++) put((uint8_t)bytes[i], &room);
    end();
}

static bool input_is_full(void) { return input_head - __atomic_load_n(&input_tail, __ATOMIC_SEQ_CST) == sizeof(input); }

// Whoever finds the mark and room switches the interrupt on again, which tells at once of what waits in the UART.
static void let_in(void) {
    if (__atomic_load_n(&input_held, __ATOMIC_SEQ_CST) && __atomic_exchange_n(&input_held, 0, __ATOMIC_SEQ_CST))
        port_out8(COM1 + REG_IER, 1);
}

static void hold(void) {
    port_out8(COM1 + REG_IER, 0);
    __atomic_store_n(&input_held, 1, __ATOMIC_SEQ_CST);
    if (!input_is_full()) let_in();  // the reader may have come before it could see the mark
}

void serial_interrupt(void *arg) {
    (void)arg;
    bool any = false;
    for (unsigned i = 0; i < 256 && !input_is_full() && port_in8(COM1 + REG_LSR) & LSR_DATA_READY; i++) {
        input[input_head % sizeof(input)] = port_in8(COM1 + REG_DATA);
        __atomic_store_n(&input_head, input_head + 1, __ATOMIC_RELEASE);
        any = true;
    }
    if (input_is_full()) hold();
    if (any && input_notify != NULL) input_notify();
}

size_t arch_console_read(char *buf, size_t size) {
    size_t count = 0;
    uint32_t tail = input_tail;
    while (count < size && tail != __atomic_load_n(&input_head, __ATOMIC_ACQUIRE))
        buf[count++] = (char)input[tail++ % sizeof(input)];
    __atomic_store_n(&input_tail, tail, __ATOMIC_SEQ_CST);
    if (count > 0) let_in();
    return count;
}

bool arch_console_has_input(void) {
    return __atomic_load_n(&input_head, __ATOMIC_ACQUIRE) != __atomic_load_n(&input_tail, __ATOMIC_ACQUIRE);
}

void arch_console_set_input(void (*notify)(void)) { __atomic_store_n(&input_notify, notify, __ATOMIC_RELEASE); }

void serial_enable_input(void) {
    if (present) port_out8(COM1 + REG_IER, 1);
}
