/*
 * dispatch.c - from a request to its route: who asks, whether the body may come, what it says.
 *
 * What can be refused by the head alone is refused there, before a byte of the body is kept.
 */
#include "base/progress.h"
#include "serve/server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- the head ---- */

/* "Host: name:port" to its name; browsers send it in lower case. */
static void host_name(const char *host, char *name, size_t room)
{
    const int bracket = *host == '[';
    const size_t len = strcspn(host + bracket, bracket ? "]" : ":");
    snprintf(name, room, "%.*s", (int)(len < room ? len : room - 1), host + bracket);
}

/* Without keys whoever can reach the server may use it; a page on the web must not become such a one, by
 * a name that it lets point here. */
static int is_known_host(const char *host)
{
    char name[256];
    unsigned char address[16];
    host_name(host, name, sizeof name);
    return !*name || !strcasecmp(name, "localhost") || inet_pton(AF_INET, name, address) == 1 ||
           inet_pton(AF_INET6, name, address) == 1;
}

/* A browser says which page asks: only ours may. */
static int is_own_page(const kn_request *r)
{
    const char *origin = kn_request_header(r, "Origin"), *host = kn_request_header(r, "Host");
    if (!origin)
        return 1;
    const char *name = strstr(origin, "://");
    return name && host && !strcasecmp(name + 3, host);
}

static kn_scope scope_of(const ken_server *s, const kn_request *r)
{
    const char *a = kn_request_header(r, "Authorization"), *key = kn_request_header(r, "api-key");
    if (!kn_keys_on(s->keys))
        return KN_ADMIN;
    if (a && !strncasecmp(a, "Bearer ", 7))
        key = a + 7;
    return key ? kn_keys_scope(s->keys, key) : KN_OPEN;
}

static int check_who(const ken_server *s, kn_request *r, const kn_route *t)
{
    const char *host = kn_request_header(r, "Host");
    if (!kn_keys_on(s->keys) && host && !is_known_host(host))
        kn_answer_error(
            r, 403, "host", NULL,
            "asked for as %.100s: without keys this server answers to addresses and localhost alone", host);
    else if (!is_own_page(r))
        kn_answer_error(r, 403, "origin", NULL, "pages of another origin may not ask");
    else if (t && t->scope != KN_OPEN) {
        const kn_scope scope = scope_of(s, r);
        if (scope == KN_OPEN)
            kn_answer_error(r, 401, "key", NULL, "a valid key is needed: Authorization: Bearer KEY");
        else if (scope < t->scope)
            kn_answer_error(r, 403, "scope", NULL, "this key may not do that");
    }
    return r->status ? -1 : 0;
}

static int has_type(const kn_request *r, const char *type)
{
    const size_t n = strlen(type);
    return !strncasecmp(r->type, type, n) && (!r->type[n] || r->type[n] == ';' || r->type[n] == ' ');
}

static int check_body(const ken_server *s, kn_request *r, const kn_route *t)
{
    const uint64_t most = atomic_load(&s->max_body);
    if (r->length != UINT64_MAX && r->length > most)
        kn_answer_error(r, 413, "body_too_large", NULL, "a body of %llu bytes; at most %llu are taken",
                        (unsigned long long)r->length, (unsigned long long)most);
    else if ((t->json || t->form) && !(t->json && has_type(r, "application/json")) &&
             !(t->form && has_type(r, "multipart/form-data")))
        kn_answer_error(r, 415, "content_type", NULL, "expects %s%s%s", t->json ? "application/json" : "",
                        t->json && t->form ? " or " : "", t->form ? "multipart/form-data" : "");
    return r->status ? -1 : 0;
}

static int check_args(kn_request *r)
{
    if (r->n_args > KN_HTTP_ARGS) {
        kn_answer_error(r, 400, "malformed", NULL, "more than %d arguments", KN_HTTP_ARGS);
        return -1;
    }
    for (size_t i = 0; i < r->n_args; i++)
        if (!r->args[i].value) {
            kn_answer_error(r, 400, "malformed", NULL, "an argument that is not well escaped");
            return -1;
        }
    return 0;
}

