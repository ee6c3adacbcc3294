/* facets.c - ken_facets: which values items have, and how often. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "engine/collection.h"
#include "engine/where.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST_PLACES = 64 };

typedef struct value {
    char *text; /* NULL: a free place */
    uint64_t count;
} value;

typedef struct counter {
    const char *key;
    size_t key_len;
    const kn_where *where;
    int hidden;
    value *places; /* (cap) a power of two, at most half of them taken */
    size_t n, cap;
    ken_status st;
} counter;

/* ---- counting ---- */

static value *place_of(value *places, size_t cap, const char *text)
{
    size_t i = (size_t)kn_hash64(text, strlen(text)) & (cap - 1);
    while (places[i].text && strcmp(places[i].text, text))
        i = (i + 1) & (cap - 1);
    return &places[i];
}

static ken_status make_room(counter *c)
{
    if (2 * c->n < c->cap)
        return KEN_OK;
    const size_t cap = c->cap ? 2 * c->cap : FIRST_PLACES;
    value *places = kn_zalloc(cap, sizeof *places);
    if (!places)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < c->cap; i++)
        if (c->places[i].text)
            *place_of(places, cap, c->places[i].text) = c->places[i];
    kn_free(c->places);
    c->places = places;
    c->cap = cap;
    return KEN_OK;
}

static void count(counter *c, const char *text)
{
    if (!text || !*text || c->st || (c->st = make_room(c)))
        return;
    value *v = place_of(c->places, c->cap, text);
    if (!v->text) {
        if (!(v->text = kn_strdup(text))) {
            c->st = KEN_E_NOMEM;
            return;
        }
        c->n++;
    }
    v->count++;
}

/* ---- values ---- */

static int is_key(const counter *c, const char *name)
{
    return strlen(name) == c->key_len && !strncmp(c->key, name, c->key_len);
}

static void count_year(counter *c, int64_t ns)
{
    char year[16];
    struct tm tm;
    const time_t seconds = (time_t)(ns / 1000000000);
    if (localtime_r(&seconds, &tm) && strftime(year, sizeof year, "%Y", &tm))
        count(c, year);
}

static void count_json(counter *c, const cJSON *v)
{
    char number[32];
    if (cJSON_IsString(v))
        count(c, v->valuestring);
    else if (cJSON_IsBool(v))
        count(c, cJSON_IsTrue(v) ? "true" : "false");
    else if (cJSON_IsNumber(v) && snprintf(number, sizeof number, "%.15g", v->valuedouble) > 0)
        count(c, number);
    for (const cJSON *e = cJSON_IsArray(v) ? v->child : NULL; e; e = e->next)
        if (!cJSON_IsArray(e))
            count_json(c, e);
}

static void count_meta(counter *c, const kn_item *item)
{
    int64_t from, to;
    cJSON *meta = item->meta ? cJSON_Parse(item->meta) : NULL;
    char *name = is_key(c, "tag")     ? kn_strdup("tags")
                 : is_key(c, "taken") ? kn_strdup("taken")
                                      : kn_strndup(c->key + 5, c->key_len - 5);
    const cJSON *v = name ? cJSON_GetObjectItemCaseSensitive(meta, name) : NULL;
    if (is_key(c, "taken"))
        count_year(c, cJSON_IsString(v) && kn_time_span(v->valuestring, &from, &to) ? from : item->mtime_ns);
    else
        count_json(c, v);
    kn_free(name);
    cJSON_Delete(meta);
}

static void count_place(counter *c, const kn_item *item)
{
    const char *name = kn_path_name(item->path), *dot = strrchr(name, '.');
    const size_t folder = name > item->path + 1 ? (size_t)(name - item->path) - 1 : 1;
    char *text = is_key(c, "dir") ? kn_strndup(item->path, folder)
                                  : kn_strdup(dot && dot > name ? dot + 1 : "");
    for (char *s = text; s && is_key(c, "ext") && *s; s++)
        *s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
    count(c, text);
    kn_free(text);
}

static int judge(const kn_item *item, void *cookie)
{
    counter *c = cookie;
    if ((item->hidden && !c->hidden) || (c->where && !kn_where_match(c->where, item)))
        return 0;
    if (is_key(c, "object"))
        count(c, item->object);
    else if (is_key(c, "kind"))
        count(c, item->kind);
    else if (is_key(c, "mtime") || is_key(c, "added"))
        count_year(c, is_key(c, "mtime") ? item->mtime_ns : item->added_ns);
    else if (is_key(c, "dir") || is_key(c, "ext"))
        count_place(c, item);
    else
        count_meta(c, item);
    return c->st != KEN_OK;
}

static ken_status check_key(const counter *c)
{
    static const char *const names[] = { "object", "kind", "ext", "dir", "tag", "taken", "mtime", "added" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_key(c, names[i]))
            return KEN_OK;
    if (c->key_len > 5 && !strncmp(c->key, "meta.", 5))
        return KEN_OK;
    return kn_fail(KEN_E_INVALID,
                   "facets: no key \"%.*s\"; there are object kind ext dir tag taken mtime added meta.KEY",
                   (int)(c->key_len < 40 ? c->key_len : 40), c->key);
}

/* ---- telling ---- */

static int most_first(const void *a, const void *b)
{
    const value *x = a, *y = b;
    if (!x->text || !y->text)
        return (x->text == NULL) - (y->text == NULL);
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->text, y->text);
}

static ken_status tell(counter *c, ken_facet_fn fn, void *cookie)
{
    char *key = kn_strndup(c->key, c->key_len);
    int stop = 0;
    if (c->cap)
        qsort(c->places, c->cap, sizeof *c->places, most_first);
    for (size_t i = 0; key && !stop && i < c->n; i++)
        stop = fn(key, c->places[i].text, c->places[i].count, cookie);
    kn_free(key);
    return key ? KEN_OK : KEN_E_NOMEM;
}

static ken_status facet(ken *k, counter *c, ken_facet_fn fn, void *cookie)
{
    const kn_select all = { .by = KN_AFTER };
    ken_status st = check_key(c);
    if (!st) {
        pthread_mutex_lock(&k->lock);
        st = k->store->v->items(k->store, &all, judge, c);
        pthread_mutex_unlock(&k->lock);
    }
    st = st ? st : c->st;
    if (!st)
        st = tell(c, fn, cookie);
    for (size_t i = 0; i < c->cap; i++)
        kn_free(c->places[i].text);
    kn_free(c->places);
    return st;
}

ken_status ken_facets(ken *k, const char *keys, const char *where, int hidden, ken_facet_fn fn, void *cookie)
{
    kn_where *w = NULL;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = keys && fn ? KEN_OK : kn_fail(KEN_E_INVALID, "ken_facets: no keys, or no function");
    if (!st && where && (st = kn_where_parse(&w, where)))
        st = kn_fail_in(st, "where");
    for (const char *key = keys; !st && *key;) {
        const size_t len = strcspn(key, ",");
        counter c = { .key = key, .key_len = len, .where = w, .hidden = hidden };
        st = facet(k, &c, fn, cookie);
        key += len + (key[len] == ',');
    }
    kn_where_free(w);
    kn_leave(k);
    return st;
}
