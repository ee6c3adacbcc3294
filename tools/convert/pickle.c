/*
 * pickle.c - the pickle machine, without anything that it could run.
 *
 * Opcodes: Python's pickletools.  The machine has a stack, marks on it, and a memo.  Each opcode
 * is a function in one table; none recurses, whatever the nesting.  All that a pickle can make
 * grow is bounded: nodes, entries pushed, and memo places (no more than the pickle has bytes).
 */
#include "tools/convert/pickle_machine.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { MAX_NODES = 1 << 22, MAX_PUSHES = 1 << 25 };
static const uint32_t MARK = UINT32_MAX;

typedef ken_status (*op_fn)(machine *m);

ken_status cv_pickle_bad(const machine *m, const char *why)
{
    return kn_fail(KEN_E_FORMAT, "pickle: byte %zu: %s", m->op_at, why);
}

/* ---- stack and nodes ---- */

ken_status cv_pickle_push(machine *m, uint32_t node)
{
    uint32_t *stack = kn_room(m->stack, m->depth, &m->stack_cap, sizeof *stack);
    if (!stack)
        return KEN_E_NOMEM;
    m->stack = stack;
    if (++m->pushes > MAX_PUSHES)
        return kn_fail(KEN_E_LIMIT, "pickle: byte %zu: more than %d values", m->op_at, MAX_PUSHES);
    stack[m->depth++] = node;
    return KEN_OK;
}

static ken_status pop(machine *m, uint32_t *node)
{
    if (!m->depth || m->stack[m->depth - 1] == MARK)
        return cv_pickle_bad(m, "the stack is empty");
    *node = m->stack[--m->depth];
    return KEN_OK;
}

static cv_node *top(const machine *m)
{
    const uint32_t node = m->depth ? m->stack[m->depth - 1] : MARK;
    return node == MARK ? NULL : &m->p->nodes[node];
}

/* Where the values above the last mark begin. */
static ken_status find_mark(const machine *m, size_t *first)
{
    size_t i = m->depth;
    while (i && m->stack[i - 1] != MARK)
        i--;
    *first = i;
    return i ? KEN_OK : cv_pickle_bad(m, "no mark");
}

static ken_status new_node(machine *m, const cv_node *n, uint32_t *out)
{
    cv_pickle *p = m->p;
    if (p->len == MAX_NODES)
        return kn_fail(KEN_E_LIMIT, "pickle: byte %zu: more than %d objects", m->op_at, MAX_NODES);
    cv_node *nodes = kn_room(p->nodes, p->len, &p->cap, sizeof *nodes);
    if (!nodes)
        return KEN_E_NOMEM;
    p->nodes = nodes;
    nodes[p->len] = *n;
    *out = (uint32_t)p->len++;
    return KEN_OK;
}

ken_status cv_pickle_push_new(machine *m, cv_node n)
{
    uint32_t node;
    ken_status st = new_node(m, &n, &node);
    return st ? st : cv_pickle_push(m, node);
}

static ken_status append(machine *m, uint32_t to, const uint32_t *items, size_t n)
{
    cv_node *t = &m->p->nodes[to];
    if (n > MAX_PUSHES - (size_t)t->len) /* each was pushed; the sum is bounded too */
        return cv_pickle_bad(m, "too many items");
    if (t->len + n > t->cap) {
        const size_t cap = t->len + n + t->len / 2;
        uint32_t *grown = kn_grow(t->u.items, cap, sizeof *grown);
        if (!grown)
            return KEN_E_NOMEM;
        t->u.items = grown;
        t->cap = (uint32_t)cap;
    }
    if (n)
        memcpy(t->u.items + t->len, items, n * sizeof *items);
    t->len += (uint32_t)n;
    return KEN_OK;
}

/* ---- containers ---- */

static ken_status op_mark(machine *m)
{
    return cv_pickle_push(m, MARK);
}

