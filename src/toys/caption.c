/*
 * caption.c - sentences about a toy, English and Chinese, from the same attributes.
 *
 * A variant decides which attributes are told, in which words and in which order; both languages
 * tell the same ones.  Every choice has its own place in the sequence of random numbers (chance()),
 * so that a wrong attribute changes its own words and no others.
 */
#include "toys/tell.h"

#include "base/rand.h"

#include <stdio.h>
#include <string.h>

enum { STREAM_CAPTION = 0x63617074, PHRASE = 96, PHRASES = 16 };

/* Numbers of the choices. */
enum {
    C_HOW_MANY,
    C_FRAME,
    C_KEYWORDS,
    C_TOY,
    C_TOY_ZH,
    C_COUNT_ZH,
    C_PATTERN_FIRST,
    C_PATTERN_NOUN,
    C_GROUPS,
    C_WEARING,
    C_WEAR_FIRST_ZH,
    C_WITH_FIRST_ZH,
    C_LIGHT_FIRST_ZH,
    C_VIEW_FORM,
    C_VERB_ZH,
    C_WRONG,
    C_WRONG_BY,
    C_WORD = 100, /* of attribute i: C_WORD + i, + KN_TELLS in Chinese, + 2 KN_TELLS its colour … */
    C_RANK = 200 /* of attribute i among those told, and its place in the sentence */
};

typedef struct scribe {
    const kn_toy *t;
    const kn_toy_view *v;
    uint32_t variant;
    uint8_t told[KN_TELLS];
    int noun_pattern; /* "with white stripes" instead of "striped" */
    int keywords;     /* no sentence: "striped brown bear, pink bow tie" */
} scribe;

static float chance(const scribe *s, uint64_t which)
{
    kn_rand r = { s->t->id, (uint64_t)STREAM_CAPTION << 32 | s->variant, which };
    return kn_rand_float(&r);
}

static int32_t one_of(const scribe *s, uint64_t which, int32_t n)
{
    return (int32_t)(chance(s, which) * (float)n);
}

/* ---- what is told ---- */

/* All, or the species and up to five more; the coat's colour nearly always. */
static void choose(scribe *s)
{
    static const uint8_t how_many[20] = {
        0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 5
    };
    float rank[KN_TELLS];
    int left = s->variant ? how_many[one_of(s, C_HOW_MANY, 20)] : KN_TELLS;
    for (int i = 0; i < KN_TELLS; i++)
        rank[i] = kn_tell_there(s->t, s->v, (kn_tell)i) ? chance(s, C_RANK + (uint64_t)i) : 2;
    s->told[KN_TELL_SPECIES] = 1;
    s->told[KN_TELL_COLOR] = !s->variant || rank[KN_TELL_COLOR] < .93f;
    rank[KN_TELL_SPECIES] = rank[KN_TELL_COLOR] = 2;
    for (; left > 0; left--) {
        int best = 0;
        for (int i = 1; i < KN_TELLS; i++)
            best = rank[i] < rank[best] ? i : best;
        if (rank[best] > 1)
            return;
        s->told[best] = 1;
        rank[best] = 2;
        if (best == KN_TELL_SECOND) /* "brown and white" says more with "striped" beside it */
            s->told[KN_TELL_PATTERN] = s->told[KN_TELL_COLOR] = 1;
    }
}

/* A value of 0 .. n-1 other than old and the two to avoid (-1: none). */
static int32_t another(const scribe *s, int32_t old, int32_t avoid, int32_t avoid2, int32_t n)
{
    int32_t v = (old + 1 + one_of(s, C_WRONG_BY, n - 1)) % n;
    while (v == old || v == avoid || v == avoid2)
        v = (v + 1) % n;
    return v;
}

/* Put `what` wrong in t.  Words that some would call right are kept apart: a paler or darker name of
 * the same colour, a bow instead of a bow tie. */
