/* decode.c - the server's side of the decoders. */
#include "serve/decode.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONGEST = 20 }; /* seconds for one picture */

typedef struct decoder {
    int fd; /* -1: none runs */
    int32_t pid;
    int taken;
} decoder;

struct kn_decoders {
    int control;
    pid_t helper;
    ken_decode_options opts;
    uint64_t max_bytes, died;
    uint32_t n;
    pthread_mutex_t lock; /* guards the decoders' `taken`, died, and the helper's socket */
    pthread_cond_t free;
    decoder list[];
};

ken_status kn_decoders_start(kn_decoders **out, uint32_t n, uint64_t max_bytes,
                             const ken_decode_options *opts)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return kn_fail_errno(errno);
    kn_decoders *d = kn_zalloc(1, sizeof *d + n * sizeof *d->list);
    const pid_t pid = d ? fork() : -1;
    if (pid == 0) {
        close(pair[0]);
        kn_decode_helper(pair[1]);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        kn_free(d);
        return d ? kn_fail_errno(errno) : KEN_E_NOMEM;
    }
    d->control = pair[0];
    d->helper = pid;
    d->opts = *opts;
    d->max_bytes = max_bytes;
    d->n = n;
    for (uint32_t i = 0; i < n; i++)
        d->list[i].fd = -1;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->free, NULL);
    *out = d;
    return KEN_OK;
}

/* ---- the helper is asked; the lock is held ---- */

static ken_status start_one(kn_decoders *d, decoder *w)
{
    int pair[2];
    const kn_helper_ask ask = { 0 };
    char room[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec v = { (void *)(uintptr_t)&ask, sizeof ask };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room
    };
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return kn_fail_errno(errno);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
    const int sent = sendmsg(d->control, &m, MSG_NOSIGNAL) == (ssize_t)sizeof ask;
    close(pair[1]);
    if (!sent || recv(d->control, &w->pid, sizeof w->pid, 0) != sizeof w->pid || w->pid <= 0) {
        close(pair[0]);
        return kn_fail(KEN_E_IO, "no process to decode pictures in");
    }
    w->fd = pair[0];
    return KEN_OK;
}

static void end_one(kn_decoders *d, decoder *w)
{
    const kn_helper_ask ask = { w->pid };
    close(w->fd);
    w->fd = -1;
    if (send(d->control, &ask, sizeof ask, MSG_NOSIGNAL) != sizeof ask)
        kn_log(KEN_LOG_ERROR, "the process that starts decoders has gone");
}

static ken_status take(kn_decoders *d, decoder **out)
{
    ken_status st = KEN_OK;
    decoder *w = NULL;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        for (uint32_t i = 0; i < d->n && !w; i++)
            w = d->list[i].taken ? NULL : &d->list[i];
        if (w)
            break;
        pthread_cond_wait(&d->free, &d->lock);
    }
    if (w->fd < 0)
        st = start_one(d, w);
    w->taken = !st;
    pthread_mutex_unlock(&d->lock);
    *out = w;
    return st;
}

static void give_back(kn_decoders *d, decoder *w, int usable)
{
    pthread_mutex_lock(&d->lock);
    if (!usable) {
        end_one(d, w);
        d->died++;
    }
    w->taken = 0;
    pthread_cond_signal(&d->free);
    pthread_mutex_unlock(&d->lock);
}

/* ---- one picture ---- */

typedef struct talk {
    int fd;
    double until;
} talk;

static int wait_for(const talk *t, short what)
{
    struct pollfd p = { t->fd, what, 0 };
    for (;;) {
        const double left = t->until - kn_clock();
        if (left <= 0)
            return -1;
        const int n = poll(&p, 1, (int)(left * 1000) + 1);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -1;
    }
}

