// The network driver under load: frames through one card arrive at the other, the drivers are killed meanwhile, and every
// call of the client ends as protocols/net.def says.
#include "lib/string.h"
#include "tests/guest/kt/canary.h"
#include "tests/guest/kt/driver.h"
#include "user/libkpio/netif.h"

#define NET (0x1af4u | 0x1041u << 16)
#define KILLS 60
#define KILLS_LONG 1000
#define BATCH 32u
#define LENGTH 1500u
#define ETHERTYPE 0x88b5u  // for local experiments

static struct kt_driver sender = {.program = "/drv/virtio_net", .device = NET, .nth = 0};
static struct kt_driver receiver = {.program = "/drv/virtio_net", .device = NET, .nth = 1};
static struct netif from, to;

static void open_on(struct netif *net, struct kt_driver *driver) {
    client_close(&net->client);
    net->client.timeout_ns = KT_HANG_NS;
    int64_t copy = KT_OK(kpio_handle_dup(driver->endpoint, KPIO_RIGHTS_SAME));
    net->client.endpoint = (kpio_handle)copy;
    KT_EQUAL(netif_open(net, NULL), 0);
}

static void begin(void) {
    kt_device_need(NET, 1);
    KT_EQUAL(kt_init_start(), 0);
    KT_EQUAL(kt_driver_start(&sender), 0);
    KT_EQUAL(kt_driver_start(&receiver), 0);
    open_on(&from, &sender);
    open_on(&to, &receiver);
}

static void end(void) {
    netif_close(&from);
    netif_close(&to);
    KT_EQUAL(kt_driver_kill(&sender), 0);
    KT_EQUAL(kt_driver_kill(&receiver), 0);
    KT_EQUAL(kt_init_stop(), 0);
}

// A frame that can be told from others and checked byte by byte.
static void frame_write(struct net_frame *f, uint32_t number, uint32_t length) {
    memcpy(f->data, to.mac, 6);
    memcpy(f->data + 6, from.mac, 6);
    f->data[12] = ETHERTYPE >> 8;
    f->data[13] = ETHERTYPE & 0xff;
    for (uint32_t i = 14; i < length; i++) f->data[i] = (uint8_t)(number * 31 + i);
    memcpy(f->data + 14, &number, 4);
    f->length = length;
}

// Its number, or UINT32_MAX for a frame that is not whole.
static uint32_t frame_read(const struct net_frame *f, uint32_t length) {
    uint32_t number;
    if (f->length != length || f->data[12] != ETHERTYPE >> 8) return UINT32_MAX;
    memcpy(&number, f->data + 14, 4);
    for (uint32_t i = 18; i < length; i++)
        if (f->data[i] != (uint8_t)(number * 31 + i)) return UINT32_MAX;
    return number;
}

// Sends `count` frames, numbered from `first`. How many, or a negative errno.
static int64_t send_some(uint32_t first, uint32_t count, uint32_t length) {
    struct net_frame frames[BATCH];
    for (uint32_t i = 0; i < count; i++) {
        int64_t error = netif_get_buffer(&from, &frames[i]);
        if (error < 0) {
            netif_put_buffers(&from, frames, i);
            return error;
        }
        frame_write(&frames[i], first + i, length);
    }
    return netif_send_batch(&from, frames, count);
}

// ... which must go, once the card has sent those before.
static void send_all(uint32_t first, uint32_t count, uint32_t length) {
    uint64_t deadline = kt_soon();
    int64_t sent;
    while ((sent = send_some(first, count, length)) == -EAGAIN && time_now() < deadline) time_sleep_ms(1);
    KT_EQUAL(sent, count);
}

