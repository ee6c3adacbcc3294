/* cmd_classify.c - pictures to labels: by words, or by the trained head of the model.
 *
 * By words (zero-shot): each label is encoded as it stands; the scores are the softmax of the
 * cosines times the model's own logit scale, as CLIP was trained. */
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 32, MAX_LABEL_FILE = 1 << 26 };

typedef struct classify {
    cli_model m;
    ken_decode_options decode;
    cli_inputs in;
    char **labels;
    size_t n, cap, dim;
    int zero_shot;
    ken *db; /* without labels and a head: whose objects are the labels */
    float *texts;   /* (n, dim), zero-shot */
    float *vectors; /* (CHUNK, dim) */
    float *views;   /* (views, dim) of one model, zero-shot */
    float *scores;  /* (n) of one picture */
    cJSON *all;     /* --json */
    size_t failed;
} classify;

/* ---- labels ---- */

static void add_label(classify *c, const char *s, size_t len)
{
    while (len && strchr(" \t\r", s[len - 1]))
        len--;
    while (len && strchr(" \t", *s))
        s++, len--;
    if (!len)
        return;
    c->labels = cli_mem_room(c->labels, c->n, &c->cap, sizeof *c->labels);
    c->labels[c->n++] = cli_mem_textn(s, len);
}

static void split(classify *c, const char *s, const char *at)
{
    while (*s) {
        size_t len = strcspn(s, at);
        add_label(c, s, len);
        s += len + (s[len] != 0);
    }
}

static int read_labels(classify *c)
{
    const char *list = cli_opt(OPT_LABELS), *file = cli_opt(OPT_LABELS_FROM);
    size_t len;
    if (list)
        split(c, list, ",");
    if (file) {
        char *lines = cli_read_file(file, MAX_LABEL_FILE, &len);
        if (!lines)
            return cli_error("%s: %s", file, strerror(errno));
        split(c, lines, "\n");
        cli_mem_free(lines);
    }
    c->zero_shot = list || file;
    return c->zero_shot && !c->n ? cli_misuse("no labels") : 0;
}

/* The labels of the trained head; without one, the collection's objects serve. */
static int head_labels(classify *c)
{
    const ken_model_info *info = ken_model_get_info(c->m.model);
    char number[16];
    if (!info->labels) {
        char *dir = cli_collection_dir();
        const int there = cli_path_is_dir(dir);
        cli_mem_free(dir);
        return there ? cli_open_collection(&c->db, TO_READ)
                     : cli_misuse("%s has no trained head: say --labels or --labels-from, or teach a "
                                  "collection with `ken object add`",
                                  info->name);
    }
    for (uint32_t i = 0; i < info->labels; i++) {
        const char *label = ken_model_label(c->m.model, i);
        snprintf(number, sizeof number, "%u", i);
        c->labels = cli_mem_room(c->labels, c->n, &c->cap, sizeof *c->labels);
        c->labels[c->n++] = cli_mem_text(label && *label ? label : number);
    }
    return 0;
}

/* ---- scores ---- */

static void softmax(float *x, size_t n)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        most = (double)x[i] > most ? (double)x[i] : most;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - most);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(exp((double)x[i] - most) / sum);
}

static void score_by_words(classify *c, const float *vector, float *scores)
{
    float scale = ken_model_logit_scale(c->m.model);
    for (size_t k = 0; k < c->n; k++) {
        double dot = 0;
        for (size_t i = 0; i < c->dim; i++)
            dot += (double)vector[i] * (double)c->texts[k * c->dim + i];
        scores[k] =
            scale > 0 ? scale * (float)dot : ken_model_score(c->m.model, "text-image", (float)dot);
    }
    if (scale > 0)
        softmax(scores, c->n);
}

static ken_status score_by_head(const classify *c, const ken_image *img, float *scores)
{
    ken_status st = ken_model_logits(c->m.model, img, scores);
    if (!st)
        softmax(scores, c->n);
    return st;
}

static ken_status score_view(const classify *c, const ken_mesh *mesh, uint32_t view, float *scores)
{
    ken_image *img = NULL;
    ken_status st = ken_mesh_view(&img, mesh, view, ken_model_get_info(c->m.model)->input[0]);
    if (!st)
        st = score_by_head(c, img, scores);
    ken_image_free(img);
    return st;
}

