/*
 * undo.c - a log of the changes that no sync has made durable yet.
 *
 * The strict reading of POSIX: data is durable after fdatasync of its file, a name after fsync of
 * its folder, nothing else ever.  Files are told apart by device and inode; each keeps a descriptor
 * of its own until the end, because closing one would give away SQLite's fcntl(2) locks.
 */
#include "base/undo.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct entry {
    struct entry *next; /* older */
    kn_step kind;
    /* WRITE, TRUNCATE: */
    dev_t device;
    ino_t inode;
    int fd;
    uint64_t offset, length; /* length: of the file before */
    size_t n;
    unsigned char *old; /* (n) what stood at offset */
    /* names: */
    char *path, *from, *kept; /* kept: a second name of what path was */
} entry;

static entry *newest;
static unsigned names; /* for kept ones */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void release(entry *e)
{
    if (e->kept)
        unlink(e->kept);
    kn_free(e->old);
    kn_free(e->path);
    kn_free(e->from);
    kn_free(e->kept);
    kn_free(e);
}

/* ---- descriptors ---- */

static int fd_of(const kn_change *c, struct stat *info)
{
    char path[64];
    if (c->fd >= 0 ? fstat(c->fd, info) : stat(c->path, info))
        return -1;
    for (const entry *e = newest; e; e = e->next)
        if (e->fd >= 0 && e->device == info->st_dev && e->inode == info->st_ino)
            return e->fd;
    if (c->fd < 0)
        return open(c->path, O_RDWR | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", c->fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* ---- noting ---- */

static int push(entry e)
{
    entry *copy = kn_alloc(1, sizeof *copy);
    if (!copy)
        return ENOMEM;
    *copy = e;
    copy->next = newest;
    newest = copy;
    return 0;
}

/* n bytes from offset are about to be lost, as far as the file has them. */
static int note_data(const kn_change *c, uint64_t offset, uint64_t n)
{
    struct stat info;
    entry e = { .kind = c->kind, .fd = fd_of(c, &info), .offset = offset };
    if (e.fd < 0)
        return errno;
    e.device = info.st_dev;
    e.inode = info.st_ino;
    e.length = (uint64_t)info.st_size;
    if (offset < e.length)
        e.n = n < e.length - offset ? n : e.length - offset;
    e.old = kn_alloc(e.n, 1);
    if (!e.old)
        return ENOMEM;
    if (e.n && kn_pread(e.fd, e.old, e.n, offset) != KEN_OK)
        return EIO;
    return push(e);
}

/* What a name stands for is about to change. */
static int note_name(const kn_change *c)
{
    struct stat info;
    entry e = { .kind = c->kind, .fd = -1, .path = kn_strdup(c->path) };
    const int there = lstat(c->path, &info) == 0;
    if (c->kind == KN_STEP_CREATE && there)
        return note_data(c, 0, (uint64_t)info.st_size); /* emptied */
    if (!e.path)
        return ENOMEM;
    if (c->from && !(e.from = kn_strdup(c->from)))
        return ENOMEM;
    if (there && (c->kind == KN_STEP_RENAME || c->kind == KN_STEP_UNLINK)) {
        const size_t room = strlen(c->path) + 32;
        if (!(e.kept = kn_alloc(room, 1)))
            return ENOMEM;
        snprintf(e.kept, room, "%s.undo%u", c->path, names++);
        if (link(c->path, e.kept) != 0)
            return errno;
    }
    return push(e);
}

/* ---- syncing ---- */

static int in_folder(const char *path, const char *dir)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return !strcmp(dir, ".");
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    return strlen(dir) == n && !strncmp(path, dir, n);
}

static void forget(const kn_change *c)
{
    struct stat info = { 0 };
    if (c->kind == KN_STEP_SYNC && (c->fd >= 0 ? fstat(c->fd, &info) : stat(c->path, &info)))
        return;
    for (entry **p = &newest; *p;) {
        entry *e = *p;
        int match = c->kind == KN_STEP_SYNC
                        ? e->fd >= 0 && e->device == info.st_dev && e->inode == info.st_ino
                        : e->path && in_folder(e->path, c->path);
        if (match) {
            *p = e->next;
            release(e);
        } else
            p = &e->next;
    }
}

int kn_undo_note(const kn_change *c, size_t n)
{
    int err = 0;
    pthread_mutex_lock(&lock);
    if (c->kind == KN_STEP_SYNC || c->kind == KN_STEP_SYNC_DIR)
        forget(c);
    else if (c->kind == KN_STEP_WRITE)
        err = note_data(c, c->offset, n);
    else if (c->kind == KN_STEP_TRUNCATE)
        err = note_data(c, c->offset, UINT64_MAX);
    else
        err = note_name(c);
    pthread_mutex_unlock(&lock);
    return err;
}

/* ---- taking back ---- */

/* Nothing useful can be done about a failure here: the test's check will see it. */
static void take_back(const entry *e)
{
    ssize_t done = 0;
    int bad = 0;
    if (e->fd >= 0) {
        bad = ftruncate(e->fd, (off_t)e->length);
        done = pwrite(e->fd, e->old, e->n, (off_t)e->offset);
    } else if (e->kind == KN_STEP_CREATE)
        bad = unlink(e->path);
    else if (e->kind == KN_STEP_MKDIR)
        bad = rmdir(e->path);
    else if (e->kind == KN_STEP_RENAME)
        bad = rename(e->path, e->from);
    if (e->kept)
        bad |= rename(e->kept, e->path);
    (void)done;
    (void)bad;
}

void kn_undo_all(void)
{
    pthread_mutex_lock(&lock);
    for (const entry *e = newest; e; e = e->next)
        take_back(e);
    pthread_mutex_unlock(&lock);
}

void kn_undo_forget(void)
{
    pthread_mutex_lock(&lock);
    while (newest) {
        entry *e = newest;
        newest = e->next;
        release(e);
    }
    pthread_mutex_unlock(&lock);
}
