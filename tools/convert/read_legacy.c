/*
 * read_legacy.c - torch.save before 1.6: pickles one behind the other, then the storages.
 *
 * torch/serialization.py, _legacy_save: a magic number, a protocol number, the system's facts, the
 * object, the list of storage keys, and for each key in that order an int64 count of elements and
 * the elements.  A storage's type stands only in the object's references to it.
 */
#include "tools/convert/read.h"

#include "base/alloc.h"
#include "base/error.h"
#include "tools/convert/state.h"

#include <stdlib.h>
#include <string.h>

typedef struct found {
    cv_storage_id id;
    const unsigned char *data; /* NULL until met behind the pickles */
} found;

typedef struct legacy {
    const unsigned char *bytes;
    size_t len, at;
    cv_pickle object, keys;
    found *list; /* (n), by key */
    size_t n;
} legacy;

static int by_key(const void *a, const void *b)
{
    const cv_storage_id *x = &((const found *)a)->id, *y = &((const found *)b)->id;
    const size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
    const int order = memcmp(x->key, y->key, n);
    return order ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static found *find(const legacy *l, const char *key, size_t key_len)
{
    const found k = { .id = { .key = key, .key_len = key_len } };
    return l->n ? bsearch(&k, l->list, l->n, sizeof k, by_key) : NULL;
}

static ken_status next(legacy *l, cv_pickle *out, const char *what)
{
    const size_t at = l->at;
    ken_status st = cv_pickle_read(out, l->bytes + at, l->len - at);
    if (st)
        return kn_fail_in(st, "%s at byte %zu", what, at);
    l->at += out->used;
    return KEN_OK;
}

static ken_status skip(legacy *l, const char *what)
{
    cv_pickle p;
    ken_status st = next(l, &p, what);
    if (!st)
        cv_pickle_free(&p);
    return st;
}

static ken_status check_system(legacy *l)
{
    cv_pickle p;
    ken_status st = next(l, &p, "system information");
    if (st)
        return st;
    const cv_node *d = &p.nodes[p.root];
    for (uint32_t i = 0; d->kind == CV_DICT && i + 1 < d->len; i += 2)
        if (cv_is_text(&p, d->u.items[i], "little_endian") && !p.nodes[d->u.items[i + 1]].u.i)
            st = kn_fail(KEN_E_UNSUPPORTED, "written on a big-endian machine");
    cv_pickle_free(&p);
    return st;
}

/* Every storage that the object refers to, once, sorted by key. */
static ken_status collect(legacy *l)
{
    const cv_pickle *p = &l->object;
    size_t refs = 0;
    for (size_t i = 0; i < p->len; i++)
        refs += p->nodes[i].kind == CV_REF;
    l->list = kn_zalloc(refs, sizeof *l->list);
    if (!l->list)
        return KEN_E_NOMEM;
    for (uint32_t i = 0; i < p->len; i++) /* ('module', …): the source of a class, of no use */
        if (p->nodes[i].kind == CV_REF && !cv_storage_id_read(p, i, &l->list[l->n].id))
            l->n++;
    if (!l->n)
        return kn_fail(KEN_E_FORMAT, "no tensors");
    qsort(l->list, l->n, sizeof *l->list, by_key);
    size_t kept = 1;
    for (size_t i = 1; i < l->n; i++) {
        if (by_key(&l->list[i], &l->list[kept - 1]) != 0)
            l->list[kept++] = l->list[i];
        else if (l->list[i].id.dtype != l->list[kept - 1].id.dtype)
            return kn_fail(KEN_E_FORMAT, "storage %.*s is used as two types",
                           (int)l->list[i].id.key_len, l->list[i].id.key);
    }
    l->n = kept;
    return KEN_OK;
}

static ken_status place(legacy *l, uint32_t key)
{
    const cv_node *k = &l->keys.nodes[key];
    found *f = k->kind == CV_TEXT ? find(l, k->u.text.s, k->u.text.n) : NULL;
    uint64_t n, bytes;
    if (!f || f->id.dtype == KN_DT_OTHER)
        return kn_fail(KEN_E_FORMAT, "storage list: a key of unknown type at byte %zu", l->at);
    if (l->len - l->at < sizeof n)
        return kn_fail(KEN_E_FORMAT, "storage %.*s: cut off at byte %zu", (int)f->id.key_len,
                       f->id.key, l->at);
    memcpy(&n, l->bytes + l->at, sizeof n);
    l->at += sizeof n;
    if (f->data || __builtin_mul_overflow(n, kn_dtype_bytes(f->id.dtype), &bytes) ||
        bytes > l->len - l->at)
        return kn_fail(KEN_E_FORMAT, "storage %.*s: %llu elements at byte %zu do not fit the file",
                       (int)f->id.key_len, f->id.key, (unsigned long long)n, l->at);
    f->data = l->bytes + l->at;
    f->id.elements = n;
    l->at += bytes;
    return KEN_OK;
}

static ken_status place_all(legacy *l)
{
    const cv_node *list = &l->keys.nodes[l->keys.root];
    ken_status st = KEN_OK;
    if (list->kind != CV_LIST)
        return kn_fail(KEN_E_FORMAT, "storage list: not a list");
    for (uint32_t i = 0; !st && i < list->len; i++)
        st = place(l, list->u.items[i]);
    return st;
}

/* A storage, or the part of one that an old view names: (key, offset, elements). */
static ken_status get_storage(void *cookie, const cv_pickle *p, uint32_t ref, cv_storage *out)
{
    const legacy *l = cookie;
    cv_storage_id id = { 0 };
    ken_status st = cv_storage_id_read(p, ref, &id);
    if (st)
        return st;
    const found *f = find(l, id.key, id.key_len);
    if (!f || !f->data)
        return kn_fail(KEN_E_FORMAT, "its storage %.*s is not in the file", (int)id.key_len,
                       id.key);
    *out = (cv_storage){ f->id.dtype, f->data, f->id.elements };
    const cv_node *view = &p->nodes[id.view];
    if (view->kind != CV_TUPLE)
        return KEN_OK;
    const cv_node *from = view->len == 3 ? &p->nodes[view->u.items[1]] : view;
    const cv_node *size = view->len == 3 ? &p->nodes[view->u.items[2]] : view;
    if (from->kind != CV_INT || size->kind != CV_INT || from->u.i < 0 || size->u.i < 0 ||
        (uint64_t)from->u.i > out->elements ||
        (uint64_t)size->u.i > out->elements - (uint64_t)from->u.i)
        return kn_fail(KEN_E_FORMAT, "its view lies outside storage %.*s", (int)id.key_len, id.key);
    out->data += (uint64_t)from->u.i * kn_dtype_bytes(out->dtype);
    out->elements = (uint64_t)size->u.i;
    return KEN_OK;
}

ken_status cv_read_legacy(cv_set *s, const void *bytes, size_t len, const char *file)
{
    legacy l = { .bytes = bytes, .len = len };
    ken_status st = skip(&l, "magic number");
    if (!st)
        st = skip(&l, "protocol number");
    if (!st)
        st = check_system(&l);
    if (!st)
        st = next(&l, &l.object, "object");
    if (!st)
        st = next(&l, &l.keys, "storage list");
    if (!st)
        st = collect(&l);
    if (!st)
        st = place_all(&l);
    if (!st)
        st = cv_state_read(s, &l.object, get_storage, &l, file);
    kn_free(l.list);
    cv_pickle_free(&l.keys);
    cv_pickle_free(&l.object);
    return st;
}
