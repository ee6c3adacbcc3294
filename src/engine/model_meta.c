/* model_meta.c - see model_meta.h. */
#include "engine/model_meta.h"

#include "base/error.h"
#include "nn/weights.h"

#include <string.h>

static int is_changed(const char *key, const kn_meta_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(key, changes[i].key))
            return 1;
    return !strcmp(key, "checksum");
}

static ken_status copy_meta(kn_writer *w, const kn_weights *in, const kn_meta_change *changes, size_t n)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < kn_weights_meta_len(in); i++) {
        const char *key, *value;
        kn_weights_meta_at(in, i, &key, &value);
        if (!is_changed(key, changes, n))
            st = kn_writer_meta(w, key, value);
    }
    for (size_t i = 0; !st && i < n; i++)
        st = kn_writer_meta(w, changes[i].key, changes[i].value);
    return st;
}

static ken_status copy_tensors(kn_writer *w, const kn_weights *in, const char *path)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < kn_weights_len(in); i++) {
        const kn_tensor *t = kn_weights_at(in, i);
        st = kn_writer_declare(w, t->name, t->dtype, t->rank, t->shape);
    }
    if (!st)
        st = kn_writer_begin(w, path);
    for (size_t i = 0; !st && i < kn_weights_len(in); i++) {
        const kn_tensor *t = kn_weights_at(in, i);
        size_t bytes = 0;
        void *to = kn_writer_data(w, t->name, &bytes);
        if (!to || bytes != t->bytes)
            st = kn_fail(KEN_E_FORMAT, "tensor %s cannot be copied", t->name);
        else if (bytes)
            memcpy(to, t->data, bytes);
    }
    return st ? st : kn_writer_commit(w);
}

ken_status kn_model_rewrite(const ken_model *m, const kn_meta_change *changes, size_t n, const char *path)
{
    kn_weights *in = NULL;
    kn_writer *w = NULL;
    ken_status st = kn_weights_open(&in, ken_model_get_info(m)->path);
    if (!st)
        st = kn_writer_new(&w);
    if (!st)
        st = copy_meta(w, in, changes, n);
    if (!st)
        st = copy_tensors(w, in, path);
    kn_writer_free(w);
    kn_weights_close(in);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}
