/* eval_few.c - few-shot protocols: ken eval episodes and ken eval omniglot-runs. */
#include "cli/cmd_eval.h"

#include "cli/list.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- episodes ---- */

/* --queries is a number here, and a list elsewhere. */
static int queries_option(uint32_t *out)
{
    const char *s = cli_opt(OPT_QUERIES);
    char *end;
    *out = 0;
    if (!s)
        return 0;
    errno = 0;
    const long n = strtol(s, &end, 10);
    if (*end || errno || n < 1 || n > 10000)
        return cli_misuse("--queries %s: expects a number of queries a class", s);
    *out = (uint32_t)n;
    return 0;
}

static int read_data(cli_list *all, const cli_args *a)
{
    const char *root = cli_opt(OPT_ROOT), *exclude = cli_opt(OPT_EXCLUDE);
    int code = 0;
    for (size_t i = 1; !code && i < a->n; i++) {
        cli_list one = { 0 };
        code = cli_list_read(&one, a->operands[i].text, root);
        cli_list_join(all, &one);
    }
    if (!code && exclude) {
        cli_list out = { 0 };
        code = cli_list_read(&out, exclude, root);
        if (!code)
            cli_list_exclude(all, &out);
        cli_list_free(&out);
    }
    return code;
}

static void say_episodes(const ken_episode_report *r)
{
    if (!cli_out_is_json()) {
        printf("accuracy %.4f +- %.4f, %llu episodes, %llu classes\n", r->accuracy, r->ci95,
               (unsigned long long)r->episodes, (unsigned long long)r->classes);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cli_json_real(o, "accuracy", r->accuracy, 6);
    cli_json_real(o, "ci95", r->ci95, 6);
    cJSON_AddNumberToObject(o, "episodes", (double)r->episodes);
    cJSON_AddNumberToObject(o, "classes", (double)r->classes);
    cli_json_say(o);
}

static int run_episodes(const cli_list *data, ken_episode_options *o)
{
    cli_model m;
    ken_episode_report r;
    const ken_labelled l = cli_list_view(data);
    int code = cli_open_model(&m);
    if (code)
        return code;
    o->progress = cli_progress();
    ken_status st = ken_eval_episodes(m.model, &l, o, &r);
    cli_progress_hide();
    if (st)
        code = cli_complain(st, ABOUT_INPUT, NULL);
    else
        say_episodes(&r);
    cli_close_model(&m);
    return code;
}

int cli_eval_episodes(const cli_args *a)
{
    ken_episode_options o = KEN_EPISODE_OPTIONS_INIT;
    cli_list data = { 0 };
    if (a->n < 2)
        return cli_misuse("eval episodes needs DATA: a list, a folder, or a zip of folders");
    o.ways = (uint32_t)cli_opt_whole(OPT_WAYS);
    o.shots = (uint32_t)cli_opt_whole(OPT_SHOTS);
    o.episodes = (uint32_t)cli_opt_whole(OPT_EPISODES);
    o.seed = (uint64_t)cli_opt_whole(OPT_SEED);
    int code = queries_option(&o.queries);
    code = code ? code : cli_decode_options(&o.decode);
    code = code ? code : read_data(&data, a);
    if (!code && !data.n)
        code = cli_error("no pictures are left");
    if (!code)
        code = run_episodes(&data, &o);
    cli_list_free(&data);
    return code;
}

/* ---- omniglot-runs ---- */

static void say_runs(const ken_runs_report *r)
{
    if (!cli_out_is_json()) {
        printf("error %.4f, %llu trials in %llu runs\n", r->error, (unsigned long long)r->trials,
               (unsigned long long)r->runs);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cli_json_real(o, "error", r->error, 6);
    cJSON_AddNumberToObject(o, "trials", (double)r->trials);
    cJSON_AddNumberToObject(o, "runs", (double)r->runs);
    cli_json_say(o);
}

int cli_eval_omniglot_runs(const cli_args *a)
{
    cli_model m = { 0 };
    ken_decode_options d;
    ken_runs_report r;
    if (a->n != 2)
        return cli_misuse("eval omniglot-runs needs the folder with run01, run02 ...");
    int code = cli_decode_options(&d);
    if (!code && !cli_opt(OPT_BASELINE))
        code = cli_open_model(&m);
    if (code)
        return code;
    ken_status st = ken_eval_omniglot_runs(m.model, a->operands[1].text, &d, cli_progress(), NULL, &r);
    cli_progress_hide();
    if (st)
        code = cli_complain(st, ABOUT_INPUT, NULL);
    else
        say_runs(&r);
    cli_close_model(&m);
    return code;
}
