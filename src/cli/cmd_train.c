/* cmd_train.c - train a network on labelled pictures. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/list.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

/* The sources of one set; lists are ours. */
typedef struct sources {
    ken_data *data;
    cli_list *lists;
    size_t n, data_cap, list_cap;
} sources;

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static int add(sources *s, const char *name)
{
    s->data = cli_mem_room(s->data, s->n, &s->data_cap, sizeof *s->data);
    s->lists = cli_mem_room(s->lists, s->n, &s->list_cap, sizeof *s->lists);
    s->data[s->n] = (ken_data){ .name = name };
    s->lists[s->n] = (cli_list){ 0 };
    if (!strncmp(name, "toys:", 5) || ends_with(name, ".zip")) {
        s->n++;
        return 0;
    }
    const int bad = cli_list_read(&s->lists[s->n], name, cli_opt(OPT_ROOT));
    s->data[s->n].name = NULL;
    s->data[s->n].list = cli_list_view(&s->lists[s->n]);
    s->n++;
    return bad;
}

static void drop(sources *s)
{
    for (size_t i = 0; i < s->n; i++)
        cli_list_free(&s->lists[i]);
    cli_mem_free(s->data);
    cli_mem_free(s->lists);
}

/* Several names with ':' between; toys come last. */
static int add_all(sources *s, char *names)
{
    int bad = 0;
    for (char *at = names; !bad && at && *at;) {
        char *end = strncmp(at, "toys:", 5) ? strchr(at, ':') : NULL;
        if (end)
            *end = 0;
        bad = add(s, at);
        at = end ? end + 1 : NULL;
    }
    return bad;
}

static void note(const char *text, void *cookie)
{
    (void)cookie;
    cli_progress_hide();
    cli_note("%s", text);
}

static double real(cli_opt_id id)
{
    return cli_opt(id) ? cli_opt_real(id) : -1;
}

static void take_options(ken_train_options *o)
{
    const char *precision = cli_opt(OPT_PRECISION);
    ken_train_options_init(o);
    o->out = cli_opt(OPT_TRAIN_RUN);
    o->preset = cli_opt(OPT_TRAIN_PRESET);
    o->arch = cli_opt(OPT_TRAIN_ARCH);
    o->init = cli_opt(OPT_TRAIN_INIT);
    o->freeze = cli_opt(OPT_TRAIN_FREEZE);
    o->vocab = cli_opt(OPT_TRAIN_VOCAB);
    o->texts = cli_opt(OPT_TRAIN_TEXTS);
    o->text_weight = (float)real(OPT_TRAIN_TEXT_WEIGHT);
    o->teacher = cli_opt(OPT_TRAIN_TEACHER);
    o->teacher_weight = (float)real(OPT_TRAIN_TEACHER_WEIGHT);
    o->side = (uint32_t)cli_opt_whole(OPT_TRAIN_SIZE);
    o->dim = (uint32_t)cli_opt_whole(OPT_TRAIN_DIM);
    o->loss = cli_opt(OPT_TRAIN_LOSS);
    o->mining = cli_opt(OPT_TRAIN_MINING);
    o->margin = (float)real(OPT_TRAIN_MARGIN);
    o->temperature = (float)real(OPT_TRAIN_TEMPERATURE);
    o->label_smoothing = (float)real(OPT_TRAIN_SMOOTHING);
    o->drop_path = (float)real(OPT_TRAIN_DROP_PATH);
    o->batch = (uint32_t)cli_opt_whole(OPT_TRAIN_BATCH);
    o->classes = (uint32_t)cli_opt_whole(OPT_TRAIN_CLASSES);
    o->images = (uint32_t)cli_opt_whole(OPT_TRAIN_IMAGES);
    o->shots = (uint32_t)cli_opt_whole(OPT_TRAIN_SHOTS);
    o->augment = cli_opt(OPT_TRAIN_AUGMENT);
    o->toys_augment = cli_opt(OPT_TRAIN_TOYS_AUGMENT);
    o->repeat = (uint32_t)cli_opt_whole(OPT_TRAIN_REPEAT);
    o->turns = (uint32_t)cli_opt_whole(OPT_TRAIN_TURNS);
    o->steps = (uint64_t)cli_opt_whole(OPT_TRAIN_STEPS);
    o->epochs = (uint64_t)cli_opt_whole(OPT_TRAIN_EPOCHS);
    o->minutes = cli_opt(OPT_TRAIN_MINUTES) ? cli_opt_real(OPT_TRAIN_MINUTES) : 0;
    o->optimizer = cli_opt(OPT_TRAIN_OPTIMIZER);
    o->schedule = cli_opt(OPT_TRAIN_SCHEDULE);
    o->lr = real(OPT_TRAIN_LR);
    o->weight_decay = real(OPT_TRAIN_DECAY);
    o->warmup = real(OPT_TRAIN_WARMUP);
    o->clip = real(OPT_TRAIN_CLIP);
    o->ema = real(OPT_TRAIN_EMA);
    o->precision = precision && strcmp(precision, "auto") ? precision : NULL;
    o->eval_every = (uint64_t)cli_opt_whole(OPT_TRAIN_EVAL_EVERY);
    o->save_every = (uint64_t)cli_opt_whole(OPT_TRAIN_SAVE_EVERY);
    o->patience = (uint32_t)cli_opt_whole(OPT_TRAIN_PATIENCE);
    o->online = cli_opt_on(OPT_TRAIN_ONLINE);
    o->resume = cli_opt_on(OPT_TRAIN_RESUME);
    o->seed = (uint64_t)cli_opt_whole(OPT_SEED);
    o->threads = (uint32_t)cli_opt_whole(OPT_THREADS);
    o->progress = cli_progress();
    o->note = note;
}

