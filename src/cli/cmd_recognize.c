/* cmd_recognize.c - which of the collection's objects pictures show. */
#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/resident.h"

#include <stdio.h>

enum { CHUNK = 32, MAX_CANDIDATES = 10000 };

typedef struct asked {
    ken *db;   /* NULL until it is needed */
    int there; /* 1: the resident process may answer; 0 as soon as it doesn't */
    cli_inputs in;
    ken_decode_options decode;
    ken_recognize_options o;
    cJSON *all; /* --json of several */
    size_t known, failed;
} asked;

/* ---- output ---- */

static void say_json(asked *q, const char *path, const ken_recognition *r)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_CreateArray();
    cli_json_path(o, "path", path);
    if (r->object)
        cli_json_path(o, "object", r->object);
    else
        cJSON_AddNullToObject(o, "object");
    cli_json_real(o, "confidence", r->confidence, 6);
    for (size_t i = 0; i < r->n; i++) {
        cJSON *one = cJSON_CreateObject();
        cli_json_path(one, "object", r->candidates[i].object);
        cli_json_real(one, "score", (double)r->candidates[i].score, 6);
        cli_json_real(one, "raw", (double)r->candidates[i].raw, 6);
        cli_json_real(one, "confidence", r->candidates[i].confidence, 6);
        cli_json_id(one, "id", r->candidates[i].id);
        cJSON_AddItemToArray(list, one);
    }
    cJSON_AddItemToObject(o, "candidates", list);
    if (q->all)
        cJSON_AddItemToArray(q->all, o);
    else
        cli_json_say(o);
}

static void say(asked *q, const char *path, const ken_recognition *r)
{
    const char *name = r->object ? r->object : "unknown";
    switch (cli_out_mode()) {
    case OUT_JSON:
    case OUT_JSONL:
        say_json(q, path, r);
        return;
    case OUT_CSV:
        cli_csv_field(path, ',');
        cli_csv_field(r->object ? r->object : "", ',');
        printf("%.6g\n", r->confidence);
        return;
    case OUT_PLAIN:
        printf("%s\t%s\t%.4f\n", path, name, r->confidence);
        return;
    case OUT_TABLE:
        break;
    }
    if (q->in.n > 1)
        printf("%s  ", path);
    printf("%s  %.2f\n", name, r->confidence);
    for (size_t i = 0; q->in.n == 1 && i < r->n; i++)
        printf("  %.2f  %.4f  %s\n", r->candidates[i].confidence, (double)r->candidates[i].score,
               r->candidates[i].object);
}

/* ---- the loop ---- */

static int recognize_there(asked *q, const cli_input *in)
{
    ken_recognition r;
    q->there = q->there && !cli_ask_recognize(in->image, &q->o, &r);
    if (!q->there)
        return -1;
    q->known += r.object != NULL;
    say(q, in->name, &r);
    cli_recognition_free(&r);
    return 0;
}

static ken_status recognize_here(asked *q, const cli_input *in)
{
    ken_recognition *r = NULL;
    ken_status st = ken_recognize(q->db, in->image, &q->o, &r);
    if (!st) {
        q->known += r->object != NULL;
        say(q, in->name, r);
    }
    ken_recognition_free(r);
    return st;
}

/* 0 or the exit status. */
static int recognize_one(asked *q, const cli_input *in)
{
    if (!recognize_there(q, in))
        return 0;
    int code = q->db ? 0 : cli_open_collection(&q->db, TO_READ);
    ken_status st = code ? KEN_OK : recognize_here(q, in);
    return st ? cli_complain(st, st == KEN_E_MODEL ? ABOUT_MODEL : ABOUT_COLLECTION, NULL) : code;
}

static int run_chunk(asked *q, size_t from, size_t to)
{
    int code = 0;
    for (size_t i = from; !code && i < to && !ken_interrupted(); i++) {
        const cli_input *in = &q->in.list[i];
        if (in->found && in->status == KEN_E_UNSUPPORTED)
            continue;
        if (in->status) {
            cli_tell(in->name, in->why);
            q->failed++;
        } else {
            code = recognize_one(q, in);
        }
    }
    return code;
}

static int run_all(asked *q)
{
    int code = 0;
    for (size_t from = 0; !code && from < q->in.n && !ken_interrupted();) {
        size_t to = from + CHUNK < q->in.n ? from + CHUNK : q->in.n;
        to = cli_inputs_decode(&q->in, from, to, &q->decode);
        code = run_chunk(q, from, to);
        cli_inputs_drop(&q->in, from, to);
        from = to;
    }
    return code ? code : ken_interrupted() ? CLI_EXIT_INTERRUPTED : 0;
}

static int recognize_options(ken_recognize_options *o)
{
    const long n = cli_opt_whole(OPT_NUMBER);
    *o = (ken_recognize_options)KEN_RECOGNIZE_OPTIONS_INIT;
    if (n < 1 || n > MAX_CANDIDATES)
        return cli_misuse("--number %ld: expects 1 to %d", n, MAX_CANDIDATES);
    o->k = (uint32_t)n;
    o->exact = cli_opt_on(OPT_EXACT);
    o->ef = (uint32_t)cli_opt_whole(OPT_ANN_EF);
    if (cli_opt(OPT_FPIR)) {
        o->fpir = cli_opt_real(OPT_FPIR);
        if (!(o->fpir > 0 && o->fpir < 1))
            return cli_misuse("--fpir %s: expects a share between 0 and 1", cli_opt(OPT_FPIR));
    }
    if (cli_opt(OPT_LOOKS))
        o->looks = cli_opt_whole(OPT_LOOKS) ? (int)cli_opt_whole(OPT_LOOKS) : -1;
    return 0;
}

static int run(const cli_args *a)
{
    asked q = { 0 };
    if (!a->n)
        return cli_misuse("no pictures");
    int code = recognize_options(&q.o);
    code = code ? code : cli_decode_options(&q.decode);
    code = code ? code : cli_inputs_collect(&q.in, a);
    const int ask = q.there = !code && cli_resident_wanted();
    if (!ask)
        code = code ? code : cli_open_collection(&q.db, TO_READ);
    if (!code && cli_out_mode() == OUT_JSON && q.in.n > 1)
        q.all = cJSON_CreateArray();
    if (!code && cli_out_mode() == OUT_CSV)
        puts("path,object,confidence");
    if (!code)
        code = run_all(&q);
    if (q.all && !code)
        cli_json_say(q.all);
    else
        cJSON_Delete(q.all);
    if (!code && (q.failed || q.in.unreadable))
        code = CLI_EXIT_SOME;
    if (ask && q.db && code != CLI_EXIT_COLLECTION && code != CLI_EXIT_MODEL)
        cli_resident_start();
    cli_inputs_free(&q.in);
    ken_close(q.db);
    return code ? code : q.known ? 0 : CLI_EXIT_NONE;
}

const cli_cmd cli_cmd_recognize = {
    .name = "recognize",
    .args = "FILE...",
    .summary = "which of the collection's objects a picture shows",
    .about =
        "Compares each picture with every reference of every object that `ken object add` taught.\n"
        "The number is the chance that the first is right.  A picture of none of them is answered\n"
        "with \"unknown\": --fpir sets which share of such pictures may be mistaken for a known\n"
        "object; the threshold rises with the number of objects.  Status 1 if every picture is\n"
        "unknown.",
    .examples = "ken recognize shelf.jpg\tbear  0.97\n"
                "ken recognize shots/ --jsonl\ta line a picture, with candidates\n"
                "ken recognize shelf.jpg --fpir 0.001\tbe sure\n",
    .run = run,
};
