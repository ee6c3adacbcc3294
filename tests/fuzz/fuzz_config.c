/* fuzz_config.c - any bytes as a configuration file: refused with a line, or read into keys. */
#include "tests/fuzz/fuzz.h"
#include "cli/config.h"

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
    char *copy = fuzz_copy(data, len);
    if (!copy)
        return 0;
    if (cli_config_parse(copy, len, on_value, &sum, &err) && err.line > len + 2)
        abort();
    free(copy);
    return 0;
}
