/* peak.c - how fast this core multiplies and adds when nothing else is in the way. */
#include "kernels/kernels.h"

#include <time.h>

static double seconds_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* The best of short runs: a neighbour may take the core away for a while. */
double kn_peak(kn_math math, double seconds)
{
    const kn_kernels *k = kn_kernels_get();
    const size_t rounds = 20000;
    const double end = seconds_now() + seconds;
    double best = 0, now = seconds_now();
    do {
        const double begin = now, done = k->peak(math, rounds);
        now = seconds_now();
        const double rate = done / (now - begin + 1e-9);
        best = rate > best ? rate : best;
    } while (now < end);
    return best;
}
