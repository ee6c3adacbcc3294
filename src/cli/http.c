/* http.c - HTTP/1.1, one request a connection (RFC 9112), with a deadline for each step. */
#include "cli/http.h"

#include "cli/mem.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST = 1 << 28, MOST_HEAD = 1 << 16 }; /* bytes of a reply, of its head */

static int fail(int err)
{
    errno = err;
    return -1;
}

/* ---- connecting ---- */

static int wait_for(int fd, short what, double seconds)
{
    struct pollfd p = { .fd = fd, .events = what };
    const int n = poll(&p, 1, (int)(seconds * 1e3));
    return n > 0 ? 0 : n == 0 ? fail(ETIMEDOUT) : -1; /* a signal ends the waiting, too */
}

static int let_in(int fd, const struct sockaddr *a, socklen_t len, double seconds)
{
    int err = 0;
    socklen_t n = sizeof err;
    if (connect(fd, a, len) == 0)
        return 0;
    if (errno != EINPROGRESS) /* of a full queue EAGAIN */
        return -1;
    if (wait_for(fd, POLLOUT, seconds) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n))
        return -1;
    return err ? fail(err) : 0;
}

static int connect_unix(const cli_http *h, pid_t *pid)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct ucred who;
    socklen_t n = sizeof who;
    const char *path = h->address + 5;
    if (strlen(path) >= sizeof a.sun_path)
        return fail(ENAMETOOLONG);
    memcpy(a.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int bad = let_in(fd, (const struct sockaddr *)&a, sizeof a, h->connect);
    if (!bad)
        bad = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n);
    if (!bad && h->own && who.uid != geteuid())
        bad = fail(EPERM);
    if (!bad) {
        *pid = who.pid;
        return fd;
    }
    const int err = errno;
    close(fd);
    return fail(err);
}

/* "http://[::1]:80/" to its parts, in place; the port is 80 if none is named. */
static int split(char *address, char **host, const char **port)
{
    char *s = address + 7, *end = s + strcspn(s, "/");
    if (*end && end[1])
        return fail(EINVAL);
    *end = 0;
    char *close = *s == '[' ? strchr(s, ']') : NULL, *colon = strrchr(close ? close : s, ':');
    *port = colon ? colon + 1 : "80";
    if (colon)
        *colon = 0;
    if (close)
        *close = 0;
    *host = s + (close != NULL);
    return **host && **port ? 0 : fail(EINVAL);
}

static int connect_tcp(const cli_http *h)
{
    const struct addrinfo hints = { .ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    char *address = cli_mem_text(h->address), *host;
    const char *port;
    int fd = -1, bad = split(address, &host, &port);
    if (!bad && getaddrinfo(host, port, &hints, &list))
        bad = fail(EHOSTUNREACH);
    for (const struct addrinfo *a = bad ? NULL : list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        if (fd >= 0 && let_in(fd, a->ai_addr, a->ai_addrlen, h->connect)) {
            const int err = errno;
            close(fd);
            fd = fail(err);
        }
    }
    if (list)
        freeaddrinfo(list);
    cli_mem_free(address);
    return fd;
}

/* ---- talking ---- */

static int send_all(int fd, const void *bytes, size_t len, double silence)
{
    const char *at = bytes;
    while (len) {
        const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN || wait_for(fd, POLLOUT, silence)) {
            return -1;
        }
    }
    return 0;
}

/* Up to the end of the connection; NUL-terminated. */
static int receive(int fd, double silence, char **bytes, size_t *len)
{
    size_t cap = 0;
    for (*len = 0; *len < MOST;) {
        if (*len + 1 >= cap) {
            cap = cap ? 2 * cap : 16384;
            *bytes = cli_mem_grow(*bytes, cap, 1);
        }
        const ssize_t n = recv(fd, *bytes + *len, cap - *len - 1, 0);
        if (n == 0) {
            (*bytes)[*len] = 0;
            return 0;
        }
        if (n > 0)
            *len += (size_t)n;
        else if (errno != EAGAIN || wait_for(fd, POLLIN, silence))
            return -1;
    }
    return fail(EFBIG);
}

/* Content-Length, or -1: without one an end that came too early could not be told. */
static long long length_of(char *head)
{
    for (char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, "Content-Length:", 15))
            return strtoll(line + 17, NULL, 10);
    return -1;
}

static int understand(char *bytes, size_t len, cli_reply *out)
{
    char *end = strstr(bytes, "\r\n\r\n");
    if (!end || end - bytes > MOST_HEAD || sscanf(bytes, "HTTP/1.%*1d %3d", &out->status) != 1)
        return fail(EPROTO);
    end[2] = 0;
    out->body = end + 4;
    out->len = len - (size_t)(out->body - bytes);
    return length_of(bytes) == (long long)out->len ? 0 : fail(EPROTO);
}

static int talk(int fd, const cli_http *h, const char *path, const char *type, const void *body, size_t len,
                cli_reply *out)
{
    char *reply = NULL;
    size_t n;
    char *head = cli_mem_textf("POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s%s"
                               "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                               path, h->key ? "Authorization: Bearer " : "", h->key ? h->key : "",
                               h->key ? "\r\n" : "", type, len);
    int bad = send_all(fd, head, strlen(head), h->silence);
    bad = bad ? bad : send_all(fd, body, len, h->silence);
    bad = bad ? bad : receive(fd, h->silence, &reply, &n);
    bad = bad ? bad : understand(reply, n, out);
    if (!bad)
        out->body = memmove(reply, out->body, out->len + 1);
    else
        cli_mem_free(reply);
    cli_mem_free(head);
    return bad;
}

int cli_http_post(const cli_http *h, const char *path, const char *type, const void *body, size_t len,
                  cli_reply *out)
{
    *out = (cli_reply){ 0 };
    const int is_unix = !strncmp(h->address, "unix:", 5);
    const int fd = is_unix ? connect_unix(h, &out->pid) : connect_tcp(h);
    if (fd < 0)
        return -1;
    const int bad = talk(fd, h, path, type, body, len, out), err = errno;
    close(fd);
    errno = err;
    return bad;
}
