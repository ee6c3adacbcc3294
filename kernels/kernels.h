/*
 * kernels.h - the inner loops, one function pointer each.
 *
 * A kernel is a pure function of its arguments: it does not allocate, lock,
 * print, fail or start threads; it may take 256 KB of stack.  kernels/c/ holds
 * the reference of every one; a folder named after an instruction set holds
 * faster ones under the same file name.
 *
 * Unless a kernel says otherwise: any n including 0, any alignment, inputs may
 * alias each other but not the output, no read past the last element.
 *
 * bf16 is the upper half of an f32, rounded to nearest even; f16 is IEEE half.
 * Both travel as uint16_t.
 *
 * Every float result is a fixed sequence of operations for each output element:
 * it does not depend on the other rows, on how many there are, or on how a
 * caller splits rows and columns over threads.  Levels may differ by rounding.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "kernels/toy.h"

#include <stddef.h>
#include <stdint.h>

typedef enum kn_type {
    KN_F32,
    KN_BF16,
    KN_F16,
    KN_I8
} kn_type;

typedef enum kn_act {
    KN_ACT_NONE,
    KN_ACT_RELU,
    KN_ACT_QUICKGELU, /* x / (1 + exp(-1.702 x)) */
    KN_ACT_GELU       /* x/2 (1 + erf(x / sqrt 2)), to 1 ulp of bf16 in bf16, 2e-7 in f32 */
} kn_act;

/*
 * Weights of a matrix product, W (N, K), as panels of KN_PANEL columns of the
 * output, the layout that model files store so that nothing is repacked:
 *
 *   f32, f16  [ceil(N/16)][Kp][16]         element (p, k, j) is W[16p + j][k]
 *   bf16      [ceil(N/16)][Kp/2][16][2]    element (p, k, j, e) is W[16p + j][2k + e]
 *
 * Kp = kn_panel_k(K, type): K for f32 and f16, K rounded up to 32 for bf16, so that
 * 32 rows of k of a bf16 panel are one AMX tile of 1 KB.  Padding is zero.
 */
enum { KN_PANEL = 16, KN_PANEL_K = 32 };

static inline size_t kn_panel_k(size_t k, kn_type type)
{
    return type == KN_BF16 ? (k + KN_PANEL_K - 1) / KN_PANEL_K * KN_PANEL_K : k;
}

/* How the product is computed.  bf16x3: each f32 factor as a sum of two bf16,
 * hi*hi + hi*lo + lo*hi, accumulated in f32; a level that gains nothing from bf16 takes the f32
 * product of a with hi + lo instead, which is nearer the exact one. */
typedef enum kn_math {
    KN_MATH_F32,
    KN_MATH_BF16,
    KN_MATH_BF16X3
} kn_math;

/* c = act(a W^T + bias + residual).  Accumulated in f32 over ascending k. */
typedef struct kn_gemm {
    kn_math math;
    size_t m, n, k;
    const void *a;      /* (m, k), rows lda elements apart; f32 for math F32 and BF16X3, bf16 for BF16 */
    size_t lda;
    const void *w;      /* panels.  F32: f32, f16 or bf16.  BF16: bf16.  BF16X3: bf16, the hi parts */
    kn_type w_type;
    const void *w_lo;   /* BF16X3: panels of the lo parts, or NULL if they are all zero */
    const float *bias;  /* (n) or NULL */
    const void *residual; /* (m, n), rows ldr apart, of type residual_type; or NULL; may be c */
    size_t ldr;
    kn_type residual_type; /* KN_F32 or KN_BF16 */
    kn_act act;
    void *c;            /* (m, n), rows ldc elements apart */
    size_t ldc;
    kn_type c_type;     /* KN_F32 or KN_BF16 */
} kn_gemm;

/* A convolution as a matrix product whose rows are output pixels, NHWC.  The weights' k axis is
 * (kh, kw, cin / groups): k = (y * kw + x) * cin + c.  Output pixel (b, oy, ox) reads input rows
 * oy * stride - pad + y * dilation; outside is zero.  Only groups == 1 here. */
typedef struct kn_conv {
    kn_gemm g;          /* m = batch * oh * ow (set by the caller), n = cout, k = kh * kw * cin;
                           a is the input (batch, h, w, cin), lda = cin (distance of two pixels) */
    uint32_t h, w, cin;
    uint32_t kh, kw, stride, pad, dilation;
    uint32_t oh, ow;
} kn_conv;

