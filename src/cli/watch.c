/* watch.c - inotify tells of folders, not of trees: every folder gets a watch of its own, and all
 * are added again after each change (adding one that is there does nothing).  What changed is not
 * kept: the scan that follows finds it out by stat(), reads nothing that is unchanged, and so also
 * heals a queue that ran over. */
#include "cli/watch.h"

#include "cli/say.h"
#include "ken.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { QUIET_MS = 500, MAX_OPEN = 32 };

static const uint32_t EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                               IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;

static int walk_fd, walk_err; /* nftw() has no cookie; one watch is made at a time */

static int add_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    if ((type != FTW_D && at->level > 0) || ken_interrupted())
        return 0;
    if (inotify_add_watch(walk_fd, path, EVENTS) < 0 && (errno == ENOSPC || errno == ENOMEM))
        walk_err = errno;
    return walk_err; /* one that vanished or may not be read is the scan's to tell */
}

static int add_all(cli_watch *w)
{
    walk_fd = w->fd;
    walk_err = 0;
    for (size_t i = 0; i < w->n; i++)
        nftw(w->paths[i], add_one, MAX_OPEN, FTW_PHYS);
    if (walk_err == ENOSPC)
        return cli_error("--watch: more folders than fs.inotify.max_user_watches allows");
    return walk_err ? cli_error("--watch: %s", strerror(walk_err)) : 0;
}

int cli_watch_start(cli_watch *w, const char *const *paths, size_t n)
{
    *w = (cli_watch){ inotify_init1(IN_CLOEXEC | IN_NONBLOCK), paths, n };
    if (w->fd < 0)
        return cli_error("--watch: %s", strerror(errno));
    return add_all(w);
}

/* 1 if there was an event within the time (-1: for ever), 0 if not. */
static int drain(cli_watch *w, int ms)
{
    char events[16384];
    struct pollfd p = { .fd = w->fd, .events = POLLIN };
    if (poll(&p, 1, ms) <= 0)
        return 0;
    while (read(w->fd, events, sizeof events) > 0)
        ;
    return 1;
}

int cli_watch_wait(cli_watch *w)
{
    while (!drain(w, -1))
        if (ken_interrupted())
            return CLI_EXIT_INTERRUPTED;
    while (drain(w, QUIET_MS))
        if (ken_interrupted())
            return CLI_EXIT_INTERRUPTED;
    return add_all(w);
}

void cli_watch_stop(cli_watch *w)
{
    if (w->fd > 0)
        close(w->fd);
    *w = (cli_watch){ 0 };
}
