/* grpc.c - see grpc.h. */
#include "store/grpc.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/digits.h"
#include "base/error.h"
#include "base/progress.h"
#include "store/http2.h"

#include <stdio.h>
#include <string.h>

enum {
    PREFIX = 5,        /* of a message: compressed or not, and its length */
    WINDOW = 16 << 20, /* bytes that the server may send unasked */
    PIECE = 64 << 10,
    AUTHORITY = 300,
    WHY = 400
};
static const size_t MAX_ANSWER = (size_t)256 << 20;
enum { GRPC_EXHAUSTED = 8, GRPC_ABORTED = 10, GRPC_UNAVAILABLE = 14 };

/* The call under way. */
typedef struct call {
    int32_t stream;
    unsigned char prefix[PREFIX]; /* of the request */
    const unsigned char *request;
    size_t n, at;   /* at: of prefix and request together */
    kn_buf *answer; /* with its prefix */
    int http, code; /* :status and grpc-status; 0 and -1 until they come */
    char why[WHY];  /* grpc-message */
    int closed;
    uint32_t error; /* of HTTP/2, when closed */
    ken_status st;  /* KEN_E_NOMEM, KEN_E_LIMIT */
} call;

struct kn_grpc {
    char *host, *port, *ca, *authorization, *database;
    kn_wire_options wire_options;
    size_t max_answer;
    const kn_http2 *h;
    kn_wire *wire; /* NULL: not connected */
    nghttp2_session *session;
    const uint8_t *out; /* (out_n) what the session wants sent, its own memory */
    size_t out_n;
    call now;
};

/* ---- life ---- */

static ken_status copy(char **out, const char *s)
{
    *out = s ? kn_strdup(s) : NULL;
    return s && !*out ? KEN_E_NOMEM : KEN_OK;
}

ken_status kn_grpc_new(kn_grpc **out, const kn_grpc_options *o)
{
    kn_grpc *g = kn_zalloc(1, sizeof *g);
    if (!g)
        return KEN_E_NOMEM;
    g->max_answer = o->max_answer ? o->max_answer : MAX_ANSWER;
    ken_status st = copy(&g->host, o->wire.host);
    if (!st)
        st = copy(&g->port, o->wire.port);
    if (!st)
        st = copy(&g->ca, o->wire.ca);
    if (!st)
        st = copy(&g->authorization, o->authorization);
    if (!st)
        st = copy(&g->database, o->database);
    g->wire_options = (kn_wire_options){ g->host, g->port, o->wire.tls, g->ca };
    if (st)
        kn_grpc_free(g);
    else
        *out = g;
    return st;
}

static void disconnect(kn_grpc *g)
{
    if (g->session)
        g->h->session_free(g->session);
    kn_wire_close(g->wire);
    g->session = NULL;
    g->wire = NULL;
    g->out_n = 0;
}

void kn_grpc_free(kn_grpc *g)
{
    if (!g)
        return;
    disconnect(g);
    kn_free(g->host);
    kn_free(g->port);
    kn_free(g->ca);
    kn_free(g->authorization);
    kn_free(g->database);
    kn_free(g);
}

/* ---- what the server says ---- */

static int is(const uint8_t *name, size_t n, const char *wanted)
{
    return n == strlen(wanted) && !memcmp(name, wanted, n);
}

static int number_of(const uint8_t *value, size_t n)
{
    int v = n && value[0] >= '0' && value[0] <= '9' ? 0 : -1;
    for (size_t i = 0; i < n && i < 6 && value[i] >= '0' && value[i] <= '9'; i++)
        v = v * 10 + (value[i] - '0');
    return v;
}

/* A message in percent code; what no terminal should see becomes a space. */
static void take_why(call *c, const uint8_t *value, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n && len + 1 < sizeof c->why; i++) {
        int byte = value[i];
        if (byte == '%' && i + 2 < n && kn_hex_digit(value[i + 1]) >= 0 && kn_hex_digit(value[i + 2]) >= 0) {
            byte = kn_hex_digit(value[i + 1]) * 16 + kn_hex_digit(value[i + 2]);
            i += 2;
        }
        c->why[len++] = (char)(byte < 32 || byte == 127 ? ' ' : byte);
    }
    c->why[len] = 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t n, uint8_t flags, void *cookie)
{
    kn_grpc *g = cookie;
    (void)session;
    (void)flags;
    if (frame->hd.stream_id != g->now.stream)
        return 0;
    if (is(name, name_n, ":status"))
        g->now.http = number_of(value, n);
    else if (is(name, name_n, "grpc-status"))
        g->now.code = number_of(value, n);
    else if (is(name, name_n, "grpc-message"))
        take_why(&g->now, value, n);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t n,
                   void *cookie)
{
    kn_grpc *g = cookie;
    (void)session;
    (void)flags;
    if (stream == g->now.stream && !g->now.st)
        g->now.st = kn_buf_add(g->now.answer, data, n);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *cookie)
{
    kn_grpc *g = cookie;
    (void)session;
    if (stream == g->now.stream) {
        g->now.closed = 1;
        g->now.error = error;
    }
    return 0;
}

