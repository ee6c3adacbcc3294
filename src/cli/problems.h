/* problems.h - what `ken check` and `ken ann check` found. */
#ifndef CLI_PROBLEMS_H
#define CLI_PROBLEMS_H

#include "cli/json.h"
#include "ken.h"

typedef struct cli_problems {
    cJSON *list; /* with --json or --jsonl, until it is said; else NULL */
    size_t n;
} cli_problems;

void cli_problems_begin(cli_problems *p);
/* A ken_problem_fn; cookie: a cli_problems.  Prints the problem, or keeps it for the list. */
void cli_problem(const char *where, const char *what, void *cookie);
/* {"ok","problems"}, or "ok" if there is none.  0, or CLI_EXIT_COLLECTION if st or any problem says that
 * something is broken. */
int cli_problems_say(cli_problems *p, ken_status st);

#endif