/* The mean of what is said of its views. */
static ken_status score_mesh(classify *c, const ken_mesh *mesh)
{
    const uint32_t views = ken_mesh_views();
    float *one = cli_mem_new(c->n, sizeof *one);
    ken_status st = c->zero_shot ? ken_model_embed_mesh(c->m.model, mesh, c->views) : KEN_OK;
    memset(c->scores, 0, c->n * sizeof *c->scores);
    for (uint32_t v = 0; !st && v < views; v++) {
        if (c->zero_shot)
            score_by_words(c, c->views + v * c->dim, one);
        else
            st = score_view(c, mesh, v, one);
        for (size_t i = 0; i < c->n; i++)
            c->scores[i] += one[i] / (float)views;
    }
    cli_mem_free(one);
    return st;
}

/* Indices of the k best, best first; equal ones in the labels' order. */
static size_t best(const float *scores, size_t n, size_t k, size_t *out)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = len;
        while (at > 0 && scores[out[at - 1]] < scores[i])
            at--;
        if (at == k)
            continue;
        len += len < k;
        memmove(out + at + 1, out + at, (len - at - 1) * sizeof *out);
        out[at] = i;
    }
    return len;
}

/* ---- output ---- */

static void say_json(classify *c, const char *path, const size_t *top, size_t k)
{
    cJSON *o = cJSON_CreateObject(), *labels = cJSON_CreateArray();
    cli_json_path(o, "path", path);
    for (size_t i = 0; i < k; i++) {
        cJSON *one = cJSON_CreateObject();
        cli_json_text(one, "label", c->labels[top[i]]);
        cli_json_real(one, "score", (double)c->scores[top[i]], 6);
        cJSON_AddItemToArray(labels, one);
    }
    cJSON_AddItemToObject(o, "labels", labels);
    if (c->all)
        cJSON_AddItemToArray(c->all, o);
    else
        cli_json_say(o);
}

static void say(classify *c, const char *path)
{
    cli_mode mode = cli_out_mode();
    size_t k = (size_t)cli_opt_whole(OPT_NUMBER);
    k = k && k < c->n ? k : c->n;
    size_t *top = cli_mem_new(k + 1, sizeof *top);
    k = best(c->scores, c->n, k, top);
    if (cli_out_is_json())
        say_json(c, path, top, k);
    for (size_t i = 0; i < k && mode == OUT_CSV; i++) {
        cli_csv_field(path, ',');
        cli_csv_field(c->labels[top[i]], ',');
        printf("%.6g\n", (double)c->scores[top[i]]);
    }
    for (size_t i = 0; i < k && (mode == OUT_TABLE || mode == OUT_PLAIN); i++) {
        if (c->in.n > 1 || mode == OUT_PLAIN)
            printf("%s\t", path);
        printf("%.4f\t%s\n", (double)c->scores[top[i]], c->labels[top[i]]);
    }
    cli_mem_free(top);
}

/* ---- the collection's objects ---- */

/* Of a model: what is surest of all its views. */
static ken_status recognize_mesh(classify *c, const ken_mesh *mesh, const ken_recognize_options *o,
                                 ken_recognition **out)
{
    ken_status st = KEN_OK;
    for (uint32_t v = 0; !st && v < ken_mesh_views(); v++) {
        ken_image *img = NULL;
        ken_recognition *r = NULL;
        st = ken_mesh_view(&img, mesh, v, ken_model_get_info(c->m.model)->input[0]);
        if (!st)
            st = ken_recognize(c->db, img, o, &r);
        ken_image_free(img);
        if (!st && (!*out || r->confidence > (*out)->confidence)) {
            ken_recognition_free(*out);
            *out = r;
        } else {
            ken_recognition_free(r);
        }
    }
    return st;
}

static ken_status say_objects(classify *c, const cli_input *in)
{
    ken_recognition *r = NULL;
    ken_recognize_options o = KEN_RECOGNIZE_OPTIONS_INIT;
    o.k = (uint32_t)cli_opt_whole(OPT_NUMBER);
    ken_status st = in->mesh ? recognize_mesh(c, in->mesh, &o, &r)
                             : ken_recognize(c->db, in->image, &o, &r);
    if (st) {
        ken_recognition_free(r);
        return st;
    }
    classify view = { .in = { .n = c->in.n }, .all = c->all };
    view.n = r->n;
    view.labels = cli_mem_new(r->n, sizeof *view.labels);
    view.scores = cli_mem_new(r->n, sizeof *view.scores);
    for (size_t i = 0; i < r->n; i++) {
        view.labels[i] = (char *)(uintptr_t)r->candidates[i].object;
        view.scores[i] = (float)r->candidates[i].confidence;
    }
    say(&view, in->name);
    cli_mem_free(view.labels);
    cli_mem_free(view.scores);
    ken_recognition_free(r);
    return KEN_OK;
}

/* ---- the loop ---- */

