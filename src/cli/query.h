/* query.h - the terms of a query, as the command line writes them. */
#ifndef CLI_QUERY_H
#define CLI_QUERY_H

#include "cli/json.h"
#include "ken.h"

typedef enum cli_source { SOURCE_TEXT, SOURCE_IMAGE, SOURCE_ID, SOURCE_OBJECT, SOURCE_MESH } cli_source;

typedef struct cli_query {
    ken_term *terms;
    cli_source *sources; /* what each term is … */
    char **shown;        /* … and how it was given: words, file name, number */
    ken_image **images;  /* of a picture, else NULL */
    ken_mesh **meshes;   /* of a 3-D model, else NULL */
    size_t n, cap;
} cli_query;

/* Arguments to terms:
 *
 *     term    := [number ':'] source           number is the weight, 1 if left out
 *     source  := 'text:' ANYTHING | ('./' | '../' | '/' | '@') PATH | '@-' | 'id:' N | 'obj:' NAME
 *                | 'stl:' PATH | WORDS
 *     query   := ['-'] term (['+' | '-'] term)...
 *
 * Words that follow each other without a sign are one text.  A path that ends as a 3-D
 * model's does is one.  Pictures and models are read here.
 * 0, or the exit status with the reason printed. */
int cli_query_parse(cli_query *q, const char *const *args, size_t n, const ken_decode_options *d);
void cli_query_free(cli_query *q);
/* [{"text": …, "weight": 1}, …], or "image" (path), "id", "object" (name), "stl" (path) in its place. */
cJSON *cli_query_json(const cli_query *q);

#endif
