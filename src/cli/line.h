/* line.h - a line from the person at the terminal, with the usual keys and the lines of before. */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include <stddef.h>

typedef struct cli_lines {
    char **list; /* (n) of before, the oldest first */
    size_t n, cap;
} cli_lines;

/* A line without its end, cli_mem_free it; NULL: there are no more (Ctrl-D, or a hang-up).  Keys: arrows,
 * Home End Backspace Delete, ^A ^E ^B ^F ^U ^K ^W ^L ^P ^N, ^C empties the line.  Where the terminal
 * cannot be set, the terminal's own editing. */
char *cli_line_read(const char *prompt, cli_lines *before);
void cli_lines_free(cli_lines *l);

#endif
