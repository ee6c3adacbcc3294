/*
 * file.c - reading, mapping, and the steps that change files.
 *
 * Durability follows one recipe everywhere: write a temporary file in the same
 * folder, fdatasync it, rename it over the old one, fsync the folder.
 */
#include "base/file.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- reading ---- */

ken_status kn_map_open(kn_map *out, const char *path)
{
    struct stat info;
    ken_status st = KEN_OK;
    void *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return kn_fail_errno(errno);
    if (fstat(fd, &info) != 0)
        st = kn_fail_errno(errno);
    else if (!S_ISREG(info.st_mode))
        st = kn_fail(KEN_E_IO, "not a regular file");
    else if (info.st_size > 0) {
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            st = kn_fail_errno(errno);
    }
    close(fd);
    if (!st)
        *out = (kn_map){ data, (size_t)info.st_size };
    return st;
}

void kn_map_close(kn_map *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->len);
    *m = (kn_map){ 0 };
}

/* Reads in growing pieces: st_size is only a hint (pipes and /proc say 0). */
ken_status kn_read_fd(unsigned char **out, size_t *len, int fd, size_t max)
{
    struct stat info;
    size_t used = 0, cap = 4096;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        if ((uint64_t)info.st_size > max)
            return kn_fail(KEN_E_LIMIT, "larger than %zu bytes", max);
        cap = (size_t)info.st_size + 2; /* one to meet the end, one for the NUL */
    }
    unsigned char *data = kn_alloc(cap, 1);
    while (data) {
        ssize_t n = read(fd, data + used, cap - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            kn_free(data);
            return kn_fail_errno(errno);
        }
        used += (size_t)n;
        if (used > max) {
            kn_free(data);
            return kn_fail(KEN_E_LIMIT, "larger than %zu bytes", max);
        }
        if (n == 0) {
            data[used] = 0;
            *out = data;
            *len = used;
            return KEN_OK;
        }
        if (used == cap - 1) {
            unsigned char *more = kn_grow(data, cap *= 2, 1);
            if (!more)
                kn_free(data);
            data = more;
        }
    }
    return KEN_E_NOMEM;
}

