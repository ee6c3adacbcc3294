/*
 * where.c - reads an expression and holds items against it.
 *
 * The parser is a recursive descent whose depth is limited; it leaves a tree of nodes in one array.
 * Values are read once, as whatever their key can be compared with.
 */
#include "engine/where_tree.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_DEPTH = 64, MAX_LENGTH = 1 << 16 };

const kn_where_name kn_where_names[] = {
    { "path", KN_KEY_OF_PATH, KN_TYPE_TEXT },     { "name", KN_KEY_OF_NAME, KN_TYPE_TEXT },
    { "dir", KN_KEY_OF_DIR, KN_TYPE_TEXT },       { "ext", KN_KEY_OF_EXT, KN_TYPE_TEXT },
    { "kind", KN_KEY_OF_KIND, KN_TYPE_TEXT },     { "object", KN_KEY_OF_OBJECT, KN_TYPE_TEXT },
    { "id", KN_KEY_OF_ID, KN_TYPE_NUMBER },       { "bytes", KN_KEY_OF_BYTES, KN_TYPE_NUMBER },
    { "size", KN_KEY_OF_BYTES, KN_TYPE_NUMBER },  { "width", KN_KEY_OF_WIDTH, KN_TYPE_NUMBER },
    { "w", KN_KEY_OF_WIDTH, KN_TYPE_NUMBER },     { "height", KN_KEY_OF_HEIGHT, KN_TYPE_NUMBER },
    { "h", KN_KEY_OF_HEIGHT, KN_TYPE_NUMBER },    { "mtime", KN_KEY_OF_MTIME, KN_TYPE_TIME },
    { "added", KN_KEY_OF_ADDED, KN_TYPE_TIME },   { "taken", KN_KEY_OF_TAKEN, KN_TYPE_TIME },
    { "description", KN_KEY_OF_META, KN_TYPE_ANY },
    { "tag", KN_KEY_OF_META, KN_TYPE_ANY },
    { NULL, KN_KEY_OF_PATH, KN_TYPE_TEXT },
};

typedef struct parser {
    const char *start, *at;
    kn_where *f;
    size_t node_cap, value_cap;
    int depth;
} parser;

/* ---- errors and tokens ---- */

