/* cmd_store.c - from one kind of store into another. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

static void say(const ken_copy_report *r)
{
    if (!cli_out_is_json()) {
        printf(
            "%llu items with %llu vectors: %llu copied, %llu were there already; both sides have checksum "
            "%s\n",
            (unsigned long long)r->items, (unsigned long long)r->vectors, (unsigned long long)r->copied,
            (unsigned long long)r->present, r->checksum);
        if (r->others)
            printf("%llu items are in the target alone\n", (unsigned long long)r->others);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "items", (double)r->items);
    cJSON_AddNumberToObject(o, "vectors", (double)r->vectors);
    cJSON_AddNumberToObject(o, "copied", (double)r->copied);
    cJSON_AddNumberToObject(o, "present", (double)r->present);
    cJSON_AddNumberToObject(o, "others", (double)r->others);
    cli_json_text(o, "checksum", r->checksum);
    cli_json_real(o, "seconds", r->seconds, 6);
    cli_json_say(o);
}

static int copy(const char *from, const char *to)
{
    ken_copy_options o = KEN_COPY_OPTIONS_INIT;
    ken_copy_report r = { 0 };
    o.wait = cli_opt_real(OPT_WAIT);
    if (o.wait <= 0)
        o.wait = -1; /* to the library 0 is the default, to the user it is none */
    o.progress = cli_progress();
    ken_status st = ken_copy(from, to, &o, &r);
    cli_progress_hide();
    if (!st)
        say(&r);
    if (st == KEN_E_CANCELED)
        cli_note("interrupted; what is copied is kept, the next run goes on from here");
    return st ? cli_complain(st, st == KEN_E_INVALID ? ABOUT_INPUT : ABOUT_COLLECTION, NULL) : 0;
}

static int run(const cli_args *a)
{
    if (a->n != 3 || strcmp(a->operands[0].text, "copy"))
        return cli_misuse("expects: ken store copy FROM TO");
    return copy(a->operands[1].text, a->operands[2].text);
}

const cli_cmd cli_cmd_store = {
    .name = "store",
    .args = "copy FROM TO",
    .summary = "copy a collection from one kind of store into another",
    .about =
        "FROM and TO are a collection's folder, sqlite:FOLDER, file:FOLDER, or\n"
        "milvus://[USER:PASSWORD@]HOST:PORT/COLLECTION[?NAME=VALUE&...].  Ids stay, no model is needed, "
        "and\n"
        "FROM is left as it is.  A copy that was cut short goes on where it stopped.  At the end every\n"
        "record and vector of both sides is read again, and their checksums must be equal; status 4 if\n"
        "they are not.\n\n"
        "For a server, tls=1 and ca=FILE go over TLS; shards, replicas, index (HNSW AUTOINDEX FLAT\n"
        "IVF_FLAT), metric (COSINE IP), m, ef_construction and nlist say how it is made there;\n"
        "consistency (Strong Session Bounded Eventually), ef and nprobe how it is searched; retry=SECONDS\n"
        "how long a server that is gone is waited for.",
    .examples =
        "ken store copy ~/Photos/.ken milvus://localhost:19530/photos\tto a server\n"
        "ken search \"two parrots\" --db here --store milvus://localhost:19530/photos\tand searched there\n"
        "ken store copy milvus://localhost:19530/photos sqlite:back\tand back\n"
        "ken store copy photos.ken 'milvus://db/photos?shards=4&replicas=2&consistency=Bounded'\ta large "
        "one\n",
    .run = run,
};
