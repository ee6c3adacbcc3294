/*
 * http.c - libmicrohttpd's calls, a queue, and workers.
 *
 * A request's life: the library's thread calls on_access() with the head, then with each piece of the
 * body, then with none: there the connection is suspended and the request queued.  A worker answers it
 * and resumes the connection, for which on_access() is called once more and hands the reply over.
 * on_completed() is the end of every request, answered or not; a suspended connection has none, so
 * that nothing is freed under a worker.
 */
#include "serve/http.h"

#include "base/alloc.h"
#include "base/digits.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/symbol.h"
#include "serve/shape.h"

#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MEMORY = 64 << 10, STREAM_BLOCK = 4096, MAX_REPLY = 1 << 30 };
enum { READING, REFUSED, TOO_LARGE, NO_ROOM, QUEUED, ANSWERED };
static const uint64_t FORGOTTEN = 1 << 20; /* bytes beyond the longest body */
/* All bodies that are being read or answered, together: so many of the longest. */
enum { BODIES = 8 };
static const double SLOWEST_HEAD = 30, SLOWEST_BODY = 300; /* seconds, however the bytes trickle */

#define FUNCTIONS(X)                                                                                       \
    X(start_daemon)                                                                                        \
    X(stop_daemon) X(quiesce_daemon) X(suspend_connection) X(resume_connection) X(queue_response)          \
        X(destroy_response) X(add_response_header) X(lookup_connection_value) X(get_connection_values)     \
            X(create_response_from_buffer_with_free_callback) X(create_response_from_fd_at_offset64)       \
                X(create_response_from_callback) X(get_connection_info)

static struct library {
    void *handle;
#define POINTER(f) __typeof__(MHD_##f) *f;
    FUNCTIONS(POINTER)
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A connection between its requests, or while the head of one arrives. */
typedef struct peer {
    struct peer *next, *before;
    int fd;
    double since; /* of the head that is awaited, or of the end of the last reply */
    int busy;     /* a request is being read or answered */
} peer;

struct kn_http {
    kn_http_options o;
    struct MHD_Daemon **daemons; /* (n) */
    size_t n;
    pthread_t *workers, sweeper;
    size_t n_workers;
    int has_sweeper;
    _Atomic uint64_t held; /* bytes of bodies */
    pthread_mutex_t lock;  /* guards the rest */
    pthread_cond_t more, idle, tick;
    kn_request *first, **end;
    uint32_t waiting, active, connections;
    uint64_t count, salt;
    double last; /* when the last request ended */
    int stopping;
    peer *peers;
};

static void load(void)
{
    int all = 1;
    lib.handle = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!lib.handle)
        return;
#define FIND(f) all = all && kn_symbol(lib.handle, &lib.f, "MHD_" #f);
    FUNCTIONS(FIND)
    if (!all) {
        dlclose(lib.handle);
        lib.handle = NULL;
    }
}

/* ---- text ---- */

char *kn_http_unescape(const char *s, size_t len, int *bad)
{
    char *out = kn_alloc(len + 1, 1);
    size_t n = 0;
    *bad = 0;
    if (!out)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)s[i];
        if (c == '%') {
            const int a = i + 1 < len ? kn_hex_digit((unsigned char)s[i + 1]) : -1;
            const int b = i + 2 < len ? kn_hex_digit((unsigned char)s[i + 2]) : -1;
            c = a < 0 || b < 0 ? 0 : 16 * a + b;
            i += 2;
        }
        if (!c)
            *bad = 1;
        out[n++] = (char)c;
    }
    out[n] = 0;
    *bad = *bad || kn_text_check(out, n);
    if (!*bad)
        return out;
    kn_free(out);
    return NULL;
}

/* Left to kn_http_unescape(), which knows where a path's parts end. */
static size_t keep_escapes(void *cookie, struct MHD_Connection *c, char *s)
{
    (void)cookie;
    (void)c;
    return strlen(s);
}

