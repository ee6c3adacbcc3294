/*
 * fuzz_pickle.c - any bytes as pickles: as a legacy file, and as the object of a torch archive
 * whose storages are the bytes themselves.
 */
#include "tests/fuzz/fuzz_read.h"

#include "tools/convert/state.h"

typedef struct block {
    const unsigned char *p;
    size_t n;
} block;

static ken_status get_storage(void *cookie, const cv_pickle *p, uint32_t ref, cv_storage *out)
{
    const block *b = cookie;
    cv_storage_id id;
    ken_status st = cv_storage_id_read(p, ref, &id);
    if (st)
        return st;
    const size_t size = kn_dtype_bytes(id.dtype);
    *out = (cv_storage){ id.dtype, b->p, size ? b->n / size : 0 };
    return KEN_OK;
}

static ken_status read_object(cv_set *s, const void *bytes, size_t len, const char *file)
{
    block b = { bytes, len };
    cv_pickle p;
    ken_status st = cv_pickle_read(&p, bytes, len);
    if (st)
        return st;
    st = cv_state_read(s, &p, get_storage, &b, file);
    cv_pickle_free(&p);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_read(read_object, data, len) + fuzz_read(cv_read_legacy, data, len);
}
