/* ignore.c - see ignore.h. */
#include "engine/ignore.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/glob.h"

#include <limits.h>
#include <string.h>

enum { MAX_FILE = 1 << 20, MAX_PARTS = 512 };

typedef struct rule {
    char **parts; /* (n) of the pattern between '/', "**" among them */
    size_t n;
    int negated, dirs_only;
} rule;

typedef struct kn_ignore_level {
    size_t len;    /* of its folder's path */
    rule *rules;   /* (n) in the order of the file */
    size_t n, cap;
    char *text;    /* which the parts point into */
} level;

/* ---- matching ---- */

/* The parts of a path against those of a pattern.  Of several ** the last one met gives way. */
static int fits(const rule *r, char *const *names, size_t n)
{
    size_t i = 0, j = 0, star = SIZE_MAX, retry = 0;
    while (j < n) {
        if (i < r->n && !strcmp(r->parts[i], "**")) {
            if (i + 1 == r->n)
                return 1; /* whatever lies inside */
            star = i++;
            retry = j;
        } else if (i < r->n && kn_glob(r->parts[i], names[j])) {
            i++;
            j++;
        } else if (star != SIZE_MAX) {
            i = star + 1;
            j = ++retry;
        } else {
            return 0;
        }
    }
    return i == r->n;
}

/* 1: passed over, 0: taken back in, -1: the level says nothing. */
static int judge(const level *l, char *const *names, size_t n, int is_dir)
{
    for (size_t i = l->n; i-- > 0;)
        if ((is_dir || !l->rules[i].dirs_only) && fits(&l->rules[i], names, n))
            return !l->rules[i].negated;
    return -1;
}

/* ---- reading ---- */

/* Blanks at the end go, unless a backslash stands before them. */
static void trim(char *line)
{
    size_t n = strlen(line), keep = 0;
    for (size_t i = 0; i < n; i++) {
        if (line[i] == '\\' && i + 1 < n)
            i++;
        else if (line[i] == ' ' || line[i] == '\r')
            continue;
        keep = i + 1;
    }
    line[keep] = 0;
}

static ken_status split(rule *r, char *s, int anywhere)
{
    char *parts[MAX_PARTS + 1];
    static char any[] = "**";
    size_t n = 0;
    if (anywhere)
        parts[n++] = any;
    for (char *next = s; next && n < MAX_PARTS;) {
        s = next;
        next = strchr(s, '/');
        if (next)
            *next++ = 0;
        if (n && !strcmp(s, "**") && !strcmp(parts[n - 1], "**"))
            continue; /* one is as good as two */
        parts[n++] = s;
    }
    if (!(r->parts = kn_alloc(n, sizeof *r->parts)))
        return KEN_E_NOMEM;
    memcpy(r->parts, parts, n * sizeof *parts);
    r->n = n;
    return KEN_OK;
}

static ken_status read_line(level *l, char *line)
{
    rule r = { 0 };
    trim(line);
    if (!*line || *line == '#')
        return KEN_OK;
    r.negated = *line == '!';
    line += r.negated;
    size_t n = strlen(line);
    r.dirs_only = n && line[n - 1] == '/';
    if (r.dirs_only)
        line[--n] = 0;
    const int anywhere = !strchr(line, '/');
    line += *line == '/';
    if (!*line)
        return KEN_OK;
    rule *rules = kn_room(l->rules, l->n, &l->cap, sizeof *rules);
    if (!rules)
        return KEN_E_NOMEM;
    l->rules = rules;
    const ken_status st = split(&r, line, anywhere);
    if (!st)
        rules[l->n++] = r;
    return st;
}

static ken_status read_level(level *l, const char *dir)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    char *path = kn_path_join(*dir ? dir : "/", KN_IGNORE_FILE);
    if (!path)
        return KEN_E_NOMEM;
    ken_status st = kn_read_file(&bytes, &len, path, MAX_FILE);
    if (st && st != KEN_E_NOTFOUND)
        st = kn_fail_in(st, "%s", path);
    kn_free(path);
    if (st)
        return st == KEN_E_NOTFOUND ? KEN_OK : st;
    l->text = (char *)bytes;
    for (char *line = l->text, *end; !st && line && line < l->text + len; line = end + 1) {
        end = line + strcspn(line, "\n");
        *end = 0;
        st = read_line(l, line);
    }
    return st;
}

