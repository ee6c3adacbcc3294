/* data_toys.c - "toys:A-B,views=mixed:9+clean:1,size=N". */
#include "train/data_state.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_VIEWS = 64, NAME = 16 };

/* One MODE:N of the list at *at. */
static ken_status read_mode(kn_toy_range *r, const char **at)
{
    char name[NAME] = { 0 };
    const size_t len = strcspn(*at, ":+,");
    kn_toy_mode mode;
    if (len >= NAME)
        return kn_fail(KEN_E_INVALID, "toys: no such mode in \"%s\"", *at);
    memcpy(name, *at, len);
    const ken_status st = kn_toy_mode_named(&mode, name);
    if (st)
        return st;
    unsigned long n = 1;
    *at += len;
    if (**at == ':') {
        char *end;
        n = strtoul(*at + 1, &end, 10);
        *at = end;
    }
    if (!n || n > MOST_VIEWS - r->views)
        return kn_fail(KEN_E_INVALID, "toys: views are 1 to %d in all", MOST_VIEWS);
    for (unsigned long i = 0; i < n; i++)
        r->mode[r->views++] = mode;
    return KEN_OK;
}

static ken_status read_views(kn_toy_range *r, const char **at)
{
    ken_status st;
    r->views = 0;
    do
        st = read_mode(r, at);
    while (!st && *(*at)++ == '+');
    (*at)--;
    return st;
}

ken_status kn_toy_range_parse(kn_toy_range *out, const char *text)
{
    static const char standard[] = "mixed:9+clean:1";
    const char *at = standard;
    char *end;
    kn_toy_range r = { 0 };
    ken_status st = read_views(&r, &at);
    r.from = strtoull(text, &end, 10);
    if (st || end == text || *end != '-')
        return kn_fail(KEN_E_INVALID, "toys:%s: expected toys:A-B", text);
    r.to = strtoull(at = end + 1, &end, 10);
    if (end == at || r.to <= r.from || r.to - r.from > 100000000)
        return kn_fail(KEN_E_INVALID, "toys:%s: not a range of ids", text);
    at = end;
    while (!st && *at == ',') {
        at++;
        if (!strncmp(at, "views=", 6)) {
            at += 6;
            st = read_views(&r, &at);
        } else if (!strncmp(at, "size=", 5)) {
            r.size = (uint32_t)strtoul(at + 5, &end, 10);
            at = end;
            if (r.size < 16 || r.size > 1024)
                st = kn_fail(KEN_E_INVALID, "toys:%s: sizes are 16 to 1024", text);
        } else {
            st = kn_fail(KEN_E_INVALID, "toys:%s: \"%s\": expected views= or size=", text, at);
        }
    }
    if (!st && *at)
        st = kn_fail(KEN_E_INVALID, "toys:%s: \"%s\" is left over", text, at);
    if (!st)
        *out = r;
    return st;
}