static ken_status push_empty(machine *m, cv_kind kind)
{
    return cv_pickle_push_new(m, (cv_node){ .kind = kind });
}

static ken_status op_empty_tuple(machine *m)
{
    return push_empty(m, CV_TUPLE);
}

static ken_status op_empty_list(machine *m)
{
    return push_empty(m, CV_LIST);
}

static ken_status op_empty_dict(machine *m)
{
    return push_empty(m, CV_DICT);
}

/* What lies from `first` up becomes one container. */
static ken_status collect(machine *m, cv_kind kind, size_t first, size_t drop)
{
    const cv_node empty = { .kind = kind };
    uint32_t node;
    ken_status st = new_node(m, &empty, &node);
    if (!st)
        st = append(m, node, m->stack + first, m->depth - first);
    if (st)
        return st;
    m->depth = first - drop;
    return cv_pickle_push(m, node);
}

static ken_status collect_to_mark(machine *m, cv_kind kind)
{
    size_t first;
    ken_status st = find_mark(m, &first);
    if (!st && kind == CV_DICT && (m->depth - first) % 2)
        st = cv_pickle_bad(m, "a key without value");
    return st ? st : collect(m, kind, first, 1);
}

static ken_status op_tuple(machine *m)
{
    return collect_to_mark(m, CV_TUPLE);
}

static ken_status op_list(machine *m)
{
    return collect_to_mark(m, CV_LIST);
}

static ken_status op_dict(machine *m)
{
    return collect_to_mark(m, CV_DICT);
}

static ken_status collect_n(machine *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (i >= m->depth || m->stack[m->depth - 1 - i] == MARK)
            return cv_pickle_bad(m, "the stack is empty");
    return collect(m, CV_TUPLE, m->depth - n, 0);
}

static ken_status op_tuple1(machine *m)
{
    return collect_n(m, 1);
}

static ken_status op_tuple2(machine *m)
{
    return collect_n(m, 2);
}

static ken_status op_tuple3(machine *m)
{
    return collect_n(m, 3);
}

/* The list of what is put into `node`: itself, or an object's own. */
static ken_status items_of(machine *m, uint32_t node, uint32_t *out)
{
    const cv_node empty = { .kind = CV_DICT };
    const cv_kind kind = m->p->nodes[node].kind;
    *out = node;
    if (kind == CV_LIST || kind == CV_DICT)
        return KEN_OK;
    if (kind != CV_OBJECT)
        return cv_pickle_bad(m, "items for something that holds none");
    *out = m->p->nodes[node].u.object.items;
    if (*out)
        return KEN_OK;
    ken_status st = new_node(m, &empty, out);
    if (!st)
        m->p->nodes[node].u.object.items = *out;
    return st;
}

/* The values from `first` up go into the container below them (and below a mark). */
static ken_status put_in(machine *m, size_t first, size_t mark, size_t even)
{
    uint32_t to;
    const size_t n = m->depth - first;
    if (first < mark + 1 || m->stack[first - mark - 1] == MARK)
        return cv_pickle_bad(m, "items for nothing");
    if (even && n % 2)
        return cv_pickle_bad(m, "a key without value");
    ken_status st = items_of(m, m->stack[first - mark - 1], &to);
    if (!st && even && m->p->nodes[to].kind != CV_DICT)
        st = cv_pickle_bad(m, "keys for a list");
    if (!st && !even &&
        m->p->nodes[to].kind == CV_DICT) { /* a list within an object: not looked at */
        m->depth = first - mark;
        return KEN_OK;
    }
    if (!st)
        st = append(m, to, m->stack + first, n);
    m->depth = first - mark;
    return st;
}

static ken_status op_append(machine *m)
{
    return m->depth < 2 || m->stack[m->depth - 1] == MARK ? cv_pickle_bad(m, "items for nothing")
                                                          : put_in(m, m->depth - 1, 0, 0);
}

