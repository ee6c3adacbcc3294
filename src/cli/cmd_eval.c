/* cmd_eval.c - how well a model recognises. */
#include "cli/cmd_eval.h"

#include "cli/json.h"
#include "cli/list.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

enum { CONFUSIONS = 20 };

void cli_eval_fraction(cJSON *o, const char *name, double v)
{
    if (v < 0)
        cJSON_AddNullToObject(o, name); /* not asked for */
    else
        cli_json_real(o, name, v, 6);
}

void cli_eval_cuts(cJSON *o, const char *name, const double v[3])
{
    cJSON *cuts = cJSON_AddObjectToObject(o, name);
    cli_eval_fraction(cuts, "1", v[0]);
    cli_eval_fraction(cuts, "5", v[1]);
    cli_eval_fraction(cuts, "10", v[2]);
}

/* {"truth","answer","count"}, those that were told. */
static int note_confusion(const char *truth, const char *answer, uint64_t count, void *cookie)
{
    cJSON *list = cookie, *o = cJSON_CreateObject();
    cli_json_path(o, "truth", truth);
    cli_json_path(o, "answer", answer);
    cJSON_AddNumberToObject(o, "count", (double)count);
    cJSON_AddItemToArray(list, o);
    return cJSON_GetArraySize(list) >= CONFUSIONS;
}

/* confusions is consumed. */
static void say_json(const ken_eval_report *r, cJSON *confusions)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "queries", (double)r->queries);
    cJSON_AddNumberToObject(o, "objects", (double)r->objects);
    cli_eval_fraction(o, "top1", r->top1);
    cli_eval_fraction(o, "top5", r->top5);
    cli_eval_fraction(o, "top10", r->top10);
    cli_eval_fraction(o, "map", r->map);
    cli_eval_fraction(o, "map_at_r", r->map_at_r);
    cli_eval_fraction(o, "mrr", r->mrr);
    cli_eval_fraction(o, "ndcg10", r->ndcg10);
    cli_eval_cuts(o, "precision", r->precision);
    cli_eval_cuts(o, "recall", r->recall);
    cli_eval_fraction(o, "auroc", r->auroc);
    cli_eval_fraction(o, "dir_at_fpir", r->dir_at_fpir);
    cli_eval_fraction(o, "ece", r->ece);
    cli_eval_fraction(o, "fpir", r->fpir);
    cli_eval_fraction(o, "model_dir", r->model_dir);
    cli_eval_fraction(o, "model_fpir", r->model_fpir);
    cJSON_AddItemToObject(o, "confusions", confusions);
    cli_json_real(o, "seconds", r->seconds, 6);
    cli_json_say(o);
}

static void say_text(const ken_eval_report *r)
{
    printf("queries  %llu of %llu objects, in %.1f s\n", (unsigned long long)r->queries,
           (unsigned long long)r->objects, r->seconds);
    printf("top1     %.4f\ntop5     %.4f\ntop10    %.4f\n", r->top1, r->top5, r->top10);
    printf("mAP      %.4f\nMRR      %.4f\nNDCG@10  %.4f\n", r->map, r->mrr, r->ndcg10);
    printf("mAP@R    %.4f\nP@5      %.4f\nrecall@5 %.4f\n", r->map_at_r, r->precision[1], r->recall[1]);
    if (r->auroc >= 0)
        printf("AUROC    %.4f\nDIR      %.4f at FPIR %g\nECE      %.4f\n", r->auroc, r->dir_at_fpir,
               r->fpir, r->ece);
    if (r->model_fpir >= 0)
        printf("by the model's own threshold: DIR %.4f, FPIR %.4f\n", r->model_dir, r->model_fpir);
}

