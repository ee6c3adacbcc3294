/*
 * save.c - the run's folder.
 *
 *   config.json           the plan, written once; a run is resumed only with the same
 *   log.jsonl             a line a step, and one an evaluation; cut to the checkpoint on resuming
 *   checkpoint-STEP.safetensors   every number that a step changes; the last two are kept
 *   last.safetensors best.safetensors    models
 *
 * Each file takes the place of its predecessor in one step, so that a kill at any moment leaves a
 * folder that can be resumed.
 */
#include "train/run.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "kernels/kernels.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *path_of(const kn_run *r, const char *name)
{
    return kn_path_join(r->o->out, name);
}

/* ---- models ---- */

static char *labels_json(const kn_run *r)
{
    cJSON *list = cJSON_CreateArray();
    char name[700];
    for (uint32_t i = 0; i < kn_data_classes(r->data); i++) {
        const char *class = kn_data_class(r->data, i);
        if (r->plan.turns == 4)
            snprintf(name, sizeof name, "%s turned %u", class, i % 4 * 90);
        cJSON_AddItemToArray(list, cJSON_CreateString(r->plan.turns == 4 ? name : class));
    }
    char *out = cJSON_PrintUnformatted(list);
    cJSON_Delete(list);
    return out;
}

static int has_head(const kn_run *r)
{
    return r->plan.loss.kind == KN_LOSS_SOFTMAX;
}

static ken_status put_meta(const kn_run *r, kn_writer *w)
{
    char *image = NULL, *prep = NULL, *text = NULL, *labels = has_head(r) ? labels_json(r) : NULL;
    ken_status st = kn_config_write(&r->plan.net, &image, &prep, &text);
    const char *const pairs[][2] = {
        { "ken", "1" },       { "arch", r->plan.arch }, { "image", image }, { "preprocess", prep },
        { "dtype", "f32" },   { "layout", "rows" },     { "folded", "0" },  { "labels", labels },
        { "text", text },     { "tokenizer", r->words ? "bert-wordpiece" : NULL },
    };
    for (size_t i = 0; !st && i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][1])
            st = kn_writer_meta(w, pairs[i][0], pairs[i][1]);
    kn_free(image);
    kn_free(prep);
    kn_free(text);
    cJSON_free(labels);
    return st;
}

static ken_status declare_head(const kn_run *r, kn_writer *w)
{
    const uint64_t n = r->plan.loss.classes, dim = r->plan.loss.dim;
    const ken_status st = kn_writer_declare(w, "fc.w", KN_DT_F32, 2, (uint64_t[]){ n, dim });
    return st ? st : kn_writer_declare(w, "fc.b", KN_DT_F32, 1, &n);
}

static void write_head(const kn_run *r, kn_writer *w)
{
    float *own, *g;
    size_t count, bytes;
    kn_loss_params(r->loss, &own, &g, &count);
    const size_t matrix = (size_t)r->plan.loss.classes * r->plan.loss.dim;
    memcpy(kn_writer_data(w, "fc.w", &bytes), own, matrix * sizeof *own);
    memcpy(kn_writer_data(w, "fc.b", &bytes), own + matrix, r->plan.loss.classes * sizeof *own);
}

static ken_status declare_text(const kn_run *r, kn_writer *w)
{
    size_t bytes;
    kn_words_block(r->words, &bytes);
    ken_status st = kn_graph_declare(r->text.graph, w);
    if (!st)
        st = kn_writer_declare(w, "tokenizer", KN_DT_U8, 1, (uint64_t[]){ bytes });
    return st ? st : kn_writer_declare(w, "logit_scale", KN_DT_F32, 0, NULL);
}

static ken_status write_text(const kn_run *r, kn_writer *w)
{
    float *own, *g;
    size_t count, bytes;
    const void *block = kn_words_block(r->words, &bytes);
    memcpy(kn_writer_data(w, "tokenizer", &bytes), block, bytes);
    kn_loss_params(r->pairs, &own, &g, &count);
    memcpy(kn_writer_data(w, "logit_scale", &bytes), own + count - 1, sizeof *own);
    return kn_graph_write(r->text.graph, w, r->text.ema);
}

ken_status kn_run_save_model(const kn_run *r, const char *name)
{
    kn_writer *w = NULL;
    char *path = path_of(r, name);
    ken_status st = path ? kn_writer_new(&w) : KEN_E_NOMEM;
    if (!st)
        st = put_meta(r, w);
    if (!st)
        st = kn_graph_declare(r->image.graph, w);
    if (!st && r->words)
        st = declare_text(r, w);
    if (!st && has_head(r))
        st = declare_head(r, w);
    if (!st)
        st = kn_writer_begin(w, path);
    if (!st)
        st = kn_graph_write(r->image.graph, w, r->image.ema);
    if (!st && r->words)
        st = write_text(r, w);
    if (!st && has_head(r))
        write_head(r, w);
    if (!st)
        st = kn_writer_commit(w);
    kn_writer_free(w);
    kn_free(path);
    return st;
}

