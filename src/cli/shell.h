/* shell.h - one query after the other, at a terminal. */
#ifndef CLI_SHELL_H
#define CLI_SHELL_H

#include <stddef.h>

/* The words of a line are the arguments of a query; ask() prints the answer and returns an exit status,
 * of which those beyond CLI_EXIT_WRONG end it.  Lines that begin with ':' set options and the like.
 * Returns the exit status. */
int cli_shell(int (*ask)(const char *const *words, size_t n, void *cookie), void *cookie);

/* A line's words as a POSIX shell takes them apart: blanks between, '…', "…" and \ as there, and nothing
 * else is special.  *words is of n pointers into one block, cli_mem_free(*words).  -1: a quote has no end. */
int cli_shell_split(const char *line, char ***words, size_t *n);

#endif