static void falsify(const scribe *s, kn_toy *t, kn_tell what)
{
    const int slot = kn_tell_color(t, what);
    int32_t *kind = what == KN_TELL_SPECIES   ? &t->species
                    : what == KN_TELL_PATTERN ? &t->pattern
                    : what == KN_TELL_EARS    ? &t->ear
                    : what == KN_TELL_WORN    ? &t->wear
                    : what == KN_TELL_EMBLEM  ? &t->emblem
                                              : NULL;
    if (what == KN_TELL_PATTERN && s->told[KN_TELL_SECOND]) { /* plain has no second colour */
        t->pattern = 1 + another(s, t->pattern - 1, -1, -1, KN_TOY_PATTERNS - 1);
    } else if (what == KN_TELL_WORN && one_of(s, C_WRONG, 1000) % 2) {
        t->wear = 1 + another(s, t->wear - 1, -1, -1, KN_TOY_WEARS - 1);
    } else if (what == KN_TELL_EMBLEM && one_of(s, C_WRONG, 1000) % 2) {
        t->emblem = 1 + another(s, t->emblem - 1, -1, -1, KN_TOY_EMBLEMS - 1);
    } else if (what == KN_TELL_CLOTHES) {
        t->cloth = t->cloth == KN_TOY_SHIRT ? KN_TOY_TROUSERS : KN_TOY_SHIRT;
    } else if (what == KN_TELL_FABRIC) {
        t->fabric = t->fabric == KN_TOY_KNIT ? KN_TOY_LONG_FUR : KN_TOY_KNIT;
    } else if (what == KN_TELL_EYES) {
        t->eyes = 3 - t->eyes;
    } else if (slot >= 0) {
        const int32_t old = t->name[slot], near = old == 0 ? 1 : old == 1 ? 0 : -1; /* brown, tan */
        t->name[slot] =
            another(s, old, near, slot < 2 ? t->name[1 - slot] : -1, KN_TOY_COLOR_NAMES);
    } else if (kind) {
        const int32_t n = what == KN_TELL_SPECIES   ? KN_TOY_SPECIES
                          : what == KN_TELL_PATTERN ? KN_TOY_PATTERNS
                                                    : KN_TOY_EARS;
        *kind = another(s, *kind, -1, -1, n);
    }
}

/* ---- words ---- */

typedef struct line {
    char *at;
    size_t len, room;
} line;

static void put(line *l, const char *s)
{
    const size_t n = strlen(s);
    if (l->len + n < l->room) {
        memcpy(l->at + l->len, s, n + 1);
        l->len += n;
    }
}

static const char *en_of(const scribe *s, const kn_word *w, uint64_t which)
{
    return w->en[chance(s, C_WORD + which) > .75f];
}

static const char *zh_of(const scribe *s, const kn_word *w, uint64_t which)
{
    return w->zh[chance(s, C_WORD + KN_TELLS + which) > .75f];
}

static const char *color_en(const scribe *s, kn_tell what)
{
    return en_of(s, kn_word_color(s->t->name[kn_tell_color(s->t, what)]), 2 * KN_TELLS);
}

static const char *color_zh(const scribe *s, kn_tell what)
{
    return zh_of(s, kn_word_color(s->t->name[kn_tell_color(s->t, what)]), 2 * KN_TELLS);
}

static const char *article(const char *word)
{
    return strchr("aeiou", word[0]) ? "an " : "a ";
}

typedef struct phrases {
    char text[PHRASES][PHRASE];
    int n;
} phrases;

static char *next(phrases *p)
{
    return p->text[p->n < PHRASES - 1 ? p->n++ : p->n];
}

/* "white stripes": patterns that have a noun. */
static const kn_word *pattern_noun(const kn_toy *t)
{
    static const kn_word nouns[KN_TOY_PATTERNS] = {
        [KN_TOY_SPOTS] = { { "spots", "blotches" }, { "斑点", "花斑" } },
        [KN_TOY_STRIPES] = { { "stripes", "stripes" }, { "条纹", "条纹" } },
        [KN_TOY_PATCHWORK] = { { "patches", "patches" }, { "布块", "补丁" } },
        [KN_TOY_RINGS] = { { "rings", "rings" }, { "圆环", "环纹" } },
        [KN_TOY_CHECKS] = { { "checks", "checks" }, { "格子", "格纹" } },
    };
    return nouns[t->pattern].en[0] ? &nouns[t->pattern] : NULL;
}

