/*
 * curl.c - libcurl by dlopen: it brings two dozen libraries along, which no other command should wait for.
 *
 * The declarations are our own, of what curl/curl.h has promised since 7.19 ("ABI" in libcurl's manual:
 * numbers of options never change).
 */
#include "engine/curl.h"

#include "base/error.h"

#ifdef KEN_CURL
#include "base/buf.h"
#include "base/symbol.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

typedef struct easy easy; /* CURL */
typedef struct list list; /* struct curl_slist */

enum {
    GLOBAL_DEFAULT = 3,
    OK = 0,
    /* CURLoption: 0 is long, 10000 a pointer, 20000 a function */
    PROTOCOLS = 181,
    REDIR_PROTOCOLS = 182,
    FAILONERROR = 45,
    FOLLOWLOCATION = 52,
    MAXREDIRS = 68,
    CONNECTTIMEOUT = 78,
    LOW_SPEED_LIMIT = 19,
    LOW_SPEED_TIME = 20,
    NOPROGRESS = 43,
    NOSIGNAL = 99,
    WRITEDATA = 10001,
    URL = 10002,
    RANGE = 10007,
    ERRORBUFFER = 10010,
    USERAGENT = 10018,
    HTTPHEADER = 10023,
    HEADERDATA = 10029,
    XFERINFODATA = 10057,
    WRITEFUNCTION = 20011,
    HEADERFUNCTION = 20079,
    XFERINFOFUNCTION = 20219,
    /* CURLPROTO_ */
    HTTP = 1,
    HTTPS = 2,
    /* CURLINFO_ */
    RESPONSE_CODE = 0x200002,
    ERROR_TEXT = 256, /* CURL_ERROR_SIZE */
    MOST_REDIRECTIONS = 10,
    LONGEST_LINE = 2048
};

static struct library {
    void *handle;
    int (*start)(long);
    easy *(*open)(void);
    int (*set)(easy *, int, ...);
    int (*get)(easy *, int, ...);
    int (*perform)(easy *);
    void (*close)(easy *);
    const char *(*text)(int);
    list *(*append)(list *, const char *);
    void (*list_free)(list *);
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    lib.handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!lib.handle)
        lib.handle = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!lib.handle)
        return;
    const int all = kn_symbol(lib.handle, &lib.start, "curl_global_init") &&
                    kn_symbol(lib.handle, &lib.open, "curl_easy_init") &&
                    kn_symbol(lib.handle, &lib.set, "curl_easy_setopt") &&
                    kn_symbol(lib.handle, &lib.get, "curl_easy_getinfo") &&
                    kn_symbol(lib.handle, &lib.perform, "curl_easy_perform") &&
                    kn_symbol(lib.handle, &lib.close, "curl_easy_cleanup") &&
                    kn_symbol(lib.handle, &lib.text, "curl_easy_strerror") &&
                    kn_symbol(lib.handle, &lib.append, "curl_slist_append") &&
                    kn_symbol(lib.handle, &lib.list_free, "curl_slist_free_all");
    if (!all || lib.start(GLOBAL_DEFAULT) != OK)
        lib.handle = NULL; /* stays loaded: its threads may run */
}

typedef struct call {
    const kn_curl_get *g;
    ken_status st; /* of the callbacks */
} call;

static size_t on_head(const char *bytes, size_t size, size_t n, void *cookie)
{
    call *c = cookie;
    char line[LONGEST_LINE];
    size_t len = size * n;
    while (len && (bytes[len - 1] == '\r' || bytes[len - 1] == '\n'))
        len--;
    if (len < sizeof line) { /* nothing that is read here is longer */
        memcpy(line, bytes, len);
        line[len] = 0;
        c->g->head(line, c->g->cookie);
    }
    return size * n;
}

static size_t on_body(const char *bytes, size_t size, size_t n, void *cookie)
{
    call *c = cookie;
    c->st = c->g->body(bytes, size * n, c->g->cookie);
    return c->st ? 0 : size * n;
}

