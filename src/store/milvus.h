/*
 * milvus.h - what the files of the remote store share.
 *
 * A collection NAME on the server is three of its collections:
 *
 *     NAME         a row for each item: its vector, what a search may filter by, and the whole record
 *     NAME_parts   a row for each part of a picture, and each view of a model: "ID/NUMBER" and its vector
 *     NAME_state   named texts (which model …), and "gone/ID" for each item that was removed
 *
 * The server's rows are the truth.  The records, not the vectors, are also kept here, in a store of a
 * local kind in the folder "milvus", with what concerns this machine alone: inodes, files that
 * cannot be read, how far has been read.  A commit puts rows first and the local records after the server has
 * acknowledged them; whoever dies in between finds the rows at the next start, because each row
 * carries the revision that it was written with (`rev`, microseconds, always rising) and who wrote it (`by`),
 * and every machine takes in the revisions that it has not seen.  Rows have fixed keys and are put, never
 * added: whatever is sent twice is there once.  Ids are drawn from a range of each machine's own,
 * (by << 32) + 1 …, so that no two machines give out the same one.
 */
#ifndef STORE_MILVUS_H
#define STORE_MILVUS_H

#include "store/milvus_call.h"
#include "store/store.h"

/* A vector that waits for its item's commit. */
typedef struct kn_kept {
    kn_share share;
    uint64_t id;
    size_t at; /* in floats */
} kn_kept;

/* An item that a transaction has changed. */
typedef struct kn_changed {
    uint64_t id;
    int had_parts; /* before */
} kn_changed;

typedef struct kn_remote {
    kn_store base;
    char *dir, *folder;          /* the collection's; within it */
    char *items, *parts, *state; /* the server's collections */
    kn_milvus_url url;
    kn_milvus *m;
    kn_store *near;             /* the records here */
    int64_t by;                 /* this machine's number, 1 .. 2^31 - 1 */
    uint32_t dim;               /* 0: not known yet */
    char metric[16], index[16]; /* of `items` */
    int inside;                 /* 1: between begin and end, 2: writing */
    int made;                   /* the server's collections are there */
    int views;                  /* there are views of models among the parts */
    int swept;                  /* what a writer that died left among the parts is gone */
    double looked;              /* when others' rows were last asked for */
    kn_kept *kept;
    size_t kept_n, kept_cap;
    float *floats; /* (floats_n) of kept */
    size_t floats_n;
    kn_changed *changed;
    size_t changed_n, changed_cap;
    int texts_changed;
} kn_remote;

/* Where the records here say that an item's vectors are: somewhere, and nowhere else's. */
void kn_remote_place(uint64_t id, uint32_t *segment, uint32_t *slot);

/* ---- milvus_rows.c: items as rows ---- */

/* State of a row: with the first two it is found by searches. */
enum { KN_ROW_VISIBLE = 0, KN_ROW_HIDDEN = 1, KN_ROW_BARE = 2 /* has no vector, only a place for one */ };

/* The record as JSON; kn_free.  KEN_E_LIMIT if it is longer than the server allows. */
KEN_CALL ken_status kn_remote_record(char **out, const kn_item *item);
/* The text as UTF-8, with ? for bytes that are none; kn_free. */
char *kn_remote_text(const char *bytes);
/* A row's item; strings are the item's own.  KEN_E_FORMAT. */
KEN_CALL ken_status kn_remote_item(kn_item *out, int64_t id, int64_t state, const kn_mv_text *path,
                                   const kn_mv_text *object, const kn_mv_text *kind,
                                   const kn_mv_text *record);

/* ---- milvus_push.c: from here to the server ---- */

/* The server's collections, if they are not there; r->dim is known. */
KEN_CALL ken_status kn_remote_make(kn_remote *r);
/* Everything that the open transaction has changed. */
KEN_CALL ken_status kn_remote_push(kn_remote *r);
/* Delete the rows of items that are gone; n may be 0. */
KEN_CALL ken_status kn_remote_delete(kn_remote *r, const uint64_t *ids, size_t n);

/* "FIELD in [ids]", of n ids, in place of what b holds. */
KEN_CALL ken_status kn_remote_name_ids(kn_buf *b, const char *field, const int64_t *ids, size_t n);

/* ---- milvus_pull.c: from the server to here ---- */

#define KN_REMOTE_REV "remote_rev" /* the last revision that is in the records here */
#define KN_REMOTE_BY "remote_by"
#define KN_REMOTE_MADE "remote_made"   /* "1": the server's collections are there */
#define KN_REMOTE_VIEWS "remote_views" /* "1": models have been there */
#define KN_REMOTE_METRIC "remote_metric"
#define KN_REMOTE_INDEX "remote_index"
#define KN_REMOTE_GONE "gone/"         /* a key's beginning; the id follows */
int kn_remote_shares(const char *key); /* 1 if a text is everybody's */

/* Others' changes into the records here, and what this machine has put and not committed; outside of a
 * transaction, with the lock held. */
KEN_CALL ken_status kn_remote_pull(kn_remote *r);
/* If there are not as many rows as records: a record whose row the server has lost loses its vectors, so that
 * the next scan makes them again (*lost: how many); a row that has no record here is taken in. */
KEN_CALL ken_status kn_remote_mend(kn_remote *r, uint64_t *lost);
/* dim, metric, index, made and views, as the records here say. */
KEN_CALL ken_status kn_remote_learn(kn_remote *r);
/* fn gets the id of each row of `items`; non-zero ends the walk. */
typedef int (*kn_remote_id_fn)(uint64_t id, void *cookie);
KEN_CALL ken_status kn_remote_ids(kn_remote *r, kn_remote_id_fn fn, void *cookie);

/* ---- verbs of store.h in milvus_search.c and milvus_check.c ---- */

KEN_CALL ken_status kn_remote_vectors(kn_store *s, kn_share share, const uint64_t *ids,
                                      const uint32_t *counts, size_t n, uint32_t dim, float *out);
KEN_CALL ken_status kn_remote_find(kn_store *s, const kn_store_query *q, ken_hit *hits, size_t *found);
KEN_CALL ken_status kn_remote_check(kn_store *s, ken_problem_fn fn, void *cookie);

#endif
