/*
 * weights.c - reader of safetensors files.
 *
 *   0      u64 N          length of the header, at most 100,000,000
 *   8      N bytes JSON   { NAME: {"dtype","shape","data_offsets":[begin,end]} …,
 *                         "__metadata__": {string: string} }
 *   8+N    data           offsets count from here; no holes, no overlap, nothing behind
 *
 * Rules as in the reference reader (safetensors/src/tensor.rs): sizes agree with shapes, offsets
 * are contiguous, names are unique.  The file is untrusted, and everything is checked here, once.
 */
#include "nn/weights.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are used in place: port them before a big-endian build"
#endif

enum { PREFIX = 8, MAX_HEADER = 100000000 };
static const double EXACT = 9007199254740992.0; /* 2^53: what a JSON number holds exactly */

struct kn_weights {
    kn_map map; /* ours to unmap if `mapped` */
    int mapped;
    const unsigned char *data;
    size_t data_len;
    cJSON *header;     /* names and metadata point into it */
    const cJSON *meta; /* an object, or NULL */
    size_t len;
    kn_tensor *tensors;        /* (len), by their place in the file */
    const kn_tensor **by_name; /* (len) */
};

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [KN_DT_BOOL] = { "BOOL", 1 }, [KN_DT_U8] = { "U8", 1 },       [KN_DT_I8] = { "I8", 1 },
    [KN_DT_I16] = { "I16", 2 },   [KN_DT_U16] = { "U16", 2 },     [KN_DT_F16] = { "F16", 2 },
    [KN_DT_BF16] = { "BF16", 2 }, [KN_DT_I32] = { "I32", 4 },     [KN_DT_U32] = { "U32", 4 },
    [KN_DT_F32] = { "F32", 4 },   [KN_DT_F64] = { "F64", 8 },     [KN_DT_I64] = { "I64", 8 },
    [KN_DT_U64] = { "U64", 8 },   [KN_DT_OTHER] = { "other", 0 },
};

/* Types of the format that no network here uses: read as OTHER, but of their right size. */
static const struct {
    const char *name;
    unsigned bits;
} others[] = {
    { "F8_E5M2", 8 },     { "F8_E4M3", 8 },     { "F8_E8M0", 8 },
    { "F8_E4M3FNUZ", 8 }, { "F8_E5M2FNUZ", 8 }, { "F4", 4 },
    { "F6_E2M3", 6 },     { "F6_E3M2", 6 },     { "C64", 64 },
};
enum { OTHERS = sizeof others / sizeof *others };

size_t kn_dtype_bytes(kn_dtype t)
{
    return dtypes[t].bytes;
}

const char *kn_dtype_name(kn_dtype t)
{
    return dtypes[t].name;
}

/* ---- the header's text ---- */

