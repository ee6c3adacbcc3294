/* encode_queue.c - jobs wait in a list; the thread takes from its head what one pass may hold. */
#include "serve/encode_queue.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MAX_TEXTS = 256, MAX_IMAGES = 64, REASON = 512 };

/* What one request asks, on its own stack. */
typedef struct job {
    struct job *next;
    const char *const *texts; /* or NULL: images */
    const ken_image *const *images;
    int fitted; /* the images are */
    size_t n, done;
    float *vectors;     /* or NULL: for the searches that follow, */
    const char *expand; /* which are asked with it, or NULL */
    ken_status st;
    char why[REASON];
} job;

struct kn_encoder {
    const ken_model *model;
    ken *db; /* whose searches are encoded for; NULL: none are */
    size_t dim;
    kn_encoded_fn fn;
    void *cookie;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t more, done;
    job *first, **last;
    size_t waiting;
    int stopping;
};

/* Of the jobs' kind that comes first: how much of which one is in this pass. */
typedef struct pass {
    int is_text, fitted, ahead; /* ahead: what comes out stays with the collection */
    const char *expand;
    size_t n;
    const void *inputs[MAX_TEXTS];
    job *jobs[MAX_TEXTS];
    size_t places[MAX_TEXTS]; /* of the input in its job */
    float *vectors;
} pass;

static size_t room(const pass *p)
{
    return (p->is_text ? MAX_TEXTS : MAX_IMAGES) - p->n;
}

static int is_of(const job *j, const pass *p)
{
    return (j->texts != NULL) == p->is_text && (j->vectors == NULL) == p->ahead && j->fitted == p->fitted &&
           !strcmp(j->expand ? j->expand : "", p->expand ? p->expand : "");
}

/* The lock is held.  Long jobs stay at the head until all of them has been taken. */
static void fill(kn_encoder *e, pass *p)
{
    p->n = 0;
    p->is_text = e->first->texts != NULL;
    p->fitted = e->first->fitted;
    p->ahead = e->first->vectors == NULL;
    p->expand = e->first->expand;
    for (job *j = e->first; j && room(p); j = j->next) {
        if (!is_of(j, p))
            continue;
        for (; j->done < j->n && room(p); j->done++) {
            p->jobs[p->n] = j;
            p->places[p->n] = j->done;
            p->inputs[p->n++] =
                p->is_text ? (const void *)j->texts[j->done] : (const void *)j->images[j->done];
        }
    }
    e->waiting -= p->n;
}

static ken_status run_ahead(const kn_encoder *e, const pass *p)
{
    ken_term terms[MAX_TEXTS];
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    o.expand = p->expand;
    for (size_t i = 0; i < p->n; i++) {
        terms[i] = (ken_term){ .weight = 1 };
        if (p->is_text)
            terms[i].text = p->inputs[i];
        else
            terms[i].image = p->inputs[i];
    }
    return ken_search_ahead(e->db, terms, p->n, &o);
}

static ken_status run(const kn_encoder *e, pass *p)
{
    if (p->ahead)
        return run_ahead(e, p);
    if (p->is_text)
        return ken_model_embed_texts(e->model, (const char *const *)p->inputs, p->n, p->vectors);
    const ken_image *const *images = (const ken_image *const *)p->inputs;
    return p->fitted ? ken_model_embed_fitted(e->model, images, p->n, p->vectors)
                     : ken_model_embed(e->model, images, p->n, p->vectors);
}

/* Results to their jobs, which are woken when they have all of theirs.  The lock is held. */
static void hand_out(kn_encoder *e, const pass *p, ken_status st)
{
    for (size_t i = 0; i < p->n; i++) {
        job *j = p->jobs[i];
        if (st && !j->st) {
            j->st = st;
            snprintf(j->why, sizeof j->why, "%s", ken_last_error());
        }
        if (!st && j->vectors)
            memcpy(j->vectors + p->places[i] * e->dim, p->vectors + i * e->dim, e->dim * sizeof(float));
    }
    for (job **link = &e->first; *link;) {
        job *j = *link;
        if (j->done == j->n) {
            *link = j->next;
            j->n = SIZE_MAX; /* its owner's sign */
        } else {
            link = &j->next;
        }
    }
    e->last = &e->first;
    while (*e->last)
        e->last = &(*e->last)->next;
    pthread_cond_broadcast(&e->done);
}

/* Clients that wait for their answers ask again together, a moment after a pass: where the last one served
 * several, a tenth of its time is spent on waiting for as many.  Whoever comes alone waits for nobody.  The
 * lock is held. */
