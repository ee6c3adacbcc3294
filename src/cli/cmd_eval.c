/* cmd_eval.c - how well a model recognises. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/list.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

enum { CONFUSIONS = 20 };

static void fraction(cJSON *o, const char *name, double v)
{
    if (v < 0)
        cJSON_AddNullToObject(o, name); /* not asked for */
    else
        cli_json_real(o, name, v, 6);
}

static void at_cuts(cJSON *o, const char *name, const double v[3])
{
    cJSON *cuts = cJSON_AddObjectToObject(o, name);
    fraction(cuts, "1", v[0]);
    fraction(cuts, "5", v[1]);
    fraction(cuts, "10", v[2]);
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
    fraction(o, "top1", r->top1);
    fraction(o, "top5", r->top5);
    fraction(o, "top10", r->top10);
    fraction(o, "map", r->map);
    fraction(o, "map_at_r", r->map_at_r);
    fraction(o, "mrr", r->mrr);
    fraction(o, "ndcg10", r->ndcg10);
    at_cuts(o, "precision", r->precision);
    at_cuts(o, "recall", r->recall);
    fraction(o, "auroc", r->auroc);
    fraction(o, "dir_at_fpir", r->dir_at_fpir);
    fraction(o, "ece", r->ece);
    fraction(o, "fpir", r->fpir);
    fraction(o, "model_dir", r->model_dir);
    fraction(o, "model_fpir", r->model_fpir);
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
    o->progress = cli_progress();
    return cli_decode_options(&o->decode);
}

static int evaluate(const cli_list *gallery, const cli_list *queries, const cli_list *unknown)
{
    cli_model m;
    ken_eval_options o;
    ken_eval_report r = { 0 };
    int code = eval_options(&o);
    if (code || (code = cli_open_model(&m)))
        return code;
    ken_labelled g = cli_list_view(gallery), q = cli_list_view(queries), u = cli_list_view(unknown);
    cJSON *confusions = cJSON_CreateArray();
    o.confusion = note_confusion;
    o.cookie = confusions;
    ken_status st = ken_eval_recognize(m.model, &g, &q, &u, &o, &r);
    cli_progress_hide();
    const int json = !st && (cli_out_mode() == OUT_JSON || cli_out_mode() == OUT_JSONL);
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

static int recognize(void)
{
    const char *gallery = cli_opt(OPT_GALLERY), *queries = cli_opt(OPT_QUERIES);
    const char *unknown = cli_opt(OPT_UNKNOWN), *root = cli_opt(OPT_ROOT);
    cli_list g = { 0 }, q = { 0 }, u = { 0 };
    if (!gallery || !queries)
        return cli_misuse("eval recognize needs --gallery LIST and --queries LIST");
    int code = cli_list_read(&g, gallery, root);
    if (!code)
        code = cli_list_read(&q, queries, root);
    if (!code && unknown)
        code = cli_list_read(&u, unknown, root);
    if (!code)
        code = evaluate(&g, &q, &u);
    cli_list_free(&g);
    cli_list_free(&q);
    cli_list_free(&u);
    return code;
}

static int run(const cli_args *a)
{
    if (a->n != 1 || strcmp(a->operands[0].text, "recognize"))
        return cli_misuse("eval what?  `ken eval recognize`");
    return recognize();
}

const cli_cmd cli_cmd_eval = {
    .name = "eval",
    .args = "recognize --gallery LIST --queries LIST",
    .summary = "how well a model recognises objects",
    .about =
        "Answers each query with the label of the nearest picture of the gallery.  A LIST is a\n"
        "CSV file path,label (a first line with these words is a header), or a folder with\n"
        "one sub-folder a label.  Every score is a fraction from 0 to 1.",
    .examples = "ken eval recognize -m M --gallery train.csv --queries val.csv\ttop-1, top-5, mAP\n"
                "ken eval recognize -m M --gallery refs/ --queries shots/ --refs 3\tfew-shot\n",
    .run = run,
};