/* Multi-head attention over `seqs` independent sequences whose rows lie one
 * behind the other; row r holds q, k and v of all heads side by side.
 * out[i] = softmax(q_i . k_j) v, over j (and j <= i if causal).  q already holds the
 * factor 1/sqrt(head dim).  Softmax in f32; a level with bf16 products rounds its weights to bf16
 * when the type is bf16. */
typedef struct kn_attention {
    kn_type type;           /* of q, k, v and out: KN_F32 or KN_BF16 */
    const void *q, *k, *v;  /* rows ldq / ldk / ldv elements apart */
    size_t ldq, ldkv;       /* k and v share their distance */
    void *out;              /* rows ldo apart */
    size_t ldo;
    uint32_t heads, dim;    /* head h is columns h*dim .. h*dim + dim - 1; dim <= 128 */
    uint32_t q_rows;        /* queries: rows of q and out … */
    uint32_t kv_rows;       /* … keys: rows of k and v */
    int causal;             /* query i sees keys 0 .. i + (kv_rows - q_rows) */
    const float *bias;      /* (kv_rows) added to the scores of each key, or NULL */
    float *scratch;         /* kn_attention_scratch(kv_rows, dim) floats, 64-aligned */
} kn_attention;
enum { KN_ATTENTION_BLOCK = 32 }; /* most query rows that a level works on at a time */
size_t kn_attention_scratch(uint32_t kv_rows, uint32_t dim);

/* The gradient of a convolution's weights: dw (n, k) = dy^T (rows that the convolution reads), one
 * sum over all output pixels in their order, in chunks.  A product of matrices is the 1x1 case. */
typedef struct kn_wgrad {
    kn_conv c;          /* the geometry and the input; g.m, n, k, a, lda and math, F32 or BF16, are read */
    const void *turned; /* dy as `turn` leaves it */
    float *dw;          /* (n, k) */
    int add;            /* to what dw holds */
} kn_wgrad;
enum { KN_TURN_ROWS = 256 }; /* output pixels of a chunk */
size_t kn_turned_bytes(size_t m, size_t n);
/* Pieces of the work, each its own part of dw; neighbours together read x and dy fewer times. */
enum { KN_WGRAD_ROWS = 256, KN_WGRAD_COLUMNS = 32 };
size_t kn_wgrad_pieces(size_t n, size_t k);

/* Maps (images, h, w, c) in tiles of 2 x 2 pixels, for 3 x 3 convolutions with stride 1 and a border of
 * 1.  Tiles are numbered picture by picture and line by line, ceil(h / 2) x ceil(w / 2) in each. */
typedef struct kn_tiles {
    const void *x;
    kn_type type; /* F32 or BF16 */
    uint32_t h, w, c;
} kn_tiles;
static inline size_t kn_tiles_of(const kn_tiles *s)
{
    return (size_t)((s->h + 1) / 2) * ((s->w + 1) / 2);
}

/* One horizontal or vertical pass of Pillow's resampling: 8-bit in and out. */
typedef struct kn_resample {
    const uint8_t *in;      /* first needed row */
    size_t in_stride;       /* bytes */
    uint8_t *out;
    size_t out_stride;
    uint32_t width, height; /* of the output, in pixels of `channels` bytes */
    uint32_t channels;      /* 1, 3 or 4 */
    const uint32_t *first;  /* (width or height) first input pixel of each output one */
    const uint32_t *count;  /* … and how many */
    const int32_t *coeff;   /* (width or height, taps) fixed point, 22 bits behind the point;
                             * each from -1.9 to 1.9 */
    uint32_t taps;
} kn_resample;

/* A product quantiser's centroids: vectors of m * dsub floats are cut into m pieces, each with k
 * centroids of its own, element t of all k side by side. */
typedef struct kn_pq_space {
    size_t m, k, dsub;      /* k: a multiple of 16, at most 256 */
    const float *centroids; /* (m, dsub, k) */
} kn_pq_space;

/* 4-bit codes lie in blocks of KN_PQ4_BLOCK vectors, m2 / 2 pairs of pieces of 32 bytes each (m2 = m
 * rounded up to even), as faiss's fast-scan has them: byte 16 (s % 2) + j of pair s / 2 holds piece s
 * of vector w(j) in its low and of vector w(j) + 16 in its high half; w(j) = j / 2 + 8 (j % 2). */
