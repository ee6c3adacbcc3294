/* where_tree.h - an expression as where.c reads it and where_match.c walks it. */
#ifndef ENGINE_WHERE_TREE_H
#define ENGINE_WHERE_TREE_H

#include "engine/where.h"

#include "base/file.h"

typedef enum kn_where_key {
    KN_KEY_OF_PATH,
    KN_KEY_OF_NAME,
    KN_KEY_OF_DIR,
    KN_KEY_OF_EXT,
    KN_KEY_OF_KIND,
    KN_KEY_OF_OBJECT,
    KN_KEY_OF_ID,
    KN_KEY_OF_BYTES,
    KN_KEY_OF_WIDTH,
    KN_KEY_OF_HEIGHT,
    KN_KEY_OF_MTIME,
    KN_KEY_OF_ADDED,
    KN_KEY_OF_TAKEN,
    KN_KEY_OF_META
} kn_where_key;

typedef enum kn_where_type { KN_TYPE_TEXT, KN_TYPE_NUMBER, KN_TYPE_TIME, KN_TYPE_ANY } kn_where_type;

typedef struct kn_where_name {
    const char *name;
    kn_where_key key;
    kn_where_type type;
} kn_where_name;
extern const kn_where_name kn_where_names[]; /* ended by a NULL name */

typedef enum kn_op {
    KN_OP_EQUAL, /* any of the values */
    KN_OP_LESS,
    KN_OP_AT_MOST,
    KN_OP_MORE,
    KN_OP_AT_LEAST,
    KN_OP_LIKE,
    KN_OP_THERE
} kn_op;

typedef struct kn_where_value {
    char *text;
    int has_number, has_time;
    double number;
    int64_t from, to; /* of a time */
} kn_where_value;

typedef struct kn_where_node {
    enum { KN_NODE_AND, KN_NODE_OR, KN_NODE_NOT, KN_NODE_TEST } what;
    uint32_t left, right; /* nodes; NOT has only left */
    kn_where_key key;    /* of a test, from here on */
    kn_where_type type;
    kn_op op;
    char *member; /* of meta: "camera.make" */
    uint32_t first_value, n_values;
} kn_where_node;

struct kn_where {
    kn_where_node *nodes; /* (n) a node comes behind those that it refers to */
    kn_where_value *values;
    size_t n, n_values;
    uint32_t root;
    int meta; /* some test looks into it */
};

/* ---- what an item has, as the keys mean it (where_match.c) ---- */

/* "a.b" of an item's metadata, or NULL. */
const struct cJSON *kn_where_member(const struct cJSON *meta, const char *name);
/* Of the path's name, "" without one. */
const char *kn_where_extension(const char *path);
/* How much of the path is its folder. */
size_t kn_where_folder(const char *path);
/* meta.taken where it is a time, else the file's, in nanoseconds since 1970. */
int64_t kn_where_taken(const struct cJSON *meta, const kn_item *item);

#endif
