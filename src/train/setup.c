/*
 * setup.c - all that a run needs, made before its first step, and given back.
 */
#include "train/run.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void kn_run_note(const kn_run *r, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (r->o->note)
        r->o->note(text, r->o->cookie);
}

static ken_status open_data(kn_run *r)
{
    const ken_train_options *o = r->o;
    kn_data_options d = { .size = r->plan.net.prep.crop[0], .turns = r->plan.turns, .seed = o->seed,
                          .threads = r->threads, .decode = o->decode, .progress = o->progress,
                          .cookie = o->cookie };
    ken_status st = kn_data_open(&r->data, o->data, o->n_data, &d);
    if (!st && o->n_val)
        st = kn_data_open(&r->val, o->val, o->n_val, &d);
    if (st)
        return st;
    for (int i = 0; i < 2; i++) {
        const kn_data *x = i ? r->val : r->data;
        if (!x)
            continue;
        const kn_data_report *a = kn_data_about(x);
        kn_run_note(r, "%s: %" PRIu64 " pictures of %" PRIu64 " classes, %" PRIu64 " copies, %" PRIu64
                       " classes of one picture", i ? "validation" : "training",
                    a->pictures, a->classes, a->copies, a->single);
        if (a->broken)
            kn_run_note(r, "%" PRIu64 " broken; the first: %s", a->broken, a->first_broken);
    }
    return KEN_OK;
}

static ken_status name_ranges(kn_side *s)
{
    size_t n;
    const kn_param *p = kn_graph_params(s->graph, &n);
    s->ranges = kn_alloc(n, sizeof *s->ranges);
    if (!s->ranges)
        return KEN_E_NOMEM;
    s->still = 1;
    for (size_t i = 0; i < n; i++) {
        s->ranges[s->ranges_len++] = (kn_param_range){ p[i].at, p[i].len, 1, p[i].decay, p[i].frozen };
        s->still = s->still && p[i].frozen;
    }
    return KEN_OK;
}

/* From --init, as far as it goes. */
static ken_status start_weights(const kn_run *r, kn_side *s)
{
    const ken_train_options *o = r->o;
    if (o->init) {
        kn_weights *w = NULL;
        size_t kept = 0;
        ken_status st = kn_weights_open(&w, o->init);
        if (!st)
            st = kn_graph_load(s->graph, w, &kept);
        kn_weights_close(w);
        if (st)
            return kn_fail_in(st, "%s", o->init);
        if (kept)
            kn_run_note(r, "%zu tensors are not in %s and start at random", kept, o->init);
    }
    return KEN_OK;
}

static ken_status make_side(kn_run *r, kn_side *s, int text)
{
    const kn_graph_options g = { .batch = r->plan.batch, .tokens = r->plan.batch * KN_WORDS_CONTEXT,
                                 .math = r->plan.math, .threads = r->threads, .seed = r->o->seed,
                                 .drop_path = r->plan.drop_path, .text = text };
    size_t n;
    ken_status st = kn_graph_new(&s->graph, &r->plan.net, &g);
    if (!st)
        st = start_weights(r, s);
    if (st)
        return st;
    if (r->o->freeze)
        r->frozen += kn_graph_freeze(s->graph, r->o->freeze);
    const float *w = kn_graph_weights(s->graph, &n);
    r->plan.optim.threads = r->threads;
    st = kn_optim_new(&s->optim, &r->plan.optim, n);
    if (!st && r->plan.ema > 0) {
        s->ema = kn_alloc_aligned(n, sizeof *s->ema);
        s->spare = kn_alloc_aligned(n, sizeof *s->spare);
        if (!s->ema || !s->spare)
            return KEN_E_NOMEM;
        memcpy(s->ema, w, n * sizeof *w);
    }
    return st ? st : name_ranges(s);
}

static ken_status make_graphs(kn_run *r)
{
    ken_status st = KEN_OK;
    if (r->o->vocab) {
        st = kn_words_open(&r->words, r->o->vocab, r->o->texts);
        if (st)
            return st;
        r->plan.net.text.vocab = kn_words_vocab(r->words);
        r->plan.net.text.eot = kn_words_end(r->words);
        st = make_side(r, &r->text, 1);
    }
    if (!st)
        st = make_side(r, &r->image, 0);
    if (!st && r->o->freeze && !r->frozen)
        st = kn_fail(KEN_E_INVALID, "--freeze %s: no tensor begins so", r->o->freeze);
    return st;
}