const char *kn_request_header(const kn_request *r, const char *name)
{
    return lib.lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

void kn_reply_header(kn_request *r, const char *name, const char *fmt, ...)
{
    char value[1024];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof value || r->n_headers == KN_HTTP_HEADERS)
        return;
    char *a = kn_strdup(name), *b = kn_strdup(value);
    if (!a || !b) {
        kn_free(a);
        kn_free(b);
        return;
    }
    r->headers[r->n_headers][0] = a;
    r->headers[r->n_headers++][1] = b;
}

/* ---- a request begins and ends ---- */

static enum MHD_Result take_arg(void *cookie, enum MHD_ValueKind kind, const char *name, const char *value)
{
    kn_request *r = cookie;
    int bad = 0;
    (void)kind;
    if (r->n_args == KN_HTTP_ARGS) {
        r->n_args++; /* one too many: told by the head's check */
        return MHD_NO;
    }
    const char *v = value ? value : "";
    char *text = kn_http_unescape(v, strlen(v), &bad);
    r->args[r->n_args].name = name;
    r->args[r->n_args++].value = text;
    return text ? MHD_YES : MHD_NO;
}

static void make_id(kn_http *h, kn_request *r)
{
    const char *given = kn_request_header(r, "X-Request-Id");
    static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-";
    if (given && *given && strlen(given) <= KN_HTTP_ID && strspn(given, allowed) == strlen(given)) {
        snprintf(r->id, sizeof r->id, "%s", given);
        return;
    }
    pthread_mutex_lock(&h->lock);
    const uint64_t n = ++h->count;
    pthread_mutex_unlock(&h->lock);
    snprintf(r->id, sizeof r->id, "%016llx%08llx", (unsigned long long)h->salt, (unsigned long long)n);
}

static uint64_t body_length(const kn_request *r)
{
    const char *s = kn_request_header(r, "Content-Length");
    unsigned long long n = 0;
    if (kn_request_header(r, "Transfer-Encoding"))
        return UINT64_MAX;
    return s && sscanf(s, "%llu", &n) == 1 ? n : 0;
}

static kn_request *begin(kn_http *h, struct MHD_Connection *c, const char *path, const char *method)
{
    kn_request *r = kn_zalloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->http = h;
    r->connection = c;
    r->method = method;
    r->path = path;
    r->fd = -1;
    r->begun = kn_clock();
    const char *type = kn_request_header(r, "Content-Type");
    r->type = type ? type : "";
    r->length = body_length(r);
    kn_buf_init(&r->body, SIZE_MAX / 2);
    kn_buf_init(&r->out, MAX_REPLY);
    make_id(h, r);
    lib.get_connection_values(c, MHD_GET_ARGUMENT_KIND, take_arg, r);
    return r;
}

static void end(kn_request *r)
{
    atomic_fetch_sub(&r->http->held, r->held);
    kn_buf_release(&r->body);
    kn_buf_release(&r->out);
    for (size_t i = 0; i < r->n_args && i < KN_HTTP_ARGS; i++)
        kn_free(r->args[i].value);
    for (size_t i = 0; i < r->n_headers; i++) {
        kn_free(r->headers[i][0]);
        kn_free(r->headers[i][1]);
    }
    kn_free(r->names[0]);
    kn_free(r->names[1]);
    if (r->fd >= 0)
        close(r->fd);
    if (r->stream)
        r->stream->close(r->stream);
    kn_free(r);
}

/* ---- the reply ---- */

static ssize_t read_stream(void *cookie, uint64_t at, char *bytes, size_t max)
{
    kn_stream *s = cookie;
    (void)at;
    /* suspended first: what wakes it may do so at once */
    lib.suspend_connection(s->request->connection);
    const long n = s->read(s, bytes, max);
    if (n)
        lib.resume_connection(s->request->connection);
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

void kn_stream_wake(kn_stream *s)
{
    lib.resume_connection(s->request->connection);
}

static struct MHD_Response *make_response(kn_request *r)
{
    if (r->stream) {
        r->stream->request = r;
        return lib.create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, r->stream,
                                                 NULL);
    }
    if (r->fd >= 0) {
        struct MHD_Response *m = lib.create_response_from_fd_at_offset64(r->bytes, r->fd, r->offset);
        if (m)
            r->fd = -1;
        return m;
    }
    const size_t n = r->out.len;
    char *bytes = kn_buf_take(&r->out);
    if (!bytes)
        return NULL;
    struct MHD_Response *m = lib.create_response_from_buffer_with_free_callback(n, bytes, kn_free);
    if (!m)
        kn_free(bytes);
    return m;
}