enum { KN_PQ4_BLOCK = 32 };
static inline size_t kn_pq4_block_bytes(size_t m)
{
    return (m + 1) / 2 * 32;
}

typedef struct kn_kernels {
    /* gemm.c.  Within (k + 4) eps sum|terms| of the exact product of the (rounded) factors. */
    void (*gemm)(const kn_gemm *g);
    /* conv.c.  Output pixels m0 .. m1-1 of c->g.m; c->g.c and residual are of pixel 0. */
    void (*conv)(const kn_conv *c, size_t m0, size_t m1);
    /* pack.c.  Panels of one matrix, from (n, k) row-major f32.  out: kn_panel_bytes(). */
    void (*pack)(const float *w, size_t n, size_t k, kn_type type, void *out);
    /* Of the turned matrix: w (k / taps, taps, ld), its first n columns, is read as (n, k), taps in
     * reverse: what carries a convolution's gradient back to its input.  taps 1: the transpose. */
    void (*pack_turned)(const float *w, size_t ld, size_t n, size_t k, size_t taps, kn_type type,
                        void *out);
    /* The lo parts: bf16 panels of w - bf16(w). */
    void (*pack_lo)(const float *w, size_t n, size_t k, void *out);

    /* outer.c.  Chunks c0 .. c1-1 of dy (m, n), rows ldy elements apart, of the type that math names:
     * into the level's own layout, for wgrad. */
    void (*turn)(kn_math math, const void *dy, size_t ldy, size_t m, size_t n, size_t c0, size_t c1,
                 void *turned);
    void (*wgrad)(const kn_wgrad *w, size_t p0, size_t p1); /* pieces p0 .. p1-1 */

    /* attention.c */
    void (*attention)(const kn_attention *a);

    /* norm.c.  y = (x - mean) / sqrt(var + eps) * gamma + beta over n; gamma, beta may be NULL (1 and
     * 0).  out is f32 or bf16; out may be x when it is f32.  Mean and variance in f32 pairwise, two
     * passes. */
    void (*layernorm)(const float *x, size_t n, const float *gamma, const float *beta, float eps,
                      void *out, kn_type out_type);
    void (*softmax)(float *x, size_t n);                     /* in place */
    float (*l2_normalize)(float *x, size_t n);               /* in place; returns the norm; 0 stays 0 */
    /* Of one row: dx += what reaches x (n) through layernorm, dgamma and dbeta likewise; mean and
     * deviation are computed again.  dy is of dy_type. */
    void (*layernorm_grad)(const void *dy, kn_type dy_type, const float *x, size_t n,
                           const float *gamma, float eps, float *dx, float *dgamma, float *dbeta);
    void (*softmax_grad)(const float *p, float *dp, size_t n); /* dp = p (dp - p . dp) */
    /* act.c, in place */
    void (*activate)(float *x, size_t n, kn_act act);
    /* dy = dy act'(x) */
    void (*activate_grad)(const float *x, float *dy, size_t n, kn_act act);

    /* batch.c: what batch normalisation does to maps (rows, c) of one type, per channel.
     * Sums over the rows of x - shift and of its square. */
    void (*moments)(const void *x, kn_type type, size_t rows, size_t c, const float *shift,
                    float *sum, float *square);
    /* y = x scale + shift (+ residual, or NULL), negatives to 0 with relu; y may be x */
    void (*affine)(const void *x, kn_type type, size_t rows, size_t c, const float *scale,
                   const float *shift, const void *residual, int relu, void *y);
    /* g = dy, or 0 where y is 0 (y NULL: no relu).  Sums over the rows of g and of g (x - mean). */
    void (*affine_sums)(const void *dy, const void *y, const void *x, kn_type type, size_t rows,
                        size_t c, const float *mean, float *sum, float *product);
    /* dx = a g + b x + d (dx may be dy); dres = g, or += g with add, or NULL */
    void (*affine_grad)(const void *dy, const void *y, const void *x, kn_type type, size_t rows,
                        size_t c, const float *a, const float *b, const float *d, void *dx,
                        void *dres, int add);

    /* out (c) = the sum of `count` rows, or += with add */
    void (*sum_rows)(const float *const *rows, size_t count, size_t c, kn_type type, void *out, int add);

    /* wino.c: F(2 x 2, 3 x 3), 16 products in place of 36 (Winograd, 1980; Lavin and Gray, 2016).
     * B^T d B of the 4 x 4 pixels that each tile reads, zeros outside: v (16, t1 - t0, c) of the maps'
     * type, each of the 16 `apart` elements behind the one before. */
    void (*tiles_in)(const kn_tiles *s, size_t t0, size_t t1, void *v, size_t apart);
    /* A e A^T of each tile's own 2 x 2 pixels: what the gradient of the weights needs of that of the
     * output */
    void (*tiles_grad)(const kn_tiles *s, size_t t0, size_t t1, void *v, size_t apart);
    /* y, or += with add, = A^T m A, m as v but f32; s tells what y is (s->x is not read) */
    void (*tiles_out)(const float *m, size_t apart, const kn_tiles *s, size_t t0, size_t t1, int add,
                      void *y);

    /* pool.c, NHWC, channels c contiguous; type f32 or bf16. */
    /* k x k, stride s, pad p (padding never wins) */
    void (*maxpool)(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c, uint32_t k,
                    uint32_t s, uint32_t p, void *out);
    /* k x k, stride k, no padding; h and w rounded down */
    void (*avgpool)(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c, uint32_t k,
                    void *out);
    /* maxpool's: dx (h, w, c) += dy at each window's greatest pixel, the first in scan order */
    void (*maxpool_grad)(const void *in, const void *dy, kn_type type, uint32_t h, uint32_t w,
                         uint32_t c, uint32_t k, uint32_t s, uint32_t p, void *dx);
    /* mean over n pixels: (n, c) to f32 (c) */
    void (*meanpool)(const void *in, kn_type type, size_t n, uint32_t c, float *out);

    /* dist.c.  Float sums may be reordered: within n*FLT_EPSILON*sum|terms|. */
    float (*dot_f32)(const float *a, const float *b, size_t n);
    float (*l2sq_f32)(const float *a, const float *b, size_t n);
    float (*dot_f16)(const float *a, const uint16_t *b, size_t n);  /* b is f16 */
    float (*dot_i8)(const float *a, const int8_t *b, size_t n);     /* unscaled */
    /* out[i] = a . row i of rows (m, n), and the same of f16 rows: one query, many rows */
    void (*dots_f32)(const float *a, const float *rows, size_t m, size_t n, float *out);
    void (*dots_f16)(const float *a, const uint16_t *rows, size_t m, size_t n, float *out);
    /* out (q, m): every query with every row; blocked through registers.  Each element has the bits
     * that dots_ and dot_ give it. */
    void (*dots_batch_f32)(const float *queries, size_t q, const float *rows, size_t m, size_t n,
                           float *out, size_t ldo);
    void (*dots_batch_f16)(const float *queries, size_t q, const uint16_t *rows, size_t m, size_t n,
                           float *out, size_t ldo);
    uint32_t (*hamming)(const uint8_t *a, const uint8_t *b, size_t n); /* differing bits, exact */

    /* pq.c.  One order of plain additions and multiplications, none of them fused: bit-equal at every
     * level.  x (m * dsub); out (m, k): squared distances to, or inner products with, each centroid. */
    void (*pq_l2)(const kn_pq_space *s, const float *x, float *out);
    void (*pq_dot)(const kn_pq_space *s, const float *x, float *out);
    /* out (m): the nearest centroid of each piece, the first of equally near ones. */
    void (*pq_nearest)(const kn_pq_space *s, const float *x, uint8_t *out);
    /* out (n): of each code (m bytes), the sum of table[s * 256 + code[s]] over ascending s */
    void (*pq8_sums)(const float *table, const uint8_t *codes, size_t n, size_t m, float *out);
    /* Of every vector of the blocks, the sum of lut[16 s + code of piece s], at most 65535:
     * sums (blocks, 32); hits (blocks): bit v is set if sum v <= limit.  lut (m2, 16), m2 even. */
    void (*pq4_scan)(const uint8_t *codes, size_t blocks, size_t m2, const uint8_t *lut,
                     uint16_t limit, uint16_t *sums, uint32_t *hits);

    /* code.c: compact codes of vectors, in whole numbers, so that every level gives the same bits.
     * A 1-bit code has `bytes` bytes, a multiple of 8, at most 1024; a query has four planes of as many,
     * one behind the other.  out[i] = the sum over k of 2^k times the bits in which plane k and a code
     * differ, of the code at slots[i], or with slots NULL of the i-th. */
    void (*code_differ)(const uint8_t *planes, const uint8_t *codes, size_t bytes,
                        const uint32_t *slots, size_t m, uint32_t *out);
    /* out[i] = factors[i] (f16) times (base - what code_differ gives), each step rounded to f32 */
    void (*code_estimate)(const uint8_t *planes, const uint8_t *codes, size_t bytes,
                          const uint32_t *slots, const uint16_t *factors, size_t m, float base,
                          float *out);
    /* Sums of products of a, 0 .. 127, with rows of -127 .. 127; n a multiple of 32, at most 8192; rows
     * ld bytes apart, that of slots[i] or with slots NULL the i-th. */
    void (*dots_u7i8)(const uint8_t *a, const int8_t *rows, size_t ld, const uint32_t *slots,
                      size_t m, size_t n, int32_t *out);
    /* out (q, m): every row of a with every row of b */
    void (*products_u7i8)(const uint8_t *a, size_t lda, size_t q, const int8_t *b, size_t ldb,
                          size_t m, size_t n, int32_t *out, size_t ldo);

    /* convert.c.  Exact where the target can hold the value, else to nearest even; NaN stays NaN. */
    void (*f32_to_bf16)(const float *in, uint16_t *out, size_t n);
    void (*bf16_to_f32)(const uint16_t *in, float *out, size_t n);
    void (*f32_to_f16)(const float *in, uint16_t *out, size_t n);
    void (*f16_to_f32)(const uint16_t *in, float *out, size_t n);

    /* toy.c: one picture of a toy; see kernels/toy.h */
    kn_toy_rows_fn *toy_rows;

    /* resample.c.  Exact: bit-equal at every level. */
    void (*resample_h)(const kn_resample *r);
    void (*resample_v)(const kn_resample *r);
    /* 8-bit interleaved RGB (n pixels) to floats through a table (3, 256): planes at out,
     * out + plane, out + 2 plane */
    void (*rgb_to_planes)(const uint8_t *rgb, size_t n, const float *table, float *out,
                          size_t plane);

    /* peak.c.  Rounds of multiply-adds in registers; returns the operations done (two each). */
    double (*peak)(kn_math math, size_t rounds);
} kn_kernels;

