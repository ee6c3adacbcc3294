/* answer.c - replies in one voice, and our values as JSON. */
#include "base/alloc.h"
#include "serve/server.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

/* ---- JSON of our values ---- */

void kn_json_real(cJSON *to, const char *name, double v, int digits)
{
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits, v);
    if (isfinite(v))
        cJSON_AddRawToObject(to, name, text);
    else
        cJSON_AddNullToObject(to, name);
}

void kn_json_exact(cJSON *to, const char *name, double v, int is_float)
{
    char text[40];
    int same = 0;
    for (int digits = 6; !same && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        const double read = strtod(text, NULL);
        same = is_float ? (float)read == (float)v : read == v;
    }
    if (isfinite(v))
        cJSON_AddRawToObject(to, name, text);
    else
        cJSON_AddNullToObject(to, name);
}

void kn_json_id(cJSON *to, const char *name, uint64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    cJSON_AddStringToObject(to, name, text);
}

/* s with each byte that is not part of valid UTF-8 as U+FFFD; NULL: out of memory. */
static char *clean(const char *s, int *valid)
{
    static const char mark[] = "\xef\xbf\xbd";
    const size_t len = strlen(s);
    size_t n = 0;
    char *out = kn_alloc(len * 3 + 1, 1);
    *valid = 1;
    for (size_t i = 0; out && i < len;) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &c);
        const size_t step = used > 0 ? (size_t)used : 1;
        memcpy(out + n, used > 0 ? s + i : mark, used > 0 ? step : 3);
        n += used > 0 ? step : 3;
        *valid &= used > 0;
        i += step;
    }
    if (out)
        out[n] = 0;
    return out;
}

static int add_text(cJSON *to, const char *name, const char *s)
{
    int valid;
    char *text = clean(s, &valid);
    cJSON_AddStringToObject(to, name, text ? text : "");
    kn_free(text);
    return valid;
}

void kn_json_text(cJSON *to, const char *name, const char *s)
{
    if (s)
        add_text(to, name, s);
    else
        cJSON_AddNullToObject(to, name);
}

void kn_json_path(cJSON *to, const char *name, const char *bytes)
{
    char member[80];
    kn_buf hex;
    if (add_text(to, name, bytes))
        return;
    kn_buf_init(&hex, 1 << 20);
    ken_status st = KEN_OK;
    for (const char *c = bytes; !st && *c; c++)
        st = kn_buf_addf(&hex, "%02x", (unsigned char)*c);
    snprintf(member, sizeof member, "%s_bytes", name);
    if (!st)
        cJSON_AddStringToObject(to, member, hex.data);
    kn_buf_release(&hex);
}

void kn_json_time(cJSON *to, const char *name, int64_t ns)
{
    char text[40];
    const time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        cJSON_AddStringToObject(to, name, text);
    else
        cJSON_AddNullToObject(to, name);
}

cJSON *kn_json_model(const ken_model_info *i)
{
    cJSON *o = cJSON_CreateObject();
    kn_json_text(o, "id", i->name);
    cJSON_AddStringToObject(o, "object", "model");
    cJSON_AddStringToObject(o, "owned_by", "ken");
    kn_json_text(o, "arch", i->arch);
    cJSON_AddNumberToObject(o, "dim", i->dim);
    const int size[2] = { (int)i->input[0], (int)i->input[1] };
    cJSON_AddItemToObject(o, "input", cJSON_CreateIntArray(size, 2));
    cJSON_AddBoolToObject(o, "image", i->has_images);
    cJSON_AddBoolToObject(o, "text", i->has_texts);
    cJSON_AddNumberToObject(o, "context", i->context);
    kn_json_text(o, "tokenizer", i->tokenizer);
    cJSON_AddNumberToObject(o, "bytes", (double)i->bytes);
    kn_json_text(o, "dtype", i->dtype);
    kn_json_text(o, "precision", i->precision);
    kn_json_text(o, "licence", i->licence);
    kn_json_text(o, "fingerprint", i->fingerprint);
    return o;
}

double kn_get_number(const cJSON *o, const char *name, double otherwise)
{
    const cJSON *v = o ? cJSON_GetObjectItemCaseSensitive(o, name) : NULL;
    return cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}

const char *kn_get_text(const cJSON *o, const char *name, const char *otherwise)
{
    const cJSON *v = o ? cJSON_GetObjectItemCaseSensitive(o, name) : NULL;
    return cJSON_IsString(v) ? v->valuestring : otherwise;
}

int kn_get_bool(const cJSON *o, const char *name)
{
    return o && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, name));
}

/* ---- replies ---- */

void kn_answer_json(kn_request *r, int status, cJSON *v)
{
    char *text = v ? cJSON_PrintUnformatted(v) : NULL;
    const int ok = text && !kn_buf_adds(&r->out, text);
    cJSON_free(text);
    cJSON_Delete(v);
    r->status = ok ? status : 503;
    kn_reply_header(r, "Content-Type", "application/json");
    kn_reply_header(r, "Cache-Control", "no-store");
}

void kn_answer_error(kn_request *r, int status, const char *code, const char *param, const char *fmt, ...)
{
    char message[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    cJSON *o = cJSON_CreateObject(), *e = cJSON_AddObjectToObject(o, "error");
    cJSON_AddStringToObject(e, "code", code);
    kn_json_text(e, "message", message);
    kn_json_text(e, "param", param);
    cJSON_AddStringToObject(e, "request_id", r->id);
    if (status == 503)
        kn_reply_header(r, "Retry-After", "1");
    if (status == 401)
        kn_reply_header(r, "WWW-Authenticate", "Bearer realm=\"ken\"");
    kn_answer_json(r, status, o);
}

void kn_answer_failed(kn_request *r, ken_status st, const char *param)
{
    static const struct {
        ken_status st;
        int status;
        const char *code;
    } all[] = { { KEN_E_NOMEM, 503, "out_of_memory" }, { KEN_E_INVALID, 422, "invalid" },
                { KEN_E_NOTFOUND, 404, "not_found" },  { KEN_E_EXISTS, 409, "exists" },
                { KEN_E_FORMAT, 422, "malformed" },    { KEN_E_UNSUPPORTED, 422, "unsupported" },
                { KEN_E_LIMIT, 422, "too_large" },     { KEN_E_BUSY, 503, "busy" },
                { KEN_E_CANCELED, 503, "stopping" },   { KEN_E_MODEL, 409, "model" },
                { KEN_E_NET, 502, "remote" } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].st == st) {
            kn_answer_error(r, all[i].status, all[i].code, param, "%s", ken_last_error());
            return;
        }
    kn_answer_error(r, 500, "internal", param, "%s", ken_last_error());
}

int kn_answer_known(kn_request *r, const char *etag)
{
    const char *have = kn_request_header(r, "If-None-Match");
    kn_reply_header(r, "ETag", "\"%s\"", etag);
    kn_reply_header(r, "Cache-Control", "private, no-cache");
    if (!have || (strcmp(have, "*") != 0 && !strstr(have, etag)))
        return 0;
    r->status = 304;
    return 1;
}
