/* fuzz_inflate.c - any bytes as a deflate stream and as a gzip file. */
#include "base/alloc.h"
#include "base/inflate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    enum { MOST = 1 << 20 };
    unsigned char *copy = malloc(len ? len : 1),
                  *out; /* of exactly its size: reading past it shows */
    size_t n;
    if (!copy)
        return 0;
    memcpy(copy, data, len);
    if (kn_inflate(&out, &n, copy, len, MOST) ? out != NULL : n > MOST || out[n])
        abort();
    kn_free(out);
    if (kn_gunzip(&out, &n, copy, len, MOST) ? out != NULL : n > MOST || out[n])
        abort();
    kn_free(out);
    free(copy);
    return 0;
}