void kn_dispatch_head(kn_request *r, void *cookie)
{
    const ken_server *s = cookie;
    char allowed[64];
    int bad;
    kn_safe_headers(r);
    const kn_route *t = kn_route_find(s, r, allowed, sizeof allowed, &bad);
    r->route = t;
    if (check_who(s, r, t) || check_args(r))
        return;
    if (!t && !*allowed && s->db && kn_web_answer(r))
        return;
    if (bad)
        kn_answer_error(r, 400, "malformed", "path", "the path is not well escaped");
    else if (!t && *allowed) {
        kn_reply_header(r, "Allow", "%s", allowed);
        kn_answer_error(r, 405, "method", NULL, "expects %s", allowed);
    } else if (!t)
        kn_answer_error(r, 404, "no_route", NULL, "there is nothing at this path");
    else
        check_body(s, r, t);
}

/* ---- arguments and bodies ---- */

static int answer_wrong(kn_call *c, const kn_wrong *w, const char *code)
{
    kn_answer_error(c->r, 422, code, *w->where ? w->where : NULL, "%s%s%s", w->where, *w->where ? " " : "",
                    w->what);
    return -1;
}

static const kn_field *field_named(const kn_field *f, const char *name)
{
    while (f && f->name && strcmp(f->name, name) != 0)
        f++;
    return f && f->name ? f : NULL;
}

static int read_one(kn_call *c, cJSON *to, const kn_field *f, const char *name, const char *text)
{
    kn_wrong w = { { 0 }, { 0 } };
    cJSON *v = NULL;
    snprintf(w.where, sizeof w.where, "%.60s", name);
    if (cJSON_GetObjectItemCaseSensitive(to, name))
        snprintf(w.what, sizeof w.what, "comes twice");
    else
        v = kn_field_read(f, text, &w);
    if (!v)
        return answer_wrong(c, &w, "invalid");
    cJSON_AddItemToObject(to, name, v);
    return 0;
}

static int read_args(kn_call *c)
{
    c->args = cJSON_CreateObject();
    for (size_t i = 0; i < c->r->n_args; i++) {
        const kn_field *f = field_named(c->route->args, c->r->args[i].name);
        if (!f) {
            kn_answer_error(c->r, 422, "unknown", NULL, "there is no argument %.60s", c->r->args[i].name);
            return -1;
        }
        if (read_one(c, c->args, f, f->name, c->r->args[i].value))
            return -1;
    }
    return 0;
}

static int read_json(kn_call *c)
{
    kn_wrong w = { { 0 }, { 0 } };
    if (kn_json_parse(&c->body, c->r->body.data ? c->r->body.data : "", c->r->body.len)) {
        kn_answer_error(c->r, 400, "malformed", NULL, "%s", ken_last_error());
        return -1;
    }
    return kn_shape_check(c->route->json, c->body, &w) ? answer_wrong(c, &w, "invalid") : 0;
}

/* A part that is a value: text, or JSON where an object is expected. */
static int read_value(kn_call *c, const kn_field *f, const kn_part *p)
{
    char text[5000];
    kn_wrong w = { { 0 }, { 0 } };
    cJSON *v = NULL;
    if (f->is & KN_OBJECT) {
        if (kn_json_parse(&v, p->bytes, p->len)) {
            kn_answer_error(c->r, 400, "malformed", f->name, "%s", ken_last_error());
            return -1;
        }
        if (cJSON_GetObjectItemCaseSensitive(c->body, f->name))
            snprintf(w.what, sizeof w.what, "comes twice");
        if (*w.what || kn_field_check(f, v, &w)) {
            cJSON_Delete(v);
            return answer_wrong(c, &w, "invalid");
        }
        cJSON_AddItemToObject(c->body, f->name, v);
        return 0;
    }
    if (p->len >= sizeof text || memchr(p->bytes, 0, p->len) ||
        (p->len && kn_text_check(p->bytes, p->len))) {
        kn_answer_error(c->r, 422, "invalid", f->name, "%s is not text, or too long", f->name);
        return -1;
    }
    snprintf(text, sizeof text, "%.*s", (int)p->len, p->bytes);
    return read_one(c, c->body, f, f->name, text);
}

