/* progress.h - how far a long call has come: rate, end time, and the wish to stop. */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include "ken.h"

enum { KN_RATE_SLOTS = 32 };

typedef struct kn_meter {
    ken_progress p;
    ken_progress_fn fn; /* may be NULL */
    void *cookie;
    double start, told; /* clock seconds */
    double at[KN_RATE_SLOTS];       /* when … */
    uint64_t count[KN_RATE_SLOTS];  /* … so much was done: the last few seconds */
    unsigned slots;
} kn_meter;

/* Begin a stage.  stage and unit are borrowed for the life of m. */
void kn_meter_start(kn_meter *m, const char *stage, const char *unit, uint64_t total,
                    ken_progress_fn fn, void *cookie);
/* done is the new count.  KEN_E_CANCELED when fn or ken_interrupt() asks to stop. */
KEN_CALL ken_status kn_meter_tell(kn_meter *m, uint64_t done, const char *item);
/* Tell the last state, whenever it was told before. */
void kn_meter_end(kn_meter *m);

double kn_clock(void); /* seconds, monotonic */

/* KEN_E_CANCELED after ken_interrupt(). */
KEN_CALL ken_status kn_check_interrupt(void);

#endif
