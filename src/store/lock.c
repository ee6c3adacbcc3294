/*
 * lock.c - flock(2) on a file that says who holds it.
 *
 * flock belongs to the open file, so that two handles of one process exclude each other too, and
 * closing some other descriptor of the file does not give it away as with fcntl(2).  The words in
 * the file are for people: they are never trusted, and stale ones do no harm.
 */
#include "store/lock.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 256 };
static const double TRY_EVERY = 0.05; /* seconds */

/* "4711 on host: ken index photos" */
static void who_am_i(char *out, size_t size)
{
    char host[64] = "?", command[128] = "?";
    gethostname(host, sizeof host - 1);
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, command, sizeof command - 1);
        for (ssize_t i = 0; i < n; i++)
            if ((unsigned char)command[i] < ' ')
                command[i] = ' ';
        if (n > 0)
            command[command[n - 1] == ' ' ? n - 1 : n] = 0;
        close(fd);
    }
    snprintf(out, size, "%ld on %s: %s", (long)getpid(), host, command);
}

static ken_status busy(int fd)
{
    char who[WORDS] = "";
    ssize_t n = pread(fd, who, sizeof who - 1, 0);
    if (n <= 0)
        return kn_fail(KEN_E_BUSY, "locked by another process");
    who[n] = 0;
    for (char *p = who; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    return kn_fail(KEN_E_BUSY, "locked by process %s", who);
}

static ken_status wait_for(int fd, double wait)
{
    const double end = kn_clock() + wait;
    const struct timespec pause = { 0, (long)(TRY_EVERY * 1e9) };
    for (;;) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return KEN_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return kn_fail_errno(errno);
        ken_status st = kn_check_interrupt();
        if (st)
            return st;
        if (kn_clock() >= end)
            return busy(fd);
        nanosleep(&pause, NULL);
    }
}

ken_status kn_lock_take(kn_lock *l, const char *dir, double wait)
{
    int fd = -1;
    char who[WORDS];
    char *path = kn_path_join(dir, "lock");
    if (!path)
        return KEN_E_NOMEM;
    ken_status st = kn_open(&fd, path, O_RDWR | O_CREAT, 0666);
    if (!st)
        st = wait_for(fd, wait);
    if (!st) {
        who_am_i(who, sizeof who);
        st = kn_truncate(fd, 0);
    }
    if (!st)
        st = kn_pwrite(fd, who, strlen(who), 0);
    if (st && fd >= 0)
        close(fd);
    if (st)
        kn_fail_in(st, "%s", path);
    else
        l->fd = fd;
    kn_free(path);
    return st;
}

void kn_lock_release(kn_lock *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
