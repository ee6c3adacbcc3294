/* shape.c - JSON read strictly, checked against its description, and the description as JSON Schema. */
#include "serve/shape.h"

#include "base/error.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- reading ---- */

static int is_utf8(const char *s, size_t len, size_t *at)
{
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &c);
        if (used <= 0 || !c) {
            *at = i;
            return 0;
        }
        i += (size_t)used;
    }
    return 1;
}

int kn_text_check(const char *text, size_t len)
{
    size_t at;
    return is_utf8(text, len, &at) ? 0 : -1;
}

/* cJSON ends a string there without a word. */
static int has_nul_escape(const char *s, size_t len)
{
    for (size_t i = 0; i + 6 <= len; i++) {
        if (s[i] != '\\')
            continue;
        if (!memcmp(s + i + 1, "u0000", 5))
            return 1;
        i++; /* what is escaped is no escape's beginning */
    }
    return 0;
}

ken_status kn_json_parse(cJSON **out, const char *text, size_t len)
{
    const char *end = NULL;
    size_t at = 0;
    if (!len)
        return kn_fail(KEN_E_FORMAT, "the body is empty; JSON is expected");
    if (!is_utf8(text, len, &at))
        return kn_fail(KEN_E_FORMAT, "byte %zu is not UTF-8 text", at);
    if (has_nul_escape(text, len))
        return kn_fail(KEN_E_FORMAT, "a string holds the character U+0000");
    cJSON *v = cJSON_ParseWithLengthOpts(text, len, &end, 0);
    while (v && end < text + len && strchr(" \t\r\n", *end))
        end++;
    if (!v || end != text + len) {
        cJSON_Delete(v);
        return kn_fail(KEN_E_FORMAT, "not JSON, from byte %zu on", end ? (size_t)(end - text) : 0);
    }
    *out = v;
    return KEN_OK;
}

/* ---- checking ---- */

static int wrong(kn_wrong *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int wrong(kn_wrong *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->what, sizeof w->what, fmt, ap);
    va_end(ap);
    return -1;
}

/* A step down, and back up: where is "query[0]" while that is looked at. */
static size_t go_down(kn_wrong *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static size_t go_down(kn_wrong *w, const char *fmt, ...)
{
    const size_t was = strlen(w->where);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->where + was, sizeof w->where - was, fmt, ap);
    va_end(ap);
    return was;
}

static const char *names_of(unsigned is, char *text, size_t room)
{
    static const struct {
        unsigned bit;
        const char *name;
    } all[] = {
        { KN_STRING, "a string" },    { KN_NUMBER, "a number" }, { KN_WHOLE, "a whole number" },
        { KN_BOOL, "true or false" }, { KN_ARRAY, "a list" },    { KN_OBJECT | KN_FREE, "an object" },
        { KN_NULL, "null" }
    };
    size_t n = 0;
    *text = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (is & all[i].bit && n < room)
            n += (size_t)snprintf(text + n, room - n, "%s%s", n ? " or " : "", all[i].name);
    return text;
}

static int among(const char *s, const char *choices)
{
    const size_t len = strlen(s);
    for (const char *c = choices; c; c = strchr(c, '|')) {
        c += *c == '|';
        if (len && !strncmp(c, s, len) && (c[len] == '|' || !c[len]))
            return 1;
    }
    return 0;
}

