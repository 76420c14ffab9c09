#include "tests/bench/plugin/stretch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCKS 48
#define MOST_BLOCKS 6
#define WAY_BLOCKS 12 // of the first that ran, that make it another way to the same place
#define PLACES 1024
#define KERNEL 0xffff800000000000ull

struct block {
    uint64_t address;
    uint64_t instructions, weight, stamp; // its own; those that ran in the stretch of that stamp
    bool kernel, opens;                   // interrupts, at its end
    struct block *next;                   // that ran in this stretch
};

struct place {
    uint64_t length, times, way;
    uint64_t began[FIRST_BLOCKS];
    unsigned began_count;
    struct {
        uint64_t address, weight;
    } most[MOST_BLOCKS];
};

static uint64_t least_kept, length, stamp = 1;
static uint64_t began[FIRST_BLOCKS];
static unsigned began_count, place_count;
static struct block *ran;
static struct place places[PLACES];

void stretch_init(uint64_t least) { least_kept = least; }

static struct place *place_at(uint64_t address, uint64_t way)
{
    for (unsigned i = 0; i < place_count; i++)
        if (places[i].most[0].address == address && places[i].way == way)
            return &places[i];
    return place_count < PLACES ? &places[place_count++] : NULL;
}

static void find_most(struct place *found)
{
    for (const struct block *block = ran; block; block = block->next) {
        uint64_t address = block->address, weight = block->weight;

        for (int i = 0; i < MOST_BLOCKS; i++) {
            if (weight <= found->most[i].weight)
                continue;
            uint64_t next_address = found->most[i].address, next_weight = found->most[i].weight;

            found->most[i].address = address;
            found->most[i].weight = weight;
            address = next_address;
            weight = next_weight;
        }
    }
}

static void keep(void)
{
    struct place found = {.length = length, .began_count = began_count};

    find_most(&found);
    memcpy(found.began, began, sizeof began);
    for (unsigned i = 0; i < began_count && i < WAY_BLOCKS; i++)
        found.way = found.way * 31 + began[i];
    struct place *place = place_at(found.most[0].address, found.way);

    if (!place)
        return;
    found.times = place->times + 1;
    if (place->length >= length)
        place->times = found.times;
    else
        *place = found;
}

static void end(void)
{
    if (length >= least_kept)
        keep();
    length = 0;
    began_count = 0;
    ran = NULL;
    stamp++;
}

static void on_block(unsigned vcpu, void *userdata)
{
    struct block *block = userdata;

    (void)vcpu;
    if (!block->kernel) {
        if (length)
            end();
        return;
    }
    if (block->stamp != stamp) {
        block->stamp = stamp;
        block->weight = 0;
        block->next = ran;
        ran = block;
        if (began_count < FIRST_BLOCKS)
            began[began_count++] = block->address;
    }
    block->weight += block->instructions;
    length += block->instructions;
    if (block->opens)
        end();
}

// Blocks are never given back: a block that is translated again counts for itself, and QEMU may still run the older one.
void stretch_translate(struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);
    struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0), *last = qemu_plugin_tb_get_insn(tb, count - 1);
    struct block *block = calloc(1, sizeof *block);

    if (!block)
        abort();
    block->address = qemu_plugin_insn_vaddr(first);
    block->instructions = count;
    block->kernel = block->address >= KERNEL;
    block->opens = qemu_plugin_insn_size(last) == 1 && *(const uint8_t *)qemu_plugin_insn_data(last) == 0xfb;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
}

void stretch_write(FILE *out)
{
    fputs(",\"stretches\":[", out);
    for (unsigned i = 0; i < place_count; i++) {
        const struct place *place = &places[i];

        fprintf(out, "%s{\"length\":%llu,\"times\":%llu,\"began\":[", i ? "," : "", (unsigned long long)place->length,
                (unsigned long long)place->times);
        for (unsigned k = 0; k < place->began_count; k++)
            fprintf(out, "%s%llu", k ? "," : "", (unsigned long long)place->began[k]);
        fputs("],\"most\":[", out);
        for (unsigned k = 0; k < MOST_BLOCKS && place->most[k].weight; k++)
            fprintf(out, "%s[%llu,%llu]", k ? "," : "", (unsigned long long)place->most[k].address,
                    (unsigned long long)place->most[k].weight);
        fputs("]}", out);
    }
    fputc(']', out);
}
