/* openapi.c - the table of routes as an OpenAPI 3.1 document. */
#include "base/alloc.h"
#include "serve/server.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const kn_field error_fields[] = {
    { "code", KN_STRING | KN_NEEDED, NULL, 0, 0, NULL, 0, NULL, "stable, for programs" },
    { "message", KN_STRING | KN_NEEDED, NULL, 0, 0, NULL, 0, NULL, "for people" },
    { "param", KN_STRING | KN_NULL | KN_NEEDED, NULL, 0, 0, NULL, 0, NULL,
      "what was wrong: query[0].weight" },
    { "request_id", KN_STRING | KN_NEEDED, NULL, 0, 0, NULL, 0, NULL, "also in X-Request-Id" },
    { NULL, 0, NULL, 0, 0, NULL, 0, NULL, NULL }
};
static const kn_shape error_shape = { "ErrorDetail", error_fields, 0 };
static const kn_field failure_fields[] = { { "error", KN_OBJECT | KN_NEEDED, NULL, 0, 0, NULL, 0,
                                             &error_shape, NULL },
                                           { NULL, 0, NULL, 0, 0, NULL, 0, NULL, NULL } };
static const kn_shape failure = { "Error", failure_fields, 0 };

static const struct {
    int status;
    const char *what;
} STATUSES[] = { { 200, "Done." },
                 { 201, "Made." },
                 { 202, "Begun; Location says where to ask." },
                 { 204, "Done; nothing to say." },
                 { 206, "A part of it." },
                 { 304, "Not changed." },
                 { 400, "Not HTTP or JSON that can be read." },
                 { 401, "A key is needed." },
                 { 403, "Not allowed." },
                 { 404, "Not there." },
                 { 405, "Another method is needed." },
                 { 409, "Does not go with what is there." },
                 { 413, "More than /v1/limits allows." },
                 { 415, "Another content type is needed." },
                 { 416, "Not a range of it." },
                 { 422, "Understood, but not what is expected; param says where." },
                 { 500, "A fault of the server's." },
                 { 502, "The store behind it can't be reached." },
                 { 503, "Busy or not ready; Retry-After says when." } };

static const char *meaning(int status)
{
    for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++)
        if (STATUSES[i].status == status)
            return STATUSES[i].what;
    return "";
}

static cJSON *content(const char *type, cJSON *schema)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(cJSON_AddObjectToObject(o, type), "schema", schema);
    return o;
}

static cJSON *bytes_schema(void)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "string");
    cJSON_AddStringToObject(o, "contentMediaType", "application/octet-stream");
    return o;
}

/* JSON, and what else the route can give. */
static cJSON *answers(const kn_route *t, cJSON *shapes)
{
    cJSON *o = content("application/json", kn_shape_schema(t->answer, shapes));
    if (t->type)
        cJSON_AddItemToObject(cJSON_AddObjectToObject(o, t->type), "schema", bytes_schema());
    return o;
}

/* What has a form of its own, that a schema would have to describe. */
static int is_text(const char *type)
{
    return !strcmp(type, "application/json") || !strncmp(type, "text/", 5);
}

static void add_response(cJSON *to, const kn_route *t, int status, cJSON *shapes)
{
    char code[8];
    snprintf(code, sizeof code, "%d", status);
    if (cJSON_GetObjectItemCaseSensitive(to, code))
        return;
    cJSON *o = cJSON_AddObjectToObject(to, code);
    cJSON_AddStringToObject(o, "description", meaning(status));
    if (status >= 400)
        cJSON_AddItemToObject(o, "content", content("application/json", kn_shape_schema(&failure, shapes)));
    else if (t->answer && status < 300 && status != 204)
        cJSON_AddItemToObject(o, "content", answers(t, shapes));
    else if (t->type && status < 300)
        cJSON_AddItemToObject(o, "content",
                              content(t->type, is_text(t->type) ? cJSON_CreateObject() : bytes_schema()));
}

static cJSON *responses(const kn_route *t, cJSON *shapes)
{
    cJSON *o = cJSON_CreateObject();
    static const int any[] = { 400, 403, 405, 422, 500, 502, 503 };
    add_response(o, t, t->status ? t->status : 200, shapes);
    for (const char *e = t->errors; e && *e; e += strcspn(e, " "), e += strspn(e, " "))
        add_response(o, t, (int)strtol(e, NULL, 10), shapes);
    for (size_t i = 0; i < sizeof any / sizeof *any; i++)
        add_response(o, t, any[i], shapes);
    if (t->scope != KN_OPEN)
        add_response(o, t, 401, shapes);
    if (t->json || t->form) {
        add_response(o, t, 413, shapes);
        add_response(o, t, 415, shapes);
    }
    return o;
}

static void add_parameter(cJSON *list, const char *in, const char *name, cJSON *schema, const char *help,
                          int needed)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddStringToObject(o, "in", in);
    if (needed)
        cJSON_AddBoolToObject(o, "required", 1);
    if (help)
        cJSON_AddStringToObject(o, "description", help);
    cJSON_AddItemToObject(o, "schema", schema);
    cJSON_AddItemToArray(list, o);
}

