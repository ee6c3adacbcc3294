/* eval_search.c - ken eval search: queries whose right answers are known, from a file of JSON lines. */
#include "cli/cmd_eval.h"

#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FILE = 1 << 28 };

typedef struct cases {
    ken *db;
    const char *file;
    ken_search_case *list;
    cli_query *queries;
    size_t n, list_cap, query_cap;
} cases;

static int refuse(const cases *c, size_t line, const char *why)
{
    return cli_misuse("%s: line %zu: %s", c->file, line, why);
}

/* The ids of "relevant", an array of paths or of "id:N". */
static int find_relevant(const cases *c, const cJSON *paths, size_t line, ken_search_case *out)
{
    const size_t n = cJSON_IsArray(paths) ? (size_t)cJSON_GetArraySize(paths) : 0;
    if (!n)
        return refuse(c, line, "expects \"relevant\":[\"path\", …], at least one");
    uint64_t *ids = cli_mem_new(n, sizeof *ids);
    out->relevant = ids;
    out->n_relevant = 0;
    for (const cJSON *p = paths->child; p; p = p->next) {
        if (!cJSON_IsString(p))
            return refuse(c, line, "a relevant one is no string");
        if (cli_find_item(c->db, p->valuestring, &ids[out->n_relevant++]))
            return cli_error("%s: line %zu: %s: not in the collection", c->file, line, p->valuestring);
    }
    return 0;
}

static int parse(cases *c, const char *text, size_t line, const ken_decode_options *d)
{
    cJSON *o = cJSON_Parse(text);
    const cJSON *query = cJSON_GetObjectItemCaseSensitive(o, "query");
    cli_query q = { 0 };
    ken_search_case one = { 0 };
    int code = cJSON_IsString(query) && *query->valuestring
                   ? 0
                   : refuse(c, line, "expects {\"query\":\"…\",\"relevant\":[…]}");
    if (!code)
        code = cli_query_parse(&q, (const char *const *)&query->valuestring, 1, d);
    if (!code)
        code = find_relevant(c, cJSON_GetObjectItemCaseSensitive(o, "relevant"), line, &one);
    one.terms = q.terms;
    one.n = q.n;
    c->list = cli_mem_room(c->list, c->n, &c->list_cap, sizeof *c->list);
    c->queries = cli_mem_room(c->queries, c->n, &c->query_cap, sizeof *c->queries);
    c->list[c->n] = one;
    c->queries[c->n++] = q;
    cJSON_Delete(o);
    return code;
}

static int read_cases(cases *c, const ken_decode_options *d)
{
    size_t len, number = 0;
    char *text = cli_read_file(c->file, MAX_FILE, &len);
    int code = text ? 0 : cli_error("%s: %s", c->file, strerror(errno));
    for (char *line = text, *end; !code && line < text + len; line = end + 1) {
        end = line + strcspn(line, "\n");
        *end = 0;
        number++;
        if (line[strspn(line, " \t\r")])
            code = parse(c, line, number, d);
    }
    cli_mem_free(text);
    return !code && !c->n ? cli_misuse("%s: no query in it", c->file) : code;
}

static void drop(cases *c)
{
    for (size_t i = 0; i < c->n; i++) {
        cli_mem_free((void *)(uintptr_t)c->list[i].relevant);
        cli_query_free(&c->queries[i]);
    }
    cli_mem_free(c->list);
    cli_mem_free(c->queries);
}

static void say(const ken_eval_search_report *r)
{
    cJSON *o = cJSON_CreateObject();
    if (cli_out_mode() != OUT_JSON && cli_out_mode() != OUT_JSONL) {
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
    cases c = { .file = cli_opt(OPT_QUERIES) };
    ken_decode_options d;
    ken_eval_search_report r;
    if (a->n != 1 || !c.file)
        return cli_misuse("eval search wants --queries FILE.jsonl, lines {\"query\",\"relevant\":[…]}");
    int code = cli_decode_options(&d);
    code = code ? code : cli_open_collection(&c.db, TO_READ);
    code = code ? code : read_cases(&c, &d);
    if (!code) {
        const ken_status st = ken_eval_search(c.db, c.list, c.n, cli_progress(), NULL, &r);
        code = st ? cli_complain(st, ABOUT_COLLECTION, NULL) : 0;
    }
    if (!code)
        say(&r);
    drop(&c);
    ken_close(c.db);
    return code;
}
