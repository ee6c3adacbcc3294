/*
 * collection.h - a collection as the files of engine/ share it.
 *
 * Locks, in the order of taking: users (a call runs; ken_close waits for it), writing (one writer
 * in this process), lock (everything below it).  `lock` is never held while a network runs or a
 * picture is read.
 */
#ifndef ENGINE_COLLECTION_H
#define ENGINE_COLLECTION_H

#include "engine/encoder.h"
#include "engine/view.h"
#include "store/segment.h"
#include "store/store.h"

#include <pthread.h>

struct ken {
    char *dir; /* absolute */
    int read_only;
    double wait;
    ken_decode_options decode;
    kn_element element;      /* of new segments */
    ken_model_options models; /* threads: never 0 */
    char *asked;             /* the model that the caller named, or NULL */
    char *device, *precision, *dirs; /* what models points to */
    const kn_encoder *encoder;

    pthread_rwlock_t users;
    pthread_mutex_t writing;
    pthread_mutex_t lock;
    kn_store *store;
    kn_view *view;    /* the last one made, or NULL */
    pthread_mutex_t spaces_lock; /* taken before any lock of a space */
    struct kn_spaces *spaces; /* of spaces.h; NULL until the first is asked for */
    struct kn_features *features; /* of features.h; NULL until the first query */
    char *cache_dir;  /* or NULL */
    uint64_t cache_bytes;
    struct kn_vector_cache *caches; /* of vector_cache.h, one a model; NULL until something is encoded */
    ken_model *model; /* the collection's own, once opened */
    ken_model *other; /* one that was asked for and is not: for a re-embedding */
};

/* Texts that the store keeps for the engine. */
#define KN_KEY_MODEL "model"             /* as it was named */
#define KN_KEY_PATH "model_path"
#define KN_KEY_FINGERPRINT "fingerprint"
#define KN_KEY_PRECISION "precision"
#define KN_KEY_DIM "dim"
#define KN_KEY_ELEMENT "element"
#define KN_KEY_INDEX "index"             /* the kind that is wanted; unset: auto */
#define KN_KEY_NEXT_ID "next_id"
#define KN_KEY_NEXT_SEGMENT "next_segment"
#define KN_KEY_FEATURES "features"       /* of the ken that rejected files */

/* Begin and end of every public call: KEN_E_INVALID for NULL. */
KEN_CALL ken_status kn_enter(ken *k);
void kn_leave(ken *k);

/* The collection's model, opened if it was not; KEN_E_MODEL.  Takes `lock`. */
KEN_CALL ken_status kn_collection_model(ken *k, const ken_model **out);
/* The model to re-embed with: the one that was asked for, else the collection's.  Takes `lock`. */
KEN_CALL ken_status kn_collection_new_model(ken *k, const ken_model **out);
/* Make m the collection's model, in an open transaction; the caller holds `lock`. */
KEN_CALL ken_status kn_collection_remember(ken *k, const ken_model *m, const char *name);

/* The other model has become the collection's own.  Takes `lock`. */
void kn_collection_switch(ken *k);

/* An item's vector; KEN_E_MODEL if its length is not dim, unless dim is 0.  Takes `lock`. */
KEN_CALL ken_status kn_collection_vector(ken *k, uint64_t id, uint32_t dim, float *out);
/* Of n items, which must have them, one behind the other: each one's own vector, or those of its parts or
 * views, (item->parts, dim).  Takes `lock`. */
KEN_CALL ken_status kn_collection_vectors(ken *k, kn_share share, const kn_item *const *items, size_t n,
                                          uint32_t dim, float *out);

#endif
