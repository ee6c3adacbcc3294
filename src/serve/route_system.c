/* route_system.c - health, version, metrics, limits, models, the collections and their sizes. */
#include "base/progress.h"
#include "serve/server.h"

void kn_route_live(kn_call *c)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "status", "ok");
    kn_answer_json(c->r, 200, o);
}

/* The model is open from the start; what can fail is the collection. */
void kn_route_ready(kn_call *c)
{
    ken_stats stats;
    if (c->s->db && ken_get_stats(c->s->db, &stats))
        kn_answer_error(c->r, 503, "not_ready", NULL, "the collection: %s", ken_last_error());
    else
        kn_route_live(c);
}

void kn_route_version(kn_call *c)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "version", ken_version());
    cJSON_AddStringToObject(o, "features", ken_features());
    cJSON_AddStringToObject(o, "level", ken_cpu_level());
    kn_answer_json(c->r, 200, o);
}

void kn_route_openapi(kn_call *c)
{
    c->r->status = kn_buf_adds(&c->r->out, c->s->openapi) ? 503 : 200;
    kn_reply_header(c->r, "Content-Type", "application/json");
}

void kn_route_limits(kn_call *c)
{
    cJSON *o = cJSON_CreateObject();
    const uint32_t pixels = c->s->decode.max_pixels;
    cJSON_AddNumberToObject(o, "body_bytes", (double)atomic_load(&c->s->max_body));
    cJSON_AddNumberToObject(o, "parts", KN_FORM_PARTS);
    cJSON_AddNumberToObject(o, "pixels", pixels);
    cJSON_AddNumberToObject(o, "queue", atomic_load(&c->s->queue));
    cJSON_AddNumberToObject(o, "workers", c->s->workers);
    cJSON_AddNumberToObject(o, "connections", c->s->connections);
    cJSON_AddNumberToObject(o, "timeout_seconds", c->s->timeout);
    cJSON_AddBoolToObject(o, "urls", 0);
    kn_answer_json(c->r, 200, o);
}

void kn_route_models(kn_call *c)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "object", "list");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(o, "data"), kn_json_model(ken_model_get_info(c->s->model)));
    kn_answer_json(c->r, 200, o);
}

/* ---- collections ---- */

static cJSON *collection_json(const ken_stats *s)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", KN_COLLECTION);
    cJSON_AddNumberToObject(o, "items", (double)s->items);
    cJSON_AddNumberToObject(o, "objects", (double)s->objects);
    kn_json_text(o, "model", s->model);
    kn_json_text(o, "store", s->store);
    return o;
}

void kn_route_collections(kn_call *c)
{
    ken_stats stats;
    const ken_status st = ken_get_stats(c->s->db, &stats);
    if (st) {
        kn_answer_failed(c->r, st, NULL);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(o, "collections"), collection_json(&stats));
    kn_answer_json(c->r, 200, o);
}

void kn_route_collection(kn_call *c)
{
    ken_stats stats;
    const ken_status st = ken_get_stats(c->s->db, &stats);
    if (st)
        kn_answer_failed(c->r, st, NULL);
    else
        kn_answer_json(c->r, 200, collection_json(&stats));
}

void kn_route_stats(kn_call *c)
{
    ken_stats s;
    const ken_status st = ken_get_stats(c->s->db, &s);
    if (st) {
        kn_answer_failed(c->r, st, NULL);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "items", (double)s.items);
    cJSON_AddNumberToObject(o, "hidden", (double)s.hidden);
    cJSON_AddNumberToObject(o, "objects", (double)s.objects);
    cJSON_AddNumberToObject(o, "vectors", (double)s.vectors);
    cJSON_AddNumberToObject(o, "bytes", (double)s.bytes);
    cJSON_AddNumberToObject(o, "dim", s.dim);
    kn_json_text(o, "model", s.model);
    kn_json_text(o, "fingerprint", s.fingerprint);
    kn_json_text(o, "precision", s.precision);
    kn_json_text(o, "store", s.store);
    cJSON *ix = cJSON_AddObjectToObject(o, "index");
    kn_json_text(ix, "kind", s.kind);
    cJSON_AddNumberToObject(ix, "n", (double)s.indexed);
    cJSON_AddNumberToObject(ix, "pending", (double)s.pending);
    cJSON_AddNumberToObject(ix, "dead", (double)s.dead);
    cJSON_AddBoolToObject(ix, "stale", s.stale);
    kn_answer_json(c->r, 200, o);
}

/* ---- metrics ---- */

static void name_route(size_t i, const char **method, const char **path)
{
    *method = i < kn_routes_n ? kn_routes[i].method : "";
    *path = i < kn_routes_n ? kn_routes[i].path : "other";
}

static ken_status gauge(kn_buf *b, const char *name, const char *help, double v)
{
    return kn_buf_addf(b, "# HELP %s %s\n# TYPE %s gauge\n%s %.9g\n", name, help, name, name, v);
}

static ken_status write_collection(const ken_server *s, kn_buf *b)
{
    ken_stats n;
    if (!s->db || ken_get_stats(s->db, &n))
        return KEN_OK; /* /readyz tells */
    return kn_buf_addf(
        b,
        "# HELP ken_index_items Pictures and models of the collection.\n# TYPE ken_index_items gauge\n"
        "ken_index_items{collection=\"" KN_COLLECTION "\",state=\"visible\"} %llu\n"
        "ken_index_items{collection=\"" KN_COLLECTION "\",state=\"hidden\"} %llu\n",
        (unsigned long long)n.items, (unsigned long long)n.hidden);
}

static ken_status write_server(const ken_server *s, kn_buf *b)
{
    ken_status st = kn_buf_addf(b,
                                "# HELP ken_build_info What runs.\n# TYPE ken_build_info gauge\n"
                                "ken_build_info{version=\"%s\",simd=\"%s\"} 1\n",
                                ken_version(), ken_cpu_level());
    if (!st)
        st = gauge(b, "ken_uptime_seconds", "Since the start.", kn_clock() - s->started);
    if (!st)
        st = gauge(b, "ken_http_connections", "Open connections.", kn_http_connections(s->http));
    if (!st)
        st = gauge(b, "ken_http_queue_depth", "Requests that wait for a worker.", kn_http_waiting(s->http));
    if (!st)
        st = gauge(b, "ken_encode_queue_depth", "Texts and pictures that wait for the network.",
                   (double)kn_encoder_waiting(s->encoder));
    return st ? st
              : kn_buf_addf(b,
                            "# HELP ken_decoders_died_total Decoders ended by a picture.\n"
                            "# TYPE ken_decoders_died_total counter\nken_decoders_died_total %llu\n",
                            (unsigned long long)kn_decoders_died(s->decoders));
}

void kn_route_metrics(kn_call *c)
{
    kn_buf *b = &c->r->out;
    ken_status st = write_server(c->s, b);
    if (!st)
        st = write_collection(c->s, b);
    if (!st)
        st = kn_metrics_write(c->s->metrics, name_route, ken_model_get_info(c->s->model)->name, b);
    if (!st)
        st = kn_metrics_process(b);
    if (st) {
        b->len = 0;
        kn_answer_failed(c->r, st, NULL);
        return;
    }
    c->r->status = 200;
    kn_reply_header(c->r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
}
