/* trie.h - strings to numbers while a block is made. */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include "text/block.h"

/* Node 0 is the root: the empty string.  A zeroed one has no nodes yet: kn_trie_init. */
typedef struct kn_trie {
    kn_entry *edges; /* (edge_count) node a, character b, to node value */
    size_t edge_count, edge_cap;
    uint32_t *ids; /* (nodes) KN_NO_VALUE: no string ends here */
    size_t nodes, node_cap;
    uint32_t *rows; /* (row_count) edge + 1, 0: empty */
    size_t row_count;
} kn_trie;

KEN_CALL ken_status kn_trie_init(kn_trie *t);
void kn_trie_release(kn_trie *t);
/* Where c (n) leads from a node, or KN_NO_VALUE. */
uint32_t kn_trie_walk(const kn_trie *t, uint32_t from, const uint32_t *c, size_t n);
/* The same, made where it does not exist. */
KEN_CALL ken_status kn_trie_add(kn_trie *t, uint32_t from, const uint32_t *c, size_t n,
                                uint32_t *node);

#endif
