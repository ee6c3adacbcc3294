/*
 * run.c - a training run, step by step.
 *
 * A step is a pure function of what the checkpoint holds, the data and the step's number: samples,
 * augmentation and dropping are drawn by counters.  So a run that is resumed makes the same numbers
 * to the bit, with any number of threads.  (With --minutes the rate depends on the clock.)
 */
#include "train/run.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rand.h"
#include "train/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t FINE = 1000000; /* steps of the clock's schedule */
static const double SAVE_SECONDS = 120;

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

/* ---- setting up ---- */

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
    return st;
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

static ken_status set_up(kn_run *r)
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
    return st ? st : kn_run_open_log(r);
}

static void plan_steps(kn_run *r)
{
    const ken_train_options *o = r->o;
    enum { EPOCHS = 30 };
    r->epoch_steps = kn_sampler_epoch(r->sampler);
    r->total = o->steps ? o->steps
               : o->minutes > 0 ? 0
                                : r->epoch_steps * (o->epochs ? o->epochs : EPOCHS);
    const double whole = (double)(r->total ? r->total : FINE);
    r->plan.schedule.warmup = (uint64_t)(r->plan.warmup * whole);
}

static void release_side(kn_side *s)
{
    kn_graph_free(s->graph);
    kn_optim_free(s->optim);
    kn_free(s->ranges);
    kn_free(s->ema);
    kn_free(s->spare);
}

static void release(kn_run *r)
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
    kn_optim_free(r->loss_optim);
    kn_optim_free(r->pairs_optim);
    kn_free(r->list);
    kn_free(r->batch_labels);
    kn_free(r->pixels);
    kn_free(r->grad);
    kn_free(r->pair_grad[0]);
    kn_free(r->pair_grad[1]);
    kn_free(r->ids);
    kn_free(r->lens);
    free(r->config);
    if (r->log_fd >= 0)
        close(r->log_fd);
}

/* ---- a step ---- */

/* Where the schedule stands. */
static void when(const kn_run *r, double seconds, uint64_t *step, uint64_t *total)
{
    *step = r->at.step;
    *total = r->total;
    if (r->total)
        return;
    const double share = seconds / (r->o->minutes * 60);
    *total = FINE;
    *step = share < 1 ? (uint64_t)(share * (double)FINE) : FINE - 1;
}

static ken_status bad_number(kn_run *r, const kn_loss_report *report, double norm)
{
    if (report->bad >= 0)
        return kn_fail(KEN_E_INVALID, "step %" PRIu64 ": the vector of %s is not finite; try a lower --lr",
                       r->at.step, kn_data_name(r->data, r->list[report->bad]));
    return kn_fail(KEN_E_INVALID, "step %" PRIu64 ": loss %g, gradient %g; try a lower --lr", r->at.step,
                   report->loss, norm);
}

static ken_status learn_side(const kn_run *r, kn_side *s, double lr, double momentum)
{
    size_t n;
    if (!s->graph || s->still)
        return KEN_OK;
    float *w = kn_graph_weights(s->graph, &n);
    if (momentum > 0)
        kn_optim_set_momentum(s->optim, momentum);
    const ken_status st =
        kn_optim_step(s->optim, w, kn_graph_gradients(s->graph), s->ranges, s->ranges_len, lr);
    kn_graph_changed(s->graph);
    if (!st && s->ema)
        kn_ema_update(s->ema, w, n, kn_ema_decay(r->plan.ema, r->at.step), r->threads);
    return st;
}

/* A loss's own weights. */
static ken_status learn_own(kn_loss *l, kn_optim *o, double lr, double momentum)
{
    float *own, *grad;
    size_t count;
    kn_param_range ranges[2];
    if (!o)
        return KEN_OK;
    kn_loss_params(l, &own, &grad, &count);
    if (momentum > 0)
        kn_optim_set_momentum(o, momentum);
    return kn_optim_step(o, own, grad, ranges, kn_loss_ranges(l, 0, ranges), lr);
}

static ken_status learn(kn_run *r, double lr, double momentum)
{
    ken_status st = learn_side(r, &r->image, lr, momentum);
    if (!st)
        st = learn_side(r, &r->text, lr, momentum);
    if (!st)
        st = learn_own(r->loss, r->loss_optim, lr, momentum);
    return st ? st : learn_own(r->pairs, r->pairs_optim, lr, momentum);
}

typedef struct timing {
    double start, data, loss; /* seconds: when the step began; of its batch, of its loss */
} timing;

/* Texts of the batch, as ids. */
static ken_status tell(kn_run *r)
{
    int32_t *to = r->ids;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < r->plan.batch; i++, to += r->lens[i - 1]) {
        kn_rand draw = kn_rand_at(r->o->seed, 0x776f726473);
        draw.index = r->at.step * r->plan.batch + i;
        st = kn_words_of(r->words, r->data, r->list[i], kn_rand_u32(&draw), to, &r->lens[i]);
    }
    return st;
}