/* The sizes are curl_off_t, which has 64 bits. */
static int on_tick(void *cookie, int64_t total, int64_t now, int64_t up_total, int64_t up)
{
    call *c = cookie;
    (void)total, (void)now, (void)up_total, (void)up;
    if (!c->st) /* else body's failure, which is the reason to tell */
        c->st = c->g->tick(c->g->cookie);
    return c->st != KEN_OK;
}

/* What is left out keeps libcurl's default: certificates checked, no cookies, no .netrc. */
static int set_up(easy *e, call *c, list *head, const char *range, char *why)
{
    const long https = HTTPS, both = HTTP | HTTPS, timeout = (long)c->g->timeout;
    const long allowed = strncmp(c->g->url, "https:", 6) ? both : https;
    int bad = lib.set(e, URL, c->g->url) || lib.set(e, PROTOCOLS, allowed) ||
              lib.set(e, REDIR_PROTOCOLS, allowed) || lib.set(e, FOLLOWLOCATION, 1L) ||
              lib.set(e, MAXREDIRS, (long)MOST_REDIRECTIONS) || lib.set(e, FAILONERROR, 1L);
    bad = bad || lib.set(e, CONNECTTIMEOUT, timeout) || lib.set(e, LOW_SPEED_LIMIT, 1L) ||
          lib.set(e, LOW_SPEED_TIME, timeout) || lib.set(e, NOSIGNAL, 1L) || lib.set(e, NOPROGRESS, 0L);
    bad = bad || lib.set(e, HEADERFUNCTION, on_head) || lib.set(e, HEADERDATA, c) ||
          lib.set(e, WRITEFUNCTION, on_body) || lib.set(e, WRITEDATA, c) ||
          lib.set(e, XFERINFOFUNCTION, on_tick) || lib.set(e, XFERINFODATA, c) ||
          lib.set(e, ERRORBUFFER, why) || lib.set(e, USERAGENT, "ken");
    return bad || (range && lib.set(e, RANGE, range)) || (head && lib.set(e, HTTPHEADER, head));
}

static ken_status perform(easy *e, call *c, list *head, const char *range, long *code)
{
    char why[ERROR_TEXT] = "";
    if (set_up(e, c, head, range, why))
        return kn_fail(KEN_E_UNSUPPORTED, "libcurl refuses an option: it is too old, or lacks https");
    const int failed = lib.perform(e);
    if (lib.get(e, RESPONSE_CODE, code))
        *code = 0;
    if (c->st || !failed)
        return c->st;
    return kn_fail(KEN_E_NET, "%s", *why ? why : lib.text(failed));
}

ken_status kn_curl(const kn_curl_get *g, long *code)
{
    call c = { g, KEN_OK };
    kn_buf range, condition;
    easy *e = NULL;
    list *head = NULL;
    ken_status st = KEN_OK;
    *code = 0;
    pthread_once(&once, load);
    if (!lib.handle)
        return kn_fail(KEN_E_UNSUPPORTED, "no libcurl.so.4 on this system (Debian: apt install libcurl4)");
    kn_buf_init(&range, 64);
    kn_buf_init(&condition, LONGEST_LINE);
    if (g->from)
        st = kn_buf_addf(&range, "%llu-", (unsigned long long)g->from);
    if (!st && g->from)
        st = kn_buf_addf(&condition, "If-Range: %s", g->if_range);
    if (!st && (!(e = lib.open()) || (g->from && !(head = lib.append(NULL, condition.data)))))
        st = kn_fail(KEN_E_NOMEM, "libcurl: out of memory");
    if (!st)
        st = perform(e, &c, head, range.data, code);
    if (e)
        lib.close(e);
    lib.list_free(head);
    kn_buf_release(&range);
    kn_buf_release(&condition);
    return st;
}

#else

ken_status kn_curl(const kn_curl_get *g, long *code)
{
    (void)g;
    *code = 0;
    return kn_fail(KEN_E_UNSUPPORTED, "this build has no downloads (CURL=0)");
}

#endif
