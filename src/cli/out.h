/* out.h - standard output: what form the answer takes, tables, and whether it all arrived. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stddef.h>

typedef enum kn_mode {
    OUT_TABLE, /* a terminal */
    OUT_PLAIN, /* a pipe: fields with tabs between */
    OUT_JSON,
    OUT_JSONL,
    OUT_CSV
} kn_mode;

/* Settled once from --json, --jsonl, --csv and what standard output is. */
kn_mode kn_out_mode(void);
int kn_out_is_terminal(void);
int kn_out_colors(void);

/* Flush standard output and check it.  code, or KN_EXIT_WRONG with the reason printed if not
 * everything could be written; a closed pipe ends the program without a word. */
int kn_out_close(int code);

/* One field of CSV, quoted where needed; then `after`. */
void kn_csv_field(const char *s, char after);

/* A table.  Columns are given once, as "name" (left), ">name" (right) or "~name" (left, cut in its
 * middle if the terminal is too narrow; at most one).  On a terminal it is padded and its head
 * bold; else the cells are printed as they are, with tabs between, without a head. */
typedef struct kn_table {
    const char *const *columns;
    size_t width; /* number of columns */
    char **cells; /* (rows * width), owned */
    size_t len, cap;
} kn_table;

#define KN_TABLE(columns) { (columns), sizeof(columns) / sizeof *(columns), NULL, 0, 0 }

void kn_table_cell(kn_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Print and release. */
void kn_table_end(kn_table *t);

#endif
