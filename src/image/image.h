/*
 * image.h - bytes to pixels, and pixels to what a network sees.
 *
 * Data flow: kn_image_decode -> kn_image_fit (resize and crop) -> kn_image_planes.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "ken.h"

struct ken_image {
    uint32_t width, height; /* > 0 */
    size_t stride;          /* bytes from row to row, >= 3 * width */
    uint8_t *pixels;        /* (height, stride): R G B */
};

enum { KN_IMAGE_MAX_SIDE = 1 << 20 };
#define KN_IMAGE_MAX_PIXELS (1u << 28)

/* An uninitialised image; KEN_E_LIMIT for a side of 0 or too long. */
KEN_CALL ken_status kn_image_new(ken_image **out, uint32_t width, uint32_t height);

/* What the first bytes say: "jpeg", "png", "gif", "bmp", "pnm", "tga", "webp", "heif", "avif",
 * "tiff", "jp2", or NULL.  Decoding those that kn_image_can() denies gives KEN_E_UNSUPPORTED. */
const char *kn_image_kind(const void *bytes, size_t len);
int kn_image_can(const char *kind);
/* Whether a file of this name is worth opening when a folder is scanned: by its ending. */
int kn_image_name(const char *path);
/* Width and height as decoding would give them, without decoding.  KEN_E_FORMAT. */
KEN_CALL ken_status kn_image_size(uint32_t *width, uint32_t *height, const void *bytes, size_t len,
                                  const ken_decode_options *opts);

typedef enum kn_filter {
    KN_BOX,
    KN_BILINEAR,
    KN_HAMMING,
    KN_BICUBIC,
    KN_LANCZOS,
    KN_NEAREST
} kn_filter;
/* KEN_E_INVALID names the ones there are. */
KEN_CALL ken_status kn_filter_named(kn_filter *out, const char *name);
const char *kn_filter_name(kn_filter f);

/* Equal to Pillow's Image.resize((width, height), filter) of an RGB image, bit for bit. */
KEN_CALL ken_status kn_image_resize(ken_image **out, const ken_image *img, uint32_t width,
                                    uint32_t height, kn_filter filter);

/* How a model wants its pictures. */
typedef enum kn_fit {
    KN_FIT_SHORT,  /* short side to resize[0], then centre crop; torchvision's Resize(int) */
    KN_FIT_SQUASH, /* to resize (height, width), whatever the proportions; then centre crop */
    KN_FIT_LONGEST /* long side to resize[0], then centre crop or pad with `fill` */
} kn_fit;

typedef struct kn_prep {
    kn_fit fit;
    uint32_t resize[2]; /* height, width */
    uint32_t crop[2];   /* height, width: what the network sees */
    kn_filter filter;
    int hf_crop; /* 1: Hugging Face's rounding of an odd margin, 0: torchvision's */
    uint8_t fill[3];
    float mean[3], std[3]; /* of channel values 0..1 */
} kn_prep;

/* Resized and cropped 8-bit RGB, (crop[0], crop[1], 3) without gaps, into `out`.  Only what the
 * crop needs is computed; every byte equals Pillow's resize and crop. */
KEN_CALL ken_status kn_image_fit(const ken_image *img, const kn_prep *p, uint8_t *out);

/* n pictures to (n, crop[0], crop[1], 3), by so many threads (0: one per processor). */
KEN_CALL ken_status kn_images_fit(const ken_image *const *imgs, size_t n, const kn_prep *p,
                                  uint32_t threads, uint8_t *out);

/* From a file's bytes straight to the same: a JPEG never lies in memory whole.  *width and *height are those
 * of the upright picture. */
KEN_CALL ken_status kn_image_decode_fit(const void *bytes, size_t len,
                                        const ken_decode_options *opts, const kn_prep *p,
                                        uint8_t *out, uint32_t *width, uint32_t *height);

/* The values (u / 255 - mean) / std of each byte and channel, in f32 as torchvision computes them. */
void kn_prep_table(const kn_prep *p, float table[3][256]);

/* PNG or JPEG bytes (quality 1..100; 0: PNG).  kn_free them. */
KEN_CALL ken_status kn_image_encode(unsigned char **out, size_t *len, const ken_image *img,
                                    int quality);

/* A CSS colour: "#rrggbb", "#rgb" or one of the 148 names.  KEN_E_INVALID. */
KEN_CALL ken_status kn_color_parse(uint8_t rgb[3], const char *text);

#endif