static ken_status op_setitem(machine *m)
{
    if (m->depth < 3 || m->stack[m->depth - 1] == MARK || m->stack[m->depth - 2] == MARK)
        return cv_pickle_bad(m, "items for nothing");
    return put_in(m, m->depth - 2, 0, 1);
}

static ken_status op_appends(machine *m)
{
    size_t first;
    ken_status st = find_mark(m, &first);
    return st ? st : put_in(m, first, 1, 0);
}

static ken_status op_setitems(machine *m)
{
    size_t first;
    ken_status st = find_mark(m, &first);
    return st ? st : put_in(m, first, 1, 1);
}

/* ---- stack and memo ---- */

static ken_status op_pop(machine *m)
{
    if (!m->depth)
        return cv_pickle_bad(m, "the stack is empty");
    m->depth--;
    return KEN_OK;
}

static ken_status op_pop_mark(machine *m)
{
    size_t first;
    ken_status st = find_mark(m, &first);
    if (!st)
        m->depth = first - 1;
    return st;
}

static ken_status op_dup(machine *m)
{
    return top(m) ? cv_pickle_push(m, m->stack[m->depth - 1])
                  : cv_pickle_bad(m, "the stack is empty");
}

static ken_status memo_put(machine *m, uint64_t place)
{
    if (!top(m))
        return cv_pickle_bad(m, "the stack is empty");
    if (place >= m->len || place >= MAX_PUSHES)
        return cv_pickle_bad(m, "a memo place beyond the pickle's length");
    if (place >= m->memo_len) {
        const size_t len = (size_t)place + 1 + m->memo_len / 2;
        uint32_t *memo = kn_grow(m->memo, len, sizeof *memo);
        if (!memo)
            return KEN_E_NOMEM;
        memset(memo + m->memo_len, 0, (len - m->memo_len) * sizeof *memo);
        m->memo = memo;
        m->memo_len = len;
    }
    m->memo[place] = m->stack[m->depth - 1] + 1;
    return KEN_OK;
}

static ken_status memo_get(machine *m, uint64_t place)
{
    if (place >= m->memo_len || !m->memo[place])
        return cv_pickle_bad(m, "nothing at that memo place");
    return cv_pickle_push(m, m->memo[place] - 1);
}

static ken_status line_number(machine *m, uint64_t *out)
{
    const char *s = NULL;
    size_t n = 0;
    ken_status st = cv_pickle_take_line(m, &s, &n);
    *out = 0;
    for (size_t i = 0; !st && i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || i > 9)
            return cv_pickle_bad(m, "not a memo place");
        *out = *out * 10 + (uint64_t)(s[i] - '0');
    }
    return st;
}

static ken_status op_put(machine *m)
{
    uint64_t v;
    ken_status st = line_number(m, &v);
    return st ? st : memo_put(m, v);
}

static ken_status op_binput(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 1, &v);
    return st ? st : memo_put(m, v);
}

static ken_status op_long_binput(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 4, &v);
    return st ? st : memo_put(m, v);
}

static ken_status op_memoize(machine *m)
{
    return memo_put(m, m->memo_next++);
}

static ken_status op_get(machine *m)
{
    uint64_t v;
    ken_status st = line_number(m, &v);
    return st ? st : memo_get(m, v);
}

static ken_status op_binget(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 1, &v);
    return st ? st : memo_get(m, v);
}

static ken_status op_long_binget(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 4, &v);
    return st ? st : memo_get(m, v);
}

/* ---- objects ---- */

static ken_status push_global(machine *m, const char *module, size_t module_len, const char *name,
                              size_t name_len)
{
    if (module_len > CV_PICKLE_LINE || name_len > CV_PICKLE_LINE)
        return cv_pickle_bad(m, "a name too long");
    return cv_pickle_push_new(
        m, (cv_node){ .kind = CV_GLOBAL,
                      .u.global = { module, name, (uint32_t)module_len, (uint32_t)name_len } });
}

