/*
 * fake_http2.h - a server that answers as it is told: HTTP/2 frames written by hand, well formed or not.
 *
 * One thread, one connection at a time.  It reads a request whole (giving the client's window back as it
 * goes), then does the next act of its script; behind the last one it closes.
 */
#ifndef FAKE_HTTP2_H
#define FAKE_HTTP2_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef enum fake_act {
    FAKE_ANSWER,      /* message, then grpc-status */
    FAKE_STATUS,      /* grpc-status alone */
    FAKE_CUT,         /* half of the message, then the connection is closed */
    FAKE_LIE,         /* a message that says to be 2 GB long */
    FAKE_COMPRESSED,  /* a message that says to be compressed */
    FAKE_CLOSE,       /* the connection, without a word */
    FAKE_CLOSE_AFTER, /* FAKE_ANSWER, and then the connection */
    FAKE_GARBAGE,     /* no HTTP/2 */
    FAKE_LONG_FRAME,  /* a frame of 16 MB */
    FAKE_BAD_HEADERS, /* header bytes that decode to nothing */
    FAKE_HTTP_ERROR,  /* :status 502 */
    FAKE_RESET,       /* RST_STREAM, REFUSED_STREAM */
    FAKE_GO_AWAY,     /* GOAWAY of all streams */
    FAKE_SILENT,      /* nothing, until the client goes */
    FAKE_HTTP1        /* an answer of HTTP/1.1 */
} fake_act;

typedef struct fake_step {
    fake_act act;
    const void *message;
    size_t n;
    const char *status, *why; /* grpc-status "0" where NULL */
} fake_step;

typedef struct fake_server {
    int fd, port;
    const fake_step *steps;
    size_t n, at; /* of the script */
    size_t requests, connections;
    size_t request_n;            /* bytes of the last request's message, with its prefix */
    unsigned char headers[4096]; /* of the last request, as they came */
    size_t headers_n;
    pthread_t thread;
} fake_server;

static inline int fake_read(int fd, void *out, size_t n)
{
    unsigned char *p = out;
    while (n) {
        ssize_t got = recv(fd, p, n, 0);
        if (got <= 0)
            return 0;
        p += got;
        n -= (size_t)got;
    }
    return 1;
}

