/*
 * pickle.h - a pickle as data.
 *
 * Reading builds a graph of nodes and calls nothing: what a pickle wants called is a node of kind
 * OBJECT that says so.  Nodes are numbered; 0 is None.  The graph may share nodes and have cycles:
 * whoever walks it counts his steps.
 */
#ifndef CONVERT_PICKLE_H
#define CONVERT_PICKLE_H

#include "ken.h"

typedef enum cv_kind {
    CV_NONE,
    CV_BOOL, /* i */
    CV_INT,  /* i */
    CV_FLOAT,
    CV_LONG,   /* an integer beyond 64 bits; its value is not kept */
    CV_TEXT,   /* text: a string or bytes */
    CV_TUPLE,  /* items */
    CV_LIST,   /* items; also sets */
    CV_DICT,   /* items: key, value, key, value … */
    CV_GLOBAL, /* global: module and name */
    CV_OBJECT, /* object: what `fn` called with `args` would give */
    CV_REF     /* ref: the node of a persistent id */
} cv_kind;

typedef struct cv_node {
    cv_kind kind;
    uint32_t len, cap; /* of items */
    union {
        int64_t i;
        uint32_t *items;
        uint32_t ref;
        struct {
            const char *s; /* in the pickle, not terminated */
            size_t n;
        } text;
        struct {
            const char *module, *name; /* in the pickle, not terminated */
            uint32_t module_len, name_len;
        } global;
        struct {
            uint32_t fn, args;
            uint32_t state; /* given to it later by BUILD, or 0 */
            uint32_t items; /* node of kind DICT: put into it later, or 0 */
        } object;
    } u;
} cv_node;

typedef struct cv_pickle {
    cv_node *nodes; /* (len) */
    size_t len, cap;
    uint32_t root;
    size_t used; /* bytes, up to behind its end */
} cv_pickle;

/* One pickle (protocols 0 to 5) at the start of the bytes, which must outlive *out.
 * KEN_E_FORMAT names the byte, KEN_E_LIMIT. */
KEN_CALL ken_status cv_pickle_read(cv_pickle *out, const void *bytes, size_t len);
void cv_pickle_free(cv_pickle *p);

/* 1 if the node is that text, and if it is the global module.name. */
int cv_is_text(const cv_pickle *p, uint32_t node, const char *s);
int cv_is_global(const cv_pickle *p, uint32_t node, const char *module, const char *name);

#endif
