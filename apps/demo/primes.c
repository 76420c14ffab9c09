// Work for a compiler that compiles when the program starts: counts the primes below a number, by a sieve of its odd half.
#include <stdio.h>
#include <stdlib.h>

static unsigned long count(unsigned char *composite, unsigned long below) {
    unsigned long primes = below > 2;
    for (unsigned long n = 3; n < below; n += 2) {
        if (composite[n / 2]) continue;
        primes++;
        for (unsigned long multiple = n * n; n < 65536 && multiple < below; multiple += 2 * n) composite[multiple / 2] = 1;
    }
    return primes;
}

int main(int argc, char **argv) {
    unsigned long below = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    unsigned char *composite = calloc(below / 2 + 1, 1);
    if (composite == NULL) {
        fprintf(stderr, "%s: no memory for numbers below %lu\n", argv[0], below);
        return 1;
    }
    printf("%lu primes below %lu\n", count(composite, below), below);
    return 0;
}