static size_t column(const parser *p, const char *at)
{
    size_t n = 1;
    for (const char *s = p->start; s < at; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static ken_status wrong(const parser *p, const char *at, const char *expected)
{
    if (!*at)
        return kn_fail(KEN_E_INVALID, "column %zu: expected %s, but there it ends", column(p, at), expected);
    return kn_fail(KEN_E_INVALID, "column %zu: expected %s, not \"%.12s\"", column(p, at), expected, at);
}

static void skip_space(parser *p)
{
    while (*p->at && strchr(" \t\r\n", *p->at))
        p->at++;
}

static int ends_word(char c)
{
    return !c || strchr(" \t\r\n(),\"'", c);
}

/* Take `word`, which stands alone, in any case. */
static int take_word(parser *p, const char *word)
{
    const size_t n = strlen(word);
    skip_space(p);
    if (strncasecmp(p->at, word, n) || !ends_word(p->at[n]))
        return 0;
    p->at += n;
    return 1;
}

static int take(parser *p, char c)
{
    skip_space(p);
    if (*p->at != c)
        return 0;
    p->at++;
    return 1;
}

/* ---- nodes and values ---- */

static ken_status new_node(parser *p, kn_where_node node, uint32_t *out)
{
    kn_where_node *list = kn_room(p->f->nodes, p->f->n, &p->node_cap, sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    p->f->nodes = list;
    list[p->f->n] = node;
    *out = (uint32_t)p->f->n++;
    return KEN_OK;
}

/* 12, 2.5M, 64KiB. */
static int read_number(const char *text, double *out)
{
    static const struct {
        const char *unit;
        double times;
    } units[] = { { "", 1 },     { "k", 1e3 },      { "M", 1e6 },        { "G", 1e9 },
                  { "kB", 1e3 }, { "MB", 1e6 },     { "GB", 1e9 },       { "KiB", 1024 },
                  { "K", 1e3 },  { "MiB", 1 << 20 }, { "GiB", 1 << 30 } };
    char *end;
    if (!strchr("+-.0123456789", *text) || (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')))
        return 0;
    *out = strtod(text, &end);
    for (size_t i = 0; end > text && i < sizeof units / sizeof *units; i++)
        if (!strcmp(end, units[i].unit)) {
            *out *= units[i].times;
            return isfinite(*out);
        }
    return 0;
}

/* The text of a quoted value, without its backslashes; at is behind the opening quote. */
static ken_status read_quoted(parser *p, char quote, char **out)
{
    const char *open = p->at - 1;
    const size_t room = strlen(p->at) + 1;
    char *text = kn_alloc(room, 1);
    size_t n = 0;
    if (!text)
        return KEN_E_NOMEM;
    while (*p->at && *p->at != quote) {
        p->at += *p->at == '\\' && (p->at[1] == quote || p->at[1] == '\\');
        text[n++] = *p->at++;
    }
    text[n] = 0;
    if (!*p->at) {
        kn_free(text);
        return kn_fail(KEN_E_INVALID, "column %zu: this quote is not closed", column(p, open));
    }
    p->at++;
    *out = text;
    return KEN_OK;
}

static ken_status read_text(parser *p, char **out)
{
    static const char *const words[] = { "and", "or", "not", "in" };
    skip_space(p);
    if (*p->at == '"' || *p->at == '\'') {
        const char quote = *p->at++;
        return read_quoted(p, quote, out);
    }
    const char *from = p->at;
    while (!ends_word(*p->at))
        p->at++;
    const size_t n = (size_t)(p->at - from);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (n == strlen(words[i]) && !strncasecmp(from, words[i], n))
            return kn_fail(KEN_E_INVALID, "column %zu: expected a value; the word \"%s\" goes into quotes",
                           column(p, from), words[i]);
    if (!n)
        return wrong(p, from, "a value");
    return (*out = kn_strndup(from, n)) ? KEN_OK : KEN_E_NOMEM;
}

static ken_status check_value(const parser *p, const kn_where_node *node, const kn_where_value *v,
                              const char *at)
{
    if (node->type == KN_TYPE_NUMBER && !v->has_number)
        return wrong(p, at, "a number, such as 300, 10k or 2MiB");
    if (node->type == KN_TYPE_TIME && !v->has_time)
        return wrong(p, at, "a time, such as 2024, 2024-05-17 or 2024-05-17T14:30");
    return KEN_OK;
}

/* A value as the test's key wants it; paths of = become absolute. */
static ken_status read_value(parser *p, kn_where_node *node)
{
    skip_space(p);
    const char *at = p->at;
    kn_where_value v = { 0 };
    kn_where_value *list = kn_room(p->f->values, p->f->n_values, &p->value_cap, sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    p->f->values = list;
    ken_status st = read_text(p, &v.text);
    if (st)
        return st;
    v.has_number = read_number(v.text, &v.number);
    v.has_time = kn_time_span(v.text, &v.from, &v.to);
    list[p->f->n_values++] = v; /* now the filter's */
    node->n_values++;
    st = check_value(p, node, &v, at);
    if (!st && (node->key == KN_KEY_OF_PATH || node->key == KN_KEY_OF_DIR) && node->op != KN_OP_LIKE) {
        char *full = NULL;
        st = kn_path_absolute(&full, v.text);
        if (!st) {
            kn_free(v.text);
            list[p->f->n_values - 1].text = full;
        }
    }
    return st;
}

/* ---- tests ---- */

static ken_status unknown_key(const parser *p, const char *key, size_t n)
{
    return kn_fail(KEN_E_INVALID,
                   "column %zu: no key \"%.*s\"; there are path name dir ext kind object id bytes width "
                   "height mtime added taken description tag and meta.KEY",
                   column(p, key), (int)(n < 40 ? n : 40), key);
}

static ken_status read_key(parser *p, kn_where_node *node)
{
    const char *key = p->at;
    while (!ends_word(*p->at) && !strchr("=!<>~", *p->at))
        p->at++;
    const size_t n = (size_t)(p->at - key);
    const kn_where_name *known = kn_where_names;
    if (!n)
        return wrong(p, key, "a key");
    while (known->name && (strlen(known->name) != n || strncasecmp(known->name, key, n)))
        known++;
    node->key = known->key;
    node->type = known->type;
    p->f->meta |= node->key == KN_KEY_OF_META || node->key == KN_KEY_OF_TAKEN;
    if (known->name && node->key != KN_KEY_OF_META)
        return KEN_OK;
    if (known->name) {
        node->member = kn_strdup(*key == 't' || *key == 'T' ? "tags" : "description");
        return node->member ? KEN_OK : KEN_E_NOMEM;
    }
    if (n <= 5 || strncasecmp(key, "meta.", 5) || key[n - 1] == '.')
        return unknown_key(p, key, n);
    node->key = KN_KEY_OF_META;
    node->type = KN_TYPE_ANY;
    p->f->meta = 1;
    return (node->member = kn_strndup(key + 5, n - 5)) ? KEN_OK : KEN_E_NOMEM;
}

static int read_op(parser *p, kn_op *op, int *negated)
{
    static const struct {
        const char *sign;
        kn_op op;
        int negated;
    } ops[] = { { "==", KN_OP_EQUAL, 0 },   { "=", KN_OP_EQUAL, 0 },  { "!=", KN_OP_EQUAL, 1 },
                { "<=", KN_OP_AT_MOST, 0 }, { "<", KN_OP_LESS, 0 },   { ">=", KN_OP_AT_LEAST, 0 },
                { ">", KN_OP_MORE, 0 },     { "!~", KN_OP_LIKE, 1 },  { "~", KN_OP_LIKE, 0 } };
    skip_space(p);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (!strncmp(p->at, ops[i].sign, strlen(ops[i].sign))) {
            p->at += strlen(ops[i].sign);
            *op = ops[i].op;
            *negated = ops[i].negated;
            return 1;
        }
    return 0;
}

/* Behind "in". */
static ken_status read_list(parser *p, kn_where_node *node)
{
    if (!take(p, '('))
        return wrong(p, p->at, "'(' behind in");
    node->op = KN_OP_EQUAL;
    ken_status st = read_value(p, node);
    while (!st && take(p, ','))
        st = read_value(p, node);
    if (!st && !take(p, ')'))
        st = wrong(p, p->at, "',' or ')'");
    return st;
}

static ken_status read_rest(parser *p, kn_where_node *node, int *negated)
{
    if (read_op(p, &node->op, negated)) {
        if (node->op == KN_OP_LIKE && (node->type == KN_TYPE_NUMBER || node->type == KN_TYPE_TIME))
            return kn_fail(KEN_E_INVALID, "column %zu: ~ is for texts", column(p, p->at - 1));
        return read_value(p, node);
    }
    const char *before = p->at;
    *negated = take_word(p, "not");
    if (take_word(p, "in"))
        return read_list(p, node);
    p->at = before;
    *negated = 0;
    node->op = KN_OP_THERE;
    if (node->type == KN_TYPE_ANY || node->key == KN_KEY_OF_OBJECT)
        return KEN_OK;
    skip_space(p);
    return wrong(p, p->at, "one of = != < <= > >= ~ !~ in");
}

static ken_status read_test(parser *p, uint32_t *out)
{
    int negated = 0;
    uint32_t inner;
    kn_where_node node = { .what = KN_NODE_TEST, .first_value = (uint32_t)p->f->n_values };
    ken_status st = read_key(p, &node);
    if (!st)
        st = read_rest(p, &node, &negated);
    if (!st)
        st = new_node(p, node, &inner);
    if (st) {
        kn_free(node.member);
        return st;
    }
    if (negated)
        return new_node(p, (kn_where_node){ .what = KN_NODE_NOT, .left = inner }, out);
    *out = inner;
    return KEN_OK;
}

/* ---- the language ---- */

static ken_status read_any(parser *p, uint32_t *out);

static ken_status read_not(parser *p, uint32_t *out)
{
    uint32_t inner = 0;
    ken_status st;
    skip_space(p);
    const char *at = p->at;
    if (++p->depth > MAX_DEPTH)
        return kn_fail(KEN_E_INVALID, "column %zu: more than %d levels", column(p, at), MAX_DEPTH);
    if (take_word(p, "not")) {
        st = read_not(p, &inner);
        if (!st)
            st = new_node(p, (kn_where_node){ .what = KN_NODE_NOT, .left = inner }, out);
    } else if (take(p, '(')) {
        st = read_any(p, out);
        if (!st && !take(p, ')'))
            st = *p->at ? wrong(p, p->at, "and, or, ')'")
                        : kn_fail(KEN_E_INVALID, "column %zu: this '(' is not closed", column(p, at));
    } else {
        st = read_test(p, out);
    }
    p->depth--;
    return st;
}

static ken_status read_both(parser *p, uint32_t *out)
{
    uint32_t right;
    ken_status st = read_not(p, out);
    while (!st && take_word(p, "and")) {
        st = read_not(p, &right);
        if (!st)
            st = new_node(p, (kn_where_node){ .what = KN_NODE_AND, .left = *out, .right = right }, out);
    }
    return st;
}

static ken_status read_any(parser *p, uint32_t *out)
{
    uint32_t right;
    ken_status st = read_both(p, out);
    while (!st && take_word(p, "or")) {
        st = read_both(p, &right);
        if (!st)
            st = new_node(p, (kn_where_node){ .what = KN_NODE_OR, .left = *out, .right = right }, out);
    }
    return st;
}

ken_status kn_where_parse(kn_where **out, const char *expr)
{
    if (strlen(expr) > MAX_LENGTH)
        return kn_fail(KEN_E_INVALID, "longer than %d bytes", MAX_LENGTH);
    parser p = { .start = expr, .at = expr, .f = kn_zalloc(1, sizeof *p.f) };
    if (!p.f)
        return KEN_E_NOMEM;
    ken_status st = read_any(&p, &p.f->root);
    skip_space(&p);
    if (!st && *p.at)
        st = wrong(&p, p.at, "and, or, or the end");
    if (st)
        kn_where_free(p.f);
    else
        *out = p.f;
    return st;
}

void kn_where_free(kn_where *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        kn_free(f->nodes[i].member);
    for (size_t i = 0; i < f->n_values; i++)
        kn_free(f->values[i].text);
    kn_free(f->nodes);
    kn_free(f->values);
    kn_free(f);
}
