/* fuzz_exif.c - any bytes as an EXIF block, a PNG's chunks, a WebP's chunks: an orientation from 1 to 8. */
#include "image/decode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    const int a = kn_exif_orientation(copy, size), b = kn_png_orientation(copy, size), c = kn_webp_orientation(copy, size);
    if (a < 1 || a > 8 || b < 1 || b > 8 || c < 1 || c > 8)
        abort();
    (void)!kn_png_check(copy, size);
    free(copy);
    return 0;
}
