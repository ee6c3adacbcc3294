/* thumbs.c - a fixed table of entries; the one that was used least recently makes room. */
#include "serve/thumbs.h"

#include "base/alloc.h"

#include <pthread.h>
#include <string.h>

enum { ENTRIES = 4096, KEY = 64 };

typedef struct entry {
    char key[KEY]; /* "" is free */
    unsigned char *bytes;
    size_t n;
    uint64_t used;
} entry;

struct kn_thumbs {
    pthread_mutex_t lock; /* guards the rest */
    size_t max, bytes;
    uint64_t clock;
    entry list[ENTRIES];
};

ken_status kn_thumbs_new(kn_thumbs **out, size_t max_bytes)
{
    kn_thumbs *t = kn_zalloc(1, sizeof *t);
    if (!t)
        return KEN_E_NOMEM;
    t->max = max_bytes;
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return KEN_OK;
}

static entry *find(kn_thumbs *t, const char *key)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (!strcmp(t->list[i].key, key))
            return &t->list[i];
    return NULL;
}

int kn_thumbs_get(kn_thumbs *t, const char *key, unsigned char **bytes, size_t *n)
{
    pthread_mutex_lock(&t->lock);
    entry *e = find(t, key);
    *bytes = e ? kn_alloc(e->n, 1) : NULL;
    if (*bytes) {
        memcpy(*bytes, e->bytes, e->n);
        *n = e->n;
        e->used = ++t->clock;
    }
    pthread_mutex_unlock(&t->lock);
    return *bytes != NULL;
}

static entry *oldest(kn_thumbs *t)
{
    entry *e = &t->list[0];
    for (size_t i = 1; i < ENTRIES; i++)
        if (t->list[i].key[0] && (!e->key[0] || t->list[i].used < e->used))
            e = &t->list[i];
    return e;
}

static void drop(kn_thumbs *t, entry *e)
{
    t->bytes -= e->n;
    kn_free(e->bytes);
    *e = (entry){ 0 };
}

void kn_thumbs_put(kn_thumbs *t, const char *key, const unsigned char *bytes, size_t n)
{
    if (n > t->max || strlen(key) >= KEY)
        return;
    unsigned char *copy = kn_alloc(n, 1);
    if (!copy)
        return;
    memcpy(copy, bytes, n);
    pthread_mutex_lock(&t->lock);
    entry *e = find(t, key);
    if (e)
        drop(t, e);
    while (t->bytes + n > t->max || !(e = find(t, "")))
        drop(t, oldest(t));
    e->bytes = copy;
    e->n = n;
    e->used = ++t->clock;
    memcpy(e->key, key, strlen(key) + 1);
    t->bytes += n;
    pthread_mutex_unlock(&t->lock);
}

void kn_thumbs_free(kn_thumbs *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < ENTRIES; i++)
        kn_free(t->list[i].bytes);
    pthread_mutex_destroy(&t->lock);
    kn_free(t);
}
