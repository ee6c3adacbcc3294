/* names.c - applying rules. */
#include "tools/convert/names.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TABLES = 4, MAX_NUMBERS = 3, MAX_DIGITS = 3 };

/* ---- one rule ---- */

/* 1 if name fits the pattern; numbers holds where each '#' begins, and its length. */
static int fits(const char *pattern, const char *name, const char **number, int *digits)
{
    int n = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern)
                return 0;
            continue;
        }
        const size_t len = strspn(name, "0123456789");
        if (!len || len > MAX_DIGITS || (len > 1 && *name == '0'))
            return 0;
        number[n] = name;
        digits[n++] = (int)len;
        name += len;
    }
    return !*name;
}

static void fill_in(char out[CV_NAME], const char *to, const char *const *number, const int *digits)
{
    size_t at = 0;
    for (int n = 0; *to && at + MAX_DIGITS + 1 < CV_NAME; to++) {
        if (*to == '#') {
            memcpy(out + at, number[n], (size_t)digits[n]);
            at += (size_t)digits[n++];
        } else {
            out[at++] = *to;
        }
    }
    out[at] = 0;
}

/* ---- slots ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cv_slot *)a)->name, ((const cv_slot *)b)->name);
}

static cv_slot *find(const cv_names *m, const char *name)
{
    cv_slot key;
    snprintf(key.name, sizeof key.name, "%s", name);
    return m->len ? bsearch(&key, m->slots, m->len, sizeof key, by_name) : NULL;
}

cv_slot *cv_names_find(const cv_names *m, const char *fmt, ...)
{
    char name[CV_NAME];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    return find(m, name);
}

int cv_names_has(const cv_names *m, const char *name)
{
    return find(m, name) != NULL;
}

/* The axes of the tensor as ours has them. */
static ken_status make_view(const cv_tensor *t, cv_role role, cv_view *out)
{
    const uint32_t swapped[] = { 1, 0 }, conv[] = { 0, 2, 3, 1 };
    const cv_view v = cv_view_of(t);
    const uint32_t rank = role == CV_CONV ? 4 : role == CV_VECTOR ? 1 : role == CV_SCALAR ? 0 : 2;
    char shape[128];
    *out = v;
    if (role == CV_SCALAR && t->rank <= 1 && (!t->rank || t->shape[0] == 1))
        return KEN_OK;
    if (t->problem)
        return kn_fail(KEN_E_UNSUPPORTED, "tensor %s: %s", t->name, t->problem);
    if (t->rank != rank) {
        cv_describe(t, shape, sizeof shape);
        return kn_fail(KEN_E_FORMAT, "tensor %s: %s where %u axes are wanted", t->name, shape,
                       rank);
    }
    if (role == CV_TRANSPOSED)
        *out = cv_view_permuted(&v, swapped);
    if (role == CV_CONV)
        *out = cv_view_permuted(&v, conv);
    return KEN_OK;
}

static ken_status add_slot(cv_names *m, const cv_tensor *t, const cv_rule *r, const char *name)
{
    cv_slot *slots = kn_room(m->slots, m->len, &m->cap, sizeof *slots);
    if (!slots)
        return KEN_E_NOMEM;
    m->slots = slots;
    cv_slot *s = &slots[m->len];
    *s = (cv_slot){ .role = r->role, .parts = r->part };
    snprintf(s->name, sizeof s->name, "%s", name);
    ken_status st = make_view(t, r->role, &s->part[0]);
    if (!st)
        m->len++;
    return st;
}

static ken_status add_drop(cv_names *m, const cv_tensor *t, const char *why)
{
    cv_drop *drops = kn_room(m->drops, m->drops_len, &m->drops_cap, sizeof *drops);
    if (!drops)
        return KEN_E_NOMEM;
    m->drops = drops;
    drops[m->drops_len++] = (cv_drop){ t, why };
    return KEN_OK;
}

/* ---- families ---- */

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

static int set_has(const cv_set *s, const char *name)
{
    return cv_set_find(s, name) != NULL;
}

static void tell_family(cv_names *m, const cv_set *s, const cv_rule *tables[MAX_TABLES])
{
    int n = 0;
    const int bert = set_has(s, "bert.embeddings.word_embeddings.weight");
    const int hf_bert = set_has(s, "text_model.embeddings.word_embeddings.weight");
    m->bert = bert || hf_bert;
    if (set_has(s, "vision_model.embeddings.class_embedding") || hf_bert ||
        set_has(s, "text_model.embeddings.token_embedding.weight")) {
        m->family = CV_HF;
        tables[n++] = cv_rules_hf_vit;
        tables[n++] = hf_bert ? cv_rules_hf_bert : cv_rules_hf_text;
    } else if (set_has(s, "visual.conv1.weight") || bert || set_has(s, "token_embedding.weight")) {
        m->family = CV_OPENAI;
        tables[n++] =
            set_has(s, "visual.layer1.0.conv1.weight") ? cv_rules_modified_resnet : cv_rules_vit;
        tables[n++] = bert ? cv_rules_bert : cv_rules_clip_text;
    } else if (set_has(s, "conv1.weight") && set_has(s, "layer1.0.conv1.weight")) {
        m->family = CV_RESNET;
        tables[n++] = cv_rules_resnet;
    }
    tables[n] = cv_rules_any;
}

