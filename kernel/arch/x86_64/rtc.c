// The real-time clock of a PC (MC146818): read once, at boot.
#include "kernel/arch/x86_64/clock.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/core/log.h"
#include "lib/string.h"

enum { RTC_SECOND = 0, RTC_MINUTE = 2, RTC_HOUR = 4, RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9, RTC_A = 10, RTC_B = 11 };
#define MAX_TRIES 10000

struct rtc_time {
    uint8_t second, minute, hour, day, month, year;
};

static uint8_t rtc_read(uint8_t reg) {
    port_out8(0x70, reg | 0x80);
    return port_in8(0x71);
}

static unsigned from_bcd(unsigned v) { return (v & 15) + (v >> 4) * 10; }

static struct rtc_time read_all(void) {
    for (int i = 0; i < MAX_TRIES && rtc_read(RTC_A) & 0x80; i++) {}  // an update is under way
    return (struct rtc_time){rtc_read(RTC_SECOND), rtc_read(RTC_MINUTE), rtc_read(RTC_HOUR),
                             rtc_read(RTC_DAY),    rtc_read(RTC_MONTH),  rtc_read(RTC_YEAR)};
}

// Days since 1970-01-01 of a date in the Gregorian calendar.
static int64_t days_since_epoch(int year, unsigned month, unsigned day) {
    year -= month <= 2;
    int era = year / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void rtc_init(void) {
    struct rtc_time t = read_all(), again = read_all();
    for (int i = 0; i < 3 && memcmp(&t, &again, sizeof(t)) != 0; i++) t = again, again = read_all();
    nanos_t now = arch_now();
    uint8_t mode = rtc_read(RTC_B);
    bool afternoon = t.hour & 0x80;
    unsigned hour = t.hour & 0x7f, second = t.second, minute = t.minute, day = t.day, month = t.month, year = t.year;
    if (!(mode & 4)) {
        second = from_bcd(second), minute = from_bcd(minute), hour = from_bcd(hour);
        day = from_bcd(day), month = from_bcd(month), year = from_bcd(year);
    }
    if (!(mode & 2)) hour = hour % 12 + (afternoon ? 12 : 0);
    if (second > 60 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 || month > 12 || year > 99) {
        log_warn("clock: no real-time clock; the real time starts at 1970");
        return;
    }
    int64_t seconds = days_since_epoch((int)(2000 + year), month, day) * 86400 + hour * 3600 + minute * 60 + second;
    arch_clock.realtime_base = (uint64_t)seconds * 1000000000u - now;
}
