/*
 * ivf.h - inverted lists: every row lies in the list of the centre nearest to it, whole or as a code,
 * and a search looks into a few lists.
 *
 * What is mapped from a file is trusted for its lengths alone: positions come from `first`, which is
 * checked when it is opened, and slots are held against n wherever they are read.
 */
#ifndef INDEX_IVF_H
#define INDEX_IVF_H

#include "index/index.h"
#include "index/pq.h"

enum { KN_IVF_OWNED = 12 };

typedef struct kn_ivf {
    kn_rows rows;
    uint32_t lists;
    int refine;       /* the best are compared with their rows */
    int residual;     /* codes are of the row minus its centre */
    uint32_t opq;     /* pieces that the rotation was trained for; 0: none, or another's */
    uint32_t nprobe;  /* when a search names none; 0: a fixed function of lists */
    uint64_t trained; /* rows there were at training */
    kn_pq pq;         /* space.m = 0: no codes */
    const float *rotation;  /* (dim, dim) orthogonal; rotated x: sum of x[t] rotation[t][j]; or NULL */
    const float *centres;   /* (lists, dim) of rotated rows; for cosine and ip of length 1 */
    const uint64_t *first;  /* (lists + 1) where a list begins in: */
    const uint32_t *slots;  /* (n) those of a list ascending */
    const uint8_t *codes;   /* 8 bits: (n, m) as slots are; 4 bits: kn_pq4 blocks, each list its own */
    const float *terms;     /* (n) |r|^2 + 2 c.r for codes r of residuals and l2, or NULL */
    const uint64_t *blocks; /* (lists + 1) first block of each list, 4 bits alone */
    const float *columns;   /* (dim, dim) the transpose of rotation, or NULL */
    const uint8_t *coarse;  /* (lists) the centres' own 4-bit codes in blocks, where rows have such codes that
                               are no residuals and there are many lists; or NULL */
    const float *halves;    /* (lists) |c|^2 / 2 for l2, else 0 */
    const uint32_t *places; /* (n) the position of each slot, where codes are all there is; or NULL */
    void *owned[KN_IVF_OWNED]; /* what is not the file's */
    uint32_t n_owned;
} kn_ivf;

/* A state without lists; its arrays are to be had from kn_ivf_own. */
KEN_CALL ken_status kn_ivf_new(kn_ivf **out, const kn_rows *rows);
/* Memory that the state frees; NULL: out of memory. */
void *kn_ivf_own(kn_ivf *x, size_t n, size_t size);
void kn_ivf_release(void *state);

static inline size_t kn_ivf_bits(const kn_ivf *x)
{
    return x->pq.space.k == 16 ? 4 : 8;
}

/* Lists from the list of each slot, near (n), and byte codes (n, m) or NULL, both by slot: fills
 * first, slots, codes, terms and what kn_ivf_derive does. */
KEN_CALL ken_status kn_ivf_lay_out(kn_ivf *x, const uint32_t *near, const uint8_t *codes);
/* What a search needs and no file holds: blocks, halves, columns, coarse.  first must be filled. */
KEN_CALL ken_status kn_ivf_derive(kn_ivf *x);

/* The byte code (m) at a position of `list`; the row it stands for, in the rows' own
 * space: out has room for 2 dim floats, and the first dim are the row. */
void kn_ivf_code(const kn_ivf *x, size_t list, size_t position, uint8_t *code);
void kn_ivf_decode(const kn_ivf *x, size_t list, const uint8_t *code, float *out);

/* The kind's search; see kn_kind. */
ken_status kn_ivf_search(const void *state, const float *queries, size_t nq, const kn_find *p,
                         kn_scratch *scratch, kn_topk *top);
uint32_t kn_ivf_nprobe(const kn_ivf *x);                   /* when the caller names none */
size_t kn_ivf_rerank(const kn_ivf *x, size_t k);

#endif
