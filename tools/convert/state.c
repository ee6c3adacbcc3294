/*
 * state.c - walking the graph.
 *
 * A tensor is a call of torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …), a
 * parameter a call around one, a state dict an OrderedDict of them; a scripted module is an object
 * whose state holds its attributes (torch/_utils.py, torch/csrc/jit/serialization/unpickler.cpp).
 * The calls are understood here and never made.  Steps and depth are counted: a graph may share
 * nodes so that its tree is exponentially large, and may have cycles.
 */
#include "tools/convert/state.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { MAX_STEPS = 1 << 20, MAX_DEPTH = 64, MAX_NAME = 512, MAX_WRAPPERS = 8 };

typedef struct walker {
    cv_set *set;
    const cv_pickle *p;
    cv_storage_fn storage;
    void *cookie;
    const char *file;
    char name[MAX_NAME];
    int steps;
    unsigned marks; /* which of OpenAI's entries were met */
} walker;

static const struct {
    const char *name;
    kn_dtype dtype;
} storages[] = {
    { "FloatStorage", KN_DT_F32 },    { "HalfStorage", KN_DT_F16 },  { "BFloat16Storage", KN_DT_BF16 },
    { "DoubleStorage", KN_DT_F64 },   { "LongStorage", KN_DT_I64 },  { "IntStorage", KN_DT_I32 },
    { "ShortStorage", KN_DT_I16 },    { "CharStorage", KN_DT_I8 },   { "ByteStorage", KN_DT_U8 },
    { "BoolStorage", KN_DT_BOOL },    { "UntypedStorage", KN_DT_U8 }, { NULL, KN_DT_OTHER },
}, dtypes[] = {
    { "float32", KN_DT_F32 }, { "float16", KN_DT_F16 }, { "bfloat16", KN_DT_BF16 },
    { "float64", KN_DT_F64 }, { "int64", KN_DT_I64 },   { "int32", KN_DT_I32 },
    { "int16", KN_DT_I16 },   { "int8", KN_DT_I8 },     { "uint8", KN_DT_U8 },
    { "bool", KN_DT_BOOL },   { "uint16", KN_DT_U16 },  { "uint32", KN_DT_U32 },
    { "uint64", KN_DT_U64 },  { NULL, KN_DT_OTHER },
};

/* ---- nodes ---- */

static const cv_node *at(const cv_pickle *p, uint32_t node)
{
    return &p->nodes[node];
}

static int is_sequence(const cv_node *n)
{
    return n->kind == CV_TUPLE || n->kind == CV_LIST;
}

/* Argument i of a tuple, or None. */
static uint32_t item(const cv_pickle *p, uint32_t tuple, uint32_t i)
{
    const cv_node *n = at(p, tuple);
    return is_sequence(n) && i < n->len ? n->u.items[i] : 0;
}

static int whole(const cv_pickle *p, uint32_t node, uint64_t *out)
{
    const cv_node *n = at(p, node);
    if (n->kind != CV_INT || n->u.i < 0)
        return 0;
    *out = (uint64_t)n->u.i;
    return 1;
}

/* ---- calls ---- */

typedef struct call {
    uint32_t fn, args;
} call;

/* The innermost call: without what only wraps a tensor in another class. */
static call unwrap(const cv_pickle *p, uint32_t node)
{
    const cv_node *n = at(p, node);
    call c = { 0, 0 };
    if (n->kind == CV_OBJECT)
        c = (call){ n->u.object.fn, n->u.object.args };
    for (int i = 0; i < MAX_WRAPPERS && c.fn; i++) {
        uint32_t inner = item(p, c.args, 0);
        if (cv_is_global(p, c.fn, "torch._tensor", "_rebuild_from_type_v2")) {
            c = (call){ inner, item(p, c.args, 2) };
            continue;
        }
        if (!cv_is_global(p, c.fn, "torch._utils", "_rebuild_parameter") &&
            !cv_is_global(p, c.fn, "torch._utils", "_rebuild_parameter_with_state") &&
            !cv_is_global(p, c.fn, "torch.nn.parameter", "Parameter") &&
            !cv_is_global(p, c.fn, "torch.jit._pickle", "restore_type_tag"))
            break;
        n = at(p, inner);
        if (n->kind != CV_OBJECT)
            break;
        c = (call){ n->u.object.fn, n->u.object.args };
    }
    return c;
}

