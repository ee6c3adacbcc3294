/* eval_relevance.c - ken eval relevance: a model that knows when nothing answers. */
#include "cli/cmd_eval.h"

#include "cli/cases.h"
#include "cli/out.h"

#include <stdio.h>

static void say(const ken_relevance_report *r)
{
    if (!cli_out_is_json()) {
        printf("%llu queries, %llu of them without an answer: %.1f %% of the others are answered, %.1f %% of "
               "these are not\n",
               (unsigned long long)r->queries, (unsigned long long)r->nothing, 100 * r->answered,
               100 * r->silent);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "queries", (double)r->queries);
    cJSON_AddNumberToObject(o, "nothing", (double)r->nothing);
    cli_eval_fraction(o, "answered", r->answered);
    cli_eval_fraction(o, "silent", r->silent);
    cli_json_real(o, "floor", r->floor, 6);
    cli_json_real(o, "margin", r->margin, 6);
    cli_json_real(o, "strange", r->strange, 6);
    cli_json_real(o, "pictures", r->pictures, 6);
    cli_json_say(o);
}

int cli_eval_relevance(const cli_args *a)
{
    cli_cases c = { .file = cli_opt(OPT_QUERIES), .may_lack = 1 };
    const char *path = cli_opt(OPT_MODEL_OUT);
    ken_relevance_report r;
    if (a->n != 1 || !c.file || !path)
        return cli_misuse("eval relevance wants -o FILE and --queries FILE.jsonl, lines "
                          "{\"query\",\"relevant\":[…]}");
    int code = cli_cases_open(&c);
    if (!code) {
        const ken_status st = ken_fit_relevance(c.db, c.list, c.n, cli_opt_real(OPT_ANSWERED), path, &r);
        code = st ? cli_complain(st, ABOUT_COLLECTION, NULL) : 0;
    }
    if (!code)
        say(&r);
    cli_cases_close(&c);
    return code;
}
