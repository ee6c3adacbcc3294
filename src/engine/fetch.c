/*
 * fetch.c - a file from the web, gone on with where it was cut.
 *
 * The file grows at its own path.  Beside it PATH.from notes the address and what the server calls this
 * state of it (a strong entity tag, else its date): with that, the next call asks for the rest by Range and
 * If-Range (RFC 9110, sections 13.1.5 and 14), and a server whose file has changed sends all of it.  The
 * digest is taken as the bytes come, of what was there before by reading it once.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "engine/curl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

enum { PIECE = 1 << 16, LONGEST_NOTE = 1 << 14, STATE = 256 };

typedef struct fetch {
    const char *url, *path;
    const ken_fetch_options *o;
    char *note;           /* name of PATH.from */
    int fd;
    uint64_t have;        /* bytes of the file; `sum` is of them */
    kn_sha256_state sum;
    char state[STATE];    /* what the server calls the file that they are of; "" unknown */
    kn_meter meter;
    /* the answer that is coming in */
    long code;
    int begun;            /* its body is being written */
    uint64_t total, from; /* of the whole file, 0 unknown; where the body starts */
    char tag[STATE], date[STATE];
} fetch;

/* ---- what lies there ---- */

static ken_status start_over(fetch *f)
{
    f->have = 0;
    f->state[0] = 0;
    kn_sha256_start(&f->sum);
    if (lseek(f->fd, 0, SEEK_SET) < 0)
        return kn_fail_errno(errno);
    return kn_truncate(f->fd, 0);
}

/* Into the digest, and to the end of it. */
static ken_status read_part(fetch *f)
{
    unsigned char *piece = kn_alloc(PIECE, 1);
    ken_status st = piece ? KEN_OK : KEN_E_NOMEM;
    ssize_t n = 1;
    kn_sha256_start(&f->sum);
    while (!st && n > 0 && !(st = kn_check_interrupt())) {
        n = read(f->fd, piece, PIECE);
        if (n < 0)
            st = kn_fail_errno(errno);
        else if (n > 0)
            kn_sha256_add(&f->sum, piece, (size_t)n);
        f->have += n > 0 ? (uint64_t)n : 0;
    }
    kn_free(piece);
    return st;
}

