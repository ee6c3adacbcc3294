/* progress.c - rate over the last few seconds, end time, interruption. */
#include "base/progress.h"

#include "base/error.h"

#include <signal.h>
#include <time.h>

static const double TELL_EVERY = 0.1; /* seconds */

static volatile sig_atomic_t interrupted;

void ken_interrupt(void)
{
    interrupted = 1;
}

int ken_interrupted(void)
{
    return interrupted;
}

void ken_interrupt_clear(void)
{
    interrupted = 0;
}

ken_status kn_check_interrupt(void)
{
    return interrupted ? kn_fail(KEN_E_CANCELED, "interrupted") : KEN_OK;
}

double kn_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void kn_meter_start(kn_meter *m, const char *stage, const char *unit, uint64_t total,
                    ken_progress_fn fn, void *cookie)
{
    *m = (kn_meter){ .p = { .stage = stage, .unit = unit, .total = total, .left = -1 },
                     .fn = fn,
                     .cookie = cookie,
                     .start = kn_clock() };
    m->at[0] = m->start;
    m->slots = 1;
}

/* A ring of readings, one each TELL_EVERY: the oldest is ~3 seconds old. */
static void update(kn_meter *m, double now, uint64_t done)
{
    unsigned oldest = m->slots < KN_RATE_SLOTS ? 0 : m->slots % KN_RATE_SLOTS;
    double span = now - m->at[oldest];
    m->p.done = done;
    m->p.seconds = now - m->start;
    if (span > 0 && done >= m->count[oldest])
        m->p.rate = (double)(done - m->count[oldest]) / span;
    m->p.left = -1;
    if (m->p.total >= done && m->p.total && m->p.rate > 0)
        m->p.left = (double)(m->p.total - done) / m->p.rate;
    m->at[m->slots % KN_RATE_SLOTS] = now;
    m->count[m->slots % KN_RATE_SLOTS] = done;
    m->slots++;
}

ken_status kn_meter_tell(kn_meter *m, uint64_t done, const char *item)
{
    ken_status st = kn_check_interrupt();
    double now = kn_clock();
    if (st)
        return st;
    m->p.done = done;
    if (!m->fn || now - m->told < TELL_EVERY)
        return KEN_OK;
    m->told = now;
    update(m, now, done);
    m->p.item = item;
    int stop = m->fn(&m->p, m->cookie);
    m->p.item = NULL; /* borrowed for the call */
    return stop ? kn_fail(KEN_E_CANCELED, "stopped") : KEN_OK;
}

void kn_meter_end(kn_meter *m)
{
    double now = kn_clock();
    if (!m->fn)
        return;
    update(m, now, m->p.done);
    if (m->p.seconds > 0)
        m->p.rate = (double)m->p.done / m->p.seconds; /* the last word is the mean */
    (void)m->fn(&m->p, m->cookie);
}
