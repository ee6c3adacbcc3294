/* cmd_check.c - is the collection whole? */
#include "cli/cmd.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/problems.h"

static int check(const cli_args *a)
{
    ken *db = NULL;
    cli_problems p;
    if (a->n)
        return cli_misuse("check takes no argument %s", a->operands[0].text);
    int code = cli_open_collection(&db, TO_READ);
    if (code)
        return code;
    cli_problems_begin(&p);
    ken_status st = ken_check(db, cli_problem, &p);
    if (st && st != KEN_E_CORRUPT) {
        cJSON_Delete(p.list);
        code = cli_complain(st, ABOUT_COLLECTION, NULL);
    } else {
        code = cli_problems_say(&p, st);
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
