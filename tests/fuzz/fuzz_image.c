/* fuzz_image.c - any bytes as a picture: an error, or pixels that are all there; and straight from the
 * bytes to a crop gives what decoding and cropping give.
 *
 * libheif is left to its own fuzzers: it is another library, loaded at run time. */
#include "tests/fuzz/fuzz.h"
#include "base/alloc.h"
#include "image/image.h"

static volatile unsigned sink; /* keeps the reads */

enum { CROP_W = 26, CROP_H = 20 };

/* img is what decoding gave, or NULL. */
static void fit_too(const uint8_t *bytes, size_t size, const ken_decode_options *opts,
                    const ken_image *img)
{
    const uint32_t side = 24 + (uint32_t)(size % 13) * 20;
    const kn_prep p = { .fit = size % 2 ? KN_FIT_SHORT : KN_FIT_SQUASH, .resize = { side, side },
                        .crop = { CROP_H, CROP_W }, .filter = (kn_filter)(size % 6) };
    uint8_t out[3 * CROP_H * CROP_W], want[sizeof out];
    uint32_t w, h;
    const ken_status st = kn_image_decode_fit(bytes, size, opts, &p, out, &w, &h);
    if (!st)
        sink += out[0] + out[sizeof out - 1];
    if (!img)
        return;
    if (st || w != img->width || h != img->height || kn_image_fit(img, &p, want) ||
        memcmp(out, want, sizeof out))
        abort();
}

static void decode_too(const uint8_t *bytes, size_t size, const ken_decode_options *opts)
{
    ken_image *img = NULL;
    uint32_t w, h;
    if (ken_image_decode(&img, bytes, size, opts) == KEN_OK)
        for (uint32_t y = 0; y < img->height; y++)
            sink += img->pixels[y * img->stride + 3 * img->width - 1];
    (void)!kn_image_size(&w, &h, bytes, size, opts);
    fit_too(bytes, size, opts, img);
    ken_image_free(img);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
    uint8_t *copy = fuzz_copy(data, size);
    if (!copy)
        return 0;
    const char *kind = kn_image_kind(copy, size);
    if (!kind || (strcmp(kind, "heif") && strcmp(kind, "avif"))) {
        opts.max_pixels = 1 << 19;
        opts.has_background = size & 1;
        opts.fit = size % 3 ? 0 : 16;
        decode_too(copy, size, &opts);
    }
    free(copy);
    return 0;
}