ken_status kn_read_file(unsigned char **out, size_t *len, const char *path, size_t max)
{
    struct stat info;
    /* O_NONBLOCK: opening a named pipe must not wait for its writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return kn_fail_errno(errno);
    ken_status st;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
        st = kn_fail_errno(EISDIR);
    else
        st = kn_read_fd(out, len, fd, max);
    close(fd);
    return st;
}

ken_status kn_pread(int fd, void *bytes, size_t n, uint64_t offset)
{
    unsigned char *p = bytes;
    while (n) {
        ssize_t got = pread(fd, p, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kn_fail_errno(errno);
        if (got == 0)
            return kn_fail(KEN_E_CORRUPT, "the file ends %zu bytes too early", n);
        p += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return KEN_OK;
}

/* ---- writing ---- */

static int path_step(kn_step kind, const char *path, const char *from)
{
    const kn_change c = { .kind = kind, .fd = -1, .path = path, .from = from };
    size_t none = 0;
    return kn_file_step(&c, &none);
}

static int fd_step(kn_step kind, int fd, uint64_t offset)
{
    const kn_change c = { .kind = kind, .fd = fd, .offset = offset };
    size_t none = 0;
    return kn_file_step(&c, &none);
}

ken_status kn_open(int *fd, const char *path, int flags, int mode)
{
    int err = (flags & (O_CREAT | O_TRUNC)) ? path_step(KN_STEP_CREATE, path, NULL) : 0;
    int got = err ? -1 : open(path, flags | O_CLOEXEC, mode);
    if (got < 0)
        return kn_fail_errno(err ? err : errno);
    *fd = got;
    return KEN_OK;
}

static ken_status write_all(int fd, const unsigned char *p, size_t n, uint64_t offset, int at)
{
    while (n) {
        size_t part = n;
        const kn_change c = { .kind = KN_STEP_WRITE,
                              .fd = fd,
                              .offset = at ? offset : (uint64_t)lseek(fd, 0, SEEK_CUR) };
        int err = kn_file_step(&c, &part);
        if (err)
            return kn_fail_errno(err);
        ssize_t done = at ? pwrite(fd, p, part, (off_t)offset) : write(fd, p, part);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return kn_fail_errno(errno);
        p += done;
        offset += (uint64_t)done;
        n -= (size_t)done;
    }
    return KEN_OK;
}

ken_status kn_write(int fd, const void *bytes, size_t n)
{
    return write_all(fd, bytes, n, 0, 0);
}

ken_status kn_pwrite(int fd, const void *bytes, size_t n, uint64_t offset)
{
    return write_all(fd, bytes, n, offset, 1);
}

/* Result of a system call that a fault may have forbidden. */
static ken_status outcome(int err, int result)
{
    return err || result != 0 ? kn_fail_errno(err ? err : errno) : KEN_OK;
}

ken_status kn_sync(int fd)
{
    int err = fd_step(KN_STEP_SYNC, fd, 0);
    return outcome(err, err ? -1 : fdatasync(fd));
}

ken_status kn_sync_dir(const char *dir)
{
    int err = path_step(KN_STEP_SYNC_DIR, dir, NULL);
    if (err)
        return kn_fail_errno(err);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return kn_fail_errno(errno);
    int result = fsync(fd);
    if (result != 0 && errno == EINVAL)
        result = 0; /* a file system that cannot sync folders */
    ken_status st = outcome(0, result);
    close(fd);
    return st;
}

ken_status kn_truncate(int fd, uint64_t len)
{
    int err = fd_step(KN_STEP_TRUNCATE, fd, len);
    return outcome(err, err ? -1 : ftruncate(fd, (off_t)len));
}

ken_status kn_reserve(int fd, uint64_t len)
{
    ken_status st = kn_truncate(fd, len);
    int err = !st && len ? posix_fallocate(fd, 0, (off_t)len) : 0;
    if (err == EOPNOTSUPP || err == EINVAL) /* a file system without it: the wish is granted late */
        err = 0;
    return st ? st : err ? kn_fail_errno(err) : KEN_OK;
}

ken_status kn_rename(const char *from, const char *to)
{
    int err = path_step(KN_STEP_RENAME, to, from);
    return outcome(err, err ? -1 : rename(from, to));
}

ken_status kn_unlink(const char *path)
{
    int err = path_step(KN_STEP_UNLINK, path, NULL);
    if (!err && unlink(path) != 0 && errno != ENOENT)
        err = errno;
    return err ? kn_fail_errno(err) : KEN_OK;
}

/* The folder that path lies in; path is cut to its name.  Without memory: what is done is done. */
static ken_status sync_folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash)
        return kn_sync_dir(".");
    slash[slash == path] = 0;
    return kn_sync_dir(path);
}

static ken_status sync_parent(const char *path)
{
    char *copy = kn_strdup(path);
    if (!copy)
        return KEN_E_NOMEM;
    ken_status st = sync_folder_of(copy);
    kn_free(copy);
    return st;
}

static ken_status make_dir(const char *dir)
{
    struct stat info;
    if (stat(dir, &info) == 0)
        return S_ISDIR(info.st_mode) ? KEN_OK : kn_fail_errno(ENOTDIR);
    int err = path_step(KN_STEP_MKDIR, dir, NULL);
    if (!err && mkdir(dir, 0777) != 0 && errno != EEXIST)
        err = errno;
    return err ? kn_fail_errno(err) : sync_parent(dir);
}

