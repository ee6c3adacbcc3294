/* fuzz_safetensors.c - any bytes as a safetensors file: what is accepted lies inside and adds up. */
#include "tests/fuzz/fuzz.h"
#include "nn/weights.h"

static void check(const kn_weights *w, const unsigned char *begin, size_t len)
{
    const char *key, *value;
    size_t total = 0;
    for (size_t i = 0; i < kn_weights_len(w); i++) {
        const kn_tensor *t = kn_weights_at(w, i);
        const unsigned char *p = t->data;
        uint64_t bytes = kn_dtype_bytes(t->dtype);
        for (uint32_t j = 0; j < t->rank; j++)
            bytes *= t->shape[j];
        if (p < begin || p > begin + len || t->bytes > (size_t)(begin + len - p))
            abort();
        if (t->dtype != KN_DT_OTHER && bytes != t->bytes)
            abort();
        if (kn_weights_find(w, t->name) != t)
            abort();
        total += t->bytes;
    }
    for (size_t i = 0; i < kn_weights_meta_len(w) && i < 64; i++) {
        kn_weights_meta_at(w, i, &key, &value);
        if (!kn_weights_meta(w, key) || !value)
            abort();
    }
    size_t n;
    (void)kn_weights_data(w, &n);
    if (n != total)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned char *copy = fuzz_copy(data, len);
    kn_weights *w;
    if (!copy)
        return 0;
    if (!kn_weights_from_memory(&w, copy, len)) {
        check(w, copy, len);
        kn_weights_close(w);
    }
    free(copy);
    return 0;
}
