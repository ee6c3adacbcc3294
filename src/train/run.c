/*
 * run.c - a training run, step by step.
 *
 * A step is a pure function of what the checkpoint holds, the data and the step's number: samples,
 * augmentation and dropping are drawn by counters.  So a run that is resumed makes the same numbers
 * to the bit, with any number of threads.  (With --minutes the rate depends on the clock.)
 */
#include "train/run.h"

#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rand.h"
#include "train/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double SAVE_SECONDS = 120;

/* ---- a step ---- */

/* Where the schedule stands. */
static void when(const kn_run *r, double seconds, uint64_t *step, uint64_t *total)
{
    *step = r->at.step;
    *total = r->total;
    if (r->total)
        return;
    const double share = seconds / (r->o->minutes * 60);
    *total = KN_CLOCK_STEPS;
    *step = share < 1 ? (uint64_t)(share * (double)KN_CLOCK_STEPS) : KN_CLOCK_STEPS - 1;
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

/* One more loss of the pictures: its gradient lies in pair_grad[0].  What else is told is the first one's. */
static void add_loss(kn_run *r, const kn_loss_report *part, float weight, int first, kn_loss_report *report)
{
    const size_t len = (size_t)r->plan.batch * r->plan.loss.dim;
    if (first) {
        *report = *part;
        report->loss = 0;
        memset(r->grad, 0, len * sizeof *r->grad);
    }
    for (size_t i = 0; i < len; i++)
        r->grad[i] += weight * r->pair_grad[0][i];
    report->loss += (double)weight * part->loss;
    report->bad = report->bad < 0 ? part->bad : report->bad;
}

/* The loss of pictures with texts; it leaves the texts' gradients in pair_grad[1]. */
static ken_status pair_up(kn_run *r, const float *images, kn_loss_report *report)
{
    const size_t n = r->plan.batch, len = n * r->plan.loss.dim;
    const float weight = r->plan.text_weight, *texts = NULL;
    kn_loss_report pairs;
    ken_status st = tell(r);
    if (!st)
        st = kn_graph_texts(r->text.graph, r->ids, r->lens, n, !r->text.still, r->at.step, &texts);
    if (!st)
        st = kn_loss_run_pairs(r->pairs, images, texts, n, r->batch_labels, r->pair_grad[0],
                               r->pair_grad[1], &pairs);
    if (st)
        return st;
    for (size_t i = 0; i < len; i++)
        r->pair_grad[1][i] *= weight;
    add_loss(r, &pairs, weight, !r->loss, report);
    return KEN_OK;
}

/* The loss of pictures with the teacher's vectors of them. */
static ken_status follow(kn_run *r, const float *images, kn_loss_report *report)
{
    const float *taught = NULL;
    kn_loss_report part;
    ken_status st = kn_teacher_see(r->teacher, r->pixels, r->plan.batch, &taught);
    if (!st)
        st = kn_loss_run_pairs(r->distill, images, taught, r->plan.batch, NULL, r->pair_grad[0], NULL, &part);
    if (!st)
        add_loss(r, &part, r->plan.teacher_weight, !r->loss && !r->pairs, report);
    return st;
}

static ken_status losses(kn_run *r, const float *features, kn_loss_report *report)
{
    ken_status st = KEN_OK;
    if (r->loss)
        st = kn_loss_run(r->loss, features, r->batch_labels, r->plan.batch, r->grad, report);
    if (!st && r->pairs)
        st = pair_up(r, features, report);
    return st || !r->teacher ? st : follow(r, features, report);
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
    const kn_data_augment aug = { &r->plan.augment, &r->plan.toys_augment };
    t->start = kn_clock();
    kn_sampler_get(r->sampler, r->at.step, r->list);
    ken_status st = kn_data_pictures(r->data, r->list, r->plan.batch, &aug, r->o->seed, epoch,
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
    const char *const *what = kinds[r->plan.loss.kind == KN_LOSS_CLIP ? 2 : r->plan.loss.classes ? 1 : 0];
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
    double data, start;
    uint64_t images;
    double saved; /* when */
} sum; /* of this sitting */

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
    r->at.loss_sum += report.loss;
    r->at.loss_steps++;
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
            st = evaluate(r, r->at.loss_sum / (double)r->at.loss_steps);
            r->at.loss_sum = 0;
            r->at.loss_steps = 0;
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
    ken_status st = kn_run_set_up(&r);
    if (!st) {
        st = judge_start(&r);
    }
    if (!st) {
        st = loop(&r, &s);
    }
    if (!st || st == KEN_E_CANCELED) {
        const double took = kn_clock() - s.start;
        *out = (ken_train_report){ .steps = r.at.step,
                                   .epochs = r.epoch_steps ? r.at.step / r.epoch_steps : 0,
                                   .images = r.at.images,
                                   .loss = r.at.last_loss,
                                   .best = r.at.best,
                                   .seconds = r.at.seconds,
                                   .images_per_second = took > 0 ? (double)s.images / took : 0,
                                   .data_wait = took > 0 ? s.data / took : 0,
                                   .refused = o->online && r.at.best <= r.at.start_score,
                                   .stopped_early = o->patience && r.at.since_best >= o->patience };
    }
    kn_run_release(&r);
    return st;
}