static ken_status op_global(machine *m)
{
    const char *module = NULL, *name = NULL;
    size_t module_len = 0, name_len = 0;
    ken_status st = cv_pickle_take_line(m, &module, &module_len);
    if (!st)
        st = cv_pickle_take_line(m, &name, &name_len);
    return st ? st : push_global(m, module, module_len, name, name_len);
}

static ken_status op_stack_global(machine *m)
{
    uint32_t module = 0, name = 0;
    ken_status st = pop(m, &name);
    if (!st)
        st = pop(m, &module);
    if (st)
        return st;
    const cv_node *a = &m->p->nodes[module], *b = &m->p->nodes[name];
    if (a->kind != CV_TEXT || b->kind != CV_TEXT)
        return cv_pickle_bad(m, "a global without names");
    return push_global(m, a->u.text.s, a->u.text.n, b->u.text.s, b->u.text.n);
}

static ken_status push_object(machine *m, uint32_t fn, uint32_t args)
{
    return cv_pickle_push_new(
        m, (cv_node){ .kind = CV_OBJECT, .u.object = { .fn = fn, .args = args } });
}

/* REDUCE and NEWOBJ alike: fn args -> fn(args), which is noted and never made. */
static ken_status op_reduce(machine *m)
{
    uint32_t fn = 0, args = 0;
    ken_status st = pop(m, &args);
    if (!st)
        st = pop(m, &fn);
    return st ? st : push_object(m, fn, args);
}

static ken_status op_newobj_ex(machine *m)
{
    uint32_t named = 0;
    ken_status st = pop(m, &named);
    return st ? st : op_reduce(m);
}

/* MARK class args… -> object */
static ken_status op_obj(machine *m)
{
    size_t first;
    ken_status st = find_mark(m, &first);
    if (!st && first == m->depth)
        st = cv_pickle_bad(m, "an object without class");
    if (st)
        return st;
    const uint32_t fn = m->stack[first];
    st = collect(m, CV_TUPLE, first + 1, 2);
    return st ? st : push_object(m, fn, m->stack[--m->depth]);
}

/* The same, the class given by name. */
static ken_status op_inst(machine *m)
{
    uint32_t fn = 0;
    ken_status st = op_global(m);
    if (!st)
        st = pop(m, &fn);
    if (!st)
        st = collect_to_mark(m, CV_TUPLE);
    return st ? st : push_object(m, fn, m->stack[--m->depth]);
}

static ken_status op_build(machine *m)
{
    uint32_t state = 0;
    ken_status st = pop(m, &state);
    cv_node *t = top(m);
    if (!st && !t)
        st = cv_pickle_bad(m, "a state for nothing");
    if (!st && t->kind == CV_OBJECT)
        t->u.object.state = state;
    return st;
}

static ken_status op_binpersid(machine *m)
{
    uint32_t id = 0;
    ken_status st = pop(m, &id);
    return st ? st : cv_pickle_push_new(m, (cv_node){ .kind = CV_REF, .u.ref = id });
}

static ken_status op_persid(machine *m)
{
    ken_status st = cv_op_unicode(m);
    return st ? st : op_binpersid(m);
}

/* ---- running ---- */

static ken_status op_proto(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 1, &v);
    return st || v <= 5 ? st : cv_pickle_bad(m, "a protocol newer than 5");
}

static ken_status op_frame(machine *m)
{
    uint64_t n;
    return cv_pickle_take_number(m, 8, &n); /* only a hint for readers that stream */
}

