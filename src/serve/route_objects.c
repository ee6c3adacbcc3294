/* route_objects.c - objects taught by a few photographs, and recognised. */
#include "base/alloc.h"
#include "base/error.h"
#include "serve/server.h"
#include "serve/uploads.h"

#include <string.h>

static cJSON *object_json(const ken_object *o)
{
    cJSON *v = cJSON_CreateObject();
    kn_json_text(v, "object", o->name);
    cJSON_AddNumberToObject(v, "references", (double)o->references);
    cJSON_AddNumberToObject(v, "vectors", (double)o->vectors);
    return v;
}

static int add_object(const ken_object *o, void *cookie)
{
    cJSON_AddItemToArray(cookie, object_json(o));
    return 0;
}

void kn_route_objects(kn_call *c)
{
    cJSON *o = cJSON_CreateObject();
    const ken_status st = ken_object_each(c->s->db, add_object, cJSON_AddArrayToObject(o, "objects"));
    if (!st) {
        kn_answer_json(c->r, 200, o);
        return;
    }
    cJSON_Delete(o);
    kn_answer_failed(c->r, st, NULL);
}

void kn_route_object(kn_call *c)
{
    ken_object object;
    uint64_t *ids = NULL;
    size_t n = 0;
    ken_status st = ken_object_get(c->s->db, c->name, &object);
    if (!st)
        st = ken_object_items(c->s->db, c->name, &ids, &n);
    if (st) {
        kn_answer_failed(c->r, st, "name");
        return;
    }
    cJSON *o = object_json(&object), *items = cJSON_AddArrayToObject(o, "items");
    for (size_t i = 0; i < n; i++) {
        cJSON *one = cJSON_CreateObject();
        kn_json_id(one, "id", ids[i]);
        cJSON_AddItemToArray(items, one);
    }
    ken_ids_free(ids);
    kn_answer_json(c->r, 200, o);
}

/* ---- teaching ---- */

static void refused(size_t reference, const char *why, void *cookie)
{
    (void)reference;
    kn_parcel_refused(cookie, why);
}

static void teach(kn_parcel *p)
{
    kn_call *c = p->c;
    ken_reference refs[KN_PARCEL];
    ken_object object, before;
    ken_object_options o = KEN_OBJECT_OPTIONS_INIT;
    o.problem = refused;
    o.cookie = p;
    const int is_new = ken_object_get(c->s->db, c->name, &before) == KEN_E_NOTFOUND;
    for (size_t i = 0; i < p->n; i++)
        refs[i] = (ken_reference){ p->paths[i], c->name };
    ken_status st = ken_object_add(c->s->db, refs, p->n, &o, NULL);
    if (!st && p->why[0])
        st = kn_fail(KEN_E_FORMAT, "%s", p->why);
    if (!st)
        st = ken_object_get(c->s->db, c->name, &object);
    if (!st) {
        kn_parcel_served(p);
        kn_answer_json(c->r, is_new ? 201 : 200, object_json(&object));
    } else {
        kn_answer_failed(c->r, st, NULL);
    }
}

void kn_route_object_put(kn_call *c)
{
    kn_parcel p;
    if (!kn_parcel_take(&p, c))
        teach(&p);
    kn_parcel_release(&p);
}

/* The paths of what an object was taught with here; they go with it. */
void kn_route_object_delete(kn_call *c)
{
    uint64_t *ids = NULL;
    size_t n = 0;
    ken_record *r;
    char **paths = NULL;
    pthread_rwlock_wrlock(&c->s->sending);
    ken_status st = ken_object_items(c->s->db, c->name, &ids, &n);
    if (!st && !(paths = kn_zalloc(n + 1, sizeof *paths)))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++)
        if (!ken_get(c->s->db, ids[i], &r)) {
            if (kn_upload_is(c->s, r->path) && !strcmp(r->kind, "reference"))
                paths[i] = kn_strdup(r->path);
            ken_record_free(r);
        }
    if (!st)
        st = ken_object_remove(c->s->db, c->name);
    for (size_t i = 0; paths && i < n; i++) {
        if (!st && paths[i])
            kn_upload_drop(c->s, paths[i]);
        kn_free(paths[i]);
    }
    pthread_rwlock_unlock(&c->s->sending);
    kn_free(paths);
    ken_ids_free(ids);
    if (st)
        kn_answer_failed(c->r, st, "name");
    else
        c->r->status = 204;
}

/* ---- recognising ---- */

static cJSON *recognition_json(const kn_call *c, const ken_recognition *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "request_id", c->r->id);
    kn_json_text(o, "object", r->object);
    kn_json_exact(o, "confidence", r->confidence, 0);
    cJSON *list = cJSON_AddArrayToObject(o, "candidates");
    for (size_t i = 0; i < r->n; i++) {
        cJSON *one = cJSON_CreateObject();
        kn_json_text(one, "object", r->candidates[i].object);
        kn_json_exact(one, "score", (double)r->candidates[i].score, 1);
        kn_json_exact(one, "raw", (double)r->candidates[i].raw, 1);
        kn_json_exact(one, "confidence", r->candidates[i].confidence, 0);
        kn_json_id(one, "id", r->candidates[i].id);
        cJSON_AddItemToArray(list, one);
    }
    return o;
}

static int take_image(kn_call *c, ken_image **out)
{
    if (!c->is_form) {
        const cJSON *image = cJSON_GetObjectItemCaseSensitive(c->body, "image");
        return kn_take_base64(c, kn_get_text(image, "data", ""), "image", out);
    }
    const kn_part *p = kn_form_part(&c->form, "image");
    return kn_take_picture(c, p->bytes, p->len, "image", out);
}

void kn_route_recognize(kn_call *c)
{
    ken_image *img;
    ken_recognition *r = NULL;
    ken_recognize_options o = KEN_RECOGNIZE_OPTIONS_INIT;
    o.k = (uint32_t)kn_get_number(c->body, "limit", 10);
    o.fpir = kn_get_number(c->body, "fpir", 0);
    if (take_image(c, &img))
        return;
    const ken_status st = ken_recognize(c->s->db, img, &o, &r);
    if (st)
        kn_answer_failed(c->r, st, NULL);
    else
        kn_answer_json(c->r, 200, recognition_json(c, r));
    ken_recognition_free(r);
    ken_image_free(img);
}