ken_status kn_mkdirs(const char *dir)
{
    char *path = kn_strdup(dir);
    if (!path)
        return KEN_E_NOMEM;
    ken_status st = KEN_OK;
    for (char *slash = path + 1; !st && *path && (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        st = make_dir(path);
        *slash = '/';
    }
    if (!st)
        st = make_dir(path);
    kn_free(path);
    if (st == KEN_E_NOTFOUND) /* a part of the path is no folder, or vanished just now */
        st = KEN_E_IO;
    return st ? kn_fail_in(st, "%s", dir) : KEN_OK;
}

/* ---- replacing ---- */

ken_status kn_replace_begin(kn_replace *r, const char *path)
{
    static _Atomic unsigned long count; /* threads may replace the same file: each writes one of its own */
    *r = (kn_replace){ .fd = -1 };
    size_t room = strlen(path) + 64;
    char *temp = kn_alloc(room, 1), *copy = kn_strdup(path);
    ken_status st = temp && copy ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        snprintf(temp, room, "%s.%ld-%lu.tmp", path, (long)getpid(), atomic_fetch_add(&count, 1));
        st = kn_open(&r->fd, temp, O_RDWR | O_CREAT | O_TRUNC, 0666);
    }
    if (st) {
        kn_free(temp);
        kn_free(copy);
        return kn_fail_in(st, "%s", path);
    }
    r->path = copy;
    r->temp = temp;
    return KEN_OK;
}

ken_status kn_replace_commit(kn_replace *r)
{
    ken_status st = kn_sync(r->fd);
    int closed = close(r->fd);
    r->fd = -1;
    if (!st && closed != 0)
        st = kn_fail_errno(errno);
    if (!st)
        st = kn_rename(r->temp, r->path);
    if (!st) {
        char *dir = r->temp; /* it is the real file now: abort must not remove it */
        r->temp = NULL;
        st = sync_folder_of(dir);
        kn_free(dir);
    }
    if (st)
        kn_fail_in(st, "%s", r->path);
    kn_replace_abort(r);
    return st;
}

void kn_replace_abort(kn_replace *r)
{
    if (r->path && r->fd >= 0)
        close(r->fd);
    if (r->temp)
        unlink(r->temp); /* not a step: whatever happens here loses nothing */
    kn_free(r->temp);
    kn_free(r->path);
    *r = (kn_replace){ .fd = -1 };
}

ken_status kn_replace_file(const char *path, const void *bytes, size_t n)
{
    kn_replace r;
    ken_status st = kn_replace_begin(&r, path);
    if (st)
        return st;
    st = kn_write(r.fd, bytes, n);
    if (!st)
        return kn_replace_commit(&r);
    kn_replace_abort(&r);
    return kn_fail_in(st, "%s", path);
}

/* ---- names ---- */

char *kn_path_join(const char *dir, const char *name)
{
    size_t a = strlen(dir), b = strlen(name);
    char *path = kn_alloc(a + b + 2, 1);
    if (!path)
        return NULL;
    memcpy(path, dir, a);
    if (a && dir[a - 1] != '/')
        path[a++] = '/';
    memcpy(path + a, name, b + 1);
    return path;
}

/* Write the parts of path behind out[at], dropping "." and going back at "..". */
static size_t append_parts(char *out, size_t at, const char *path)
{
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            while (at && out[--at] != '/')
                continue;
        } else if (n && !(n == 1 && path[0] == '.')) {
            out[at++] = '/';
            memcpy(out + at, path, n);
            at += n;
        }
        path += n + (path[n] == '/');
    }
    return at;
}

ken_status kn_path_absolute(char **out, const char *path)
{
    char here[4096] = "";
    if (!*path)
        return kn_fail(KEN_E_INVALID, "an empty path");
    if (path[0] != '/' && !getcwd(here, sizeof here))
        return kn_fail_errno(errno);
    char *full = kn_alloc(strlen(here) + strlen(path) + 3, 1);
    if (!full)
        return KEN_E_NOMEM;
    size_t at = append_parts(full, 0, here);
    at = append_parts(full, at, path);
    if (!at)
        full[at++] = '/';
    full[at] = 0;
    *out = full;
    return KEN_OK;
}

const char *kn_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