static const op_fn ops[256] = {
    ['('] = op_mark,       ['0'] = op_pop,         ['1'] = op_pop_mark,      ['2'] = op_dup,
    ['F'] = cv_op_float,   ['G'] = cv_op_binfloat, ['I'] = cv_op_int,        ['J'] = cv_op_binint,
    ['K'] = cv_op_binint1, ['L'] = cv_op_int,      ['M'] = cv_op_binint2,    ['N'] = cv_op_none,
    ['P'] = op_persid,     ['Q'] = op_binpersid,   ['R'] = op_reduce,        ['S'] = cv_op_string,
    ['T'] = cv_op_text4,   ['U'] = cv_op_text1,    ['V'] = cv_op_unicode,    ['X'] = cv_op_text4,
    ['B'] = cv_op_text4,   ['C'] = cv_op_text1,    ['a'] = op_append,        ['b'] = op_build,
    ['c'] = op_global,     ['d'] = op_dict,        ['e'] = op_appends,       ['g'] = op_get,
    ['h'] = op_binget,     ['i'] = op_inst,        ['j'] = op_long_binget,   ['l'] = op_list,
    ['o'] = op_obj,        ['p'] = op_put,         ['q'] = op_binput,        ['r'] = op_long_binput,
    ['s'] = op_setitem,    ['t'] = op_tuple,       ['u'] = op_setitems,      ['}'] = op_empty_dict,
    [']'] = op_empty_list, [')'] = op_empty_tuple, [0x80] = op_proto,        [0x81] = op_reduce,
    [0x85] = op_tuple1,    [0x86] = op_tuple2,     [0x87] = op_tuple3,       [0x88] = cv_op_true,
    [0x89] = cv_op_false,  [0x8a] = cv_op_long1,   [0x8b] = cv_op_long4,     [0x8c] = cv_op_text1,
    [0x8d] = cv_op_text8,  [0x8e] = cv_op_text8,   [0x8f] = op_empty_list,   [0x90] = op_appends,
    [0x91] = op_list,      [0x92] = op_newobj_ex,  [0x93] = op_stack_global, [0x94] = op_memoize,
    [0x95] = op_frame,     [0x96] = cv_op_text8,
};

static ken_status run(machine *m)
{
    ken_status st = KEN_OK;
    while (!st) {
        m->op_at = m->at;
        if (m->at == m->len)
            return cv_pickle_bad(m, "cut off");
        const unsigned char op = m->bytes[m->at++];
        if (op == '.')
            return pop(m, &m->p->root);
        if (!ops[op])
            return kn_fail(KEN_E_FORMAT, "pickle: byte %zu: unknown opcode %02x", m->op_at, op);
        st = ops[op](m);
    }
    return st;
}

ken_status cv_pickle_read(cv_pickle *out, const void *bytes, size_t len)
{
    cv_pickle p = { 0 };
    machine m = { .p = &p, .bytes = bytes, .len = len };
    uint32_t none;
    ken_status st = new_node(&m, &(cv_node){ .kind = CV_NONE }, &none);
    if (!st)
        st = run(&m);
    kn_free(m.stack);
    kn_free(m.memo);
    p.used = m.at;
    if (st) {
        cv_pickle_free(&p);
        return st;
    }
    *out = p;
    return KEN_OK;
}

void cv_pickle_free(cv_pickle *p)
{
    for (size_t i = 0; i < p->len; i++) {
        const cv_kind k = p->nodes[i].kind;
        if (k == CV_TUPLE || k == CV_LIST || k == CV_DICT)
            kn_free(p->nodes[i].u.items);
    }
    kn_free(p->nodes);
    *p = (cv_pickle){ 0 };
}

int cv_is_text(const cv_pickle *p, uint32_t node, const char *s)
{
    const cv_node *n = &p->nodes[node];
    return n->kind == CV_TEXT && n->u.text.n == strlen(s) && !memcmp(n->u.text.s, s, n->u.text.n);
}

int cv_is_global(const cv_pickle *p, uint32_t node, const char *module, const char *name)
{
    const cv_node *n = &p->nodes[node];
    return n->kind == CV_GLOBAL && n->u.global.module_len == strlen(module) &&
           n->u.global.name_len == strlen(name) &&
           !memcmp(n->u.global.module, module, n->u.global.module_len) &&
           !memcmp(n->u.global.name, name, n->u.global.name_len);
}
