/* decode.h - one decoder a format; image.c chooses by content. */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include "image/fit.h"
#include "image/image.h"

/* What every decoder gets: whole files in memory, options with their defaults filled in. */
typedef struct kn_source {
    const unsigned char *bytes;
    size_t len;
    ken_decode_options opts;
} kn_source;

/* The caller's options, of whatever size they were, with defaults.  KEN_E_VERSION. */
KEN_CALL ken_status kn_decode_options(ken_decode_options *out, const ken_decode_options *opts);

/* KEN_E_LIMIT beyond opts->max_pixels or the longest side, before anything is allocated. */
KEN_CALL ken_status kn_check_size(const kn_source *s, uint64_t width, uint64_t height);

/* KEN_E_FORMAT: the file ends before its pixels do. */
ken_status kn_truncated(void);

/* Pixels as stored, the caller's to free also on failure if *out was set; *orientation 1..8 is what EXIF says
 * (1 if nothing, or where it is done already). */
typedef ken_status kn_decode_fn(ken_image **out, const kn_source *s, int *orientation);
kn_decode_fn kn_decode_jpeg, kn_decode_stb, kn_decode_gif, kn_decode_bmp, kn_decode_tga,
    kn_decode_pnm, kn_decode_webp, kn_decode_heif;
typedef ken_status kn_size_fn(uint32_t *width, uint32_t *height, const kn_source *s,
                              int *orientation);
kn_size_fn kn_size_jpeg, kn_size_stb, kn_size_gif, kn_size_bmp, kn_size_tga, kn_size_pnm,
    kn_size_webp, kn_size_heif;

/* Rows of a picture as they come out of a decoder, top row first. */
typedef ken_status kn_rows_fn(const uint8_t *rgb, size_t stride, uint32_t first, uint32_t n,
                              void *cookie);
/* What of a picture is wanted, and where. */
typedef struct kn_want {
    kn_part
        part; /* other pixels are not defined, and other rows may not come; the default is all */
    uint8_t *rgb; /* if set, all rows go there and none through the callback */
    size_t stride;
} kn_want;
/* Told once, before the rows, of what is stored.  KEN_E_CANCELED ends the decoding without a reason
 * of its own. */
typedef ken_status kn_begin_fn(uint32_t width, uint32_t height, int orientation, kn_want *want,
                               void *cookie);
/* JPEG only: the same pixels as kn_decode_jpeg, a strip at a time. */
KEN_CALL ken_status kn_stream_jpeg(const kn_source *s, kn_begin_fn begin, kn_rows_fn rows,
                                   void *cookie);

/* Orientation tag of a TIFF block (EXIF without its "Exif\0\0"); 1 for anything broken or absent. */
int kn_exif_orientation(const unsigned char *tiff, size_t len);
/* The same from the EXIF chunk of a PNG or WebP file. */
int kn_png_orientation(const unsigned char *bytes, size_t len);
/* The checksums that Pillow looks at: of critical chunks but IDAT.  KEN_E_FORMAT names the chunk. */
KEN_CALL ken_status kn_png_check(const unsigned char *bytes, size_t len);
/* A copy whose palette is filled up with black, NULL if it is long enough: stb_image takes what is
 * missing from its stack.  kn_free it. */
KEN_CALL ken_status kn_png_fill_palette(unsigned char **out, size_t *out_len,
                                        const unsigned char *bytes, size_t len);
int kn_webp_orientation(const unsigned char *bytes, size_t len);

/* A row of n pixels (n, 4) to (n, 3): over the background if there is one, else alpha is dropped. */
void kn_flatten(uint8_t *rgb, const uint8_t *rgba, size_t n, const ken_decode_options *opts);
/* Over the background if there is one, else alpha is dropped; rgba (height, width, 4). */
KEN_CALL ken_status kn_image_from_rgba(ken_image **out, const uint8_t *rgba, uint32_t width,
                                       uint32_t height, const ken_decode_options *opts);

#ifdef KEN_JPEG
/* quality 1..100; *out is yours (kn_free). */
KEN_CALL ken_status kn_encode_jpeg(unsigned char **out, size_t *len, const ken_image *img,
                                   int quality);
#endif

/* orient.c.  Turns *img upright; it is then another picture, and the old one freed. */
KEN_CALL ken_status kn_image_orient(ken_image **img, int orientation);
/* Pixels of a stored picture of (width, height) to upright ones at `to`; orientation 1..8. */
void kn_orient(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride,
               uint32_t width, uint32_t height, int orientation);
/* Whether the upright picture's horizontal or vertical axis runs backwards along the stored one;
 * from 5 on they have also changed places. */
int kn_orient_mirrors(int orientation, int vertical);

#endif