static int is_wanted(const fetch *f)
{
    uint8_t d[KN_SHA256_BYTES];
    char hex[2 * KN_SHA256_BYTES + 1];
    kn_sha256_end(&f->sum, d);
    for (int i = 0; i < KN_SHA256_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", d[i]);
    return !strncasecmp(hex, f->o->sha256, strlen(f->o->sha256));
}

/* Two lines, address and state; no word of it is trusted but by comparing. */
static void read_note(fetch *f)
{
    unsigned char *text = NULL;
    size_t len;
    f->state[0] = 0;
    if (kn_read_file(&text, &len, f->note, LONGEST_NOTE))
        return;
    char *state = strchr((char *)text, '\n'), *end = state ? strchr(state + 1, '\n') : NULL;
    if (end && end - state <= STATE) {
        *state = *end = 0;
        if (!strcmp((char *)text, f->url))
            snprintf(f->state, STATE, "%s", state + 1);
    }
    kn_free(text);
}

static ken_status write_note(fetch *f)
{
    kn_buf b;
    kn_buf_init(&b, LONGEST_NOTE);
    ken_status st = kn_buf_addf(&b, "%s\n%s\n", f->url, f->state);
    if (!st)
        st = kn_replace_file(f->note, b.data, b.len);
    kn_buf_release(&b);
    return st;
}

static ken_status drop(fetch *f)
{
    const ken_status note = kn_unlink(f->note), st = kn_unlink(f->path);
    return st ? st : note;
}

/* ---- an answer ---- */

/* The value of a line of a head, if it is this field. */
static const char *field(const char *line, const char *name)
{
    const size_t n = strlen(name);
    if (strncasecmp(line, name, n) || line[n] != ':')
        return NULL;
    line += n + 1;
    return line + strspn(line, " \t");
}

static void on_head(const char *line, void *cookie)
{
    fetch *f = cookie;
    const char *v;
    if (!strncmp(line, "HTTP/", 5)) { /* the next of several redirections */
        const char *code = strchr(line, ' ');
        f->code = code ? strtol(code, NULL, 10) : 0;
        f->total = f->from = 0;
        f->tag[0] = f->date[0] = 0;
    } else if ((v = field(line, "ETag")) && *v == '"') { /* a weak one, W/"…", may not be asked for */
        snprintf(f->tag, STATE, "%s", strlen(v) < STATE ? v : "");
    } else if ((v = field(line, "Last-Modified"))) {
        snprintf(f->date, STATE, "%s", strlen(v) < STATE ? v : "");
    } else if ((v = field(line, "Content-Length")) && f->code == 200) {
        f->total = strtoull(v, NULL, 10);
    } else if ((v = field(line, "Content-Range")) && f->code == 206) {
        unsigned long long from = 0, to = 0, total = 0;
        if (sscanf(v, "bytes %llu-%llu/%llu", &from, &to, &total) < 2)
            from = UINT64_MAX;
        f->from = from;
        f->total = total;
    }
}

static ken_status too_long(const fetch *f)
{
    return kn_fail(KEN_E_LIMIT, "longer than %" PRIu64 " bytes, the limit", f->o->max_bytes);
}

/* Its head is here: does it go on, or start over? */
static ken_status begin(fetch *f)
{
    ken_status st = KEN_OK;
    if (f->code == 206 ? !f->have || f->from != f->have : f->code != 200)
        return kn_fail(KEN_E_NET, "an answer that was not asked for: status %ld from byte %" PRIu64, f->code,
                       f->from);
    f->begun = 1;
    if (f->code == 200) {
        st = start_over(f);
        snprintf(f->state, STATE, "%s", *f->tag ? f->tag : f->date);
        if (!st)
            st = write_note(f);
    }
    if (!st && f->total > f->o->max_bytes)
        st = too_long(f);
    kn_meter_start(&f->meter, "fetch", "bytes", f->total, f->o->progress, f->o->cookie);
    f->meter.count[0] = f->have; /* the rate is of what comes now */
    return st;
}

static ken_status on_body(const void *bytes, size_t n, void *cookie)
{
    fetch *f = cookie;
    ken_status st = f->begun ? KEN_OK : begin(f);
    if (!st && n > f->o->max_bytes - f->have)
        st = too_long(f);
    if (!st)
        st = kn_write(f->fd, bytes, n);
    if (st)
        return st;
    kn_sha256_add(&f->sum, bytes, n);
    f->have += n;
    return kn_meter_tell(&f->meter, f->have, NULL);
}

static ken_status on_tick(void *cookie)
{
    fetch *f = cookie;
    return f->begun ? kn_meter_tell(&f->meter, f->have, NULL) : kn_check_interrupt();
}

static ken_status ask(fetch *f)
{
    const kn_curl_get g = { .url = f->url,
                            .from = *f->state ? f->have : 0,
                            .if_range = f->state,
                            .timeout = f->o->timeout,
                            .head = on_head,
                            .body = on_body,
                            .tick = on_tick,
                            .cookie = f };
    f->begun = 0;
    f->code = 0;
    ken_status st = kn_curl(&g, &f->code);
    if (!st && !f->begun)
        st = begin(f); /* an empty file */
    if (f->begun)
        kn_meter_end(&f->meter);
    return st;
}

/* ---- the whole ---- */

static ken_status get(fetch *f)
{
    ken_status st = read_part(f);
    if (!st && f->have && f->o->sha256 && is_wanted(f))
        return KEN_OK; /* all of it came the last time */
    if (!st && f->have > f->o->max_bytes)
        st = start_over(f);
    read_note(f);
    if (!st)
        st = ask(f);
    if (st == KEN_E_NET && f->code == 416 && f->have && *f->state) { /* it is shorter by now */
        st = start_over(f);
        if (!st)
            st = ask(f);
    }
    if (!st && f->o->sha256 && !is_wanted(f))
        st = kn_fail(KEN_E_FORMAT, "the SHA-256 of the %" PRIu64 " bytes that came does not begin with %s",
                     f->have, f->o->sha256);
    if (!st)
        st = kn_sync(f->fd);
    return st;
}

static ken_status check(const char *url, const ken_fetch_options *o)
{
    const size_t digits = o->sha256 ? strlen(o->sha256) : 0;
    if (strncmp(url, "https://", 8) && strncmp(url, "http://", 7))
        return kn_fail(KEN_E_INVALID, "expects an address with https:// or http://");
    if (strlen(url) > LONGEST_NOTE / 2 || url[strcspn(url, "\r\n")])
        return kn_fail(KEN_E_INVALID, "no address: too long, or of several lines");
    if (o->sha256 && (digits < 8 || digits > 64 || strspn(o->sha256, "0123456789abcdefABCDEF") != digits))
        return kn_fail(KEN_E_INVALID, "expects 8 to 64 hex digits of a SHA-256, not %s", o->sha256);
    return KEN_OK;
}

static ken_status open_part(fetch *f)
{
    const size_t folder = (size_t)(kn_path_name(f->path) - f->path);
    char *dir = folder ? kn_strndup(f->path, folder) : kn_strdup(".");
    ken_status st = dir ? kn_mkdirs(dir) : KEN_E_NOMEM;
    kn_free(dir);
    if (!st)
        st = kn_open(&f->fd, f->path, O_RDWR | O_CREAT | O_NOFOLLOW, 0666);
    if (!st && flock(f->fd, LOCK_EX | LOCK_NB))
        st = errno == EWOULDBLOCK ? kn_fail(KEN_E_BUSY, "another process is fetching it")
                                  : kn_fail_errno(errno);
    return st;
}

ken_status ken_fetch(const char *url, const char *path, const ken_fetch_options *opts)
{
    const ken_fetch_options none = KEN_FETCH_OPTIONS_INIT;
    ken_fetch_options o = opts ? *opts : none;
    fetch f = { .url = url, .path = path, .o = &o, .fd = -1 };
    kn_buf note;
    o.timeout = o.timeout ? o.timeout : 30;
    o.max_bytes = o.max_bytes ? o.max_bytes : UINT64_C(16) << 30;
    kn_buf_init(&note, LONGEST_NOTE);
    ken_status st = check(url, &o);
    if (!st)
        st = kn_buf_addf(&note, "%s.from", path);
    f.note = note.data;
    if (!st)
        st = open_part(&f);
    if (!st) {
        st = get(&f);
        const int empty = lseek(f.fd, 0, SEEK_END) == 0; /* `have` is less where the reading was cancelled */
        /* what is wrong, is empty, or comes from a server that names no state to go on with */
        const int useless = st == KEN_E_FORMAT || st == KEN_E_LIMIT || empty || (f.begun && !*f.state);
        const ken_status gone = !st ? kn_unlink(f.note) : useless ? drop(&f) : KEN_OK;
        st = st ? st : gone;
    }
    if (f.fd >= 0)
        close(f.fd);
    kn_buf_release(&note);
    return st ? kn_fail_in(st, "fetch %s", url) : KEN_OK;
}