/* ---- checkpoints ---- */

/* A block of numbers that a step changes. */
typedef struct block {
    const char *name;
    void *data;
    size_t n;
    kn_dtype type;
} block;
enum { BLOCKS = 12 };

/* Weights, their average and the optimiser's moments of one side; names of three blocks. */
static void side_blocks(const kn_side *s, const char *const names[3], block out[3])
{
    size_t n = 0, count = 0;
    float *w = NULL, *moments = NULL;
    if (s->graph) {
        w = kn_graph_weights(s->graph, &n);
        kn_optim_state(s->optim, &moments, &count);
    }
    out[0] = (block){ names[0], w, n, KN_DT_F32 };
    out[1] = (block){ names[1], s->ema, s->ema ? n : 0, KN_DT_F32 };
    out[2] = (block){ names[2], moments, count, KN_DT_F32 };
}

static void loss_blocks(kn_loss *l, kn_optim *o, const char *const names[3], block out[3])
{
    float *own = NULL, *g, *moments = NULL;
    double *state = NULL;
    size_t count = 0, n = 0, states = 0;
    if (l) {
        kn_loss_params(l, &own, &g, &n);
        kn_loss_state(l, &state, &states);
    }
    if (o)
        kn_optim_state(o, &moments, &count);
    out[0] = (block){ names[0], own, n, KN_DT_F32 };
    out[1] = (block){ names[1], moments, count, KN_DT_F32 };
    out[2] = (block){ names[2], state, states, KN_DT_F64 };
}

/* What the run does not have is empty. */
static void blocks_of(const kn_run *r, block out[BLOCKS])
{
    static const char *const image[] = { "weights", "average", "moments" };
    static const char *const text[] = { "text.weights", "text.average", "text.moments" };
    static const char *const loss[] = { "loss.weights", "loss.moments", "loss.state" };
    static const char *const pairs[] = { "pairs.weights", "pairs.moments", "pairs.state" };
    side_blocks(&r->image, image, out);
    side_blocks(&r->text, text, out + 3);
    loss_blocks(r->loss, r->loss_optim, loss, out + 6);
    loss_blocks(r->pairs, r->pairs_optim, pairs, out + 9);
}

static ken_status put_place(const kn_run *r, kn_writer *w)
{
    char text[768];
    const kn_place *p = &r->at;
    snprintf(text, sizeof text,
             "{\"step\":%" PRIu64 ",\"images\":%" PRIu64 ",\"log_bytes\":%" PRIu64
             ",\"since_best\":%" PRIu64 ",\"best\":%.17g,\"last_loss\":%.17g,\"start_score\":%.17g,"
             "\"has_best\":%d,\"loss_sum\":%.17g,\"loss_steps\":%" PRIu64 ","
             "\"seconds\":%.3f,\"optim_steps\":%" PRIu64 "}",
             p->step, p->images, p->log_bytes, p->since_best, p->best, p->last_loss, p->start_score,
             p->has_best, p->loss_sum, p->loss_steps,
             r->o->minutes > 0 ? p->seconds : 0, p->step); /* equal runs write equal files */
    return kn_writer_meta(w, "place", text);
}

static ken_status write_checkpoint(const kn_run *r, const char *path)
{
    block blocks[BLOCKS];
    kn_writer *w = NULL;
    ken_status st = kn_writer_new(&w);
    blocks_of(r, blocks);
    if (!st)
        st = put_place(r, w);
    for (int i = 0; !st && i < BLOCKS; i++)
        if (blocks[i].n)
            st = kn_writer_declare(w, blocks[i].name, blocks[i].type, 1, (uint64_t[]){ blocks[i].n });
    if (!st)
        st = kn_writer_begin(w, path);
    for (int i = 0; !st && i < BLOCKS; i++)
        if (blocks[i].n) {
            size_t bytes;
            void *to = kn_writer_data(w, blocks[i].name, &bytes);
            memcpy(to, blocks[i].data, bytes);
        }
    if (!st)
        st = kn_writer_commit(w);
    kn_writer_free(w);
    return st;
}

static const char prefix[] = "checkpoint-";

/* Steps of the checkpoints in the folder, newest first. */
static ken_status list_checkpoints(const kn_run *r, uint64_t *steps, size_t most, size_t *n)
{
    DIR *dir = opendir(r->o->out);
    *n = 0;
    if (!dir)
        return kn_fail(KEN_E_NOTFOUND, "%s: no such folder", r->o->out);
    for (struct dirent *e; (e = readdir(dir));) {
        char *end;
        if (strncmp(e->d_name, prefix, sizeof prefix - 1))
            continue;
        const uint64_t step = strtoull(e->d_name + sizeof prefix - 1, &end, 10);
        if (strcmp(end, ".safetensors"))
            continue;
        size_t at = *n < most ? (*n)++ : most - 1;
        for (; at && steps[at - 1] < step; at--)
            steps[at] = steps[at - 1];
        steps[at] = step;
    }
    closedir(dir);
    return KEN_OK;
}