static enum MHD_Result send_reply(kn_request *r)
{
    r->state = ANSWERED;
    struct MHD_Response *m = make_response(r);
    if (!m)
        return MHD_NO;
    lib.add_response_header(m, "X-Request-Id", r->id);
    for (size_t i = 0; i < r->n_headers; i++)
        lib.add_response_header(m, r->headers[i][0], r->headers[i][1]);
    const enum MHD_Result ok = lib.queue_response(r->connection, (unsigned)r->status, m);
    lib.destroy_response(m);
    return ok;
}

/* ---- what the library calls ---- */

static peer *peer_of(const kn_request *r)
{
    const union MHD_ConnectionInfo *i =
        lib.get_connection_info(r->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

static void set_busy(kn_request *r, int busy)
{
    kn_http *h = r->http;
    peer *l = peer_of(r);
    pthread_mutex_lock(&h->lock);
    if (l) {
        l->busy = busy;
        l->since = kn_clock();
    }
    h->active += busy ? 1 : (uint32_t)-1;
    h->last = kn_clock();
    if (!h->active)
        pthread_cond_broadcast(&h->idle);
    pthread_mutex_unlock(&h->lock);
}

static void let_go(kn_request *r)
{
    atomic_fetch_sub(&r->http->held, r->held);
    r->held = 0;
    kn_buf_release(&r->body);
}

/* A connection that is closed with bytes unread loses the answer, too.  So a body that nobody wants is read
 * and forgotten before the answer, unless its client asks first whether to send it, or it says that it is too
 * long. */
static int is_answered_early(const kn_request *r)
{
    const uint64_t most = atomic_load(r->http->o.max_body) + FORGOTTEN;
    return (r->length != UINT64_MAX && r->length > most) || kn_request_header(r, "Expect");
}

/* What is too much is read and forgotten, so that the answer arrives; not for ever. */
static enum MHD_Result take_body(kn_request *r, const char *bytes, size_t *n)
{
    const uint64_t most = atomic_load(r->http->o.max_body);
    if (kn_clock() - r->begun > SLOWEST_BODY)
        return MHD_NO;
    if (r->state == READING && r->status)
        r->state = REFUSED;
    if (r->state == READING && r->body.len + *n > most)
        r->state = TOO_LARGE;
    if (r->state == READING && atomic_load(&r->http->held) + *n > BODIES * most)
        r->state = NO_ROOM;
    if (r->state == READING) {
        atomic_fetch_add(&r->http->held, *n);
        r->held += *n;
        if (kn_buf_add(&r->body, bytes, *n))
            return MHD_NO;
    } else {
        let_go(r);
        r->offset += *n;
        if (r->offset > most + FORGOTTEN)
            return MHD_NO;
    }
    *n = 0;
    return MHD_YES;
}

static enum MHD_Result enqueue(kn_request *r)
{
    kn_http *h = r->http;
    pthread_mutex_lock(&h->lock);
    const int full = h->waiting >= atomic_load(h->o.queue) || h->stopping > 1;
    if (!full) {
        lib.suspend_connection(r->connection);
        r->state = QUEUED;
        r->next = NULL;
        *h->end = r;
        h->end = &r->next;
        h->waiting++;
        pthread_cond_signal(&h->more);
    }
    pthread_mutex_unlock(&h->lock);
    if (!full)
        return MHD_YES;
    h->o.full(r, h->o.cookie);
    return send_reply(r);
}

static enum MHD_Result on_access(void *cookie, struct MHD_Connection *c, const char *path,
                                 const char *method, const char *version, const char *bytes, size_t *n,
                                 void **state)
{
    kn_http *h = cookie;
    kn_request *r = *state;
    (void)version;
    if (!r) {
        if (!(r = begin(h, c, path, method)))
            return MHD_NO;
        *state = r;
        set_busy(r, 1);
        h->o.head(r, h->o.cookie);
        return r->status && r->length && is_answered_early(r) ? send_reply(r) : MHD_YES;
    }
    if (*n)
        return take_body(r, bytes, n);
    if (r->state == READING && !r->status)
        return enqueue(r);
    if (r->state == REFUSED || r->state == TOO_LARGE || r->state == NO_ROOM)
        r->offset = 0; /* it has counted what was forgotten */
    if (r->state == TOO_LARGE)
        h->o.large(r, h->o.cookie);
    else if (r->state == NO_ROOM)
        h->o.full(r, h->o.cookie);
    return r->state == ANSWERED ? MHD_NO : send_reply(r);
}

static void on_completed(void *cookie, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode why)
{
    kn_http *h = cookie;
    kn_request *r = *state;
    (void)c;
    (void)why;
    if (!r)
        return;
    *state = NULL;
    h->o.done(r, h->o.cookie);
    set_busy(r, 0);
    end(r);
}

static void on_connection(void *cookie, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    kn_http *h = cookie;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        peer *l = kn_zalloc(1, sizeof *l);
        const union MHD_ConnectionInfo *i = lib.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        pthread_mutex_lock(&h->lock);
        h->connections++;
        if (l) {
            l->fd = i ? i->connect_fd : -1;
            l->since = kn_clock();
            l->next = h->peers;
            if (h->peers)
                h->peers->before = l;
            h->peers = l;
        }
        pthread_mutex_unlock(&h->lock);
        *context = l;
        return;
    }
    peer *l = *context;
    pthread_mutex_lock(&h->lock);
    h->connections--;
    if (l) {
        *(l->before ? &l->before->next : &h->peers) = l->next;
        if (l->next)
            l->next->before = l->before;
    }
    pthread_mutex_unlock(&h->lock);
    *context = NULL;
    kn_free(l);
}

/* ---- our threads ---- */

static void *work(void *cookie)
{
    kn_http *h = cookie;
    for (;;) {
        pthread_mutex_lock(&h->lock);
        while (!h->first && h->stopping < 2)
            pthread_cond_wait(&h->more, &h->lock);
        kn_request *r = h->first;
        if (r) {
            h->first = r->next;
            if (!h->first)
                h->end = &h->first;
            h->waiting--;
        }
        pthread_mutex_unlock(&h->lock);
        if (!r)
            return NULL;
        h->o.run(r, h->o.cookie);
        lib.resume_connection(r->connection);
    }
}

/* The library's limit is on silence; a client that sends a byte now and then is cut off here. */
static void *sweep(void *cookie)
{
    kn_http *h = cookie;
    pthread_mutex_lock(&h->lock);
    while (h->stopping < 2) {
        struct timespec at;
        clock_gettime(CLOCK_REALTIME, &at);
        at.tv_sec++;
        pthread_cond_timedwait(&h->tick, &h->lock, &at);
        const double now = kn_clock();
        for (peer *l = h->peers; l; l = l->next)
            if (!l->busy && l->fd >= 0 && now - l->since > SLOWEST_HEAD)
                shutdown(l->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static ken_status start_thread(pthread_t *t, void *(*fn)(void *), kn_http *h)
{
    const int err = pthread_create(t, NULL, fn, h);
    return err ? kn_fail_errno(err) : KEN_OK;
}

static ken_status start_threads(kn_http *h)
{
    ken_status st = KEN_OK;
    if (!(h->workers = kn_zalloc(h->o.workers, sizeof *h->workers)))
        return KEN_E_NOMEM;
    while (!st && h->n_workers < h->o.workers)
        if (!(st = start_thread(&h->workers[h->n_workers], work, h)))
            h->n_workers++;
    if (!st && !(st = start_thread(&h->sweeper, sweep, h)))
        h->has_sweeper = 1;
    return st;
}

static struct MHD_Daemon *start_daemon(kn_http *h, int socket)
{
    return lib.start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, h,
        MHD_OPTION_LISTEN_SOCKET, socket, MHD_OPTION_CONNECTION_LIMIT, h->o.connections,
        MHD_OPTION_CONNECTION_TIMEOUT, h->o.timeout, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

/* ---- the server ---- */

ken_status kn_http_start(kn_http **out, const kn_http_options *o)
{
    kn_http *h = kn_zalloc(1, sizeof *h);
    ken_status st = h ? KEN_OK : KEN_E_NOMEM;
    size_t i = 0;
    pthread_once(&once, load);
    if (!st && !lib.handle)
        st = kn_fail(KEN_E_UNSUPPORTED, "serving needs libmicrohttpd (libmicrohttpd.so.12), which is not "
                                        "installed");
    if (st) {
        for (; i < o->n; i++)
            close(o->sockets[i]);
        kn_free(h);
        return st;
    }
    h->o = *o;
    h->end = &h->first;
    h->last = kn_clock();
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->more, NULL);
    pthread_cond_init(&h->idle, NULL);
    pthread_cond_init(&h->tick, NULL);
    if (getrandom(&h->salt, sizeof h->salt, 0) != sizeof h->salt)
        h->salt = (uint64_t)time(NULL);
    *out = h; /* before the first request, which may ask for it */
    h->daemons = kn_zalloc(o->n, sizeof *h->daemons);
    st = h->daemons ? start_threads(h) : KEN_E_NOMEM;
    for (; !st && i < o->n; i++, h->n++)
        if (!(h->daemons[i] = start_daemon(h, o->sockets[i])))
            st = kn_fail(KEN_E_IO, "libmicrohttpd does not start: %s", strerror(errno));
    if (st) {
        for (i = h->n; i < o->n; i++)
            close(o->sockets[i]);
        kn_http_stop(h, 0);
        *out = NULL;
        return st;
    }
    return KEN_OK;
}

/* stopping: 1 while what runs is finished, 2 when the threads are to end. */
static void set_stopping(kn_http *h, int how)
{
    pthread_mutex_lock(&h->lock);
    h->stopping = how;
    pthread_cond_broadcast(&h->more);
    pthread_cond_broadcast(&h->tick);
    pthread_mutex_unlock(&h->lock);
}

static void wait_idle(kn_http *h, double seconds)
{
    struct timespec at;
    int err = 0;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += (time_t)seconds;
    pthread_mutex_lock(&h->lock);
    while (!err && h->active)
        err = pthread_cond_timedwait(&h->idle, &h->lock, &at);
    pthread_mutex_unlock(&h->lock);
}

void kn_http_stop(kn_http *h, double seconds)
{
    if (!h)
        return;
    set_stopping(h, 1);
    for (size_t i = 0; i < h->n; i++) {
        const int fd = lib.quiesce_daemon(h->daemons[i]);
        if (fd >= 0)
            close(fd);
    }
    wait_idle(h, seconds);
    set_stopping(h, 2);
    for (size_t i = 0; i < h->n_workers; i++)
        pthread_join(h->workers[i], NULL);
    if (h->has_sweeper)
        pthread_join(h->sweeper, NULL);
    for (size_t i = 0; i < h->n; i++)
        lib.stop_daemon(h->daemons[i]);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->more);
    pthread_cond_destroy(&h->idle);
    pthread_cond_destroy(&h->tick);
    kn_free(h->workers);
    kn_free(h->daemons);
    kn_free(h);
}

static uint32_t read_locked(const kn_http *h, const uint32_t *n)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&h->lock;
    pthread_mutex_lock(lock);
    const uint32_t v = *n;
    pthread_mutex_unlock(lock);
    return v;
}

uint32_t kn_http_waiting(const kn_http *h)
{
    return read_locked(h, &h->waiting);
}

uint32_t kn_http_connections(const kn_http *h)
{
    return read_locked(h, &h->connections);
}

double kn_http_idle(const kn_http *h)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&h->lock;
    pthread_mutex_lock(lock);
    const double v = h->active ? 0 : kn_clock() - h->last;
    pthread_mutex_unlock(lock);
    return v;
}
