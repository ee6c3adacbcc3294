/* eval_search.c - ken eval search: queries whose right answers are known, from a file of JSON lines. */
#include "cli/cmd_eval.h"

#include "cli/cases.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <stdio.h>

static void say(const ken_eval_search_report *r)
{
    cJSON *o = cJSON_CreateObject();
    if (!cli_out_is_json()) {
        cJSON_Delete(o);
        printf("%llu queries: mAP %.4f, MRR %.4f; precision %.4f, recall %.4f, NDCG %.4f at 10\n",
               (unsigned long long)r->queries, r->map, r->mrr, r->precision[2], r->recall[2], r->ndcg[2]);
        printf("p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, %.1f queries a second\n", r->p50_ms, r->p95_ms,
               r->p99_ms, r->qps);
        return;
    }
    cJSON_AddNumberToObject(o, "queries", (double)r->queries);
    cli_eval_cuts(o, "precision", r->precision);
    cli_eval_cuts(o, "recall", r->recall);
    cli_eval_fraction(o, "map", r->map);
    cli_eval_fraction(o, "mrr", r->mrr);
    cli_eval_cuts(o, "ndcg", r->ndcg);
    cli_json_real(o, "p50_ms", r->p50_ms, 4);
    cli_json_real(o, "p95_ms", r->p95_ms, 4);
    cli_json_real(o, "p99_ms", r->p99_ms, 4);
    cli_json_real(o, "qps", r->qps, 4);
    cli_json_say(o);
}

int cli_eval_search(const cli_args *a)
{
    cli_cases c = { .file = cli_opt(OPT_QUERIES) };
    ken_eval_search_report r;
    if (a->n != 1 || !c.file)
        return cli_misuse("eval search wants --queries FILE.jsonl, lines {\"query\",\"relevant\":[…]}");
    int code = cli_cases_open(&c);
    if (!code) {
        ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
        o.expand = cli_opt(OPT_EXPAND);
        o.where = cli_opt(OPT_WHERE);
        o.spaces = cli_opt(OPT_SPACES);
        o.fusion = cli_opt(OPT_FUSION);
        const ken_status st = ken_eval_search(c.db, c.list, c.n, &o, cli_progress(), NULL, &r);
        code = st ? cli_complain(st, ABOUT_COLLECTION, NULL) : 0;
    }
    if (!code)
        say(&r);
    cli_cases_close(&c);
    return code;
}
