/* out.h - standard output: what form the answer takes, tables, and whether it all arrived. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stddef.h>
#include <stdio.h>

typedef enum cli_mode {
    OUT_TABLE, /* a terminal */
    OUT_PLAIN, /* a pipe: fields with tabs between */
    OUT_JSON,
    OUT_JSONL,
    OUT_CSV
} cli_mode;

/* Settled once from --json, --jsonl, --csv and what standard output is. */
cli_mode cli_out_mode(void);
/* Whether it is JSON of either form. */
int cli_out_is_json(void);
int cli_out_is_terminal(void);
int cli_out_colors(void);

/* The address to which a name of this file (an absolute path) leads on standard output, owned by the caller;
 * NULL where there are no links: not a terminal, no colours, a relative path. */
char *cli_link_to(const char *path);
/* text, leading to link, unless that is NULL: OSC 8 of terminals. */
void cli_link_print(const char *text, const char *link);

/* Flush standard output and check it.  code, or CLI_EXIT_WRONG with the reason printed if not
 * everything could be written; a closed pipe ends the program without a word. */
int cli_out_close(int code);

/* One field of CSV, quoted where needed; then `after`. */
void cli_csv_field(const char *s, char after);
void cli_csv_put(FILE *f, const char *s, char after);

/* A table.  Columns are given once, as "name" (left), ">name" (right) or "~name" (left, cut in its
 * middle if the terminal is too narrow; at most one).  On a terminal it is padded and its head
 * bold; else the cells are printed as they are, with tabs between, without a head. */
typedef struct cli_cell {
    char *text, *link; /* owned; link NULL: leads nowhere */
} cli_cell;

typedef struct cli_table {
    const char *const *columns;
    size_t width;    /* number of columns */
    cli_cell *cells; /* (rows * width), owned */
    size_t len, cap;
} cli_table;

#define CLI_TABLE(columns)                                                                         \
    {                                                                                              \
        (columns), sizeof(columns) / sizeof *(columns), NULL, 0, 0                                 \
    }

void cli_table_cell(cli_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The last cell is of this file (an absolute path): a click opens it, on a terminal that can. */
void cli_table_link(cli_table *t, const char *path);
/* Print and release. */
void cli_table_end(cli_table *t);

#endif
