/* open.h - the model and the collection that the flags name. */
#ifndef CLI_OPEN_H
#define CLI_OPEN_H

#include "ken.h"

/* 0 or the exit status, the reason printed, for all of these. */

/* --no-orient and --background. */
int cli_decode_options(ken_decode_options *d);

/* The collection of --db, or of here. */
typedef enum cli_access {
    TO_READ,
    TO_WRITE,
    TO_CREATE,
    TO_INDEX /* to create; --space, if there is one */
} cli_access;
int cli_open_collection(ken **out, cli_access how);

/* An item by its number (7, id:7) or its path. */
KEN_CALL ken_status cli_find_item(ken *db, const char *name, uint64_t *id);

/* --model, or the collection's; it encodes where --encoder says (remote.h), as the collection does. */
typedef struct cli_model {
    const ken_model *model;
    ken_model *own; /* of --model */
    ken *db;        /* whose model it is, else NULL */
} cli_model;
int cli_open_model(cli_model *m);
/* The same; 5 if it has no text network. */
int cli_open_text_model(cli_model *m);
void cli_close_model(cli_model *m);

ken_model_options cli_model_options(void);

#endif
