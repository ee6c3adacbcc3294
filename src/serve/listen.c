/* listen.c - addresses to listening sockets. */
#include "base/error.h"
#include "base/file.h"
#include "serve/http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

/* A socket that nobody listens at any more is in the way of the next server; one in use is not touched. */
static ken_status remove_stale(const struct sockaddr_un *a)
{
    struct stat info;
    if (lstat(a->sun_path, &info) != 0)
        return KEN_OK;
    if (!S_ISSOCK(info.st_mode))
        return kn_fail(KEN_E_EXISTS, "there is a file of that name");
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return kn_fail_errno(errno);
    const int used = connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno != ECONNREFUSED;
    close(fd);
    if (used)
        return kn_fail(KEN_E_BUSY, "another server listens there");
    return kn_unlink(a->sun_path);
}

static ken_status listen_unix(int *out, char **shown, const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (!*path || strlen(path) >= sizeof a.sun_path)
        return kn_fail(KEN_E_INVALID, "a path of 1 to %zu bytes", sizeof a.sun_path - 1);
    memcpy(a.sun_path, path, strlen(path) + 1);
    ken_status st = remove_stale(&a);
    if (st)
        return st;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return kn_fail_errno(errno);
    const mode_t before = umask(0177); /* for its owner alone, from the first moment */
    const int bound = bind(fd, (const struct sockaddr *)&a, sizeof a);
    const int err = errno;
    umask(before);
    if (bound != 0 || listen(fd, BACKLOG) != 0) {
        st = kn_fail_errno(bound ? err : errno);
        close(fd);
        return st;
    }
    kn_buf b;
    kn_buf_init(&b, 512);
    st = kn_buf_addf(&b, "unix:%s", path);
    if (!st && !(*shown = kn_buf_take(&b)))
        st = KEN_E_NOMEM;
    if (st)
        close(fd);
    else
        *out = fd;
    kn_buf_release(&b);
    return st;
}

/* "[::1]:80" or "host:80" to its parts. */
static ken_status split(const char *address, char *host, size_t room, const char **port)
{
    const char *colon = strrchr(address, ':');
    const char *from = address, *to = colon;
    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strlen(colon + 1) > 5)
        return kn_fail(KEN_E_INVALID, "expects HOST:PORT or unix:PATH");
    if (*from == '[' && to > from && to[-1] == ']') {
        from++;
        to--;
    }
    if (to == from || (size_t)(to - from) >= room)
        return kn_fail(KEN_E_INVALID, "expects HOST:PORT or unix:PATH");
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = 0;
    *port = colon + 1;
    return KEN_OK;
}

static ken_status bind_one(int *out, const struct addrinfo *a)
{
    const int on = 1;
    const int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0)
        return kn_fail_errno(errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        ken_status st = kn_fail_errno(errno);
        close(fd);
        return st;
    }
    *out = fd;
    return KEN_OK;
}

/* The port that the system has picked, where 0 was asked. */
static ken_status show(char **shown, int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    kn_buf b;
    kn_buf_init(&b, sizeof host + sizeof port + 16);
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return kn_fail_errno(errno);
    if (getnameinfo((struct sockaddr *)&a, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return kn_fail(KEN_E_IO, "no name for the socket");
    ken_status st = kn_buf_addf(&b, strchr(host, ':') ? "http://[%s]:%s" : "http://%s:%s", host, port);
    if (!st && !(*shown = kn_buf_take(&b)))
        st = KEN_E_NOMEM;
    kn_buf_release(&b);
    return st;
}

static ken_status listen_tcp(int *out, char **shown, const char *address)
{
    char host[256];
    const char *port = NULL;
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *list;
    ken_status st = split(address, host, sizeof host, &port);
    if (st)
        return st;
    const int err = getaddrinfo(host, port, &hints, &list);
    if (err)
        return kn_fail(KEN_E_INVALID, "%s", gai_strerror(err));
    st = bind_one(out, list);
    freeaddrinfo(list);
    if (!st && (st = show(shown, *out)))
        close(*out);
    return st;
}

ken_status kn_listen(int *fd, char **shown, const char *address)
{
    ken_status st =
        strncmp(address, "unix:", 5) ? listen_tcp(fd, shown, address) : listen_unix(fd, shown, address + 5);
    return st ? kn_fail_in(st, "listen at %s", address) : KEN_OK;
}
