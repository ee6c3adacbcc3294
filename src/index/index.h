/*
 * index.h - an index: rows with 64-bit ids, a structure over them that makes searching fast, and what
 * has changed since that was built.
 *
 * The frame (index.c) is the same for every kind.  It owns the base (rows, ids, the kind's structure;
 * never changed once built, mapped from a file or in memory), the rows added since ("pending": compared
 * one by one, until many of HNSW's are linked behind, index_link.c) and the bitmap of base rows that are
 * gone.  It refuses bad vectors, makes unit vectors of them for cosine, keeps the log, merges, and turns
 * slots into ids.  A kind sees its rows alone, by slot 0 .. n-1, and answers with candidates.
 *
 * To add a kind: a kn_kind in a file of its own, a line in index.c's table, a form in spec.h.
 */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "index/file.h"
#include "index/spec.h"
#include "index/topk.h"

/* ---- what a kind is given ---- */

/* Rows that lie elsewhere, found by id, so that nobody keeps them twice.  Calls come from many threads
 * at once, and with any id where a file is damaged. */
typedef struct kn_source {
    const void *cookie;
    /* As dim floats, finite; zeros where there is no such row. */
    void (*row)(const void *cookie, uint64_t id, float *out);
    /* Its inner product with the query; NAN where there is none. */
    float (*raw)(const void *cookie, uint64_t id, const float *query);
    void (*prefetch)(const void *cookie, uint64_t id);
} kn_source;

typedef struct kn_rows {
    const float *f32;    /* (n, dim), finite; unit or zero for cosine.  NULL in an imported index that
                            holds codes alone: a kind that needs rows fails with KEN_E_UNSUPPORTED */
    const uint64_t *ids; /* (n), any order, none twice */
    size_t n;            /* < 2^31 */
    uint32_t dim;
    kn_metric metric;
    const kn_source *source; /* f32 is NULL, the rows lie there: all of about one length, compared by
                                their inner products (KN_METRIC_COSINE); else NULL */
} kn_rows;

/* Row `slot` as it lies in f32, or copied to room (dim). */
const float *kn_rows_at(const kn_rows *r, size_t slot, float *room);
/* Its raw score; NAN if the source has no such row. */
float kn_rows_raw(const kn_rows *r, size_t slot, const float *query);

typedef struct kn_build {
    uint64_t seed;
    uint32_t threads;         /* at most; 0: one.  The result must not depend on it */
    uint32_t ef_construction; /* 0: the kind's choice */
    ken_progress_fn progress; /* or NULL */
    void *cookie;
} kn_build;

typedef struct kn_find {
    size_t k; /* > 0 */
    uint32_t ef, nprobe, rerank; /* 0: the kind's choice, fit for k */
    const uint64_t *allowed;     /* a bitmap: slots that may be answered; NULL: all */
    size_t n_allowed;            /* bits set in it */
    size_t hide; /* a slot + 1 that a walk must not step on: a row asked for its neighbours as if it were
                    not there; 0: none */
} kn_find;

static inline int kn_find_allows(const kn_find *p, size_t slot)
{
    return !p->allowed || (p->allowed[slot / 64] >> slot % 64 & 1);
}

/* Memory that one search after another of a thread uses, and no two at once.  Zeroed when it is new;
 * then as the last search of this kind left it. */
typedef struct kn_scratch {
    void *p;
    size_t bytes;
} kn_scratch;
/* At least `bytes`, at a multiple of 64; NULL: out of memory.  Growing it zeroes all of it. */
void *kn_scratch_room(kn_scratch *s, size_t bytes);

/* What a kind tells of itself. */
typedef struct kn_kind_info {
    uint64_t bytes_hot;   /* what a search touches at random, without the rows */
    uint64_t unreachable; /* rows that no search can reach; 0 is a promise of HNSW's */
    uint32_t ef, nprobe, rerank; /* in force for k = 10 when the caller names none; 0: has none */
} kn_kind_info;

/* ---- a kind ---- */

