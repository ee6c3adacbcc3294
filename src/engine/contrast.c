/* contrast.c - words that exclude each other, and texts with one of them exchanged. */
#include "engine/contrast.h"

#include "base/alloc.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* '|' stands between things that exclude each other, ',' between words for the same thing, the usual
 * one first; English, and the same things in Chinese. */
static const char *const groups[][2] = {
    { "brown|tan,beige|white|black|grey,gray|red|orange|yellow|green|blue|purple,violet|pink",
      "棕色,褐色|浅褐色,米黄色|白色|黑色|灰色|红色|橙色,橘色|黄色|绿色|"
      "蓝色|紫色|粉色,粉红色" },
    { "bear,teddy bear|rabbit,bunny|cat,kitten|dog,puppy|elephant|penguin|frog|dinosaur,dino|octopus|mouse|"
      "pig,piggy|duck,duckling|monkey|pony,horse|lion|jellyfish",
      "熊,小熊|兔子,小兔|猫,小猫|狗,小狗|大象|企鹅|青蛙|"
      "恐龙,小恐龙|章鱼|老鼠,小老鼠|猪,小猪|鸭子,小鸭|"
      "猴子,小猴|小马|狮子,小狮子|水母" },
    { "plain|spotted,blotchy|striped,stripy|patchwork|two-tone,two-coloured|gradient,ombre|ringed|"
      "checked,checkered",
      "纯色,单色|斑点,花斑|条纹|拼布|双色|渐变,渐变色|圆环,环纹|格子,格纹" },
    { "spots,blotches|stripes|patches|rings|checks", "" },
    { "round ears,rounded ears|pointed ears,pointy ears|long ears,long upright ears|floppy ears,hanging ears|"
      "no ears",
      "圆耳朵,圆圆的耳朵|尖耳朵,尖尖的耳朵|长耳朵,竖起的长耳朵|"
      "垂耳朵,下垂的耳朵|没有耳朵" },
    { "scarf|bow tie,bow|hat|belt|collar|glasses,spectacles|backpack,rucksack|flower|crown",
      "围巾|领结,蝴蝶结|帽子|腰带|项圈|眼镜|背包,双肩包|小花|皇冠,王冠" },
    { "shirt,top|trousers,pants", "上衣,衬衫|裤子,长裤" },
    { "heart|star", "爱心,心形图案|星星,五角星" },
    { "button eyes,ringed eyes|big eyes,large eyes",
      "纽扣眼睛,带圈的眼睛|大眼睛,大大的眼睛" },
};
enum { GROUPS = sizeof groups / sizeof *groups };

/* A word of a group, found in a text. */
typedef struct found {
    const char *group; /* whose list it is of */
    size_t thing;      /* its place there */
    size_t len;        /* of the word, 0: none */
} found;

static int in_word(char c)
{
    return isalnum((unsigned char)c) || c == '-';
}

/* Does the word stand at text + at?  English ones stand alone. */
static int stands(const char *text, size_t at, const char *word, size_t len)
{
    if (strncasecmp(text + at, word, len))
        return 0;
    return !in_word(*word) || ((at == 0 || !in_word(text[at - 1])) && !in_word(text[at + len]));
}

/* The longest word of a list that stands there. */
static void look(const char *list, const char *text, size_t at, found *best)
{
    size_t thing = 0;
    for (const char *w = list; *w; w += strcspn(w, "|,")) {
        thing += *w == '|';
        w += *w == '|' || *w == ',';
        const size_t len = strcspn(w, "|,");
        if (len > best->len && stands(text, at, w, len))
            *best = (found){ list, thing, len };
    }
}

static ken_status add(kn_contrast *out, const char *text, size_t at, size_t len, const char *word, size_t n)
{
    const size_t rest = strlen(text + at + len);
    if (out->n == KN_CONTRASTS)
        return KEN_OK;
    char **texts = kn_room(out->texts, out->n, &out->cap, sizeof *texts);
    char *copy = kn_alloc(at + n + rest + 1, 1);
    if (texts)
        out->texts = texts;
    if (!texts || !copy) {
        kn_free(copy);
        return KEN_E_NOMEM;
    }
    memcpy(copy, text, at);
    memcpy(copy + at, word, n);
    memcpy(copy + at + n, text + at + len, rest + 1);
    texts[out->n++] = copy;
    return KEN_OK;
}

/* Each other thing of the list, by its usual word. */
static ken_status exchange(kn_contrast *out, const char *text, size_t at, const found *f)
{
    ken_status st = KEN_OK;
    size_t thing = 0;
    for (const char *w = f->group; !st && w; thing++) {
        if (thing != f->thing)
            st = add(out, text, at, f->len, w, strcspn(w, "|,"));
        w = strchr(w, '|');
        w = w ? w + 1 : NULL;
    }
    return st;
}

ken_status kn_contrast_make(kn_contrast *out, const char *text)
{
    ken_status st = KEN_OK;
    for (size_t at = 0; !st && text[at];) {
        found f = { 0 };
        for (size_t g = 0; g < GROUPS; g++)
            for (int language = 0; language < 2; language++)
                look(groups[g][language], text, at, &f);
        if (f.len)
            st = exchange(out, text, at, &f);
        at += f.len ? f.len : 1;
    }
    if (st)
        kn_contrast_release(out);
    return st;
}

void kn_contrast_release(kn_contrast *c)
{
    for (size_t i = 0; i < c->n; i++)
        kn_free(c->texts[i]);
    kn_free(c->texts);
    *c = (kn_contrast){ 0 };
}
