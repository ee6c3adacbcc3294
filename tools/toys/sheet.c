/* sheet.c - a contact sheet: a toy a row, a mode a column. */
#include "tools/toys/toys_tool.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "image/image.h"

#include <string.h>

enum { COLUMNS = 8, GAP = 2, MOST_ROWS = 400 };

static const struct {
    kn_toy_mode mode;
    uint32_t number;
} columns[COLUMNS] = {
    { KN_TOY_CLEAN, 0 }, { KN_TOY_FULL, 1 }, { KN_TOY_FULL, 2 },     { KN_TOY_HEAD, 3 },
    { KN_TOY_PART, 4 },  { KN_TOY_PART, 5 }, { KN_TOY_OCCLUDED, 6 }, { KN_TOY_LIGHT, 7 },
};

typedef struct sheet {
    const tt_args *a;
    ken_image *img;
} sheet;

static ken_status rows(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const sheet *s = cookie;
    const uint32_t size = s->a->size;
    kn_toy_camera *camera = NULL;
    uint8_t *rgb = kn_alloc((size_t)size * size, 3);
    (void)worker;
    ken_status st = rgb ? kn_toy_camera_new(&camera, size) : KEN_E_NOMEM;
    for (size_t i = begin * COLUMNS; !st && i < end * COLUMNS; i++) {
        const size_t row = i / COLUMNS, column = i % COLUMNS;
        st = kn_toy_picture(camera, s->a->first + row, columns[column].mode, s->a->seed,
                            columns[column].number, size, rgb, NULL, NULL);
        for (uint32_t y = 0; !st && y < size; y++)
            memcpy(s->img->pixels + (row * (size + GAP) + y) * s->img->stride +
                       3 * column * (size + GAP),
                   rgb + 3 * (size_t)y * size, 3 * (size_t)size);
    }
    kn_toy_camera_free(camera);
    kn_free(rgb);
    return st;
}

int tt_sheet(const tt_args *a)
{
    sheet s = { .a = a };
    unsigned char *bytes = NULL;
    size_t len;
    const uint64_t n = a->end - a->first;
    ken_status st =
        n > MOST_ROWS ? kn_fail(KEN_E_LIMIT, "a sheet has up to %d toys", MOST_ROWS) : KEN_OK;
    if (!st)
        st = kn_image_new(&s.img, COLUMNS * (a->size + GAP) - GAP,
                          (uint32_t)n * (a->size + GAP) - GAP);
    if (!st) {
        memset(s.img->pixels, 255, s.img->stride * s.img->height);
        st = kn_parallel((size_t)n, 1, a->threads, rows, &s);
    }
    if (!st)
        st = kn_image_encode(&bytes, &len, s.img, 0);
    if (!st)
        st = kn_replace_file(a->out, bytes, len);
    kn_free(bytes);
    ken_image_free(s.img);
    return st ? tt_fail(st) : TT_DONE;
}
