/* where_match.c - one item against an expression. */
#include "engine/where_tree.h"

#include "base/alloc.h"
#include "base/glob.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An item, and its metadata once they are read. */
typedef struct subject {
    const kn_where *f;
    const kn_item *item;
    cJSON *meta;
} subject;

/* ---- comparing ---- */

/* order: how what the item has stands to the value: < 0, 0, > 0. */
static int holds(kn_op op, int order)
{
    switch (op) {
    case KN_OP_EQUAL: return order == 0;
    case KN_OP_LESS: return order < 0;
    case KN_OP_AT_MOST: return order <= 0;
    case KN_OP_MORE: return order > 0;
    case KN_OP_AT_LEAST: return order >= 0;
    case KN_OP_LIKE:
    case KN_OP_THERE: break;
    }
    return 0;
}

static int number_holds(kn_op op, double have, const kn_where_value *v)
{
    return holds(op, (have > v->number) - (have < v->number));
}

/* Within the span is equal to it. */
static int time_holds(kn_op op, int64_t have, const kn_where_value *v)
{
    return holds(op, have < v->from ? -1 : have >= v->to);
}

/* Any part of a path that begins behind a '/', unless the pattern says from where. */
static int path_fits(const char *pattern, const char *path)
{
    int fits = kn_glob(pattern, path);
    for (const char *s = *pattern == '/' ? NULL : strchr(path, '/'); s && !fits; s = strchr(s + 1, '/'))
        fits = kn_glob(pattern, s + 1);
    return fits;
}

static int text_holds(const kn_where_node *t, const char *have, const kn_where_value *v)
{
    if (t->op == KN_OP_LIKE)
        return t->key == KN_KEY_OF_PATH || t->key == KN_KEY_OF_DIR ? path_fits(v->text, have)
                                                                   : kn_glob(v->text, have);
    if (t->key == KN_KEY_OF_EXT)
        return holds(t->op, strcasecmp(have, *v->text == '.' ? v->text + 1 : v->text));
    return holds(t->op, strcmp(have, v->text));
}

/* ---- metadata ---- */

static int own_text_holds(const kn_where_node *t, const char *have, const kn_where_value *v)
{
    int64_t from, to;
    char *end;
    if (t->op != KN_OP_LIKE && v->has_number && *have) {
        const double number = strtod(have, &end);
        if (!*end && isfinite(number))
            return number_holds(t->op, number, v);
    }
    if (t->op != KN_OP_LIKE && v->has_time && kn_time_span(have, &from, &to))
        return time_holds(t->op, from, v);
    return text_holds(t, have, v);
}

static int scalar_holds(const kn_where_node *t, const cJSON *have, const kn_where_value *v)
{
    char digits[32];
    if (cJSON_IsString(have))
        return own_text_holds(t, have->valuestring, v);
    if (cJSON_IsBool(have))
        return text_holds(t, cJSON_IsTrue(have) ? "true" : "false", v);
    if (!cJSON_IsNumber(have))
        return 0;
    if (v->has_number && t->op != KN_OP_LIKE)
        return number_holds(t->op, have->valuedouble, v);
    snprintf(digits, sizeof digits, "%.17g", have->valuedouble);
    return text_holds(t, digits, v);
}

static int member_holds(const kn_where_node *t, const cJSON *have, const kn_where_value *v)
{
    if (!cJSON_IsArray(have))
        return scalar_holds(t, have, v);
    for (const cJSON *e = have->child; e; e = e->next)
        if (scalar_holds(t, e, v))
            return 1;
    return 0;
}

/* A member whose own name has a dot is found, too. */
const cJSON *kn_where_member(const cJSON *of, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(of, name);
    for (const char *dot = strchr(name, '.'); !found && dot; dot = strchr(dot + 1, '.')) {
        char *head = kn_strndup(name, (size_t)(dot - name));
        const cJSON *inner = head ? cJSON_GetObjectItemCaseSensitive(of, head) : NULL;
        kn_free(head);
        if (cJSON_IsObject(inner))
            found = kn_where_member(inner, dot + 1);
    }
    return found;
}

