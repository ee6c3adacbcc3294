/*
 * store.h - the durable records of a collection, behind one table of functions.
 *
 * A store keeps items (one for each picture), which slots of the vector segments are in use, and a
 * few named texts.  It knows nothing of pictures.  Kinds: "sqlite", "file" (an append-only log, for builds
 * without SQLite) and "milvus" (a server, which keeps the vectors too and searches among them; milvus.h).
 *
 * Threads: one thread at a time; the collection has a lock.  Processes: any number of readers, and
 * one writer, who holds the lock of lock.h.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "ken.h"

typedef struct kn_item {
    uint64_t id;         /* > 0, never used again */
    char *path;          /* absolute; bytes, not text */
    char *object, *meta; /* or NULL */
    char *kind;          /* "image", "reference", "model" */
    char hash[33];
    uint32_t width, height;
    uint64_t bytes, inode, device;
    int64_t mtime_ns, added_ns;
    uint32_t segment, slot; /* of its vector; segment 0: none */
    /* Of the vectors of its parts, `parts` slots one behind the other; segment 0: there are none,
     * although so many are wanted. */
    uint32_t part_segment, part_slot, parts;
    int hidden;             /* the file has vanished or cannot be read any more */
} kn_item;

/* Own copies of the strings; out is untouched on failure. */
KEN_CALL ken_status kn_item_copy(kn_item *out, const kn_item *item);
void kn_item_release(kn_item *item); /* the strings, not the struct; leaves it zeroed */

/* Which items to read. */
typedef struct kn_select {
    enum {
        KN_BY_ID,    /* number: the id */
        KN_BY_PATH,  /* text */
        KN_BY_HASH,  /* text */
        KN_BY_INODE, /* number */
        KN_UNDER,    /* text: a folder, or the path itself; in the order of paths */
        KN_AFTER,    /* ids above number, ascending */
        KN_HIDDEN,   /* ascending ids */
        KN_OF_OBJECT, /* text: the object's name; ascending ids */
        KN_LABELLED, /* all that have an object, in the order of objects, then ids */
        KN_PARTLESS  /* those whose parts are wanted and not there; ids above number, ascending */
    } by;
    const char *text;
    uint64_t number;
    uint64_t limit; /* 0: all */
} kn_select;

/* The strings live for the call.  Must not call the store.  Non-zero ends the walk. */
typedef int (*kn_item_fn)(const kn_item *item, void *cookie);

/* A vector segment (segment.h) as far as it is committed. */
typedef struct kn_segment_record {
    uint32_t number;
    uint32_t rows;
    enum {
        KN_SEGMENT_LIVE = 0,    /* in files: numbers never change */
        KN_SEGMENT_PENDING = 1, /* of a re-embedding that has not finished; items do not refer to it */
        KN_SEGMENT_PARTS = 2,   /* vectors of parts of pictures */
        KN_SEGMENT_VIEWS = 3    /* of views of 3-D models, which are their items' parts */
    } state;
} kn_segment_record;
typedef int (*kn_segment_fn)(const kn_segment_record *row, void *cookie);
typedef int (*kn_slot_fn)(uint32_t segment, uint32_t slot, void *cookie);

/* A file that gave no item, so that it is not read again before it changes. */
typedef struct kn_reject {
    char *path;
    char *why;
    uint64_t bytes, inode;
    int64_t mtime_ns;
    int skipped; /* 1: not a picture of a supported kind, 0: broken */
} kn_reject;
typedef int (*kn_reject_fn)(const kn_reject *r, void *cookie);

typedef struct kn_counts {
    uint64_t items, hidden, objects, vectors, dead; /* vectors: those of parts too */
    uint64_t labelled; /* items that have an object */
} kn_counts;

/* ---- what stores that keep vectors are told and asked ---- */

/* Which of a collection's vectors: one of each item, and those of its parts or views. */
typedef enum kn_share { KN_WHOLES, KN_PARTS, KN_VIEWS_OF_MODELS } kn_share;

typedef struct kn_store_query {
    const float *vectors; /* (nq, dim) */
    size_t nq, k;
    uint32_t dim;
    kn_share share;       /* KN_PARTS: and views */
    int hidden;           /* 1: of vanished files too; of KN_PARTS always */
    int labelled;         /* 1: of items that have an object alone */
    int exact;            /* 1: every vector is compared; KEN_E_UNSUPPORTED where the store cannot */
    uint32_t ef;          /* how widely its index is to look; 0: the store's choice */
    int some;             /* 1: only those of the items `only`, (n_only) ascending ids */
    const uint64_t *only;
    size_t n_only;
} kn_store_query;

typedef enum kn_store_mode {
    KN_STORE_READ,
    KN_STORE_WRITE,
    KN_STORE_CREATE /* KEN_E_EXISTS is not an error: an existing one is opened */
} kn_store_mode;

typedef struct kn_store kn_store;

