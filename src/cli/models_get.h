/* models_get.h - `ken models get [NAME]`. */
#ifndef CLI_MODELS_GET_H
#define CLI_MODELS_GET_H

/* Fetch a publisher's file, check it and make a model of it; without a name, list the table.  The exit
 * status. */
int cli_models_get(const char *name);

#endif
