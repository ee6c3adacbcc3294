/* config.c - a small recursive descent over libyaml's events.  Aliases, tags that matter, several
 * documents and a third level are refused: none of them has a meaning here. */
#include "cli/config.h"

#include "cli/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int refuse(cli_config_error *err, unsigned long line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(cli_config_error *err, unsigned long line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->what, sizeof err->what, fmt, ap);
    va_end(ap);
    err->line = line;
    return -1;
}

#ifdef KEN_YAML
#include <yaml.h>

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the present one */
    int has_event;
    cli_config_fn fn;
    void *cookie;
    cli_config_error *err;
} reader;

static int next(reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event);
    if (r->has_event)
        return 0;
    return refuse(r->err, r->parser.problem_mark.line + 1, "%s",
                  r->parser.problem ? r->parser.problem : "is not YAML");
}

static unsigned long here(const reader *r)
{
    return r->event.start_mark.line + 1;
}

static const char *scalar(const reader *r)
{
    return (const char *)r->event.data.scalar.value;
}

/* A plain scalar that stands for "nothing". */
static int is_null(const reader *r)
{
    const char *s = scalar(r);
    return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*s || !strcmp(s, "~") || !strcmp(s, "null"));
}

static int tell(reader *r, const char *key, const char *value, unsigned long line)
{
    if (r->fn(key, value, line, r->err, r->cookie) == 0)
        return 0;
    r->err->line = line;
    return -1;
}

static int has_nul(const reader *r)
{
    return strlen(scalar(r)) != r->event.data.scalar.length;
}

/* The parts of a sequence joined by ':'. */
static int read_list(reader *r, const char *key)
{
    unsigned long line = here(r);
    char *joined = NULL;
    int bad = next(r);
    while (!bad && r->event.type == YAML_SCALAR_EVENT) {
        char *longer = joined ? cli_mem_textf("%s:%s", joined, scalar(r)) : cli_mem_text(scalar(r));
        cli_mem_free(joined);
        joined = longer;
        bad = next(r);
    }
    if (!bad && r->event.type != YAML_SEQUENCE_END_EVENT)
        bad = refuse(r->err, here(r), "a list may hold only plain values");
    if (!bad && joined)
        bad = tell(r, key, joined, line);
    cli_mem_free(joined);
    return bad;
}

static int read_mapping(reader *r, const char *prefix);

/* The value of key, which the present event begins; ends at its last event. */
static int read_value(reader *r, const char *key, int nested)
{
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        if (has_nul(r))
            return refuse(r->err, here(r), "a value holds a NUL character");
        return is_null(r) ? 0 : tell(r, key, scalar(r), here(r));
    case YAML_SEQUENCE_START_EVENT:
        return read_list(r, key);
    case YAML_MAPPING_START_EVENT:
        return nested ? refuse(r->err, here(r), "%.100s: nested too deep", key)
                      : read_mapping(r, key);
    default:
        return refuse(r->err, here(r), "%.100s: an alias has no meaning here", key);
    }
}

static int read_mapping(reader *r, const char *prefix)
{
    int bad = next(r);
    while (!bad && r->event.type == YAML_SCALAR_EVENT) {
        if (has_nul(r))
            return refuse(r->err, here(r), "a key holds a NUL character");
        char *key = prefix ? cli_mem_textf("%s.%s", prefix, scalar(r)) : cli_mem_text(scalar(r));
        bad = next(r);
        if (!bad)
            bad = read_value(r, key, prefix != NULL);
        if (!bad)
            bad = next(r);
        cli_mem_free(key);
    }
    if (!bad && r->event.type != YAML_MAPPING_END_EVENT)
        bad = refuse(r->err, here(r), "a key must be a plain word");
    return bad;
}

static int read_document(reader *r)
{
    int bad = next(r); /* the stream's start */
    bad = bad ? bad : next(r);
    if (bad || r->event.type == YAML_STREAM_END_EVENT) /* an empty file */
        return bad;
    bad = next(r);
    if (!bad && r->event.type == YAML_MAPPING_START_EVENT)
        bad = read_mapping(r, NULL);
    else if (!bad && !(r->event.type == YAML_SCALAR_EVENT && is_null(r)))
        bad = refuse(r->err, here(r), "expected `key: value`");
    bad = bad ? bad : next(r); /* the document's end */
    bad = bad ? bad : next(r);
    if (!bad && r->event.type != YAML_STREAM_END_EVENT)
        bad = refuse(r->err, here(r), "only one document is allowed");
    return bad;
}

int cli_config_parse(const char *bytes, size_t len, cli_config_fn fn, void *cookie,
                     cli_config_error *err)
{
    reader r = { .fn = fn, .cookie = cookie, .err = err };
    if (!yaml_parser_initialize(&r.parser))
        return refuse(err, 0, "out of memory");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes, len);
    int bad = read_document(&r);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return bad;
}

#else

int cli_config_parse(const char *bytes, size_t len, cli_config_fn fn, void *cookie,
                     cli_config_error *err)
{
    (void)bytes, (void)len, (void)fn, (void)cookie;
    return refuse(err, 1, "this build reads no configuration files (YAML=0)");
}

#endif
