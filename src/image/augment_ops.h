/*
 * augment_ops.h - the operations themselves, on n pixels or a square of `size` pixels of 8-bit RGB.
 */
#ifndef IMAGE_AUGMENT_OPS_H
#define IMAGE_AUGMENT_OPS_H

#include "base/rand.h"
#include "image/image.h"

/* augment_color.c.  Equal to torchvision's adjust_* of a Pillow image, bit for bit; factor 1
 * (hue: 0) changes nothing. */
void kn_adjust_brightness(uint8_t *rgb, size_t n, float factor);
void kn_adjust_contrast(uint8_t *rgb, size_t n, float factor);
void kn_adjust_saturation(uint8_t *rgb, size_t n, float factor);
void kn_adjust_hue(uint8_t *rgb, size_t n, float factor); /* -.5 … .5 of the circle */
void kn_adjust_gray(uint8_t *rgb, size_t n);
/* 255 gain (x / 255)^gamma for each channel. */
void kn_adjust_curve(uint8_t *rgb, size_t n, const float gain[3], float gamma);

/* augment_shape.c */
/* Brighter by `slope` at one edge and darker at the other; (dx, dy) is where the light
 * comes from. */
void kn_light_slope(uint8_t *rgb, uint32_t size, float dx, float dy, float slope);
/* out at (x, y) is in at m (x, y, 1), both counted from the centre of the square in pixels;
 * bilinear, to 1/256 of a pixel; outside is the nearest border pixel. */
void kn_warp(const uint8_t *in, uint32_t size, const double m[6], uint8_t *out);
/* torchvision's inverse affine matrix about the centre; angles in degrees, shift in pixels. */
void kn_affine_matrix(double m[6], double angle, double dx, double dy, double scale, double shear);
/* Gaussian of sigma pixels, cut at 3 sigma or KN_BLUR_RADIUS pixels, borders repeated.
 * scratch: 3 (size^2 + size + 2 KN_BLUR_RADIUS) bytes. */
enum { KN_BLUR_RADIUS = 32 };
void kn_blur(uint8_t *rgb, uint32_t size, float sigma, uint8_t *scratch);
/* Adds noise of about normal shape; deviation in 1/255. */
void kn_noise(uint8_t *rgb, size_t n, float deviation, kn_rand r);

/* A filled shape: an ellipse or a box, half width and height rx, ry, turned. */
typedef struct kn_shape {
    float x, y, rx, ry, angle; /* pixels; radians */
    int ellipse;
    float rgb[3], shade;      /* 0 … 255; brighter above and darker below by this share */
    const ken_image *texture; /* instead of rgb, or NULL */
} kn_shape;
void kn_draw_shape(uint8_t *rgb, uint32_t size, const kn_shape *s);

#endif