KT_TEST(frames_arrive_whole_and_in_order) {
    struct net_frame frames[BATCH];
    uint32_t next = 0;
    begin();
    KT_CHECK(memcmp(from.mac, to.mac, 6) != 0);
    for (uint32_t round = 0; round < 40; round++) {
        send_all(round * BATCH, BATCH, LENGTH);
        for (uint32_t got = 0; got < BATCH;) {
            int64_t n = KT_OK(netif_recv_batch(&to, frames, BATCH, KT_HANG_NS));
            for (int64_t i = 0; i < n; i++) KT_EQUAL(frame_read(&frames[i], LENGTH), next++);
            netif_release(&to, frames, (uint32_t)n);
            got += (uint32_t)n;
        }
    }
    end();
}

KT_TEST(sizes_at_their_ends) {
    struct net_frame f, got;
    static const uint32_t lengths[] = {60, 61, 1513, 1514};
    begin();
    for (unsigned i = 0; i < 4; i++) {
        send_all(i, 1, lengths[i]);
        KT_EQUAL(netif_recv_batch(&to, &got, 1, KT_HANG_NS), 1);
        KT_EQUAL(frame_read(&got, lengths[i]), i);
        netif_release(&to, &got, 1);
    }
    KT_EQUAL(netif_get_buffer(&from, &f), 0);
    f.length = NET_FRAME_MAX + 1;
    KT_ERROR(netif_send_batch(&from, &f, 1), EINVAL);
    f.length = NET_FRAME_MIN - 1;
    KT_ERROR(netif_send_batch(&from, &f, 1), EINVAL);
    end();
}

KT_TEST(waiting_has_an_end) {
    struct net_frame f;
    begin();
    uint64_t start = time_now();
    KT_ERROR(netif_recv_batch(&to, &f, 1, 30000000), ETIMEDOUT);
    KT_CHECK(time_now() - start >= 29000000);
    KT_ERROR(netif_recv_batch(&to, &f, 1, 0), ETIMEDOUT);
    end();
}

KT_TEST(a_client_that_lies_hurts_only_itself) {
    struct net_frame f;
    begin();
    for (uint32_t i = 0; i < NET_RING; i++)  // buffers that do not exist, lengths that no frame has, counters that jump
        from.shared->ring[NET_SEND].entry[i] = (struct net_entry){(uint32_t)kt_random(), (uint32_t)kt_random()};
    from.shared->ring[NET_SEND].head += 200;
    KT_CHECK(netif_kick(&from) >= 0);
    from.shared->ring[NET_SEND].head += 100000;
    from.shared->ring[NET_FILL].head -= 70000;
    KT_CHECK(netif_kick(&from) >= 0);
    KT_ERROR(netif_recv_batch(&from, &f, 1, 1000000), ETIMEDOUT);
    open_on(&from, &sender);  // the driver is well
    send_all(5, 1, LENGTH);
    KT_EQUAL(netif_recv_batch(&to, &f, 1, KT_HANG_NS), 1);
    KT_EQUAL(frame_read(&f, LENGTH), 5);
    end();
}

KT_TEST(a_second_client_takes_over) {
    struct netif second = {.client.timeout_ns = KT_HANG_NS};
    begin();
    second.client.endpoint = KT_HANDLE(kpio_handle_dup(sender.endpoint, KPIO_RIGHTS_SAME));
    KT_EQUAL(netif_open(&second, NULL), 0);
    KT_ERROR(netif_kick(&from), EBUSY);
    KT_EQUAL(netif_kick(&second), 0);
    netif_close(&second);
    end();
}

// What a client does with the documented error: it opens again.
static uint64_t losses;
static bool lost(int64_t result, struct netif *net, struct kt_driver *driver) {
    if (result != -EPIPE) return false;
    losses++;
    open_on(net, driver);
    return true;
}

// Moves batches until the time is over: frames received per second. Killed drivers have been started again already.
static uint64_t traffic(uint64_t duration) {
    struct net_frame frames[BATCH];
    uint64_t received = 0, start = time_now();
    uint32_t number = 0;
    while (time_now() - start < duration) {
        int64_t n = send_some(number, BATCH, LENGTH);
        if (lost(n, &from, &sender)) continue;
        KT_CHECK(n == BATCH || n == -EAGAIN);
        number += BATCH;
        n = netif_recv_batch(&to, frames, BATCH, 5000000);
        if (lost(n, &to, &receiver)) continue;
        KT_CHECK(n > 0 || n == -ETIMEDOUT);
        for (int64_t i = 0; i < n; i++) KT_CHECK(frame_read(&frames[i], LENGTH) != UINT32_MAX);
        if (n > 0) {
            netif_release(&to, frames, (uint32_t)n);
            received += (uint64_t)n;
        }
    }
    return received * 1000000000ull / (time_now() - start);
}

