/* milvus_message.c - requests as bytes, and bytes as answers; see milvus_call.h. */
#include "store/milvus_call.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- requests ---- */

static void pair(kn_pb *w, uint32_t field, const char *key, const char *value)
{
    const size_t at = kn_pb_open(w, field);
    kn_pb_text(w, 1, key);
    kn_pb_text(w, 2, value);
    kn_pb_close(w, at);
}

static void pair_number(kn_pb *w, uint32_t field, const char *key, unsigned value)
{
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    pair(w, field, key, text);
}

/* FieldSchema in a CollectionSchema. */
static void write_field(kn_pb *w, const kn_mv_field *f)
{
    const size_t at = kn_pb_open(w, 4);
    kn_pb_text(w, 2, f->name);
    if (f->primary)
        kn_pb_number(w, 3, 1);
    kn_pb_number(w, 5, f->type);
    if (f->type == KN_MV_VECTOR)
        pair_number(w, 6, "dim", f->size);
    if (f->type == KN_MV_TEXT)
        pair_number(w, 6, "max_length", f->size);
    kn_pb_close(w, at);
}

void kn_mv_write_create(kn_pb *w, const char *collection, const char *database, const kn_mv_field *fields,
                        size_t n, unsigned shards, unsigned consistency)
{
    if (database)
        kn_pb_text(w, 2, database);
    kn_pb_text(w, 3, collection);
    const size_t at = kn_pb_open(w, 4);
    kn_pb_text(w, 1, collection);
    for (size_t i = 0; i < n; i++)
        write_field(w, &fields[i]);
    kn_pb_close(w, at);
    kn_pb_number(w, 5, shards);
    if (consistency)
        kn_pb_number(w, 6, consistency);
}

/* FieldData: the column's rows from .. from + n. */
static void write_column(kn_pb *w, const kn_mv_column *c, size_t from, size_t n)
{
    const size_t at = kn_pb_open(w, 5);
    kn_pb_number(w, 1, c->type);
    kn_pb_text(w, 2, c->name);
    const size_t kind = kn_pb_open(w, c->type == KN_MV_VECTOR ? 4 : 3);
    if (c->type == KN_MV_VECTOR)
        kn_pb_number(w, 1, c->dim);
    const size_t list = kn_pb_open(w, c->type == KN_MV_VECTOR ? 2
                                      : c->type == KN_MV_LONG ? 3
                                      : c->type == KN_MV_TEXT ? 6
                                                              : 9);
    if (c->type == KN_MV_LONG)
        kn_pb_longs(w, 1, c->longs + from, n);
    else if (c->type == KN_MV_VECTOR)
        kn_pb_floats(w, 1, c->floats + from * c->dim, n * c->dim);
    for (size_t i = from; c->texts && i < from + n; i++)
        kn_pb_text(w, 1, c->texts[i]);
    kn_pb_close(w, list);
    kn_pb_close(w, kind);
    kn_pb_close(w, at);
}

void kn_mv_write_upsert(kn_pb *w, const char *collection, const char *database, const kn_mv_column *columns,
                        size_t n_columns, size_t from, size_t n)
{
    if (database)
        kn_pb_text(w, 2, database);
    kn_pb_text(w, 3, collection);
    for (size_t i = 0; i < n_columns; i++)
        write_column(w, &columns[i], from, n);
    kn_pb_number(w, 7, n);
}

/* PlaceholderGroup: the vectors of a search. */
static void write_placeholders(kn_pb *w, const kn_mv_search *s)
{
    const size_t group = kn_pb_open(w, 6), value = kn_pb_open(w, 1);
    kn_pb_text(w, 1, "$0");
    kn_pb_number(w, 2, KN_MV_VECTOR);
    for (uint32_t q = 0; q < s->nq; q++)
        kn_pb_bytes(w, 3, s->vectors + (size_t)q * s->dim, s->dim * sizeof *s->vectors);
    kn_pb_close(w, value);
    kn_pb_close(w, group);
}