static int is_tensor(const cv_pickle *p, call c)
{
    return cv_is_global(p, c.fn, "torch._utils", "_rebuild_tensor_v2") ||
           cv_is_global(p, c.fn, "torch._utils", "_rebuild_tensor_v3") ||
           cv_is_global(p, c.fn, "torch._utils", "_rebuild_tensor");
}

static kn_dtype named_type(const cv_pickle *p, uint32_t node, int storage)
{
    const cv_node *n = at(p, node);
    for (int i = 0; n->kind == CV_GLOBAL; i++) {
        const char *name = storage ? storages[i].name : dtypes[i].name;
        if (!name)
            break;
        if (n->u.global.name_len == strlen(name) &&
            !memcmp(n->u.global.name, name, n->u.global.name_len))
            return storage ? storages[i].dtype : dtypes[i].dtype;
    }
    return KN_DT_OTHER;
}

ken_status cv_storage_id_read(const cv_pickle *p, uint32_t ref, cv_storage_id *out)
{
    const uint32_t id = at(p, ref)->kind == CV_REF ? at(p, ref)->u.ref : 0;
    const cv_node *key = at(p, item(p, id, 2));
    cv_storage_id s = { .dtype = named_type(p, item(p, id, 1), 1), .view = item(p, id, 5) };
    if (!cv_is_text(p, item(p, id, 0), "storage") || key->kind != CV_TEXT || !key->u.text.n ||
        !whole(p, item(p, id, 4), &s.elements))
        return kn_fail(KEN_E_FORMAT, "its storage is not described as one");
    s.key = key->u.text.s;
    s.key_len = key->u.text.n;
    *out = s;
    return KEN_OK;
}

/* ---- tensors ---- */

static ken_status read_shape(const cv_pickle *p, uint32_t args, cv_tensor *t)
{
    uint32_t size = item(p, args, 2), stride = item(p, args, 3);
    const call c = unwrap(p, size);
    if (cv_is_global(p, c.fn, "torch", "Size"))
        size = item(p, c.args, 0);
    if (!is_sequence(at(p, size)) || !is_sequence(at(p, stride)) ||
        at(p, size)->len != at(p, stride)->len)
        return kn_fail(KEN_E_FORMAT, "its size and stride are not lists of one length");
    if (at(p, size)->len > KN_MAX_RANK)
        return kn_fail(KEN_E_FORMAT, "%u axes, more than %d", at(p, size)->len, KN_MAX_RANK);
    t->rank = at(p, size)->len;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!whole(p, item(p, size, i), &t->shape[i]) ||
            !whole(p, item(p, stride, i), &t->stride[i]))
            return kn_fail(KEN_E_FORMAT, "axis %u is not a size and a stride of 0 or more", i);
    return KEN_OK;
}

static ken_status read_tensor(walker *w, call c, cv_tensor *t)
{
    const cv_pickle *p = w->p;
    cv_storage s = { 0 };
    uint64_t offset = 0;
    ken_status st = read_shape(p, c.args, t);
    if (!st)
        st = w->storage(w->cookie, p, item(p, c.args, 0), &s);
    if (st)
        return st;
    t->dtype = s.dtype;
    if (cv_is_global(p, c.fn, "torch._utils", "_rebuild_tensor_v3")) {
        t->dtype = named_type(p, item(p, c.args, 6), 0);
        const size_t size = kn_dtype_bytes(t->dtype);
        s.elements = size ? s.elements * kn_dtype_bytes(s.dtype) / size : 0;
    }
    if (t->dtype == KN_DT_OTHER) {
        t->problem = "its type is not one that weights have here";
        return KEN_OK;
    }
    if (!whole(p, item(p, c.args, 1), &offset) || offset > s.elements)
        return kn_fail(KEN_E_FORMAT, "it begins outside its storage of %llu elements",
                       (unsigned long long)s.elements);
    st = cv_check_inside(t, s.elements - offset);
    t->data = s.data ? s.data + offset * kn_dtype_bytes(t->dtype) : NULL;
    return st;
}

