/* Kernels for test_guard.py. */
#include <stdint.h>
#include <time.h>
typedef union { int64_t i; uint64_t u; double d; float f; void *p; } alp_slot;

/* in[1]: how many of the following slots to copy to out[1..] */
int32_t echo(const alp_slot *in, alp_slot *out)
{
    for (int64_t k = 0; k < in[1].i; k++) out[1 + k] = in[2 + k];
    return 0;
}

/* in[1]: bits of out[1] */
int32_t give(const alp_slot *in, alp_slot *out)
{
    out[1] = in[1];
    out[2] = in[2];
    out[3] = in[3];
    return 0;
}

/* in[1]: return code, in[2]: detail, then an int64 2-d array, every element of which is set to -1 */
int32_t spoil(const alp_slot *in, alp_slot *out)
{
    int64_t *a = in[3].p;
    for (int64_t i = 0; i < in[4].i; i++)
        for (int64_t j = 0; j < in[5].i; j++) a[i * in[6].i + j * in[7].i] = -1;
    out[0].i = in[2].i;
    return (int32_t)in[1].i;
}

/* in[1]: return code, in[2..5]: out[0..3] */
int32_t stop(const alp_slot *in, alp_slot *out)
{
    for (int k = 0; k < 4; k++) out[k] = in[2 + k];
    return (int32_t)in[1].i;
}

int32_t threads(const alp_slot *in, alp_slot *out)
{
    out[1].i = in[0].i;
    return 0;
}

/* 1-d int64 array: waits until another thread sets element 0; out[1]: whether that came within 5 s */
int32_t wait(const alp_slot *in, alp_slot *out)
{
    volatile int64_t *a = in[1].p;
    struct timespec pause = {0, 1000000};
    int k = 0;
    for (; k < 5000 && *a == 0; k++) nanosleep(&pause, 0);
    out[1].i = *a;
    return 0;
}

/* in[1]: milliseconds that it takes */
int32_t take(const alp_slot *in, alp_slot *out)
{
    (void)out;
    const struct timespec time = {.tv_nsec = in[1].i * 1000000};
    nanosleep(&time, 0);
    return 0;
}

/* in[1]: whom to ask whether to stop, or null. Runs for up to a second; out[1]: how many milliseconds */
int32_t ask(const alp_slot *in, alp_slot *out)
{
    struct signals { int64_t (*ask)(struct signals *, int64_t); } *poll = in[1].p;
    struct timespec pause = {0, 1000000};
    for (out[1].i = 1; poll && out[1].i < 1000; out[1].i++) {
        nanosleep(&pause, 0);
        if (!poll->ask(poll, 1)) return 4;
    }
    return 0;
}