typedef struct kn_kind {
    /* Over `rows`, which outlive the state.  Deterministic: the same rows, spec and seed give the same
     * state at any number of threads and any CPU level. */
    ken_status (*build)(void **state, const kn_rows *rows, const kn_spec *spec, const kn_build *b);
    /* From the sections that save wrote; the file outlives the state.  Must check every length, and
     * may trust no number inside: what search reads by must be bounded there or here. */
    ken_status (*open)(void **state, const kn_rows *rows, const kn_spec *spec,
                       const kn_index_file *f);
    ken_status (*save)(const void *state, kn_index_writer *w);
    void (*release)(void *state);
    /* The next state when rows change, for kinds that have something to keep: old slots whose
     * bit in `gone` is clear, then the new rows, are `rows`' slots in order.  NULL: build is called. */
    ken_status (*change)(void **next, const void *state, const uint64_t *gone, const kn_rows *rows,
                         const kn_build *b);
    /* nq queries (nq, dim), prepared as rows are: offer the id (rows->ids[slot]) and raw score of each
     * answer to top[q], which is empty and not sorted afterwards.  Raw scores are those of
     * dot_f32 and -l2sq_f32 between query and row wherever rows are there; no id twice.  Called by
     * many threads at once, each with its own scratch; runs on that thread alone. */
    ken_status (*search)(const void *state, const float *queries, size_t nq, const kn_find *p,
                         kn_scratch *scratch, kn_topk *top);
    void (*info)(const void *state, kn_kind_info *out);
    /* Every invariant beyond the checksums, slowly; KEN_E_CORRUPT if fn was told of any. */
    ken_status (*check)(const void *state, ken_problem_fn fn, void *cookie);
    /* The row as the codes have it (dim); NULL where rows are always kept. */
    ken_status (*reconstruct)(const void *state, size_t slot, float *out);
    int outside; /* 1: rows may come from a kn_source */
} kn_kind;

extern const kn_kind kn_kind_flat, kn_kind_hnsw, kn_kind_ivf;

/* ---- the frame ---- */

/* Searches, kn_index_len and kn_index_has may run at any time, beside each other and beside kn_index_put,
 * _remove and _compact, which wait for each other.  A search sees the state before or after a change, whole.
 * The rest of the calls want no change beside them. */
typedef struct kn_index kn_index;

/* Empty, in memory.  spec as kn_spec_parse takes it; "auto" is decided at each build. */
KEN_CALL ken_status kn_index_new(kn_index **out, const char *spec, uint32_t dim, kn_metric metric);
/* n rows (n, dim) and ids (NULL: 0 .. n-1), copied, and the kind's structure over them.
 * KEN_E_INVALID for a row that is not finite, naming it; KEN_E_EXISTS for an id that comes twice. */
KEN_CALL ken_status kn_index_build(kn_index **out, const char *spec, kn_metric metric,
                                   const uint64_t *ids, const float *rows, size_t n, uint32_t dim,
                                   const kn_build *b);
/* A state that was made elsewhere (an import).  Takes over rows (n, dim; prepared, or NULL), ids and
 * state, all from kn_alloc; on failure they are the caller's still. */
KEN_CALL ken_status kn_index_adopt(kn_index **out, const kn_spec *spec, kn_metric metric,
                                   uint64_t *ids, float *rows, size_t n, uint32_t dim, void *state);
/* The same over rows that stay where they are, n of these ids; saved, it holds no row.  *source and its
 * cookie outlive the index.  KEN_E_UNSUPPORTED for a kind that keeps rows of its own.  Such an index
 * never changes, and p->allowed of kn_index_search is read, whose queries are taken as they are. */
KEN_CALL ken_status kn_index_build_over(kn_index **out, const char *spec, const kn_source *source,
                                        const uint64_t *ids, size_t n, uint32_t dim,
                                        const kn_build *b);
/* Another over the same source: without the slots of which gone has the bit, with n_more new ids; by
 * changing what `from` has where its kind can.  `from` may be freed before it. */
KEN_CALL ken_status kn_index_follow(kn_index **out, const kn_index *from, const uint64_t *gone,
                                    const uint64_t *more, size_t n_more, const kn_build *b);
KEN_CALL ken_status kn_index_open_over(kn_index **out, const char *path, const kn_source *source);
void kn_index_free(kn_index *ix);

/* Bytes of the owner's that are saved with the index, copied; and what it was opened with, or NULL. */
KEN_CALL ken_status kn_index_set_note(kn_index *ix, const void *bytes, size_t n);
const void *kn_index_note(const kn_index *ix, size_t *n);
/* KEN_E_CORRUPT if what it was opened with is damaged: a payload, which opening does not read. */
KEN_CALL ken_status kn_index_check_note(const kn_index *ix);