static void write_consistency(kn_pb *w, uint32_t field, unsigned level)
{
    if (level)
        kn_pb_number(w, field, level);
}

void kn_mv_write_search(kn_pb *w, const kn_milvus_url *u, const kn_mv_search *s)
{
    char params[64] = "{}";
    const unsigned ef = s->ef ? s->ef : u->ef;
    if (!strcmp(s->index, "HNSW"))
        snprintf(params, sizeof params, "{\"ef\":%u}", ef > s->k ? ef : s->k);
    if (!strcmp(s->index, "IVF_FLAT"))
        snprintf(params, sizeof params, "{\"nprobe\":%u}", u->nprobe);
    if (u->database)
        kn_pb_text(w, 2, u->database);
    kn_pb_text(w, 3, s->collection);
    if (*s->expr)
        kn_pb_text(w, 5, s->expr);
    write_placeholders(w, s);
    kn_pb_number(w, 7, 1); /* expr is an expression */
    pair(w, 9, "anns_field", "vector");
    pair_number(w, 9, "topk", s->k);
    pair(w, 9, "metric_type", s->metric);
    pair(w, 9, "params", params);
    pair(w, 9, "round_decimal", "-1");
    kn_pb_number(w, 12, s->nq);
    write_consistency(w, 14, u->consistency);
}

void kn_mv_write_query(kn_pb *w, const kn_milvus_url *u, const char *collection, const char *expr,
                       uint32_t limit, const kn_mv_result *results, size_t n_results)
{
    if (u->database)
        kn_pb_text(w, 2, u->database);
    kn_pb_text(w, 3, collection);
    kn_pb_text(w, 4, expr);
    for (size_t i = 0; i < n_results; i++)
        kn_pb_text(w, 5, results[i].name);
    if (limit)
        pair_number(w, 9, "limit", limit);
    /* field 11, the consistency, is 0: Strong */
}

/* ---- answers ---- */

static ken_status broken(void)
{
    return kn_fail(KEN_E_FORMAT, "the server's answer makes no sense");
}

static int is_text(const kn_pb_field *f, const char *s)
{
    return f->wire == KN_PB_BYTES && f->n == strlen(s) && !memcmp(f->bytes, s, f->n);
}

/* The numbers of field f, packed or one, behind those of list. */
static ken_status add_longs(const kn_pb_field *f, int64_t **list, size_t *n)
{
    kn_pb_in packed = kn_pb_within(f);
    uint64_t v;
    const size_t more = f->wire == KN_PB_BYTES ? kn_pb_count_varints(&packed) : 1;
    int64_t *grown = kn_grow(*list, *n + more ? *n + more : 1, sizeof **list);
    if (!grown)
        return KEN_E_NOMEM;
    *list = grown;
    if (f->wire == KN_PB_VARINT) {
        grown[(*n)++] = (int64_t)f->value;
        return KEN_OK;
    }
    while (kn_pb_next_varint(&packed, &v))
        grown[(*n)++] = (int64_t)v;
    return packed.bad ? broken() : KEN_OK;
}

static ken_status read_longs(kn_pb_in r, int64_t **out, size_t *n)
{
    kn_pb_field f;
    size_t len = 0;
    int64_t *list = NULL;
    ken_status st = KEN_OK;
    while (!st && kn_pb_next(&r, &f))
        if (f.number == 1)
            st = add_longs(&f, &list, &len);
    if (!st && r.bad)
        st = broken();
    if (st) {
        kn_free(list);
        return st;
    }
    *out = list;
    *n = len;
    return KEN_OK;
}

