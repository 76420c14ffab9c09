// A component: an app of WASI preview 2. It writes a survey of the world it finds to a file, and shows it.
//
//     ./kpio app build --component apps/samples/survey.c
//     ./kpio run survey.wasm --dir .::/out --env PLACE=here -- survey.txt
//
// The source is that of any app. `--component` makes another kind of file of it: not a module whose imports are functions with numbers
// as arguments, but a component whose imports and exports are interfaces with types and versions. This one exports wasi:cli/run, and of
// all that is in preview 2 it imports what the C library asks for:
//
//     wasi:cli           arguments, variables, the three streams, the exit status
//     wasi:io            the streams behind them and behind files
//     wasi:filesystem    what lies below the directories that --dir showed
//     wasi:clocks        the time of day, and the one that only goes forward
//     wasi:random        bytes that nobody can guess
//
// `./kpio run` and appd take components and modules alike; rights are asked for and granted in the same way (survey.app is a manifest for
// appd). One thing differs: wasi:cli knows success and failure, so every exit status but 0 is told as 1.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLDER "/out"

static int failed(const char *what) {
    fprintf(stderr, "survey: %s: %s\n", what, strerror(errno));
    return 1;
}

// 2000 or later, and it goes on by as much as was slept.
static int survey_clocks(FILE *out) {
    struct timespec day, begin, end;
    const struct timespec nap = {.tv_nsec = 1000000};
    if (clock_gettime(CLOCK_REALTIME, &day) != 0 || clock_gettime(CLOCK_MONOTONIC, &begin) != 0) return failed("the clocks");
    if (nanosleep(&nap, NULL) != 0 || clock_gettime(CLOCK_MONOTONIC, &end) != 0) return failed("sleeping");
    const long long slept = (end.tv_sec - begin.tv_sec) * 1000000000ll + (end.tv_nsec - begin.tv_nsec);
    fprintf(out, "clocks: %s, ", day.tv_sec > 946684800 ? "a good day" : "no day");
    fprintf(out, "slept %s\n", slept >= nap.tv_nsec ? "enough" : "too little");
    return 0;
}

static int survey_random(FILE *out) {
    unsigned char first[16], second[16];
    if (getentropy(first, sizeof first) != 0 || getentropy(second, sizeof second) != 0) return failed("random bytes");
    fprintf(out, "random: %s\n", memcmp(first, second, sizeof first) != 0 ? "two draws differ" : "twice the same");
    return 0;
}

static int write_survey(const char *path) {
    FILE *out = fopen(path, "w");
    if (out == NULL) return failed(path);
    const char *place = getenv("PLACE");
    fprintf(out, "place: %s\n", place != NULL ? place : "unknown");
    int status = survey_clocks(out) | survey_random(out);
    if (fclose(out) != 0) status = failed(path);
    return status;
}

static int show(const char *path) {
    char text[4096];
    struct stat about;
    FILE *in = fopen(path, "r");
    if (in == NULL) return failed(path);
    const size_t n = fread(text, 1, sizeof text, in);
    fclose(in);
    if (stat(path, &about) != 0) return failed(path);
    fwrite(text, 1, n, stdout);
    printf("written: %s\n", about.st_size == (off_t)n ? "all of it" : "another size");
    return 0;
}

int main(int argc, char **argv) {
    char path[256];
    if (argc != 2 || snprintf(path, sizeof path, FOLDER "/%s", argv[1]) >= (int)sizeof path) {
        fprintf(stderr, "usage: %s FILE, which is written to " FOLDER "\n", argv[0]);
        return 1;
    }
    int status = write_survey(path);
    return status != 0 ? status : show(path);
}
