/*
 * tell.c - attributes that people name, and their names in English and Chinese.
 *
 * What a photograph cannot show is not told: an emblem under the trunk of a four-legged toy, the
 * backpack of an octopus, felt beside plush.
 */
#include "toys/tell.h"

#include <string.h>

#define ONE(en, zh)                                                                                \
    {                                                                                              \
        { en, en },                                                                                \
        {                                                                                          \
            zh, zh                                                                                 \
        }                                                                                          \
    }
#define TWO(en, en2, zh, zh2)                                                                      \
    {                                                                                              \
        { en, en2 },                                                                               \
        {                                                                                          \
            zh, zh2                                                                                \
        }                                                                                          \
    }

static const kn_word colors[KN_TOY_COLOR_NAMES] = {
    TWO("brown", "brown", "棕色", "褐色"),
    TWO("tan", "beige", "浅褐色", "米黄色"),
    ONE("white", "白色"),
    ONE("black", "黑色"),
    TWO("grey", "gray", "灰色", "灰色"),
    ONE("red", "红色"),
    TWO("orange", "orange", "橙色", "橘色"),
    ONE("yellow", "黄色"),
    ONE("green", "绿色"),
    ONE("blue", "蓝色"),
    ONE("purple", "紫色"),
    TWO("pink", "pink", "粉色", "粉红色"),
};
static const kn_word animals[KN_TOY_SPECIES] = {
    TWO("bear", "teddy bear", "熊", "小熊"),
    TWO("rabbit", "bunny", "兔子", "小兔"),
    TWO("cat", "kitten", "猫", "小猫"),
    TWO("dog", "puppy", "狗", "小狗"),
    ONE("elephant", "大象"),
    ONE("penguin", "企鹅"),
    ONE("frog", "青蛙"),
    TWO("dinosaur", "dino", "恐龙", "小恐龙"),
    ONE("octopus", "章鱼"),
    TWO("mouse", "mouse", "老鼠", "小老鼠"),
    TWO("pig", "piggy", "猪", "小猪"),
    TWO("duck", "duckling", "鸭子", "小鸭"),
    TWO("monkey", "monkey", "猴子", "小猴"),
    TWO("pony", "horse", "小马", "马"),
    TWO("lion", "lion", "狮子", "小狮子"),
    ONE("jellyfish", "水母"),
};
static const kn_word patterns[KN_TOY_PATTERNS] = {
    TWO("plain", "plain", "纯色", "单色"),           TWO("spotted", "blotchy", "斑点", "花斑"),
    TWO("striped", "stripy", "条纹", "条纹"),        ONE("patchwork", "拼布"),
    TWO("two-tone", "two-coloured", "双色", "双色"), TWO("gradient", "ombre", "渐变", "渐变色"),
    TWO("ringed", "ringed", "圆环", "环纹"),         TWO("checked", "checkered", "格子", "格纹"),
};
static const kn_word ears[KN_TOY_EARS] = {
    TWO("round ears", "rounded ears", "圆耳朵", "圆圆的耳朵"),
    TWO("pointed ears", "pointy ears", "尖耳朵", "尖尖的耳朵"),
    TWO("long ears", "long upright ears", "长耳朵", "竖起的长耳朵"),
    TWO("floppy ears", "hanging ears", "垂耳朵", "下垂的耳朵"),
    TWO("no ears", "no ears", "没有耳朵", "没有耳朵"),
};
static const kn_word worn[KN_TOY_WEARS] = {
    ONE("", ""),
    ONE("scarf", "围巾"),
    TWO("bow tie", "bow", "领结", "蝴蝶结"),
    ONE("hat", "帽子"),
    ONE("belt", "腰带"),
    ONE("collar", "项圈"),
    TWO("glasses", "spectacles", "眼镜", "眼镜"),
    TWO("backpack", "rucksack", "背包", "双肩包"),
    TWO("flower", "flower", "花", "小花"),
    TWO("crown", "crown", "皇冠", "王冠"),
};
static const kn_word clothes[KN_TOY_CLOTHES] = {
    ONE("", ""),
    TWO("shirt", "top", "上衣", "衬衫"),
    TWO("trousers", "pants", "裤子", "长裤"),
};
static const kn_word emblems[KN_TOY_EMBLEMS] = {
    ONE("", ""),
    TWO("heart", "heart", "爱心", "心形图案"),
    TWO("star", "star", "星星", "五角星"),
    TWO("dot", "circle", "圆点", "圆形图案"),
};
static const kn_word belly = TWO("belly", "tummy", "肚子", "肚皮");
static const kn_word limbs[2] = { TWO("arms and legs", "limbs", "四肢", "手脚"),
                                  TWO("legs", "legs", "腿", "四条腿") };
static const kn_word feet = TWO("paws", "feet", "爪子", "脚掌");
static const kn_word fabrics[KN_TOY_FABRICS] = {
    ONE("", ""),
    TWO("fluffy", "furry", "毛茸茸的", "长毛"),
    ONE("", ""),
    TWO("knitted", "woolly", "针织", "毛线"),
};
static const kn_word eyes[3] = {
    ONE("", ""),
    TWO("button eyes", "ringed eyes", "纽扣眼睛", "带圈的眼睛"),
    TWO("big eyes", "large eyes", "大眼睛", "大大的眼睛"),
};