/* Bytes of the panels of an (n, k) matrix. */
size_t kn_panel_bytes(size_t n, size_t k, kn_type type);

/* Instruction sets, each a bundle that ships together. */
enum {
    KN_CPU_AVX2 = 1u << 0,       /* AVX2 FMA F16C BMI2 POPCNT */
    KN_CPU_AVX512 = 1u << 1,     /* F BW DQ VL */
    KN_CPU_AVX512ICL = 1u << 2,  /* VNNI VBMI VPOPCNTDQ BITALG */
    KN_CPU_AVX512BF16 = 1u << 3, /* VDPBF16PS: twice f32's rate on Zen 4, less than f32's on Intel */
    KN_CPU_AMX = 1u << 4,        /* TILE BF16 INT8, and the kernel's permission */
    KN_CPU_NEON = 1u << 5
};

/* What this processor and this operating system both support. */
unsigned kn_cpu_detect(void);

/* The best table for a given set of features.  Pure: the same set gives the
 * same table, so a test can build any level that the machine can run. */
kn_kernels kn_kernels_for(unsigned cpu);

/* The table for this process, chosen once.  KEN_CPU=c|avx2|avx512|… caps it. */
const kn_kernels *kn_kernels_get(void);
/* Its features, and its level's name. */
unsigned kn_cpu_get(void);
const char *kn_level_get(void);

/* Multiply-adds in registers for about `seconds`; returns operations done (two each) a second, on
 * this thread, at the level in force. */
double kn_peak(kn_math math, double seconds);

/* Levels, slowest first, ended by a NULL name: for the cap and for the tests. */
typedef struct kn_level {
    const char *name;
    unsigned need;
    void (*init)(kn_kernels *k);
} kn_level;
extern const kn_level kn_levels[];

void kn_kernels_init_c(kn_kernels *k);
void kn_kernels_init_avx2(kn_kernels *k);
void kn_kernels_init_avx512(kn_kernels *k);
void kn_kernels_init_avx512icl(kn_kernels *k);
void kn_kernels_init_avx512bf16(kn_kernels *k);
void kn_kernels_init_amx(kn_kernels *k);
void kn_kernels_init_neon(kn_kernels *k);

#endif