/* The loss of pictures with texts: adds to r->grad, and leaves the texts' gradients in pair_grad[1]. */
static ken_status pair_up(kn_run *r, const float *images, kn_loss_report *report)
{
    const size_t n = r->plan.batch, len = n * r->plan.loss.dim;
    const float *texts = NULL;
    kn_loss_report pairs;
    ken_status st = tell(r);
    if (!st)
        st = kn_graph_texts(r->text.graph, r->ids, r->lens, n, !r->text.still, r->at.step, &texts);
    if (!st)
        st = kn_loss_run_pairs(r->pairs, images, texts, n, r->batch_labels, r->pair_grad[0],
                               r->pair_grad[1], &pairs);
    if (st)
        return st;
    if (!r->loss) {
        *report = pairs;
        memcpy(r->grad, r->pair_grad[0], len * sizeof *r->grad);
        return KEN_OK;
    }
    const float weight = r->plan.text_weight;
    for (size_t i = 0; i < len; i++) {
        r->grad[i] += weight * r->pair_grad[0][i];
        r->pair_grad[1][i] *= weight;
    }
    report->loss += (double)weight * pairs.loss;
    if (pairs.bad >= 0 && report->bad < 0)
        report->bad = pairs.bad;
    return KEN_OK;
}

static ken_status losses(kn_run *r, const float *features, kn_loss_report *report)
{
    ken_status st = KEN_OK;
    if (r->loss)
        st = kn_loss_run(r->loss, features, r->batch_labels, r->plan.batch, r->grad, report);
    return st || !r->pairs ? st : pair_up(r, features, report);
}

/* The gradients of one side; the length that they had before clipping. */
static double go_back(const kn_run *r, const kn_side *s, const float *dout)
{
    size_t n;
    if (!s->graph || s->still)
        return 0;
    kn_graph_weights(s->graph, &n);
    kn_graph_zero_gradients(s->graph);
    kn_graph_backward(s->graph, dout);
    float *g = kn_graph_gradients(s->graph);
    return r->plan.clip > 0 ? kn_grad_clip(g, n, r->plan.clip, r->threads)
                            : kn_grad_norm(g, n, r->threads);
}

static ken_status step(kn_run *r, double lr, double momentum, kn_loss_report *report, timing *t)
{
    const float *features = NULL;
    const uint64_t epoch = r->at.step / r->epoch_steps;
    t->start = kn_clock();
    kn_sampler_get(r->sampler, r->at.step, r->list);
    ken_status st = kn_data_pictures(r->data, r->list, r->plan.batch, &r->plan.augment, r->o->seed, epoch,
                                     r->pixels);
    t->data = kn_clock() - t->start;
    if (!st)
        st = kn_graph_images(r->image.graph, r->pixels, r->plan.batch, !r->image.still, r->at.step,
                             &features);
    if (st)
        return st;
    for (size_t i = 0; i < r->plan.batch; i++)
        r->batch_labels[i] = kn_data_labels(r->data)[r->list[i]];
    const double before = kn_clock();
    st = losses(r, features, report);
    t->loss = kn_clock() - before;
    if (st)
        return st;
    const double norm = go_back(r, &r->image, r->grad) + go_back(r, &r->text, r->pair_grad[1]);
    if (!isfinite(report->loss) || !isfinite(norm))
        return bad_number(r, report, norm);
    return learn(r, lr, momentum);
}

/* ---- the loop ---- */

static ken_status log_step(kn_run *r, const kn_loss_report *report, double lr, const timing *t)
{
    char line[512];
    const double took = kn_clock() - t->start;
    snprintf(line, sizeof line,
             "{\"step\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"loss\":%.6g,\"lr\":%.6g,\"active\":%.4f,"
             "\"positive\":%.4g,\"negative\":%.4g,\"norm\":%.4g,\"images_per_second\":%.1f,"
             "\"data_wait\":%.4f,\"loss_wait\":%.4f}\n",
             r->at.step, r->at.step / r->epoch_steps, report->loss, lr, report->active, report->positive,
             report->negative, report->norm, (double)r->plan.batch / took, t->data / took, t->loss / took);
    return kn_run_log(r, line);
}

static ken_status keep_best(kn_run *r, double score)
{
    if (r->at.has_best && score <= r->at.best) {
        r->at.since_best++;
        return KEN_OK;
    }
    r->at.best = score;
    r->at.has_best = 1;
    r->at.since_best = 0;
    return kn_run_save_model(r, "best.safetensors");
}

static ken_status evaluate(kn_run *r, double mean_loss)
{
    static const char *const kinds[][2] = { { "val_recall1", "R@1" }, { "val_top1", "top-1" },
                                            { "val_text1", "R@1 of texts" } };
    const char *const *what = kinds[!r->loss ? 2 : r->plan.loss.classes ? 1 : 0];
    char line[256];
    double score = 0, loss = 0;
    if (!r->val)
        return keep_best(r, -mean_loss);
    ken_status st = kn_run_evaluate(r, &score, &loss);
    if (st)
        return st;
    snprintf(line, sizeof line,
             "{\"step\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"val_loss\":%.6g,\"%s\":%.6f}\n", r->at.step,
             r->at.step / r->epoch_steps, loss, what[0], score);
    kn_run_note(r, "step %" PRIu64 ": training loss %.4g, validation loss %.4g, %s %.2f %%", r->at.step,
                mean_loss, loss, what[1], 100 * score);
    st = kn_run_log(r, line);
    return st ? st : keep_best(r, score);
}

