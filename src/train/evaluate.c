/*
 * evaluate.c - how good the network is on pictures that it does not train on.
 *
 * With classes of the loss's own (softmax, ArcFace …): the share of pictures whose class scores
 * highest, classes matched by name.  Else R@1: the share of pictures whose nearest other picture is
 * of the same class.
 */
#include "train/run.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"

#include <math.h>
#include <string.h>

enum { QUERIES = 32 };

/* Pictures of the validation set from the i-th on, at most a batch, into r->pixels; *now: how many. */
static ken_status look(kn_run *r, size_t i, size_t *now)
{
    const size_t left = kn_data_len(r->val) - i;
    *now = left < r->plan.batch ? left : r->plan.batch;
    for (size_t j = 0; j < *now; j++)
        r->list[j] = (uint32_t)(i + j);
    const ken_status st = kn_check_interrupt();
    return st ? st : kn_data_pictures(r->val, r->list, *now, NULL, 0, 0, r->pixels);
}

/* Vectors of the validation set (n, dim). */
static ken_status embed(kn_run *r, float *out)
{
    const size_t n = kn_data_len(r->val), dim = r->plan.loss.dim;
    ken_status st = KEN_OK;
    for (size_t i = 0, now; !st && i < n; i += now) {
        const float *features = NULL;
        st = look(r, i, &now);
        if (!st)
            st = kn_graph_images(r->image.graph, r->pixels, now, 0, 0, &features);
        if (!st)
            memcpy(out + i * dim, features, now * dim * sizeof *out);
    }
    return st;
}

/* The teacher's, which never change: r->taught, made when they are first asked for. */
static ken_status teach(kn_run *r)
{
    if (r->taught)
        return KEN_OK;
    const size_t n = kn_data_len(r->val), dim = kn_teacher_dim(r->teacher);
    float *taught = kn_alloc_aligned(n * dim, sizeof *taught);
    ken_status st = taught ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0, now; !st && i < n; i += now) {
        const float *features = NULL;
        st = look(r, i, &now);
        if (!st)
            st = kn_teacher_see(r->teacher, r->pixels, now, &features);
        if (!st)
            memcpy(taught + i * dim, features, now * dim * sizeof *taught);
    }
    if (st)
        kn_free(taught);
    else
        r->taught = taught;
    return st;
}

typedef struct nearest {
    const float *vectors; /* (n, dim), unit */
    const uint32_t *labels;
    size_t n, dim;
    unsigned char *right; /* (n) */
} nearest;

static ken_status nearest_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const nearest *l = cookie;
    float *scores = kn_alloc_aligned(QUERIES * l->n, sizeof *scores);
    (void)worker;
    if (!scores)
        return KEN_E_NOMEM;
    for (size_t q = begin; q < end; q += QUERIES) {
        const size_t now = end - q < QUERIES ? end - q : QUERIES;
        kn_kernels_get()->dots_batch_f32(l->vectors + q * l->dim, now, l->vectors, l->n, l->dim, scores,
                                         l->n);
        for (size_t i = 0; i < now; i++) {
            size_t best = q + i == 0;
            for (size_t j = 0; j < l->n; j++)
                if (j != q + i && scores[i * l->n + j] > scores[i * l->n + best])
                    best = j;
            l->right[q + i] = l->labels[best] == l->labels[q + i];
        }
    }
    kn_free(scores);
    return KEN_OK;
}

static ken_status recall(const kn_run *r, float *vectors, double *score)
{
    nearest l = { vectors, kn_data_labels(r->val), kn_data_len(r->val), r->plan.loss.dim, NULL };
    size_t right = 0;
    if (l.n < 2)
        return kn_fail(KEN_E_INVALID, "a validation set needs two pictures");
    l.right = kn_alloc(l.n, 1);
    if (!l.right)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < l.n; i++)
        kn_kernels_get()->l2_normalize(vectors + i * l.dim, l.dim);
    const ken_status st = kn_parallel(l.n, QUERIES, r->threads, nearest_piece, &l);
    for (size_t i = 0; !st && i < l.n; i++)
        right += l.right[i];
    *score = (double)right / (double)l.n;
    kn_free(l.right);
    return st;
}

/* Label of the training set for each of the validation set; UINT32_MAX where it has none. */
static uint32_t *match_classes(const kn_run *r)
{
    const uint32_t n = kn_data_classes(r->val), m = kn_data_classes(r->data);
    uint32_t *map = kn_alloc(n, sizeof *map);
    for (uint32_t i = 0; map && i < n; i++) {
        map[i] = UINT32_MAX;
        for (uint32_t j = 0; j < m; j++)
            if (!strcmp(kn_data_class(r->val, i), kn_data_class(r->data, j)))
                map[i] = j;
    }
    return map;
}

