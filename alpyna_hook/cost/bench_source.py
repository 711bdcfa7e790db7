"""The micro-benchmarks of the machine, as one kernel in C.

In: slots {threads, benchmark, elements, repetitions}.  Out: slot 1, seconds per repetition of one operation (of a whole
sweep for the memory benchmarks); slot 2, a value that depends on all of the work.  Compiled with the flags of
all kernels, so that what is measured is what they get.
"""

from __future__ import annotations

# Names of the benchmarks: the number of each is its place here and its case in SOURCE.
LATENCY = ("cycle", "add.f64", "mul.f64", "div.f64", "sqrt.f64", "mul.int", "idiv.int", "forward")
SCALAR = ("add.f64", "mul.f64", "div.f64", "sqrt.f64", "idiv.int", "pow.f64", "fmod.f64")
LIBM = ("exp", "log", "sin", "cos", "tan", "erf", "tanh", "atan2")
VECTOR = ("add.f64", "mul.f64", "div.f64", "sqrt.f64")
MEMORY = ("stream", "random", "copy", "read")
THREADS = ("fork_hot", "fork_idle", "region", "latency", "compute")

NAMES = (
    *(f"latency:{n}" for n in LATENCY),
    *(f"scalar:{n}" for n in SCALAR),
    *(f"libm:{n}" for n in LIBM),
    *(f"vector:{n}" for n in VECTOR),
    *(f"memory:{n}" for n in MEMORY),
    *(f"threads:{n}" for n in THREADS),
)