static size_t characters(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static int check_string(const kn_field *f, const char *s, kn_wrong *w)
{
    if (f->choices && !among(s, f->choices))
        return wrong(w, "expects one of %s", f->choices);
    if (f->choices || (f->least == 0 && f->most == 0))
        return 0;
    const size_t n = characters(s);
    if ((double)n < f->least || (double)n > f->most)
        return wrong(w, "expects %g to %g characters", f->least, f->most);
    return 0;
}

static int check_number(const kn_field *f, double v, kn_wrong *w)
{
    if (!isfinite(v))
        return wrong(w, "is beyond all numbers");
    if ((f->least != 0 || f->most != 0) && (v < f->least || v > f->most))
        return wrong(w, "expects %g to %g", f->least, f->most);
    return 0;
}

static int check_array(const kn_field *f, const cJSON *v, kn_wrong *w)
{
    const int n = cJSON_GetArraySize(v);
    const cJSON *item;
    int i = 0;
    if (f->most_items && (n < 1 || (unsigned)n > f->most_items))
        return wrong(w, "expects 1 to %u of them", f->most_items);
    cJSON_ArrayForEach(item, v)
    {
        const size_t was = go_down(w, "[%d]", i++);
        if (f->items && kn_field_check(f->items, item, w))
            return -1;
        w->where[was] = 0;
    }
    return 0;
}

int kn_field_check(const kn_field *f, const cJSON *v, kn_wrong *w)
{
    char names[160];
    if (cJSON_IsString(v) && f->is & KN_STRING)
        return check_string(f, v->valuestring, w);
    if (cJSON_IsNumber(v) &&
        (f->is & KN_NUMBER || (f->is & KN_WHOLE && floor(v->valuedouble) == v->valuedouble)))
        return check_number(f, v->valuedouble, w);
    if (cJSON_IsBool(v) && f->is & KN_BOOL)
        return 0;
    if (cJSON_IsNull(v) && f->is & KN_NULL)
        return 0;
    if (cJSON_IsArray(v) && f->is & KN_ARRAY)
        return check_array(f, v, w);
    if (cJSON_IsObject(v) && f->is & KN_OBJECT)
        return kn_shape_check(f->of, v, w);
    if (cJSON_IsObject(v) && f->is & KN_FREE)
        return 0;
    return wrong(w, "expects %s", names_of(f->is, names, sizeof names));
}

static const kn_field *find(const kn_shape *s, const char *name)
{
    for (const kn_field *f = s->fields; f->name; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

static int check_members(const kn_shape *s, const cJSON *v, kn_wrong *w)
{
    const cJSON *m;
    cJSON_ArrayForEach(m, v)
    {
        const kn_field *f = find(s, m->string);
        const size_t was = go_down(w, "%s%.60s", *w->where ? "." : "", m->string);
        if (!f)
            return wrong(w, "is no member of %s", s->name);
        if (cJSON_GetObjectItemCaseSensitive(v, m->string) != m)
            return wrong(w, "comes twice");
        if (kn_field_check(f, m, w))
            return -1;
        w->where[was] = 0;
    }
    return 0;
}

int kn_shape_check(const kn_shape *s, const cJSON *v, kn_wrong *w)
{
    int have = 0;
    if (!cJSON_IsObject(v))
        return wrong(w, "expects an object");
    if (check_members(s, v, w))
        return -1;
    for (const kn_field *f = s->fields; f->name; f++) {
        const int there = cJSON_HasObjectItem(v, f->name) && cJSON_GetObjectItemCaseSensitive(v, f->name);
        have += there && f - s->fields < s->one_of;
        if (f->is & KN_NEEDED && !there) {
            go_down(w, "%s%s", *w->where ? "." : "", f->name);
            return wrong(w, "is missing");
        }
    }
    if (!s->one_of || have == 1)
        return 0;
    return wrong(w, have ? "has more than one of %s …" : "has none of %s …", s->fields->name);
}

cJSON *kn_field_read(const kn_field *f, const char *text, kn_wrong *w)
{
    char *end;
    cJSON *v = NULL;
    if (f->is & KN_BOOL && (!strcmp(text, "true") || !strcmp(text, "false")))
        v = cJSON_CreateBool(*text == 't');
    else if (f->is & (KN_NUMBER | KN_WHOLE) && *text && strspn(text, "0123456789+-.eE") == strlen(text)) {
        const double d = strtod(text, &end);
        v = *end ? NULL : cJSON_CreateNumber(d);
    }
    if (!v && (f->is & KN_STRING || !(f->is & (KN_BOOL | KN_NUMBER | KN_WHOLE))))
        v = cJSON_CreateString(text);
    char names[160];
    if (!v)
        wrong(w, "expects %s", names_of(f->is, names, sizeof names));
    if (v && kn_field_check(f, v, w)) {
        cJSON_Delete(v);
        v = NULL;
    }
    return v;
}

/* ---- the document ---- */

static cJSON *choices_of(const char *choices)
{
    cJSON *list = cJSON_CreateArray();
    char one[64];
    for (const char *c = choices; c; c = strchr(c, '|')) {
        c += *c == '|';
        snprintf(one, sizeof one, "%.*s", (int)strcspn(c, "|"), c);
        cJSON_AddItemToArray(list, cJSON_CreateString(one));
    }
    return list;
}

static void add_type(cJSON *o, unsigned is)
{
    static const struct {
        unsigned bit;
        const char *name;
    } all[] = { { KN_STRING | KN_FILE, "string" },
                { KN_NUMBER, "number" },
                { KN_WHOLE, "integer" },
                { KN_BOOL, "boolean" },
                { KN_ARRAY, "array" },
                { KN_OBJECT | KN_FREE, "object" },
                { KN_NULL, "null" } };
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (is & all[i].bit)
            cJSON_AddItemToArray(list, cJSON_CreateString(all[i].name));
    if (cJSON_GetArraySize(list) == 1) {
        cJSON_AddItemToObject(o, "type", cJSON_DetachItemFromArray(list, 0));
        cJSON_Delete(list);
    } else {
        cJSON_AddItemToObject(o, "type", list);
    }
}

static void add_limits(cJSON *o, const kn_field *f)
{
    if (f->least == 0 && f->most == 0)
        return;
    if (f->is & (KN_NUMBER | KN_WHOLE)) {
        cJSON_AddNumberToObject(o, "minimum", f->least);
        cJSON_AddNumberToObject(o, "maximum", f->most);
    } else if (f->is & KN_STRING) {
        cJSON_AddNumberToObject(o, "minLength", f->least);
        cJSON_AddNumberToObject(o, "maxLength", f->most);
    }
}

/* Choices of a string beside other types. */
static void add_pattern(cJSON *o, const char *choices)
{
    char pattern[256];
    snprintf(pattern, sizeof pattern, "^(?:%s)$", choices);
    cJSON_AddStringToObject(o, "pattern", pattern);
}

/* Members and limits of an object that is of one of several types. */
static cJSON *alternatives(const kn_field *f, cJSON *all)
{
    kn_field rest = *f;
    cJSON *o = cJSON_CreateObject(), *any = cJSON_AddArrayToObject(o, "anyOf");
    rest.is &= ~(unsigned)KN_OBJECT;
    rest.help = NULL;
    cJSON_AddItemToArray(any, kn_shape_schema(f->of, all));
    cJSON_AddItemToArray(any, kn_field_schema(&rest, all));
    if (f->help)
        cJSON_AddStringToObject(o, "description", f->help);
    return o;
}

cJSON *kn_field_schema(const kn_field *f, cJSON *all)
{
    const unsigned types =
        f->is & (KN_STRING | KN_NUMBER | KN_WHOLE | KN_BOOL | KN_ARRAY | KN_NULL | KN_FREE | KN_FILE);
    if (f->is & KN_OBJECT)
        return types ? alternatives(f, all) : kn_shape_schema(f->of, all);
    cJSON *o = cJSON_CreateObject();
    add_type(o, types);
    if (f->choices && types == KN_STRING)
        cJSON_AddItemToObject(o, "enum", choices_of(f->choices));
    else if (f->choices)
        add_pattern(o, f->choices);
    add_limits(o, f);
    if (f->is & KN_ARRAY && f->items)
        cJSON_AddItemToObject(o, "items", kn_field_schema(f->items, all));
    if (f->is & KN_ARRAY && f->most_items) {
        cJSON_AddNumberToObject(o, "minItems", 1);
        cJSON_AddNumberToObject(o, "maxItems", f->most_items);
    }
    if (f->is & KN_FILE)
        cJSON_AddStringToObject(o, "contentMediaType", "application/octet-stream");
    if (f->help)
        cJSON_AddStringToObject(o, "description", f->help);
    return o;
}

static cJSON *one_of(const kn_shape *s)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < s->one_of; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddItemToArray(cJSON_AddArrayToObject(o, "required"), cJSON_CreateString(s->fields[i].name));
        cJSON_AddItemToArray(list, o);
    }
    return list;
}

cJSON *kn_shape_schema(const kn_shape *s, cJSON *all)
{
    cJSON *ref = cJSON_CreateObject();
    char name[96];
    snprintf(name, sizeof name, "#/components/schemas/%s", s->name);
    cJSON_AddStringToObject(ref, "$ref", name);
    if (cJSON_GetObjectItemCaseSensitive(all, s->name))
        return ref;
    cJSON *o = cJSON_AddObjectToObject(all, s->name), *needed = cJSON_CreateArray();
    cJSON_AddStringToObject(o, "type", "object");
    cJSON *members = cJSON_AddObjectToObject(o, "properties");
    for (const kn_field *f = s->fields; f->name; f++) {
        cJSON_AddItemToObject(members, f->name, kn_field_schema(f, all));
        if (f->is & KN_NEEDED)
            cJSON_AddItemToArray(needed, cJSON_CreateString(f->name));
    }
    if (cJSON_GetArraySize(needed))
        cJSON_AddItemToObject(o, "required", needed);
    else
        cJSON_Delete(needed);
    if (s->one_of)
        cJSON_AddItemToObject(o, "oneOf", one_of(s));
    cJSON_AddBoolToObject(o, "additionalProperties", 0);
    return ref;
}