/* ---- English ---- */

static int plural(const kn_toy *t, kn_tell what)
{
    return (what == KN_TELL_WORN && t->wear == KN_TOY_GLASSES) ||
           (what == KN_TELL_CLOTHES && t->cloth == KN_TOY_TROUSERS) || what == KN_TELL_LIMBS ||
           what == KN_TELL_FEET;
}

/* "a pink bow tie", "round ears" … */
static void thing_en(const scribe *s, kn_tell what, phrases *out)
{
    const kn_toy *t = s->t;
    if (what == KN_TELL_PATTERN) {
        snprintf(next(out), PHRASE, "%s %s", color_en(s, KN_TELL_SECOND),
                 en_of(s, pattern_noun(t), what));
        return;
    }
    const char *word = en_of(s, kn_tell_word(t, what), what);
    if (what == KN_TELL_EARS || what == KN_TELL_EYES) {
        snprintf(next(out), PHRASE, "%s", word);
        return;
    }
    const char *color = color_en(s, what);
    snprintf(next(out), PHRASE, "%s%s %s%s", plural(t, what) || s->keywords ? "" : article(color),
             color, word, what == KN_TELL_EMBLEM && !s->keywords ? " on its chest" : "");
}

/* "striped brown and white plush bear" */
static void noun_en(const scribe *s, line *l)
{
    static const char *const toys[20] = {
        "",       "",       "",       "",          "",         "",         "",
        "toy ",   "toy ",   "toy ",   "stuffed ",  "stuffed ", "stuffed ", "plush ",
        "plush ", "plush ", "plush ", "soft toy ", "soft ",    "cuddly "
    };
    const int adjective = s->told[KN_TELL_PATTERN] && !s->noun_pattern,
              first = chance(s, C_PATTERN_FIRST) < .65f;
    const char *pattern = en_of(s, kn_tell_word(s->t, KN_TELL_PATTERN), KN_TELL_PATTERN);
    if (s->told[KN_TELL_FABRIC]) {
        put(l, en_of(s, kn_tell_word(s->t, KN_TELL_FABRIC), KN_TELL_FABRIC));
        put(l, " ");
    }
    if (adjective && first) {
        put(l, pattern);
        put(l, " ");
    }
    if (s->told[KN_TELL_COLOR]) {
        put(l, color_en(s, KN_TELL_COLOR));
        put(l, " ");
    }
    if (s->told[KN_TELL_SECOND] && !s->noun_pattern) {
        put(l, "and ");
        put(l, color_en(s, KN_TELL_SECOND));
        put(l, " ");
    }
    if (adjective && !first) {
        put(l, pattern);
        put(l, " ");
    }
    put(l, toys[one_of(s, C_TOY, 20)]);
    put(l, en_of(s, kn_tell_word(s->t, KN_TELL_SPECIES), KN_TELL_SPECIES));
}

static void join(line *l, const phrases *p, const char *comma, const char *last)
{
    for (int i = 0; i < p->n; i++) {
        put(l, i ? i + 1 == p->n ? last : comma : "");
        put(l, p->text[i]);
    }
}

/* The attributes of a group, in the order of their ranks, each turned into a phrase. */
static void gather(const scribe *s, const uint8_t *group, phrases *out,
                   void (*make)(const scribe *, kn_tell, phrases *))
{
    int done[KN_TELLS] = { 0 };
    for (;;) {
        int best = -1;
        for (int i = 0; i < KN_TELLS; i++)
            if (group[i] && s->told[i] && !done[i] &&
                (best < 0 || chance(s, C_RANK + (uint64_t)i) < chance(s, C_RANK + (uint64_t)best)))
                best = i;
        if (best < 0)
            return;
        done[best] = 1;
        make(s, (kn_tell)best, out);
    }
}

