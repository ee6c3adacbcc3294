/*
 * caption.c - sentences about a toy, English and Chinese, from the same attributes.
 *
 * A variant decides which attributes are told, in which words and in which order; both languages
 * tell the same ones.  What is told is true of the toy; `wrong` changes one of them, for training
 * against near misses.
 */
#include "toys/toys.h"

#include "base/rand.h"

#include <stdio.h>
#include <string.h>

enum { STREAM_CAPTION = 0x63617074, WORDS = 96 };

typedef struct name {
    const char *en, *zh;
} name;

static const name colors[KN_TOY_COLOR_NAMES] = {
    { "brown", "棕色" }, { "tan", "浅褐色" }, { "white", "白色" },  { "black", "黑色" },
    { "grey", "灰色" },  { "red", "红色" },   { "orange", "橙色" }, { "yellow", "黄色" },
    { "green", "绿色" }, { "blue", "蓝色" },  { "purple", "紫色" }, { "pink", "粉色" },
};
static const name animals[KN_TOY_SPECIES] = {
    { "bear", "熊" },       { "rabbit", "兔子" },  { "cat", "猫" },    { "dog", "狗" },
    { "elephant", "大象" }, { "penguin", "企鹅" }, { "frog", "青蛙" }, { "dinosaur", "恐龙" },
    { "octopus", "章鱼" },  { "mouse", "老鼠" },   { "pig", "猪" },    { "duck", "鸭子" },
    { "monkey", "猴子" },   { "pony", "小马" },    { "lion", "狮子" }, { "jellyfish", "水母" },
};
static const name patterns[KN_TOY_PATTERNS] = {
    { "plain", "纯色" },    { "spotted", "斑点" },  { "striped", "条纹" }, { "patchwork", "拼布" },
    { "two-tone", "双色" }, { "gradient", "渐变" }, { "ringed", "圆环" },  { "checked", "格子" },
};
static const name ears[KN_TOY_EARS] = {
    { "round ears", "圆耳朵" },  { "pointed ears", "尖耳朵" }, { "long ears", "长耳朵" },
    { "floppy ears", "垂耳朵" }, { "no ears", "没有耳朵" },
};
static const name worn[KN_TOY_WEARS] = {
    { "", "" },         { "scarf", "围巾" },  { "bow tie", "领结" }, { "hat", "帽子" },
    { "belt", "腰带" }, { "collar", "项圈" }, { "glasses", "眼镜" }, { "backpack", "背包" },
    { "flower", "花" }, { "crown", "皇冠" },
};
static const name clothes[KN_TOY_CLOTHES] = { { "", "" },
                                              { "shirt", "上衣" },
                                              { "trousers", "裤子" } };
static const name emblems[KN_TOY_EMBLEMS] = {
    { "", "" }, { "heart", "爱心" }, { "star", "星星" }, { "dot", "圆点" }
};

const char *kn_toy_color_name(int32_t i, int chinese)
{
    return chinese ? colors[i].zh : colors[i].en;
}

const char *kn_toy_species_name(int32_t i, int chinese)
{
    return chinese ? animals[i].zh : animals[i].en;
}

/* What may be told; all but the kind of toy and its colour only sometimes. */
enum {
    TELL_PATTERN,
    TELL_EARS,
    TELL_WORN,
    TELL_CLOTHES,
    TELL_EMBLEM,
    TELL_BELLY,
    TELL_VIEW,
    TELL_LIGHT,
    TELLS
};
static const char *const tell_names[TELLS] = { "pattern", "ears",  "worn", "clothes",
                                               "emblem",  "belly", "view", "light" };

static int is_there(const kn_toy *t, const kn_toy_view *v, int what)
{
    switch (what) {
    case TELL_EARS:
        return t->plan != KN_TOY_BIRD && t->plan != KN_TOY_BLOB;
    case TELL_WORN:
        return t->wear != KN_TOY_BARE;
    case TELL_CLOTHES:
        return t->cloth != KN_TOY_NAKED;
    case TELL_EMBLEM:
        return t->emblem != KN_TOY_NO_EMBLEM && t->plan != KN_TOY_BLOB;
    case TELL_BELLY:
        return t->belly && t->plan != KN_TOY_BLOB;
    case TELL_VIEW:
        return v && (v->mode == KN_TOY_HEAD || v->mode == KN_TOY_PART);
    case TELL_LIGHT:
        return v && (v->exposure < .45f || v->exposure > 1.7f);
    default:
        return 1;
    }
}

static void make_wrong(kn_toy *t, kn_rand *r)
{
    const int step = 1 + (int)kn_rand_below(r, 3);
    switch (kn_rand_below(r, 4)) {
    case 0:
        t->species = (t->species + step) % KN_TOY_SPECIES;
        break;
    case 1:
        t->name[0] = (t->name[0] + 1 + step) % KN_TOY_COLOR_NAMES;
        break;
    case 2:
        t->pattern = (t->pattern + step) % KN_TOY_PATTERNS;
        break;
    default:
        t->name[4] = (t->name[4] + 1 + step) % KN_TOY_COLOR_NAMES;
        t->wear = t->wear ? t->wear : KN_TOY_SCARF;
    }
}

