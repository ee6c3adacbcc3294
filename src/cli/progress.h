/* progress.h - how far a long call has come, on standard error. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "ken.h"

/* A ken_progress_fn, as --progress asks; NULL if nothing is to be shown. */
ken_progress_fn kn_progress(void);
/* Take the bar off the screen, before a line is printed and when the work is over. */
void kn_progress_hide(void);

/* For loops of the program's own: start, then step with what is done.  Both cheap. */
typedef struct kn_steps {
    const char *stage, *unit;
    uint64_t total;
    double start, told;
} kn_steps;
void kn_steps_start(kn_steps *s, const char *stage, const char *unit, uint64_t total);
void kn_steps_tell(kn_steps *s, uint64_t done, const char *item);

double kn_now(void); /* seconds, monotonic */

#endif