static void gather(kn_encoder *e, size_t last, double seconds)
{
    struct timespec at;
    const double most = seconds / 10 < .005 ? seconds / 10 : .005;
    if (last < 2 || e->waiting >= last || e->stopping)
        return;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += (long)(most * 1e9);
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    while (e->waiting < last && !e->stopping)
        if (pthread_cond_timedwait(&e->more, &e->lock, &at) != 0)
            return;
}

static void *encode(void *cookie)
{
    kn_encoder *e = cookie;
    static const size_t most = MAX_TEXTS;
    pass p = { .vectors = kn_alloc_aligned(most * e->dim, sizeof(float)) };
    double seconds = 0;
    pthread_mutex_lock(&e->lock);
    for (;;) {
        while (!e->first && !e->stopping)
            pthread_cond_wait(&e->more, &e->lock);
        if (!e->first)
            break;
        gather(e, p.n, seconds);
        fill(e, &p);
        pthread_mutex_unlock(&e->lock);
        const double start = kn_clock();
        const ken_status st = p.vectors ? run(e, &p) : KEN_E_NOMEM;
        seconds = kn_clock() - start;
        if (!st)
            e->fn(p.is_text ? "text" : "image", p.n, seconds, e->cookie);
        pthread_mutex_lock(&e->lock);
        hand_out(e, &p, st);
    }
    pthread_mutex_unlock(&e->lock);
    kn_free(p.vectors);
    return NULL;
}

ken_status kn_encoder_start(kn_encoder **out, const ken_model *m, ken *db, kn_encoded_fn fn, void *cookie)
{
    kn_encoder *e = kn_zalloc(1, sizeof *e);
    if (!e)
        return KEN_E_NOMEM;
    e->model = m;
    e->db = db;
    e->dim = ken_model_get_info(m)->dim;
    e->fn = fn;
    e->cookie = cookie;
    e->last = &e->first;
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&e->more, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&e->done, NULL);
    const int err = pthread_create(&e->thread, NULL, encode, e);
    if (err) {
        kn_free(e);
        return kn_fail_errno(err);
    }
    *out = e;
    return KEN_OK;
}

static ken_status wait_for(kn_encoder *e, job *j)
{
    if (!j->n)
        return KEN_OK;
    pthread_mutex_lock(&e->lock);
    *e->last = j;
    e->last = &j->next;
    e->waiting += j->n;
    pthread_cond_signal(&e->more);
    while (j->n != SIZE_MAX)
        pthread_cond_wait(&e->done, &e->lock);
    pthread_mutex_unlock(&e->lock);
    return j->st ? kn_fail(j->st, "%s", j->why) : KEN_OK;
}

static ken_status ask_texts(kn_encoder *e, job *j)
{
    if (!ken_model_get_info(e->model)->has_texts)
        return kn_fail(KEN_E_MODEL, "model %s has no text network", ken_model_get_info(e->model)->name);
    return wait_for(e, j);
}

static ken_status ask_images(kn_encoder *e, job *j)
{
    if (!ken_model_get_info(e->model)->has_images)
        return kn_fail(KEN_E_UNSUPPORTED, "model %s has no image network",
                       ken_model_get_info(e->model)->name);
    return wait_for(e, j);
}

ken_status kn_encoder_texts(kn_encoder *e, const char *const *texts, size_t n, float *vectors)
{
    job j = { .texts = texts, .n = n, .vectors = vectors };
    return ask_texts(e, &j);
}

ken_status kn_encoder_images(kn_encoder *e, const ken_image *const *images, size_t n, float *vectors)
{
    job j = { .images = images, .n = n, .vectors = vectors };
    return ask_images(e, &j);
}

ken_status kn_encoder_fitted(kn_encoder *e, const ken_image *const *images, size_t n, float *vectors)
{
    job j = { .images = images, .fitted = 1, .n = n, .vectors = vectors };
    return ask_images(e, &j);
}

ken_status kn_encoder_texts_ahead(kn_encoder *e, const char *const *texts, size_t n, const char *expand)
{
    job j = { .texts = texts, .n = n, .expand = expand };
    return n ? ask_texts(e, &j) : KEN_OK;
}

ken_status kn_encoder_images_ahead(kn_encoder *e, const ken_image *const *images, size_t n)
{
    job j = { .images = images, .n = n };
    return n ? ask_images(e, &j) : KEN_OK;
}

size_t kn_encoder_waiting(kn_encoder *e)
{
    pthread_mutex_lock(&e->lock);
    const size_t n = e->waiting;
    pthread_mutex_unlock(&e->lock);
    return n;
}

void kn_encoder_stop(kn_encoder *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    e->stopping = 1;
    pthread_cond_signal(&e->more);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->more);
    pthread_cond_destroy(&e->done);
    kn_free(e);
}