static int send_all(const talk *t, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n) {
        const ssize_t put = wait_for(t, POLLOUT) ? -1 : send(t->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && (errno == EINTR || errno == EAGAIN) && kn_clock() < t->until)
            continue;
        if (put <= 0)
            return -1;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static int receive_all(const talk *t, void *bytes, size_t n)
{
    char *p = bytes;
    while (n) {
        const ssize_t got = wait_for(t, POLLIN) ? -1 : recv(t->fd, p, n, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN) && kn_clock() < t->until)
            continue;
        if (got <= 0)
            return -1;
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

/* The decoder may have been taken over: what it says is checked. */
static ken_status read_answer(const kn_decoders *d, const talk *t, ken_image **out, int *usable)
{
    kn_decode_answer a;
    const uint64_t most = d->opts.max_pixels ? d->opts.max_pixels : 1u << 28;
    if (receive_all(t, &a, sizeof a))
        return KEN_E_FORMAT;
    a.why[sizeof a.why - 1] = 0;
    if (a.status) {
        *usable = 1;
        const int known =
            a.status == KEN_E_NOMEM || a.status == KEN_E_UNSUPPORTED || a.status == KEN_E_LIMIT;
        return kn_fail(known ? (ken_status)a.status : KEN_E_FORMAT, "%s", a.why);
    }
    if (!a.width || !a.height || (uint64_t)a.width * a.height > most)
        return KEN_E_FORMAT;
    uint8_t *pixels = kn_alloc((size_t)a.width * a.height, 3);
    if (!pixels)
        return KEN_E_NOMEM;
    ken_status st = KEN_E_FORMAT;
    if (!receive_all(t, pixels, (size_t)a.width * a.height * 3)) {
        *usable = 1;
        st = ken_image_from_rgb(out, pixels, a.width, a.height, (size_t)a.width * 3);
    }
    kn_free(pixels);
    return st;
}

/* *usable: the decoder lives on, and st is its answer; *late: it took too long. */
static ken_status try_once(kn_decoders *d, const void *bytes, size_t len, ken_image **out, int *usable,
                           int *late)
{
    const kn_decode_ask ask = { .len = len, .opts = d->opts };
    decoder *w;
    ken_status st = take(d, &w);
    if (st) {
        *usable = 1; /* there is none: no picture's fault */
        return st;
    }
    const talk t = { w->fd, kn_clock() + LONGEST };
    if (send_all(&t, &ask, sizeof ask) || send_all(&t, bytes, len))
        st = KEN_E_FORMAT;
    else
        st = read_answer(d, &t, out, usable);
    *late = kn_clock() >= t.until;
    give_back(d, w, *usable);
    return st;
}

ken_status kn_decoders_decode(kn_decoders *d, const void *bytes, size_t len, ken_image **out)
{
    ken_status st = KEN_OK;
    int usable = 0, late = 0;
    if (!len)
        return kn_fail(KEN_E_FORMAT, "an empty file");
    if (len > d->max_bytes)
        return kn_fail(KEN_E_LIMIT, "a file of more than %llu bytes", (unsigned long long)d->max_bytes);
    for (int i = 0; i < 2 && !usable && !late; i++) /* the first may have been dead before */
        st = try_once(d, bytes, len, out, &usable, &late);
    if (usable || st == KEN_E_NOMEM)
        return st;
    return late ? kn_fail(KEN_E_LIMIT, "decoding takes more than %d seconds", LONGEST)
                : kn_fail(KEN_E_FORMAT, "decoding this file ended its decoder");
}

uint64_t kn_decoders_died(kn_decoders *d)
{
    pthread_mutex_lock(&d->lock);
    const uint64_t n = d->died;
    pthread_mutex_unlock(&d->lock);
    return n;
}

void kn_decoders_stop(kn_decoders *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; i < d->n; i++)
        if (d->list[i].fd >= 0)
            close(d->list[i].fd);
    close(d->control); /* it ends with that */
    while (waitpid(d->helper, NULL, 0) < 0 && errno == EINTR)
        continue;
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->free);
    kn_free(d);
}
