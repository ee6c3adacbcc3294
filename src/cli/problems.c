/* problems.c - what a check found, as lines or as a list. */
#include "cli/problems.h"

#include "cli/cmd.h"
#include "cli/out.h"

#include <stdio.h>

void cli_problems_begin(cli_problems *p)
{
    const int json = cli_out_is_json();
    *p = (cli_problems){ .list = json ? cJSON_CreateArray() : NULL };
}

void cli_problem(const char *where, const char *what, void *cookie)
{
    cli_problems *p = cookie;
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

int cli_problems_say(cli_problems *p, ken_status st)
{
    const int ok = !st && !p->n;
    if (p->list) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddBoolToObject(o, "ok", ok);
        cJSON_AddItemToObject(o, "problems", p->list);
        p->list = NULL;
        cli_json_say(o);
    } else if (ok) {
        puts("ok");
    }
    return ok ? 0 : CLI_EXIT_COLLECTION;
}
