/*
 * view_named.c - which slots of a view belong to objects, and how many objects there are.
 *
 * Found out at the first recognition with a view, and kept with it.  Where every picture has an
 * object, nothing is left out and nothing must be looked up.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/collection.h"

#include <string.h>

typedef struct clearer {
    kn_view *v;
    uint64_t **skip; /* (n) */
} clearer;

static int clear_bit(const kn_item *item, void *cookie)
{
    const clearer *c = cookie;
    for (size_t i = 0; i < c->v->n; i++)
        if (c->v->segments[i].info.number == item->segment && c->skip[i]
            && item->slot < c->v->segments[i].rows)
            c->skip[i][item->slot / 64] &= ~((uint64_t)1 << item->slot % 64);
    return 0;
}

static void free_maps(uint64_t **maps, size_t n)
{
    for (size_t i = 0; maps && i < n; i++)
        kn_free(maps[i]);
    kn_free(maps);
}

/* Bitmaps of all slots but those of items with an object. */
static ken_status make_maps(ken *k, kn_view *v, uint64_t ***out)
{
    const kn_select labelled = { .by = KN_LABELLED };
    clearer c = { v, kn_zalloc(v->n, sizeof *c.skip) };
    ken_status st = c.skip ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < v->n; i++) {
        const size_t words = v->segments[i].rows / 64 + 1;
        if (!(c.skip[i] = kn_alloc(words, sizeof **c.skip)))
            st = KEN_E_NOMEM;
        else
            memset(c.skip[i], 0xff, words * sizeof **c.skip);
    }
    if (!st)
        st = k->store->v->items(k->store, &labelled, clear_bit, &c);
    if (st)
        free_maps(c.skip, v->n);
    else
        *out = c.skip;
    return st;
}

/* v->all, with the bitmaps in place of what is dead: a dead slot is nobody's. */
static ken_status make_named(ken *k, kn_view *v)
{
    kn_run *runs = kn_alloc(v->runs_n, sizeof *runs);
    uint64_t **maps = NULL;
    ken_status st = runs ? make_maps(k, v, &maps) : KEN_E_NOMEM;
    if (st) {
        kn_free(runs);
        return st;
    }
    memcpy(runs, v->all, v->runs_n * sizeof *runs);
    for (size_t i = 0, at = 0; i < v->n; i++) {
        if (v->segments[i].info.element == KN_ELEMENT_I8 || v->of_models[i])
            continue;
        for (uint32_t b = 0; (size_t)b * KN_BLOCK < v->segments[i].rows; b++)
            runs[at++].skip = maps[i];
    }
    v->unnamed = maps;
    v->named = runs;
    return KEN_OK;
}

ken_status kn_view_name(ken *k, kn_view *v)
{
    pthread_mutex_lock(&k->lock);
    ken_status st = v->counted ? KEN_OK : k->store->v->counts(k->store, &v->counts);
    if (!st && !v->counted && v->counts.labelled < v->counts.items)
        st = make_named(k, v);
    if (!st)
        v->counted = 1;
    pthread_mutex_unlock(&k->lock);
    return st;
}

void kn_view_unname(kn_view *v)
{
    free_maps(v->unnamed, v->n);
    kn_free(v->named);
}
