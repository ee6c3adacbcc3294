/* encode.c - pictures that we make, as PNG or JPEG bytes. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "image/decode.h"

#include <string.h>
#include <strings.h>

#define STBIW_MALLOC(n) kn_malloc(n)
#define STBIW_REALLOC(p, n) kn_realloc(p, n)
#define STBIW_FREE(p) kn_free(p)
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
/* not restored behind it: what is declared and left out is noticed at the end of this file */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>

#define MAX_FILE ((size_t)1 << 30)

typedef struct sink {
    kn_buf b;
    ken_status st;
} sink;

static void collect(void *cookie, void *bytes, int n)
{
    sink *s = cookie;
    if (!s->st)
        s->st = kn_buf_add(&s->b, bytes, (size_t)n);
}

ken_status kn_image_encode(unsigned char **out, size_t *len, const ken_image *img, int quality)
{
    sink s = { .st = KEN_OK };
#ifdef KEN_JPEG
    if (quality)
        return kn_encode_jpeg(out, len, img, quality);
#endif
    kn_buf_init(&s.b, MAX_FILE);
    const int w = (int)img->width, h = (int)img->height;
    if (quality && img->stride != 3 * (size_t)img->width)
        return kn_fail(KEN_E_INVALID, "rows with gaps");
    const int done =
        quality ? stbi_write_jpg_to_func(collect, &s, w, h, 3, img->pixels, quality)
                : stbi_write_png_to_func(collect, &s, w, h, 3, img->pixels, (int)img->stride);
    if (!s.st && !done)
        s.st = kn_fail(KEN_E_NOMEM, "out of memory");
    if (s.st) {
        kn_buf_release(&s.b);
        return s.st;
    }
    *len = s.b.len;
    *out = (unsigned char *)kn_buf_take(&s.b);
    return *out ? KEN_OK : KEN_E_NOMEM;
}

ken_status ken_image_save(const ken_image *img, const char *path, int quality)
{
    const char *dot = strrchr(kn_path_name(path), '.');
    const int jpeg = dot && (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
    unsigned char *bytes;
    size_t len;
    if (!jpeg && (!dot || strcasecmp(dot, ".png")))
        return kn_fail(KEN_E_INVALID, "%s: a picture is written as .png or .jpg", path);
    if (quality < 0 || quality > 100)
        return kn_fail(KEN_E_INVALID, "a quality of %d: 1 .. 100", quality);
    ken_status st = kn_image_encode(&bytes, &len, img, jpeg ? quality ? quality : 90 : 0);
    if (st)
        return kn_fail_in(st, "%s", path);
    st = kn_replace_file(path, bytes, len);
    kn_free(bytes);
    return st;
}

ken_status ken_image_encode(const ken_image *img, int quality, void **bytes, size_t *len)
{
    unsigned char *out = NULL;
    if (quality < 0 || quality > 100)
        return kn_fail(KEN_E_INVALID, "a quality of %d: 1 .. 100, or 0 for PNG", quality);
    const ken_status st = kn_image_encode(&out, len, img, quality);
    if (!st)
        *bytes = out;
    return st;
}

void ken_bytes_free(void *bytes)
{
    kn_free(bytes);
}
