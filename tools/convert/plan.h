/*
 * plan.h - from named tensors to what the model file will hold.
 *
 * The configuration is inferred from names and shapes; everything it needs must be there, in its
 * shape, and everything that was mapped must be needed.
 */
#ifndef CONVERT_PLAN_H
#define CONVERT_PLAN_H

#include "nn/config.h"
#include "tools/convert/names.h"
#include "tools/convert/side.h"

typedef struct cv_options {
    kn_type type;     /* of matrices: KN_F32, KN_F16, KN_BF16 */
    int int8;         /* matrices are int8 rows, each with a factor; type is that of tables */
    int trainable;    /* fold nothing, rows instead of panels */
    const char *arch; /* or NULL */
    int has_act;
    kn_act act;
    uint32_t size;         /* pixels of the input's side, or 0: the checkpoint's own */
    const char *tokenizer; /* a file, or NULL: the one beside */
    const char *labels;    /* a file, one a line, or NULL: the head is dropped */
    const char *licence, *source, *name; /* or NULL */
} cv_options;

typedef enum cv_kind_of {
    CV_FLOATS, /* f32 (n) or (n, k) */
    CV_ROWS,   /* (n, k) in the stored type */
    CV_MAT,    /* (n, k) in the stored type and layout */
    CV_BYTES   /* U8 (n), from `bytes` */
} cv_kind_of;

/* One tensor of the output. */
typedef struct cv_item {
    char name[CV_NAME];
    cv_kind_of kind;
    uint32_t rank; /* of FLOATS */
    uint64_t n, k;
    const cv_slot *from;    /* NULL for values and bytes */
    const cv_slot *norm[4]; /* BatchNorm's weight, bias, mean, variance, to fold; or NULL */
    int bias;               /* 1: the bias that folding gives */
    uint64_t scaled;        /* the first rows get the factor … */
    double scale;           /* … */
    float *values;          /* computed already, (n, k); owned */
    unsigned char *bytes;   /* owned */
    const char *note;       /* what was done, for people; or NULL */
} cv_item;

typedef struct cv_plan {
    const cv_options *opts;
    cv_names names;
    int openai; /* the checkpoint is marked as OpenAI's */
    kn_net_config config;
    uint32_t grid[2];      /* of the checkpoint's positions; config has that of --size */
    const char *arch;      /* a published name, or "custom" */
    const char *act_from;  /* where the activation was learnt, or NULL */
    const char *prep_from; /* and the preprocessing */
    char *tokenizer_from;  /* the file, or NULL; owned */
    const char *tokenizer; /* kind, or NULL */
    char *labels;          /* JSON, or NULL; owned */
    cv_item *items;        /* (len) */
    size_t len, cap;
} cv_plan;

/* The set is renamed and sealed.  KEN_E_INVALID for an option that does not fit, KEN_E_FORMAT and
 * KEN_E_UNSUPPORTED naming the tensor, KEN_E_NOTFOUND for --arch. */
KEN_CALL ken_status cv_plan_make(cv_plan *out, cv_set *set, const cv_side *side,
                                 const cv_options *o);
void cv_plan_release(cv_plan *p);

/* ---- between the parts of the planner ---- */

/* A slot that must be there as (n, k); k is 0 for a vector. */
KEN_CALL ken_status cv_plan_need(cv_plan *p, cv_slot **out, uint64_t n, uint64_t k, const char *fmt,
                                 ...) __attribute__((format(printf, 5, 6)));
KEN_CALL ken_status cv_plan_add(cv_plan *p, const cv_item *item);
/* The needed slot as it is, and one tensor of the given kind. */
KEN_CALL ken_status cv_plan_take(cv_plan *p, cv_kind_of kind, uint64_t n, uint64_t k,
                                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* NAME.w and NAME.b, the first rows of both scaled. */
KEN_CALL ken_status cv_plan_linear(cv_plan *p, uint64_t n, uint64_t k, uint64_t scaled,
                                   double scale, const char *name);
/* NAME.w with BatchNorm at NAME.bn, folded or not. */
KEN_CALL ken_status cv_plan_conv(cv_plan *p, uint64_t n, uint64_t k, const char *name);

/* What the shapes say; KEN_E_FORMAT where they do not agree. */
KEN_CALL ken_status cv_infer_vit(cv_plan *p, const cv_side *side);
KEN_CALL ken_status cv_infer_resnet(cv_plan *p);
KEN_CALL ken_status cv_infer_text(cv_plan *p, const cv_side *side);
/* The output's tensors. */
KEN_CALL ken_status cv_plan_vit(cv_plan *p, cv_set *set);
KEN_CALL ken_status cv_plan_resnet(cv_plan *p);
KEN_CALL ken_status cv_plan_text(cv_plan *p);

/* How a publisher resizes a table of positions. */
typedef enum cv_resize { CV_BICUBIC_ANTIALIAS, CV_BICUBIC, CV_BICUBIC_CORNERS } cv_resize;
/* (h0, w0, c) to (h1, w1, c) as torch.nn.functional.interpolate, in double. */
KEN_CALL ken_status cv_resize_grid(const float *in, const uint32_t from[2], float *out,
                                   const uint32_t to[2], size_t c, cv_resize how);

#endif