/* " with …" and "，…" for one attribute, each starting with its own joint. */
static void clause(const kn_toy *t, const kn_toy_view *v, int what, uint32_t form, char *en,
                   char *zh)
{
    const char *a4 = colors[t->name[4]].en, *z4 = colors[t->name[4]].zh;
    *en = *zh = 0;
    switch (what) {
    case TELL_EARS:
        snprintf(en, WORDS, "%s", ears[t->ear].en);
        snprintf(zh, WORDS, "%s", ears[t->ear].zh);
        break;
    case TELL_WORN: {
        const char *some = t->wear == KN_TOY_GLASSES ? "" : strchr("aeiou", a4[0]) ? "an " : "a ";
        snprintf(en, WORDS, "%s%s %s", some, a4, worn[t->wear].en);
        snprintf(zh, WORDS, "%s%s%s", form & 1 ? "戴着" : "配有", z4, worn[t->wear].zh);
        break;
    }
    case TELL_CLOTHES:
        snprintf(en, WORDS, "%s%s %s",
                 t->cloth == KN_TOY_SHIRT ? (strchr("aeiou", a4[0]) ? "an " : "a ") : "", a4,
                 clothes[t->cloth].en);
        snprintf(zh, WORDS, "穿着%s%s", z4, clothes[t->cloth].zh);
        break;
    case TELL_EMBLEM:
        snprintf(en, WORDS, "a %s on its chest", emblems[t->emblem].en);
        snprintf(zh, WORDS, "胸前有%s", emblems[t->emblem].zh);
        break;
    case TELL_BELLY:
        snprintf(en, WORDS, "a %s belly", colors[t->name[2]].en);
        snprintf(zh, WORDS, "%s肚子", colors[t->name[2]].zh);
        break;
    case TELL_VIEW:
        snprintf(en, WORDS, "%s",
                 v->mode == KN_TOY_HEAD ? "only the head in view" : "seen in part");
        snprintf(zh, WORDS, "%s", v->mode == KN_TOY_HEAD ? "只看到头部" : "只看到局部");
        break;
    case TELL_LIGHT:
        snprintf(en, WORDS, "%s", v->exposure < 1 ? "in dim light" : "in bright light");
        snprintf(zh, WORDS, "%s", v->exposure < 1 ? "光线昏暗" : "光线很亮");
        break;
    default:
        break;
    }
}

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

static void begin(const kn_toy *t, int patterned, uint32_t form, line *en, line *zh)
{
    static const char *const toy_en[] = { "plush ", "stuffed ", "soft toy ", "toy " };
    static const char *const toy_zh[] = { "毛绒", "毛绒玩具", "玩偶", "玩具" };
    const char *color = colors[t->name[0]].en, *pattern = patterns[t->pattern].en;
    const char *first = patterned ? pattern : color;
    put(en, strchr("aeiou", first[0]) ? "an " : "a ");
    if (patterned) {
        put(en, pattern);
        put(en, " ");
    }
    put(en, color);
    put(en, " ");
    put(en, toy_en[form % 4]);
    put(en, animals[t->species].en);
    put(zh, form & 4 ? "一个" : "一只");
    put(zh, colors[t->name[0]].zh);
    if (patterned)
        put(zh, patterns[t->pattern].zh);
    if (form % 4 < 1 || form % 4 > 2) { /* 毛绒熊, 玩具熊 */
        put(zh, toy_zh[form % 4]);
        put(zh, animals[t->species].zh);
    } else { /* 熊毛绒玩具, 熊玩偶 */
        put(zh, animals[t->species].zh);
        put(zh, toy_zh[form % 4]);
    }
}

void kn_toy_caption(const kn_toy *toy, const kn_toy_view *v, uint32_t variant, int wrong, char *en,
                    char *zh, char *says, size_t n)
{
    kn_rand r = kn_rand_at(toy->id, (uint64_t)STREAM_CAPTION << 32 | variant);
    kn_toy t = *toy;
    if (wrong)
        make_wrong(&t, &r);
    const uint32_t form = kn_rand_u32(&r), from = kn_rand_below(&r, TELLS);
    const float share = variant ? .35f + .5f * kn_rand_float(&r) : 1; /* variant 0 tells all */
    const int patterned = is_there(&t, v, TELL_PATTERN) && kn_rand_float(&r) < share;
    line e = { en, 0, n }, z = { zh, 0, n }, s = { says, 0, n };
    int told = 0;
    *en = *zh = *says = 0;
    begin(&t, patterned, form, &e, &z);
    put(&s, "species,color");
    if (patterned)
        put(&s, ",pattern");
    for (uint32_t i = 0; i < TELLS; i++) {
        const int what = (int)((variant ? from + i : i) % TELLS);
        char a[WORDS], b[WORDS];
        if (what == TELL_PATTERN || !is_there(&t, v, what) || kn_rand_float(&r) >= share)
            continue;
        clause(&t, v, what, form, a, b);
        const int apart = what == TELL_VIEW || what == TELL_LIGHT;
        put(&e, apart ? ", " : told++ ? " and " : " with ");
        put(&e, a);
        put(&z, "，");
        put(&z, b);
        put(&s, ",");
        put(&s, tell_names[what]);
    }
}
