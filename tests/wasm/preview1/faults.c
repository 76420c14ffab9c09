// WASI preview 1 with pointers and lengths that leave linear memory, and values that its types have not: the program is ended, and
// nothing is done. The first argument says which.
#include "tests/wasm/preview1/preview1.h"

static char text[64];
static uint32_t moved;
static const __wasi_iovec_t good = {(uint8_t *)text, sizeof text}, far_piece = {BEYOND, 4096}, long_piece = {(uint8_t *)text, 0xffffffff};

static int fault(int number) {
    switch (number) {
    case 0: return p1_fd_write(1, &far_piece, 1, &moved);
    case 1: return p1_fd_write(1, &long_piece, 1, &moved);
    case 2: return p1_fd_write(1, BEYOND, 100, &moved);
    case 3: return p1_fd_write(1, &good, -1, &moved);
    case 4: return p1_fd_write(1, &good, 0, BEYOND);
    case 5: return p1_path_open(3, 0, BEYOND, 4096, 0, ALL_RIGHTS, 0, 0, &moved);
    case 6: return p1_path_open(3, 0, text, -1, 0, ALL_RIGHTS, 0, 0, &moved);
    case 7: return p1_poll_oneoff(text, text, -1, &moved);
    case 8: return p1_poll_oneoff(BEYOND, text, 100, &moved);
    case 9: return p1_random_get(text, -1);
    case 10: return p1_clock_time_get(0, 0, BEYOND);
    case 11: return p1_clock_time_get(0, 0, text + 1);
    case 12: return p1_args_get(BEYOND, text);
    case 13: return p1_fd_prestat_dir_name(3, BEYOND, 5);
    case 14: return p1_fd_fdstat_get(1, BEYOND);
    case 15: return p1_fd_pwrite(3, &good, 0x20000001, 0, &moved);  // times eight it is small again
    case 16: return p1_fd_seek(3, 0, 9, &moved);  // no such whence; and so on
    case 17: return p1_fd_advise(3, 0, 0, 77);
    case 18: return p1_fd_filestat_set_times(3, 0, 0, 1 << 8);
    case 19: return p1_fd_fdstat_set_flags(3, 1 << 12);
    case 20: return p1_clock_time_get(9, 0, &moved);
    case 21: return p1_path_open(3, 1 << 9, TEXT("file"), 0, ALL_RIGHTS, 0, 0, &moved);
    case 22: return p1_path_open(3, 0, TEXT("file"), 1 << 14, ALL_RIGHTS, 0, 0, &moved);
    case 23: p1_proc_exit(126); return 0;
    default: p1_proc_exit(98); return 0;
    }
}

// Without a C library: it is started often.
__attribute__((export_name("_start"))) void start(void) {
    static char *list[8], words[256];
    uint32_t count, bytes;
    p1_args_sizes_get(&count, &bytes);
    if (count != 2 || bytes > sizeof words) p1_proc_exit(99);
    p1_args_get(list, words);
    const char *digits = list[1];
    const int number = digits[1] == '\0' ? digits[0] - '0' : 10 * (digits[0] - '0') + digits[1] - '0', error = fault(number);
    char said[] = "refused: 00\n";
    said[9] += (char)(error / 10);
    said[10] += (char)(error % 10);
    const __wasi_ciovec_t piece = {(const uint8_t *)said, sizeof said - 1};
    p1_fd_write(1, &piece, 1, &moved);
}
