/* milvus_url.c - see milvus_url.h. */
#include "store/milvus_url.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/digits.h"
#include "base/error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 240 /* the server's 255, less our endings */, LONG_URL = 8192 };

void kn_milvus_url_release(kn_milvus_url *u)
{
    kn_free(u->host);
    kn_free(u->port);
    kn_free(u->database);
    kn_free(u->collection);
    kn_free(u->authorization);
    kn_free(u->plain);
    kn_free(u->ca);
    *u = (kn_milvus_url){ 0 };
}

/* ---- pieces ---- */

/* n bytes without their percent code; kn_free. */
static ken_status decode(char **out, const char *s, size_t n)
{
    char *text = kn_alloc(n + 1, 1);
    size_t len = 0;
    if (!text)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const int high = s[i] == '%' && i + 2 < n ? kn_hex_digit(s[i + 1]) : -1;
        const int low = high < 0 ? -1 : kn_hex_digit(s[i + 2]), coded = low >= 0;
        text[len++] = coded ? (char)(high * 16 + low) : s[i];
        i += coded ? 2 : 0;
    }
    text[len] = 0;
    *out = text;
    return KEN_OK;
}

/* As the server wants it of "user:password" and of a token. */
static ken_status take_authorization(kn_milvus_url *u, const char *s, size_t n)
{
    char *text = NULL;
    ken_status st = decode(&text, s, n);
    if (!st && !(u->authorization = kn_base64(text, strlen(text))))
        st = KEN_E_NOMEM;
    kn_free(text);
    return st;
}

/* HOST, HOST:PORT, [ADDRESS]:PORT */
static ken_status take_place(kn_milvus_url *u, const char *s, size_t n)
{
    const char *end = s + n, *port = NULL, *host = s, *host_end;
    if (n && *s == '[') {
        host = s + 1;
        host_end = memchr(s, ']', n);
        if (!host_end)
            return kn_fail(KEN_E_INVALID, "an address without its ]");
        if (host_end + 1 < end && host_end[1] != ':')
            return kn_fail(KEN_E_INVALID, "only a port may follow an address's ]");
        port = host_end + 1 < end ? host_end + 2 : NULL;
    } else {
        host_end = memchr(s, ':', n);
        port = host_end ? host_end + 1 : NULL;
        host_end = host_end ? host_end : end;
    }
    if (host == host_end)
        return kn_fail(KEN_E_INVALID, "it names no host");
    for (const char *p = port; p && p < end; p++)
        if (!isdigit((unsigned char)*p) || p - port > 4)
            return kn_fail(KEN_E_INVALID, "its port is not a number");
    if (port && port < end && strtoul(port, NULL, 10) > 65535)
        return kn_fail(KEN_E_INVALID, "its port is larger than 65535");
    u->host = kn_strndup(host, (size_t)(host_end - host));
    u->port = port && port < end ? kn_strndup(port, (size_t)(end - port)) : kn_strdup("19530");
    return u->host && u->port ? KEN_OK : KEN_E_NOMEM;
}

static ken_status take_name(char **out, const char *s, size_t n, const char *what)
{
    size_t i = 0;
    while (i < n && (isalpha((unsigned char)s[i]) || s[i] == '_' || (i && isdigit((unsigned char)s[i]))))
        i++;
    if (!n || i < n || n > NAME_MAX_BYTES)
        return kn_fail(
            KEN_E_INVALID,
            "its %s must be letters, digits and _, not begin with a digit, and be at most %d long", what,
            (int)NAME_MAX_BYTES);
    *out = kn_strndup(s, n);
    return *out ? KEN_OK : KEN_E_NOMEM;
}

/* ---- parameters ---- */

static const char *const levels[] = { "Strong", "Session", "Bounded", "Eventually" };
static const char *const indexes[] = { "HNSW", "AUTOINDEX", "FLAT", "IVF_FLAT" };
static const char *const metrics[] = { "COSINE", "IP" };
enum { LEVELS = 4, INDEXES = 4, METRICS = 2 };

static ken_status choose(const char *value, const char *const *names, unsigned n, unsigned *out)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcasecmp(value, names[i])) {
            *out = i;
            return KEN_OK;
        }
    return KEN_E_INVALID;
}

static ken_status number(const char *value, unsigned least, unsigned most, unsigned *out)
{
    unsigned long v = 0;
    for (const char *p = value; *p; p++) {
        if (!isdigit((unsigned char)*p) || v > most)
            return KEN_E_INVALID;
        v = v * 10 + (unsigned)(*p - '0');
    }
    if (!*value || v < least || v > most)
        return KEN_E_INVALID;
    *out = (unsigned)v;
    return KEN_OK;
}