/* Which attributes stand behind "with", and which behind "wearing". */
static void groups(const scribe *s, int together, uint8_t with[KN_TELLS], uint8_t wear[KN_TELLS])
{
    memset(with, 0, KN_TELLS);
    memset(wear, 0, KN_TELLS);
    for (int i = KN_TELL_EARS; i <= KN_TELL_EYES; i++)
        with[i] = i != KN_TELL_FABRIC;
    with[KN_TELL_PATTERN] = (uint8_t)s->noun_pattern;
    if (together)
        return;
    with[KN_TELL_WORN] = with[KN_TELL_CLOTHES] = 0;
    wear[KN_TELL_WORN] = s->t->wear != KN_TOY_FLOWER && s->t->wear != KN_TOY_BACKPACK;
    with[KN_TELL_WORN] = !wear[KN_TELL_WORN];
    wear[KN_TELL_CLOTHES] = 1;
}

static void view_en(const scribe *s, line *l)
{
    static const char *const head[] = { "only the head in view", "head only", "seen close up" };
    static const char *const part[] = { "seen in part", "partly in view", "cut off by the edge" };
    const int head_only = s->v->mode == KN_TOY_HEAD, form = one_of(s, C_VIEW_FORM, 3);
    put(l, ", ");
    put(l, head_only ? head[form] : part[form]);
}

static void light_en(const scribe *s, line *l)
{
    static const char *const dark[] = { " in dim light", " in the dark", " in low light" };
    static const char *const bright[] = { " in bright light", " in strong light",
                                          " in glaring light" };
    const int form = one_of(s, C_VIEW_FORM, 3);
    put(l, s->keywords ? "," : "");
    put(l, s->v->exposure < 1 ? dark[form] : bright[form]);
}

/* Behind the noun: 'w' with …, 'c' wearing …, 'v' the view, 'l' the light, in one of several orders. */
static void rest_en(const scribe *s, line *l)
{
    static const char *const orders[] = { "wcvl", "cwlv", "vwcl", "lwcv",
                                          "wlcv", "cvwl", "wcvl", "cwvl" };
    uint8_t with[KN_TELLS], wear[KN_TELLS];
    groups(s, s->keywords || chance(s, C_WEARING) < .45f, with, wear);
    int comma = 0; /* an aside must be closed */
    for (const char *o = orders[one_of(s, C_GROUPS, 8)]; *o; o++) {
        phrases p = { .n = 0 };
        if (*o == 'w' || *o == 'c')
            gather(s, *o == 'w' ? with : wear, &p, thing_en);
        if (p.n) {
            put(l, comma || s->keywords ? ", " : " ");
            put(l, s->keywords ? "" : *o == 'w' ? "with " : "wearing ");
            join(l, &p, ", ", s->keywords ? ", " : " and ");
            comma = 0;
        } else if (*o == 'v' && s->told[KN_TELL_VIEW]) {
            view_en(s, l);
            comma = 1;
        } else if (*o == 'l' && s->told[KN_TELL_LIGHT]) {
            put(l, comma ? "," : "");
            light_en(s, l);
            comma = 0;
        }
    }
}

static void write_en(const scribe *s, line *l)
{
    static const char *const frames[16] = { "",
                                            "",
                                            "",
                                            "",
                                            "",
                                            "",
                                            "",
                                            "",
                                            "",
                                            "",
                                            "",
                                            "",
                                            "a photo of ",
                                            "a picture of ",
                                            "this is ",
                                            "photo of " };
    char noun[2 * PHRASE];
    line n = { noun, 0, sizeof noun };
    noun_en(s, &n);
    if (!s->keywords) {
        put(l, frames[one_of(s, C_FRAME, 16)]);
        put(l, article(noun));
    }
    put(l, noun);
    rest_en(s, l);
}

/* ---- Chinese ---- */

