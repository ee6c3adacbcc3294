/* cmd_check.c - is the collection whole? */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/open.h"
#include "cli/out.h"

#include <stdio.h>

typedef struct problems {
    cJSON *list; /* --json */
    size_t n;
} problems;

static void on_problem(const char *where, const char *what, void *cookie)
{
    problems *p = cookie;
    p->n++;
    if (!p->list) {
        printf("%s: %s\n", where, what);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cli_json_text(o, "where", where);
    cli_json_text(o, "what", what);
    cJSON_AddItemToArray(p->list, o);
}

static int report(problems *p, ken_status st)
{
    int ok = !st && !p->n;
    if (p->list) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddBoolToObject(o, "ok", ok);
        cJSON_AddItemToObject(o, "problems", p->list);
        cli_json_say(o);
    } else if (ok) {
        puts("ok");
    }
    return ok ? 0 : CLI_EXIT_COLLECTION;
}

static int check(const cli_args *a)
{
    ken *db = NULL;
    problems p = { 0 };
    if (a->n)
        return cli_misuse("check takes no argument %s", a->operands[0].text);
    int code = cli_open_collection(&db, TO_READ);
    if (code)
        return code;
    if (cli_out_mode() == OUT_JSON || cli_out_mode() == OUT_JSONL)
        p.list = cJSON_CreateArray();
    ken_status st = ken_check(db, on_problem, &p);
    if (st && st != KEN_E_CORRUPT) {
        cJSON_Delete(p.list);
        code = cli_complain(st, ABOUT_COLLECTION, NULL);
    } else {
        code = report(&p, st);
    }
    ken_close(db);
    return code;
}

const cli_cmd cli_cmd_check = {
    .name = "check",
    .args = "",
    .summary = "verify every invariant of the collection, slowly",
    .about = "Status 4 if anything is broken.",
    .examples = "ken check --json\t{\"ok\":true,\"problems\":[]}\n",
    .run = check,
};