SOURCE = r"""
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef union { int64_t i; uint64_t u; double d; float f; void *p; } alp_slot;

/* KEEP: the value must be in a register here, so chains are neither reassociated nor vectorised. */
#if defined(__x86_64__)
#define KEEPD(x) __asm__ volatile("" : "+x"(x))
#define KEEPI(x) __asm__ volatile("" : "+r"(x))
#elif defined(__aarch64__)
#define KEEPD(x) __asm__ volatile("" : "+w"(x))
#define KEEPI(x) __asm__ volatile("" : "+r"(x))
#else
#define KEEPD(x) __asm__ volatile("" : "+m"(x))
#define KEEPI(x) __asm__ volatile("" : "+m"(x))
#endif

#define SMALL 512 /* doubles: 4 KiB, in any L1 */
static double sa[SMALL], sb[SMALL], sc[SMALL], sd[SMALL];
static volatile double one = 1.0000001;
static volatile int64_t three = 3;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* n dependent operations */
#define CHAIN_D(NEXT) { double x = 1.5, y = one; KEEPD(y); \
    for (int64_t k = 0; k < n; k++) { x = NEXT; KEEPD(x); } return x; }
#define CHAIN_I(NEXT) { int64_t x = 1234567, y = three; KEEPI(y); \
    for (int64_t k = 0; k < n; k += 4) { x = NEXT; KEEPI(x); x = NEXT; KEEPI(x); x = NEXT; KEEPI(x); \
        x = NEXT; KEEPI(x); } return (double)x; }
/* n operations, eight independent ones at a time */
#define EACH(NEXT, X) X = NEXT(X); KEEPD(X);
#define WIDE_D(NEXT) { double p = 1.1, q = 1.2, r = 1.3, s = 1.4, t = 1.5, u = 1.6, v = 1.7, w = 1.8, y = one; \
    KEEPD(y); for (int64_t k = 0; k < n; k += 8) { EACH(NEXT, p) EACH(NEXT, q) EACH(NEXT, r) EACH(NEXT, s) \
        EACH(NEXT, t) EACH(NEXT, u) EACH(NEXT, v) EACH(NEXT, w) } return p + q + r + s + t + u + v + w; }
#define ADD(x) x + y
#define MUL(x) x * y
#define DIV(x) x / y
#define SQRT(x) sqrt(x)
#define POW(x) pow(x, y)
#define FMOD(x) fmod(x, 0.7) + 1.0

static double l_cycle(int64_t n) CHAIN_I((x ^ y) + 0)
static double l_add(int64_t n) CHAIN_D(x + y)
static double l_mul(int64_t n) CHAIN_D(x * y)
static double l_div(int64_t n) CHAIN_D(x / y)
static double l_sqrt(int64_t n) CHAIN_D(sqrt(x))
static double l_imul(int64_t n) CHAIN_I(x * y)
static double l_idiv(int64_t n) CHAIN_I((x / y) + 1234567)
static double l_forward(int64_t n) {
    volatile double cell = 1.0;
    for (int64_t k = 0; k < n; k++) cell = cell;
    return cell;
}
static double s_add(int64_t n) WIDE_D(ADD)
static double s_mul(int64_t n) WIDE_D(MUL)
static double s_div(int64_t n) WIDE_D(DIV)
static double s_sqrt(int64_t n) WIDE_D(SQRT)
static double s_pow(int64_t n) WIDE_D(POW)
static double s_fmod(int64_t n) WIDE_D(FMOD)
static double s_idiv(int64_t n) {
    int64_t y = three, s = 0;
    KEEPI(y);
    for (int64_t k = 0; k < n; k++) { int64_t x = (k + 1234567) / y; KEEPI(x); s += x; }
    return (double)s;
}

/* n calls over the elements of a small array; those of library functions, which branch on their arguments, in no order
   (sd) */
#define SWEEP(CALL) { for (int64_t k = 0; k < n; k += SMALL) { \
    for (int64_t i = 0; i < SMALL; i++) sc[i] = CALL; __asm__ volatile("" ::: "memory"); } return sc[3]; }
static double m_exp(int64_t n) SWEEP(exp(sd[i]))
static double m_log(int64_t n) SWEEP(log(sd[i]))
static double m_sin(int64_t n) SWEEP(sin(sd[i]))
static double m_cos(int64_t n) SWEEP(cos(sd[i]))
static double m_tan(int64_t n) SWEEP(tan(sd[i]))
static double m_erf(int64_t n) SWEEP(erf(sd[i]))
static double m_tanh(int64_t n) SWEEP(tanh(sd[i]))
static double m_atan2(int64_t n) SWEEP(atan2(sd[i], sb[i]))
/* eight operations per element, so that loads and stores weigh little */
static double v_add(int64_t n) SWEEP((((((((sa[i] + sb[i]) + 1.1) + sa[i]) + 1.2) + sb[i]) + 1.3) + sa[i]) + 1.4)
static double v_mul(int64_t n) SWEEP((((((((sa[i] * sb[i]) * 1.1) * sa[i]) * 1.2) * sb[i]) * 1.3) * sa[i]) * 1.4)
static double v_div(int64_t n) SWEEP(sa[i] / sb[i])
static double v_sqrt(int64_t n) SWEEP(sqrt(sa[i]))

typedef double (*bench)(int64_t);
static const bench simple[] = {
    l_cycle, l_add, l_mul, l_div, l_sqrt, l_imul, l_idiv, l_forward,
    s_add, s_mul, s_div, s_sqrt, s_idiv, s_pow, s_fmod,
    m_exp, m_log, m_sin, m_cos, m_tan, m_erf, m_tanh, m_atan2,
    v_add, v_mul, v_div, v_sqrt,
};
#define SIMPLE ((int64_t)(sizeof simple / sizeof *simple))

/* Seconds per sweep of y = y + a x over n elements (24 bytes each), shared by the threads. */
static double stream(int64_t n, int64_t reps, int threads, double *sum) {
    double *x = malloc((size_t)n * 8), *y = malloc((size_t)n * 8);
    double seconds = -1.0;
    if (x && y) {
        #pragma omp parallel for schedule(static) num_threads(threads) if(threads > 1)
        for (int64_t i = 0; i < n; i++) { x[i] = 1.0; y[i] = 2.0; }
        double start = now();
        for (int64_t r = 0; r < reps; r++) {
            if (threads > 1) {
                #pragma omp parallel for schedule(static) num_threads(threads)
                for (int64_t i = 0; i < n; i++) y[i] += 1e-9 * x[i];
            } else {
                for (int64_t i = 0; i < n; i++) y[i] += 1e-9 * x[i];
            }
            __asm__ volatile("" ::: "memory");
        }
        seconds = (now() - start) / (double)reps;
        *sum = y[n / 2];
    }
    free(x); free(y);
    return seconds;
}

/* Seconds per independent load from pseudo-random places of n elements, n a power of two. */
static double random_loads(int64_t n, int64_t reps, double *sum) {
    int64_t *a = malloc((size_t)n * 8), total = 0;
    if (!a) return -1.0;
    for (int64_t i = 0; i < n; i++) a[i] = i;
    double start = now();
    for (int64_t k = 0; k < reps; k++) {
        uint64_t h = (uint64_t)k * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
        h *= 0xBF58476D1CE4E5B9u;
        int64_t v = a[(h >> 20) & (uint64_t)(n - 1)];
        KEEPI(v);
        total += v;
    }
    double seconds = (now() - start) / (double)reps;
    *sum = (double)total;
    free(a);
    return seconds;
}

/* Seconds per copy of n elements into a buffer that is kept, as the journal does it. */
static double copies(int64_t n, int64_t reps, double *sum) {
    double *a = malloc((size_t)n * 8), *b = malloc((size_t)n * 8);
    double seconds = -1.0;
    if (a && b) {
        for (int64_t i = 0; i < n; i++) a[i] = b[i] = 1.0;
        double start = now();
        for (int64_t r = 0; r < reps; r++) {
            memcpy(b, a, (size_t)n * 8);
            __asm__ volatile("" :: "r"(b) : "memory");
        }
        seconds = (now() - start) / (double)reps;
        *sum = b[n / 2];
    }
    free(a); free(b);
    return seconds;
}

/* Seconds per sweep that only reads n elements, shared by the threads; integers, whose sum needs no order. */
static double reads(int64_t n, int64_t reps, int threads, double *sum) {
    int64_t *a = malloc((size_t)n * 8), total = 0;
    if (!a) return -1.0;
    #pragma omp parallel for schedule(static) num_threads(threads) if(threads > 1)
    for (int64_t i = 0; i < n; i++) a[i] = i;
    double start = now();
    for (int64_t r = 0; r < reps; r++) {
        if (threads > 1) {
            #pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : total)
            for (int64_t i = 0; i < n; i++) total += a[i];
        } else {
            for (int64_t i = 0; i < n; i++) total += a[i];
        }
        __asm__ volatile("" ::: "memory");
    }
    double seconds = (now() - start) / (double)reps;
    *sum = (double)total;
    free(a);
    return seconds;
}

/* Seconds per parallel region as kernels have them, with next to nothing to do: a loop that is shared, and flags that
   are brought together. `idle` sleeps 20 ms before each; `alone`: one thread does it all. No more of them once they
   have taken 2 ms: on a busy machine each may wait for a thread to get its turn. */
static double forks(int64_t reps, int threads, int idle, int alone, double *sum) {
    static double cells[8 * 1024];
    const int64_t rows = threads < 1024 ? threads : 1024;
    double total = 0.0;
    int64_t flags = 0, done = 0;
    for (; done < reps && total < 2e-3; done++) {
        if (idle) { struct timespec t = {0, 20000000}; nanosleep(&t, NULL); }
        double start = now();
        #pragma omp parallel num_threads(threads) if(!alone) reduction(| : flags)
        {
            #pragma omp for schedule(static)
            for (int64_t i = 0; i < rows; i++) cells[8 * i] += 1.0;
            flags |= cells[0] < 0.0;
        }
        total += now() - start;
    }
    *sum = total + (double)flags;
    return total / (double)done;
}

/* Seconds per operation while all threads do the same: chains of additions, which even threads that share one core
   run side by side (latency), and as many additions as a core can do at once (compute). */
static double together(int64_t n, int threads, int wide, double *sum) {
    double start = now(), total = 0.0;
    #pragma omp parallel num_threads(threads) reduction(+ : total)
    total += wide ? s_add(n) : l_add(n);
    *sum = total;
    return (now() - start) / (double)n;
}

int32_t kernel(const alp_slot *in, alp_slot *out) {
    int threads = (int)in[0].i;
    int64_t which = in[1].i, n = in[2].i, reps = in[3].i;
    double sum = 0.0, seconds = -1.0;
    for (int64_t i = 0; i < SMALL; i++) {
        sa[i] = 0.3 + 0.002 * (double)i;
        sb[i] = 1.0 + 1e-6 * (double)i;
        sd[i] = 0.01 + 4.0 / SMALL * (double)(i * 0x9E3779B97F4A7C15u >> 55);
    }
    if (which < SIMPLE) {
        double start = now();
        sum = simple[which](reps);
        seconds = (now() - start) / (double)reps;
    } else switch (which - SIMPLE) {
        case 0: seconds = stream(n, reps, threads, &sum); break;
        case 1: seconds = random_loads(n, reps, &sum); break;
        case 2: seconds = copies(n, reps, &sum); break;
        case 3: seconds = reads(n, reps, threads, &sum); break;
        case 4: seconds = forks(reps, threads, 0, 0, &sum); break;
        case 5: seconds = forks(reps, threads, 1, 0, &sum); break;
        case 6: seconds = forks(reps, threads, 0, 1, &sum); break;
        case 7: seconds = together(reps, threads, 0, &sum); break;
        case 8: seconds = together(reps, threads, 1, &sum); break;
    }
    out[0].i = 0;
    out[1].d = seconds;
    out[2].d = sum;
    return 0;
}
"""

# A kernel of ordinary size: what one compilation costs. `%s` is filled with something new each time.
TYPICAL = r"""
#include <math.h>
#include <stdint.h>
typedef union { int64_t i; uint64_t u; double d; float f; void *p; } alp_slot;
/* %s */
int32_t kernel(const alp_slot *in, alp_slot *out) {
    const double *restrict a = in[1].p;
    double *restrict b = in[2].p;
    const int64_t n = in[3].i, m = in[4].i;
    #pragma omp parallel for schedule(static) num_threads(in[0].i)
    for (int64_t i = 1; i < n - 1; i++) {
        for (int64_t j = 1; j < m - 1; j++)
            b[i * m + j] = 0.2 * (a[i * m + j] + a[i * m + j - 1] + a[(i + 1) * m + j] + a[(i - 1) * m + j]);
        for (int64_t j = 1; j < m - 1; j++)
            b[i * m + j] = sqrt(b[i * m + j]) + exp(-a[i * m + j]) / (1.0 + b[i * m + j]);
    }
    out[0].i = 0;
    return 0;
}
"""
