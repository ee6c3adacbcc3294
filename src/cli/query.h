/* query.h - the terms of a query, as the command line writes them. */
#ifndef CLI_QUERY_H
#define CLI_QUERY_H

#include "cli/json.h"
#include "ken.h"

typedef enum kn_source { SOURCE_TEXT, SOURCE_IMAGE, SOURCE_ID } kn_source;

typedef struct kn_query {
    ken_term *terms;
    kn_source *sources; /* what each term is … */
    char **shown;       /* … and how it was given: words, file name, number */
    ken_image **images; /* of a picture, else NULL */
    size_t n, cap;
} kn_query;

/* Arguments to terms:
 *
 *     term    := [number ':'] source           number is the weight, 1 if left out
 *     source  := 'text:' ANYTHING | ('./' | '../' | '/' | '@') PATH | '@-' | 'id:' N | WORDS
 *     query   := ['-'] term (['+' | '-'] term)...
 *
 * Words that follow each other without a sign are one text.  A picture is decoded here.
 * 0, or the exit status with the reason printed. */
int kn_query_parse(kn_query *q, const char *const *args, size_t n, const ken_decode_options *d);
void kn_query_free(kn_query *q);
/* [{"text": …, "weight": 1}, {"image": path, …}, {"id": "7", …}] */
cJSON *kn_query_json(const kn_query *q);

#endif