/* The network that an online run starts from is the best one until another is better. */
static ken_status judge_start(kn_run *r)
{
    double loss, score;
    if (!r->o->online || r->at.has_best)
        return KEN_OK;
    const ken_status st = kn_run_evaluate(r, &score, &loss);
    if (st)
        return st;
    kn_run_note(r, "before: %.2f %% on the old ones", 100 * score);
    r->at.start_score = score;
    return keep_best(r, score);
}

static int over(const kn_run *r, double seconds)
{
    if (r->o->patience && r->at.since_best >= r->o->patience)
        return 1;
    return r->total ? r->at.step >= r->total : seconds >= r->o->minutes * 60;
}

typedef struct sum {
    double loss, data, start; /* since the last evaluation; data of the whole sitting */
    uint64_t n, images;
    double saved;             /* when */
} sum;

static ken_status one(kn_run *r, kn_meter *meter, sum *s, double before)
{
    char item[64];
    timing t;
    kn_loss_report report;
    uint64_t at, total;
    const double seconds = before + kn_clock() - s->start;
    when(r, seconds, &at, &total);
    const double lr = kn_schedule_lr(&r->plan.schedule, at, total);
    ken_status st = step(r, lr, kn_schedule_momentum(&r->plan.schedule, at, total), &report, &t);
    if (st)
        return st;
    if (report.reason)
        kn_run_note(r, "step %" PRIu64 ": %s", r->at.step, report.reason);
    st = log_step(r, &report, lr, &t);
    s->loss += report.loss;
    s->n++;
    s->data += t.data;
    s->images += r->plan.batch;
    r->at.images += r->plan.batch;
    r->at.last_loss = report.loss;
    r->at.step++;
    r->at.seconds = before + kn_clock() - s->start;
    snprintf(item, sizeof item, "step %" PRIu64 ", loss %.4g", r->at.step, report.loss);
    const ken_status told = kn_meter_tell(meter, s->images, item);
    return st ? st : told;
}

static int time_to_save(const kn_run *r, const sum *s)
{
    if (r->o->save_every)
        return r->at.step % r->o->save_every == 0;
    return r->at.step % r->epoch_steps == 0 || kn_clock() - s->saved > SAVE_SECONDS;
}

static ken_status loop(kn_run *r, sum *s)
{
    const uint64_t every = r->o->eval_every ? r->o->eval_every : r->epoch_steps;
    const double before = r->at.seconds;
    kn_meter meter;
    ken_status st = KEN_OK;
    const uint64_t left = r->total > r->at.step ? r->total - r->at.step : 0;
    kn_meter_start(&meter, "train", "pictures", left * r->plan.batch, r->o->progress, r->o->cookie);
    s->start = s->saved = kn_clock();
    while (!st && !over(r, before + kn_clock() - s->start)) {
        st = one(r, &meter, s, before);
        const int last = over(r, before + kn_clock() - s->start);
        if (!st && (r->at.step % every == 0 || last)) {
            st = evaluate(r, s->loss / (double)(s->n ? s->n : 1));
            s->loss = 0;
            s->n = 0;
        }
        if (!st && (last || time_to_save(r, s))) {
            st = kn_run_save(r);
            s->saved = kn_clock();
            if (!st && last)
                st = kn_run_report(r);
        }
    }
    kn_meter_end(&meter);
    if (st == KEN_E_CANCELED && s->images) {
        const ken_status saved = kn_run_save(r); /* the reason of the cancelling stays */
        if (saved)
            return saved;
        (void)kn_fail(KEN_E_CANCELED, "interrupted");
    }
    return st;
}

ken_status kn_train_run(const ken_train_options *o, ken_train_report *out)
{
    kn_run r = { .o = o, .log_fd = -1, .threads = o->threads ? o->threads : kn_processors() };
    sum s = { 0 };
    if (o->online && (!o->init || !o->n_val))
        return kn_fail(KEN_E_INVALID, "--online needs --init, and --val of the old objects");
    if (!o->out || !o->n_data)
        return kn_fail(KEN_E_INVALID, "training needs data and a folder for the run");
    ken_status st = set_up(&r);
    if (!st) {
        plan_steps(&r);
        st = judge_start(&r);
    }
    if (!st) {
        st = loop(&r, &s);
    }
    if (!st || st == KEN_E_CANCELED) {
        const double took = kn_clock() - s.start;
        *out = (ken_train_report){ .steps = r.at.step, .epochs = r.epoch_steps ? r.at.step / r.epoch_steps : 0,
                                   .images = r.at.images, .loss = r.at.last_loss, .best = r.at.best,
                                   .seconds = r.at.seconds,
                                   .images_per_second = took > 0 ? (double)s.images / took : 0,
                                   .data_wait = took > 0 ? s.data / took : 0,
                                   .refused = o->online && r.at.best <= r.at.start_score,
                                   .stopped_early = o->patience && r.at.since_best >= o->patience };
    }
    release(&r);
    return st;
}
