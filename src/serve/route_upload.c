/* route_upload.c - items listed, sent, described and removed. */
#include "base/digits.h"
#include "base/error.h"
#include "serve/server.h"
#include "serve/uploads.h"

#include <string.h>

enum { PAGE = 100 };

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
    page p = { .limit = (long)kn_get_number(c->args, "limit", PAGE),
               .object = kn_get_text(c->args, "object", NULL),
               .hidden = kn_get_bool(c->args, "hidden") };
    if (!kn_decimal(cursor, &p.after)) {
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

static void problem(const char *path, const char *why, int skipped, void *cookie)
{
    (void)path;
    (void)skipped;
    kn_parcel_refused(cookie, why);
}

static ken_status answer_items(kn_parcel *p)
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

static void add_all(kn_parcel *p)
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
        kn_parcel_served(p);
}

void kn_route_upload(kn_call *c)
{
    kn_parcel p;
    if (!kn_parcel_take(&p, c))
        add_all(&p);
    kn_parcel_release(&p);
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
    pthread_rwlock_wrlock(&c->s->sending);
    if (!kn_take_item(c, &r)) {
        const ken_status st = ken_remove(c->s->db, &r->id, 1);
        if (st) {
            kn_answer_failed(c->r, st, "id");
        } else {
            kn_upload_drop(c->s, r->path);
            c->r->status = 204;
        }
        ken_record_free(r);
    }
    pthread_rwlock_unlock(&c->s->sending);
}