static ken_status add_tensor(walker *w, call c)
{
    cv_tensor t = { .file = w->file };
    ken_status st = read_tensor(w, c, &t);
    if (st)
        return kn_fail_in(st, "tensor %.200s", w->name);
    return cv_set_add(w->set, w->name, &t);
}

static int is_from(const cv_node *global, const char *module)
{
    return global->u.global.module_len == strlen(module) &&
           !memcmp(global->u.global.module, module, global->u.global.module_len);
}

/* Kept by name, so that whoever needs it learns why there is no tensor. */
static ken_status add_unknown(walker *w, call c)
{
    const cv_node *fn = at(w->p, c.fn);
    const cv_tensor t = { .dtype = KN_DT_OTHER,
                          .file = w->file,
                          .problem =
                              "made by a call that is not a tensor's, and nothing is called" };
    if (fn->kind != CV_GLOBAL || is_from(fn, "torch.jit._pickle")) /* there: lists of numbers */
        return KEN_OK;
    return cv_set_add(w->set, w->name, &t);
}

/* ---- the walk ---- */

static ken_status walk(walker *w, uint32_t node, size_t name_len, int depth);

/* Entries that a state dict's reader of OpenAI's archives deletes (clip/model.py, build_model). */
static void note_mark(walker *w)
{
    static const char *const names[] = { "input_resolution", "context_length", "vocab_size" };
    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(w->name, names[i]))
            w->marks |= 1U << i;
}

static int is_hidden(const cv_pickle *p, uint32_t key)
{
    return cv_is_text(p, key, "_parameters") || cv_is_text(p, key, "_buffers") ||
           cv_is_text(p, key, "_modules");
}

/* One member: its name is added to the walker's and taken away again. */
static ken_status walk_member(walker *w, uint32_t key, uint32_t value, size_t len, int depth)
{
    const cv_node *k = at(w->p, key);
    int n;
    if (k->kind == CV_TEXT && !memchr(k->u.text.s, 0, k->u.text.n) && k->u.text.n < MAX_NAME)
        n = snprintf(w->name + len, MAX_NAME - len, "%s%.*s", len ? "." : "", (int)k->u.text.n,
                     k->u.text.s);
    else if (k->kind == CV_INT)
        n = snprintf(w->name + len, MAX_NAME - len, "%s%lld", len ? "." : "", (long long)k->u.i);
    else
        return KEN_OK; /* no state dict has such a key */
    if (n < 0 || (size_t)n >= MAX_NAME - len)
        return kn_fail(KEN_E_LIMIT, "a name of more than %d bytes: %.60s…", MAX_NAME, w->name);
    note_mark(w);
    ken_status st = walk(w, value, len + (size_t)n, depth + 1);
    w->name[len] = 0;
    return st;
}

static ken_status walk_dict(walker *w, uint32_t dict, size_t len, int depth)
{
    ken_status st = KEN_OK;
    for (uint32_t i = 0; !st && i + 1 < at(w->p, dict)->len; i += 2)
        st = walk_member(w, at(w->p, dict)->u.items[i], at(w->p, dict)->u.items[i + 1], len, depth);
    return st;
}

/* The attributes of a scripted module, and of any other only what nn.Module keeps its own in. */
static ken_status walk_module(walker *w, const cv_node *n, size_t len, int depth)
{
    const cv_pickle *p = w->p;
    const cv_node *fn = at(p, n->u.object.fn);
    const uint32_t state = n->u.object.state;
    const int scripted = fn->kind == CV_GLOBAL && fn->u.global.module_len >= 9 &&
                         !memcmp(fn->u.global.module, "__torch__", 9);
    ken_status st = KEN_OK;
    for (uint32_t i = 0; !st && i + 1 < at(p, state)->len; i += 2) {
        const uint32_t key = at(p, state)->u.items[i], value = at(p, state)->u.items[i + 1];
        if (is_hidden(p, key))
            st = walk(w, value, len, depth + 1);
        else if (scripted)
            st = walk_member(w, key, value, len, depth);
    }
    return st;
}

