/* route_duplicates.c - near duplicates, in groups. */
#include "serve/server.h"

typedef struct told {
    ken *db;
    cJSON *groups, *last; /* last: of groups, or NULL before the first */
    size_t group;         /* that last is */
} told;

static int tell(size_t group, uint64_t id, float score, void *cookie)
{
    told *t = cookie;
    ken_record *r = NULL;
    if (ken_get(t->db, id, &r))
        return 0; /* removed since */
    if (!t->last || t->group != group)
        cJSON_AddItemToArray(t->groups, t->last = cJSON_CreateArray());
    t->group = group;
    cJSON *o = cJSON_CreateObject();
    kn_json_id(o, "id", id);
    kn_json_path(o, "path", r->path);
    kn_json_real(o, "score", (double)score, 6);
    cJSON_AddItemToArray(t->last, o);
    ken_record_free(r);
    return 0;
}

void kn_route_duplicates(kn_call *c)
{
    ken_duplicates_options o = KEN_DUPLICATES_OPTIONS_INIT;
    cJSON *answer = cJSON_CreateObject();
    told t = { .db = c->s->db, .groups = cJSON_AddArrayToObject(answer, "groups") };
    o.min = (float)kn_get_number(c->args, "min_raw", 0);
    o.where = kn_get_text(c->args, "where", NULL);
    o.cookie = &t;
    const ken_status st = ken_duplicates(t.db, &o, tell);
    if (st) {
        cJSON_Delete(answer);
        kn_answer_failed(c->r, st, NULL);
    } else {
        kn_answer_json(c->r, 200, answer);
    }
}
