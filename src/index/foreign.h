/* foreign.h - indexes of faiss and hnswlib, read and written. */
#ifndef INDEX_FOREIGN_H
#define INDEX_FOREIGN_H

#include "index/ivf.h"

/* What such a file holds: rows, or an IVF state, or both; everything is the holder's. */
typedef struct kn_foreign {
    uint32_t dim;
    kn_metric metric;
    size_t n;
    float *rows;     /* (n, dim), finite, or NULL: ivf has codes */
    uint64_t *ids;   /* (n), none twice */
    uint32_t links;  /* HNSW's M; 0: no graph.  Links are made anew from the rows */
    kn_ivf *ivf;     /* slots are rows' and ids' positions; or NULL */
} kn_foreign; /* all zero: nothing */

void kn_foreign_release(kn_foreign *f);

/*
 * faiss: Flat, HNSW over Flat or SQ, IVF over Flat, PQ of 4 or 8 bits, its fast-scan form, PQ refined by
 * PQ and SQ; PQ and SQ alone; with an IDMap, a refining Flat, or a linear transform whose rows are
 * orthonormal in front.  Codes are kept as they are, SQ's are decoded.  hnswlib: HierarchicalNSW of
 * f32 rows without those marked deleted, whose metric the file does not say.
 *
 * metric: NULL: the file's (l2 for hnswlib).  An inner product over rows of length 1 may be called
 * cosine.  KEN_E_FORMAT, KEN_E_CORRUPT or KEN_E_UNSUPPORTED name the file, the byte and the fault.
 */
KEN_CALL ken_status kn_foreign_read(kn_foreign *out, const char *path, const char *metric);
/* The same of bytes in memory; `name` stands for the path in errors. */
KEN_CALL ken_status kn_foreign_parse(kn_foreign *out, const unsigned char *bytes, size_t len,
                                     const char *name, const char *metric);

/* An index of it, which takes over what f holds; f is empty afterwards. */
KEN_CALL ken_status kn_foreign_index(kn_index **out, kn_foreign *f, const kn_build *b);

typedef enum kn_foreign_kind {
    KN_FOREIGN_FAISS,
    KN_FOREIGN_HNSWLIB
} kn_foreign_kind;

/* One file: of any kind for faiss, of HNSW for hnswlib, whose graph is then the base layer of ours.  Cosine
 * becomes the inner product of unit rows.  KEN_E_INVALID if anything is pending or gone. */
KEN_CALL ken_status kn_foreign_write(const kn_index *ix, kn_foreign_kind kind, const char *path);

typedef struct kn_foreign_graph {
    uint32_t degree, entry;
    uint32_t *links; /* (n, degree) rows; UINT32_MAX behind the last */
} kn_foreign_graph;

/* faiss's file of rows; with ivf of its lists (whose rows and ids are meant), with graph of HNSW.  What
 * was read from faiss is the same again, byte for byte. */
KEN_CALL ken_status kn_foreign_write_faiss(const kn_rows *rows, const kn_ivf *ivf,
                                           const kn_foreign_graph *graph, const char *path);
KEN_CALL ken_status kn_foreign_write_hnswlib(const kn_rows *rows, const kn_foreign_graph *graph,
                                             const char *path);

/* foreign.c's own parts. */
typedef struct kn_reader {
    const unsigned char *bytes;
    size_t len, at;
    const char *name;
    ken_status st; /* the first failure; what is read after it is 0 */
} kn_reader;
/* n elements of `size` bytes, or NULL and the failure set: the file is cut. */
const unsigned char *kn_reader_take(kn_reader *r, uint64_t n, size_t size, const char *what);
uint32_t kn_reader_u32(kn_reader *r, const char *what);
uint64_t kn_reader_u64(kn_reader *r, const char *what);
/* Record a fault at the place reached, unless there is one already; returns it. */
ken_status kn_reader_fail(kn_reader *r, ken_status st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

ken_status kn_foreign_faiss(kn_foreign *out, kn_reader *r);
ken_status kn_foreign_hnswlib(kn_foreign *out, kn_reader *r);

#endif