/* Map a file and take in its log (PATH.log).  With `write`, changes go to the log and are durable when
 * the call returns; the one writer, else KEN_E_BUSY.  Without it, changes stay in memory. */
KEN_CALL ken_status kn_index_open(kn_index **out, const char *path, int write);
/* The base of a file, without a log; takes *f over if it succeeds. */
KEN_CALL ken_status kn_index_from_file(kn_index **out, kn_index_file *f);
/* Write all to a file, which must have nothing pending (kn_index_compact); replaces in one step. */
KEN_CALL ken_status kn_index_save(kn_index *ix, const char *path);
/* Rebuild over what is there now.  Of an opened file: replaces it and its log in one step. */
KEN_CALL ken_status kn_index_compact(kn_index *ix, const kn_build *b);

/* New rows, or other ones for ids that are there (replace 0: KEN_E_EXISTS then); all or none. */
KEN_CALL ken_status kn_index_put(kn_index *ix, const uint64_t *ids, const float *rows, size_t n,
                                 int replace);
/* *removed: how many of the ids were there. */
KEN_CALL ken_status kn_index_remove(kn_index *ix, const uint64_t *ids, size_t n, size_t *removed);
KEN_CALL ken_status kn_index_has(kn_index *ix, uint64_t id, int *there);

/* One more than the greatest id, those that are gone from the base included. */
uint64_t kn_index_next_id(const kn_index *ix);

/* The k best of each query, best first, into near (nq, k); found (nq).  `only` (n_only): answer none
 * but these ids; NULL: all.  p->allowed is read over a source alone. */
KEN_CALL ken_status kn_index_search(const kn_index *ix, const float *queries, size_t nq,
                                    const kn_find *p, const uint64_t *only, size_t n_only,
                                    uint32_t threads, kn_near *near, size_t *found);

/* Searches of one query that take as many neighbours as they need. */
typedef struct kn_wide {
    kn_find find; /* k is not read */
    int exact;    /* 1: by comparing every row; not together with `only` */
    const uint64_t *only;
    size_t n_only;
    uint64_t (*group)(uint64_t id, void *cookie); /* of kn_index_groups */
    void *cookie;
} kn_wide;
/* All whose raw score is at least `least`, best first: *near is kn_free'd, *found long.  Of a kind that is
 * not exact some may be missing near the end. */
KEN_CALL ken_status kn_index_range(const kn_index *ix, const float *query, float least, const kn_wide *w,
                                   kn_near **near, size_t *found);
/* The k groups whose best row is nearest, each as that row, into near (k). */
KEN_CALL ken_status kn_index_groups(const kn_index *ix, const float *query, size_t k, const kn_wide *w,
                                    kn_near *near, size_t *found);

/* The same by comparing every row, whatever the kind; KEN_E_UNSUPPORTED without rows. */
KEN_CALL ken_status kn_index_exact(const kn_index *ix, const float *queries, size_t nq, size_t k,
                                   uint32_t threads, kn_near *near, size_t *found);
size_t kn_index_len(const kn_index *ix); /* rows that live */
uint32_t kn_index_dim(const kn_index *ix);
int kn_index_has_rows(const kn_index *ix); /* kn_index_exact is possible */
int kn_index_lives(const kn_index *ix, size_t slot); /* of the base */

typedef struct kn_index_info {
    const char *kind; /* canonical */
    const char *path; /* of the file it was opened from, or NULL */
    kn_metric metric;
    uint32_t dim;
    size_t n, base, gone, pending; /* n = base - gone + pending */
    size_t linked;                 /* of the pending: not compared one by one any more */
    uint64_t bytes;                /* of the file; 0 in memory */
    kn_kind_info of_kind;
    const char *table;             /* measured recall (tune.h), or NULL */
} kn_index_info;
void kn_index_get_info(const kn_index *ix, kn_index_info *out);
/* 1: every checksum of its file holds. */
int kn_index_intact(const kn_index *ix);
/* Everything, slowly; KEN_E_CORRUPT if fn was told of anything. */
KEN_CALL ken_status kn_index_check(const kn_index *ix, ken_problem_fn fn, void *cookie);

/* What is in the base now, for export. */
const kn_rows *kn_index_rows(const kn_index *ix);
const void *kn_index_state(const kn_index *ix);
const kn_spec *kn_index_spec(const kn_index *ix);

/* A unit vector of x (dim), in double and one order of additions; 0 stays 0. */
void kn_unit(float *x, size_t dim);

#endif
