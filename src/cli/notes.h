/* notes.h - LIST.json: paths, and what is told of each. */
#ifndef CLI_NOTES_H
#define CLI_NOTES_H

#include "ken.h"

typedef struct cli_notes {
    ken_note *list; /* its strings are owned */
    size_t n, cap;
} cli_notes;

/* Add what the file holds: {PATH: DESCRIPTION, ...} or [{"path": PATH, "description": ..., ...}, ...].
 * Relative paths start at its folder; "object" names the object; all else is meta.  0, or the exit
 * status with the reason printed. */
int cli_notes_read(cli_notes *l, const char *file);
void cli_notes_free(cli_notes *l);

#endif
