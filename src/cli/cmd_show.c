/* cmd_show.c - what is known of an item. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"

#include <stdio.h>
#include <time.h>

static cJSON *to_json(const ken_record *r)
{
    cJSON *o = cJSON_CreateObject(), *size = cJSON_CreateArray();
    cli_json_id(o, "id", r->id);
    cli_json_path(o, "path", r->path);
    cli_json_text(o, "object", r->object);
    cli_json_text(o, "kind", r->kind);
    cJSON_AddItemToArray(size, cJSON_CreateNumber(r->width));
    cJSON_AddItemToArray(size, cJSON_CreateNumber(r->height));
    cJSON_AddItemToObject(o, "size", size);
    cli_json_time(o, "mtime", r->mtime_ns);
    cli_json_text(o, "hash", r->hash);
    cli_json_time(o, "added", r->added_ns);
    cli_json_text(o, "model", r->model);
    cJSON *meta = r->meta ? cJSON_Parse(r->meta) : NULL;
    cJSON_AddItemToObject(o, "meta", meta ? meta : cJSON_CreateNull());
    cJSON_AddBoolToObject(o, "hidden", r->hidden);
    return o;
}

static void print_time(const char *name, int64_t ns)
{
    char text[40];
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    if (localtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm))
        printf("%-8s %s\n", name, text);
}

static void print_record(const ken_record *r)
{
    char *shown = cli_path_shown(r->path);
    printf("id       %llu\npath     %s\n", (unsigned long long)r->id, shown);
    if (r->object)
        printf("object   %s\n", r->object);
    printf("size     %ux%u, %llu bytes\n", r->width, r->height, (unsigned long long)r->bytes);
    print_time("changed", r->mtime_ns);
    print_time("added", r->added_ns);
    printf("hash     %s\nmodel    %s\n", r->hash, r->model ? r->model : "-");
    if (r->meta)
        printf("meta     %s\n", r->meta);
    if (r->hidden)
        puts("hidden   the file has vanished");
    cli_mem_free(shown);
}

static int show_all(ken *db, const cli_args *a)
{
    cli_mode mode = cli_out_mode();
    cJSON *all = mode == OUT_JSON && a->n > 1 ? cJSON_CreateArray() : NULL;
    size_t shown = 0;
    for (size_t i = 0; i < a->n; i++) {
        uint64_t id;
        ken_record *r = NULL;
        ken_status st = cli_find_item(db, a->operands[i].text, &id);
        if (!st)
            st = ken_get(db, id, &r);
        if (st) {
            cli_tell(a->operands[i].text, ken_last_error());
            continue;
        }
        if (all)
            cJSON_AddItemToArray(all, to_json(r));
        else if (cli_out_is_json())
            cli_json_say(to_json(r));
        else
            print_record(r);
        shown++;
        ken_record_free(r);
    }
    if (all)
        cli_json_say(all);
    return shown == a->n ? 0 : shown ? CLI_EXIT_SOME : CLI_EXIT_NONE;
}

static int show(const cli_args *a)
{
    ken *db = NULL;
    if (!a->n)
        return cli_misuse("show what?  An id or a path");
    int code = cli_open_collection(&db, TO_READ);
    if (!code)
        code = show_all(db, a);
    ken_close(db);
    return code;
}

const cli_cmd cli_cmd_show = {
    .name = "show",
    .args = "(ID | PATH)...",
    .summary = "what is known of an item",
    .examples = "ken show 7\tby its id\n"
                "ken show ./a.jpg --json\tby its path\n",
    .run = show,
};
