#include "lib/string.h"
#include "user/demo/demo.h"
#include "user/libkpio/netif.h"

#define FRAME 60u
#define BATCH 8u
#define ANSWER_NS 2000000000ull      // in which an answer comes, or is lost: then it is asked again
#define NOBODY_NS 60000000000ull     // after which nobody is there who answers

static struct netif net;

// Asks QEMU's network who has 10.0.2.2: it answers each time.
static void write_question(struct net_frame *f) {
    static const uint8_t head[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, us[] = {10, 0, 2, 15}, gateway[] = {10, 0, 2, 2};
    memset(f->data, 0, FRAME);
    memset(f->data, 0xff, 6);
    memcpy(f->data + 6, net.mac, 6);
    memcpy(f->data + 12, head, sizeof(head));
    memcpy(f->data + 22, net.mac, 6);
    memcpy(f->data + 28, us, 4);
    memcpy(f->data + 38, gateway, 4);
    f->length = FRAME;
}

static bool is_answer(const struct net_frame *f) {
    return f->length >= 42 && f->data[12] == 8 && f->data[13] == 6 && f->data[21] == 2;
}

static int64_t ask(void) {
    struct net_frame frames[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        int error = netif_get_buffer(&net, &frames[i]);
        if (error) return error;
        write_question(&frames[i]);
    }
    return netif_send_batch(&net, frames, BATCH);
}

// One batch of questions and its answers: BATCH, or the error that ended it.
static int64_t exchange(void) {
    struct net_frame frames[BATCH];
    int64_t answers = 0, result = ask();
    while (result >= 0 && answers < BATCH) {
        result = netif_recv_batch(&net, frames, BATCH, ANSWER_NS);
        for (int64_t i = 0; i < result; i++) answers += is_answer(&frames[i]);
        if (result > 0) netif_release(&net, frames, (uint32_t)result);
    }
    return result < 0 ? result : answers;
}

// The same again and again, with the driver opened anew, until all answers have come. Adds how often it was lost, or they came late.
static int64_t exchange_all(uint64_t patience_ns, unsigned *lost, unsigned *late) {
    const uint64_t deadline = time_now() + patience_ns;
    int64_t result = exchange();
    while (result < 0 && result != -ENOENT && time_now() < deadline) {
        if (result == -EPIPE) ++*lost;
        else ++*late;
        result = netif_open(&net, "net");
        if (result == 0) result = exchange();
    }
    return result;
}

// Moves batches; at some of them the supervisor does something to the driver. Each batch is repeated until it is through.
static void under(const char *what, const char *command, unsigned times) {
    enum { BATCHES = 120 };
    unsigned done = 0, lost = 0, late = 0;
    uint64_t start = time_now();
    for (unsigned i = 0; i < BATCHES; i++) {
        if (times && i % (BATCHES / times) == BATCHES / times / 2) (void)control("net", command);
        done += exchange_all(PATIENCE_NS, &lost, &late) >= BATCH;
    }
    row(what, done == BATCHES, "%u of %u batches, lost %u times, %u late, %lu ms", done, BATCHES, lost, late,
        (unsigned long)(microseconds_since(start) / 1000));
}

void demo_net(void) {
    unsigned lost = 0, late = 0;
    net.client.timeout_ns = PATIENCE_NS;
    if (netif_open(&net, "net") == -ENOENT) {
        row("the network driver", true, "not here: the machine has no such card");
        return;
    }
    if (exchange_all(NOBODY_NS, &lost, &late) < BATCH) {
        row("the network driver", true, "nobody answers on this network");
        netif_close(&net);
        return;
    }
    under("frames through the network driver", "", 0);
    under("... killed 4 times", "kill", 4);
    under("... replaced by a new version 4 times", "replace", 4);
    netif_close(&net);
}
