/* side.h - one of two things that are compared: a picture, text:WORDS, or a 3-D model. */
#ifndef CLI_SIDE_H
#define CLI_SIDE_H

#include "cli/open.h"

#include <stddef.h>

/* As vectors: one, or one for each view of a model. */
typedef struct cli_side {
    const char *text; /* of words, else NULL */
    ken_mesh *mesh;   /* of a model, else NULL */
    ken_image *image; /* of a picture, else NULL */
    float *vectors;   /* (n, dim) */
    size_t n;
} cli_side;

/* The file of an operand that is a 3-D model, by its name; the words of one that is a text.  Else NULL. */
const char *cli_mesh_of(const char *operand);
const char *cli_text_of(const char *operand);

/* Open the model (one that reads texts, where there are words) and read both operands.  0, or the exit status
 * with the reason printed; cli_sides_close() in any case.  *m and s: all zero. */
int cli_sides_open(cli_model *m, const char *a, const char *b, cli_side s[2]);
void cli_sides_close(cli_model *m, cli_side s[2]);

/* The cosine of the two vectors, one of each of s[0] and s[1], that agree best, and which they are. */
float cli_sides_best(const cli_model *m, const cli_side *s, size_t which[2]);

#endif