static const char *wear_verb(const scribe *s, kn_tell what)
{
    static const char *const verbs[KN_TOY_WEARS] = { "",     "围着", "戴着", "戴着", "系着",
                                                     "戴着", "戴着", "背着", "戴着", "戴着" };
    static const char *const brief[KN_TOY_WEARS] = { "",   "戴", "戴", "戴", "系",
                                                     "戴", "戴", "背", "戴", "戴" };
    const int shortly = chance(s, C_VERB_ZH) < .4f;
    if (what == KN_TELL_CLOTHES)
        return shortly ? "穿" : "穿着";
    return shortly ? brief[s->t->wear] : verbs[s->t->wear];
}

static void thing_zh(const scribe *s, kn_tell what, phrases *out)
{
    if (what == KN_TELL_PATTERN) {
        snprintf(next(out), PHRASE, "带%s%s", color_zh(s, KN_TELL_SECOND),
                 zh_of(s, pattern_noun(s->t), what));
        return;
    }
    const char *word = zh_of(s, kn_tell_word(s->t, what), what);
    if (what == KN_TELL_EARS || what == KN_TELL_EYES)
        snprintf(next(out), PHRASE, "%s", word);
    else if (what == KN_TELL_WORN || what == KN_TELL_CLOTHES)
        snprintf(next(out), PHRASE, "%s%s%s", wear_verb(s, what), color_zh(s, what), word);
    else
        snprintf(next(out), PHRASE, "%s%s%s", what == KN_TELL_EMBLEM ? "胸前有" : "",
                 color_zh(s, what), word);
}

/* 毛茸茸的棕色和白色条纹毛绒熊 */
static void noun_zh(const scribe *s, line *l)
{
    static const char *const before[20] = {
        "", "", "", "", "", "", "", "", "", "", "毛绒", "毛绒", "毛绒", "毛绒", "玩具", "玩具"
    };
    static const char *const behind[20] = {
        [16] = "毛绒玩具", [17] = "玩偶", [18] = "玩偶", [19] = "公仔"
    };
    const int toy = one_of(s, C_TOY_ZH, 20);
    const int adjective = s->told[KN_TELL_PATTERN] && !s->noun_pattern,
              plain = adjective && s->t->pattern == KN_TOY_PLAIN;
    if (s->told[KN_TELL_FABRIC])
        put(l, zh_of(s, kn_tell_word(s->t, KN_TELL_FABRIC), KN_TELL_FABRIC));
    if (s->told[KN_TELL_COLOR]) {
        put(l, plain ? "纯" : "");
        put(l, color_zh(s, KN_TELL_COLOR));
    }
    if (s->told[KN_TELL_SECOND] && !s->noun_pattern) {
        put(l, "和");
        put(l, color_zh(s, KN_TELL_SECOND));
    }
    if (adjective && !(plain && s->told[KN_TELL_COLOR]))
        put(l, zh_of(s, kn_tell_word(s->t, KN_TELL_PATTERN), KN_TELL_PATTERN));
    put(l, before[toy] ? before[toy] : "");
    put(l, zh_of(s, kn_tell_word(s->t, KN_TELL_SPECIES), KN_TELL_SPECIES));
    put(l, behind[toy] ? behind[toy] : "");
}

static void view_zh(const scribe *s, line *l)
{
    static const char *const head[] = { "，只看到头部", "，只露出头部", "，头部特写" };
    static const char *const part[] = { "，只看到局部", "，只露出一部分", "，没有拍全" };
    const int form = one_of(s, C_VIEW_FORM, 3);
    put(l, s->v->mode == KN_TOY_HEAD ? head[form] : part[form]);
}

static void light_zh(const scribe *s, line *l, int first)
{
    static const char *const dark[] = { "光线昏暗", "光线很暗", "光线不足" };
    static const char *const bright[] = { "光线明亮", "光线很强", "光线刺眼" };
    const int form = one_of(s, C_VIEW_FORM, 3);
    put(l, first ? "" : "，");
    if (first)
        put(l, s->v->exposure < 1 ? "暗光下的" : "强光下的");
    else
        put(l, s->v->exposure < 1 ? dark[form] : bright[form]);
}

