/* image.c - a picture in memory, and which decoder its bytes want. */
#include "image/image.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "image/decode.h"

#include <string.h>
#include <strings.h>

enum { MAX_FILE = 1 << 30 };

ken_status kn_image_new(ken_image **out, uint32_t width, uint32_t height)
{
    if (!width || !height || width > KN_IMAGE_MAX_SIDE || height > KN_IMAGE_MAX_SIDE)
        return kn_fail(KEN_E_LIMIT, "%u x %u pixels: sides are 1 .. %d", width, height,
                       KN_IMAGE_MAX_SIDE);
    ken_image *img = kn_alloc(1, sizeof *img);
    if (!img)
        return KEN_E_NOMEM;
    *img = (ken_image){ .width = width, .height = height, .stride = 3 * (size_t)width };
    img->pixels = kn_alloc_aligned(height, img->stride);
    if (!img->pixels) {
        kn_free(img);
        return KEN_E_NOMEM;
    }
    *out = img;
    return KEN_OK;
}

void ken_image_free(ken_image *img)
{
    if (!img)
        return;
    kn_free(img->pixels);
    kn_free(img);
}

ken_status ken_image_from_rgb(ken_image **out, const uint8_t *pixels, uint32_t width,
                              uint32_t height, size_t stride)
{
    if (stride < 3 * (size_t)width)
        return kn_fail(KEN_E_INVALID, "a stride of %zu bytes for %u pixels", stride, width);
    ken_status st = kn_image_new(out, width, height);
    for (uint32_t y = 0; !st && y < height; y++)
        memcpy((*out)->pixels + y * (*out)->stride, pixels + y * stride, 3 * (size_t)width);
    return st;
}

uint32_t ken_image_width(const ken_image *img)
{
    return img->width;
}

uint32_t ken_image_height(const ken_image *img)
{
    return img->height;
}

const uint8_t *ken_image_row(const ken_image *img, uint32_t y)
{
    return img->pixels + y * img->stride;
}

/* ---- which format ---- */

static int begins(const unsigned char *b, size_t len, const char *magic, size_t n)
{
    return len >= n && !memcmp(b, magic, n);
}

/* ISO base media: the brand says what is inside. */
static const char *brand(const unsigned char *b, size_t len)
{
    static const char *const heif[] = { "heic", "heix", "heim", "heis",
                                        "hevc", "hevx", "mif1", "msf1" };
    if (len < 12 || memcmp(b + 4, "ftyp", 4))
        return NULL;
    if (!memcmp(b + 8, "avif", 4) || !memcmp(b + 8, "avis", 4))
        return "avif";
    for (size_t i = 0; i < sizeof heif / sizeof *heif; i++)
        if (!memcmp(b + 8, heif[i], 4))
            return "heif";
    return NULL;
}

/* TGA has no magic: a header whose every field makes sense. */
static int is_tga(const unsigned char *b, size_t len)
{
    if (len < 18 || b[1] > 1)
        return 0;
    const int type = b[2] & 7, depth = b[16];
    if ((b[2] & ~11) || (type != 1 && type != 2 && type != 3) || (b[1] == 1) != (type == 1))
        return 0;
    if (b[1] == 1 && b[7] != 15 && b[7] != 16 && b[7] != 24 && b[7] != 32)
        return 0;
    return (b[12] | b[13]) && (b[14] | b[15]) &&
           (depth == 8 || depth == 15 || depth == 16 || depth == 24 || depth == 32);
}

const char *kn_image_kind(const void *bytes, size_t len)
{
    const unsigned char *b = bytes;
    if (begins(b, len, "\xff\xd8\xff", 3))
        return "jpeg";
    if (begins(b, len, "\x89PNG\r\n\x1a\n", 8))
        return "png";
    if (begins(b, len, "GIF87a", 6) || begins(b, len, "GIF89a", 6))
        return "gif";
    if (begins(b, len, "BM", 2))
        return "bmp";
    if (len >= 12 && !memcmp(b, "RIFF", 4) && !memcmp(b + 8, "WEBP", 4))
        return "webp";
    if (len >= 3 && b[0] == 'P' && b[1] >= '1' && b[1] <= '6' && strchr(" \t\r\n\v\f#", b[2]) &&
        b[2])
        return "pnm";
    if (begins(b, len, "II*\0", 4) || begins(b, len, "MM\0*", 4))
        return "tiff";
    if (begins(b, len, "\0\0\0\x0cjP  \r\n\x87\n", 12) || begins(b, len, "\xff\x4f\xff\x51", 4))
        return "jp2";
    const char *inside = brand(b, len);
    return inside ? inside : is_tga(b, len) ? "tga" : NULL;
}

typedef struct format {
    const char *kind;
    kn_decode_fn *decode;
    kn_size_fn *size;
} format;

static const format formats[] = {
    { "jpeg", kn_decode_jpeg, kn_size_jpeg }, { "png", kn_decode_stb, kn_size_stb },
    { "gif", kn_decode_gif, kn_size_gif },    { "bmp", kn_decode_bmp, kn_size_bmp },
    { "tga", kn_decode_tga, kn_size_tga },    { "pnm", kn_decode_pnm, kn_size_pnm },
#ifdef KEN_WEBP
    { "webp", kn_decode_webp, kn_size_webp },
#endif
#ifdef KEN_HEIF
    { "heif", kn_decode_heif, kn_size_heif }, { "avif", kn_decode_heif, kn_size_heif },
#endif
};