static ken_status set(kn_milvus_url *u, const char *name, const char *value)
{
    const struct {
        const char *name;
        unsigned least, most, *out;
    } numbers[] = { { "tls", 0, 1, &u->tls },
                    { "shards", 1, 64, &u->shards },
                    { "replicas", 1, 64, &u->replicas },
                    { "m", 2, 2048, &u->m },
                    { "ef_construction", 1, 100000, &u->ef_construction },
                    { "nlist", 1, 65536, &u->nlist },
                    { "ef", 1, 32768, &u->ef },
                    { "nprobe", 1, 65536, &u->nprobe },
                    { "retry", 0, 86400, &u->retry } };
    unsigned at = 0;
    ken_status st = KEN_E_INVALID;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(name, numbers[i].name))
            st = number(value, numbers[i].least, numbers[i].most, numbers[i].out);
    if (!strcmp(name, "consistency"))
        st = choose(value, levels, LEVELS, &u->consistency);
    if (!strcmp(name, "index") && !(st = choose(value, indexes, INDEXES, &at)))
        u->index = indexes[at];
    if (!strcmp(name, "metric") && !(st = choose(value, metrics, METRICS, &at)))
        u->metric = metrics[at];
    if (!strcmp(name, "ca") && !u->ca)
        st = (u->ca = kn_strdup(value)) ? KEN_OK : KEN_E_NOMEM;
    return st == KEN_E_INVALID
               ? kn_fail(st,
                         "%s=%s: expects tls ca shards replicas consistency index metric m "
                         "ef_construction nlist ef nprobe retry, and values that they can have",
                         name, value)
               : st;
}

static ken_status take_parameters(kn_milvus_url *u, const char *s)
{
    ken_status st = KEN_OK;
    while (!st && *s) {
        const size_t n = strcspn(s, "&");
        const char *equals = memchr(s, '=', n);
        char *name = NULL, *value = NULL;
        if (!equals)
            return kn_fail(KEN_E_INVALID, "its parameters are NAME=VALUE with & between them");
        st = decode(&name, s, (size_t)(equals - s));
        if (!st)
            st = decode(&value, equals + 1, n - (size_t)(equals + 1 - s));
        if (!st)
            st = set(u, name, value);
        kn_free(name);
        kn_free(value);
        s += n + (s[n] == '&');
    }
    return st;
}

/* ---- the whole ---- */

static ken_status take_path(kn_milvus_url *u, const char *s, size_t n)
{
    const char *slash = memchr(s, '/', n);
    ken_status st = slash ? take_name(&u->database, s, (size_t)(slash - s), "database") : KEN_OK;
    if (st)
        return st;
    const char *name = slash ? slash + 1 : s;
    return take_name(&u->collection, name, n - (size_t)(name - s), "collection");
}

static ken_status parse(kn_milvus_url *u, const char *url)
{
    static const char scheme[] = "milvus://";
    if (strncmp(url, scheme, sizeof scheme - 1) || strlen(url) > LONG_URL)
        return kn_fail(KEN_E_INVALID, "expects milvus://HOST:PORT/COLLECTION");
    const char *s = url + sizeof scheme - 1, *parameters = strchr(s, '?');
    const char *end = parameters ? parameters : s + strlen(s);
    const char *slash = memchr(s, '/', (size_t)(end - s));
    if (!slash)
        return kn_fail(KEN_E_INVALID, "expects milvus://HOST:PORT/COLLECTION");
    const char *place = s;
    for (const char *p = s; p < slash; p++)
        place = *p == '@' ? p + 1 : place;
    ken_status st = place > s ? take_authorization(u, s, (size_t)(place - 1 - s)) : KEN_OK;
    if (!st)
        st = take_place(u, place, (size_t)(slash - place));
    if (!st)
        st = take_path(u, slash + 1, (size_t)(end - slash - 1));
    if (!st && parameters)
        st = take_parameters(u, parameters + 1);
    if (st)
        return st;
    kn_buf b;
    kn_buf_init(&b, LONG_URL * 2);
    st = kn_buf_adds(&b, scheme);
    if (!st)
        st = kn_buf_adds(&b, place);
    if (!st)
        u->plain = kn_buf_take(&b);
    kn_buf_release(&b);
    return st ? st : u->plain ? KEN_OK : KEN_E_NOMEM;
}

ken_status kn_milvus_url_parse(kn_milvus_url *out, const char *url)
{
    kn_milvus_url u = { .index = indexes[0],
                        .metric = metrics[0],
                        .shards = 1,
                        .replicas = 1,
                        .m = 16,
                        .ef_construction = 200,
                        .nlist = 1024,
                        .ef = 128,
                        .nprobe = 32,
                        .retry = 120 };
    ken_status st = parse(&u, url);
    if (!st) {
        *out = u;
        return KEN_OK;
    }
    kn_milvus_url_release(&u);
    return kn_fail_in(st, "--store");
}

#endif
