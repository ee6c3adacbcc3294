/* fuzz_image.c - any bytes as a picture: an error, or pixels that are all there.
 *
 * libheif is left to its own fuzzers: it is another library, loaded at run time. */
#include "base/alloc.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink; /* keeps the reads */

static void fit_too(const uint8_t *bytes, size_t size, const ken_decode_options *opts)
{
    const kn_prep p = { .fit = size % 2 ? KN_FIT_SHORT : KN_FIT_SQUASH, .resize = { 24, 24 }, .crop = { 20, 26 },
                        .filter = (kn_filter)(size % 6) };
    uint8_t out[3 * 20 * 26];
    uint32_t w, h;
    if (kn_image_decode_fit(bytes, size, opts, &p, out, &w, &h) == KEN_OK)
        sink += out[0] + out[sizeof out - 1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
    uint32_t w, h;
    ken_image *img;
    uint8_t *copy = malloc(size ? size : 1); /* exact, so that a read one byte too far is seen */
    memcpy(copy, data, size);
    const char *kind = kn_image_kind(copy, size);
    if (!kind || (strcmp(kind, "heif") && strcmp(kind, "avif"))) {
        opts.max_pixels = 1 << 16;
        opts.has_background = size & 1;
        opts.fit = size % 3 ? 0 : 16;
        if (ken_image_decode(&img, copy, size, &opts) == KEN_OK) {
            for (uint32_t y = 0; y < img->height; y++)
                sink += img->pixels[y * img->stride + 3 * img->width - 1];
            ken_image_free(img);
        }
        (void)!kn_image_size(&w, &h, copy, size, &opts);
        fit_too(copy, size, &opts);
    }
    free(copy);
    return 0;
}