/* ---- what we say ---- */

static ssize_t give(nghttp2_session *session, int32_t stream, uint8_t *out, size_t cap, uint32_t *flags,
                    nghttp2_data_source *source, void *cookie)
{
    call *c = &((kn_grpc *)cookie)->now;
    size_t n = 0;
    (void)session;
    (void)stream;
    (void)source;
    for (; c->at < PREFIX && n < cap; n++)
        out[n] = c->prefix[c->at++];
    size_t more = c->n - (c->at > PREFIX ? c->at - PREFIX : 0);
    if (c->at >= PREFIX && n < cap && more) {
        more = more < cap - n ? more : cap - n;
        memcpy(out + n, c->request + (c->at - PREFIX), more);
        c->at += more;
        n += more;
    }
    if (c->at == PREFIX + c->n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                         strlen(value), NGHTTP2_NV_FLAG_NONE };
}

static ken_status submit(kn_grpc *g, const char *method, double timeout)
{
    char authority[AUTHORITY], limit[24];
    nghttp2_nv h[12];
    size_t n = 0;
    const nghttp2_data_provider body = { .read_callback = give };
    snprintf(authority, sizeof authority, strchr(g->host, ':') ? "[%s]:%s" : "%s:%s", g->host, g->port);
    snprintf(limit, sizeof limit, "%ldm", (long)(timeout * 1000) + 1);
    h[n++] = header(":method", "POST");
    h[n++] = header(":scheme", g->wire_options.tls ? "https" : "http");
    h[n++] = header(":path", method);
    h[n++] = header(":authority", authority);
    h[n++] = header("te", "trailers");
    h[n++] = header("content-type", "application/grpc");
    h[n++] = header("user-agent", "ken");
    h[n++] = header("grpc-timeout", limit);
    if (g->authorization) {
        h[n] = header("authorization", g->authorization);
        h[n++].flags = NGHTTP2_NV_FLAG_NO_INDEX;
    }
    if (g->database)
        h[n++] = header("dbname", g->database);
    g->now.stream = g->h->request(g->session, NULL, h, n, &body, NULL);
    return g->now.stream > 0 ? KEN_OK : kn_fail(KEN_E_NET, "%s", g->h->error_text(g->now.stream));
}

/* ---- the connection ---- */

static ken_status new_session(kn_grpc *g)
{
    static const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
                                                       { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW } };
    nghttp2_session_callbacks *cb = NULL;
    int rc = g->h->callbacks_new(&cb);
    if (rc)
        return KEN_E_NOMEM;
    g->h->on_header(cb, on_header);
    g->h->on_data(cb, on_data);
    g->h->on_close(cb, on_close);
    rc = g->h->client_new(&g->session, cb, g);
    g->h->callbacks_free(cb);
    if (!rc)
        rc = g->h->settings(g->session, NGHTTP2_FLAG_NONE, settings, 2);
    if (!rc)
        rc = g->h->window(g->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
    return rc ? kn_fail(KEN_E_NOMEM, "%s", g->h->error_text(rc)) : KEN_OK;
}

static ken_status send_some(kn_grpc *g, int *blocked)
{
    for (*blocked = 0; !*blocked;) {
        if (!g->out_n) {
            const ssize_t n = g->h->send(g->session, &g->out);
            if (n < 0)
                return kn_fail(KEN_E_NET, "%s", g->h->error_text((int)n));
            g->out_n = (size_t)n;
        }
        size_t done = 0;
        ken_status st = kn_wire_write(g->wire, g->out, g->out_n, &done);
        if (st || !g->out_n)
            return st;
        *blocked = done == 0;
        g->out += done;
        g->out_n -= done;
    }
    return KEN_OK;
}

static ken_status receive_some(kn_grpc *g, size_t *n)
{
    uint8_t bytes[PIECE];
    int end = 0;
    ken_status st = kn_wire_read(g->wire, bytes, sizeof bytes, n, &end);
    if (st)
        return st;
    const ssize_t used = *n ? g->h->recv(g->session, bytes, *n) : 0;
    if (used < 0)
        return kn_fail(KEN_E_NET, "%s", g->h->error_text((int)used));
    if (end && !g->now.closed)
        return kn_fail(KEN_E_NET, "the server closed the connection");
    if (!g->now.closed && !g->h->want_read(g->session))
        return kn_fail(KEN_E_NET, "the server ended the session");
    return KEN_OK;
}

