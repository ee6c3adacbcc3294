/*
 * choice.c - every record against a filter, once for each state of the collection.
 *
 * A pass over the records takes about a second a million, so a view keeps its choices: who pages through
 * answers, or asks many things of the same year, waits once.
 */
#include "engine/choice.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/lookup.h"
#include "engine/where.h"

#include <string.h>

typedef struct chooser {
    const kn_view *v;
    const kn_where *f;
    kn_choice *c;
    size_t cap;
    ken_status st;
} chooser;

void kn_choice_free(kn_choice *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->skip && i < c->segments; i++)
        kn_free(c->skip[i]);
    kn_free(c->skip);
    kn_free(c->ids);
    kn_free(c->where);
    kn_free(c->pictures);
    kn_free(c->views);
    kn_free(c);
}

int kn_choice_has(const kn_choice *c, uint64_t id)
{
    size_t low = 0, high = c->items;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (c->ids[mid] < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < c->items && c->ids[low] == id;
}

/* ---- records to slots ---- */

static void let_through(const chooser *j, uint32_t segment, uint32_t slot, uint32_t n)
{
    size_t i;
    if (!kn_place_find(j->v, kn_place_id(segment, slot), &i, &slot))
        return;
    for (; n && slot < j->v->segments[i].rows; slot++, n--)
        j->c->skip[i][slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

static int judge(const kn_item *item, void *cookie)
{
    chooser *j = cookie;
    kn_choice *c = j->c;
    if ((item->hidden && !c->hidden) || !kn_where_match(j->f, item))
        return 0;
    uint64_t *ids = kn_room(c->ids, c->items, &j->cap, sizeof *ids);
    if (!ids) {
        j->st = KEN_E_NOMEM;
        return 1;
    }
    c->ids = ids;
    ids[c->items++] = item->id;
    if (item->segment)
        let_through(j, item->segment, item->slot, 1);
    if (item->part_segment)
        let_through(j, item->part_segment, item->part_slot, item->parts);
    return 0;
}

static size_t skip_runs(kn_run *runs, const kn_segment *s, uint64_t *skip)
{
    size_t n = 0;
    for (; n * KN_BLOCK < s->rows; n++)
        runs[n].skip = skip;
    return n;
}

/* Everything is left out at first. */
static ken_status begin(const kn_view *v, kn_choice *c)
{
    c->segments = v->n;
    c->skip = kn_zalloc(v->n, sizeof *c->skip);
    c->pictures = kn_alloc(v->runs_n, sizeof *c->pictures);
    c->views = kn_alloc(v->views_n, sizeof *c->views);
    if (!c->skip || !c->pictures || !c->views)
        return KEN_E_NOMEM;
    memcpy(c->pictures, v->all, v->runs_n * sizeof *c->pictures);
    memcpy(c->views, v->all_views, v->views_n * sizeof *c->views);
    for (size_t i = 0, at = 0, view = 0; i < v->n; i++) {
        const size_t words = v->segments[i].rows / 64 + 1;
        if (!(c->skip[i] = kn_alloc(words, sizeof **c->skip)))
            return KEN_E_NOMEM;
        memset(c->skip[i], 0xff, words * sizeof **c->skip);
        if (v->of_models[i])
            view += skip_runs(c->views + view, &v->segments[i], c->skip[i]);
        else if (v->segments[i].info.element != KN_ELEMENT_I8)
            at += skip_runs(c->pictures + at, &v->segments[i], c->skip[i]);
    }
    return KEN_OK;
}

static ken_status make(ken *k, const kn_view *v, const kn_where *f, const char *where, int hidden,
                       kn_choice **out)
{
    const kn_select all = { .by = KN_AFTER };
    chooser j = { .v = v, .f = f, .c = kn_zalloc(1, sizeof *j.c) };
    if (!j.c)
        return KEN_E_NOMEM;
    j.c->hidden = hidden;
    j.c->where = kn_strdup(where);
    ken_status st = j.c->where ? begin(v, j.c) : KEN_E_NOMEM;
    if (!st)
        st = k->store->v->items(k->store, &all, judge, &j);
    st = st ? st : j.st;
    if (st)
        kn_choice_free(j.c);
    else
        *out = j.c;
    return st;
}

/* ---- those of a view ---- */

static const kn_choice *kept(const kn_view *v, const char *where, int hidden)
{
    for (size_t i = 0; i < KN_CHOICES; i++)
        if (v->choices[i] && v->choices[i]->hidden == hidden && !strcmp(v->choices[i]->where, where))
            return v->choices[i];
    return NULL;
}

/* The view is nobody else's, or has a free place; else a new one is made that has. */
static ken_status keep(ken *k, kn_view **v, const kn_where *f, const char *where, int hidden,
                       const kn_choice **out)
{
    uint64_t now = 0;
    ken_status st;
    do {
        kn_choice *c = NULL;
        size_t place = 0;
        while (place < KN_CHOICES && (*v)->choices[place])
            place++;
        if (place == KN_CHOICES)
            st = kn_view_renew_locked(k, v);
        else
            st = make(k, *v, f, where, hidden, &c);
        if (!st && c)
            (*v)->choices[place] = c;
        *out = c;
        if (!st)
            st = k->store->v->generation(k->store, &now);
        if (!st && now != (*v)->generation)
            st = kn_view_renew_locked(k, v), *out = NULL;
    } while (!st && !*out);
    return st;
}

ken_status kn_choice_get(ken *k, const char *where, int hidden, kn_view **view, const kn_choice **choice)
{
    kn_where *f = NULL;
    kn_view *v = NULL;
    *choice = NULL;
    ken_status st = where ? kn_where_parse(&f, where) : KEN_OK;
    if (st)
        return kn_fail_in(st, "where");
    pthread_mutex_lock(&k->lock);
    st = kn_view_get_locked(k, &v);
    if (!st && f && !(*choice = kept(v, where, hidden)))
        st = keep(k, &v, f, where, hidden, choice);
    if (st)
        kn_view_release_locked(v);
    else
        *view = v;
    pthread_mutex_unlock(&k->lock);
    kn_where_free(f);
    return st;
}
