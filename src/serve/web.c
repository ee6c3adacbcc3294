/* web.c - the page's files, which are a part of the program. */
#include "base/hash.h"
#include "serve/server.h"

#include <string.h>

void kn_safe_headers(kn_request *r)
{
    kn_reply_header(r, "X-Content-Type-Options", "nosniff");
    kn_reply_header(r, "Content-Security-Policy",
                    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
                    "form-action 'self'; frame-ancestors 'none'");
    kn_reply_header(r, "Referrer-Policy", "no-referrer");
}

static const kn_web_file *find(const char *path)
{
    if (!strcmp(path, "/"))
        path = "/index.html";
    for (const kn_web_file *f = kn_web_files; f->path; f++)
        if (*path == '/' && !strcmp(f->path, path + 1))
            return f;
    return NULL;
}

int kn_web_answer(kn_request *r)
{
    char hash[33];
    const kn_web_file *f = find(r->path);
    if (!f)
        return 0;
    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) {
        kn_reply_header(r, "Allow", "GET, HEAD");
        kn_answer_error(r, 405, "method", NULL, "%.20s is not for files", r->method);
        return 1;
    }
    kn_hash128_hex(hash, f->bytes, f->len);
    if (kn_answer_known(r, hash))
        return 1;
    kn_reply_header(r, "Content-Type", "%s", f->type);
    if (kn_buf_add(&r->out, f->bytes, f->len))
        kn_answer_failed(r, KEN_E_NOMEM, NULL);
    else
        r->status = 200;
    return 1;
}
