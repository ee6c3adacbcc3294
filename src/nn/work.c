/* work.c - a list of areas; the one taken grows when a larger call comes, and stays that large. */
#include "nn/work.h"

#include "base/alloc.h"
#include "base/log.h"

#include <pthread.h>

enum { ALIGN = 64 };

struct kn_work {
    kn_work *next;
    void *bytes;
    size_t cap;
};

struct kn_work_pool {
    pthread_mutex_t lock; /* guards idle */
    kn_work *idle;
};

kn_work_pool *kn_work_pool_new(void)
{
    kn_work_pool *p = kn_zalloc(1, sizeof *p);
    if (p)
        pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void work_free(kn_work *w)
{
    if (w)
        kn_free(w->bytes);
    kn_free(w);
}

void kn_work_pool_free(kn_work_pool *p)
{
    if (!p)
        return;
    while (p->idle) {
        kn_work *w = p->idle;
        p->idle = w->next;
        work_free(w);
    }
    pthread_mutex_destroy(&p->lock);
    kn_free(p);
}

ken_status kn_work_take(kn_work_pool *p, size_t bytes, kn_work **out)
{
    pthread_mutex_lock(&p->lock);
    kn_work *w = p->idle;
    if (w)
        p->idle = w->next;
    pthread_mutex_unlock(&p->lock);

    if (!w && !(w = kn_zalloc(1, sizeof *w)))
        return KEN_E_NOMEM;
    if (w->cap < bytes) {
        kn_free(w->bytes);
        w->cap = 0;
        w->bytes = kn_alloc_aligned(bytes, 1);
        if (!w->bytes) {
            work_free(w);
            return KEN_E_NOMEM;
        }
        w->cap = bytes;
        kn_log(KEN_LOG_DEBUG, "work area of %zu bytes", bytes);
    }
    *out = w;
    return KEN_OK;
}

void kn_work_give(kn_work_pool *p, kn_work *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&p->lock);
    w->next = p->idle;
    p->idle = w;
    pthread_mutex_unlock(&p->lock);
}

kn_arena kn_work_arena(kn_work *w)
{
    return (kn_arena){ w->bytes, 0 };
}

void *kn_arena_take(kn_arena *a, size_t bytes)
{
    void *p = a->base ? a->base + a->used : NULL;
    a->used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return p;
}