static inline void fake_write(int fd, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    while (n) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

static inline void fake_frame(int fd, size_t n, unsigned type, unsigned flags, unsigned stream,
                              const void *payload)
{
    const unsigned char h[9] = {
        (unsigned char)(n >> 16),      (unsigned char)(n >> 8),      (unsigned char)n,
        (unsigned char)type,           (unsigned char)flags,         (unsigned char)(stream >> 24),
        (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream
    };
    fake_write(fd, h, sizeof h);
    if (payload)
        fake_write(fd, payload, n);
}

/* HPACK: a literal without indexing, its name spelt out. */
static inline size_t fake_header(unsigned char *out, const char *name, const char *value)
{
    size_t n = 0;
    out[n++] = 0;
    out[n++] = (unsigned char)strlen(name);
    memcpy(out + n, name, strlen(name));
    n += strlen(name);
    out[n++] = (unsigned char)strlen(value);
    memcpy(out + n, value, strlen(value));
    return n + strlen(value);
}

enum { FAKE_DATA = 0, FAKE_HEADERS = 1, FAKE_RST = 3, FAKE_SETTINGS = 4, FAKE_GOAWAY = 7, FAKE_WINDOW = 8 };
enum { FAKE_END_STREAM = 1, FAKE_ACK = 1, FAKE_END_HEADERS = 4 };

static inline void fake_begin(int fd, unsigned stream, const char *status)
{
    unsigned char h[128];
    size_t n = fake_header(h, ":status", status);
    n += fake_header(h + n, "content-type", "application/grpc");
    fake_frame(fd, n, FAKE_HEADERS, FAKE_END_HEADERS, stream, h);
}

static inline void fake_end(int fd, unsigned stream, const fake_step *s, int alone)
{
    unsigned char h[512];
    size_t n = alone ? fake_header(h, ":status", "200") : 0;
    n += fake_header(h + n, "grpc-status", s->status ? s->status : "0");
    if (s->why)
        n += fake_header(h + n, "grpc-message", s->why);
    fake_frame(fd, n, FAKE_HEADERS, FAKE_END_HEADERS | FAKE_END_STREAM, stream, h);
}

static inline void fake_message(int fd, unsigned stream, const fake_step *s, unsigned flag, size_t says,
                                size_t n)
{
    unsigned char *b = malloc(n + 5);
    const unsigned char prefix[5] = { (unsigned char)flag, (unsigned char)(says >> 24),
                                      (unsigned char)(says >> 16), (unsigned char)(says >> 8),
                                      (unsigned char)says };
    memcpy(b, prefix, 5);
    if (n)
        memcpy(b + 5, s->message, n);
    for (size_t at = 0; at < n + 5; at += 16384) {
        const size_t piece = n + 5 - at < 16384 ? n + 5 - at : 16384;
        fake_frame(fd, piece, FAKE_DATA, 0, stream, b + at);
    }
    free(b);
}

/* 1: the connection goes on */
static inline int fake_do(int fd, unsigned stream, const fake_step *s)
{
    static const unsigned char refused[4] = { 0, 0, 0, 7 }, away[8] = { 0 },
                               bad[4] = { 0x80, 0xff, 0xff, 0xff };
    switch (s->act) {
    case FAKE_ANSWER:
    case FAKE_CLOSE_AFTER:
    case FAKE_LIE:
    case FAKE_COMPRESSED:
        fake_begin(fd, stream, "200");
        fake_message(fd, stream, s, s->act == FAKE_COMPRESSED, s->act == FAKE_LIE ? 0x7fffffff : s->n,
                     s->n);
        fake_end(fd, stream, s, 0);
        return s->act != FAKE_CLOSE_AFTER;
    case FAKE_STATUS:
        fake_end(fd, stream, s, 1);
        return 1;
    case FAKE_CUT:
        fake_begin(fd, stream, "200");
        fake_message(fd, stream, s, 0, s->n, s->n / 2);
        return 0;
    case FAKE_GARBAGE:
        fake_write(fd, "\xde\xad\xbe\xef\xde\xad\xbe\xef\xde\xad\xbe\xef\xde\xad\xbe\xef", 16);
        return 0;
    case FAKE_HTTP1:
        fake_write(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 47);
        return 0;
    case FAKE_LONG_FRAME:
        fake_frame(fd, 0xffffff, FAKE_DATA, 0, stream, NULL);
        fake_write(fd, s->message, s->n);
        return 0;
    case FAKE_BAD_HEADERS:
        fake_frame(fd, sizeof bad, FAKE_HEADERS, FAKE_END_HEADERS, stream, bad);
        return 1;
    case FAKE_HTTP_ERROR:
        fake_begin(fd, stream, "502");
        fake_frame(fd, 0, FAKE_DATA, FAKE_END_STREAM, stream, "");
        return 1;
    case FAKE_RESET:
        fake_frame(fd, 4, FAKE_RST, 0, stream, refused);
        return 1;
    case FAKE_GO_AWAY:
        fake_frame(fd, 8, FAKE_GOAWAY, 0, 0, away);
        return 0;
    case FAKE_SILENT:
        while (recv(fd, (char[64]){ 0 }, 64, 0) > 0)
            continue;
        return 0;
    case FAKE_CLOSE:
        return 0;
    }
    return 0;
}

/* A request to its end: its stream; 0: the client has gone. */
static inline unsigned fake_request(fake_server *f, int fd)
{
    size_t length = 0;
    for (;;) {
        unsigned char h[9];
        if (!fake_read(fd, h, sizeof h))
            return 0;
        const size_t n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        const unsigned stream =
            ((unsigned)h[5] << 24 | (unsigned)h[6] << 16 | (unsigned)h[7] << 8 | h[8]) & 0x7fffffff;
        unsigned char *payload = malloc(n + 1);
        const int good = fake_read(fd, payload, n);
        if (good && h[3] == FAKE_HEADERS && n <= sizeof f->headers) {
            memcpy(f->headers, payload, n);
            f->headers_n = n;
        }
        free(payload);
        if (!good)
            return 0;
        if (h[3] == FAKE_SETTINGS && !(h[4] & FAKE_ACK))
            fake_frame(fd, 0, FAKE_SETTINGS, FAKE_ACK, 0, "");
        if (h[3] == FAKE_DATA && n) {
            const unsigned char more[4] = { 0, (unsigned char)(n >> 16), (unsigned char)(n >> 8),
                                            (unsigned char)n };
            length += n;
            fake_frame(fd, 4, FAKE_WINDOW, 0, 0, more);
            fake_frame(fd, 4, FAKE_WINDOW, 0, stream, more);
        }
        if (h[3] <= FAKE_HEADERS && h[4] & FAKE_END_STREAM) {
            f->request_n = length;
            return stream;
        }
    }
}

static inline void *fake_run(void *cookie)
{
    fake_server *f = cookie;
    while (f->at < f->n) {
        char preface[24];
        int fd = accept(f->fd, NULL, NULL), on = 1;
        if (fd < 0)
            break;
        f->connections++;
        on = fake_read(fd, preface, sizeof preface);
        if (on)
            fake_frame(fd, 0, FAKE_SETTINGS, 0, 0, "");
        while (on && f->at < f->n) {
            const unsigned stream = fake_request(f, fd);
            if (!stream)
                break;
            f->requests++;
            on = fake_do(fd, stream, &f->steps[f->at++]);
        }
        shutdown(fd, SHUT_WR); /* and read on: what is unread would reset the connection, answer and all */
        while (recv(fd, preface, sizeof preface, 0) > 0)
            continue;
        close(fd);
    }
    close(f->fd);
    return NULL;
}

static inline void fake_start(fake_server *f, const fake_step *steps, size_t n)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof a;
    *f = (fake_server){ .steps = steps, .n = n };
    f->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(f->fd, (struct sockaddr *)&a, sizeof a) || listen(f->fd, 8) ||
        getsockname(f->fd, (struct sockaddr *)&a, &len) || pthread_create(&f->thread, NULL, fake_run, f))
        abort();
    f->port = ntohs(a.sin_port);
}

/* When its script is done, or the clients are. */
static inline void fake_stop(fake_server *f)
{
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
}

#endif