/* ---- where the walk is ---- */

static void release_level(level *l)
{
    for (size_t i = 0; i < l->n; i++)
        kn_free(l->rules[i].parts);
    kn_free(l->rules);
    kn_free(l->text);
}

/* Forget what does not lie on the way to the folder path[0..len). */
static void leave(kn_ignore *g, const char *path, size_t len)
{
    while (g->n) {
        const size_t at = g->levels[g->n - 1].len;
        if (at <= len && !memcmp(g->dir, path, at) && (at == len || path[at] == '/'))
            return;
        release_level(&g->levels[--g->n]);
    }
}

static ken_status enter(kn_ignore *g, const char *path, size_t len)
{
    level l = { .len = len }, *levels = kn_room(g->levels, g->n, &g->cap, sizeof *levels);
    char *dir = kn_strndup(path, len);
    if (levels)
        g->levels = levels;
    if (!levels || !dir) {
        kn_free(dir);
        return KEN_E_NOMEM;
    }
    const ken_status st = read_level(&l, dir);
    kn_free(g->dir);
    g->dir = dir;
    g->levels[g->n++] = l;
    return st;
}

static size_t root_len(const char *root)
{
    return strcmp(root, "/") ? strlen(root) : 0;
}

/* The rules of every folder from root to the one that path lies in. */
static ken_status go_to(kn_ignore *g, size_t root, const char *path, size_t parent)
{
    ken_status st = KEN_OK;
    leave(g, path, parent);
    if (g->n && g->levels[0].len != root)
        kn_ignore_release(g); /* of another root */
    if (!g->n)
        st = enter(g, path, root);
    for (size_t at = g->n ? g->levels[g->n - 1].len : 0; !st && at < parent;) {
        const char *slash = memchr(path + at + 1, '/', parent - at - 1);
        at = slash ? (size_t)(slash - path) : parent;
        st = enter(g, path, at);
    }
    return st;
}

/* The names below a folder, in a copy of the path. */
static size_t names_of(char *s, char **names)
{
    size_t n = 0;
    for (char *next = s; next && n < MAX_PARTS; n++) {
        names[n] = next;
        next = strchr(next, '/');
        if (next)
            *next++ = 0;
    }
    return n;
}

ken_status kn_ignored(kn_ignore *g, const char *root, const char *path, int is_dir, int *ignored)
{
    const char *slash = strrchr(path, '/');
    const size_t base = root_len(root), parent = slash ? (size_t)(slash - path) : 0;
    char *names[MAX_PARTS];
    *ignored = 0;
    if (strlen(path) <= base || parent < base)
        return KEN_OK;
    ken_status st = go_to(g, base, path, parent);
    int says = -1;
    char *copy = st ? NULL : kn_strdup(path + base + 1);
    if (!st && !copy)
        st = KEN_E_NOMEM;
    const size_t n = copy ? names_of(copy, names) : 0;
    /* a level is a folder deeper than the one before: it sees a name less */
    for (size_t i = g->n; !st && says < 0 && i-- > 0;)
        says = i < n ? judge(&g->levels[i], names + i, n - i, is_dir) : -1;
    *ignored = says > 0;
    kn_free(copy);
    return st;
}

ken_status kn_ignored_below(kn_ignore *g, const char *root, const char *path, int *ignored)
{
    ken_status st = KEN_OK;
    *ignored = 0;
    for (size_t at = root_len(root); !st && !*ignored && path[at];) {
        const char *slash = strchr(path + at + 1, '/');
        at = slash ? (size_t)(slash - path) : strlen(path);
        char *part = kn_strndup(path, at);
        st = part ? kn_ignored(g, root, part, slash != NULL, ignored) : KEN_E_NOMEM;
        kn_free(part);
    }
    return st;
}

void kn_ignore_release(kn_ignore *g)
{
    while (g->n)
        release_level(&g->levels[--g->n]);
    kn_free(g->levels);
    kn_free(g->dir);
    *g = (kn_ignore){ 0 };
}
