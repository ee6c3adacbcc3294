/*
 * file.h - the one gate to the file system.
 *
 * Every call that changes a file goes through here, so that tests can fail it,
 * cut it short or kill the process in its middle (kn_file_fault).
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "ken.h"

#include <sys/stat.h>

/* ---- reading ---- */

typedef struct kn_map {
    const unsigned char *data; /* NULL if len is 0 */
    size_t len;
} kn_map;

/* The whole file, read-only, shared between processes.  The file must not shrink while mapped:
 * for files that ken itself replaces by rename; foreign ones are read with kn_read_file. */
KEN_CALL ken_status kn_map_open(kn_map *out, const char *path);
void kn_map_close(kn_map *m); /* leaves it empty */

/* The whole file in memory that kn_free frees, with a NUL behind the last byte.
 * KEN_E_LIMIT if it is larger than max. */
KEN_CALL ken_status kn_read_file(unsigned char **out, size_t *len, const char *path, size_t max);
/* Likewise from an open descriptor, to its end. */
KEN_CALL ken_status kn_read_fd(unsigned char **out, size_t *len, int fd, size_t max);

/* Exactly n bytes at offset; a short file is KEN_E_CORRUPT. */
KEN_CALL ken_status kn_pread(int fd, void *bytes, size_t n, uint64_t offset);

/* ---- writing: each is one step that a test can fail ---- */

/* open(2) with O_CLOEXEC.  *fd is yours to close. */
KEN_CALL ken_status kn_open(int *fd, const char *path, int flags, int mode);
KEN_CALL ken_status kn_write(int fd, const void *bytes, size_t n);
KEN_CALL ken_status kn_pwrite(int fd, const void *bytes, size_t n, uint64_t offset);
KEN_CALL ken_status kn_sync(int fd);     /* fdatasync */
KEN_CALL ken_status kn_sync_dir(const char *dir);
KEN_CALL ken_status kn_truncate(int fd, uint64_t len);
/* Set the length and take the room on disk now, so that a mapping can be filled without a signal. */
KEN_CALL ken_status kn_reserve(int fd, uint64_t len);
KEN_CALL ken_status kn_rename(const char *from, const char *to);
KEN_CALL ken_status kn_unlink(const char *path); /* a missing file is KEN_OK */
KEN_CALL ken_status kn_mkdirs(const char *dir);  /* and its parents; existing is KEN_OK */

/* A file that takes the place of another in one step: write to `fd`, then commit. */
typedef struct kn_replace {
    int fd;
    char *path, *temp;
} kn_replace;
KEN_CALL ken_status kn_replace_begin(kn_replace *r, const char *path);
/* fsync, rename, fsync the folder.  On failure the old file is untouched and the new one gone. */
KEN_CALL ken_status kn_replace_commit(kn_replace *r);
void kn_replace_abort(kn_replace *r); /* harmless after commit, and on a zeroed struct */
KEN_CALL ken_status kn_replace_file(const char *path, const void *bytes, size_t n);

/* ---- names ---- */

char *kn_path_join(const char *dir, const char *name); /* kn_free; NULL: out of memory */
/* Absolute, without "." and "..", symbolic links kept; the file need not exist. */
KEN_CALL ken_status kn_path_absolute(char **out, const char *path);
const char *kn_path_name(const char *path); /* behind the last '/' */

/* ---- folders ---- */

typedef struct kn_walk_entry {
    const char *path;         /* root + '/' + … */
    const struct stat *info;  /* NULL when err is not 0 */
    int err;                  /* errno of what could not be read, else 0 */
    int is_dir;               /* a folder, told before what is in it; or one that failed */
} kn_walk_entry;
/* 0 goes on, > 0 skips this folder, < 0 ends the walk. */
typedef int (*kn_walk_fn)(const kn_walk_entry *e, void *cookie);

/* Every file and folder below root, root itself included, in the order of their bytes.  Symbolic
 * links to files are followed, to folders not (no cycles); root may be a link.  Depth is limited
 * to 256.  An unreadable entry is told with its errno, never fatal.
 * KEN_E_NOTFOUND if root is missing, KEN_E_CANCELED if fn ended it. */
KEN_CALL ken_status kn_walk(const char *root, kn_walk_fn fn, void *cookie);

/* ---- faults, for tests ---- */

typedef enum kn_fault {
    KN_FAULT_NONE,
    KN_FAULT_FAIL, /* step n fails with ENOSPC, and so do all later ones */
    KN_FAULT_CUT,  /* step n, if it writes, writes half and the process is killed */
    KN_FAULT_KILL, /* the process is killed before step n */
    KN_FAULT_DROP  /* killed before step n, and what was not synced is taken back first */
} kn_fault;
/* Steps are counted from 1 over the calls above; KN_FAULT_NONE with n = 0 restarts the count.
 * Also set by the environment: KEN_FAULT=fail:12, in builds with -DKEN_FAULTS. */
void kn_file_fault(kn_fault kind, long n);
long kn_file_steps(void); /* steps made since */

/* One change of a file, about to be made. */
typedef enum kn_step {
    KN_STEP_WRITE,
    KN_STEP_TRUNCATE,
    KN_STEP_SYNC,
    KN_STEP_CREATE, /* or empty it */
    KN_STEP_RENAME,
    KN_STEP_UNLINK,
    KN_STEP_MKDIR,
    KN_STEP_SYNC_DIR
} kn_step;
typedef struct kn_change {
    kn_step kind;
    int fd;           /* of the file, or -1: path names it */
    const char *path; /* the file, the folder, or what a rename replaces */
    const char *from; /* RENAME */
    uint64_t offset;  /* WRITE; TRUNCATE: the new length */
} kn_change;

/* The gate itself, also for others' writes (SQLite's VFS in tests): counts a step and obeys the
 * fault.  *n is the bytes to be written, shortened for KN_FAULT_CUT; 0 or an errno. */
int kn_file_step(const kn_change *c, size_t *n);

#endif