typedef struct kn_store_verbs {
    const char *name; /* "sqlite" */
    const char *file; /* its main file in the collection's folder */

    /* url: as the user named it, or NULL.  KEN_E_NOTFOUND, KEN_E_VERSION, KEN_E_CORRUPT, KEN_E_NET. */
    ken_status (*open)(kn_store **out, const char *url, const char *dir, kn_store_mode mode);
    void (*close)(kn_store *s); /* rolls back what is open */

    /* Between begin and end all reads see one state.  write: the caller holds the lock.  What was
     * written is durable when end(commit = 1) returns KEN_OK; after a failure it is there in whole
     * or not at all.  end(commit = 0) does not fail. */
    ken_status (*begin)(kn_store *s, int write);
    ken_status (*end)(kn_store *s, int commit);
    /* Raised by each commit. */
    ken_status (*generation)(kn_store *s, uint64_t *out);

    /* Reading, inside begin or not. */
    ken_status (*items)(kn_store *s, const kn_select *which, kn_item_fn fn, void *cookie);
    ken_status (*segments)(kn_store *s, kn_segment_fn fn, void *cookie); /* by number */
    ken_status (*dead)(kn_store *s, kn_slot_fn fn, void *cookie);        /* by segment, slot */
    ken_status (*reject)(kn_store *s, const char *path, kn_reject_fn fn, void *cookie);
    ken_status (*text)(kn_store *s, const char *key, char **out); /* kn_free; NULL if unset */
    ken_status (*counts)(kn_store *s, kn_counts *out);

    /* Writing, inside begin(write). */
    ken_status (*put)(kn_store *s, const kn_item *item); /* new, or in the place of the same id;
                                                            KEN_E_EXISTS: the path is another's */
    ken_status (*drop)(kn_store *s, uint64_t id);        /* an unknown one is KEN_OK */
    ken_status (*put_segment)(kn_store *s, const kn_segment_record *row);
    ken_status (*drop_segment)(kn_store *s, uint32_t number); /* and what is dead in it */
    ken_status (*put_dead)(kn_store *s, uint32_t segment, uint32_t slot);
    ken_status (*put_reject)(kn_store *s, const kn_reject *r);
    ken_status (*drop_reject)(kn_store *s, const char *path);
    ken_status (*set_text)(kn_store *s, const char *key, const char *value);

    /* Every invariant of the store's own files. */
    ken_status (*check)(kn_store *s, ken_problem_fn fn, void *cookie);

    /* ---- NULL where vectors lie in segments ---- */

    /* Take in what others have written; the caller holds the lock.  *lost: items that have no vectors any
     * more, because the store has lost what it had acknowledged: they must be put again. */
    ken_status (*refresh)(kn_store *s, uint64_t *lost);
    /* Vectors (n, dim) of items that are put before the next end(), which makes them durable with the items;
     * of parts and views: one behind the other in the order of an item's.  Also before begin.  The items'
     * segments say only that there are vectors; their numbers are the store's. */
    ken_status (*keep)(kn_store *s, kn_share share, const uint64_t *ids, const float *vectors, size_t n,
                       uint32_t dim);
    void (*forget)(kn_store *s); /* what was kept since the last end() */
    /* Vectors of n items: counts[i] of the i-th one's parts or views, or its own (counts NULL), one behind
     * the other in out (sum of counts, dim).  KEN_E_NOTFOUND if one lacks any; KEN_E_MODEL if they are of
     * another length. */
    ken_status (*vectors)(kn_store *s, kn_share share, const uint64_t *ids, const uint32_t *counts, size_t n,
                          uint32_t dim, float *out);
    /* hits (nq, k) best first, raw alone filled in, and found (nq); an item may come once for each part. */
    ken_status (*search)(kn_store *s, const kn_store_query *q, ken_hit *hits, size_t *found);
    /* The kind of its index, "HNSW". */
    const char *(*index)(kn_store *s);
    /* After much was written: have it put in order for searches.  Nothing is lost if that fails. */
    ken_status (*settle)(kn_store *s);
} kn_store_verbs;

struct kn_store {
    const kn_store_verbs *v;
};

#ifdef KEN_SQLITE
extern const kn_store_verbs kn_store_sqlite;
#endif
extern const kn_store_verbs kn_store_file;
#ifdef KEN_MILVUS
extern const kn_store_verbs kn_store_milvus;
#endif

/* By "sqlite:", "file:", "milvus://…", or NULL: the one that is in dir, else the default of this build.
 * KEN_E_UNSUPPORTED names those there are. */
KEN_CALL ken_status kn_store_open(kn_store **out, const char *kind, const char *dir,
                                  kn_store_mode mode);
void kn_store_close(kn_store *s);

/* The one item that `which` selects, copied.  KEN_E_NOTFOUND. */
KEN_CALL ken_status kn_store_get(kn_store *s, const kn_select *which, kn_item *out);
/* put and drop that also mark the slots which the item had before as dead. */
KEN_CALL ken_status kn_store_put(kn_store *s, const kn_item *item);
KEN_CALL ken_status kn_store_drop(kn_store *s, uint64_t id);
/* A text that is a number; 0 if unset. */
KEN_CALL ken_status kn_store_number(kn_store *s, const char *key, uint64_t *out);
KEN_CALL ken_status kn_store_set_number(kn_store *s, const char *key, uint64_t value);

#endif