/* The optimiser of a loss's own weights, if it has any. */
static ken_status own_optim(const kn_run *r, kn_loss *l, kn_optim **out)
{
    float *w, *g;
    size_t count;
    kn_loss_params(l, &w, &g, &count);
    return count ? kn_optim_new(out, &r->plan.optim, count) : KEN_OK;
}

/* The teacher, and the loss of what it says.  Vectors of other lengths are compared by their likenesses. */
static ken_status make_teacher(kn_run *r)
{
    const kn_loss_config *of = &r->plan.loss;
    kn_loss_config c = of->kind == KN_LOSS_DISTILL ? *of : kn_loss_defaults(KN_LOSS_DISTILL);
    if (!r->o->teacher)
        return KEN_OK;
    ken_status st =
        kn_teacher_open(&r->teacher, r->o->teacher, r->plan.net.prep.crop[0], r->plan.batch, r->threads);
    if (st)
        return kn_fail_in(st, "--teacher");
    c.dim = of->dim;
    c.teacher_dim = kn_teacher_dim(r->teacher);
    c.seed = of->seed;
    c.threads = of->threads;
    if (c.dim != c.teacher_dim && !(c.temperature > 0))
        c.temperature = 0.1F;
    st = kn_loss_new(&r->distill, &c);
    return st || !r->val || of->kind != KN_LOSS_DISTILL ? st : kn_loss_new(&r->val_loss, &c);
}

static ken_status make_loss(kn_run *r)
{
    kn_plan_classes(&r->plan, kn_data_classes(r->data));
    r->plan.loss.threads = r->threads;
    kn_loss_config c = r->plan.loss, pairs = kn_loss_defaults(KN_LOSS_CLIP);
    const int only_pairs = kn_loss_of_pairs(c.kind);
    ken_status st = only_pairs ? KEN_OK : kn_loss_new(&r->loss, &c);
    if (!st && r->loss)
        st = own_optim(r, r->loss, &r->loss_optim);
    if (c.mining == KN_MINING_AUTO)
        c.mining = KN_MINING_ALL;
    if (!st && r->val && !c.classes && !only_pairs)
        st = kn_loss_new(&r->val_loss, &c);
    pairs.dim = c.dim;
    pairs.seed = c.seed;
    pairs.threads = c.threads;
    if (!st && r->o->vocab)
        st = kn_loss_new(&r->pairs, &pairs);
    if (!st && r->pairs)
        st = own_optim(r, r->pairs, &r->pairs_optim);
    if (!st && r->val && c.kind == KN_LOSS_CLIP)
        st = kn_loss_new(&r->val_loss, &pairs);
    return st ? st : make_teacher(r);
}

static ken_status make_sampler(kn_run *r)
{
    const uint32_t classes = kn_data_classes(r->data);
    const size_t len = kn_data_len(r->data);
    kn_sampler_config *s = &r->plan.sampler;
    if (s->kind != KN_SAMPLER_SHUFFLE && s->classes > classes) {
        kn_run_note(r, "a batch has %u classes: there are no more", classes);
        s->classes = classes;
        r->plan.batch = s->classes * s->images;
    }
    s->repeated = kn_data_own_classes(r->data);
    if (s->kind == KN_SAMPLER_SHUFFLE && s->batch > len)
        r->plan.batch = s->batch = (uint32_t)len;
    return kn_sampler_new(&r->sampler, s, kn_data_labels(r->data), kn_data_photos(r->data), len);
}

