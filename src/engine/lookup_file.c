/* lookup_file.c - the files of lookup.h: what they cover, and whether they still belong to the segments. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/lookup.h"

#include <math.h>
#include <string.h>

kn_role kn_lookup_role(const kn_view *v, size_t i)
{
    return v->of_models[i]                                        ? KN_ROLE_VIEW
           : v->segments[i].info.element == KN_ELEMENT_I8 ? KN_ROLE_PART
                                                          : KN_ROLE_WHOLE;
}

char *kn_lookup_path(const ken *k, kn_role role)
{
    static const char *const names[KN_ROLES] = { "near-whole.ix", "near-parts.ix", "near-views.ix" };
    return kn_path_join(k->dir, names[role]);
}

/* ---- rows of segments ---- */

int kn_place_find(const kn_view *v, uint64_t place, size_t *segment, uint32_t *slot)
{
    const uint32_t number = (uint32_t)(place >> 32);
    size_t low = 0, high = v->n;
    while (low < high) { /* by number */
        const size_t mid = low + (high - low) / 2;
        if (v->segments[mid].info.number < number)
            low = mid + 1;
        else
            high = mid;
    }
    *segment = low;
    *slot = (uint32_t)place;
    return low < v->n && v->segments[low].info.number == number && *slot < v->segments[low].rows;
}

static void row(const void *cookie, uint64_t id, float *out)
{
    const kn_view *v = cookie;
    size_t segment;
    uint32_t slot;
    float sum = 0;
    if (!kn_place_find(v, id, &segment, &slot)
        || kn_view_vector(v, v->segments[segment].info.number, slot, out))
        sum = NAN;
    for (size_t j = 0; !isnan(sum) && j < v->dim; j++)
        sum += out[j] - out[j]; /* a damaged row may hold anything */
    if (isnan(sum))
        memset(out, 0, v->dim * sizeof *out);
}

static float raw(const void *cookie, uint64_t id, const float *query)
{
    const kn_view *v = cookie;
    const kn_kernels *k = kn_kernels_get();
    size_t segment;
    uint32_t slot;
    float out = NAN, scale;
    if (!kn_place_find(v, id, &segment, &slot))
        return NAN;
    const kn_segment *s = &v->segments[segment];
    const unsigned char *bytes = kn_segment_row(s, slot);
    if (s->info.element == KN_ELEMENT_F32)
        k->dots_f32(query, (const float *)(const void *)bytes, 1, v->dim, &out);
    else if (s->info.element == KN_ELEMENT_F16)
        k->dots_f16(query, (const uint16_t *)(const void *)bytes, 1, v->dim, &out);
    else {
        memcpy(&scale, bytes, sizeof scale);
        out = scale * k->dot_i8(query, (const int8_t *)bytes + sizeof scale, v->dim);
    }
    return out;
}

static void prefetch(const void *cookie, uint64_t id)
{
    const kn_view *v = cookie;
    size_t segment;
    uint32_t slot;
    if (!kn_place_find(v, id, &segment, &slot))
        return;
    const kn_segment *s = &v->segments[segment];
    const unsigned char *bytes = kn_segment_row(s, slot);
    for (size_t i = 0; i < s->row_bytes; i += 64)
        __builtin_prefetch(bytes + i);
}

/* ---- opening ---- */

uint64_t kn_covered_check(const kn_segment *s, uint32_t rows)
{
    const void *first;
    const unsigned char *entries;
    if (!rows || rows > s->rows)
        return 0;
    kn_segment_block(s, (rows - 1) / KN_BLOCK, &first, &entries);
    return kn_hash64(entries + (rows - 1) % KN_BLOCK * KN_ENTRY_BYTES, KN_ENTRY_BYTES);
}

static ken_status cover(const kn_view *v, kn_role role, const kn_covered *c, uint32_t *covered)
{
    size_t i;
    uint32_t slot;
    if (!kn_place_find(v, kn_place_id(c->segment, 0), &i, &slot)) /* it was compacted away */
        return KEN_OK;
    if (c->rows > v->segments[i].rows)
        return kn_fail(KEN_E_BUSY, "it has seen more of segment %u", c->segment);
    if (kn_lookup_role(v, i) != role
        || c->check != kn_covered_check(&v->segments[i], c->rows))
        return kn_fail(KEN_E_CORRUPT, "made for other vectors (segment %u)", c->segment);
    covered[i] = c->rows;
    return KEN_OK;
}