static char *checkpoint_path(const kn_run *r, uint64_t step)
{
    char name[64];
    snprintf(name, sizeof name, "%s%08" PRIu64 ".safetensors", prefix, step);
    return path_of(r, name);
}

enum { KEPT = 2, LISTED = 64 };

ken_status kn_run_save(kn_run *r)
{
    uint64_t steps[LISTED];
    size_t n = 0;
    ken_status st = r->log_fd >= 0 ? kn_sync(r->log_fd) : KEN_OK;
    char *path = checkpoint_path(r, r->at.step);
    if (!path)
        return KEN_E_NOMEM;
    if (!st)
        st = write_checkpoint(r, path);
    kn_free(path);
    if (!st)
        st = kn_run_save_model(r, "last.safetensors");
    if (!st)
        st = list_checkpoints(r, steps, LISTED, &n);
    for (size_t i = KEPT; !st && i < n; i++) {
        path = checkpoint_path(r, steps[i]);
        st = path ? kn_unlink(path) : KEN_E_NOMEM;
        kn_free(path);
    }
    return st;
}

static double number(const cJSON *j, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(j, key);
    return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

static void take_place(kn_run *r, const cJSON *j)
{
    r->at = (kn_place){ .step = (uint64_t)number(j, "step"),
                        .images = (uint64_t)number(j, "images"),
                        .log_bytes = (uint64_t)number(j, "log_bytes"),
                        .since_best = (uint64_t)number(j, "since_best"),
                        .best = number(j, "best"),
                        .last_loss = number(j, "last_loss"),
                        .start_score = number(j, "start_score"),
                        .has_best = (int)number(j, "has_best"),
                        .loss_sum = number(j, "loss_sum"),
                        .loss_steps = (uint64_t)number(j, "loss_steps"),
                        .seconds = number(j, "seconds") };
    kn_optim *const all[] = { r->image.optim, r->text.optim, r->loss_optim, r->pairs_optim };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            kn_optim_set_steps(all[i], (uint64_t)number(j, "optim_steps"));
}

static ken_status read_checkpoint(kn_run *r, const char *path)
{
    block blocks[BLOCKS];
    kn_weights *w = NULL;
    ken_status st = ken_model_check(path);
    if (!st)
        st = kn_weights_open(&w, path);
    if (st)
        return st;
    cJSON *place = cJSON_Parse(kn_weights_meta(w, "place") ? kn_weights_meta(w, "place") : "");
    if (!cJSON_IsObject(place))
        st = kn_fail(KEN_E_CORRUPT, "%s is no checkpoint", path);
    blocks_of(r, blocks);
    for (int i = 0; !st && i < BLOCKS; i++) {
        const kn_tensor *t = blocks[i].n ? kn_weights_find(w, blocks[i].name) : NULL;
        if (blocks[i].n && (!t || t->bytes != blocks[i].n * kn_dtype_bytes(blocks[i].type)))
            st = kn_fail(KEN_E_CORRUPT, "%s: \"%s\" is missing or of another size", path, blocks[i].name);
        else if (t)
            memcpy(blocks[i].data, t->data, t->bytes);
    }
    if (!st) {
        take_place(r, place);
        kn_graph_changed(r->image.graph);
        if (r->text.graph)
            kn_graph_changed(r->text.graph);
    }
    cJSON_Delete(place);
    kn_weights_close(w);
    return st;
}

/* A checkpoint that is not whole is passed over, and said. */
ken_status kn_run_load(kn_run *r)
{
    uint64_t steps[LISTED];
    size_t n;
    ken_status st = list_checkpoints(r, steps, LISTED, &n);
    for (size_t i = 0; !st && i < n; i++) {
        char *path = checkpoint_path(r, steps[i]);
        if (!path)
            return KEN_E_NOMEM;
        st = read_checkpoint(r, path);
        if (st == KEN_E_CORRUPT || st == KEN_E_FORMAT) {
            kn_run_note(r, "%s is damaged, going back to the one before: %s", path, ken_last_error());
            st = KEN_OK;
            kn_free(path);
            continue;
        }
        kn_free(path);
        return st;
    }
    return st ? st : kn_fail(KEN_E_NOTFOUND, "%s: no checkpoint", r->o->out);
}

/* ---- the log ---- */

ken_status kn_run_open_log(kn_run *r)
{
    char *path = path_of(r, "log.jsonl");
    if (!path)
        return KEN_E_NOMEM;
    ken_status st = kn_open(&r->log_fd, path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    struct stat s;
    if (!st && fstat(r->log_fd, &s) == 0 && (uint64_t)s.st_size > r->at.log_bytes)
        st = kn_truncate(r->log_fd, r->at.log_bytes);
    kn_free(path);
    return st;
}

ken_status kn_run_log(kn_run *r, const char *line)
{
    const size_t n = strlen(line);
    const ken_status st = kn_write(r->log_fd, line, n);
    r->at.log_bytes += n;
    return st;
}
