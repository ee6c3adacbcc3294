/* cmd_build.c - build the search index of the collection. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <stdio.h>

static void say(const ken_stats *s, double seconds)
{
    if (cli_out_is_json()) {
        cJSON *o = cJSON_CreateObject();
        cli_json_text(o, "kind", s->kind);
        cJSON_AddNumberToObject(o, "n", (double)s->indexed);
        cli_json_real(o, "seconds", seconds, 6);
        cJSON_AddNumberToObject(o, "bytes", (double)s->index_bytes);
        cli_json_say(o);
    } else if (!cli_opt_on(OPT_QUIET))
        printf("%s over %llu vectors, %llu bytes, in %.1f s\n", s->kind,
               (unsigned long long)s->indexed, (unsigned long long)s->index_bytes, seconds);
}

static int build(const cli_args *a)
{
    ken *db = NULL;
    ken_build_options o = KEN_BUILD_OPTIONS_INIT;
    ken_stats stats = { 0 };
    const double start = cli_now();
    if (a->n)
        return cli_misuse("build takes no argument %s", a->operands[0].text);
    int code = cli_open_collection(&db, TO_WRITE);
    if (code)
        return code;
    o.kind = cli_opt(OPT_INDEX_KIND);
    o.progress = cli_progress();
    ken_status st = ken_build(db, &o);
    cli_progress_hide();
    if (!st)
        st = ken_get_stats(db, &stats);
    if (st == KEN_E_CANCELED) {
        cli_note("interrupted; the index is as it was");
        code = CLI_EXIT_INTERRUPTED;
    } else if (st)
        code = cli_complain(st, ABOUT_COLLECTION, NULL);
    else
        say(&stats, cli_now() - start);
    ken_close(db);
    return code;
}

const cli_cmd cli_cmd_build = {
    .name = "build",
    .args = "",
    .summary = "build the search index anew, or change its kind",
    .about =
        "`ken index` does it where the index has fallen behind by more than 5 %.  Small collections\n"
        "need none: every vector is compared.  The index holds no vectors, only codes and links; what\n"
        "it lacks is compared one by one, so that what was added a moment ago is found.",
    .examples = "ken build\twhat the collection's size asks for\n"
                "ken build --index HNSW32\tanother kind, from now on\n"
                "ken build --index Flat\tnone: compare with every vector\n",
    .run = build,
};
