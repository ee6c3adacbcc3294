/*
 * preview.c - pictures by libchafa: as kitty, iTerm2 or sixel graphics, else as coloured blocks.
 *
 * What the terminal can do is what libchafa's table says of TERM and the like.  The library is loaded when
 * the first picture is shown: no other command waits for it and its GLib.
 */
#include "cli/preview.h"

#include "cli/mem.h"
#include "cli/option.h"
#include "cli/out.h"
#include "cli/say.h"

#include <string.h>

int cli_preview_wanted(void)
{
    return strcmp(cli_opt(OPT_PREVIEW), "none") && cli_out_mode() == OUT_TABLE && cli_out_is_terminal();
}

#ifndef KEN_CHAFA

void cli_preview_show(const char *path)
{
    static int told;
    (void)path;
    if (!told++)
        cli_note("--preview: this build has no pictures for terminals (CHAFA=0)");
}

#else

#include <chafa.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ROWS = 10, COLUMNS = 40, CELL_WIDTH = 10, CELL_HEIGHT = 20 }; /* of a picture; of a cell, if unknown */

#define FUNCTIONS(X)                                                                                    \
    X(chafa_term_db_get_default)                                                                        \
    X(chafa_term_db_detect) X(chafa_term_db_get_fallback_info) X(chafa_term_info_supplement)            \
        X(chafa_term_info_have_seq) X(chafa_symbol_map_new) X(chafa_symbol_map_add_by_tags)             \
            X(chafa_symbol_map_unref) X(chafa_canvas_config_new) X(chafa_canvas_config_unref)           \
                X(chafa_canvas_config_set_geometry) X(chafa_canvas_config_set_cell_geometry)            \
                    X(chafa_canvas_config_set_pixel_mode) X(chafa_canvas_config_set_canvas_mode)        \
                        X(chafa_canvas_config_set_symbol_map) X(chafa_canvas_new) X(chafa_canvas_unref) \
                            X(chafa_canvas_draw_all_pixels) X(chafa_canvas_print)                       \
                                X(chafa_calc_canvas_geometry) X(g_string_free)

static struct library {
    int state; /* 0: not looked for, 1: there, -1: not */
#define POINTER(f) __typeof__(f) *f;
    FUNCTIONS(POINTER)
} lib;

#undef g_string_free /* GLib's macro of the same name */

static int find(void *handle, void *fn, const char *name)
{
    void *at = dlsym(handle, name);
    memcpy(fn, &at, sizeof at); /* ISO C has no cast from an object's to a function's address */
    return at != NULL;
}

static int load(void)
{
    if (lib.state)
        return lib.state;
    int all = 1;
    void *handle = dlopen("libchafa.so.0", RTLD_NOW | RTLD_LOCAL);
#define FIND(f) all = all && handle && find(handle, &lib.f, #f);
    FUNCTIONS(FIND)
    lib.state = all ? 1 : -1;
    if (!all)
        cli_note("--preview needs libchafa (libchafa.so.0), which is not installed");
    return lib.state;
}

/* ---- the terminal ---- */

typedef struct screen {
    ChafaTermInfo *term;
    ChafaPixelMode pixels;
    ChafaCanvasMode colors;
    int columns, cell_width, cell_height;
} screen;

static ChafaPixelMode best_pixels(ChafaTermInfo *t)
{
    static const struct {
        const char *name;
        ChafaTermSeq seq;
        ChafaPixelMode mode;
    } all[] = { { "kitty", CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1, CHAFA_PIXEL_MODE_KITTY },
                { "iterm", CHAFA_TERM_SEQ_BEGIN_ITERM2_IMAGE, CHAFA_PIXEL_MODE_ITERM2 },
                { "sixel", CHAFA_TERM_SEQ_BEGIN_SIXELS, CHAFA_PIXEL_MODE_SIXELS } };
    const char *how = cli_opt(OPT_PREVIEW);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(how, all[i].name)
            || (!strcmp(how, "auto") && lib.chafa_term_info_have_seq(t, all[i].seq)))
            return all[i].mode;
    return CHAFA_PIXEL_MODE_SYMBOLS;
}

static ChafaCanvasMode best_colors(ChafaTermInfo *t)
{
    const char *no = getenv("NO_COLOR");
    if ((no && *no) || !strcmp(cli_opt(OPT_COLOR), "never"))
        return CHAFA_CANVAS_MODE_FGBG;
    if (lib.chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT))
        return CHAFA_CANVAS_MODE_TRUECOLOR;
    if (lib.chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_256))
        return CHAFA_CANVAS_MODE_INDEXED_240;
    return lib.chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_16) ? CHAFA_CANVAS_MODE_INDEXED_16
                                                                             : CHAFA_CANVAS_MODE_FGBG;
}

