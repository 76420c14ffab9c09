// Loops over matrices of doubles: products, a stencil, a factorisation, a triangular solution. argv[1] is the name to report.
#include <math.h>

#include "tests/bench/wasm/apps/measure.h"

enum { N = 96, STEPS = 20 };
static double a[N][N], b[N][N], c[N][N], x[N], y[N];

static void fill(void) {
    for (int i = 0; i < N; i++) {
        x[i] = 1.0 + i / (double)N;
        for (int j = 0; j < N; j++) {
            a[i][j] = (double)((i * j + 1) % N) / N;
            b[i][j] = (double)((i * (j + 1) + 2) % N) / N;
            c[i][j] = 0;
        }
    }
}

static void products(void) {
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            for (int j = 0; j < N; j++) c[i][j] += 1.5 * a[i][k] * b[k][j];
}

static void stencil(void) {
    for (int t = 0; t < STEPS; t++) {
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++) b[i][j] = 0.2 * (c[i][j] + c[i][j - 1] + c[i][j + 1] + c[i + 1][j] + c[i - 1][j]);
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++) c[i][j] = 0.2 * (b[i][j] + b[i][j - 1] + b[i][j + 1] + b[i + 1][j] + b[i - 1][j]);
    }
}

// Cholesky: a becomes lower triangular. Its diagonal dominates first, so that it has one.
static void factorise(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) a[i][j] = a[j][i] = i == j ? 2.0 * N : a[j][i];
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) {
            double sum = a[i][j];
            for (int k = 0; k < j; k++) sum -= a[i][k] * a[j][k];
            a[i][j] = i == j ? sqrt(sum) : sum / a[j][j];
        }
}

static void solve(void) {
    for (int i = 0; i < N; i++) {
        double sum = x[i];
        for (int j = 0; j < i; j++) sum -= a[i][j] * y[j];
        y[i] = sum / a[i][i];
    }
}

int main(int argc, char **argv) {
    fill();
    uint64_t before = measure_now();
    products();
    stencil();
    factorise();
    solve();
    uint64_t after = measure_now();
    measure_report(argc > 1 ? argv[1] : "polybench", after - before, 1);
    return isfinite(y[N - 1]) && isfinite(c[N / 2][N / 2]) ? 0 : 1;
}
