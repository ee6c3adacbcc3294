/*
 * jpeg.c - JPEG through libjpeg-turbo: slow integer transform and smooth chroma, which are Pillow's
 * settings and give its pixels.
 *
 * libjpeg's errors jump: each function that starts a decoder catches them, and owns nothing but the
 * decoder itself while it runs.  A file that ends too early is an error (as in Pillow); other
 * complaints about the data are not.
 *
 * Where only a part of the picture is wanted, blocks well outside it are not transformed.  Smooth
 * chroma looks one sample further, so the part is widened by MARGIN; the pixels stay the same.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "image/decode.h"

#ifdef KEN_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum { STRIP = 16, MARGIN = 64 };

typedef struct reader {
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    jmp_buf back;
    ken_status st; /* why we jumped */
} reader;

static reader *reader_of(j_common_ptr c)
{
    return (reader *)c->client_data;
}

static void on_error(j_common_ptr c)
{
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    reader *r = reader_of(c);
    r->st =
        kn_fail(c->err->msg_code == JERR_OUT_OF_MEMORY ? KEN_E_NOMEM : KEN_E_FORMAT, "%s", text);
    longjmp(r->back, 1);
}

static void on_message(j_common_ptr c, int level)
{
    if (level >= 0)
        return; /* traces */
    c->err->num_warnings++;
    if (c->err->msg_code == JWRN_JPEG_EOF) {
        reader *r = reader_of(c);
        r->st = kn_fail(KEN_E_FORMAT, "the file is truncated");
        longjmp(r->back, 1);
    }
}

