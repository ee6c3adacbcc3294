/* cases.c - see cases.h. */
#include "cli/cases.h"

#include "cli/mem.h"
#include "cli/open.h"
#include "cli/paths.h"
#include "cli/say.h"

#include <errno.h>
#include <string.h>

enum { MAX_FILE = 1 << 28 };

static int refuse(const cli_cases *c, size_t line, const char *why)
{
    return cli_misuse("%s: line %zu: %s", c->file, line, why);
}

/* The ids of "relevant", an array of paths or of "id:N". */
static int find_relevant(const cli_cases *c, const cJSON *paths, size_t line, ken_search_case *out)
{
    const size_t n = cJSON_IsArray(paths) ? (size_t)cJSON_GetArraySize(paths) : 0;
    if (!n && !(c->may_lack && cJSON_IsArray(paths)))
        return refuse(c, line, "expects \"relevant\":[\"path\", …], at least one");
    uint64_t *ids = cli_mem_new(n + 1, sizeof *ids);
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

/* A query is what `ken search` takes as its one argument, or an array of them. */
static int parse_query(const cli_cases *c, const cJSON *query, size_t line, const ken_decode_options *d,
                       cli_query *q)
{
    const int many = cJSON_IsArray(query);
    const size_t n = many ? (size_t)cJSON_GetArraySize(query) : 1;
    const char **args = cli_mem_new(n + 1, sizeof *args);
    size_t i = 0;
    int code = n ? 0 : -1;
    for (const cJSON *e = many ? query->child : query; !code && i < n; e = e->next) {
        code = cJSON_IsString(e) && *e->valuestring ? 0 : -1;
        args[i++] = code ? "" : e->valuestring;
    }
    if (code)
        code = refuse(c, line, "expects {\"query\":\"…\",\"relevant\":[…]}");
    else
        code = cli_query_parse(q, args, n, d);
    cli_mem_free(args);
    return code;
}

static int parse(cli_cases *c, const char *text, size_t line, const ken_decode_options *d)
{
    cJSON *o = cJSON_Parse(text);
    cli_query q = { 0 };
    ken_search_case one = { 0 };
    int code = parse_query(c, cJSON_GetObjectItemCaseSensitive(o, "query"), line, d, &q);
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

static int read_cases(cli_cases *c, const ken_decode_options *d)
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

int cli_cases_open(cli_cases *c)
{
    ken_decode_options d;
    int code = cli_decode_options(&d);
    code = code ? code : cli_open_collection(&c->db, TO_READ);
    return code ? code : read_cases(c, &d);
}

void cli_cases_close(cli_cases *c)
{
    for (size_t i = 0; i < c->n; i++) {
        cli_mem_free((void *)(uintptr_t)c->list[i].relevant);
        cli_query_free(&c->queries[i]);
    }
    cli_mem_free(c->list);
    cli_mem_free(c->queries);
    ken_close(c->db);
}