static void write_zh(const scribe *s, line *l)
{
    static const char *const counts[10] = { "一只", "一只", "一只", "一只", "一只",
                                            "一个", "一个", "",     "",     "这是一只" };
    uint8_t with[KN_TELLS], wear[KN_TELLS];
    phrases w = { .n = 0 }, c = { .n = 0 };
    groups(s, 0, with, wear);
    wear[KN_TELL_WORN] = 1; /* in Chinese a backpack and a flower have verbs as well */
    with[KN_TELL_WORN] = 0;
    gather(s, with, &w, thing_zh);
    gather(s, wear, &c, thing_zh);
    const int wear_first = !s->keywords && c.n && chance(s, C_WEAR_FIRST_ZH) < .6f,
              with_first = !s->keywords && w.n == 1 && !s->told[KN_TELL_EMBLEM] &&
                           chance(s, C_WITH_FIRST_ZH) < .35f,
              light_first = s->told[KN_TELL_LIGHT] && chance(s, C_LIGHT_FIRST_ZH) < .5f,
              view_early = s->told[KN_TELL_VIEW] && chance(s, C_GROUPS) < .4f;
    if (light_first)
        light_zh(s, l, 1);
    put(l, s->keywords ? "" : counts[one_of(s, C_COUNT_ZH, 10)]);
    if (wear_first) {
        join(l, &c, "、", "、");
        put(l, "的");
    }
    if (with_first) {
        const int grown =
            (s->told[KN_TELL_EARS] && s->t->ear != KN_TOY_EAR_NONE) || s->told[KN_TELL_EYES];
        put(l, grown ? "长着" : "");
        put(l, w.text[0]);
        put(l, "的");
    }
    noun_zh(s, l);
    if (view_early)
        view_zh(s, l);
    put(l, w.n && !with_first ? "，" : "");
    if (!with_first)
        join(l, &w, "，", "，");
    put(l, c.n && !wear_first ? "，" : "");
    if (!wear_first)
        join(l, &c, "，", "，");
    if (s->told[KN_TELL_VIEW] && !view_early)
        view_zh(s, l);
    if (s->told[KN_TELL_LIGHT] && !light_first)
        light_zh(s, l, 0);
}

/* ---- both ---- */

static int pick_wrong(const scribe *s)
{
    int what[KN_TELLS], n = 0;
    for (int i = 0; i < KN_TELL_VIEW; i++)
        if (s->told[i] && !(i == KN_TELL_PATTERN && s->noun_pattern))
            what[n++] = i;
    return what[one_of(s, C_WRONG, n)];
}

void kn_toy_caption(const kn_toy *toy, const kn_toy_view *v, uint32_t variant, int wrong, char *en,
                    char *zh, char *says)
{
    scribe s = { .t = toy, .v = v, .variant = variant };
    line e = { en, 0, KN_TOY_CAPTION }, z = { zh, 0, KN_TOY_CAPTION },
         w = { says, 0, KN_TOY_CAPTION };
    kn_toy other = *toy;
    choose(&s);
    s.keywords = variant && chance(&s, C_KEYWORDS) < .12f;
    s.noun_pattern =
        s.told[KN_TELL_SECOND] && pattern_noun(toy) && chance(&s, C_PATTERN_NOUN) < .5f;
    const int at_fault = wrong ? pick_wrong(&s) : -1;
    if (wrong)
        falsify(&s, &other, (kn_tell)at_fault);
    s.t = &other;
    *en = *zh = *says = 0;
    write_en(&s, &e);
    write_zh(&s, &z);
    for (int i = 0; i < KN_TELLS; i++)
        if (s.told[i]) {
            put(&w, w.len ? "," : "");
            put(&w, i == at_fault ? "!" : "");
            put(&w, kn_tell_name((kn_tell)i));
        }
}