static const char *const tell_names[KN_TELLS] = {
    "species", "color", "pattern", "second", "ears", "worn", "clothes", "emblem",
    "belly",   "limbs", "feet",    "fabric", "eyes", "view", "light",
};

const char *kn_tell_name(kn_tell what)
{
    return tell_names[what];
}

const kn_word *kn_word_color(int32_t name)
{
    return &colors[name];
}

const char *kn_toy_color_name(int32_t i, int chinese)
{
    return chinese ? colors[i].zh[0] : colors[i].en[0];
}

const char *kn_toy_species_name(int32_t i, int chinese)
{
    return chinese ? animals[i].zh[0] : animals[i].en[0];
}

const kn_word *kn_tell_word(const kn_toy *t, kn_tell what)
{
    switch (what) {
    case KN_TELL_SPECIES:
        return &animals[t->species];
    case KN_TELL_PATTERN:
        return &patterns[t->pattern];
    case KN_TELL_EARS:
        return &ears[t->ear];
    case KN_TELL_WORN:
        return &worn[t->wear];
    case KN_TELL_CLOTHES:
        return &clothes[t->cloth];
    case KN_TELL_EMBLEM:
        return &emblems[t->emblem];
    case KN_TELL_BELLY:
        return &belly;
    case KN_TELL_LIMBS:
        return &limbs[t->plan == KN_TOY_STANDING];
    case KN_TELL_FEET:
        return &feet;
    case KN_TELL_FABRIC:
        return &fabrics[t->fabric];
    case KN_TELL_EYES:
        return &eyes[t->eyes];
    default:
        return NULL;
    }
}

int kn_tell_color(const kn_toy *t, kn_tell what)
{
    switch (what) {
    case KN_TELL_COLOR:
        return 0;
    case KN_TELL_SECOND:
    case KN_TELL_LIMBS:
        return 1;
    case KN_TELL_BELLY:
        return 2;
    case KN_TELL_FEET:
        return 3;
    case KN_TELL_WORN:
    case KN_TELL_CLOTHES:
        return 4;
    case KN_TELL_EMBLEM:
        return t->cloth == KN_TOY_SHIRT ? 3 : 4;
    default:
        return -1;
    }
}

int kn_tell_there(const kn_toy *t, const kn_toy_view *v, kn_tell what)
{
    const int legs = t->plan == KN_TOY_SITTING || t->plan == KN_TOY_STANDING;
    switch (what) {
    case KN_TELL_SECOND:
        return t->pattern != KN_TOY_PLAIN && t->name[1] != t->name[0];
    case KN_TELL_EARS:
        return legs;
    case KN_TELL_WORN: /* an octopus' backpack is but a strap */
        return t->wear != KN_TOY_BARE && !(t->plan == KN_TOY_BLOB && t->wear == KN_TOY_BACKPACK);
    case KN_TELL_CLOTHES:
        return t->cloth != KN_TOY_NAKED && t->plan != KN_TOY_BLOB;
    case KN_TELL_EMBLEM: /* of a four-legged toy it is underneath */
        return t->emblem != KN_TOY_NO_EMBLEM &&
               (t->plan == KN_TOY_SITTING || t->plan == KN_TOY_BIRD);
    case KN_TELL_BELLY:
        return t->belly && (t->plan == KN_TOY_SITTING || t->plan == KN_TOY_BIRD);
    case KN_TELL_LIMBS: /* sleeves hide them */
        return legs && t->limbs == 1 && t->cloth != KN_TOY_SHIRT;
    case KN_TELL_FEET:
        return legs && t->limbs != 0;
    case KN_TELL_FABRIC:
        return t->fabric == KN_TOY_LONG_FUR || t->fabric == KN_TOY_KNIT;
    case KN_TELL_EYES:
        return t->eyes != 0;
    case KN_TELL_VIEW:
        return v && (v->mode == KN_TOY_HEAD || v->mode == KN_TOY_PART);
    case KN_TELL_LIGHT:
        return v && (v->exposure < .45f || v->exposure > 1.7f);
    default:
        return 1;
    }
}

void kn_toy_tells(const kn_toy *t, int32_t values[KN_TELLS][2])
{
    const int32_t kinds[KN_TELLS] = {
        [KN_TELL_SPECIES] = t->species, [KN_TELL_PATTERN] = t->pattern,
        [KN_TELL_EARS] = t->ear,        [KN_TELL_WORN] = t->wear,
        [KN_TELL_CLOTHES] = t->cloth,   [KN_TELL_EMBLEM] = t->emblem,
        [KN_TELL_FABRIC] = t->fabric,   [KN_TELL_EYES] = t->eyes,
    };
    for (int i = 0; i < KN_TELLS; i++) {
        const int there = kn_tell_there(t, NULL, (kn_tell)i), slot = kn_tell_color(t, (kn_tell)i);
        values[i][0] = there ? kinds[i] : -1;
        values[i][1] = there && slot >= 0 ? t->name[slot] : -1;
    }
}
