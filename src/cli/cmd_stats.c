/* cmd_stats.c - counts and sizes of a collection. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"

#include <stdio.h>

static int space_json(const char *name, const ken_stats *s, void *cookie)
{
    cJSON *o = cJSON_CreateObject();
    cli_json_text(o, "name", name);
    cJSON_AddNumberToObject(o, "items", (double)s->items);
    cJSON_AddNumberToObject(o, "vectors", (double)s->vectors);
    cJSON_AddNumberToObject(o, "bytes", (double)s->bytes);
    cli_json_text(o, "model", s->model);
    cJSON_AddNumberToObject(o, "dim", s->dim);
    cli_json_text(o, "fingerprint", s->fingerprint);
    cJSON_AddItemToArray(cookie, o);
    return 0;
}

static int space_text(const char *name, const ken_stats *s, void *cookie)
{
    (void)cookie;
    printf("space       %s: %llu items, %llu vectors of %u numbers, model %s\n", name,
           (unsigned long long)s->items, (unsigned long long)s->vectors, s->dim, s->model);
    return 0;
}

static ken_status stats_json(ken *db, const ken_stats *s)
{
    cJSON *o = cJSON_CreateObject(), *ix = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "items", (double)s->items);
    cJSON_AddNumberToObject(o, "objects", (double)s->objects);
    cJSON_AddNumberToObject(o, "vectors", (double)s->vectors);
    cJSON_AddNumberToObject(o, "bytes", (double)s->bytes);
    cli_json_text(o, "model", s->model);
    cli_json_text(o, "precision", s->precision);
    cli_json_text(ix, "kind", s->kind);
    cJSON_AddNumberToObject(ix, "n", (double)s->indexed);
    cJSON_AddNumberToObject(ix, "pending", (double)s->pending);
    cJSON_AddNumberToObject(ix, "dead", (double)s->dead);
    cJSON_AddBoolToObject(ix, "stale", s->stale);
    cJSON_AddItemToObject(o, "index", ix);
    cli_json_text(o, "store", s->store);
    cJSON_AddNumberToObject(o, "hidden", (double)s->hidden);
    cJSON_AddNumberToObject(o, "dim", s->dim);
    cli_json_text(o, "fingerprint", s->fingerprint);
    const ken_status st = ken_spaces(db, space_json, cJSON_AddArrayToObject(o, "spaces"));
    if (st)
        cJSON_Delete(o);
    else
        cli_json_say(o);
    return st;
}

static ken_status stats_text(ken *db, const ken_stats *s)
{
    char *dir = cli_collection_dir();
    printf("collection  %s (%s)\n", dir, s->store);
    printf("items       %llu", (unsigned long long)s->items);
    if (s->hidden)
        printf(", %llu of them hidden", (unsigned long long)s->hidden);
    printf("\nobjects     %llu\n", (unsigned long long)s->objects);
    printf("vectors     %llu of %u numbers\n", (unsigned long long)s->vectors, s->dim);
    printf("bytes       %llu\n", (unsigned long long)s->bytes);
    printf("model       %s, %s\n", *s->model ? s->model : "-", *s->precision ? s->precision : "-");
    printf("index       %s, %llu in it, %llu pending, %llu dead%s\n", s->kind,
           (unsigned long long)s->indexed, (unsigned long long)s->pending,
           (unsigned long long)s->dead, s->stale ? ", stale" : "");
    cli_mem_free(dir);
    return ken_spaces(db, space_text, NULL);
}

static int stats(const cli_args *a)
{
    ken *db = NULL;
    ken_stats s = { 0 };
    if (a->n)
        return cli_misuse("stats takes no argument %s", a->operands[0].text);
    int code = cli_open_collection(&db, TO_READ);
    if (code)
        return code;
    ken_status st = ken_get_stats(db, &s);
    if (!st)
        st = cli_out_is_json() ? stats_json(db, &s) : stats_text(db, &s);
    if (st)
        code = cli_complain(st, ABOUT_COLLECTION, NULL);
    ken_close(db);
    return code;
}

const cli_cmd cli_cmd_stats = {
    .name = "stats",
    .args = "",
    .summary = "counts, sizes, model and index of the collection",
    .examples = "ken stats --json\tfor a script\n",
    .run = stats,
};