static const format *format_of(const char *kind)
{
    for (size_t i = 0; kind && i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(formats[i].kind, kind))
            return &formats[i];
    return NULL;
}

int kn_image_can(const char *kind)
{
    return format_of(kind) != NULL;
}

int kn_image_name(const char *path)
{
    static const char *const endings[] = { "jpg",  "jpeg", "jpe",  "jfif", "png", "apng", "gif",
                                           "bmp",  "dib",  "pnm",  "ppm",  "pgm", "pbm",  "tga",
                                           "webp", "heic", "heif", "hif",  "avif" };
    const char *dot = strrchr(kn_path_name(path), '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (!strcasecmp(dot + 1, endings[i]))
            return 1;
    return 0;
}

int ken_image_named(const char *path)
{
    return path && kn_image_name(path);
}

/* ---- decoding ---- */

ken_status kn_check_size(const kn_source *s, uint64_t width, uint64_t height)
{
    if (!width || !height)
        return kn_fail(KEN_E_FORMAT, "a picture of %llu x %llu pixels", (unsigned long long)width,
                       (unsigned long long)height);
    if (width > KN_IMAGE_MAX_SIDE || height > KN_IMAGE_MAX_SIDE ||
        width * height > s->opts.max_pixels)
        return kn_fail(KEN_E_LIMIT, "%llu x %llu pixels: more than the limit of %u",
                       (unsigned long long)width, (unsigned long long)height, s->opts.max_pixels);
    return KEN_OK;
}

ken_status kn_truncated(void)
{
    return kn_fail(KEN_E_FORMAT, "the file is truncated");
}

ken_status kn_decode_options(ken_decode_options *out, const ken_decode_options *opts)
{
    *out = (ken_decode_options)KEN_DECODE_OPTIONS_INIT;
    if (opts && opts->size > sizeof *out)
        return kn_fail(KEN_E_VERSION, "decode options of a newer ken");
    if (opts)
        memcpy(out, opts, opts->size);
    if (!out->max_pixels)
        out->max_pixels = KN_IMAGE_MAX_PIXELS;
    return KEN_OK;
}

static ken_status source_of(kn_source *s, const format **f, const void *bytes, size_t len,
                            const ken_decode_options *opts)
{
    const char *kind = kn_image_kind(bytes, len);
    *f = format_of(kind);
    if (!len)
        return kn_fail(KEN_E_FORMAT, "an empty file");
    if (!kind)
        return kn_fail(KEN_E_FORMAT, "not a picture of a known kind");
    if (!*f)
        return kn_fail(KEN_E_UNSUPPORTED, "%s pictures are not supported by this build", kind);
    *s = (kn_source){ .bytes = bytes, .len = len };
    return kn_decode_options(&s->opts, opts);
}

ken_status ken_image_decode(ken_image **out, const void *bytes, size_t len,
                            const ken_decode_options *opts)
{
    kn_source s;
    const format *f;
    ken_image *img = NULL;
    int orientation = 1;
    ken_status st = source_of(&s, &f, bytes, len, opts);
    if (!st)
        st = f->decode(&img, &s, &orientation);
    if (!st && !s.opts.no_orient)
        st = kn_image_orient(&img, orientation);
    if (st) {
        ken_image_free(img);
        return f ? kn_fail_in(st, "%s", f->kind) : st;
    }
    *out = img;
    return KEN_OK;
}

ken_status kn_image_size(uint32_t *width, uint32_t *height, const void *bytes, size_t len,
                         const ken_decode_options *opts)
{
    kn_source s;
    const format *f;
    uint32_t w, h;
    int orientation = 1;
    ken_status st = source_of(&s, &f, bytes, len, opts);
    if (!st)
        st = f->size(&w, &h, &s, &orientation);
    if (st)
        return f ? kn_fail_in(st, "%s", f->kind) : st;
    const int turned = !s.opts.no_orient && orientation >= 5;
    *width = turned ? h : w;
    *height = turned ? w : h;
    return KEN_OK;
}

ken_status ken_image_load(ken_image **out, const char *path, const ken_decode_options *opts)
{
    unsigned char *bytes;
    size_t len;
    ken_status st = kn_read_file(&bytes, &len, path, MAX_FILE);
    if (st)
        return kn_fail_in(st, "%s", path);
    st = ken_image_decode(out, bytes, len, opts);
    kn_free(bytes);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

void kn_flatten(uint8_t *rgb, const uint8_t *rgba, size_t n, const ken_decode_options *opts)
{
    for (size_t i = 0; i < n; i++, rgba += 4, rgb += 3) {
        const unsigned a = opts->has_background ? rgba[3] : 255;
        for (int k = 0; k < 3; k++) {
            const unsigned t = rgba[k] * a + opts->background[k] * (255 - a) + 128;
            rgb[k] = (uint8_t)((t + (t >> 8)) >> 8); /* t / 255, rounded */
        }
    }
}

ken_status kn_image_from_rgba(ken_image **out, const uint8_t *rgba, uint32_t width, uint32_t height,
                              const ken_decode_options *opts)
{
    ken_status st = kn_image_new(out, width, height);
    if (!st)
        kn_flatten((*out)->pixels, rgba, (size_t)width * height, opts);
    return st;
}