static size_t utf8_length(unsigned char c)
{
    return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

static int is_utf8(const unsigned char *p, size_t n)
{
    for (size_t i = 0, k; i < n; i += k) {
        k = utf8_length(p[i]);
        if (!k || k > n - i)
            return 0;
        for (size_t j = 1; j < k; j++)
            if ((p[i + j] & 0xc0) != 0x80)
                return 0;
        if ((p[i] == 0xe0 && p[i + 1] < 0xa0) ||
            (p[i] == 0xed && p[i + 1] > 0x9f) || /* overlong, surrogate */
            (p[i] == 0xf0 && p[i + 1] < 0x90) || (p[i] == 0xf4 && p[i + 1] > 0x8f))
            return 0;
    }
    return 1;
}

/* JSON inside JSON is text; real nesting ends at name -> entry -> list.  A deeper header is refused
 * before the parser, which recurses, sees it. */
static int too_deep(const char *p, size_t n)
{
    int depth = 0, quoted = 0;
    for (size_t i = 0; i < n; i++) {
        if (quoted) {
            if (p[i] == '\\')
                i++;
            quoted = i >= n || p[i] != '"';
        } else if (p[i] == '"') {
            quoted = 1;
        } else if (p[i] == '{' || p[i] == '[') {
            if (++depth > 8)
                return 1;
        } else if (p[i] == '}' || p[i] == ']') {
            depth--;
        }
    }
    return 0;
}

static ken_status parse_header(kn_weights *w, const unsigned char *bytes, size_t len)
{
    uint64_t n;
    if (len < PREFIX)
        return kn_fail(KEN_E_FORMAT, "%zu bytes are too few for a safetensors file", len);
    memcpy(&n, bytes, sizeof n);
    if (n > MAX_HEADER)
        return kn_fail(KEN_E_FORMAT, "a header of %llu bytes: at most %d", (unsigned long long)n,
                       MAX_HEADER);
    if (n > len - PREFIX)
        return kn_fail(KEN_E_FORMAT, "the header ends outside the file");
    const char *text = (const char *)bytes + PREFIX;
    if (!n || text[0] != '{')
        return kn_fail(KEN_E_FORMAT, "the header does not begin with '{'");
    if (!is_utf8(bytes + PREFIX, n) || memchr(text, 0, n))
        return kn_fail(KEN_E_FORMAT, "the header is not UTF-8");
    if (too_deep(text, n))
        return kn_fail(KEN_E_FORMAT, "the header is nested too deeply");
    char *copy = kn_strndup(text, n); /* terminated, and nothing behind the end is looked at */
    if (!copy)
        return KEN_E_NOMEM;
    const char *end = NULL;
    w->header = cJSON_ParseWithOpts(copy, &end, 1);
    const size_t where = end ? (size_t)(end - copy) : 0;
    kn_free(copy);
    if (!w->header)
        return kn_fail(KEN_E_FORMAT, "the header is not JSON at byte %zu", PREFIX + where);
    if (!cJSON_IsObject(w->header))
        return kn_fail(KEN_E_FORMAT, "the header is not a JSON object");
    w->data = bytes + PREFIX + n;
    w->data_len = len - PREFIX - n;
    return KEN_OK;
}

/* ---- entries ---- */

static int whole(const cJSON *j, uint64_t *out)
{
    if (!cJSON_IsNumber(j) || !(j->valuedouble >= 0) || j->valuedouble > EXACT)
        return 0;
    *out = (uint64_t)j->valuedouble;
    return (double)*out == j->valuedouble;
}

/* The type, and the bits of an element; 0 for a name that the format does not have. */
static kn_dtype dtype_named(const char *s, uint64_t *bits)
{
    int i = 0, j = 0;
    while (i < KN_DT_OTHER && strcmp(s, dtypes[i].name) != 0)
        i++;
    *bits = 8 * dtypes[i].bytes;
    while (i == KN_DT_OTHER && j < OTHERS && strcmp(s, others[j].name) != 0)
        j++;
    if (i == KN_DT_OTHER && j < OTHERS)
        *bits = others[j].bits;
    return (kn_dtype)i;
}

/* Multiplies *bits by each axis. */
static ken_status read_shape(kn_tensor *t, const cJSON *shape, uint64_t *bits)
{
    const cJSON *j;
    if (!cJSON_IsArray(shape))
        return kn_fail(KEN_E_FORMAT, "no shape");
    cJSON_ArrayForEach(j, shape)
    {
        if (t->rank == KN_MAX_RANK)
            return kn_fail(KEN_E_FORMAT, "more than %d axes", KN_MAX_RANK);
        if (!whole(j, &t->shape[t->rank]))
            return kn_fail(KEN_E_FORMAT, "axis %u is not a size", t->rank);
        if (__builtin_mul_overflow(*bits, t->shape[t->rank], bits))
            return kn_fail(KEN_E_FORMAT, "the shape overflows");
        t->rank++;
    }
    return KEN_OK;
}

/* Each member once; what else an entry has is of no concern. */
static ken_status check_members(const cJSON *entry)
{
    const cJSON *j;
    int seen[3] = { 0 };
    if (!cJSON_IsObject(entry))
        return kn_fail(KEN_E_FORMAT, "not a JSON object");
    cJSON_ArrayForEach(j, entry)
    {
        const int i = !strcmp(j->string, "dtype")          ? 0
                      : !strcmp(j->string, "shape")        ? 1
                      : !strcmp(j->string, "data_offsets") ? 2
                                                           : -1;
        if (i >= 0 && seen[i]++)
            return kn_fail(KEN_E_FORMAT, "%s appears twice", j->string);
    }
    return KEN_OK;
}

static ken_status read_place(const kn_weights *w, const cJSON *offsets, kn_tensor *t)
{
    uint64_t begin, end;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !whole(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &end))
        return kn_fail(KEN_E_FORMAT, "data_offsets are not two sizes");
    if (begin > end || end > w->data_len)
        return kn_fail(KEN_E_FORMAT, "data outside the file");
    t->data = w->data + begin;
    t->bytes = end - begin;
    return KEN_OK;
}

static ken_status read_entry(const kn_weights *w, const cJSON *j, kn_tensor *t)
{
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(j, "dtype");
    uint64_t bits = 0;
    t->name = j->string;
    ken_status st = check_members(j);
    if (!st && !cJSON_IsString(type))
        st = kn_fail(KEN_E_FORMAT, "no dtype");
    if (st)
        return st;
    t->dtype = dtype_named(type->valuestring, &bits);
    if (!bits)
        return kn_fail(KEN_E_FORMAT, "a dtype \"%.20s\" that is not known", type->valuestring);
    st = read_shape(t, cJSON_GetObjectItemCaseSensitive(j, "shape"), &bits);
    if (!st)
        st = read_place(w, cJSON_GetObjectItemCaseSensitive(j, "data_offsets"), t);
    if (!st && (bits % 8 || t->bytes != bits / 8))
        st = kn_fail(KEN_E_FORMAT, "%zu bytes of data, the shape says %llu bits", t->bytes,
                     (unsigned long long)bits);
    return st;
}

static int by_place(const void *a, const void *b)
{
    const kn_tensor *x = a, *y = b;
    const char *p = x->data, *q = y->data;
    if (p != q)
        return p < q ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const kn_tensor *const *)a)->name, (*(const kn_tensor *const *)b)->name);
}

