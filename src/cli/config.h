/* config.h - reads the text of a configuration file; knows nothing of what the keys mean. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include <stddef.h>

typedef struct cli_config_error {
    unsigned long line; /* from 1 */
    char what[200];
} cli_config_error;

/* key is "name" or "command.name"; a list comes as its parts with ':' between.  Both borrowed for
 * the call.  Non-zero stops, fn having filled *err but for the line. */
typedef int (*cli_config_fn)(const char *key, const char *value, unsigned long line,
                             cli_config_error *err, void *cookie);

/* Call fn for every value of a YAML document of at most two levels:
 *
 *     model: clip-b32
 *     models: [~/models, /srv/models]
 *     search:
 *         number: 20
 *
 * 0, or -1 with *err filled.  Keys without a value are left out. */
int cli_config_parse(const char *bytes, size_t len, cli_config_fn fn, void *cookie,
                     cli_config_error *err);

#endif