static int eval_options(ken_eval_options *o)
{
    *o = (ken_eval_options)KEN_EVAL_OPTIONS_INIT;
    o->refs = (uint32_t)cli_opt_whole(OPT_REFS);
    if (cli_opt(OPT_CROPS))
        o->crops = cli_opt_whole(OPT_CROPS) ? (int)cli_opt_whole(OPT_CROPS) : -1;
    if (cli_opt(OPT_LOOKS))
        o->looks = cli_opt_whole(OPT_LOOKS) ? (int)cli_opt_whole(OPT_LOOKS) : -1;
    if (cli_opt(OPT_FPIR)) {
        o->fpir = cli_opt_real(OPT_FPIR);
        if (!(o->fpir > 0 && o->fpir < 1))
            return cli_misuse("--fpir %s: expects a share between 0 and 1", cli_opt(OPT_FPIR));
    }
    if (cli_opt(OPT_PART)) {
        o->part = cli_opt_real(OPT_PART);
        if (!(o->part > 0 && o->part <= 1))
            return cli_misuse("--part %s: expects a number up to 1", cli_opt(OPT_PART));
    }
    o->progress = cli_progress();
    return cli_decode_options(&o->decode);
}

/* The three lists of --gallery, --queries and --unknown. */
typedef struct lists {
    cli_list gallery, queries, unknown;
} lists;

static void free_lists(lists *l)
{
    cli_list_free(&l->gallery);
    cli_list_free(&l->queries);
    cli_list_free(&l->unknown);
}

static int read_lists(lists *l, const char *what)
{
    const char *gallery = cli_opt(OPT_GALLERY), *queries = cli_opt(OPT_QUERIES);
    const char *unknown = cli_opt(OPT_UNKNOWN), *root = cli_opt(OPT_ROOT);
    *l = (lists){ 0 };
    if (!gallery || !queries)
        return cli_misuse("eval %s needs --gallery LIST and --queries LIST", what);
    int code = cli_list_read(&l->gallery, gallery, root);
    if (!code)
        code = cli_list_read(&l->queries, queries, root);
    if (!code && unknown)
        code = cli_list_read(&l->unknown, unknown, root);
    return code;
}

static int run_recognize(const lists *l)
{
    cli_model m;
    ken_eval_options o;
    ken_eval_report r = { 0 };
    int code = eval_options(&o);
    if (code || (code = cli_open_model(&m)))
        return code;
    const ken_labelled g = cli_list_view(&l->gallery), q = cli_list_view(&l->queries),
                       u = cli_list_view(&l->unknown);
    cJSON *confusions = cJSON_CreateArray();
    o.confusion = note_confusion;
    o.cookie = confusions;
    ken_status st = ken_eval_recognize(m.model, &g, &q, &u, &o, &r);
    cli_progress_hide();
    const int json = !st && cli_out_is_json();
    if (st)
        code = cli_complain(st, ABOUT_INPUT, NULL);
    else if (json)
        say_json(&r, confusions);
    else
        say_text(&r);
    if (!json)
        cJSON_Delete(confusions);
    cli_close_model(&m);
    return code;
}

static int recognize(const cli_args *a)
{
    lists l;
    int code = a->n == 1 ? read_lists(&l, "recognize")
                         : cli_misuse("eval recognize takes its lists by flags");
    if (a->n != 1)
        return code;
    if (!code)
        code = run_recognize(&l);
    free_lists(&l);
    return code;
}

/* ---- calibrate ---- */

static void say_calibration(const ken_calibration *c, const char *path)
{
    if (!cli_out_is_json()) {
        printf("%llu queries, %llu unknown, %llu objects, %u crops\n", (unsigned long long)c->queries,
               (unsigned long long)c->unknown, (unsigned long long)c->objects, c->crops);
        printf("ECE      %.4f before, %.4f after\n", c->ece_before, c->ece_after);
        printf("at FPIR %g the evidence must reach %.3f among 1000 objects, %.3f among 10^6\n", c->fpir,
               c->threshold[0], c->threshold[3]);
        printf("written  %s\n", path);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "queries", (double)c->queries);
    cJSON_AddNumberToObject(o, "unknown", (double)c->unknown);
    cJSON_AddNumberToObject(o, "objects", (double)c->objects);
    cJSON_AddNumberToObject(o, "crops", c->crops);
    cJSON_AddNumberToObject(o, "looks", c->looks);
    cli_json_real(o, "ece_before", c->ece_before, 6);
    cli_json_real(o, "ece_after", c->ece_after, 6);
    cJSON_AddItemToObject(o, "weights", cJSON_CreateDoubleArray(c->weights, 5));
    cJSON_AddItemToObject(o, "scores", cJSON_CreateDoubleArray(c->scores, 2));
    cli_json_real(o, "fpir", c->fpir, 6);
    cJSON_AddItemToObject(o, "threshold", cJSON_CreateDoubleArray(c->threshold, 4));
    cli_json_real(o, "power", c->power, 6);
    cli_json_real(o, "shape", c->shape, 6);
    cli_json_path(o, "path", path);
    cli_json_say(o);
}