static int is_dict_call(const cv_pickle *p, uint32_t fn)
{
    return cv_is_global(p, fn, "collections", "OrderedDict") ||
           cv_is_global(p, fn, "collections", "defaultdict") ||
           cv_is_global(p, fn, "builtins", "dict");
}

/* OrderedDict([[key, value], …]) of old, and what was put in later. */
static ken_status walk_dict_call(walker *w, const cv_node *n, size_t len, int depth)
{
    const cv_pickle *p = w->p;
    const uint32_t pairs = item(p, n->u.object.args, 0), items = n->u.object.items;
    ken_status st = KEN_OK;
    for (uint32_t i = 0; !st && is_sequence(at(p, pairs)) && i < at(p, pairs)->len; i++) {
        const uint32_t pair = at(p, pairs)->u.items[i];
        st = walk_member(w, item(p, pair, 0), item(p, pair, 1), len, depth);
    }
    return st || !items ? st : walk_dict(w, items, len, depth);
}

static ken_status walk(walker *w, uint32_t node, size_t len, int depth)
{
    const cv_node *n = at(w->p, node);
    if (depth > MAX_DEPTH)
        return kn_fail(KEN_E_LIMIT, "nested more than %d deep at %.200s", MAX_DEPTH, w->name);
    if (++w->steps > MAX_STEPS)
        return kn_fail(KEN_E_LIMIT, "more than %d entries", MAX_STEPS);
    if (n->kind == CV_DICT)
        return walk_dict(w, node, len, depth);
    if (n->kind != CV_OBJECT)
        return KEN_OK;
    const call c = unwrap(w->p, node);
    if (is_tensor(w->p, c))
        return add_tensor(w, c);
    if (is_dict_call(w->p, c.fn))
        return walk_dict_call(w, n, len, depth);
    if (at(w->p, n->u.object.state)->kind == CV_DICT)
        return walk_module(w, n, len, depth);
    return add_unknown(w, c);
}

/* ---- the root ---- */

static uint32_t dict_of(const cv_pickle *p, uint32_t node)
{
    const cv_node *n = at(p, node);
    if (n->kind == CV_DICT)
        return node;
    return n->kind == CV_OBJECT && is_dict_call(p, n->u.object.fn) ? n->u.object.items : 0;
}

/* The state dict within what training scripts save around it. */
static uint32_t find_state(const cv_pickle *p, uint32_t root)
{
    static const char *const names[] = { "state_dict", "model_state_dict", "model" };
    for (int level = 0; level < 4; level++) {
        const cv_node *d = at(p, dict_of(p, root));
        uint32_t inner = 0;
        for (int i = 0; d->kind == CV_DICT && i < 3 && !inner; i++)
            for (uint32_t j = 0; j + 1 < d->len && !inner; j += 2)
                if (cv_is_text(p, d->u.items[j], names[i]) &&
                    (dict_of(p, d->u.items[j + 1]) || at(p, d->u.items[j + 1])->kind == CV_OBJECT))
                    inner = d->u.items[j + 1];
        if (!inner)
            break;
        root = inner;
    }
    return root;
}

ken_status cv_state_read(cv_set *s, const cv_pickle *p, cv_storage_fn storage, void *cookie,
                         const char *file)
{
    walker *w = kn_zalloc(1, sizeof *w);
    if (!w)
        return KEN_E_NOMEM;
    w->set = s;
    w->p = p;
    w->storage = storage;
    w->cookie = cookie;
    w->file = file;
    ken_status st = walk(w, find_state(p, p->root), 0, 0);
    if (w->marks == 7)
        s->openai = 1;
    kn_free(w);
    return st;
}
