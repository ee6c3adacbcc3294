/* parse.h - what the readers of this folder share. */
#ifndef MESH_PARSE_H
#define MESH_PARSE_H

#include "mesh/mesh.h"

/* One reader a format; m is empty, and theirs to fill with kn_mesh_add.  kn_mesh_parse looks after the
 * rest. */
typedef ken_status kn_mesh_reader(kn_mesh *m, const unsigned char *bytes, size_t len);
kn_mesh_reader kn_read_stl, kn_read_obj, kn_read_ply;

/* One triangle more; one without an area is counted only.  KEN_E_LIMIT, KEN_E_NOMEM. */
KEN_CALL ken_status kn_mesh_add(kn_mesh *m, const float corners[9]);

/* A float of four little-endian bytes. */
float kn_little_float(const unsigned char *p);

/* Words of a text, separated by white space. */
typedef struct kn_words {
    const unsigned char *at, *end;
    size_t line;   /* of the word, from 1 */
    char word[64]; /* in lower case, cut if longer; "" behind the last */
} kn_words;

/* The next word, on whatever line; 0 at the end of the text. */
int kn_words_next(kn_words *w);
/* The next word of this line; 0 at its end. */
int kn_words_next_here(kn_words *w);
void kn_words_skip_line(kn_words *w);
/* w->word as a float.  KEN_E_FORMAT naming the line: not a number, NaN, or too large. */
KEN_CALL ken_status kn_words_float(const kn_words *w, float *out);
/* w->word's leading integer; what stands behind it ("/7") is *rest, if asked for, and an error else. */
KEN_CALL ken_status kn_words_whole(const kn_words *w, long long *out, const char **rest);

#endif
