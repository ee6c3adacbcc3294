/* watch.h - wait until something changes below files and folders (inotify). */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include <stddef.h>

typedef struct cli_watch {
    int fd;
    const char *const *paths; /* borrowed */
    size_t n;
} cli_watch;

/* Begin to watch; changes from now on are seen.  0, or the exit status with the reason printed. */
int cli_watch_start(cli_watch *w, const char *const *paths, size_t n);
/* Block until there was a change and then half a second of quiet.  0, CLI_EXIT_INTERRUPTED after
 * ken_interrupt(), or the exit status with the reason printed. */
int cli_watch_wait(cli_watch *w);
void cli_watch_stop(cli_watch *w);

#endif