static int exif_of(const struct jpeg_decompress_struct *c)
{
    for (jpeg_saved_marker_ptr m = c->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && !memcmp(m->data, "Exif\0\0", 6))
            return kn_exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

static void start(reader *r, const kn_source *s)
{
    jpeg_mem_src(&r->c, s->bytes, (unsigned long)s->len);
    jpeg_save_markers(&r->c, JPEG_APP0 + 1, 0xffff);
    jpeg_save_markers(&r->c, JPEG_APP0 + 2, 32);
    (void)jpeg_read_header(&r->c, TRUE);
}

/* The smallest M/8 that keeps the short side at or above `fit`. */
static void choose_scale(struct jpeg_decompress_struct *c, uint32_t fit)
{
    const uint64_t shorter = c->image_width < c->image_height ? c->image_width : c->image_height;
    c->scale_denom = 8;
    c->scale_num = 8;
    while (fit && c->scale_num > 1 && shorter * (c->scale_num - 1) / 8 >= fit)
        c->scale_num--;
}

static void configure(reader *r, const kn_source *s)
{
    struct jpeg_decompress_struct *c = &r->c;
    choose_scale(c, s->opts.fit);
    c->dct_method = JDCT_ISLOW;
    c->do_fancy_upsampling = TRUE;
    c->out_color_space = c->num_components == 1   ? JCS_GRAYSCALE
                         : c->num_components == 4 ? JCS_CMYK
                                                  : JCS_RGB;
    for (jpeg_saved_marker_ptr m = c->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 2 && m->data_length > 12 &&
            !memcmp(m->data, "ICC_PROFILE", 12)) {
            kn_log(KEN_LOG_DEBUG, "jpeg: the colour profile is ignored");
            break;
        }
}

static uint8_t times255(unsigned a, unsigned b) /* a b / 255, rounded as Pillow's MULDIV255 */
{
    const unsigned t = a * b + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

/* One row of what libjpeg gave to RGB.  CMYK is stored inverted, by Adobe's custom, which Pillow takes
 * to hold always: c, m, y, k here are 255 minus the ink. */
static void to_rgb(const uint8_t *in, uint8_t *out, uint32_t width, int components)
{
    for (uint32_t x = 0; x < width; x++, out += 3) {
        if (components == 1) {
            out[0] = out[1] = out[2] = in[x];
            continue;
        }
        const uint8_t *p = in + 4 * (size_t)x;
        const unsigned n = p[3]; /* 255 - K */
        for (int k = 0; k < 3; k++)
            out[k] = (uint8_t)(n - times255(255u - p[k], n));
    }
}

typedef struct job {
    const kn_source *s;
    kn_begin_fn *begin;
    kn_rows_fn *rows;
    void *cookie;
    kn_want want;
    uint32_t width;     /* of the whole picture */
    uint8_t *raw, *rgb; /* a strip of whole rows as it comes, and as RGB */
} job;

/* Leave out columns well beside the part; returns the first one that comes. */
static uint32_t leave_out_columns(struct jpeg_decompress_struct *c, const kn_part *p)
{
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
    JDIMENSION from = p->x0 > MARGIN ? p->x0 - MARGIN : 0;
    JDIMENSION n = (p->x1 < c->output_width - MARGIN ? p->x1 + MARGIN : c->output_width) - from;
    if (c->output_width > 4 * MARGIN && n < c->output_width - 2 * MARGIN) {
        jpeg_crop_scanline(c, &from, &n);
        return from;
    }
#endif
    (void)p;
    (void)c;
    return 0;
}

static void skip_rows(struct jpeg_decompress_struct *c, uint32_t to)
{
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
    if (to > c->output_scanline)
        (void)jpeg_skip_scanlines(c, to - c->output_scanline);
#endif
    (void)to;
    (void)c;
}

/* Rows from where the decoder is, at most STRIP of them and none behind `end`. */
static ken_status strip(struct jpeg_decompress_struct *c, job *j, uint32_t x0, uint32_t end)
{
    const size_t n = (size_t)c->output_components, raw_stride = n * j->width;
    const uint32_t first = c->output_scanline, count = end - first < STRIP ? end - first : STRIP;
    uint8_t *rgb = j->want.rgb ? j->want.rgb + first * j->want.stride : j->rgb;
    const size_t stride = j->want.rgb ? j->want.stride : 3 * (size_t)j->width;
    for (uint32_t i = 0; i < count;) {
        JSAMPROW row = (n == 3 ? rgb + i * stride : j->raw + i * raw_stride) + n * x0;
        i += jpeg_read_scanlines(c, &row, 1);
    }
    for (uint32_t i = 0; n != 3 && i < count; i++)
        to_rgb(j->raw + i * raw_stride + n * x0, rgb + i * stride + 3 * (size_t)x0, c->output_width,
               (int)n);
    return j->want.rgb ? KEN_OK : j->rows(rgb, stride, first, count, j->cookie);
}

/* Without reading to the end, only a file that has one can be known to be whole. */
static int has_end(struct jpeg_decompress_struct *c, const kn_source *s)
{
    return jpeg_has_multiple_scans(c) ||
           (s->bytes[s->len - 2] == 0xff && s->bytes[s->len - 1] == 0xd9);
}

/* Everything between setjmp and its end; returns by longjmp or with a status. */
static ken_status run(reader *r, job *j)
{
    struct jpeg_decompress_struct *c = &r->c;
    start(r, j->s);
    ken_status st = kn_check_size(j->s, c->image_width, c->image_height);
    if (st)
        return st;
    configure(r, j->s);
    jpeg_calc_output_dimensions(c);
    const uint32_t height = c->output_height;
    j->width = c->output_width;
    j->want.part = (kn_part){ 0, j->width, 0, height };
    st = j->begin(j->width, height, exif_of(c), &j->want, j->cookie);
    if (st)
        return st;
    const size_t n = (size_t)c->output_components, row = (size_t)STRIP * j->width;
    j->rgb = j->want.rgb ? NULL : kn_alloc(3, row);
    j->raw = n == 3 ? NULL : kn_alloc(n, row);
    if ((!j->rgb && !j->want.rgb) || (!j->raw && n != 3))
        return KEN_E_NOMEM;
    (void)jpeg_start_decompress(c);
    const kn_part *p = &j->want.part;
    const int full = c->scale_num == c->scale_denom; /* else leaving out changes pixels */
    const uint32_t x0 = full ? leave_out_columns(c, p) : 0;
    if (full && p->y0 > MARGIN)
        skip_rows(c, p->y0 - MARGIN);
    const uint32_t end = p->y1 < height ? p->y1 : height;
    while (!st && c->output_scanline < end)
        st = strip(c, j, x0, end);
    if (!st && !has_end(c, j->s))
        skip_rows(c, height);
    return st;
}

ken_status kn_stream_jpeg(const kn_source *s, kn_begin_fn begin, kn_rows_fn rows, void *cookie)
{
    reader r;
    volatile ken_status st = KEN_OK;  /* set behind setjmp, read after a jump */
    job *j = kn_zalloc(1, sizeof *j); /* on the heap: its pointers must survive a jump */
    if (!j)
        return KEN_E_NOMEM;
    *j = (job){ .s = s, .begin = begin, .rows = rows, .cookie = cookie };
    memset(&r, 0, sizeof r);
    r.c.err = jpeg_std_error(&r.errors);
    r.c.client_data = &r;
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    if (setjmp(r.back)) {
        st = r.st;
    } else {
        jpeg_create_decompress(&r.c);
        st = run(&r, j);
    }
    jpeg_destroy_decompress(&r.c);
    kn_free(j->raw);
    kn_free(j->rgb);
    kn_free(j);
    return st;
}

/* ---- whole pictures ---- */

typedef struct whole {
    ken_image *img;
    int orientation;
    uint32_t width, height;
    int size_only;
} whole;

static ken_status whole_begin(uint32_t width, uint32_t height, int orientation, kn_want *want,
                              void *cookie)
{
    whole *w = cookie;
    w->orientation = orientation;
    w->width = width;
    w->height = height;
    if (w->size_only)
        return KEN_E_CANCELED;
    ken_status st = kn_image_new(&w->img, width, height);
    if (!st) {
        want->rgb = w->img->pixels;
        want->stride = w->img->stride;
    }
    return st;
}

ken_status kn_decode_jpeg(ken_image **out, const kn_source *s, int *orientation)
{
    whole w = { .orientation = 1 };
    ken_status st = kn_stream_jpeg(s, whole_begin, NULL, &w);
    if (st) {
        ken_image_free(w.img);
        return st;
    }
    *out = w.img;
    *orientation = w.orientation;
    return KEN_OK;
}

ken_status kn_size_jpeg(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    whole w = { .orientation = 1, .size_only = 1 };
    ken_status st = kn_stream_jpeg(s, whole_begin, NULL, &w);
    if (st && st != KEN_E_CANCELED)
        return st;
    *width = w.width;
    *height = w.height;
    *orientation = w.orientation;
    return KEN_OK;
}

#else /* stb_image decodes; its pixels differ from libjpeg's by a few levels */

#include <string.h>

/* The EXIF block lies in an APP1 segment before the first scan. */
static int scan_for_exif(const unsigned char *b, size_t len)
{
    size_t at = 2;
    while (len - at >= 4 && b[at] == 0xff && b[at + 1] != 0xda) {
        const size_t n = (size_t)b[at + 2] << 8 | b[at + 3];
        if (n < 2 || n > len - at - 2)
            break;
        if (b[at + 1] == 0xe1 && n >= 8 && !memcmp(b + at + 4, "Exif\0\0", 6))
            return kn_exif_orientation(b + at + 10, n - 8);
        at += 2 + n;
    }
    return 1;
}

ken_status kn_decode_jpeg(ken_image **out, const kn_source *s, int *orientation)
{
    ken_status st = kn_decode_stb(out, s, orientation);
    *orientation = scan_for_exif(s->bytes, s->len);
    return st;
}

ken_status kn_size_jpeg(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    ken_status st = kn_size_stb(width, height, s, orientation);
    *orientation = scan_for_exif(s->bytes, s->len);
    return st;
}

ken_status kn_stream_jpeg(const kn_source *s, kn_begin_fn begin, kn_rows_fn rows, void *cookie)
{
    ken_image *img = NULL;
    kn_want want = { 0 };
    int orientation = 1;
    ken_status st = kn_decode_jpeg(&img, s, &orientation);
    if (!st)
        st = begin(img->width, img->height, orientation, &want, cookie);
    if (!st)
        st = rows(img->pixels, img->stride, 0, img->height, cookie);
    ken_image_free(img);
    return st;
}
#endif
