/* cases.h - queries and the items that answer them, from a file of JSON lines. */
#ifndef CLI_CASES_H
#define CLI_CASES_H

#include "cli/query.h"

typedef struct cli_cases {
    ken *db;
    const char *file;
    int may_lack; /* "relevant":[] is allowed: nothing answers it */
    ken_search_case *list;
    cli_query *queries;
    size_t n, list_cap, query_cap;
} cli_cases;

/* Lines {"query","relevant":[path or "id:N", …]} of the file, of items of db.  0, or the exit status with the
 * reason printed. */
int cli_cases_read(cli_cases *c, const ken_decode_options *d);
void cli_cases_free(cli_cases *c); /* not db */

#endif