/* Until the stream is closed. */
static ken_status run(kn_grpc *g, double deadline)
{
    ken_status st = KEN_OK;
    while (!st && !g->now.st && !g->now.closed) {
        int blocked = 0;
        size_t got = 0;
        st = kn_check_interrupt(); /* a server that never pauses holds nobody up */
        if (!st && kn_clock() > deadline)
            st = kn_fail(KEN_E_NET, "no answer in time");
        if (!st)
            st = send_some(g, &blocked);
        if (!st)
            st = receive_some(g, &got);
        if (!st && !got && !g->now.closed)
            st = kn_wire_wait(g->wire, blocked, deadline);
    }
    return st ? st : g->now.st;
}

/* ---- a call ---- */

/* The message alone stays in the answer. */
static ken_status unwrap(call *c)
{
    kn_buf *a = c->answer;
    const unsigned char *p = (const unsigned char *)a->data;
    if (a->len < PREFIX)
        return kn_fail(KEN_E_FORMAT, "the server's answer is cut off");
    if (p[0])
        return kn_fail(KEN_E_FORMAT, "the server's answer is compressed, which was not asked for");
    if (kn_big32(p + 1) != a->len - PREFIX)
        return kn_fail(KEN_E_FORMAT, "the server's answer says %u bytes and has %zu", kn_big32(p + 1),
                       a->len - PREFIX);
    a->len -= PREFIX;
    memmove(a->data, a->data + PREFIX, a->len + 1);
    return KEN_OK;
}

/* What a closed stream means. */
static ken_status judge(call *c, kn_grpc_end *end)
{
    end->code = c->code;
    if (c->code == 0 && c->http == 200)
        return unwrap(c);
    end->again = c->code == GRPC_UNAVAILABLE || c->code == GRPC_EXHAUSTED || c->code == GRPC_ABORTED ||
                 (c->code < 0 && (c->error || c->http == 502 || c->http == 503 || c->http == 504));
    if (c->code >= 0)
        return kn_fail(KEN_E_NET, "%s (gRPC status %d)", *c->why ? c->why : "refused", c->code);
    if (c->http && c->http != 200)
        return kn_fail(KEN_E_NET, "HTTP status %d: there is no gRPC", c->http);
    return kn_fail(KEN_E_NET, "the server broke the call off (HTTP/2 error %u)", (unsigned)c->error);
}

static ken_status attempt(kn_grpc *g, const char *method, double timeout, double deadline,
                          kn_grpc_end *end)
{
    ken_status st = g->h ? KEN_OK : kn_http2_get(&g->h);
    end->again = !st; /* until the stream is closed it is the connection's fault */
    if (!st && !g->wire)
        st = kn_wire_open(&g->wire, &g->wire_options, deadline);
    if (!st && !g->session)
        st = new_session(g);
    if (!st)
        st = submit(g, method, timeout);
    if (!st)
        st = run(g, deadline);
    if (st) {
        end->again &= st == KEN_E_NET;
        disconnect(g);
        return st;
    }
    end->again = 0;
    st = judge(&g->now, end);
    if (st && g->now.code < 0)
        disconnect(g);
    return st;
}

ken_status kn_grpc_call(kn_grpc *g, const char *method, const void *request, size_t n, double timeout,
                        kn_buf *answer, kn_grpc_end *end)
{
    const int kept = g->wire != NULL;
    const double deadline = kn_clock() + timeout; /* of both attempts */
    ken_status st = KEN_OK;
    *end = (kn_grpc_end){ 0, -1 };
    if (n > UINT32_MAX)
        return kn_fail(KEN_E_LIMIT, "a request of %zu bytes", n);
    for (int i = 0; i < 2; i++) {
        kn_buf_release(answer);
        kn_buf_init(answer, g->max_answer + PREFIX);
        g->now = (call){ .request = request, .n = n, .answer = answer, .code = -1 };
        for (int b = 0; b < 4; b++)
            g->now.prefix[1 + b] = (unsigned char)(n >> (24 - 8 * b));
        st = attempt(g, method, timeout, deadline, end);
        /* a kept connection that the server has closed meanwhile is no news: once more, on a new one */
        if (!st || !kept || g->wire || !end->again || g->now.answer->len)
            break;
    }
    return st;
}

#endif
