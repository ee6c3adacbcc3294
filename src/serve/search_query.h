/*
 * search_query.h - from a checked search body to hits.
 *
 * Words and pictures become vectors in the encoder's queue, those of several searches in one go, and stay in
 * the collection's memory, where ken_search() finds them: it is asked just as the program asks it.
 */
#ifndef SERVE_SEARCH_QUERY_H
#define SERVE_SEARCH_QUERY_H

#include "serve/server.h"

enum { KN_TERMS = 64 };

typedef struct kn_query {
    kn_call *c;
    const cJSON *body;           /* of shape "Search"; must outlive it */
    ken_term terms[KN_TERMS];
    ken_image *images[KN_TERMS]; /* of a term, or NULL */
    size_t n;
    cJSON *added;                /* what `expand` adds: [{"text"|"path", "weight"}], or NULL */
    cJSON *facets;               /* {KEY: [{"value", "count"}, …]}, or NULL */

    ken_hit *hits; /* (found) */
    size_t found;
    ken_search_times times;
} kn_query;

/* Terms out of the body, pictures out of c's form; `prefix` is how the body is called in errors:
 * "searches[1].", or "".  0, or -1 with the answer given. */
int kn_query_read(kn_query *q, kn_call *c, const cJSON *body, const char *prefix);
/* See to it that the vectors of n queries are there, in as few passes as may be.  As above. */
int kn_query_encode(kn_query *const *queries, size_t n);
int kn_query_search(kn_query *q);
/* The three for one query. */
int kn_query_run(kn_query *q, kn_call *c, const cJSON *body);
void kn_query_free(kn_query *q); /* what it owns */

/* {"text"|"image"|…}: a picture out of {"data"|"part"|"url"}, or -1 with the answer given. */
int kn_take_image(kn_call *c, const cJSON *v, const char *param, ken_image **out);

#endif
