/*
 * resident.h - the process that has a collection and its model open already.
 *
 * `ken serve --read-only --idle S` behind a socket that is this user's alone.  Its name is made of what
 * the answer depends on: the collection, the options of the model, and this very build of the program; so
 * who answers there gives the answers that this process would give.  Where nobody does, or there is any
 * doubt, the query runs here.
 */
#ifndef CLI_RESIDENT_H
#define CLI_RESIDENT_H

#include "cli/json.h"
#include "ken.h"

/* Whether --encoder lets this query go to it: `auto` by itself means on a terminal. */
int cli_resident_wanted(void);

/* POST to a collection's route: `body` as JSON, the pictures as the form's parts "f0", "f1", … whose field
 * for the JSON is `field`; or, with field NULL, body's members as the form's and one part "image".  What
 * it answers, cJSON_Delete it; NULL: ask here. */
cJSON *cli_resident_ask(const char *route, const cJSON *body, const char *field,
                        const ken_image *const *pictures, size_t n);

/* One for the next query, in the background, unless one answered in this process. */
void cli_resident_start(void);

#endif
