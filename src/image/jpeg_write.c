/* jpeg_write.c - JPEG through libjpeg-turbo, 4:2:0 as is usual for photographs. */
#include "image/decode.h"

#ifdef KEN_JPEG
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

enum { PIECE = 16384 };
#define MAX_FILE ((size_t)1 << 30)

typedef struct writer {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr to;
    jmp_buf back;
    ken_status st;
    kn_buf out;
    JOCTET piece[PIECE];
} writer;

static writer *writer_of(void *c)
{
    return ((struct jpeg_compress_struct *)c)->client_data;
}

static void on_error(j_common_ptr c)
{
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    writer *w = writer_of(c);
    w->st = kn_fail(KEN_E_NOMEM, "%s", text);
    longjmp(w->back, 1);
}

static void begin(j_compress_ptr c)
{
    writer *w = writer_of(c);
    w->to.next_output_byte = w->piece;
    w->to.free_in_buffer = PIECE;
}

static void take(j_compress_ptr c, size_t n)
{
    writer *w = writer_of(c);
    w->st = kn_buf_add(&w->out, w->piece, n);
    if (w->st)
        longjmp(w->back, 1);
    begin(c);
}

static boolean full(j_compress_ptr c)
{
    take(c, PIECE);
    return TRUE;
}

static void end(j_compress_ptr c)
{
    take(c, PIECE - writer_of(c)->to.free_in_buffer);
}

static void run(writer *w, const ken_image *img, int quality)
{
    struct jpeg_compress_struct *c = &w->c;
    jpeg_create_compress(c);
    c->dest = &w->to;
    c->image_width = img->width;
    c->image_height = img->height;
    c->input_components = 3;
    c->in_color_space = JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    jpeg_start_compress(c, TRUE);
    while (c->next_scanline < c->image_height) {
        JSAMPROW row = img->pixels + c->next_scanline * img->stride;
        (void)jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

ken_status kn_encode_jpeg(unsigned char **out, size_t *len, const ken_image *img, int quality)
{
    writer *w = kn_zalloc(1, sizeof *w);
    if (!w)
        return KEN_E_NOMEM;
    if (img->width > JPEG_MAX_DIMENSION || img->height > JPEG_MAX_DIMENSION) {
        kn_free(w);
        return kn_fail(KEN_E_LIMIT, "a JPEG has sides of %ld pixels at most", JPEG_MAX_DIMENSION);
    }
    kn_buf_init(&w->out, MAX_FILE);
    w->c.err = jpeg_std_error(&w->errors);
    w->c.client_data = w;
    w->errors.error_exit = on_error;
    w->to.init_destination = begin;
    w->to.empty_output_buffer = full;
    w->to.term_destination = end;
    if (!setjmp(w->back))
        run(w, img, quality);
    jpeg_destroy_compress(&w->c);
    ken_status st = w->st;
    if (!st) {
        *len = w->out.len;
        *out = (unsigned char *)kn_buf_take(&w->out);
        st = *out ? KEN_OK : KEN_E_NOMEM;
    }
    kn_buf_release(&w->out);
    kn_free(w);
    return st;
}
#endif
