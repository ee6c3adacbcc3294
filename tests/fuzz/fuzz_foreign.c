/* fuzz_foreign.c - any bytes as an index file of faiss or hnswlib. */
#include "tests/fuzz/fuzz.h"

#include "index/foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    void *copy = fuzz_copy(data, len);
    kn_foreign f = { 0 };
    if (copy && !kn_foreign_parse(&f, copy, len, "fuzz", NULL))
        kn_foreign_release(&f);
    free(copy);
    return 0;
}
