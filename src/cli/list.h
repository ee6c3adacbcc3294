/* list.h - labelled pictures: a CSV file `path,label`, a folder with one sub-folder a label, or a zip of
 * such folders. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "ken.h"

typedef struct cli_list {
    char **paths, **labels; /* (n), owned */
    size_t n, path_cap, label_cap;
} cli_list;

/* Relative paths of a CSV file start at root, or beside the file if root is NULL.  0, or the exit
 * status with the reason printed. */
int cli_list_read(cli_list *l, const char *path, const char *root);
void cli_list_free(cli_list *l);
ken_labelled cli_list_view(const cli_list *l);

/* Append b, which is then empty. */
void cli_list_join(cli_list *a, cli_list *b);
/* Drop the pictures whose label occurs in b. */
void cli_list_exclude(cli_list *a, const cli_list *b);

/* CSV as RFC 4180 has it: one record from *at on, which is moved behind it.  Up to `most` fields,
 * unquoted in place; returns how many there are, or -1 for an open quote. */
int cli_csv_record(char **at, char **fields, int most);

#endif