static void say(const ken_train_report *r)
{
    if (!cli_out_is_json()) {
        printf("%llu steps, %llu pictures in %.1f s (%.1f a second, %.1f %% of the time for data); "
               "loss %.4g; best %.4g\n",
               (unsigned long long)r->steps, (unsigned long long)r->images, r->seconds,
               r->images_per_second, 100 * r->data_wait, r->loss, r->best);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "steps", (double)r->steps);
    cJSON_AddNumberToObject(o, "epochs", (double)r->epochs);
    cJSON_AddNumberToObject(o, "images", (double)r->images);
    cli_json_real(o, "loss", r->loss, 6);
    cli_json_real(o, "best", r->best, 6);
    cli_json_real(o, "seconds", r->seconds, 6);
    cli_json_real(o, "images_per_second", r->images_per_second, 6);
    cli_json_real(o, "data_wait", r->data_wait, 4);
    cJSON_AddBoolToObject(o, "stopped_early", r->stopped_early);
    cJSON_AddBoolToObject(o, "refused", r->refused);
    cli_json_say(o);
}

static int train(const sources *data, const sources *val)
{
    ken_train_options o;
    ken_train_report r = { 0 };
    ken_decode_options d;
    take_options(&o);
    const int code = cli_decode_options(&d);
    if (code)
        return code;
    o.decode = &d;
    o.data = data->data;
    o.n_data = data->n;
    o.val = val->data;
    o.n_val = val->n;
    const ken_status st = ken_train(&o, &r);
    cli_progress_hide();
    if (st == KEN_E_CANCELED && r.steps) {
        cli_note("interrupted after %llu steps; --resume goes on from here", (unsigned long long)r.steps);
        return CLI_EXIT_INTERRUPTED;
    }
    if (st)
        return cli_complain(st, st == KEN_E_MODEL ? ABOUT_MODEL : ABOUT_INPUT, NULL);
    say(&r);
    if (r.refused)
        cli_note("refused: no network was better on --val; best.safetensors is the one from --init");
    return r.refused ? CLI_EXIT_NONE : 0;
}

static int run(const cli_args *a)
{
    sources data = { 0 }, val = { 0 };
    char *names = cli_opt(OPT_TRAIN_VAL) ? cli_mem_text(cli_opt(OPT_TRAIN_VAL)) : NULL;
    if (!a->n || !cli_opt(OPT_TRAIN_RUN)) {
        cli_mem_free(names);
        return cli_misuse("train needs DATA and -o RUN");
    }
    int code = 0;
    for (size_t i = 0; !code && i < a->n; i++)
        code = add(&data, a->operands[i].text);
    if (!code)
        code = add_all(&val, names);
    if (!code)
        code = train(&data, &val);
    drop(&data);
    drop(&val);
    cli_mem_free(names);
    return code;
}

const cli_cmd cli_cmd_train = {
    .name = "train",
    .args = "DATA... -o RUN",
    .summary = "train a network on labelled pictures",
    .about =
        "DATA is a LIST (a CSV file path,label), a folder with one sub-folder a label, a zip of\n"
        "folders of pictures (Omniglot's), or toys made on the fly: toys:A-B, ids A up to B, with\n"
        ",views=mixed:9+clean:1 and ,size=N.  RUN gets best.safetensors and last.safetensors,\n"
        "which serve as models at once, checkpoints, log.jsonl and config.json.  Ctrl-C writes a\n"
        "checkpoint; the same command with --resume goes on from it, to the same bits.\n"
        "--online goes on from a model with new classes and old ones together (both are DATA);\n"
        "--val are old ones, and best.safetensors never scores less on them than the model did;\n"
        "status 1 if nothing better was found.\n"
        "\n"
        "Augmentation is a list of operations, each with a value or the one shown: part:.3\n"
        "crop:.08-1/.75-1.33 flip:.5 rotate:10 affine:10/.1/.8-1.2/10 occlude:.3/.1-.4 light:.3\n"
        "gamma:.3 color:.4/.4/.4/0 gray:.2 blur:.1/.1-2 noise:.03 jpeg:30-95 cutout:.5/.02-.33;\n"
        "NAME@.8 does it eight times in ten.  omniglot, grocery and toys are lists with a name.",
    .examples = "ken train shots/ --arch resnet18 --loss triplet --mining auto -o run\tfrom scratch\n"
                "ken train omniglot.zip --preset omniglot --minutes 5 -o run\ta recipe\n"
                "ken train toys:0-100000 --val toys:1000000-1000200 --preset toys -o run\ttoys\n"
                "ken train shots/ --init resnet50.safetensors --freeze v.stem,v.1 -o run\tfrom a model\n"
                "ken classify photo.jpg -m run/best.safetensors\twith a head: --loss softmax\n",
    .run = run,
};
