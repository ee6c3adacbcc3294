/* search_query.h - from a checked search body to hits. */
#ifndef SERVE_SEARCH_QUERY_H
#define SERVE_SEARCH_QUERY_H

#include "serve/server.h"

typedef struct kn_answer {
    ken_hit *hits;
    size_t found;
    ken_search_times times;
} kn_answer;

/* Run the search that body (of shape "Search") describes, its pictures in c's form.  0, or -1 with the
 * answer given. */
int kn_query_run(kn_call *c, const cJSON *body, kn_answer *a);
void kn_answer_free(kn_answer *a);

#endif
