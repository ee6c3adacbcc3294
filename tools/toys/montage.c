/* montage.c - pictures of a LIST in one: those of a label in a row.  A label that ends in + has a
 * green frame, one that ends in - a red one. */
#include "tools/toys/list.h"
#include "tools/toys/toys_tool.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "image/image.h"

#include <string.h>

enum { FRAME = 3, MOST = 40, MOST_ROWS = 200 };
static const size_t MOST_BYTES = (size_t)256 << 20;

typedef struct montage {
    const tt_args *a;
    tt_list list;
    size_t rows, columns;
    ken_image *img;
} montage;

static int begins_row(const tt_list *l, size_t i)
{
    return !i || strcmp(l->e[i].label, l->e[i - 1].label);
}

static ken_status measure(montage *m)
{
    for (size_t i = 0, n = 0; i < m->list.n; i++) {
        const int begins = begins_row(&m->list, i);
        m->rows += (size_t)begins;
        n = begins ? 1 : n + 1;
        m->columns = n > m->columns ? n : m->columns;
    }
    return m->columns > MOST || m->rows > MOST_ROWS
               ? kn_fail(KEN_E_LIMIT, "a montage has up to %d rows of %d pictures", MOST_ROWS, MOST)
               : KEN_OK;
}

static ken_status read_square(const montage *m, const char *path, uint8_t *rgb)
{
    const uint32_t size = m->a->size;
    const kn_prep p = { .fit = KN_FIT_SHORT, .resize = { size, size }, .crop = { size, size },
                        .filter = KN_BICUBIC };
    const ken_decode_options o = KEN_DECODE_OPTIONS_INIT;
    unsigned char *bytes = NULL;
    char *full = path[0] == '/' ? NULL : kn_path_join(m->list.dir, path);
    size_t len;
    uint32_t w, h;
    ken_status st = kn_read_file(&bytes, &len, full ? full : path, MOST_BYTES);
    if (!st)
        st = kn_image_decode_fit(bytes, len, &o, &p, rgb, &w, &h);
    if (st)
        kn_fail_in(st, "%s", path);
    kn_free(bytes);
    kn_free(full);
    return st;
}

static void paint_frame(const montage *m, size_t x0, size_t y0, char mark)
{
    const uint8_t color[3] = { mark == '+' ? 40 : 210, mark == '+' ? 160 : 40, 60 };
    const size_t side = m->a->size + 2 * FRAME;
    if (mark != '+' && mark != '-')
        return;
    for (size_t y = y0; y < y0 + side; y++)
        for (size_t x = x0; x < x0 + side; x++)
            memcpy(m->img->pixels + y * m->img->stride + 3 * x, color, 3);
}

static ken_status paste(montage *m)
{
    const size_t size = m->a->size, step = size + 3 * FRAME;
    uint8_t *rgb = kn_alloc(size * size, 3);
    ken_status st = rgb ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0, row = 0, column = 0; !st && i < m->list.n; i++, column++) {
        const char *label = m->list.e[i].label;
        if (begins_row(&m->list, i)) {
            row += i > 0;
            column = 0;
        }
        paint_frame(m, column * step, row * step, *label ? label[strlen(label) - 1] : 0);
        st = read_square(m, m->list.e[i].path, rgb);
        for (size_t y = 0; !st && y < size; y++)
            memcpy(m->img->pixels + (row * step + FRAME + y) * m->img->stride + 3 * (column * step + FRAME),
                   rgb + 3 * y * size, 3 * size);
    }
    kn_free(rgb);
    return st;
}

int tt_montage(const tt_args *a)
{
    montage m = { .a = a };
    unsigned char *bytes = NULL;
    size_t len;
    ken_status st = a->gallery && a->out ? tt_list_read(&m.list, a->gallery)
                                         : kn_fail(KEN_E_INVALID, "montage needs --gallery LIST");
    if (!st)
        st = measure(&m);
    if (!st)
        st = kn_image_new(&m.img, (uint32_t)m.columns * (a->size + 3 * FRAME) - FRAME,
                          (uint32_t)m.rows * (a->size + 3 * FRAME) - FRAME);
    if (!st) {
        memset(m.img->pixels, 255, m.img->stride * m.img->height);
        st = paste(&m);
    }
    if (!st)
        st = kn_image_encode(&bytes, &len, m.img, 0);
    if (!st)
        st = kn_replace_file(a->out, bytes, len);
    kn_free(bytes);
    ken_image_free(m.img);
    tt_list_release(&m.list);
    return st ? tt_fail(st) : TT_DONE;
}
