/* fuzz_inflate.c - any bytes as a deflate stream and as a gzip file. */
#include "tests/fuzz/fuzz.h"
#include "base/alloc.h"
#include "base/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    enum { MOST = 1 << 20 };
    unsigned char *copy = fuzz_copy(data, len), *out;
    size_t n;
    if (!copy)
        return 0;
    if (kn_inflate(&out, &n, copy, len, MOST) ? out != NULL : n > MOST || out[n])
        abort();
    kn_free(out);
    if (kn_gunzip(&out, &n, copy, len, MOST) ? out != NULL : n > MOST || out[n])
        abort();
    kn_free(out);
    free(copy);
    return 0;
}
