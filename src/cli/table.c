/* table.c - columns that fit the terminal. */
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

enum { GAP = 2, MAX_COLUMNS = 16, LEAST = 12 };

void cli_table_cell(cli_table *t, const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    t->cells = cli_mem_room(t->cells, t->len, &t->cap, sizeof *t->cells);
    t->cells[t->len++] = (cli_cell){ s ? s : cli_mem_text(""), NULL };
}

void cli_table_link(cli_table *t, const char *path)
{
    cli_cell *last = &t->cells[t->len - 1];
    cli_mem_free(last->link);
    last->link = cli_link_to(path);
}

/* Cells that s takes on a terminal; *bytes of it fit into `most` of them. */
static size_t cells_of(const char *s, size_t most, size_t *bytes)
{
    size_t n = 0, i = 0, len = strlen(s);
    while (i < len) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &c);
        size_t w = used > 0 ? (size_t)utf8proc_charwidth(c) : 1;
        if (n + w > most)
            break;
        n += w;
        i += used > 0 ? (size_t)used : 1;
    }
    *bytes = i;
    return n;
}

static size_t cells(const char *s)
{
    size_t bytes;
    return cells_of(s, (size_t)-1, &bytes);
}

/* The start of the tail of s that fits into `most` cells. */
static const char *tail(const char *s, size_t most)
{
    while (cells(s) > most) {
        do
            s++;
        while ((*s & 0xc0) == 0x80);
    }
    return s;
}

/* s, its middle replaced by … if it is wider than `most` >= 3 cells. */
static char *fit(const char *s, size_t most)
{
    size_t head;
    if (cells(s) <= most)
        return cli_mem_text(s);
    size_t left = (most - 1) / 3;
    left = cells_of(s, left, &head);
    return cli_mem_textf("%.*s\xe2\x80\xa6%s", (int)head, s, tail(s + head, most - 1 - left));
}

static size_t terminal_width(void)
{
    struct winsize w;
    const char *columns = getenv("COLUMNS");
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col)
        return w.ws_col;
    long n = columns ? strtol(columns, NULL, 10) : 0;
    return n > 0 && n < 10000 ? (size_t)n : 80;
}

static char kind(const char *column)
{
    return *column == '>' || *column == '~' ? *column : 0;
}

static void print_cell(const char *s, const char *link, size_t width, char how, int last)
{
    size_t w = cells(s);
    int pad = (int)(width > w ? width - w : 0);
    printf("%*s", how == '>' ? pad : 0, "");
    cli_link_print(s, link);
    printf("%*s%s", how == '>' || last ? 0 : pad, "", last ? "\n" : "  ");
}

static void print_head(const cli_table *t, const size_t *width)
{
    int colors = cli_out_colors();
    if (colors)
        fputs("\033[1m", stdout);
    for (size_t c = 0; c < t->width; c++) {
        char how = kind(t->columns[c]);
        int last = c + 1 == t->width;
        if (last && colors) {
            printf("%s\033[0m\n", t->columns[c] + !!how);
            continue;
        }
        print_cell(t->columns[c] + !!how, NULL, width[c], how, last);
    }
}

/* Widths of the columns, the elastic one cut so that a line fits. */
static void measure(const cli_table *t, size_t *width)
{
    size_t sum = 0, elastic = MAX_COLUMNS;
    for (size_t c = 0; c < t->width; c++) {
        char how = kind(t->columns[c]);
        width[c] = cells(t->columns[c] + !!how);
        for (size_t i = c; i < t->len; i += t->width)
            if (cells(t->cells[i].text) > width[c])
                width[c] = cells(t->cells[i].text);
        sum += width[c] + (c ? GAP : 0);
        if (how == '~')
            elastic = c;
    }
    size_t room = terminal_width();
    if (elastic < MAX_COLUMNS && sum > room) {
        size_t others = sum - width[elastic];
        width[elastic] = room > others + LEAST ? room - others : LEAST;
    }
}

static void print_table(cli_table *t)
{
    size_t width[MAX_COLUMNS];
    int valid;
    for (size_t i = 0; i < t->len; i++) {
        char *clean = cli_utf8_clean(t->cells[i].text, 1, &valid);
        cli_mem_free(t->cells[i].text);
        t->cells[i].text = clean;
    }
    measure(t, width);
    print_head(t, width);
    for (size_t i = 0; i < t->len; i++) {
        size_t c = i % t->width;
        char how = kind(t->columns[c]);
        const cli_cell *cell = &t->cells[i];
        char *s = how == '~' ? fit(cell->text, width[c]) : NULL;
        print_cell(s ? s : cell->text, cell->link, width[c], how, c + 1 == t->width);
        cli_mem_free(s);
    }
}

void cli_table_end(cli_table *t)
{
    if (t->len && cli_out_mode() == OUT_TABLE)
        print_table(t);
    else
        for (size_t i = 0; i < t->len; i++)
            printf("%s%c", t->cells[i].text, (i + 1) % t->width ? '\t' : '\n');
    for (size_t i = 0; i < t->len; i++) {
        cli_mem_free(t->cells[i].text);
        cli_mem_free(t->cells[i].link);
    }
    cli_mem_free(t->cells);
    t->cells = NULL;
    t->len = t->cap = 0;
}
