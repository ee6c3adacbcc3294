/* http.h - one request to a server of ours, over a socket and without a library. */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include <stddef.h>
#include <sys/types.h>

typedef struct cli_http {
    const char *address; /* "unix:PATH" or "http://HOST[:PORT]" */
    const char *key;     /* of KEN_API_KEY, or NULL */
    double connect;      /* seconds to be let in … */
    double silence;      /* … and without a byte */
    int own;             /* 1: only a process of this user may answer; "unix:" alone */
} cli_http;

typedef struct cli_reply {
    int status;
    char *body; /* (len) and a NUL byte; cli_mem_free */
    size_t len;
    pid_t pid;  /* who listens, of "unix:"; else 0 */
} cli_reply;

/* POST; a whole reply of whatever status, or -1 with errno set: EPROTO for what is no reply of HTTP's,
 * EPERM for somebody else's process. */
int cli_http_post(const cli_http *h, const char *path, const char *type, const void *body, size_t len,
                  cli_reply *out);

#endif
