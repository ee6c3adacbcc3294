/*
 * http.h - requests in, replies out, over libmicrohttpd.
 *
 * The only file that knows the library.  One thread for each listening socket reads and writes; a
 * request that has arrived whole waits in a bounded queue for one of a few workers, which may block.
 * So a slow client holds a socket, never a thread.  libmicrohttpd is loaded when the first server
 * starts: no other command waits for it.
 */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include "base/buf.h"
#include "ken.h"

#include <stdatomic.h>

enum { KN_HTTP_HEADERS = 12, KN_HTTP_ID = 64, KN_HTTP_ARGS = 32 };

/* One request and its reply; belongs to the server. */
typedef struct kn_request {
    const char *method, *path; /* as sent, the query cut off */
    const char *type;          /* Content-Type, or "" */
    uint64_t length;           /* Content-Length; UINT64_MAX if the body comes in chunks */
    char id[KN_HTTP_ID + 1];   /* X-Request-Id: the client's, or made here */
    kn_buf body;
    struct {
        const char *name;
        char *value;
    } args[KN_HTTP_ARGS]; /* of the query, decoded */
    size_t n_args;
    double begun; /* kn_clock() when its head had arrived */

    /* For the one who answers: what it has found out at the head. */
    const void *route;
    char *names[2]; /* decoded values of the path's {}; kn_free */

    /* The reply. */
    int status; /* 0: none yet */
    kn_buf out; /* its body, or: */
    int fd;     /* >= 0: a file, from `offset`, `bytes` long; closed by the server */
    uint64_t offset, bytes;
    struct kn_stream *stream;          /* or what comes bit by bit */
    char *headers[KN_HTTP_HEADERS][2]; /* kn_free */
    size_t n_headers;

    uint64_t held; /* bytes of the body, counted among the server's */
    struct kn_request *next; /* in the queue */
    void *connection;
    struct kn_http *http;
    int state;
} kn_request;

/* What is sent while it comes into being.  `read` is called on a thread that must not wait: > 0 bytes,
 * 0 for nothing yet (then kn_stream_wake() must follow), -1 for the end.  `close` is its last call. */
typedef struct kn_stream {
    long (*read)(struct kn_stream *s, char *bytes, size_t max);
    void (*close)(struct kn_stream *s);
    kn_request *request; /* whose reply it is; set by the server */
} kn_stream;
/* There is something to read, or the end.  Once for each 0 that `read` gave. */
void kn_stream_wake(kn_stream *s);

typedef struct kn_http_options {
    int *sockets; /* (n) listening; the server's from now on, also on failure */
    size_t n;
    uint32_t workers, connections;
    _Atomic uint32_t *queue;    /* longest queue; beyond it 503; may change while it runs, as these: */
    _Atomic uint64_t *max_body; /* bytes; beyond them 413 */
    uint32_t timeout;           /* seconds without a byte */
    /* On a thread that must not wait, when the head has arrived: a status other than 0 is the answer
     * and the body is not read. */
    void (*head)(kn_request *r, void *cookie);
    /* On a worker, the whole body being there. */
    void (*run)(kn_request *r, void *cookie);
    /* Too many wait, or too much memory is held by bodies: fill in the answer. */
    void (*full)(kn_request *r, void *cookie);
    /* The body turned out longer than it may be: fill in the answer. */
    void (*large)(kn_request *r, void *cookie);
    /* The reply has gone, or the client has. */
    void (*done)(const kn_request *r, void *cookie);
    void *cookie;
} kn_http_options;

typedef struct kn_http kn_http;
/* KEN_E_UNSUPPORTED if libmicrohttpd is not there. */
KEN_CALL ken_status kn_http_start(kn_http **out, const kn_http_options *o);
/* Take no new connections, finish requests for at most so many seconds, then stop. */
void kn_http_stop(kn_http *h, double seconds);
uint32_t kn_http_waiting(const kn_http *h); /* requests in the queue */
uint32_t kn_http_connections(const kn_http *h);
double kn_http_idle(const kn_http *h); /* seconds since the last request ended; 0 while there is one */

/* A header of the request, or NULL. */
const char *kn_request_header(const kn_request *r, const char *name);
/* A header of the reply; a missing one for want of memory is not fatal. */
void kn_reply_header(kn_request *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Percent escapes decoded, or NULL: out of memory, or not well formed (*bad set), also a NUL byte and
 * what is not UTF-8.  kn_free it. */
char *kn_http_unescape(const char *s, size_t len, int *bad);

/* Listening sockets of "127.0.0.1:8787", "[::1]:80", "localhost:0", "unix:/run/ken.sock".  *shown is
 * what a client would write: "http://127.0.0.1:8787" (kn_free). */
KEN_CALL ken_status kn_listen(int *fd, char **shown, const char *address);

#endif
