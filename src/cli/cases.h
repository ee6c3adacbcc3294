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

/* Open the collection, and read lines {"query","relevant":[path or "id:N", …]} of the file, of items of it.
 * 0, or the exit status with the reason printed; cli_cases_close() in any case. */
int cli_cases_open(cli_cases *c);
void cli_cases_close(cli_cases *c);

#endif