static ken_status read_texts(kn_pb_in r, kn_mv_text **out, size_t *n)
{
    kn_pb_field f;
    size_t len = 0, cap = 0;
    kn_mv_text *list = NULL;
    while (kn_pb_next(&r, &f)) {
        if (f.number != 1 || f.wire != KN_PB_BYTES)
            continue;
        kn_mv_text *grown = kn_room(list, len, &cap, sizeof *list);
        if (!grown) {
            kn_free(list);
            return KEN_E_NOMEM;
        }
        list = grown;
        list[len++] = (kn_mv_text){ (const char *)f.bytes, f.n };
    }
    if (r.bad) {
        kn_free(list);
        return broken();
    }
    *out = list;
    *n = len;
    return KEN_OK;
}

/* FloatArray within a VectorField. */
static ken_status read_vectors(kn_pb_in r, kn_mv_result *out)
{
    kn_pb_field f, data;
    uint64_t dim = 0;
    while (kn_pb_next(&r, &f)) {
        if (f.number == 1 && f.wire == KN_PB_VARINT)
            dim = f.value;
        if (f.number != 2)
            continue;
        kn_pb_in within = kn_pb_within(&f);
        while (kn_pb_next(&within, &data))
            if (data.number == 1 && data.wire == KN_PB_BYTES) {
                out->floats = data.bytes;
                out->n = data.n;
            }
        r.bad |= within.bad;
    }
    if (r.bad || dim > KN_MV_MOST * 4 || (out->n && !dim) || (dim && out->n % (dim * sizeof(float))))
        return broken();
    out->n = dim ? out->n / (size_t)(dim * sizeof(float)) : 0;
    out->dim = (uint32_t)dim;
    return KEN_OK;
}

/* ScalarField: the member that the column's type is kept in. */
static ken_status read_scalars(kn_pb_in r, kn_mv_result *out)
{
    kn_pb_field f;
    ken_status st = KEN_OK;
    const uint32_t member = out->type == KN_MV_LONG ? 3 : out->type == KN_MV_TEXT ? 6 : 9;
    while (!st && kn_pb_next(&r, &f)) {
        if (f.number != member || out->longs || out->texts)
            continue;
        st = out->type == KN_MV_LONG ? read_longs(kn_pb_within(&f), &out->longs, &out->n)
                                     : read_texts(kn_pb_within(&f), &out->texts, &out->n);
    }
    return st ? st : r.bad ? broken() : KEN_OK;
}

/* FieldData, if it is a column that was asked for. */
static ken_status read_column(kn_pb_in r, kn_mv_result *results, size_t n)
{
    const kn_pb_in from = r;
    kn_pb_field f;
    kn_mv_result *c = NULL;
    ken_status st = KEN_OK;
    uint64_t type = 0;
    while (kn_pb_next(&r, &f)) {
        if (f.number == 1 && f.wire == KN_PB_VARINT)
            type = f.value;
        for (size_t i = 0; f.number == 2 && i < n; i++)
            if (is_text(&f, results[i].name))
                c = &results[i];
    }
    if (r.bad)
        return broken();
    if (!c || c->longs || c->texts || c->floats)
        return KEN_OK;
    if (type && type != (uint64_t)c->type)
        return kn_fail(KEN_E_FORMAT, "the server keeps \"%s\" as another type", c->name);
    for (r = from; !st && kn_pb_next(&r, &f);)
        if (f.number == 3 && c->type != KN_MV_VECTOR)
            st = read_scalars(kn_pb_within(&f), c);
        else if (f.number == 4 && c->type == KN_MV_VECTOR)
            st = read_vectors(kn_pb_within(&f), c);
    return st;
}

void kn_mv_results_release(kn_mv_result *results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        kn_free(results[i].longs);
        kn_free(results[i].texts);
        results[i] = (kn_mv_result){ .name = results[i].name, .type = results[i].type };
    }
}

ken_status kn_mv_read_query(const void *answer, size_t n, kn_mv_result *results, size_t n_results)
{
    kn_pb_in r = kn_pb_read(answer, n);
    kn_pb_field f;
    ken_status st = KEN_OK;
    while (!st && kn_pb_next(&r, &f))
        if (f.number == 2)
            st = read_column(kn_pb_within(&f), results, n_results);
    if (!st && r.bad)
        st = broken();
    for (size_t i = 1; !st && i < n_results; i++)
        if (results[i].n != results[0].n)
            st = kn_fail(KEN_E_FORMAT, "the server's answer has columns of different lengths");
    if (st)
        kn_mv_results_release(results, n_results);
    return st;
}