/* The class whose weight vector answers loudest. */
static ken_status top1(const kn_run *r, float *vectors, double *score, double *loss)
{
    const size_t n = kn_data_len(r->val), dim = r->plan.loss.dim, m = r->plan.loss.classes;
    const int linear = r->plan.loss.kind == KN_LOSS_SOFTMAX;
    float *w = NULL, *g = NULL;
    size_t count, right = 0;
    kn_loss_params(r->loss, &w, &g, &count);
    uint32_t *map = match_classes(r);
    float *own = kn_alloc_aligned(m * dim, sizeof *own), *logits = kn_alloc(m, sizeof *logits);
    double sum = 0;
    if (!map || !own || !logits) {
        kn_free(map);
        kn_free(own);
        kn_free(logits);
        return KEN_E_NOMEM;
    }
    memcpy(own, w, m * dim * sizeof *own);
    for (size_t c = 0; !linear && c < m; c++)
        kn_kernels_get()->l2_normalize(own + c * dim, dim);
    for (size_t i = 0; i < n; i++) {
        const uint32_t label = map[kn_data_labels(r->val)[i]];
        size_t best = 0;
        double total = 0;
        if (!linear)
            kn_kernels_get()->l2_normalize(vectors + i * dim, dim);
        kn_kernels_get()->dots_f32(vectors + i * dim, own, m, dim, logits);
        for (size_t c = 0; c < m; c++) {
            logits[c] = linear ? logits[c] + w[m * dim + c] : logits[c] * r->plan.loss.scale;
            best = logits[c] > logits[best] ? c : best;
        }
        for (size_t c = 0; c < m; c++)
            total += exp((double)(logits[c] - logits[best]));
        right += best == label;
        if (label != UINT32_MAX)
            sum += log(total) - (double)(logits[label] - logits[best]);
    }
    *score = (double)right / (double)n;
    *loss = sum / (double)n;
    kn_free(map);
    kn_free(own);
    kn_free(logits);
    return KEN_OK;
}

/* The loss over the set in batches of its own order, by its labels or by what the teacher says of it. */
static ken_status loss_of(const kn_run *r, const float *vectors, double *loss)
{
    const int follows = r->plan.loss.kind == KN_LOSS_DISTILL;
    const size_t teacher_dim = follows ? kn_teacher_dim(r->teacher) : 0;
    const size_t n = kn_data_len(r->val), dim = r->plan.loss.dim, batch = r->plan.batch;
    double sum = 0;
    size_t batches = 0;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i += batch) {
        const size_t now = n - i < batch ? n - i : batch;
        kn_loss_report report;
        if (follows)
            st = kn_loss_run_pairs(r->val_loss, vectors + i * dim, r->taught + i * teacher_dim, now, NULL,
                                   r->grad, NULL, &report);
        else
            st = kn_loss_run(r->val_loss, vectors + i * dim, kn_data_labels(r->val) + i, now, r->grad,
                             &report);
        if (!st && now > 1) {
            sum += report.loss;
            batches++;
        }
    }
    *loss = batches ? sum / (double)batches : 0;
    return st;
}

/* One text of each sample, of the languages in turn. */
static ken_status embed_texts(kn_run *r, float *out)
{
    const size_t n = kn_data_len(r->val), dim = r->plan.loss.dim, batch = r->plan.batch;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i += batch) {
        const size_t now = n - i < batch ? n - i : batch;
        const float *features = NULL;
        int32_t *to = r->ids;
        for (size_t j = 0; !st && j < now; to += r->lens[j++])
            st = kn_words_of(r->words, r->val, i + j, (uint32_t)(7919 * (i + j)) * 2 + (uint32_t)(j & 1), to,
                             &r->lens[j]);
        if (!st)
            st = kn_graph_texts(r->text.graph, r->ids, r->lens, now, 0, 0, &features);
        if (!st)
            memcpy(out + i * dim, features, now * dim * sizeof *out);
    }
    return st;
}

/* Of the first batch, at the scale that has been learnt so far. */
static ken_status text_loss(const kn_run *r, const float *vectors, const float *texts, double *loss)
{
    const size_t n = kn_data_len(r->val), rows = n < r->plan.batch ? n : r->plan.batch;
    kn_loss_report report = { 0 };
    float *learnt, *own, *g;
    size_t count;
    kn_loss_params(r->pairs, &learnt, &g, &count);
    kn_loss_params(r->val_loss, &own, &g, &count);
    memcpy(own, learnt, count * sizeof *own);
    const ken_status st = kn_loss_run_pairs(r->val_loss, vectors, texts, rows, kn_data_labels(r->val),
                                            r->pair_grad[0], r->pair_grad[1], &report);
    *loss = report.loss;
    return st;
}