static int check_parts(kn_call *c)
{
    for (const kn_field *f = c->route->form->fields; f->name; f++)
        if (f->is & KN_NEEDED && !kn_form_part(&c->form, f->name)) {
            kn_answer_error(c->r, 422, "invalid", f->name, "%s is missing", f->name);
            return -1;
        }
    return 0;
}

static int read_form(kn_call *c)
{
    c->is_form = 1;
    c->body = cJSON_CreateObject();
    const ken_status st =
        kn_form_parse(&c->form, c->r->type, c->r->body.data ? c->r->body.data : "", c->r->body.len);
    if (st) {
        kn_answer_error(c->r, st == KEN_E_LIMIT ? 413 : 400, "malformed", NULL, "%s", ken_last_error());
        return -1;
    }
    for (size_t i = 0; i < c->form.n; i++) {
        const kn_part *p = &c->form.parts[i];
        const kn_field *f = field_named(c->route->form->fields, p->name);
        if (!f && !c->route->files) {
            kn_answer_error(c->r, 422, "unknown", NULL, "there is no part %s", p->name);
            return -1;
        }
        if (f && !(f->is & KN_FILE) && read_value(c, f, p))
            return -1;
        if (f && f->is & KN_FILE && !(f->is & KN_REPEATED) && kn_form_part(&c->form, p->name) != p) {
            kn_answer_error(c->r, 422, "invalid", p->name, "%s comes twice", p->name);
            return -1;
        }
    }
    return check_parts(c);
}

static int read_body(kn_call *c)
{
    if (!c->route->json && !c->route->form)
        return 0;
    return c->route->json && has_type(c->r, "application/json") ? read_json(c) : read_form(c);
}

/* ---- running ---- */

/* {collection} comes first where there is one, and only one collection is served. */
static int read_path(kn_call *c)
{
    const int has = strstr(c->route->path, "{collection}") != NULL;
    const char *last = c->r->names[has];
    if (has && strcmp(c->r->names[0], KN_COLLECTION) != 0) {
        kn_answer_error(c->r, 404, "not_found", "collection",
                        "no collection %.100s; there is " KN_COLLECTION, c->r->names[0]);
        return -1;
    }
    c->id = strstr(c->route->path, "{id}") ? last : NULL;
    c->name = strstr(c->route->path, "{name}") || strstr(c->route->path, "{job}") ? last : NULL;
    return 0;
}

void kn_dispatch_run(kn_request *r, void *cookie)
{
    kn_call c = { .s = cookie, .r = r, .route = r->route };
    if (!read_path(&c) && !read_args(&c) && !read_body(&c))
        c.route->run(&c);
    cJSON_Delete(c.args);
    cJSON_Delete(c.body);
}

void kn_dispatch_full(kn_request *r, void *cookie)
{
    (void)cookie;
    kn_answer_error(r, 503, "queue_full", NULL, "too many requests wait");
}

void kn_dispatch_large(kn_request *r, void *cookie)
{
    const ken_server *s = cookie;
    kn_answer_error(r, 413, "body_too_large", NULL, "at most %llu bytes are taken",
                    (unsigned long long)atomic_load(&s->max_body));
}

void kn_dispatch_done(const kn_request *r, void *cookie)
{
    const ken_server *s = cookie;
    const size_t i = r->route ? (size_t)((const kn_route *)r->route - kn_routes) : kn_routes_n;
    kn_metrics_request(s->metrics, i, r->status, kn_clock() - r->begun);
}
