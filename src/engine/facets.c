/* facets.c - ken_facets: which values items have, and how often. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "engine/collection.h"
#include "engine/where_tree.h"

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

typedef enum key { OBJECT, KIND, EXT, DIR, TAG, TAKEN, MTIME, ADDED, META, KEYS } key;
static const char *const names[KEYS] = { "object", "kind",  "ext",   "dir",  "tag",
                                         "taken",  "mtime", "added", "meta." };

typedef struct counter {
    char *asked; /* the key as it was written */
    key key;
    value *places; /* (cap) a power of two, at most half of them taken */
    size_t n, cap;
    ken_status st;
} counter;

/* One pass over the records for all keys. */
typedef struct pass {
    counter *list; /* (n) */
    size_t n, cap;
    const kn_where *where;
    int hidden, meta; /* some key looks into the metadata */
} pass;

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

/* text is counted, then freed. */
static void count_own(counter *c, char *text)
{
    if (!text && !c->st)
        c->st = KEN_E_NOMEM;
    count(c, text);
    kn_free(text);
}

/* ---- values ---- */

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

static void count_extension(counter *c, const char *path)
{
    char *text = kn_strdup(kn_where_extension(path));
    for (char *s = text; s && *s; s++)
        *s = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
    count_own(c, text);
}

static void count_item(counter *c, const kn_item *item, const cJSON *meta)
{
    switch (c->key) {
    case OBJECT: count(c, item->object); break;
    case KIND: count(c, item->kind); break;
    case EXT: count_extension(c, item->path); break;
    case DIR: count_own(c, kn_strndup(item->path, kn_where_folder(item->path))); break;
    case TAG: count_json(c, kn_where_member(meta, "tags")); break;
    case TAKEN: count_year(c, kn_where_taken(meta, item)); break;
    case MTIME: count_year(c, item->mtime_ns); break;
    case ADDED: count_year(c, item->added_ns); break;
    case META: count_json(c, kn_where_member(meta, c->asked + strlen(names[META]))); break;
    case KEYS: break;
    }
}

static int judge(const kn_item *item, void *cookie)
{
    const pass *p = cookie;
    ken_status st = KEN_OK;
    if ((item->hidden && !p->hidden) || (p->where && !kn_where_match(p->where, item)))
        return 0;
    cJSON *meta = p->meta && item->meta ? cJSON_Parse(item->meta) : NULL;
    for (size_t i = 0; !st && i < p->n; i++) {
        count_item(&p->list[i], item, meta);
        st = p->list[i].st;
    }
    cJSON_Delete(meta);
    return st != KEN_OK;
}

/* ---- keys ---- */

static ken_status add_key(pass *p, const char *text, size_t len)
{
    counter c = { .key = OBJECT }, *list = kn_room(p->list, p->n, &p->cap, sizeof *list);
    const size_t head = strlen(names[META]);
    if (!list)
        return KEN_E_NOMEM;
    p->list = list;
    while (c.key < META && (strlen(names[c.key]) != len || strncmp(text, names[c.key], len)))
        c.key++;
    if (c.key == META && (len <= head || strncmp(text, names[META], head)))
        return kn_fail(KEN_E_INVALID, "facets: no key \"%.*s\"; there are object kind ext dir tag taken "
                       "mtime added meta.KEY", (int)(len < 40 ? len : 40), text);
    if (!(c.asked = kn_strndup(text, len)))
        return KEN_E_NOMEM;
    p->meta |= c.key == TAG || c.key == TAKEN || c.key == META;
    list[p->n++] = c;
    return KEN_OK;
}

static void release(pass *p)
{
    for (size_t i = 0; i < p->n; i++) {
        for (size_t j = 0; j < p->list[i].cap; j++)
            kn_free(p->list[i].places[j].text);
        kn_free(p->list[i].places);
        kn_free(p->list[i].asked);
    }
    kn_free(p->list);
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

static void tell(counter *c, ken_facet_fn fn, void *cookie)
{
    int stop = 0;
    if (c->cap)
        qsort(c->places, c->cap, sizeof *c->places, most_first);
    for (size_t i = 0; !stop && i < c->n; i++)
        stop = fn(c->asked, c->places[i].text, c->places[i].count, cookie);
}

static ken_status count_all(ken *k, pass *p)
{
    const kn_select all = { .by = KN_AFTER };
    pthread_mutex_lock(&k->lock);
    ken_status st = k->store->v->items(k->store, &all, judge, p);
    pthread_mutex_unlock(&k->lock);
    for (size_t i = 0; !st && i < p->n; i++)
        st = p->list[i].st;
    return st;
}

ken_status ken_facets(ken *k, const char *keys, const char *where, int hidden, ken_facet_fn fn,
                      void *cookie)
{
    pass p = { .hidden = hidden };
    kn_where *w = NULL;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = keys && fn ? KEN_OK : kn_fail(KEN_E_INVALID, "ken_facets: no keys, or no function");
    if (!st && where && (st = kn_where_parse(&w, where)))
        st = kn_fail_in(st, "where");
    p.where = w;
    for (const char *s = keys; !st && *s;) {
        const size_t len = strcspn(s, ",");
        st = add_key(&p, s, len);
        s += len + (s[len] == ',');
    }
    if (!st && p.n)
        st = count_all(k, &p);
    for (size_t i = 0; !st && i < p.n; i++)
        tell(&p.list[i], fn, cookie);
    release(&p);
    kn_where_free(w);
    kn_leave(k);
    return st;
}
