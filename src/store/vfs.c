/*
 * vfs.c - a shim over SQLite's VFS: each write, truncation, sync and deletion is a step of
 * base/file.h first, so that the same tests fail, cut and take back SQLite's changes and ours.
 *
 * Reading, locking and shared memory pass through; shared memory is not durable anyway.  Not used
 * by the program (an object of the archive that nothing else refers to is not linked).
 */
#include "store/vfs.h"

#ifdef KEN_SQLITE

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_BYTES = 1024 };

typedef struct shim {
    sqlite3_file base;
    char path[PATH_MAX_BYTES]; /* "" for temporary files, which are nobody's loss */
    int new_name;              /* its folder was not synced since it was created */
    sqlite3_file real[];       /* of the VFS below */
} shim;

static sqlite3_vfs *below;

static sqlite3_file *real(sqlite3_file *f)
{
    return ((shim *)f)->real;
}

static int step(sqlite3_file *f, kn_step kind, sqlite3_int64 offset, size_t *n)
{
    const shim *s = (const shim *)f;
    const kn_change c = { .kind = kind, .fd = -1, .path = s->path, .offset = (uint64_t)offset };
    return *s->path ? kn_file_step(&c, n) : 0;
}

static int sync_folder(const char *path)
{
    char dir[PATH_MAX_BYTES];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0, none = 0;
    memcpy(dir, path, len);
    dir[len] = 0;
    const kn_change c = { .kind = KN_STEP_SYNC_DIR, .fd = -1, .path = dir };
    return kn_file_step(&c, &none);
}

/* ---- changes ---- */

static int shim_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 offset)
{
    const unsigned char *p = bytes;
    while (n > 0) {
        size_t part = (size_t)n;
        int err = step(f, KN_STEP_WRITE, offset, &part);
        if (err)
            return err == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        int rc = real(f)->pMethods->xWrite(real(f), p, (int)part, offset);
        if (rc)
            return rc;
        p += part;
        n -= (int)part;
        offset += (sqlite3_int64)part;
    }
    return SQLITE_OK;
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    size_t none = 0;
    if (step(f, KN_STEP_TRUNCATE, size, &none))
        return SQLITE_IOERR_TRUNCATE;
    return real(f)->pMethods->xTruncate(real(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    shim *s = (shim *)f;
    size_t none = 0;
    if (step(f, KN_STEP_SYNC, 0, &none))
        return SQLITE_IOERR_FSYNC;
    int rc = real(f)->pMethods->xSync(real(f), flags);
    if (!rc && s->new_name) { /* SQLite's unix VFS does so for a journal's first sync */
        s->new_name = 0;
        if (sync_folder(s->path))
            rc = SQLITE_IOERR_DIR_FSYNC;
    }
    return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    const kn_change c = { .kind = KN_STEP_UNLINK, .fd = -1, .path = path };
    size_t none = 0;
    (void)vfs;
    if (kn_file_step(&c, &none))
        return SQLITE_IOERR_DELETE;
    int rc = below->xDelete(below, path, sync);
    if (!rc && sync && sync_folder(path))
        rc = SQLITE_IOERR_DIR_FSYNC;
    return rc;
}

/* ---- what passes through ---- */

static int shim_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int shim_read(sqlite3_file *f, void *bytes, int n, sqlite3_int64 offset)
{
    return real(f)->pMethods->xRead(real(f), bytes, n, offset);
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xLock(real(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int shim_reserved(sqlite3_file *f, int *out)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

/* Hints to grow the file in advance are changes that the gate would not see. */
static int shim_control(sqlite3_file *f, int op, void *arg)
{
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_OK;
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int shim_device(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int shim_shm_unmap(sqlite3_file *f, int erase)
{
    return real(f)->pMethods->xShmUnmap(real(f), erase);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* no xFetch: pages come by reads */
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_device,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *f, int flags, int *out)
{
    shim *s = (shim *)f;
    int there = 1;
    (void)vfs;
    memset(s, 0, sizeof *s);
    if (path && strlen(path) < sizeof s->path)
        strncpy(s->path, path, sizeof s->path - 1);
    if (*s->path && (flags & SQLITE_OPEN_CREATE))
        (void)below->xAccess(below, path, SQLITE_ACCESS_EXISTS, &there);
    if (!there) {
        size_t none = 0;
        if (step(f, KN_STEP_CREATE, 0, &none))
            return SQLITE_CANTOPEN;
        s->new_name = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    }
    int rc = below->xOpen(below, path, s->real, flags, out);
    if (s->real->pMethods)
        s->base.pMethods = &methods;
    return rc;
}

ken_status kn_vfs_register(void)
{
    static sqlite3_vfs vfs;
    if (below)
        return KEN_OK;
    if (!(below = sqlite3_vfs_find(NULL)))
        return kn_fail(KEN_E_IO, "SQLite has no VFS");
    vfs = *below;
    vfs.zName = "ken-faults";
    vfs.szOsFile = (int)sizeof(shim) + below->szOsFile;
    vfs.xOpen = shim_open;
    vfs.xDelete = shim_delete;
    return sqlite3_vfs_register(&vfs, 1) ? kn_fail(KEN_E_IO, "SQLite refused the VFS") : KEN_OK;
}

void kn_vfs_from_environment(void)
{
#ifdef KEN_FAULTS
    if (getenv("KEN_FAULT"))
        (void)!kn_vfs_register();
#endif
}

#endif
