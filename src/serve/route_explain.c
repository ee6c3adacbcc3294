/* route_explain.c - where two pictures agree, or a picture and words; as numbers or as a picture. */
#include "serve/search_query.h"
#include "serve/server.h"

#include <stdio.h>
#include <string.h>

static void add_map(cJSON *o, const char *name, const float *map, const uint32_t grid[2])
{
    cJSON *list = cJSON_AddArrayToObject(o, name);
    char text[40];
    for (size_t i = 0; map && i < (size_t)grid[0] * grid[1]; i++) {
        snprintf(text, sizeof text, "%.6g", (double)map[i]);
        cJSON_AddItemToArray(list, cJSON_CreateRaw(text));
    }
}

static void add_box(cJSON *o, const char *name, const uint32_t box[4])
{
    cJSON *list = cJSON_AddArrayToObject(o, name);
    for (int i = 0; i < 4 && box[2]; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber(box[i]));
}

static cJSON *explanation_json(const kn_call *c, const ken_explanation *e)
{
    const int grid[2] = { (int)e->grid[0], (int)e->grid[1] };
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "grid", cJSON_CreateIntArray(grid, 2));
    add_map(o, "a", e->a, e->grid);
    add_map(o, "b", e->b, e->grid);
    kn_json_real(o, "score", (double)e->score, 6);
    kn_json_real(o, "raw", (double)e->raw, 6);
    cJSON *regions = cJSON_AddArrayToObject(o, "regions");
    for (size_t i = 0; i < e->n_regions; i++) {
        cJSON *r = cJSON_CreateObject();
        add_box(r, "a", e->regions[i].a);
        add_box(r, "b", e->regions[i].b);
        kn_json_real(r, "share", (double)e->regions[i].share, 4);
        cJSON_AddItemToArray(regions, r);
    }
    kn_json_text(o, "text", e->text);
    kn_json_text(o, "method", e->method);
    kn_json_text(o, "model", ken_model_get_info(c->s->model)->name);
    return o;
}

/* Both pictures with the maps over them, as PNG. */
static ken_status draw(kn_call *c, const ken_explanation *e, const ken_term t[2])
{
    ken_image *img = NULL;
    void *bytes = NULL;
    size_t n = 0;
    ken_status st = ken_explanation_draw(&img, e, &t[0], &t[1], 0);
    if (!st)
        st = ken_image_encode(img, 0, &bytes, &n);
    if (!st)
        st = kn_buf_add(&c->r->out, bytes, n);
    if (!st) {
        c->r->status = 200;
        kn_reply_header(c->r, "Content-Type", "image/png");
    }
    ken_bytes_free(bytes);
    ken_image_free(img);
    return st;
}

/* An item's own picture, decoded here: the file is the owner's. */
static int load_item(kn_call *c, const char *id, ken_image **out)
{
    ken_record *r;
    const char *was = c->id;
    c->id = id;
    int bad = kn_take_item(c, &r);
    if (!bad) {
        bad = kn_item_picture(c, r, out);
        ken_record_free(r);
    }
    c->id = was;
    return bad;
}

static int read_side(kn_call *c, const cJSON *body, const char *name, ken_term *t, ken_image **img)
{
    const cJSON *side = cJSON_GetObjectItemCaseSensitive(body, name);
    const cJSON *image = cJSON_GetObjectItemCaseSensitive(side, "image");
    const char *id = kn_get_text(side, "id", kn_get_text(image, "id", NULL));
    *t = (ken_term){ .text = kn_get_text(side, "text", NULL), .weight = 1 };
    if (!t->text && (id ? load_item(c, id, img) : kn_take_image(c, image, name, img)))
        return -1;
    t->image = *img;
    return 0;
}

static void explain(kn_call *c, const cJSON *body, const ken_term t[2])
{
    ken_explain_options o = KEN_EXPLAIN_OPTIONS_INIT;
    ken_explanation *e = NULL;
    const char *accept = kn_request_header(c->r, "Accept");
    o.method = kn_get_text(body, "method", NULL);
    o.language = kn_get_text(body, "language", NULL);
    o.grid = (uint32_t)kn_get_number(body, "grid", 0);
    o.regions = (uint32_t)kn_get_number(body, "regions", 0);
    ken_status st = ken_explain(c->s->model, &t[0], &t[1], &o, &e);
    if (!st && accept && strstr(accept, "image/png"))
        st = draw(c, e, t);
    else if (!st)
        kn_answer_json(c->r, 200, explanation_json(c, e));
    if (st)
        kn_answer_failed(c->r, st, NULL);
    ken_explanation_free(e);
}

void kn_route_explain(kn_call *c)
{
    const cJSON *body = c->is_form ? cJSON_GetObjectItemCaseSensitive(c->body, "explain") : c->body;
    ken_term t[2];
    ken_image *img[2] = { NULL, NULL };
    if (!read_side(c, body, "a", &t[0], &img[0]) && !read_side(c, body, "b", &t[1], &img[1])) {
        if (t[0].text && t[1].text)
            kn_answer_error(c->r, 422, "invalid", "b", "without a picture there is no place to show");
        else
            explain(c, body, t);
    }
    ken_image_free(img[0]);
    ken_image_free(img[1]);
}
