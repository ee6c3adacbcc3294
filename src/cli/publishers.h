/* publishers.h - where publishers' files are and what their SHA-256 is. */
#ifndef CLI_PUBLISHERS_H
#define CLI_PUBLISHERS_H

#include <stddef.h>

enum { CLI_PUBLISHED_ARGS = 8 };

/*
 * A line of the table, words with spaces between:
 *
 *     NAME SHA256 LICENCE URL [ARGUMENT of ken-convert...]
 *
 * NAME is MODEL::TAG; without :: it is no model but a file that others name, as in "--tokenizer @NAME".
 * SHA256 is 64 hex digits, or as many of the first (8 and more) as the publisher tells.  Empty lines and
 * those that start with # are left out.
 */
typedef struct cli_published {
    const char *name, *sha256, *licence, *url;
    const char *args[CLI_PUBLISHED_ARGS + 1]; /* NULL after the last */
} cli_published;

typedef struct cli_publishers {
    cli_published *list;
    size_t n, cap;
    char *text; /* what they point into */
} cli_publishers;

/* The table of `file`, or the built-in one for NULL.  0, or the exit status with the reason printed. */
int cli_publishers_read(cli_publishers *p, const char *file);
void cli_publishers_free(cli_publishers *p);
/* NULL if there is none. */
const cli_published *cli_publishers_find(const cli_publishers *p, const char *name);
int cli_published_is_model(const cli_published *p);

#endif
