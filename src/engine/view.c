/* view.c - one state of the collection, mapped. */
#include "engine/view.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/described.h"
#include "engine/lookup.h"

#include <string.h>

enum { TRIES = 8 };

typedef struct maker {
    ken *k;
    kn_view *v;
    size_t cap;
    ken_status st;
} maker;

static void free_view(kn_view *v)
{
    for (size_t i = 0; i < v->n; i++) {
        kn_segment_unmap(&v->segments[i]);
        if (v->gone && v->dead && v->gone[i] != v->dead[i])
            kn_free(v->gone[i]);
        if (v->dead)
            kn_free(v->dead[i]);
    }
    kn_view_unname(v);
    kn_described_free(v->described);
    for (size_t i = 0; i < KN_CHOICES; i++)
        kn_choice_free(v->choices[i]);
    kn_lookup_free(v->lookup);
    kn_free(v->segments);
    kn_free(v->dead);
    kn_free(v->gone);
    kn_free(v->visible);
    kn_free(v->all);
    kn_free(v->parts);
    kn_free(v->of_models);
    kn_free(v->views);
    kn_free(v->all_views);
    kn_free(v);
}

/* ---- making ---- */

static int is_parts(const kn_view *v, size_t i)
{
    return v->segments[i].info.element == KN_ELEMENT_I8 || v->of_models[i];
}

static int map_segment(const kn_segment_record *row, void *cookie)
{
    maker *m = cookie;
    kn_view *v = m->v;
    if (row->state == KN_SEGMENT_PENDING || !row->rows)
        return 0;
    kn_segment *list = kn_room(v->segments, v->n, &m->cap, sizeof *list);
    if (!list) {
        m->st = KEN_E_NOMEM;
        return 1;
    }
    v->segments = list;
    unsigned char *of_models = kn_grow(v->of_models, v->n + 1, 1);
    if (!of_models) {
        m->st = KEN_E_NOMEM;
        return 1;
    }
    v->of_models = of_models;
    of_models[v->n] = row->state == KN_SEGMENT_VIEWS;
    m->st = kn_segment_map(&list[v->n], m->k->dir, row->number, row->rows);
    if (m->st)
        return 1;
    v->n++;
    if (is_parts(v, v->n - 1))
        v->part_rows += row->rows;
    else
        v->rows += row->rows;
    if (v->dim && v->dim != list[v->n - 1].info.dim)
        m->st = kn_fail(KEN_E_CORRUPT, "segment %u has vectors of another length", row->number);
    v->dim = list[v->n - 1].info.dim;
    return m->st != KEN_OK;
}

static size_t find_segment(const kn_view *v, uint32_t number)
{
    size_t i = 0;
    while (i < v->n && v->segments[i].info.number != number)
        i++;
    return i;
}

/* Set the slot's bit in the bitmap of its segment, which is made at the first one. */
static int set_bit(maker *m, uint64_t **maps, uint32_t segment, uint32_t slot)
{
    const kn_view *v = m->v;
    const size_t i = find_segment(v, segment);
    if (i == v->n || slot >= v->segments[i].rows)
        return 0; /* pending, or for ken_check to complain about */
    if (!maps[i]) {
        maps[i] = kn_zalloc(v->segments[i].rows / 64 + 1, sizeof **maps);
        if (!maps[i])
            m->st = KEN_E_NOMEM;
    }
    if (maps[i])
        maps[i][slot / 64] |= UINT64_C(1) << slot % 64;
    return m->st != KEN_OK;
}

static int mark_dead(uint32_t segment, uint32_t slot, void *cookie)
{
    maker *m = cookie;
    return set_bit(m, m->v->dead, segment, slot);
}

static int mark_hidden(const kn_item *item, void *cookie)
{
    maker *m = cookie;
    int stop = item->segment ? set_bit(m, m->v->gone, item->segment, item->slot) : 0;
    for (uint32_t i = 0; !stop && item->part_segment && i < item->parts; i++)
        stop = set_bit(m, m->v->gone, item->part_segment, item->part_slot + i);
    return stop;
}

/* gone holds the hidden slots so far. */
static void join_bitmaps(kn_view *v)
{
    for (size_t i = 0; i < v->n; i++) {
        if (!v->gone[i])
            v->gone[i] = v->dead[i];
        else if (v->dead[i])
            for (size_t w = 0; w <= v->segments[i].rows / 64; w++)
                v->gone[i][w] |= v->dead[i][w];
    }
}

static kn_type type_of(kn_element e)
{
    return e == KN_ELEMENT_I8 ? KN_I8 : e == KN_ELEMENT_F16 ? KN_F16 : KN_F32;
}

static size_t blocks_of(const kn_segment *s)
{
    return (s->rows + KN_BLOCK - 1) / KN_BLOCK;
}

static void add_runs(kn_run *runs, const kn_segment *s, const uint64_t *skip)
{
    const void *rows;
    const unsigned char *entries;
    for (uint32_t b = 0; (size_t)b * KN_BLOCK < s->rows; b++) {
        const size_t n = kn_segment_block(s, b, &rows, &entries);
        *runs++ = (kn_run){ .rows = rows,
                            .type = type_of(s->info.element),
                            .n = n,
                            .ids = entries,
                            .id_stride = KN_ENTRY_BYTES,
                            .skip = skip,
                            .skip_first = (size_t)b * KN_BLOCK,
                            .stride = s->row_bytes };
    }
}