static int run_calibrate(const lists *l, const char *path)
{
    cli_model m;
    ken_eval_options o;
    ken_calibration c;
    int code = eval_options(&o);
    if (code || (code = cli_open_model(&m)))
        return code;
    const ken_labelled g = cli_list_view(&l->gallery), q = cli_list_view(&l->queries),
                       u = cli_list_view(&l->unknown);
    ken_status st = ken_calibrate(m.model, &g, &q, &u, &o, path, &c);
    cli_progress_hide();
    if (st)
        code = cli_complain(st, ABOUT_INPUT, NULL);
    else
        say_calibration(&c, path);
    cli_close_model(&m);
    return code;
}

static int calibrate(const cli_args *a)
{
    lists l;
    const char *path = cli_opt(OPT_MODEL_OUT);
    if (a->n != 1 || !path || !cli_opt(OPT_UNKNOWN))
        return cli_misuse("eval calibrate needs --gallery, --queries and --unknown LIST, and -o FILE");
    int code = read_lists(&l, "calibrate");
    if (!code)
        code = run_calibrate(&l, path);
    free_lists(&l);
    return code;
}

/* ---- the command ---- */

static int run(const cli_args *a)
{
    const char *what = a->n ? a->operands[0].text : "";
    if (!strcmp(what, "recognize"))
        return recognize(a);
    if (!strcmp(what, "search"))
        return cli_eval_search(a);
    if (!strcmp(what, "relevance"))
        return cli_eval_relevance(a);
    if (!strcmp(what, "calibrate"))
        return calibrate(a);
    if (!strcmp(what, "episodes"))
        return cli_eval_episodes(a);
    if (!strcmp(what, "omniglot-runs"))
        return cli_eval_omniglot_runs(a);
    return cli_misuse("eval what?  recognize, search, relevance, calibrate, episodes or omniglot-runs");
}

const cli_cmd cli_cmd_eval = {
    .name = "eval",
    .args = "(recognize | search | relevance | calibrate | episodes DATA... | omniglot-runs DIR)",
    .summary = "how well a model recognises, and a collection answers",
    .about =
        "recognize answers each query with the label whose best reference is nearest.  A LIST is a\n"
        "CSV file path,label (a first line with these words is a header), a folder with one\n"
        "sub-folder a label, or a zip of such folders.  Every score is a fraction from 0 to 1.\n\n"
        "search asks a collection (--db) queries whose answers are known: --queries FILE.jsonl, lines\n"
        "{\"query\": as `ken search` takes it, or an array of such arguments, \"relevant\": [paths]}.\n\n"
        "calibrate fits, on pictures that neither training nor testing sees, what `ken recognize`\n"
        "needs to say how sure it is and what is unknown, and writes it into a copy of the model.\n\n"
        "relevance fits what `ken search --min auto` needs, from such lines, some of which say\n"
        "\"relevant\": [] because nothing answers them, and writes it into a copy of the model.\n\n"
        "episodes draws classes, their pictures to be shown and their queries anew each time.\n"
        "omniglot-runs compares within the runs of Lake's one-shot classification: folders run01,\n"
        "run02 ... with class_labels.txt, a line \"test_file train_file\" a trial.",
    .examples =
        "ken eval recognize -m M --gallery train.csv --queries val.csv\ttop-1, top-5, mAP\n"
        "ken eval recognize -m M --gallery refs/ --queries shots/ --refs 3\tfew-shot\n"
        "ken eval search --db photos.ken --queries known.jsonl\tprecision, recall, mAP, milliseconds\n"
        "ken eval relevance --db toys.ken --queries known.jsonl -o M2\tM2 knows when nothing answers\n"
        "ken eval calibrate -m M --gallery g --queries q --unknown u -o M2\tM2 knows what it knows\n"
        "ken eval episodes small2.zip --exclude small1.zip -m M\t20-way 1-shot\n"
        "ken eval omniglot-runs all_runs/ --baseline mhd\t38.8 % error on Lake's runs\n",
    .run = run,
};
