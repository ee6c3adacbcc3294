/* fuzz_heif.c - any bytes as HEIC or AVIF: an error, or pixels that are all there and of the size that was said
 * before.  libheif itself is a library apart, with fuzzers of its own: this is about what we make of its answers. */
#include "tests/fuzz/fuzz.h"
#include "image/image.h"

/* Decoders behind libheif forget a block or two of a picture that they refuse (dav1d 1.0 does). */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:libheif.so\nleak:libdav1d.so\nleak:libde265.so\nleak:libaom.so\n";
}

static volatile unsigned sink; /* keeps the reads */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
    ken_image *img = NULL;
    uint32_t w = 0, h = 0;
    const char *kind = kn_image_kind(data, size);
    if (!kind || (strcmp(kind, "heif") && strcmp(kind, "avif")))
        return 0;
    uint8_t *copy = fuzz_copy(data, size);
    if (!copy)
        return 0;
    opts.max_pixels = 1 << 16;
    opts.has_background = size & 1;
    const ken_status sized = kn_image_size(&w, &h, copy, size, &opts);
    if (!ken_image_decode(&img, copy, size, &opts)) {
        if (sized || w != img->width || h != img->height || (uint64_t)w * h > opts.max_pixels)
            abort();
        for (uint32_t y = 0; y < h; y++)
            for (size_t x = 0; x < 3 * (size_t)w; x++)
                sink += img->pixels[y * img->stride + x];
    }
    ken_image_free(img);
    free(copy);
    return 0;
}
