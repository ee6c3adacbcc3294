/*
 * load.h - tensors of a model file, checked against the config and ready to compute with.
 *
 * What fits the arithmetic is used in the mapping; what does not is packed into memory that
 * `owned` keeps.  Without a file the same calls make random weights.
 */
#ifndef NN_LOAD_H
#define NN_LOAD_H

#include "nn/mat.h"
#include "nn/weights.h"

static const float KN_BN_EPS = 1e-5F; /* of every BatchNorm that a model file may hold */

/* Memory made at opening. */
typedef struct kn_owned {
    void **list; /* (len) */
    size_t len, cap;
} kn_owned;
void *kn_own(kn_owned *o, size_t n, size_t size); /* 64-aligned; NULL: out of memory */
void kn_owned_release(kn_owned *o);

typedef struct kn_source {
    const kn_weights *weights; /* NULL: random weights … */
    uint64_t seed;             /* … from this seed */
    int panels;                /* layout "panel16", else "rows" */
    int folded;                /* BatchNorm and attention scales are in the weights */
    const kn_crew *crew;
    kn_owned *owned;
} kn_source;

/* A table of embeddings, (n, k) in the stored type. */
typedef struct kn_rows {
    size_t n, k;
    const void *data;
    kn_type type;
} kn_rows;
/* out (k) = row i, as f32 */
void kn_rows_get(const kn_kernels *k, const kn_rows *r, size_t i, float *out);

/* ---- one tensor of a file: KEN_E_FORMAT names it, what it has and what is wanted ---- */

/* *out NULL: the file has none of that name. */
KEN_CALL ken_status kn_tensor_find(const kn_weights *w, const char *name, const kn_tensor **out);
KEN_CALL ken_status kn_tensor_shape(const kn_tensor *t, uint32_t rank, const uint64_t *shape);
/* f32, f16 or bf16 */
KEN_CALL ken_status kn_tensor_type(const kn_tensor *t, kn_type *out);
/* The shape of a matrix (n, k) of that type, as panels or rows. */
KEN_CALL ken_status kn_tensor_matrix(const kn_tensor *t, kn_type type, int panels, size_t n, size_t k);
/* out (cols) = a row of panels (mat.h) of that many columns, as f32 */
void kn_panel_row(const kn_kernels *k, const void *panels, kn_type type, size_t cols, size_t row, float *out);
/* out (m->k) = a row of a matrix as it is multiplied with */
void kn_mat_row(const kn_kernels *k, const kn_mat *m, size_t row, float *out);

/* ---- what networks are made of ----
 * All below: KEN_E_FORMAT as above, of a tensor that is missing too; KEN_E_NOMEM.  The name is printf's. */
int kn_source_has(const kn_source *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* f32: (n), and (n, k) */
KEN_CALL ken_status kn_load_vec(const kn_source *s, const float **out, size_t n, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
KEN_CALL ken_status kn_load_array(const kn_source *s, const float **out, size_t n, size_t k,
                                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
KEN_CALL ken_status kn_load_rows(const kn_source *s, kn_rows *out, size_t n, size_t k,
                                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* NAME.w without bias. */
KEN_CALL ken_status kn_load_mat(const kn_source *s, kn_mat *out, size_t n, size_t k, const char *fmt,
                                ...) __attribute__((format(printf, 5, 6)));
/* NAME.w and NAME.b; the first q_rows of both get the factor `scale` unless the file has it. */
KEN_CALL ken_status kn_load_linear(const kn_source *s, kn_mat *out, size_t n, size_t k,
                                   size_t q_rows, float scale, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
/* NAME.w with NAME.b, or with NAME.bn.{w,b,mean,var}, which are folded now. */
KEN_CALL ken_status kn_load_conv(const kn_source *s, kn_mat *out, size_t n, size_t k,
                                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