static ken_status make_runs(kn_view *v)
{
    for (size_t i = 0; i < v->n; i++) {
        *(is_parts(v, i) ? &v->parts_n : &v->runs_n) += blocks_of(&v->segments[i]);
        v->views_n += v->of_models[i] ? blocks_of(&v->segments[i]) : 0;
        v->view_rows += v->of_models[i] ? v->segments[i].rows : 0;
    }
    v->visible = kn_alloc(v->runs_n, sizeof *v->visible);
    v->all = kn_alloc(v->runs_n, sizeof *v->all);
    v->parts = kn_alloc(v->parts_n, sizeof *v->parts);
    v->views = kn_alloc(v->views_n, sizeof *v->views);
    v->all_views = kn_alloc(v->views_n, sizeof *v->all_views);
    if (!v->visible || !v->all || !v->parts || !v->views || !v->all_views)
        return KEN_E_NOMEM;
    for (size_t i = 0, at = 0, part = 0, view = 0; i < v->n; i++) {
        const kn_segment *s = &v->segments[i];
        if (v->of_models[i]) {
            add_runs(v->views + view, s, v->gone[i]);
            add_runs(v->all_views + view, s, v->dead[i]);
            view += blocks_of(s);
        }
        if (is_parts(v, i)) {
            add_runs(v->parts + part, s, v->dead[i]);
            part += blocks_of(s);
            continue;
        }
        add_runs(v->visible + at, s, v->gone[i]);
        add_runs(v->all + at, s, v->dead[i]);
        at += blocks_of(s);
    }
    return KEN_OK;
}

/* In one state of the store. */
static ken_status fill(maker *m)
{
    const kn_select hidden = { .by = KN_HIDDEN };
    kn_store *s = m->k->store;
    kn_view *v = m->v;
    ken_status st = s->v->generation(s, &v->generation);
    if (!st)
        st = s->v->segments(s, map_segment, m);
    if (st || m->st)
        return st ? st : m->st;
    v->dead = kn_zalloc(v->n, sizeof *v->dead);
    v->gone = kn_zalloc(v->n, sizeof *v->gone);
    if (!v->dead || !v->gone)
        return KEN_E_NOMEM;
    st = s->v->dead(s, mark_dead, m);
    if (!st && !m->st)
        st = s->v->items(s, &hidden, mark_hidden, m);
    if (st || m->st)
        return st ? st : m->st;
    join_bitmaps(v);
    return make_runs(v);
}

static ken_status make(ken *k, kn_view **out)
{
    maker m = { .k = k, .v = kn_zalloc(1, sizeof *m.v) };
    if (!m.v)
        return KEN_E_NOMEM;
    ken_status st = k->store->v->begin(k->store, 0);
    if (!st) {
        ken_status end;
        st = fill(&m);
        end = k->store->v->end(k->store, 1);
        if (!st)
            st = end;
    }
    if (st)
        free_view(m.v);
    else
        *out = m.v;
    return st;
}

/* ---- using ---- */

/* A segment that vanishes between the store's answer and its mapping was merged into another by a
 * writer of another process; the store knows better by now. */
static ken_status renew(ken *k)
{
    kn_view *v = NULL;
    ken_status st = make(k, &v);
    for (int i = 1; st == KEN_E_NOTFOUND && i < TRIES; i++)
        st = make(k, &v);
    if (st == KEN_E_NOTFOUND)
        st = KEN_E_CORRUPT;
    if (st)
        return st;
    if (k->view)
        kn_view_release_locked(k->view);
    v->users = 1;
    k->view = v;
    return KEN_OK;
}

ken_status kn_view_get_locked(ken *k, kn_view **out)
{
    uint64_t now = 0;
    ken_status st = k->view ? k->store->v->generation(k->store, &now) : KEN_OK;
    if (!st && (!k->view || k->view->generation != now))
        st = renew(k);
    if (st)
        return st;
    k->view->users++;
    *out = k->view;
    return KEN_OK;
}

ken_status kn_view_renew_locked(ken *k, kn_view **v)
{
    kn_view_release_locked(*v);
    *v = NULL;
    ken_status st = renew(k);
    if (st)
        return st;
    k->view->users++;
    *v = k->view;
    return KEN_OK;
}

ken_status kn_view_get(ken *k, kn_view **out)
{
    pthread_mutex_lock(&k->lock);
    ken_status st = kn_view_get_locked(k, out);
    pthread_mutex_unlock(&k->lock);
    return st;
}

void kn_view_release_locked(kn_view *v)
{
    if (v && --v->users == 0)
        free_view(v);
}

void kn_view_release(ken *k, kn_view *v)
{
    pthread_mutex_lock(&k->lock);
    kn_view_release_locked(v);
    pthread_mutex_unlock(&k->lock);
}

ken_status kn_view_vector(const kn_view *v, uint32_t segment, uint32_t slot, float *out)
{
    const size_t i = find_segment(v, segment);
    if (i == v->n || slot >= v->segments[i].rows)
        return kn_fail(KEN_E_CORRUPT, "no slot %u in segment %u", slot, segment);
    const kn_segment *s = &v->segments[i];
    if (s->info.element == KN_ELEMENT_I8)
        kn_row_unpack_i8(kn_segment_row(s, slot), s->info.dim, out);
    else if (s->info.element == KN_ELEMENT_F16)
        kn_kernels_get()->f16_to_f32(kn_segment_row(s, slot), out, s->info.dim);
    else
        memcpy(out, kn_segment_row(s, slot), s->row_bytes);
    return KEN_OK;
}
