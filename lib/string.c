#include "lib/string.h"

#include "lib/util.h"

// Under an address sanitizer the string instructions below are invisible to the instrumentation; tell its run-time.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(kernel_address_sanitizer)
#define STRING_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define STRING_SANITIZED 1
#endif

#ifdef STRING_SANITIZED
void __asan_loadN(unsigned long address, size_t size);
void __asan_storeN(unsigned long address, size_t size);
#define check_load(address, size) __asan_loadN((unsigned long)(address), size)
#define check_store(address, size) __asan_storeN((unsigned long)(address), size)
#else
#define check_load(address, size) ((void)0)
#define check_store(address, size) ((void)0)
#endif

// Loads and stores of any type at any alignment.
typedef uint64_t __attribute__((may_alias, aligned(1))) any_u64;
typedef uint32_t __attribute__((may_alias, aligned(1))) any_u32;
typedef uint16_t __attribute__((may_alias, aligned(1))) any_u16;

// Below this a few moves are cheaper than the start of a string instruction.
enum { REP_THRESHOLD = 128 };

// Keeps the compiler from turning a copy loop back into a call of the very function it stands in.
#define no_idiom() __asm__ volatile("" ::: "memory")

// Copies 0 to 16 bytes: two moves that may overlap, both read before either writes, so right for memmove too.
static inline void copy_up_to_16(unsigned char *to, const unsigned char *from, size_t size)
{
    if (size >= 8) {
        uint64_t first = *(const any_u64 *)from;
        uint64_t last = *(const any_u64 *)(from + size - 8);

        *(any_u64 *)to = first;
        *(any_u64 *)(to + size - 8) = last;
    } else if (size >= 4) {
        uint32_t first = *(const any_u32 *)from;
        uint32_t last = *(const any_u32 *)(from + size - 4);

        *(any_u32 *)to = first;
        *(any_u32 *)(to + size - 4) = last;
    } else if (size >= 2) {
        uint16_t first = *(const any_u16 *)from;
        uint16_t last = *(const any_u16 *)(from + size - 2);

        *(any_u16 *)to = first;
        *(any_u16 *)(to + size - 2) = last;
    } else if (size == 1) {
        *to = *from;
    }
}

// size > 16. The last 16 bytes are read up front and written at the end, so no tail loop is needed, and a forward
// copy onto a lower overlapping address stays right.
static inline void copy_forward(unsigned char *to, const unsigned char *from, size_t size)
{
    uint64_t tail0 = *(const any_u64 *)(from + size - 16);
    uint64_t tail1 = *(const any_u64 *)(from + size - 8);
    unsigned char *tail = to + size - 16;

    if (size >= REP_THRESHOLD) {
        size_t words = size / 8;

        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    } else {
        while (size > 16) {
            uint64_t first = *(const any_u64 *)from;
            uint64_t second = *(const any_u64 *)(from + 8);

            *(any_u64 *)to = first;
            *(any_u64 *)(to + 8) = second;
            no_idiom();
            to += 16;
            from += 16;
            size -= 16;
        }
    }
    *(any_u64 *)tail = tail0;
    *(any_u64 *)(tail + 8) = tail1;
}

// size > 16, `to` above `from`: from the end down, the first 16 bytes last.
static void copy_backward(unsigned char *to, const unsigned char *from, size_t size)
{
    uint64_t head0 = *(const any_u64 *)from;
    uint64_t head1 = *(const any_u64 *)(from + 8);

    while (size > 16) {
        uint64_t first = *(const any_u64 *)(from + size - 8);
        uint64_t second = *(const any_u64 *)(from + size - 16);

        size -= 16;
        *(any_u64 *)(to + size + 8) = first;
        *(any_u64 *)(to + size) = second;
        no_idiom();
    }
    *(any_u64 *)to = head0;
    *(any_u64 *)(to + 8) = head1;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    check_load(from, size);
    check_store(to, size);
    if (size <= 16)
        copy_up_to_16(to, from, size);
    else
        copy_forward(to, from, size);
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    check_load(from, size);
    check_store(to, size);
    if (size <= 16)
        copy_up_to_16(to, from, size);
    else if ((uintptr_t)to - (uintptr_t)from >= size)
        copy_forward(to, from, size);
    else
        copy_backward(to, from, size);
    return to;
}

void *memset(void *to, int value, size_t size)
{
    unsigned char *bytes = to;
    uint64_t pattern = (unsigned char)value * 0x0101010101010101ull;

    check_store(to, size);
    if (size >= 8) {
        size_t words = size / 8;
        unsigned char *at = bytes;

        if (size >= REP_THRESHOLD) {
            __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
        } else {
            for (; words != 0; words--, at += 8) {
                *(any_u64 *)at = pattern;
                no_idiom();
            }
        }
        *(any_u64 *)(bytes + size - 8) = pattern;
    } else if (size >= 4) {
        *(any_u32 *)bytes = (uint32_t)pattern;
        *(any_u32 *)(bytes + size - 4) = (uint32_t)pattern;
    } else if (size >= 2) {
        *(any_u16 *)bytes = (uint16_t)pattern;
        *(any_u16 *)(bytes + size - 2) = (uint16_t)pattern;
    } else if (size == 1) {
        *bytes = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *left = a;
    const unsigned char *right = b;

    while (size >= 8 && *(const any_u64 *)left == *(const any_u64 *)right) {
        left += 8;
        right += 8;
        size -= 8;
    }
    for (; size != 0; left++, right++, size--) {
        if (*left != *right)
            return *left - *right;
    }
    return 0;
}

void *memchr(const void *data, int value, size_t size)
{
    const unsigned char *at = data;

    for (; size != 0; at++, size--) {
        if (*at == (unsigned char)value)
            return (void *)at;
    }
    return NULL;
}

size_t strlen(const char *text)
{
    size_t length = 0;

    while (text[length] != '\0') {
        length++;
        no_idiom();
    }
    return length;
}

size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;

    while (length < limit && text[length] != '\0')
        length++;
    return length;
}

int strcmp(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t limit)
{
    for (; limit != 0; a++, b++, limit--) {
        if (*a != *b || *a == '\0')
            return (unsigned char)*a - (unsigned char)*b;
    }
    return 0;
}

char *strchr(const char *text, int value)
{
    for (;; text++) {
        if (*text == (char)value)
            return (char *)text;
        if (*text == '\0')
            return NULL;
    }
}