/* Wrappers' prefixes are on every tensor or on none. */
static void strip_prefix(cv_set *s, const char *prefix)
{
    const size_t n = strlen(prefix);
    size_t with = 0;
    for (size_t i = 0; i < s->len; i++)
        with += !strncmp(s->list[i].name, prefix, n);
    for (size_t i = 0; with && with == s->len && i < s->len; i++)
        memmove(s->list[i].name, s->list[i].name + n, strlen(s->list[i].name + n) + 1);
}

static void strip_text(cv_set *s)
{
    if (!set_has(s, "text.token_embedding.weight"))
        return;
    for (size_t i = 0; i < s->len; i++)
        if (!strncmp(s->list[i].name, "text.", 5))
            memmove(s->list[i].name, s->list[i].name + 5, strlen(s->list[i].name + 5) + 1);
}

/* Buffers that frameworks keep beside weights. */
static const char *is_buffer(const char *name)
{
    if (ends_with(name, "num_batches_tracked"))
        return "a counter of training";
    return ends_with(name, "position_ids") ? "the numbers 0, 1, 2 …" : NULL;
}

static ken_status map_one(cv_names *m, const cv_tensor *t, const cv_rule *const *tables)
{
    const char *number[MAX_NUMBERS], *buffer = is_buffer(t->name);
    char name[CV_NAME];
    int digits[MAX_NUMBERS];
    if (buffer)
        return add_drop(m, t, buffer);
    for (int i = 0; i < MAX_TABLES && tables[i]; i++)
        for (const cv_rule *r = tables[i]; r->from; r++) {
            if (!fits(r->from, t->name, number, digits))
                continue;
            if (r->role == CV_DROPPED)
                return add_drop(m, t, r->to);
            fill_in(name, r->to, number, digits);
            return add_slot(m, t, r, name);
        }
    if (m->family == CV_UNKNOWN)
        return kn_fail(KEN_E_UNSUPPORTED, "not the tensors of a network that is known: %.200s …",
                       t->name);
    return kn_fail(KEN_E_UNSUPPORTED, "tensor %.200s: %s", t->name,
                   t->problem ? t->problem : "not known in this network");
}

/* Parts 1 to 3 of one slot lie behind each other once sorted, in any order. */
static ken_status join_parts(cv_names *m)
{
    size_t kept = 0;
    for (size_t i = 0, next; i < m->len; i = next) {
        cv_slot s = m->slots[i];
        for (next = i + 1; next < m->len && !strcmp(m->slots[next].name, s.name); next++)
            continue;
        const int whole = next == i + 1 && !s.parts;
        if (!whole && next - i != CV_PARTS)
            return kn_fail(KEN_E_FORMAT, "%s is made of %zu tensors: %s …", s.name, next - i,
                           s.part[0].t->name);
        s.parts = whole ? 1 : CV_PARTS;
        s.k = cv_view_cols(&s.part[0]);
        unsigned seen = 0;
        for (size_t j = i; !whole && j < next; j++) {
            const cv_slot *p = &m->slots[j];
            if (!p->parts || seen & 1U << p->parts || cv_view_cols(&p->part[0]) != s.k)
                return kn_fail(KEN_E_FORMAT, "%s: its parts do not go together",
                               p->part[0].t->name);
            seen |= 1U << p->parts;
            s.part[p->parts - 1] = p->part[0];
        }
        s.n = 0;
        for (uint32_t j = 0; j < s.parts; j++)
            s.n += cv_view_rows(&s.part[j]);
        m->slots[kept++] = s;
    }
    m->len = kept;
    return KEN_OK;
}

ken_status cv_names_map(cv_names *out, cv_set *s)
{
    cv_names m = { 0 };
    const cv_rule *tables[MAX_TABLES] = { NULL };
    if (!s->len)
        return kn_fail(KEN_E_FORMAT, "no tensors");
    strip_prefix(s, "module.");
    strip_prefix(s, "_orig_mod.");
    strip_prefix(s, "model.");
    ken_status st = cv_set_seal(s);
    if (!st) {
        strip_text(s);
        st = cv_set_seal(s);
    }
    tell_family(&m, s, tables);
    for (size_t i = 0; !st && i < s->len; i++)
        st = map_one(&m, &s->list[i], tables);
    if (!st) {
        if (m.len)
            qsort(m.slots, m.len, sizeof *m.slots, by_name);
        st = join_parts(&m);
    }
    if (st) {
        cv_names_release(&m);
        return st;
    }
    *out = m;
    return KEN_OK;
}

void cv_names_release(cv_names *m)
{
    kn_free(m->slots);
    kn_free(m->drops);
    *m = (cv_names){ 0 };
}
