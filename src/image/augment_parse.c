/* augment_parse.c - operations from text: one table of what each takes. */
#include "image/augment.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 4 };

typedef struct value {
    float low, high;   /* by default */
    float least, most; /* that make sense */
    int range;         /* LOW-HIGH, or one number for both; else one number */
} value;

typedef struct entry {
    const char *name;
    float chance;
    int leads;  /* the first value written is the chance */
    int values; /* besides */
    value v[MAX_VALUES];
} entry;

static const entry table[KN_AUG_OPS] = {
    [KN_AUG_PART] = { "part", 0.3f, 1, 0, { { 0 } } },
    [KN_AUG_CROP] = { "crop",
                      1,
                      0,
                      2,
                      { { 0.08f, 1, 0.001f, 1, 1 }, { 0.75f, 4.0f / 3, 0.05f, 20, 1 } } },
    [KN_AUG_FLIP] = { "flip", 0.5f, 1, 0, { { 0 } } },
    [KN_AUG_ROTATE] = { "rotate", 1, 0, 1, { { 10, 10, 0, 180, 0 } } },
    [KN_AUG_AFFINE] = { "affine",
                        1,
                        0,
                        4,
                        { { 10, 10, 0, 180, 0 },
                          { 0.1f, 0.1f, 0, 1, 0 },
                          { 0.8f, 1.2f, 0.1f, 10, 1 },
                          { 10, 10, 0, 60, 0 } } },
    [KN_AUG_OCCLUDE] = { "occlude", 0.3f, 1, 1, { { 0.1f, 0.4f, 0, 0.9f, 1 } } },
    [KN_AUG_LIGHT] = { "light", 1, 0, 1, { { 0.3f, 0.3f, 0, 1, 0 } } },
    [KN_AUG_GAMMA] = { "gamma", 1, 0, 1, { { 0.3f, 0.3f, 0, 2, 0 } } },
    [KN_AUG_COLOR] = { "color",
                       1,
                       0,
                       4,
                       { { 0.4f, 0.4f, 0, 1, 0 },
                         { 0.4f, 0.4f, 0, 1, 0 },
                         { 0.4f, 0.4f, 0, 1, 0 },
                         { 0, 0, 0, 0.5f, 0 } } },
    [KN_AUG_GRAY] = { "gray", 0.2f, 1, 0, { { 0 } } },
    [KN_AUG_BLUR] = { "blur", 0.1f, 1, 1, { { 0.1f, 2, 0, 20, 1 } } },
    [KN_AUG_NOISE] = { "noise", 1, 0, 1, { { 0.03f, 0.03f, 0, 0.5f, 0 } } },
    [KN_AUG_JPEG] = { "jpeg", 0.5f, 0, 1, { { 30, 95, 1, 100, 1 } } },
    [KN_AUG_CUTOUT] = { "cutout", 0.5f, 1, 1, { { 0.02f, 0.33f, 0, 0.9f, 1 } } },
};

/* omniglot: the affine changes of the measured probe (28 pixels: 2 to each side).  grocery: the
 * recipe of the classifier's yardstick.  toys: what the renderer does not vary itself. */
static const struct {
    const char *name, *text;
} presets[] = {
    { "none", "" },
    { "omniglot", "affine:10/.07/.8-1.2/17" },
    { "grocery", "crop:.3-1,flip,color:.4/.4/.2" },
    { "toys", "part:.15,crop:.3-1,flip,rotate:10,occlude:.2,light:.3,gamma:.2,color:.2/.2/.2/.02,"
              "blur:.1,noise:.02@.3,jpeg@.2" },
};

const char *kn_augment_preset(const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (!strcmp(name, presets[i].name))
            return presets[i].text;
    return NULL;
}

/* ---- one operation: NAME[:VALUE[/VALUE…]][@CHANCE], cut at its marks ---- */

static ken_status number(float *out, const char *text, const char *whole)
{
    char *end;
    *out = strtof(text, &end);
    if (end == text || *end || !isfinite(*out) || strspn(text, "0123456789.eE+") != strlen(text))
        return kn_fail(KEN_E_INVALID, "augment '%s': '%s' is not a number", whole, text);
    return KEN_OK;
}