/* The share of texts whose nearest picture is one of their class. */
static ken_status text_recall(kn_run *r, float *vectors, double *score, double *loss)
{
    const size_t n = kn_data_len(r->val), dim = r->plan.loss.dim;
    const uint32_t *labels = kn_data_labels(r->val);
    float *texts = kn_alloc_aligned(n * dim, sizeof *texts), *scores = kn_alloc(n, sizeof *scores);
    size_t right = 0;
    ken_status st = texts && scores ? embed_texts(r, texts) : KEN_E_NOMEM;
    if (!st)
        st = text_loss(r, vectors, texts, loss);
    for (size_t i = 0; !st && i < n; i++)
        kn_kernels_get()->l2_normalize(vectors + i * dim, dim);
    for (size_t i = 0; !st && i < n; i++) {
        size_t best = 0;
        kn_kernels_get()->dots_f32(texts + i * dim, vectors, n, dim, scores);
        for (size_t j = 1; j < n; j++)
            best = scores[j] > scores[best] ? j : best;
        right += labels[best] == labels[i];
    }
    *score = (double)right / (double)n;
    kn_free(texts);
    kn_free(scores);
    return st;
}

/* The averaged weights into the network, and back. */
static void put_average(kn_side *s, int in)
{
    size_t n;
    if (!s->ema)
        return;
    float *w = kn_graph_weights(s->graph, &n);
    if (in)
        memcpy(s->spare, w, n * sizeof *w);
    memcpy(w, in ? s->ema : s->spare, n * sizeof *w);
    kn_graph_changed(s->graph);
}

static ken_status judge(kn_run *r, float *vectors, double *score, double *loss)
{
    ken_status st = r->plan.loss.kind == KN_LOSS_DISTILL ? teach(r) : KEN_OK;
    if (!st)
        st = embed(r, vectors);
    if (st)
        return st;
    if (r->plan.loss.kind == KN_LOSS_CLIP)
        return text_recall(r, vectors, score, loss);
    if (r->plan.loss.classes)
        return top1(r, vectors, score, loss);
    st = loss_of(r, vectors, loss);
    return st ? st : recall(r, vectors, score);
}

ken_status kn_run_evaluate(kn_run *r, double *score, double *loss)
{
    const size_t n = kn_data_len(r->val);
    float *vectors = kn_alloc_aligned(n * r->plan.loss.dim, sizeof *vectors);
    ken_status st = vectors ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        put_average(&r->image, 1);
        put_average(&r->text, 1);
        st = judge(r, vectors, score, loss);
        put_average(&r->image, 0);
        put_average(&r->text, 0);
    }
    kn_free(vectors);
    return st;
}

/* ---- what is still confused ---- */

static void keep_worst(kn_confusion *list, size_t most, size_t *n, kn_confusion c)
{
    const float off = c.to_wrong - c.to_right;
    size_t at = *n < most ? (*n)++ : most;
    for (; at && list[at - 1].to_wrong - list[at - 1].to_right < off; at--)
        if (at < most)
            list[at] = list[at - 1];
    if (at < most)
        list[at] = c;
}

ken_status kn_run_hardest(kn_run *r, kn_confusion *out, size_t most, size_t *n)
{
    const size_t len = kn_data_len(r->val), dim = r->plan.loss.dim;
    const uint32_t *labels = kn_data_labels(r->val);
    float *vectors = kn_alloc_aligned(len * dim, sizeof *vectors), *scores = kn_alloc(len, sizeof *scores);
    ken_status st = vectors && scores ? KEN_OK : KEN_E_NOMEM;
    *n = 0;
    if (!st) {
        put_average(&r->image, 1);
        st = embed(r, vectors);
        put_average(&r->image, 0);
    }
    for (size_t i = 0; !st && i < len; i++)
        kn_kernels_get()->l2_normalize(vectors + i * dim, dim);
    for (uint32_t i = 0; !st && i < len; i++) {
        kn_confusion c = { i, i, i, -2, -2 };
        kn_kernels_get()->dots_f32(vectors + i * dim, vectors, len, dim, scores);
        for (uint32_t j = 0; j < len; j++) {
            const int same = labels[j] == labels[i];
            if (j != i && scores[j] > (same ? c.to_right : c.to_wrong)) {
                *(same ? &c.to_right : &c.to_wrong) = scores[j];
                *(same ? &c.right : &c.wrong) = j;
            }
        }
        if (c.right != i && c.wrong != i && c.to_wrong > c.to_right)
            keep_worst(out, most, n, c);
    }
    kn_free(vectors);
    kn_free(scores);
    return st;
}
