/* store.c - choosing a store, and what all of them share. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const kn_store_verbs *const kinds[] = {
#ifdef KEN_SQLITE
    &kn_store_sqlite,
#endif
    &kn_store_file,
#ifdef KEN_MILVUS
    &kn_store_milvus,
#endif
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* 1 if dir holds a store of that kind. */
static int is_there(const kn_store_verbs *v, const char *dir)
{
    char *path = kn_path_join(dir, v->file);
    int found = path && access(path, F_OK) == 0;
    kn_free(path);
    return found;
}

static const kn_store_verbs *choose(const char *kind, const char *dir)
{
    for (size_t i = 0; !kind && i < KINDS; i++)
        if (is_there(kinds[i], dir))
            return kinds[i];
    if (!kind)
        return kinds[0];
    size_t n = strcspn(kind, ":");
    for (size_t i = 0; i < KINDS; i++)
        if (n == strlen(kinds[i]->name) && !strncmp(kind, kinds[i]->name, n))
            return kinds[i];
    return NULL;
}

static ken_status no_such(const char *kind)
{
    char list[80] = "";
    for (size_t i = 0; i < KINDS; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), " %s:", kinds[i]->name);
    return kn_fail(KEN_E_UNSUPPORTED, "no store \"%s\" in this build, only%s", kind, list);
}

ken_status kn_store_open(kn_store **out, const char *kind, const char *dir, kn_store_mode mode)
{
    const kn_store_verbs *v = choose(kind, dir);
    if (!v)
        return no_such(kind);
    if (mode == KN_STORE_CREATE)
        for (size_t i = 0; i < KINDS; i++)
            if (kinds[i] != v && is_there(kinds[i], dir))
                return kn_fail(KEN_E_EXISTS, "%s: already kept in a %s: store", dir,
                               kinds[i]->name);
    ken_status st = v->open(out, kind, dir, mode);
    return st ? kn_fail_in(st, "%s/%s", dir, v->file) : KEN_OK;
}

void kn_store_close(kn_store *s)
{
    if (s)
        s->v->close(s);
}

/* ---- items ---- */

static ken_status copy_string(char **out, const char *s)
{
    *out = s ? kn_strdup(s) : NULL;
    return s && !*out ? KEN_E_NOMEM : KEN_OK;
}

ken_status kn_item_copy(kn_item *out, const kn_item *item)
{
    kn_item copy = *item;
    copy.path = copy.object = copy.meta = copy.kind = NULL;
    ken_status st = copy_string(&copy.path, item->path);
    if (!st)
        st = copy_string(&copy.object, item->object);
    if (!st)
        st = copy_string(&copy.meta, item->meta);
    if (!st)
        st = copy_string(&copy.kind, item->kind);
    if (st)
        kn_item_release(&copy);
    else
        *out = copy;
    return st;
}

void kn_item_release(kn_item *item)
{
    kn_free(item->path);
    kn_free(item->object);
    kn_free(item->meta);
    kn_free(item->kind);
    *item = (kn_item){ 0 };
}

typedef struct one {
    kn_item *out;
    int found;
    ken_status st;
} one;

static int keep_one(const kn_item *item, void *cookie)
{
    one *o = cookie;
    o->found = 1;
    o->st = kn_item_copy(o->out, item);
    return 1;
}

ken_status kn_store_get(kn_store *s, const kn_select *which, kn_item *out)
{
    one o = { .out = out };
    ken_status st = s->v->items(s, which, keep_one, &o);
    if (st || o.st)
        return st ? st : o.st;
    if (o.found)
        return KEN_OK;
    return which->text ? kn_fail(KEN_E_NOTFOUND, "%s is not in the collection", which->text)
                       : kn_fail(KEN_E_NOTFOUND, "no item %" PRIu64, which->number);
}

/* Where an item's vectors are. */
typedef struct place {
    uint32_t segment, slot, part_segment, part_slot, parts;
} place;

static place place_in(const kn_item *item)
{
    return (place){ item->segment, item->slot, item->part_segment, item->part_slot,
                    item->part_segment ? item->parts : 0 };
}

static int note_place(const kn_item *item, void *cookie)
{
    *(place *)cookie = place_in(item);
    return 1;
}

static ken_status place_of(kn_store *s, uint64_t id, place *out)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    *out = (place){ 0 };
    return s->v->items(s, &which, note_place, out);
}

/* What is in old and not in now is dead. */
static ken_status bury(kn_store *s, const place *old, const place *now)
{
    ken_status st = KEN_OK;
    if (old->segment && (old->segment != now->segment || old->slot != now->slot))
        st = s->v->put_dead(s, old->segment, old->slot);
    if (old->part_segment == now->part_segment && old->part_slot == now->part_slot)
        return st;
    for (uint32_t i = 0; !st && i < old->parts; i++)
        st = s->v->put_dead(s, old->part_segment, old->part_slot + i);
    return st;
}

ken_status kn_store_put(kn_store *s, const kn_item *item)
{
    place old;
    const place now = place_in(item);
    ken_status st = place_of(s, item->id, &old);
    if (!st)
        st = s->v->put(s, item);
    return st ? st : bury(s, &old, &now);
}

ken_status kn_store_drop(kn_store *s, uint64_t id)
{
    place old;
    const place none = { 0 };
    ken_status st = place_of(s, id, &old);
    if (!st)
        st = s->v->drop(s, id);
    return st ? st : bury(s, &old, &none);
}

/* ---- texts ---- */

ken_status kn_store_number(kn_store *s, const char *key, uint64_t *out)
{
    char *text = NULL;
    ken_status st = s->v->text(s, key, &text);
    if (st)
        return st;
    *out = text ? strtoull(text, NULL, 10) : 0;
    kn_free(text);
    return KEN_OK;
}

ken_status kn_store_set_number(kn_store *s, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return s->v->set_text(s, key, text);
}
