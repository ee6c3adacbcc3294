/* cmd_dups.c - pictures that are nearly the same. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"
#include "cli/progress.h"

#include <stdio.h>

typedef struct found {
    ken *db;
    cJSON *groups; /* --json */
    cJSON *group;  /* the one that is being told */
    size_t number, n;
} found;

/* A group is complete. */
static void flush(found *f)
{
    if (f->group && f->groups)
        cJSON_AddItemToArray(f->groups, f->group);
    else if (f->group)
        cli_json_say_line(f->group);
    f->group = NULL;
}

static int tell(size_t group, uint64_t id, float score, void *cookie)
{
    found *f = cookie;
    ken_record *r = NULL;
    const cli_mode mode = cli_out_mode();
    cli_progress_hide();
    if (ken_get(f->db, id, &r))
        return 0; /* removed since */
    const int json = cli_out_is_json(), fresh = !f->n++ || group != f->number;
    f->number = group;
    if (json && fresh) {
        flush(f);
        f->group = cJSON_CreateArray();
    }
    if (json) {
        cJSON *o = cJSON_CreateObject();
        cli_json_id(o, "id", id);
        cli_json_path(o, "path", r->path);
        cli_json_real(o, "score", (double)score, 6);
        cJSON_AddItemToArray(f->group, o);
    } else if (mode == OUT_CSV) {
        printf("%zu,%llu,%.6g,", group + 1, (unsigned long long)id, (double)score);
        cli_csv_field(r->path, '\n');
    } else {
        char *shown = cli_path_shown(r->path);
        if (fresh && group)
            putchar('\n');
        printf("%.4f\t%s\n", (double)score, shown);
        cli_mem_free(shown);
    }
    ken_record_free(r);
    return 0;
}

static int dups(const cli_args *a)
{
    found f = { 0 };
    ken_duplicates_options o = KEN_DUPLICATES_OPTIONS_INIT;
    if (a->n)
        return cli_misuse("dups takes no argument %s", a->operands[0].text);
    o.min = (float)cli_opt_real(OPT_MIN_RAW);
    if (cli_opt(OPT_MIN_RAW) && !(o.min > 0 && o.min <= 1))
        return cli_misuse("--min-raw %s: expects more than 0, up to 1", cli_opt(OPT_MIN_RAW));
    o.where = cli_opt(OPT_WHERE);
    o.progress = cli_progress();
    o.cookie = &f;
    int code = cli_open_collection(&f.db, TO_READ);
    if (code)
        return code;
    f.groups = cli_out_mode() == OUT_JSON ? cJSON_CreateArray() : NULL;
    if (cli_out_mode() == OUT_CSV)
        puts("group,id,score,path");
    ken_status st = ken_duplicates(f.db, &o, tell);
    cli_progress_hide();
    flush(&f);
    if (f.groups && !st)
        cli_json_say(f.groups);
    else
        cJSON_Delete(f.groups);
    code = st ? cli_complain(st, st == KEN_E_INVALID ? ABOUT_INPUT : ABOUT_COLLECTION, NULL) : 0;
    ken_close(f.db);
    return code ? code : f.n ? 0 : CLI_EXIT_NONE;
}

const cli_cmd cli_cmd_dups = {
    .name = "dups",
    .args = "",
    .summary = "pictures that are nearly the same, in groups",
    .about =
        "A group is what hangs together by cosines of at least --min-raw (0.97): copies in other sizes,\n"
        "qualities and formats.  The score is the cosine with the first of its group.  Status 1 if\n"
        "there are none.",
    .examples = "ken dups\ta blank line between groups\n"
                "ken dups --where 'taken>=2024' --json\t[[{\"id\", \"path\", \"score\"}, ...], ...]\n",
    .run = dups,
};
