// What makes a change of the state whole. The memory that outlives a posixd is
//
//     struct state │ struct journal
//
// Before a line (64 bytes) of the state is written for the first time since the last commit, the journal gets what it held. A
// commit is one store: no line is in the journal any more. A posixd that finds lines there puts them back first: the one before
// ended in the middle. A line is there once at most, so there is room for all.
#include "lib/string.h"
#include "lib/util.h"
#include "user/posixd/posixd.h"

#define LINE 64u
#define LINES ((sizeof(struct state) + LINE - 1) / LINE)
#define KEYS_MAX 512u

struct saved {
    uint64_t line;
    uint8_t bytes[LINE];
};
struct journal {
    uint32_t count, key_count;
    uint64_t keys[KEYS_MAX];
    struct saved saved[LINES];
};
struct memory {
    _Alignas(LINE) struct state state;
    _Alignas(LINE) struct journal journal;
};

const struct state *state;
struct mutex state_lock;
static struct memory *memory;
static uint32_t change = 1, changed_in[LINES];   // the change that is being made, and the one that wrote to each line last

uint64_t journal_size(void) { return align_up(sizeof(struct memory), 4096); }

static uint8_t *line_at(uint64_t line) { return (uint8_t *)&memory->state + line * LINE; }

// In this order for whoever finds it, wherever this process ends: the processor keeps the order of stores.
static void store(uint32_t *at, uint32_t value) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void save(uint64_t line) {
    struct saved *s = &memory->journal.saved[memory->journal.count];
    s->line = line;
    memcpy(s->bytes, line_at(line), LINE);
    store(&memory->journal.count, memory->journal.count + 1);
    changed_in[line] = change;
    crash_step();
}

void *state_change(const void *at, size_t size) {
    const uint64_t offset = (uint64_t)at - (uint64_t)&memory->state, last = (offset + size - 1) / LINE;
    for (uint64_t line = offset / LINE; line <= last; line++)
        if (changed_in[line] != change) save(line);
    return line_at(0) + offset;
}

struct tty *tty_change(const struct tty *tty) { return state_change(tty, offsetof(struct tty, input)); }
uint8_t *tty_change_byte(const uint8_t *at) { return state_change(at, 1); }

void state_commit(void) {
    if (memory->journal.count == 0) return;
    crash_step();
    store(&memory->journal.count, 0);
    crash_step();
    if (++change != 0) return;
    memset(changed_in, 0, sizeof changed_in);
    change = 1;
}

int64_t journal_begin(void *at) {
    memory = at;
    state = &memory->state;
    if (memory->journal.count > LINES || memory->journal.key_count > KEYS_MAX) return -EIO;
    for (uint32_t i = 0; i < memory->journal.count; i++) {
        const struct saved *s = &memory->journal.saved[i];
        if (s->line >= LINES) return -EIO;
        memcpy(line_at(s->line), s->bytes, LINE);
    }
    store(&memory->journal.count, 0);
    return 0;
}

// Keys are not part of a change that is taken back: the keeper does not take it back either.
bool journal_add_key(uint64_t key) {
    struct journal *j = &memory->journal;
    for (uint32_t i = 0; i < j->key_count; i++)
        if (j->keys[i] == key) return true;
    if (j->key_count == KEYS_MAX) return false;
    j->keys[j->key_count] = key;
    store(&j->key_count, j->key_count + 1);
    return true;
}

unsigned journal_keys(void) { return memory->journal.key_count; }
uint64_t journal_key(unsigned index) { return memory->journal.keys[index]; }
void journal_forget_keys(void) { store(&memory->journal.key_count, 0); }
