// `kpio bench kernel` boots this with 8 GiB: what the way to init took, and nothing else.
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"

int main(int argc, char **argv) {
    bench_boot();
    return 0;
}
