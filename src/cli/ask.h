/* ask.h - searches that the resident process answers (resident.h). */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "cli/query.h"

/* An answer from elsewhere.  Records have what is printed of a hit: path, object and meta. */
typedef struct cli_answer {
    ken_hit *hits;       /* (n) */
    ken_record *records; /* (n) */
    size_t n;
    ken_search_times times;
    char *model;    /* its name */
    char **strange; /* (n_strange) texts that the model hardly knows the words of */
    size_t n_strange;
} cli_answer;

/* 0, or -1: this query is to be answered here. */
int cli_ask_search(const cli_query *q, const ken_search_options *o, cli_answer *out);
void cli_answer_free(cli_answer *a);

/* The same of one picture; candidates, *r's and what they point to are freed with cli_recognition_free. */
int cli_ask_recognize(const ken_image *img, const ken_recognize_options *o, ken_recognition *r);
void cli_recognition_free(ken_recognition *r);

#endif