/* What the note says must be true of the view's segments. */
static ken_status take_note(const kn_view *v, kn_role role, kn_lookup_file *f)
{
    kn_lookup_note note;
    kn_index_info info;
    size_t bytes = 0;
    const unsigned char *p = kn_index_note(f->ix, &bytes);
    ken_status st = kn_index_check_note(f->ix); /* or damage would pass for a file of another time */
    if (st)
        return st;
    kn_index_get_info(f->ix, &info);
    if (!p || bytes < sizeof note)
        return kn_fail(KEN_E_CORRUPT, "section note is missing or too short");
    memcpy(&note, p, sizeof note);
    if (note.version != KN_LOOKUP_NOTE || bytes - sizeof note != (size_t)note.segments * sizeof(kn_covered))
        return kn_fail(KEN_E_CORRUPT, "section note: not as this ken writes it");
    if (info.dim != v->dim || memcmp(note.fingerprint, v->segments[0].info.fingerprint, 33))
        return kn_fail(KEN_E_MODEL, "made for another model's vectors");
    for (uint32_t i = 0; !st && i < note.segments; i++) {
        kn_covered c;
        memcpy(&c, p + sizeof note + i * sizeof c, sizeof c);
        st = cover(v, role, &c, f->covered);
    }
    return st;
}

ken_status kn_lookup_open(ken *k, kn_view *v, kn_role role, kn_lookup_file *f)
{
    *f = (kn_lookup_file){ .source = { v, row, raw, prefetch } };
    if (!v->n)
        return KEN_OK;
    char *path = kn_lookup_path(k, role);
    f->covered = kn_zalloc(v->n, sizeof *f->covered);
    ken_status st = path && f->covered ? kn_index_open_over(&f->ix, path, &f->source) : KEN_E_NOMEM;
    if (!st && (st = take_note(v, role, f)) != KEN_OK)
        kn_fail_in(st, "%s", path);
    if (st && st != KEN_E_NOMEM) {
        f->stale = st == KEN_E_NOTFOUND ? 0 : st == KEN_E_BUSY || st == KEN_E_MODEL ? 2 : 1;
        if (f->stale == 1)
            kn_log(KEN_LOG_WARN, "the search index is of no use, every vector is compared until `ken "
                   "build` makes it anew: %s", ken_last_error());
        kn_index_free(f->ix);
        f->ix = NULL;
        st = KEN_OK;
    }
    if (st)
        kn_lookup_close(f);
    kn_free(path);
    return st;
}

/* ---- counting ---- */

ken_status kn_lookup_asked(ken *k, char asked[KN_SPEC_TEXT])
{
    char *text = NULL;
    ken_status st = k->store->v->text(k->store, KN_KEY_INDEX, &text);
    const char *kind = !st && text && strlen(text) < KN_SPEC_TEXT ? text : "auto";
    memset(asked, 0, KN_SPEC_TEXT);
    memcpy(asked, kind, strlen(kind));
    kn_free(text);
    return st;
}

ken_status kn_lookup_check_kind(const char *kind, uint32_t dim)
{
    kn_spec s;
    ken_status st = kn_spec_parse(&s, kind, 0, dim, KN_METRIC_COSINE);
    if (!st && strlen(kind) >= KN_SPEC_TEXT)
        st = kn_fail(KEN_E_INVALID, "index \"%s\": too long", kind);
    if (!st && s.kind == KN_KIND_IVF)
        st = kn_fail(KEN_E_INVALID, "index \"%s\": a collection, which keeps its vectors once, takes "
                     "Flat, HNSW16 and the like, or auto", kind);
    return st;
}

static uint64_t count_live(const kn_view *v, size_t i, uint32_t rows)
{
    uint64_t live = 0;
    for (uint32_t s = 0; s < rows; s++)
        live += !v->dead[i] || !(v->dead[i][s / 64] >> s % 64 & 1);
    return live;
}

ken_status kn_lookup_counts(const kn_view *v, kn_role role, const kn_lookup_file *f, const char *asked,
                            kn_lookup_count *out)
{
    kn_spec spec;
    *out = (kn_lookup_count){ .kind = "Flat", .wanted = "Flat", .stale = f->stale };
    for (size_t i = 0; i < v->n; i++) {
        if (kn_lookup_role(v, i) != role)
            continue;
        const uint64_t live = count_live(v, i, v->segments[i].rows);
        out->live += live;
        out->dead_rows += v->segments[i].rows - live;
        out->covered += f->ix ? count_live(v, i, f->covered[i]) : 0;
    }
    if (f->ix) {
        out->n = kn_index_rows(f->ix)->n;
        memcpy(out->kind, kn_index_spec(f->ix)->text, sizeof out->kind);
    }
    if (!v->dim)
        return KEN_OK;
    ken_status st = kn_spec_parse(&spec, asked, (size_t)out->live, v->dim, KN_METRIC_COSINE);
    if (!st && out->live)
        memcpy(out->wanted, spec.text, sizeof out->wanted);
    return st;
}

int kn_lookup_is_due(const kn_lookup_count *c)
{
    if (strcmp(c->kind, c->wanted) || c->stale || c->n < c->covered) /* it lacks some that its note names */
        return 1;
    const uint64_t pending = c->live - c->covered, dead = c->n - c->covered;
    return strcmp(c->kind, "Flat") && (pending + dead) * 20 > c->n;
}
