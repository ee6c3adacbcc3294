/* remote.c - /v1/embeddings, some inputs at a time. */
#include "cli/remote.h"

#include "cli/http.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/option.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const double CONNECT = 5, SILENCE = 120; /* seconds */
enum { MOST_INPUTS = 512 };
static const size_t MOST_BYTES = (size_t)8 << 20; /* of inputs in one request, if they are several */

int cli_remote_wanted(void)
{
    const char *e = cli_opt(OPT_ENCODER);
    return !strncmp(e, "unix:", 5) || !strncmp(e, "http://", 7);
}

/* ---- base64, RFC 4648 ---- */

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *to_base64(const unsigned char *b, size_t n)
{
    char *out = cli_mem_new((n + 2) / 3 * 4 + 1, 1), *to = out;
    for (size_t i = 0; i < n; i += 3) {
        const unsigned v = (unsigned)b[i] << 16 | (i + 1 < n ? (unsigned)b[i + 1] << 8 : 0)
                           | (i + 2 < n ? b[i + 2] : 0);
        *to++ = DIGITS[v >> 18];
        *to++ = DIGITS[v >> 12 & 63];
        *to++ = i + 1 < n ? DIGITS[v >> 6 & 63] : '=';
        *to++ = i + 2 < n ? DIGITS[v & 63] : '=';
    }
    return out;
}

/* Exactly n bytes, or -1. */
static int from_base64(const char *s, unsigned char *out, size_t n)
{
    unsigned v = 0;
    int bits = 0;
    size_t done = 0;
    for (; *s && *s != '='; s++) {
        const char *digit = strchr(DIGITS, *s);
        if (!digit)
            return -1;
        v = v << 6 | (unsigned)(digit - DIGITS);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (done == n)
            return -1;
        out[done++] = (unsigned char)(v >> bits);
    }
    return done == n ? 0 : -1;
}

/* ---- one request ---- */

static ken_status fail(ken_status st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static ken_status fail(ken_status st, const char *fmt, ...)
{
    char why[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return ken_fail(st, why);
}

/* A picture goes as the PNG of its pixels. */
static ken_status add_input(cJSON *list, const char *text, const ken_image *img, size_t *bytes)
{
    void *png = NULL;
    size_t len = 0;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToArray(list, o);
    if (text) {
        cJSON_AddStringToObject(o, "text", text);
        *bytes += strlen(text);
        return KEN_OK;
    }
    const ken_status st = ken_image_encode(img, 0, &png, &len);
    if (st)
        return st;
    char *coded = to_base64(png, len);
    cJSON_AddStringToObject(o, "fitted", coded);
    *bytes += strlen(coded);
    cli_mem_free(coded);
    ken_bytes_free(png);
    return KEN_OK;
}

/* What a reply other than 200 says, which may be anything. */
static ken_status refused(const ken_model_info *m, const cli_reply *r)
{
    cJSON *v = cJSON_ParseWithLength(r->body, r->len);
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(v, "error"),
                *code = cJSON_GetObjectItemCaseSensitive(e, "code"),
                *message = cJSON_GetObjectItemCaseSensitive(e, "message");
    int valid;
    char *why = cli_utf8_clean(cJSON_IsString(message) ? message->valuestring : "", 1, &valid);
    const int other = r->status == 404 && cJSON_IsString(code) && !strcmp(code->valuestring, "model");
    const char *at = cli_opt(OPT_ENCODER), *colon = *why ? ": " : "";
    const ken_status st =
        other ? fail(KEN_E_MODEL, "%s: the encoder answers %d%s%.200s; wanted is `ken serve --encoder-only "
                                  "--model %.100s`, in the same precision", at, r->status, colon, why,
                             m->name)
              : fail(KEN_E_NET, "%s: the encoder answers %d%s%.300s", at, r->status, colon, why);
    cli_mem_free(why);
    cJSON_Delete(v);
    return st;
}

static ken_status read_vectors(const cli_reply *r, size_t n, size_t dim, float *vectors)
{
    cJSON *v = cJSON_ParseWithLength(r->body, r->len);
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(v, "data"), *item;
    size_t i = 0;
    int bad = (size_t)cJSON_GetArraySize(data) != n;
    cJSON_ArrayForEach (item, data) {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, "embedding");
        unsigned char *row = (unsigned char *)(vectors + i++ * dim);
        bad = bad || !cJSON_IsString(text) || from_base64(text->valuestring, row, dim * sizeof *vectors);
    }
    cJSON_Delete(v);
    if (!bad)
        return KEN_OK;
    return fail(KEN_E_NET, "%s: the encoder answers with something else than vectors", cli_opt(OPT_ENCODER));
}

static ken_status ask(const ken_model_info *m, const cJSON *body, size_t n, float *vectors)
{
    const cli_http h = { .address = cli_opt(OPT_ENCODER), .key = cli_opt(OPT_API_KEY), .connect = CONNECT,
                         .silence = SILENCE };
    cli_reply r;
    char *text = cJSON_PrintUnformatted(body);
    const int bad = !text || cli_http_post(&h, "/v1/embeddings", "application/json", text, strlen(text), &r);
    cJSON_free(text);
    if (bad)
        return fail(KEN_E_NET, "%s: no encoder answers: %s", h.address, strerror(errno));
    const ken_status st = r.status == 200 ? read_vectors(&r, n, m->dim, vectors) : refused(m, &r);
    cli_mem_free(r.body);
    return st;
}

ken_status cli_remote_encode(const ken_model_info *m, const char *const *texts,
                             const ken_image *const *fitted, size_t n, float *vectors, void *cookie)
{
    ken_status st = KEN_OK;
    (void)cookie;
    for (size_t from = 0, to; !st && from < n; from = to) {
        size_t bytes = 0;
        cJSON *body = cJSON_CreateObject();
        cJSON_AddStringToObject(body, "model", m->fingerprint);
        cJSON_AddStringToObject(body, "encoding_format", "base64");
        cJSON *list = cJSON_AddArrayToObject(body, "input");
        for (to = from; !st && to < n && to - from < MOST_INPUTS && bytes < MOST_BYTES; to++)
            st = add_input(list, texts ? texts[to] : NULL, texts ? NULL : fitted[to], &bytes);
        if (!st)
            st = ask(m, body, to - from, vectors + from * m->dim);
        cJSON_Delete(body);
    }
    return st;
}
