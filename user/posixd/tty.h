// A terminal: its settings, what was typed and not read yet, and what was written and not fetched by the master of a pseudo-terminal,
// or not emitted to the console. Knows nothing of who reads.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { CC_INTR, CC_QUIT, CC_ERASE, CC_KILL, CC_EOF, CC_TIME, CC_MIN, CC_SWTC, CC_START, CC_STOP, CC_SUSP, CC_EOL, CC_REPRINT, CC_DISCARD,
       CC_WERASE, CC_LNEXT, CC_EOL2, CC_COUNT = 19 };
struct termios2 {                // Linux's; struct termios is this up to the speeds
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line, cc[CC_COUNT];
    uint32_t ispeed, ospeed;
};
#define TERMIOS_SIZE 36u
_Static_assert(sizeof(struct termios2) == 44, "ABI");
enum {
    I_ISTRIP = 040, I_INLCR = 0100, I_IGNCR = 0200, I_ICRNL = 0400, I_IUCLC = 01000, I_IXON = 02000, I_IXANY = 04000, I_IMAXBEL = 020000,
    I_IUTF8 = 040000,
    O_OPOST = 1, O_OLCUC = 2, O_ONLCR = 4, O_OCRNL = 010, O_ONOCR = 020, O_ONLRET = 040, O_TABS = 014000,
    L_ISIG = 1, L_ICANON = 2, L_ECHO = 010, L_ECHOE = 020, L_ECHOK = 040, L_ECHONL = 0100, L_NOFLSH = 0200, L_TOSTOP = 0400,
    L_ECHOCTL = 01000, L_ECHOKE = 04000, L_IEXTEN = 0100000,
};

struct winsize {
    uint16_t rows, columns, x, y;
};

#define TTY_INPUT 4096u          // bytes; one less of a line that is being edited
#define TTY_OUTPUT 32768u        // of the console, where the echo of a whole line that is erased finds room
#define TTY_PTY_OUTPUT 4096u     // of a pseudo-terminal, whose master is to fetch it
enum { MARK_END = 1, MARK_EOF = 2, MARK_CONTROL = 4 };   // of an input byte: ends a line; is the end of file; echoed as ^X

enum tty_kind { TTY_NONE, TTY_CONSOLE, TTY_PTY };
struct tty {
    uint32_t kind, locked;       // locked: a pseudo-terminal whose slave may not be opened yet
    uint32_t slaves, masters;    // opens
    uint32_t slave_was_open, flow_stopped, literal, hangups;
    uint32_t session, group;     // whose controlling terminal it is, and the group in the foreground; 0: none
    uint32_t column, edit_column;    // of the cursor, and where the line that is edited began
    struct termios2 t;
    struct winsize size;
    // Counters of bytes, modulo the buffer's size: read up to head, whole lines up to ready, typed up to tail.
    uint32_t head, ready, tail;
    uint32_t out_head, out_tail;
    const uint8_t input[TTY_INPUT], marks[TTY_INPUT], output[TTY_OUTPUT];  // written through tty_change_byte
};

// All but the buffers, to be written until the next commit (posixd.h).
struct tty *tty_change(const struct tty *tty);
uint8_t *tty_change_byte(const uint8_t *at);

void tty_init(struct tty *tty, enum tty_kind kind);
// Bytes that somebody typed, or the master wrote: how many were taken.
uint32_t tty_input(struct tty *tty, const uint8_t *bytes, uint32_t count);
// What a read with these NODE_* flags gets: bytes, 0 at an end of file, -EAGAIN. *timeout: as the reply of node.read.
int64_t tty_read(struct tty *tty, uint8_t *to, uint32_t size, uint32_t flags, uint32_t *timeout);
uint32_t tty_readable(const struct tty *tty);            // bytes that a read could get (FIONREAD)
bool tty_is_readable(const struct tty *tty);             // as poll asks
bool tty_has_room(const struct tty *tty);                // for input
void tty_flush_input(struct tty *tty);
void tty_mode_changed(struct tty *tty, uint32_t old_lflag);
// Output of a program: how many bytes were taken; fewer: there is no room, or it is stopped.
uint32_t tty_write(struct tty *tty, const uint8_t *bytes, uint32_t count);
void tty_echo(struct tty *tty, uint8_t byte);            // one byte of echo, processed as output
bool tty_is_writable(const struct tty *tty);
uint32_t tty_fetch(struct tty *tty, uint8_t *to, uint32_t size);  // for the master
// Provided by the rest of posixd.
void tty_signal(const struct tty *tty, uint32_t number);  // to the group in the foreground
void tty_changed(const struct tty *tty);                       // readiness may be another
