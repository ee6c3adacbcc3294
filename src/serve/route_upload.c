/* route_upload.c - items listed, sent, described and removed. */
#include "base/alloc.h"
#include "base/error.h"
#include "serve/server.h"
#include "serve/uploads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PICTURES = 32, PAGE = 100 };

/* ---- the list ---- */

typedef struct page {
    cJSON *items;
    uint64_t after, last;
    long limit, n;
    int more, hidden;
    const char *object;
} page;

static int add_record(const ken_record *r, void *cookie)
{
    page *p = cookie;
    if (r->id <= p->after || (r->hidden && !p->hidden) ||
        (p->object && (!r->object || strcmp(r->object, p->object) != 0)))
        return 0;
    if (p->n == p->limit) {
        p->more = 1;
        return 1;
    }
    cJSON_AddItemToArray(p->items, kn_json_record(r));
    p->last = r->id;
    p->n++;
    return 0;
}

void kn_route_items(kn_call *c)
{
    const char *cursor = kn_get_text(c->args, "cursor", "0");
    char *end;
    errno = 0;
    page p = { .after = strtoull(cursor, &end, 10),
               .limit = (long)kn_get_number(c->args, "limit", PAGE),
               .object = kn_get_text(c->args, "object", NULL),
               .hidden = kn_get_bool(c->args, "hidden") };
    if (*cursor < '0' || *cursor > '9' || *end || errno) {
        kn_answer_error(c->r, 422, "invalid", "cursor", "not the next_cursor of an answer");
        return;
    }
    cJSON *o = cJSON_CreateObject();
    p.items = cJSON_AddArrayToObject(o, "items");
    const ken_status st = ken_each(c->s->db, add_record, &p);
    if (p.more)
        kn_json_id(o, "next_cursor", p.last);
    else
        cJSON_AddNullToObject(o, "next_cursor");
    if (!st || (st == KEN_E_CANCELED && p.more)) {
        kn_answer_json(c->r, 200, o);
        return;
    }
    cJSON_Delete(o);
    kn_answer_failed(c->r, st, NULL);
}

/* ---- sending ---- */

typedef struct parcel {
    kn_call *c;
    char *paths[MAX_PICTURES]; /* kn_free */
    int fresh[MAX_PICTURES];
    size_t n;
    char why[300];
} parcel;

static void problem(const char *path, const char *why, int skipped, void *cookie)
{
    parcel *p = cookie;
    (void)path;
    (void)skipped;
    snprintf(p->why, sizeof p->why, "%s", why);
}

/* Kept, or -1 with the answer given; frees img. */
static int keep(parcel *p, ken_image *img, const char *param)
{
    const ken_status st = kn_upload_keep(p->c->s, img, &p->paths[p->n], &p->fresh[p->n]);
    ken_image_free(img);
    if (st)
        kn_answer_failed(p->c->r, st, param);
    p->n += !st;
    return st ? -1 : 0;
}

static int take_parts(parcel *p)
{
    const kn_form *f = &p->c->form;
    for (size_t i = 0; i < f->n; i++) {
        ken_image *img;
        if (p->n == MAX_PICTURES) {
            kn_answer_error(p->c->r, 422, "too_large", NULL, "more than %d pictures", MAX_PICTURES);
            return -1;
        }
        if (kn_take_picture(p->c, f->parts[i].bytes, f->parts[i].len, f->parts[i].name, &img) ||
            keep(p, img, f->parts[i].name))
            return -1;
    }
    return 0;
}

static int take_json(parcel *p)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(p->c->body, "images")) {
        char param[32];
        ken_image *img;
        snprintf(param, sizeof param, "images[%zu]", p->n);
        if (kn_take_base64(p->c, kn_get_text(item, "data", ""), param, &img) || keep(p, img, param))
            return -1;
    }
    return 0;
}

static ken_status answer_items(parcel *p)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "items");
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < p->n; i++) {
        uint64_t id = 0;
        ken_record *r = NULL;
        st = ken_find(p->c->s->db, p->paths[i], &id);
        if (!st)
            st = ken_get(p->c->s->db, id, &r);
        if (!st)
            cJSON_AddItemToArray(list, kn_json_record(r));
        ken_record_free(r);
    }
    if (st)
        cJSON_Delete(o);
    else
        kn_answer_json(p->c->r, 201, o);
    return st;
}

static void add_all(parcel *p)
{
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report report;
    o.problem = problem;
    o.cookie = p;
    ken_status st = ken_scan(p->c->s->db, (const char *const *)p->paths, p->n, &o, &report);
    if (!st && p->why[0])
        st = kn_fail(KEN_E_FORMAT, "%s", p->why);
    if (!st)
        st = answer_items(p);
    if (st)
        kn_answer_failed(p->c->r, st, NULL);
    else
        memset(p->fresh, 0, sizeof p->fresh);
}

void kn_route_upload(kn_call *c)
{
    parcel p = { .c = c };
    const int bad = c->is_form ? take_parts(&p) : take_json(&p);
    if (!bad && !p.n)
        kn_answer_error(c->r, 422, "invalid", "images", "no pictures");
    else if (!bad)
        add_all(&p);
    for (size_t i = 0; i < p.n; i++) {
        if (p.fresh[i]) /* it came to nothing */
            kn_upload_drop(c->s, p.paths[i]);
        kn_free(p.paths[i]);
    }
}

/* ---- one item ---- */

void kn_route_item_put(kn_call *c)
{
    ken_record *r;
    size_t done = 0;
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(c->body, "meta");
    if (kn_take_item(c, &r))
        return;
    char *text = meta ? cJSON_PrintUnformatted(meta) : NULL;
    const ken_note note = { r->path, kn_get_text(c->body, "object", NULL), text };
    ken_status st = ken_describe(c->s->db, &note, 1, &done);
    cJSON_free(text);
    const uint64_t id = r->id;
    ken_record_free(r);
    r = NULL;
    if (!st)
        st = ken_get(c->s->db, id, &r);
    if (st)
        kn_answer_failed(c->r, st, NULL);
    else
        kn_answer_json(c->r, 200, kn_json_record(r));
    ken_record_free(r);
}

void kn_route_item_delete(kn_call *c)
{
    ken_record *r;
    if (kn_take_item(c, &r))
        return;
    const ken_status st = ken_remove(c->s->db, &r->id, 1);
    if (st) {
        kn_answer_failed(c->r, st, "id");
    } else {
        kn_upload_drop(c->s, r->path);
        c->r->status = 204;
    }
    ken_record_free(r);
}