static ken_status chance(float *out, const char *text, const char *whole)
{
    const ken_status st = number(out, text, whole);
    if (st || (*out >= 0 && *out <= 1))
        return st;
    return kn_fail(KEN_E_INVALID, "augment '%s': a chance is from 0 to 1", whole);
}

static ken_status one_value(float out[2], char *text, const value *v, const char *whole)
{
    char *dash = strchr(text, '-');
    ken_status st = KEN_OK;
    if (dash && !v->range)
        return kn_fail(KEN_E_INVALID, "augment '%s': '%s' is one number, not a range", whole, text);
    if (dash)
        *dash = '\0';
    st = number(&out[0], text, whole);
    out[1] = out[0];
    if (!st && dash)
        st = number(&out[1], dash + 1, whole);
    if (st)
        return st;
    if (out[0] < v->least || out[1] > v->most || out[0] > out[1])
        return kn_fail(KEN_E_INVALID, "augment '%s': from %g to %g%s", whole, (double)v->least,
                       (double)v->most, v->range ? ", the lower first" : "");
    return KEN_OK;
}

static ken_status values(kn_augment *a, kn_augment_op op, char *text, const char *whole)
{
    const entry *e = &table[op];
    int at = e->leads ? -1 : 0; /* -1: the chance */
    while (text) {
        char *slash = strchr(text, '/');
        ken_status st;
        if (slash)
            *slash = '\0';
        if (at >= e->values)
            return kn_fail(KEN_E_INVALID, "augment '%s': at most %d values", whole,
                           e->values + e->leads);
        st = at < 0 ? chance(&a->op[op].chance, text, whole)
                    : one_value(a->op[op].v[at], text, &e->v[at], whole);
        if (st)
            return st;
        at++;
        text = slash ? slash + 1 : NULL;
    }
    return KEN_OK;
}

static void defaults(kn_augment *a, kn_augment_op op)
{
    a->op[op].chance = table[op].chance;
    for (int i = 0; i < MAX_VALUES; i++) {
        a->op[op].v[i][0] = table[op].v[i].low;
        a->op[op].v[i][1] = table[op].v[i].high;
    }
}

static ken_status named(kn_augment_op *op, const char *name, const char *whole)
{
    char all[256] = "";
    for (int i = 0; i < KN_AUG_OPS; i++)
        if (!strcmp(name, table[i].name)) {
            *op = (kn_augment_op)i;
            return KEN_OK;
        }
    for (size_t i = 0, n = 0; i < KN_AUG_OPS; i++)
        n += (size_t)snprintf(all + n, sizeof all - n, " %s", table[i].name);
    return kn_fail(KEN_E_INVALID,
                   "augment '%s': there are%s, and presets none omniglot grocery toys", whole, all);
}

static ken_status operation(kn_augment *a, char *text, const char *whole)
{
    char *at = strchr(text, '@'), *colon = strchr(text, ':');
    kn_augment_op op = KN_AUG_OPS;
    if (at)
        *at = '\0';
    if (colon && at && colon > at)
        return kn_fail(KEN_E_INVALID, "augment '%s': values stand before @", whole);
    if (colon)
        *colon = '\0';
    ken_status st = named(&op, text, whole);
    if (st)
        return st;
    defaults(a, op);
    st = colon ? values(a, op, colon + 1, whole) : KEN_OK;
    return st || !at ? st : chance(&a->op[op].chance, at + 1, whole);
}

static ken_status parse_into(kn_augment *a, const char *text)
{
    char part[96], copy[96];
    while (*text) {
        const size_t n = strcspn(text, ",");
        if (n >= sizeof part)
            return kn_fail(KEN_E_INVALID, "augment '%.40s…': too long", text);
        memcpy(part, text, n);
        part[n] = '\0';
        memcpy(copy, part, n + 1);
        const char *preset = kn_augment_preset(part);
        const ken_status st = preset ? parse_into(a, preset) : operation(a, copy, part);
        if (st)
            return st;
        text += n;
        if (*text && !*++text)
            return kn_fail(KEN_E_INVALID, "augment '%s,': a comma at the end", part);
    }
    return KEN_OK;
}

ken_status kn_augment_parse(kn_augment *out, const char *text)
{
    kn_augment a = { 0 };
    const ken_status st = parse_into(&a, text);
    if (!st)
        *out = a;
    return st;
}