/* ---- tests ---- */

const char *kn_where_extension(const char *path)
{
    const char *name = kn_path_name(path), *dot = strrchr(name, '.');
    return dot && dot > name ? dot + 1 : "";
}

size_t kn_where_folder(const char *path)
{
    const char *end = strrchr(path, '/');
    return !end ? 0 : end > path ? (size_t)(end - path) : 1;
}

static int dir_holds(const kn_where_node *t, const char *path, const kn_where_value *v)
{
    const size_t n = kn_where_folder(path);
    char *dir = n ? kn_strndup(path, n) : NULL;
    const int yes = dir && text_holds(t, dir, v);
    kn_free(dir);
    return yes;
}

int64_t kn_where_taken(const cJSON *meta, const kn_item *item)
{
    int64_t from, to;
    const cJSON *taken = kn_where_member(meta, "taken");
    return cJSON_IsString(taken) && kn_time_span(taken->valuestring, &from, &to) ? from : item->mtime_ns;
}

static int value_holds(const subject *s, const kn_where_node *t, const kn_where_value *v)
{
    const kn_item *i = s->item;
    switch (t->key) {
    case KN_KEY_OF_PATH: return text_holds(t, i->path, v);
    case KN_KEY_OF_NAME: return text_holds(t, kn_path_name(i->path), v);
    case KN_KEY_OF_DIR: return dir_holds(t, i->path, v);
    case KN_KEY_OF_EXT: return text_holds(t, kn_where_extension(i->path), v);
    case KN_KEY_OF_KIND: return i->kind && text_holds(t, i->kind, v);
    case KN_KEY_OF_OBJECT: return i->object && text_holds(t, i->object, v);
    case KN_KEY_OF_ID: return number_holds(t->op, (double)i->id, v);
    case KN_KEY_OF_BYTES: return number_holds(t->op, (double)i->bytes, v);
    case KN_KEY_OF_WIDTH: return number_holds(t->op, i->width, v);
    case KN_KEY_OF_HEIGHT: return number_holds(t->op, i->height, v);
    case KN_KEY_OF_MTIME: return time_holds(t->op, i->mtime_ns, v);
    case KN_KEY_OF_ADDED: return time_holds(t->op, i->added_ns, v);
    case KN_KEY_OF_TAKEN: return time_holds(t->op, kn_where_taken(s->meta, i), v);
    case KN_KEY_OF_META: return member_holds(t, kn_where_member(s->meta, t->member), v);
    }
    return 0;
}

static int there(const subject *s, const kn_where_node *t)
{
    const cJSON *m = t->key == KN_KEY_OF_META ? kn_where_member(s->meta, t->member) : NULL;
    if (t->key == KN_KEY_OF_OBJECT)
        return s->item->object != NULL;
    return m && !cJSON_IsNull(m) && !(cJSON_IsString(m) && !*m->valuestring)
           && !(cJSON_IsArray(m) && !m->child);
}

static int test(const subject *s, const kn_where_node *t)
{
    if (t->op == KN_OP_THERE)
        return there(s, t);
    for (uint32_t i = 0; i < t->n_values; i++)
        if (value_holds(s, t, &s->f->values[t->first_value + i]))
            return 1;
    return 0;
}

/* Chains of and and or lean to the left: those are walked, and the parser limits how deep the rest goes. */
static int match(const subject *s, uint32_t at)
{
    for (;;) {
        const kn_where_node *n = &s->f->nodes[at];
        if (n->what == KN_NODE_TEST)
            return test(s, n);
        if (n->what == KN_NODE_NOT)
            return !match(s, n->left);
        if (match(s, n->right) == (n->what == KN_NODE_OR))
            return n->what == KN_NODE_OR;
        at = n->left;
    }
}

int kn_where_match(const kn_where *f, const kn_item *item)
{
    subject s = { f, item, f->meta && item->meta ? cJSON_Parse(item->meta) : NULL };
    const int yes = match(&s, f->root);
    cJSON_Delete(s.meta);
    return yes;
}
