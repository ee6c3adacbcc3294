/* picture.c - pictures out of requests. */
#include "base/alloc.h"
#include "base/base64.h"
#include "base/digits.h"
#include "serve/server.h"

#include <string.h>

int kn_take_picture(kn_call *c, const void *bytes, size_t n, const char *param, ken_image **out)
{
    const ken_status st = kn_decoders_decode(c->s->decoders, bytes, n, out);
    if (!st)
        return 0;
    if (st == KEN_E_FORMAT)
        kn_answer_error(c->r, 422, "picture_unreadable", param, "%s", ken_last_error());
    else if (st == KEN_E_UNSUPPORTED)
        kn_answer_error(c->r, 422, "picture_unsupported", param, "%s", ken_last_error());
    else if (st == KEN_E_LIMIT)
        kn_answer_error(c->r, 422, "picture_too_large", param, "%s", ken_last_error());
    else
        kn_answer_failed(c->r, st, param);
    return -1;
}

int kn_take_base64(kn_call *c, const char *text, const char *param, ken_image **out)
{
    size_t n = 0;
    int bad = 0;
    if (!strncmp(text, "data:", 5)) {
        const char *comma = strchr(text, ',');
        if (!comma || comma - text < 7 || strncmp(comma - 7, ";base64", 7)) {
            kn_answer_error(c->r, 422, "malformed", param, "a data URI that does not say base64");
            return -1;
        }
        text = comma + 1;
    }
    unsigned char *bytes = kn_unbase64(text, &n, &bad);
    if (!bytes) {
        if (bad)
            kn_answer_error(c->r, 422, "malformed", param, "not base64");
        else
            kn_answer_failed(c->r, KEN_E_NOMEM, param);
        return -1;
    }
    const int failed = kn_take_picture(c, bytes, n, param, out);
    kn_free(bytes);
    return failed;
}

int kn_take_item(kn_call *c, ken_record **out)
{
    uint64_t id;
    if (!kn_decimal(c->id, &id) || !id) {
        kn_answer_error(c->r, 404, "not_found", "id", "%.64s is the number of no item", c->id);
        return -1;
    }
    const ken_status st = ken_get(c->s->db, id, out);
    if (st)
        kn_answer_failed(c->r, st, "id");
    return st ? -1 : 0;
}
