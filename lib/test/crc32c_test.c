// links: lib/crc32c.c
#include "lib/crc32c.h"
#include "tests/unit/unit.h"

TEST(the_instruction_and_the_table_agree)
{
    static uint8_t bytes[5000];

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)unit_random();
    for (unsigned i = 0; i < 2000; i++) {
        size_t from = unit_random() % 100, size = unit_random() % (i % 2 ? 200 : 4900);
        uint32_t crc = (uint32_t)unit_random();

        CHECK_EQ(crc32c(crc, bytes + from, size), crc32c_portable(crc, bytes + from, size));
    }
}

TEST(a_checksum_is_taken_back)
{
    static uint8_t bytes[300];

    for (unsigned i = 0; i < 500; i++) {
        size_t size = unit_random() % sizeof bytes;
        uint32_t crc = (uint32_t)unit_random();

        for (size_t k = 0; k < size; k++)
            bytes[k] = (uint8_t)unit_random();
        CHECK_EQ(crc32c(crc32c_before(crc, bytes, size), bytes, size), crc);
        CHECK_EQ(crc32c_before(crc32c(crc, bytes, size), bytes, size), crc);
    }
}
