/*
 * schedule.c - learning rates over a run.
 *
 * Cosine: Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts.  One-cycle: Smith and Topin,
 * "Super-convergence", 2018, in the two cosine phases of torch.optim.lr_scheduler.OneCycleLR.
 */
#include "train/schedule.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static const char *const names[] = { "constant", "cosine", "step", "onecycle" };

ken_status kn_schedule_named(kn_schedule_kind *out, const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *out = (kn_schedule_kind)i;
            return KEN_OK;
        }
    return kn_fail(KEN_E_INVALID, "no schedule '%s': constant, cosine, step, onecycle", name);
}

const char *kn_schedule_name(kn_schedule_kind kind)
{
    return names[kind];
}

kn_schedule kn_schedule_defaults(kn_schedule_kind kind, double lr)
{
    kn_schedule s = {
        .kind = kind, .lr = lr, .gamma = 0.1, .drops = 2, .rise = 0.3, .div = 25, .final_div = 1e4
    };
    if (kind == KN_SCHEDULE_ONECYCLE) {
        s.momentum_low = 0.85;
        s.momentum_high = 0.95;
    }
    return s;
}

static double anneal(double from, double to, double part)
{
    return to + (from - to) / 2 * (1 + cos(PI * part));
}

/* from -> peak -> to, as OneCycleLR counts its two phases. */
static double one_cycle(const kn_schedule *s, uint64_t step, uint64_t total, double from,
                        double peak, double to)
{
    const double up = s->rise * (double)total - 1, end = (double)total - 1, at = (double)step;
    if (at <= up)
        return up > 0 ? anneal(from, peak, at / up) : peak;
    return end > up ? anneal(peak, to, (at - up) / (end - up)) : to;
}

static double drops(const kn_schedule *s, uint64_t step, uint64_t total)
{
    uint32_t done = 0;
    while (done < s->drops && (double)step >= (double)total * (done + 1) / ((double)s->drops + 1))
        done++;
    return pow(s->gamma, done);
}

double kn_schedule_lr(const kn_schedule *s, uint64_t step, uint64_t total)
{
    total = total ? total : 1;
    step = step < total ? step : total - 1;
    if (s->kind == KN_SCHEDULE_ONECYCLE) {
        const double from = s->lr / s->div;
        return one_cycle(s, step, total, from, s->lr, from / s->final_div);
    }
    if (step < s->warmup)
        return s->lr * (double)(step + 1) / (double)s->warmup;
    step -= s->warmup;
    total -= s->warmup < total ? s->warmup : total - 1;
    if (s->kind == KN_SCHEDULE_COSINE)
        return anneal(s->lr, s->lr * s->floor, (double)step / (double)total);
    return s->kind == KN_SCHEDULE_STEP ? s->lr * drops(s, step, total) : s->lr;
}

double kn_schedule_momentum(const kn_schedule *s, uint64_t step, uint64_t total)
{
    total = total ? total : 1;
    step = step < total ? step : total - 1;
    if (s->kind != KN_SCHEDULE_ONECYCLE || !(s->momentum_high > 0))
        return 0;
    return one_cycle(s, step, total, s->momentum_high, s->momentum_low, s->momentum_high);
}
