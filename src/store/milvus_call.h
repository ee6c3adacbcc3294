/*
 * milvus_call.h - the calls of a Milvus server that a store needs, 2.3 to 3.0, over gRPC.
 *
 * Every call may be made again: rows have fixed keys and are put, never added; so a server that is
 * busy, restarting or gone is asked again, with longer and longer pauses, for as long as the URL says.
 * One thread at a time.
 *
 * Source: the field numbers of milvus-proto, which have not changed from v2.3.0 to v3.0.0.
 */
#ifndef STORE_MILVUS_CALL_H
#define STORE_MILVUS_CALL_H

#include "store/milvus_url.h"
#include "store/protobuf.h"

typedef struct kn_milvus kn_milvus;

/* Asks for the server's version: KEN_E_NET if it cannot be reached within a few seconds.  u must outlive
 * it. */
KEN_CALL ken_status kn_milvus_connect(kn_milvus **out, const kn_milvus_url *u);
void kn_milvus_free(kn_milvus *m);

/* Types of fields, the server's own numbers. */
typedef enum kn_field_type {
    KN_MV_LONG = 5,
    KN_MV_TEXT = 21,
    KN_MV_JSON = 23,
    KN_MV_VECTOR = 101
} kn_field_type;

typedef struct kn_mv_field {
    const char *name;
    kn_field_type type;
    unsigned size; /* VECTOR: dimension; TEXT: bytes at most */
    int primary;
} kn_mv_field;

/* A column of rows to be written: (n) of its type. */
typedef struct kn_mv_column {
    const char *name;
    kn_field_type type;
    const int64_t *longs;
    char *const *texts;  /* of TEXT and JSON; UTF-8 */
    const float *floats; /* (n, dim) */
    uint32_t dim;
} kn_mv_column;

KEN_CALL ken_status kn_milvus_has(kn_milvus *m, const char *collection, int *yes);
/* Made, if it is not there, with an index over its VECTOR field, and loaded.  metric: of the index. */
KEN_CALL ken_status kn_milvus_create(kn_milvus *m, const char *collection, const kn_mv_field *fields,
                                     size_t n, const char *index, const char *metric);
KEN_CALL ken_status kn_milvus_flush(kn_milvus *m, const char *const *collections, size_t n);

/* n rows, new or in the place of those with the same key; cut into as many requests as the server's limit
 * of 64 MB asks for. */
KEN_CALL ken_status kn_milvus_upsert(kn_milvus *m, const char *collection, const kn_mv_column *columns,
                                     size_t n_columns, size_t n);
KEN_CALL ken_status kn_milvus_delete(kn_milvus *m, const char *collection, const char *expr);

/* What a query gives: the columns asked for. */
typedef struct kn_mv_text {
    const char *bytes; /* not terminated */
    size_t n;
} kn_mv_text;
typedef struct kn_mv_result {
    const char *name;
    kn_field_type type;          /* these two are asked for */
    int64_t *longs;              /* (n); owned, as texts */
    kn_mv_text *texts;           /* (n) within the answer */
    const unsigned char *floats; /* (n, dim) within the answer, at any address */
    size_t n;
    uint32_t dim;
} kn_mv_result;

/* The rows that fulfil expr, at most `limit` (1 .. 16384) and in no order, as they are now. */
KEN_CALL ken_status kn_milvus_query(kn_milvus *m, const char *collection, const char *expr, uint32_t limit,
                                    kn_mv_result *results, size_t n_results, kn_buf *answer);
void kn_mv_results_release(kn_mv_result *results, size_t n);
/* How many rows fulfil expr. */
KEN_CALL ken_status kn_milvus_count(kn_milvus *m, const char *collection, const char *expr, uint64_t *out);

typedef struct kn_mv_search {
    const char *collection, *expr, *metric, *index;
    const float *vectors; /* (nq, dim) */
    uint32_t nq, dim, k;  /* k <= 16384 */
    uint32_t ef;          /* 0: the URL's */
} kn_mv_search;
enum { KN_MV_MOST = 16384 };

/* hits (nq, k) best first, and found (nq).  A key that is a text is "ID/…". */
KEN_CALL ken_status kn_milvus_search(kn_milvus *m, const kn_mv_search *s, ken_hit *hits, size_t *found);

/* The bytes of a request, and reading an answer; apart for tests. */
void kn_mv_write_create(kn_pb *w, const char *collection, const char *database, const kn_mv_field *fields,
                        size_t n, unsigned shards, unsigned consistency);
void kn_mv_write_upsert(kn_pb *w, const char *collection, const char *database, const kn_mv_column *columns,
                        size_t n_columns, size_t from, size_t n);
void kn_mv_write_search(kn_pb *w, const kn_milvus_url *u, const kn_mv_search *s);
void kn_mv_write_query(kn_pb *w, const kn_milvus_url *u, const char *collection, const char *expr,
                       uint32_t limit, const kn_mv_result *results, size_t n_results);
KEN_CALL ken_status kn_mv_read_query(const void *answer, size_t n, kn_mv_result *results, size_t n_results);
KEN_CALL ken_status kn_mv_read_search(const void *answer, size_t n, const kn_mv_search *s, ken_hit *hits,
                                      size_t *found);

/* Of ken_hit, for qsort: larger raw first, equal ones by smaller id, as everywhere. */
int kn_mv_best_first(const void *a, const void *b);

#endif
