/* cmd_rm.c - forget items. */
#include "cli/cmd.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"

#include <stdio.h>

static void say_removed(size_t n)
{
    if (cli_out_is_json())
        printf("{\"removed\":%zu}\n", n);
    else
        cli_note("%zu removed from the collection; the files are untouched", n);
}

static int remove_all(ken *db, const cli_args *a)
{
    uint64_t *ids = cli_mem_new(a->n, sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        ken_record *r = NULL;
        ken_status st = cli_find_item(db, a->operands[i].text, &ids[n]);
        if (!st)
            st = ken_get(db, ids[n], &r);
        if (st)
            cli_tell(a->operands[i].text, ken_last_error());
        else
            n++;
        ken_record_free(r);
    }
    ken_status st = n ? ken_remove(db, ids, n) : KEN_OK;
    cli_mem_free(ids);
    if (st)
        return cli_complain(st, ABOUT_COLLECTION, NULL);
    say_removed(n);
    return n == a->n ? 0 : n ? CLI_EXIT_SOME : CLI_EXIT_NONE;
}

static int rm(const cli_args *a)
{
    ken *db = NULL;
    if (!a->n)
        return cli_misuse("remove what?  Ids or paths");
    int code = cli_open_collection(&db, TO_WRITE);
    if (!code)
        code = remove_all(db, a);
    ken_close(db);
    return code;
}

const cli_cmd cli_cmd_rm = {
    .name = "rm",
    .args = "(ID | PATH)...",
    .summary = "forget items; their files stay",
    .about = "The next `ken index` of their folder adds them again.",
    .examples = "ken rm 7 ./a.jpg\tby id or by path\n",
    .run = rm,
};
