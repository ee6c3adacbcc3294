/*
 * read_torch.c - what is in a zip: torch.save since 1.6, TorchScript, or numpy's npz.
 *
 * torch: caffe2/serialize/inline_container.cc and torch/serialization.py.  All records lie below
 * one folder: data.pkl, data/KEY (raw storages), byteorder.  TorchScript is the same with
 * constants.pkl.
 */
#include "tools/convert/npz.h"
#include "tools/convert/read.h"

#include "base/alloc.h"
#include "base/error.h"
#include "tools/convert/state.h"
#include "base/zip.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PATH_LEN = 1024 };

typedef struct archive {
    const kn_zip *zip;
    const char *prefix; /* "archive/", not terminated */
    size_t prefix_len;
} archive;

static const kn_zip_entry *record(const archive *a, const char *name, size_t name_len)
{
    char path[MAX_PATH_LEN];
    if (a->prefix_len + name_len >= sizeof path)
        return NULL;
    memcpy(path, a->prefix, a->prefix_len);
    memcpy(path + a->prefix_len, name, name_len);
    path[a->prefix_len + name_len] = 0;
    return kn_zip_find(a->zip, path);
}

static const kn_zip_entry *record_named(const archive *a, const char *name)
{
    return record(a, name, strlen(name));
}

static ken_status get_storage(void *cookie, const cv_pickle *p, uint32_t ref, cv_storage *out)
{
    const archive *a = cookie;
    char name[MAX_PATH_LEN];
    cv_storage_id id = { 0 };
    uint64_t bytes;
    ken_status st = cv_storage_id_read(p, ref, &id);
    if (st)
        return st;
    *out = (cv_storage){ .dtype = id.dtype };
    if (id.dtype == KN_DT_OTHER)
        return KEN_OK;
    const int n = snprintf(name, sizeof name, "data/%.*s", (int)(id.key_len & 1023), id.key);
    const kn_zip_entry *e = record(a, name, (size_t)n);
    if (!e)
        return kn_fail(KEN_E_FORMAT, "its storage %.*s is not in the archive",
                       (int)(id.key_len & 1023), id.key);
    if (e->deflated)
        return kn_fail(KEN_E_UNSUPPORTED, "its storage %s is compressed", e->name);
    if (__builtin_mul_overflow(id.elements, kn_dtype_bytes(id.dtype), &bytes) || bytes > e->size)
        return kn_fail(KEN_E_FORMAT, "%llu elements are claimed of %s, which has %llu bytes",
                       (unsigned long long)id.elements, e->name, (unsigned long long)e->size);
    out->data = e->data;
    out->elements = id.elements;
    return KEN_OK;
}

static ken_status read_archive(cv_set *s, archive *a, const kn_zip_entry *pickle, const char *file)
{
    const kn_zip_entry *order = record_named(a, "byteorder");
    cv_pickle p;
    if (order && (order->deflated || order->size != 6 || memcmp(order->data, "little", 6) != 0))
        return kn_fail(KEN_E_UNSUPPORTED, "%s: not little-endian", order->name);
    if (pickle->deflated)
        return kn_fail(KEN_E_UNSUPPORTED, "%s is compressed", pickle->name);
    ken_status st = cv_pickle_read(&p, pickle->data, (size_t)pickle->size);
    if (!st) {
        st = cv_state_read(s, &p, get_storage, a, file);
        cv_pickle_free(&p);
    }
    return st ? kn_fail_in(st, "%s", pickle->name) : KEN_OK;
}

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

static void close_zip(void *p)
{
    kn_zip_close(p);
    kn_free(p);
}

static ken_status open_zip(cv_set *s, const void *bytes, size_t len, const kn_zip **out)
{
    kn_zip *z = kn_zalloc(1, sizeof *z);
    if (!z)
        return KEN_E_NOMEM;
    ken_status st = kn_zip_from_memory(z, bytes, len);
    if (st) {
        kn_free(z);
        return st;
    }
    *out = z;
    return cv_set_keep(s, z, close_zip);
}

ken_status cv_read_zip(cv_set *s, const void *bytes, size_t len, const char *file)
{
    const kn_zip *z = NULL;
    const kn_zip_entry *pickle = NULL;
    size_t arrays = 0;
    ken_status st = open_zip(s, bytes, len, &z);
    if (st)
        return st;
    for (size_t i = 0; i < z->len; i++) {
        const char *name = z->list[i].name;
        arrays += (size_t)ends_with(name, ".npy");
        if ((!strcmp(name, "data.pkl") || ends_with(name, "/data.pkl")) &&
            (!pickle || strlen(name) < strlen(pickle->name)))
            pickle = &z->list[i];
        if (ends_with(name, "/model.json"))
            return kn_fail(KEN_E_UNSUPPORTED, "a TorchScript archive of before torch 1.4");
    }
    if (pickle) {
        archive a = { z, pickle->name, strlen(pickle->name) - strlen("data.pkl") };
        return read_archive(s, &a, pickle, file);
    }
    if (arrays)
        return cv_read_npz(s, z, file);
    return kn_fail(KEN_E_FORMAT, "a zip with neither data.pkl nor .npy in it");
}
