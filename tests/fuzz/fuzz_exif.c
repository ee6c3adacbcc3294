/* fuzz_exif.c - any bytes as an EXIF block, a PNG's chunks, a WebP's chunks: an orientation from 1 to 8. */
#include "tests/fuzz/fuzz.h"
#include "image/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = fuzz_copy(data, size);
    if (!copy)
        return 0;
    const int a = kn_exif_orientation(copy, size), b = kn_png_orientation(copy, size), c = kn_webp_orientation(copy, size);
    if (a < 1 || a > 8 || b < 1 || b > 8 || c < 1 || c > 8)
        abort();
    (void)!kn_png_check(copy, size);
    free(copy);
    return 0;
}
