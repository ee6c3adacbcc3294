/*
 * scan.h - the parts of ken_scan: walk, read and encode, find what has vanished.
 *
 * The walk compares each file with what the store knows of its path and notes what there is to do;
 * then files are read and encoded in small batches, each committed before the next begins.
 */
#ifndef ENGINE_SCAN_H
#define ENGINE_SCAN_H

#include "engine/writer.h"

#include "base/progress.h"
#include "engine/ignore.h"
#include "index/idmap.h"

/* A file that needs something done. */
typedef struct kn_file {
    char *path;
    uint64_t bytes, inode, device;
    int64_t mtime_ns;
    uint64_t id; /* of its item, 0: none that is known */
    enum {
        KN_FILE_READ,  /* new or changed */
        KN_FILE_TOUCH, /* the same pixels; something beside them differs */
        KN_FILE_MOVE   /* item id has moved here */
    } what;
} kn_file;

typedef struct kn_scan {
    ken *k;
    const ken_scan_options *o;
    ken_scan_report *r;
    kn_edit w;
    const ken_model *model;
    const ken_model_info *info;
    const kn_prep *prep;
    uint32_t threads;
    char **roots; /* (roots_n) absolute, sorted; none lies below another */
    size_t roots_n;
    kn_file *files; /* (files_n), those to be read in the order of the walk */
    size_t files_n, files_cap;
    uint64_t *seen; /* (seen_n) bits of item ids that are accounted for … */
    size_t seen_n, seen_cap;
    kn_idmap seen_at; /* … 64 ids to a word: which word is whose */
    int retry_skipped; /* this build may read what another one could not */
    kn_ignore ignore; /* the rules on the way to where the walk is */
    kn_meter meter;
    uint64_t encoded;
} kn_scan;

/* Fill roots and files. */
KEN_CALL ken_status kn_scan_walk(kn_scan *s, const char *const *paths, size_t n);
/* Do what files say. */
KEN_CALL ken_status kn_scan_files(kn_scan *s);
/* Hide or delete the items under the roots (all of them, to prune) whose file is gone. */
KEN_CALL ken_status kn_scan_vanished(kn_scan *s);
/* Encode every item again with s->model. */
KEN_CALL ken_status kn_scan_reembed(kn_scan *s);
/* Forget a re-embedding that was not finished. */
KEN_CALL ken_status kn_scan_abandon(kn_scan *s);
/* Encode again the views that models have lost to a re-embedding. */
KEN_CALL ken_status kn_scan_models(kn_scan *s);
/* Merge segments that are dead for a good part. */
KEN_CALL ken_status kn_scan_compact(kn_scan *s);

/* For all of these. */
void kn_scan_problem(const kn_scan *s, const char *path, const char *why, int skipped);
KEN_CALL ken_status kn_scan_see(kn_scan *s, uint64_t id);
int kn_scan_saw(const kn_scan *s, uint64_t id);
/* The file is gone for good reasons: ENOENT or ENOTDIR. */
int kn_file_is_gone(const char *path);
/* The name of the folder that path lies in, into out; 0 if it has none. */
int kn_folder_name(char *out, size_t size, const char *path);

#endif