// Frames per second now. Which CPUs the five threads end up on makes a factor of three, so a fifth is asked for; measured
// again while the machine below is busy with something else.
static uint64_t recovered(uint64_t before) {
    uint64_t after = 0, deadline = kt_soon();
    while (after <= before / 5 && time_now() < deadline) after = traffic(200000000);
    return after;
}

// Kills a driver at a random moment, from the side, while the case moves frames.
static struct {
    struct kt_driver *victim;
    uint64_t delay;
} killing;
static int64_t killer_main(void *arg) {
    time_sleep_ms(killing.delay);
    return kpio_process_kill(killing.victim->process, 99);
}

KT_TEST(killed_at_random_points_with_dma_outstanding) {
    uint64_t kills = kt_long() ? KILLS_LONG : KILLS;
    struct thread killer;
    begin();
    losses = 0;
    uint64_t before = traffic(300000000);
    for (uint64_t i = 0; i < kills; i++) {
        killing.victim = kt_random() % 2 ? &sender : &receiver;
        killing.delay = kt_random() % 5;
        KT_EQUAL(thread_spawn(&killer, "killer", killer_main, NULL, NULL, 0), 0);
        uint64_t lost_before = losses, deadline = kt_soon();
        struct net_frame frames[BATCH];
        while (losses == lost_before) {  // until a call fails with the documented error
            int64_t n = send_some(0, BATCH, LENGTH);
            if (n == -EPIPE) break;
            KT_CHECK(n == BATCH || n == -EAGAIN);
            n = netif_recv_batch(&to, frames, BATCH, 1000000);
            if (n == -EPIPE) break;
            KT_CHECK(n > 0 || n == -ETIMEDOUT);
            if (n > 0) netif_release(&to, frames, (uint32_t)n);
            KT_CHECK(time_now() < deadline);
        }
        KT_EQUAL(thread_join(&killer, NULL), 0);
        KT_EQUAL(kt_driver_kill(killing.victim), 0);
        bool deaf = killing.victim == &receiver;
        netif_close(deaf ? &to : &from);
        kt_canary_place();
        for (unsigned n = 0; deaf && n < 3; n++) (void)send_some(0, BATCH, LENGTH);  // to a card that nobody drives
        KT_EQUAL(kt_driver_start(killing.victim), 0);
        open_on(deaf ? &to : &from, killing.victim);
    }
    uint64_t after = recovered(before);
    kt_canary_end();
    end();
    kt_note("%lu kills; %lu frames a second before, %lu after", kills, before, after);
    KT_CHECK(after > before / 5);
}

KT_TEST(a_new_version_takes_over_under_load) {
    begin();
    uint64_t before = traffic(200000000);
    struct kt_driver *both[] = {&sender, &receiver};
    for (unsigned round = 0; round < 4; round++) {
        struct kt_driver *d = both[round % 2];
        send_all(0, BATCH, LENGTH);  // frames are on their way
        KT_EQUAL(kt_driver_retire(d), 0);
        KT_CHECK(d->state > 0);
        KT_EQUAL(kt_driver_start(d), 0);
        open_on(d == &sender ? &from : &to, d);
        (void)traffic(20000000);
    }
    uint64_t after = recovered(before);
    end();
    for (unsigned i = 0; i < 2; i++) {
        kt_close(both[i]->state);
        both[i]->state = KPIO_HANDLE_NONE;
    }
    kt_note("%lu frames a second before, %lu after", before, after);
    KT_CHECK(after > before / 5);
}
