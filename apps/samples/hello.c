// The smallest app that uses all of what every app has: arguments, variables, three streams and an exit status.
//
//     ./kpio app build apps/samples/hello.c
//     ./kpio run hello.wasm -- Ada Grace
//     ./kpio run hello.wasm --env GREETING=Hallo -- Ada
//
// It is C as everywhere: main() is where it begins, printf() writes to the output of whoever runs it. An app holds nothing but what
// its command line gave: this one sees no files, no network, no other process, and the variables that --env named.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const char *greeting = getenv("GREETING");
    if (argc < 2) {
        fprintf(stderr, "usage: %s NAME ...\n", argv[0]);
        return 2;  // the status of `./kpio run`, and of whoever started the app on KPIO
    }
    for (int i = 1; i < argc; i++) printf("%s, %s!\n", greeting != NULL ? greeting : "Hello", argv[i]);
    return 0;
}
