/* cmd_eval.h - what the files of `ken eval` share. */
#ifndef CLI_CMD_EVAL_H
#define CLI_CMD_EVAL_H

#include "cli/cmd.h"
#include "cli/json.h"

/* A fraction; null if it is negative, which is "not asked for". */
void cli_eval_fraction(cJSON *o, const char *name, double v);

/* An object of the values at 1, 5 and 10. */
void cli_eval_cuts(cJSON *o, const char *name, const double v[3]);

int cli_eval_search(const cli_args *a);
int cli_eval_relevance(const cli_args *a);
int cli_eval_episodes(const cli_args *a);
int cli_eval_omniglot_runs(const cli_args *a);

#endif