static cJSON *path_schema(const char *name)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "string");
    if (!strcmp(name, "collection"))
        cJSON_AddItemToArray(cJSON_AddArrayToObject(o, "enum"), cJSON_CreateString(KN_COLLECTION));
    else if (!strcmp(name, "id"))
        cJSON_AddStringToObject(o, "pattern", "^[1-9][0-9]{0,18}$");
    else {
        cJSON_AddNumberToObject(o, "minLength", 1);
        cJSON_AddNumberToObject(o, "maxLength", 200);
    }
    return o;
}

static cJSON *parameters(const kn_route *t, cJSON *shapes)
{
    cJSON *list = cJSON_CreateArray();
    char name[32];
    for (const char *p = strchr(t->path, '{'); p; p = strchr(p + 1, '{')) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p + 1, "}"), p + 1);
        add_parameter(list, "path", name, path_schema(name), NULL, 1);
    }
    for (const kn_field *f = t->args; f && f->name; f++) {
        kn_field bare = *f;
        bare.help = NULL;
        add_parameter(list, "query", f->name, kn_field_schema(&bare, shapes), f->help,
                      (f->is & KN_NEEDED) != 0);
    }
    return list;
}

/* A form's schema stands where it is used: further parts make it another than its shape. */
static cJSON *form_schema(const kn_route *t, cJSON *shapes)
{
    cJSON *o = cJSON_CreateObject(), *needed = cJSON_CreateArray();
    cJSON_AddStringToObject(o, "type", "object");
    cJSON *members = cJSON_AddObjectToObject(o, "properties");
    for (const kn_field *f = t->form->fields; f->name; f++) {
        cJSON *one = kn_field_schema(f, shapes);
        if (f->is & KN_REPEATED) {
            cJSON *many = cJSON_CreateObject();
            cJSON_AddStringToObject(many, "type", "array");
            cJSON_AddItemToObject(many, "items", one);
            one = many;
        }
        cJSON_AddItemToObject(members, f->name, one);
        if (f->is & KN_NEEDED)
            cJSON_AddItemToArray(needed, cJSON_CreateString(f->name));
    }
    cJSON_AddItemToObject(o, "required", needed);
    if (t->files)
        cJSON_AddItemToObject(o, "additionalProperties", bytes_schema());
    else
        cJSON_AddBoolToObject(o, "additionalProperties", 0);
    return o;
}

static void add_body(cJSON *o, const kn_route *t, cJSON *shapes)
{
    if (!t->json && !t->form)
        return;
    cJSON *body = cJSON_AddObjectToObject(o, "requestBody");
    cJSON_AddBoolToObject(body, "required", 1);
    cJSON *types = cJSON_AddObjectToObject(body, "content");
    if (t->json)
        cJSON_AddItemToObject(cJSON_AddObjectToObject(types, "application/json"), "schema",
                              kn_shape_schema(t->json, shapes));
    if (t->form)
        cJSON_AddItemToObject(cJSON_AddObjectToObject(types, "multipart/form-data"), "schema",
                              form_schema(t, shapes));
}

static void add_route(cJSON *paths, const kn_route *t, cJSON *shapes)
{
    char method[8];
    cJSON *path = cJSON_GetObjectItemCaseSensitive(paths, t->path);
    if (!path)
        path = cJSON_AddObjectToObject(paths, t->path);
    size_t n = 0;
    for (; t->method[n] && n < sizeof method - 1; n++)
        method[n] = (char)tolower((unsigned char)t->method[n]);
    method[n] = 0;
    cJSON *o = cJSON_AddObjectToObject(path, method);
    cJSON_AddStringToObject(o, "operationId", t->name);
    cJSON_AddStringToObject(o, "summary", t->summary);
    cJSON_AddItemToObject(o, "parameters", parameters(t, shapes));
    add_body(o, t, shapes);
    cJSON_AddItemToObject(o, "responses", responses(t, shapes));
    cJSON *security = cJSON_AddArrayToObject(o, "security");
    if (t->scope != KN_OPEN) {
        cJSON *key = cJSON_CreateObject();
        cJSON_AddArrayToObject(key, "key");
        cJSON_AddItemToArray(security, key);
        cJSON_AddItemToArray(security, cJSON_CreateObject()); /* where no keys are set up */
    }
}

char *kn_openapi(const ken_server *s)
{
    cJSON *o = cJSON_CreateObject(), *shapes = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "openapi", "3.1.0");
    cJSON *info = cJSON_AddObjectToObject(o, "info");
    cJSON_AddStringToObject(info, "title", "ken");
    cJSON_AddStringToObject(info, "version", ken_version());
    cJSON_AddStringToObject(info, "description",
                            "Recognise and find pictures. Ids are strings. An unknown member of a body or "
                            "argument is a 422; every "
                            "error has the shape Error.");
    cJSON *paths = cJSON_AddObjectToObject(o, "paths");
    for (size_t i = 0; i < kn_routes_n; i++)
        if (kn_route_offered(s, &kn_routes[i]))
            add_route(paths, &kn_routes[i], shapes);
    cJSON *components = cJSON_AddObjectToObject(o, "components");
    cJSON_AddItemToObject(components, "schemas", shapes);
    cJSON *key = cJSON_AddObjectToObject(cJSON_AddObjectToObject(components, "securitySchemes"), "key");
    cJSON_AddStringToObject(key, "type", "http");
    cJSON_AddStringToObject(key, "scheme", "bearer");
    char *text = cJSON_PrintUnformatted(o), *copy = text ? kn_strdup(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(o);
    return copy;
}
