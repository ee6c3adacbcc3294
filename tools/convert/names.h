/*
 * names.h - publishers' names to ours.
 *
 * A family is a list of rules; in a rule '#' stands for a number, which is copied to the next '#'
 * of our name.  Tensors that make up one of ours together (q, k and v) are its parts.
 */
#ifndef CONVERT_NAMES_H
#define CONVERT_NAMES_H

#include "tools/convert/tensor.h"

typedef enum cv_role {
    CV_VECTOR,     /* f32 (n) */
    CV_ARRAY,      /* f32 (n, k) */
    CV_TABLE,      /* rows in the stored type */
    CV_MATRIX,     /* (out, in) */
    CV_TRANSPOSED, /* a matrix that the publisher stores as (in, out) */
    CV_CONV,       /* (out, in, kh, kw), to be (out, kh, kw, in) */
    CV_SCALAR,     /* f32 () */
    CV_DROPPED     /* not needed; `to` says why */
} cv_role;

typedef struct cv_rule {
    const char *from, *to;
    cv_role role;
    uint8_t part; /* 0: all of it; 1, 2, 3: rows of that place */
} cv_rule;

typedef enum cv_family {
    CV_UNKNOWN,
    CV_OPENAI, /* OpenAI's, open_clip's and OFA's names */
    CV_HF,     /* transformers' CLIP and ChineseCLIP */
    CV_RESNET  /* torchvision's, and the CIFAR ones */
} cv_family;

enum { CV_NAME = 40, CV_PARTS = 3 };

/* One of our tensors and what it is made of. */
typedef struct cv_slot {
    char name[CV_NAME];
    cv_role role;
    uint32_t parts;
    cv_view part[CV_PARTS];
    uint64_t n, k; /* rows of all parts, elements of a row */
    int used;
} cv_slot;

typedef struct cv_drop {
    const cv_tensor *t;
    const char *why;
} cv_drop;

typedef struct cv_names {
    cv_family family;
    int bert;       /* the text tower is BERT's */
    cv_slot *slots; /* (len), by name */
    size_t len, cap;
    cv_drop *drops; /* (drops_len) */
    size_t drops_len, drops_cap;
} cv_names;

/* Removes prefixes that wrappers leave ("module.", and "text." of open_clip's custom text towers),
 * tells the family, and applies its rules.  The set is sealed by it and must outlive *out.
 * KEN_E_UNSUPPORTED names a tensor that no rule knows; KEN_E_FORMAT two for the same place. */
KEN_CALL ken_status cv_names_map(cv_names *out, cv_set *s);
void cv_names_release(cv_names *m);
cv_slot *cv_names_find(const cv_names *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int cv_names_has(const cv_names *m, const char *name);

/* Rules, ended by a NULL `from`. */
extern const cv_rule cv_rules_vit[], cv_rules_modified_resnet[], cv_rules_clip_text[],
    cv_rules_bert[];
extern const cv_rule cv_rules_hf_vit[], cv_rules_hf_text[], cv_rules_hf_bert[];
extern const cv_rule cv_rules_resnet[], cv_rules_any[];

#endif
