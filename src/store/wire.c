/* wire.c - see wire.h. */
#include "store/wire.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"
#include "store/tls.h"

#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* TLS makes records of at most 16 KB of it */
enum { PIECE = 16384, ALIVE_AFTER_S = 15, GIVE_UP_MS = 30000 };
static const double MOMENT = .2; /* seconds between two looks at an interruption */

struct kn_wire {
    int fd;
    kn_tls *tls;                  /* or NULL */
    unsigned char out[2 * PIECE]; /* ciphertext that could not be sent yet: from out_at to out_end */
    size_t out_at, out_end;
};

ken_status kn_wire_sleep(double seconds)
{
    const double end = kn_clock() + seconds;
    ken_status st = kn_check_interrupt();
    for (double left; !st && (left = end - kn_clock()) > 0; st = kn_check_interrupt()) {
        const long ns = (long)(fmin(left, MOMENT) * 1e9);
        nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
    }
    return st;
}

/* ---- connecting ---- */

static void keep_alive(int fd)
{
    const int on = 1, after = ALIVE_AFTER_S, every = 5, tries = 3, give_up = GIVE_UP_MS;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &give_up, sizeof give_up);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

ken_status kn_wire_wait(kn_wire *w, int writing, double deadline)
{
    const double left = deadline - kn_clock();
    const int more = writing || w->out_at < w->out_end; /* of ciphertext, too */
    struct pollfd p = { .fd = w->fd, .events = (short)(POLLIN | (more ? POLLOUT : 0)) };
    if (left <= 0)
        return kn_fail(KEN_E_NET, "no answer in time");
    if (poll(&p, 1, (int)ceil(fmin(left, MOMENT) * 1000)) < 0 && errno != EINTR)
        return kn_fail(KEN_E_NET, "%s", strerror(errno));
    return kn_check_interrupt();
}

/* The socket of one address, connected. */
static ken_status connect_to(kn_wire *w, const struct addrinfo *a, double deadline)
{
    int err = 0;
    w->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd < 0)
        return kn_fail(KEN_E_NET, "%s", strerror(errno));
    keep_alive(w->fd);
    if (!connect(w->fd, a->ai_addr, a->ai_addrlen))
        return KEN_OK;
    if (errno != EINPROGRESS)
        return kn_fail(KEN_E_NET, "%s", strerror(errno));
    for (struct pollfd p = { .fd = w->fd, .events = POLLOUT }; poll(&p, 1, 0) == 0;) {
        ken_status st = kn_wire_wait(w, 1, deadline);
        if (st)
            return st;
    }
    getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){ sizeof err });
    return err ? kn_fail(KEN_E_NET, "%s", strerror(err)) : KEN_OK;
}

static ken_status connect_any(kn_wire *w, const kn_wire_options *o, double deadline)
{
    const struct addrinfo want = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(o->host, o->port, &want, &list);
    if (rc)
        return kn_fail(KEN_E_NET, "%s", gai_strerror(rc));
    ken_status st = KEN_E_NET;
    for (const struct addrinfo *a = list; a && st == KEN_E_NET; a = a->ai_next) {
        if (w->fd >= 0)
            close(w->fd);
        st = connect_to(w, a, deadline);
    }
    freeaddrinfo(list);
    return st;
}

/* ---- TLS in between ---- */

/* Send ciphertext while it goes; what is left stays in w->out. */
static ken_status flush(kn_wire *w)
{
    for (;;) {
        if (w->out_at == w->out_end) {
            w->out_at = 0;
            w->out_end = kn_tls_drain(w->tls, w->out, sizeof w->out);
        }
        if (!w->out_end)
            return KEN_OK;
        const ssize_t n = send(w->fd, w->out + w->out_at, w->out_end - w->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? KEN_OK : kn_fail(KEN_E_NET, "%s", strerror(errno));
        w->out_at += n > 0 ? (size_t)n : 0;
    }
}

/* A piece of what the socket has, into TLS: no more, so that a peer that sends faster than we read does not
 * fill our memory. */
static ken_status fill(kn_wire *w, int *end)
{
    unsigned char bytes[PIECE];
    ssize_t n;
    while ((n = recv(w->fd, bytes, sizeof bytes, 0)) < 0 && errno == EINTR)
        continue;
    if (n < 0)
        return errno == EAGAIN ? KEN_OK : kn_fail(KEN_E_NET, "%s", strerror(errno));
    *end = n == 0;
    return n ? kn_tls_feed(w->tls, bytes, (size_t)n) : KEN_OK;
}

static ken_status shake(kn_wire *w, double deadline)
{
    int done = 0, end = 0;
    for (;;) {
        ken_status st = kn_tls_shake(w->tls, &done);
        const ken_status sent = flush(w); /* the alert that says why, too */
        if (st || sent || done)
            return st ? st : sent;
        if (!(st = kn_wire_wait(w, 0, deadline)))
            st = fill(w, &end);
        if (!st && end)
            st = kn_fail(KEN_E_NET, "the server ended the TLS handshake");
        if (st)
            return st;
    }
}

ken_status kn_wire_open(kn_wire **out, const kn_wire_options *o, double deadline)
{
    kn_wire *w = kn_zalloc(1, sizeof *w);
    if (!w)
        return KEN_E_NOMEM;
    w->fd = -1;
    ken_status st = o->tls ? kn_tls_new(&w->tls, o->host, o->ca) : KEN_OK;
    if (!st)
        st = connect_any(w, o, deadline);
    if (!st && w->tls)
        st = shake(w, deadline);
    if (!st) {
        *out = w;
        return KEN_OK;
    }
    kn_wire_close(w);
    return kn_fail_in(st, "%s:%s", o->host, o->port);
}

void kn_wire_close(kn_wire *w)
{
    if (!w)
        return;
    kn_tls_free(w->tls);
    if (w->fd >= 0)
        close(w->fd);
    kn_free(w);
}

/* ---- bytes ---- */

ken_status kn_wire_write(kn_wire *w, const void *bytes, size_t n, size_t *done)
{
    *done = 0;
    if (w->tls) {
        ken_status st = flush(w);
        if (st || w->out_at < w->out_end)
            return st;
        *done = n < PIECE ? n : PIECE;
        st = n ? kn_tls_write(w->tls, bytes, *done) : KEN_OK;
        return st ? st : flush(w);
    }
    const ssize_t sent = n ? send(w->fd, bytes, n, MSG_NOSIGNAL) : 0;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return kn_fail(KEN_E_NET, "%s", strerror(errno));
    *done = sent > 0 ? (size_t)sent : 0;
    return KEN_OK;
}

ken_status kn_wire_read(kn_wire *w, void *bytes, size_t cap, size_t *n, int *end)
{
    *end = *n = 0;
    if (w->tls) {
        int closed = 0;
        ken_status st = fill(w, &closed);
        if (!st)
            st = kn_tls_read(w->tls, bytes, cap, n, end);
        *end |= closed && !*n;
        return st;
    }
    const ssize_t got = recv(w->fd, bytes, cap, 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        return kn_fail(KEN_E_NET, "%s", strerror(errno));
    *n = got > 0 ? (size_t)got : 0;
    *end = got == 0;
    return KEN_OK;
}

#endif
