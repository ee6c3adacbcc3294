/* spec.h - what an index is to be, as text: faiss's factory strings. */
#ifndef INDEX_SPEC_H
#define INDEX_SPEC_H

#include "index/flat.h"

typedef enum kn_kind_id {
    KN_KIND_FLAT,
    KN_KIND_HNSW,
    KN_KIND_IVF,
    KN_KINDS
} kn_kind_id;

enum { KN_SPEC_TEXT = 64 };

typedef struct kn_spec {
    kn_kind_id kind;
    uint32_t m;     /* HNSWm: links of a node in an upper layer; 2 m in the base layer */
    uint32_t lists; /* IVFn */
    uint32_t opq;   /* OPQm in front: sub-spaces that the rotation balances; 0: none */
    uint32_t pq;    /* PQm: sub-quantisers; 0: the lists hold whole rows */
    uint32_t bits;  /* of one's code: 8, or 4 (PQmx4fs: fast-scan) */
    int refine;     /* ,RFlat: the best are compared with their whole rows */
    char text[KN_SPEC_TEXT]; /* canonical: "OPQ64,IVF1024,PQ64", never "auto" */
} kn_spec;

/*
 *   Flat · HNSWm (2 <= m <= 64; HNSW is HNSW16; ",Flat" may follow)
 *   [OPQm,]IVFn,Flat · [OPQm,]IVFn,PQm[x8][,RFlat] · [OPQm,]IVFn,PQmx4fs[,RFlat]
 *   auto: a fixed function of n, dim and metric
 *
 * in any case of letters.  KEN_E_INVALID names the part that is not understood, or does not fit
 * dim (m of PQ and OPQ must divide it).
 */
KEN_CALL ken_status kn_spec_parse(kn_spec *out, const char *text, size_t n, uint32_t dim,
                                  kn_metric metric);

/* "cosine" (also NULL), "l2", "ip" (or "dot"). */
KEN_CALL ken_status kn_metric_parse(kn_metric *out, const char *name);
const char *kn_metric_name(kn_metric m);

#endif