static screen look(void)
{
    static screen s;
    struct winsize w = { 0 };
    if (s.term)
        return s;
    ChafaTermDb *db = lib.chafa_term_db_get_default();
    s.term = lib.chafa_term_db_detect(db, environ);
    s.pixels = best_pixels(s.term);
    s.colors = s.pixels == CHAFA_PIXEL_MODE_SYMBOLS ? best_colors(s.term) : CHAFA_CANVAS_MODE_TRUECOLOR;
    lib.chafa_term_info_supplement(s.term, lib.chafa_term_db_get_fallback_info(db)); /* what was asked for */
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
    s.columns = w.ws_col > 1 && w.ws_col <= COLUMNS ? w.ws_col - 1 : COLUMNS;
    const int known = w.ws_col && w.ws_row && w.ws_xpixel >= w.ws_col && w.ws_ypixel >= w.ws_row;
    s.cell_width = known ? w.ws_xpixel / w.ws_col : CELL_WIDTH;
    s.cell_height = known ? w.ws_ypixel / w.ws_row : CELL_HEIGHT;
    return s;
}

/* ---- a picture ---- */

static ChafaCanvas *new_canvas(const screen *s, int width, int height)
{
    ChafaCanvasConfig *c = lib.chafa_canvas_config_new();
    ChafaSymbolMap *blocks = lib.chafa_symbol_map_new();
    lib.chafa_symbol_map_add_by_tags(blocks, s->colors == CHAFA_CANVAS_MODE_FGBG ? CHAFA_SYMBOL_TAG_ASCII
                                                                                 : CHAFA_SYMBOL_TAG_BLOCK);
    lib.chafa_symbol_map_add_by_tags(blocks, CHAFA_SYMBOL_TAG_SPACE);
    lib.chafa_canvas_config_set_symbol_map(c, blocks);
    lib.chafa_canvas_config_set_geometry(c, width, height);
    lib.chafa_canvas_config_set_cell_geometry(c, s->cell_width, s->cell_height);
    lib.chafa_canvas_config_set_pixel_mode(c, s->pixels);
    lib.chafa_canvas_config_set_canvas_mode(c, s->colors);
    ChafaCanvas *canvas = lib.chafa_canvas_new(c);
    lib.chafa_symbol_map_unref(blocks);
    lib.chafa_canvas_config_unref(c);
    return canvas;
}

/* Pixels beside each other, row by row. */
static unsigned char *pixels_of(const ken_image *img)
{
    const size_t row = (size_t)ken_image_width(img) * 3, n = ken_image_height(img);
    unsigned char *all = cli_mem_new(n, row);
    for (size_t y = 0; y < n; y++)
        memcpy(all + y * row, ken_image_row(img, (uint32_t)y), row);
    return all;
}

static void print_picture(const screen *s, const ken_image *img)
{
    const int w = (int)ken_image_width(img), h = (int)ken_image_height(img);
    int width = s->columns, height = ROWS;
    lib.chafa_calc_canvas_geometry(w, h, &width, &height, (float)s->cell_width / (float)s->cell_height, TRUE,
                                   FALSE);
    unsigned char *pixels = pixels_of(img);
    ChafaCanvas *canvas = new_canvas(s, width, height);
    lib.chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGB8, pixels, w, h, w * 3);
    GString *text = lib.chafa_canvas_print(canvas, s->term);
    fwrite(text->str, 1, text->len, stdout);
    putchar('\n');
    lib.g_string_free(text, TRUE);
    lib.chafa_canvas_unref(canvas);
    cli_mem_free(pixels);
}

void cli_preview_show(const char *path)
{
    ken_image *img = NULL, *small = NULL;
    const ken_decode_options d = KEN_DECODE_OPTIONS_INIT;
    if (load() < 0 || ken_image_load(&img, path, &d))
        return;
    const screen s = look();
    const uint32_t w = ken_image_width(img), h = ken_image_height(img),
                   most = (uint32_t)(ROWS * s.cell_height);
    if (h > most && (uint64_t)w * most / h > 0 && !ken_image_resize(&small, img, w * most / h, most, "box")) {
        ken_image_free(img);
        img = small;
    }
    print_picture(&s, img);
    ken_image_free(img);
}

#endif
