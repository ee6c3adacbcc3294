/*
 * schedule.h - the learning rate at a step: a pure function.
 */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

#include "ken.h"

typedef enum kn_schedule_kind {
    KN_SCHEDULE_CONSTANT,
    KN_SCHEDULE_COSINE,
    KN_SCHEDULE_STEP,
    KN_SCHEDULE_ONECYCLE
} kn_schedule_kind;

typedef struct kn_schedule {
    kn_schedule_kind kind;
    double lr;             /* the peak */
    uint64_t warmup;       /* steps of (step + 1) / warmup before the rest; not for ONECYCLE */
    double floor;          /* COSINE: share of lr at the end, one step behind the last */
    double gamma;          /* STEP: factor at each drop … */
    uint32_t drops;        /* … which lie evenly: after total * i / (drops + 1) steps */
    double rise;           /* ONECYCLE: share of the steps that go up */
    double div, final_div; /* ONECYCLE: starts at lr / div, ends at lr / div / final_div */
    double momentum_low, momentum_high; /* ONECYCLE: goes against the rate; 0, 0: none */
} kn_schedule;

/* floor 0; gamma .1, two drops; torch's OneCycleLR: .3, 25, 1e4, momentum .85 … .95. */
kn_schedule kn_schedule_defaults(kn_schedule_kind kind, double lr);
/* "constant", "cosine", "step", "onecycle".  KEN_E_INVALID names the choices. */
KEN_CALL ken_status kn_schedule_named(kn_schedule_kind *out, const char *name);
const char *kn_schedule_name(kn_schedule_kind kind);

/* Of step 0 … total - 1; beyond the end as at its last step. */
double kn_schedule_lr(const kn_schedule *s, uint64_t step, uint64_t total);
/* Momentum at a step, or 0 where the schedule says nothing of it. */
double kn_schedule_momentum(const kn_schedule *s, uint64_t step, uint64_t total);

#endif