static int say_chunk(classify *c, size_t from, size_t to)
{
    ken_status st = KEN_OK;
    size_t at = 0;
    for (size_t i = from; !st && i < to; i++) {
        const cli_input *in = &c->in.list[i];
        if (in->found && in->status == KEN_E_UNSUPPORTED)
            continue;
        if (in->status) {
            cli_tell(in->name, in->why);
            c->failed++;
            continue;
        }
        if (c->db) {
            if ((st = say_objects(c, in)))
                break;
            continue;
        }
        if (in->mesh)
            st = score_mesh(c, in->mesh);
        else if (c->zero_shot)
            score_by_words(c, c->vectors + at++ * c->dim, c->scores);
        else
            st = score_by_head(c, in->image, c->scores);
        if (!st)
            say(c, in->name);
    }
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
}

static ken_status encode(classify *c, size_t from, size_t to)
{
    const ken_image *imgs[CHUNK];
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        if (c->in.list[i].image)
            imgs[n++] = c->in.list[i].image;
    return n ? ken_model_embed(c->m.model, imgs, n, c->vectors) : KEN_OK;
}

static int run_chunks(classify *c)
{
    int code = 0;
    for (size_t from = 0; !code && from < c->in.n && !ken_interrupted();) {
        size_t to = from + CHUNK < c->in.n ? from + CHUNK : c->in.n;
        to = cli_inputs_decode(&c->in, from, to, &c->decode);
        ken_status st = c->zero_shot ? encode(c, from, to) : KEN_OK;
        code = st ? cli_complain(st, ABOUT_MODEL, NULL) : say_chunk(c, from, to);
        cli_inputs_drop(&c->in, from, to);
        from = to;
    }
    return code ? code : ken_interrupted() ? CLI_EXIT_INTERRUPTED : 0;
}

static int prepare(classify *c, const cli_args *a)
{
    int bad = cli_decode_options(&c->decode);
    c->in.meshes = 1;
    bad = bad ? bad : read_labels(c);
    bad = bad ? bad : cli_inputs_collect(&c->in, a);
    if (!bad)
        bad = c->zero_shot ? cli_open_text_model(&c->m) : cli_open_model(&c->m);
    if (!bad && !c->zero_shot)
        bad = head_labels(c);
    if (bad)
        return bad;
    c->dim = ken_model_get_info(c->m.model)->dim;
    c->scores = cli_mem_new(c->n, sizeof *c->scores);
    c->all = cli_out_mode() == OUT_JSON && c->in.n > 1 ? cJSON_CreateArray() : NULL;
    if (!c->zero_shot)
        return 0;
    c->vectors = cli_mem_new(CHUNK * c->dim, sizeof *c->vectors);
    c->views = cli_mem_new(ken_mesh_views() * c->dim, sizeof *c->views);
    c->texts = cli_mem_new(c->n * c->dim, sizeof *c->texts);
    ken_status st =
        ken_model_embed_texts(c->m.model, (const char *const *)c->labels, c->n, c->texts);
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
}

static void release(classify *c)
{
    for (size_t i = 0; i < c->n; i++)
        cli_mem_free(c->labels[i]);
    cli_mem_free(c->labels);
    cli_mem_free(c->texts);
    cli_mem_free(c->vectors);
    cli_mem_free(c->views);
    cli_mem_free(c->scores);
    cli_inputs_free(&c->in);
    cli_close_model(&c->m);
    ken_close(c->db);
}

static int run(const cli_args *a)
{
    classify c = { 0 };
    if (!a->n)
        return cli_misuse("no pictures");
    int code = prepare(&c, a);
    if (!code && cli_out_mode() == OUT_CSV)
        puts("path,label,score");
    if (!code)
        code = run_chunks(&c);
    if (c.all && !code)
        cli_json_say(c.all);
    else
        cJSON_Delete(c.all);
    if (!code && (c.failed || c.in.unreadable))
        code = CLI_EXIT_SOME;
    release(&c);
    return code;
}

const cli_cmd cli_cmd_classify = {
    .name = "classify",
    .args = "FILE... [--labels A,B,... | --labels-from FILE]",
    .summary = "which of some labels fits a picture or a 3-D model best",
    .about =
        "With labels: zero-shot, each label encoded by the text network as it stands.  Without:\n"
        "the trained head of the model, and for a model without one the collection's own objects,\n"
        "each with the chance that it is the right one (see `ken recognize`).  A 3-D model (.stl, .obj,\n"
        ".ply) gets the mean of what is said of its twelve views; of objects, what is surest.",
    .examples = "ken classify a.jpg --labels \"an apple,a pear\"\t0.9312  an apple\n"
                "ken classify photos/ --labels-from labels.txt\tone label a line\n",
    .run = run,
};
