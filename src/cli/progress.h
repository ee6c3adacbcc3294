/* progress.h - how far a long call has come, on standard error. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "ken.h"

/* A ken_progress_fn, as --progress asks; NULL if nothing is to be shown. */
ken_progress_fn cli_progress(void);
/* Take the bar off the screen, before a line is printed and when the work is over. */
void cli_progress_hide(void);

/* For loops of the program's own: start, then step with what is done.  Both cheap. */
typedef struct cli_steps {
    const char *stage, *unit;
    uint64_t total;
    double start, told;
} cli_steps;
void cli_steps_start(cli_steps *s, const char *stage, const char *unit, uint64_t total);
void cli_steps_tell(cli_steps *s, uint64_t done, const char *item);

double cli_now(void); /* seconds, monotonic */

#endif
