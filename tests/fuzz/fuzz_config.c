/* fuzz_config.c - any bytes as a configuration file: refused with a line, or read into keys. */
#include "cli/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Keys and values must be whole strings, and "stop" must stop. */
static int on_value(const char *key, const char *value, unsigned long line, cli_config_error *err,
                    void *cookie)
{
    size_t *sum = cookie;
    *sum += strlen(key) + strlen(value);
    if (!line)
        abort();
    err->what[0] = 0;
    return !strcmp(key, "stop");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t sum = 0;
    cli_config_error err = { 0 };
    char *copy = malloc(len ? len : 1); /* of exactly its size: reading past it shows */
    if (!copy)
        return 0;
    memcpy(copy, data, len);
    if (cli_config_parse(copy, len, on_value, &sum, &err) && err.line > len + 2)
        abort();
    free(copy);
    return 0;
}