static ken_status make_room(kn_run *r)
{
    const size_t side = r->plan.net.prep.crop[0], n = r->plan.batch;
    r->list = kn_alloc(n, sizeof *r->list);
    r->batch_labels = kn_alloc(n, sizeof *r->batch_labels);
    r->pixels = kn_alloc(n * side * side, 3);
    r->grad = kn_alloc_aligned(n * r->plan.loss.dim, sizeof *r->grad);
    for (int i = 0; i < 2; i++)
        r->pair_grad[i] = kn_alloc_aligned(n * r->plan.loss.dim, sizeof *r->grad);
    r->ids = kn_alloc(n * KN_WORDS_CONTEXT, sizeof *r->ids);
    r->lens = kn_alloc(n, sizeof *r->lens);
    r->config = r->list && r->batch_labels && r->pixels && r->grad && r->ids && r->lens && r->pair_grad[0] &&
                        r->pair_grad[1] ? kn_plan_json(r) : NULL;
    return r->config ? KEN_OK : KEN_E_NOMEM;
}

/* config.json is there and the same, or is written. */
static ken_status settle_folder(kn_run *r)
{
    unsigned char *old = NULL;
    size_t len = 0;
    ken_status st = kn_mkdirs(r->o->out);
    char *path = st ? NULL : kn_path_join(r->o->out, "config.json");
    if (st || !path)
        return st ? st : KEN_E_NOMEM;
    st = kn_read_file(&old, &len, path, 1 << 24);
    if (st == KEN_E_NOTFOUND)
        st = kn_replace_file(path, r->config, strlen(r->config));
    else if (!st && !r->o->resume)
        st = kn_fail(KEN_E_EXISTS, "%s holds a run; --resume goes on with it", r->o->out);
    else if (!st && (len != strlen(r->config) || memcmp(old, r->config, len)))
        st = kn_fail(KEN_E_INVALID, "%s was started with other settings or data; see its config.json",
                     r->o->out);
    kn_free(old);
    kn_free(path);
    return st;
}

static void plan_steps(kn_run *r)
{
    const ken_train_options *o = r->o;
    enum { EPOCHS = 30 };
    r->epoch_steps = kn_sampler_epoch(r->sampler);
    r->total = o->steps ? o->steps
               : o->minutes > 0 ? 0
                                : r->epoch_steps * (o->epochs ? o->epochs : EPOCHS);
    const double whole = (double)(r->total ? r->total : KN_CLOCK_STEPS);
    r->plan.schedule.warmup = (uint64_t)(r->plan.warmup * whole);
}

ken_status kn_run_set_up(kn_run *r)
{
    ken_status st = kn_plan_make(&r->plan, r->o);
    if (!st)
        st = open_data(r);
    if (!st)
        st = make_sampler(r);
    if (!st)
        st = make_loss(r);
    if (!st)
        st = make_graphs(r);
    if (!st)
        st = make_room(r);
    if (!st)
        st = settle_folder(r);
    if (!st && r->o->resume) {
        st = kn_run_load(r);
        if (st == KEN_E_NOTFOUND) {
            kn_run_note(r, "%s has no checkpoint yet: starting from the beginning", r->o->out);
            st = KEN_OK;
        }
    }
    if (!st)
        st = kn_run_open_log(r);
    if (!st)
        plan_steps(r);
    return st;
}

static void release_side(kn_side *s)
{
    kn_graph_free(s->graph);
    kn_optim_free(s->optim);
    kn_free(s->ranges);
    kn_free(s->ema);
    kn_free(s->spare);
}

void kn_run_release(kn_run *r)
{
    kn_data_close(r->data);
    kn_data_close(r->val);
    kn_sampler_free(r->sampler);
    release_side(&r->image);
    release_side(&r->text);
    kn_words_close(r->words);
    kn_loss_free(r->loss);
    kn_loss_free(r->val_loss);
    kn_loss_free(r->pairs);
    kn_loss_free(r->distill);
    kn_teacher_close(r->teacher);
    kn_optim_free(r->loss_optim);
    kn_optim_free(r->pairs_optim);
    kn_free(r->taught);
    kn_free(r->list);
    kn_free(r->batch_labels);
    kn_free(r->pixels);
    kn_free(r->grad);
    kn_free(r->pair_grad[0]);
    kn_free(r->pair_grad[1]);
    kn_free(r->ids);
    kn_free(r->lens);
    cJSON_free(r->config);
    if (r->log_fd >= 0)
        close(r->log_fd);
}