/* ---- hits ---- */

typedef struct found {
    int64_t *topks, *ids;
    kn_mv_text *keys;
    const unsigned char *scores;
    size_t topks_n, ids_n, keys_n, scores_n;
} found;

static ken_status read_keys(kn_pb_in r, found *x)
{
    kn_pb_field f;
    ken_status st = KEN_OK;
    while (!st && kn_pb_next(&r, &f))
        if (f.number == 1 && !x->ids)
            st = read_longs(kn_pb_within(&f), &x->ids, &x->ids_n);
        else if (f.number == 2 && !x->keys)
            st = read_texts(kn_pb_within(&f), &x->keys, &x->keys_n);
    return st ? st : r.bad ? broken() : KEN_OK;
}

static ken_status read_found(kn_pb_in r, found *x)
{
    kn_pb_field f;
    ken_status st = KEN_OK;
    while (!st && kn_pb_next(&r, &f))
        if (f.number == 4 && f.wire == KN_PB_BYTES) {
            x->scores = f.bytes;
            x->scores_n = f.n / sizeof(float);
        } else if (f.number == 5) {
            st = read_keys(kn_pb_within(&f), x);
        } else if (f.number == 6) {
            st = add_longs(&f, &x->topks, &x->topks_n);
        }
    return st ? st : r.bad ? broken() : KEN_OK;
}

static uint64_t id_at(const found *x, size_t i)
{
    char digits[24];
    if (!x->keys)
        return (uint64_t)x->ids[i];
    const size_t n = x->keys[i].n < sizeof digits - 1 ? x->keys[i].n : sizeof digits - 1;
    memcpy(digits, x->keys[i].bytes, n);
    digits[n] = 0;
    return strtoull(digits, NULL, 10);
}

int kn_mv_best_first(const void *a, const void *b)
{
    const ken_hit *x = a, *y = b;
    if (x->raw != y->raw)
        return x->raw < y->raw ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static ken_status hand_out(const found *x, const kn_mv_search *s, ken_hit *hits, size_t *count)
{
    size_t at = 0, total = x->keys ? x->keys_n : x->ids_n;
    if (total != x->scores_n || x->topks_n > s->nq || (total && x->topks_n != s->nq))
        return broken();
    for (uint32_t q = 0; q < s->nq; q++) {
        const uint64_t n = q < x->topks_n ? (uint64_t)x->topks[q] : 0;
        if (n > s->k || n > total - at)
            return broken();
        for (size_t i = 0; i < n; i++, at++) {
            float raw;
            memcpy(&raw, x->scores + at * sizeof raw, sizeof raw);
            if (isnan(raw))
                return broken();
            hits[(size_t)q * s->k + i] = (ken_hit){ id_at(x, at), raw > 0 ? raw : 0, raw };
        }
        if (n)
            qsort(hits + (size_t)q * s->k, (size_t)n, sizeof *hits, kn_mv_best_first);
        count[q] = (size_t)n;
    }
    return KEN_OK;
}

ken_status kn_mv_read_search(const void *answer, size_t n, const kn_mv_search *s, ken_hit *hits,
                             size_t *count)
{
    kn_pb_in r = kn_pb_read(answer, n);
    kn_pb_field f;
    found x = { 0 };
    ken_status st = KEN_OK;
    while (!st && kn_pb_next(&r, &f))
        if (f.number == 2)
            st = read_found(kn_pb_within(&f), &x);
    if (!st)
        st = r.bad ? broken() : hand_out(&x, s, hits, count);
    kn_free(x.topks);
    kn_free(x.ids);
    kn_free(x.keys);
    return st;
}

#endif