static ken_status check_contiguous(const kn_weights *w)
{
    const unsigned char *at = w->data;
    for (size_t i = 0; i < w->len; i++) {
        if (w->tensors[i].data != at)
            return kn_fail(KEN_E_FORMAT, "tensor %s: data does not begin where the one before ends",
                           w->tensors[i].name);
        at += w->tensors[i].bytes;
    }
    if (at != w->data + w->data_len)
        return kn_fail(KEN_E_FORMAT, "%zu bytes behind the last tensor",
                       (size_t)(w->data + w->data_len - at));
    return KEN_OK;
}

static ken_status read_meta(kn_weights *w, const cJSON *j)
{
    const cJSON *item;
    if (w->meta || !cJSON_IsObject(j))
        return kn_fail(KEN_E_FORMAT, "__metadata__ is not one object");
    cJSON_ArrayForEach(item, j)
    {
        if (!cJSON_IsString(item))
            return kn_fail(KEN_E_FORMAT, "__metadata__: %s is not a string", item->string);
    }
    w->meta = j;
    return KEN_OK;
}

static ken_status read_entries(kn_weights *w)
{
    const size_t n = (size_t)cJSON_GetArraySize(w->header);
    const cJSON *j;
    w->tensors = kn_zalloc(n, sizeof *w->tensors);
    w->by_name = kn_zalloc(n, sizeof *w->by_name);
    if (!w->tensors || !w->by_name)
        return KEN_E_NOMEM;
    cJSON_ArrayForEach(j, w->header)
    {
        const int meta = !strcmp(j->string, "__metadata__");
        ken_status st = meta ? read_meta(w, j) : read_entry(w, j, &w->tensors[w->len]);
        if (st)
            return meta ? st : kn_fail_in(st, "tensor %zu (%.100s)", w->len, j->string);
        w->len += !meta;
    }
    if (w->len)
        qsort(w->tensors, w->len, sizeof *w->tensors, by_place);
    for (size_t i = 0; i < w->len; i++)
        w->by_name[i] = &w->tensors[i];
    if (w->len)
        qsort(w->by_name, w->len, sizeof *w->by_name, by_name);
    for (size_t i = 1; i < w->len; i++)
        if (!strcmp(w->by_name[i - 1]->name, w->by_name[i]->name))
            return kn_fail(KEN_E_FORMAT, "tensor %s appears twice", w->by_name[i]->name);
    return check_contiguous(w);
}

/* ---- opening ---- */

static ken_status open_bytes(kn_weights *w, const void *bytes, size_t len)
{
    ken_status st = parse_header(w, bytes, len);
    return st ? st : read_entries(w);
}

ken_status kn_weights_from_memory(kn_weights **out, const void *bytes, size_t len)
{
    kn_weights *w = kn_zalloc(1, sizeof *w);
    if (!w)
        return KEN_E_NOMEM;
    w->map = (kn_map){ bytes, len };
    ken_status st = open_bytes(w, bytes, len);
    if (st) {
        kn_weights_close(w);
        return st;
    }
    *out = w;
    return KEN_OK;
}

ken_status kn_weights_open(kn_weights **out, const char *path)
{
    kn_map map = { 0 };
    ken_status st = kn_map_open(&map, path);
    if (!st)
        st = kn_weights_from_memory(out, map.data, map.len);
    if (!st)
        (*out)->mapped = 1;
    else
        kn_map_close(&map);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

void kn_weights_close(kn_weights *w)
{
    if (!w)
        return;
    cJSON_Delete(w->header);
    kn_free(w->tensors);
    kn_free(w->by_name);
    if (w->mapped)
        kn_map_close(&w->map);
    kn_free(w);
}

/* ---- looking up ---- */

size_t kn_weights_len(const kn_weights *w)
{
    return w->len;
}

const kn_tensor *kn_weights_at(const kn_weights *w, size_t i)
{
    return &w->tensors[i];
}

const kn_tensor *kn_weights_find(const kn_weights *w, const char *name)
{
    const kn_tensor key = { .name = name }, *k = &key;
    const kn_tensor *const *found =
        w->len ? bsearch(&k, w->by_name, w->len, sizeof *w->by_name, by_name) : NULL;
    return found ? *found : NULL;
}

const char *kn_weights_meta(const kn_weights *w, const char *key)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(w->meta, key);
    return j ? j->valuestring : NULL;
}

size_t kn_weights_meta_len(const kn_weights *w)
{
    return w->meta ? (size_t)cJSON_GetArraySize(w->meta) : 0;
}

void kn_weights_meta_at(const kn_weights *w, size_t i, const char **key, const char **value)
{
    const cJSON *j = cJSON_GetArrayItem(w->meta, (int)i);
    *key = j->string;
    *value = j->valuestring;
}

const void *kn_weights_data(const kn_weights *w, size_t *len)
{
    *len = w->data_len;
    return w->data;
}

uint64_t kn_weights_file_bytes(const kn_weights *w)
{
    return w->map.len;
}
