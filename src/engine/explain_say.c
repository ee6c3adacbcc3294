/*
 * explain_say.c - regions to a sentence, in English or Chinese.
 *
 *     43 % of what fits "a bear" comes from the top of A, 12 % from the left of A.
 *     与“熊”相符之处有 43% 来自 A 的上方，12% 来自 A 的左侧。
 */
#include "engine/explain.h"

#include "base/buf.h"
#include "base/error.h"
#include "engine/expand.h"

#include <math.h>
#include <string.h>

static const double NEARLY_ALL = 0.6; /* a region of so much of the picture is no place in it */
enum { MOST_SENTENCE = 4096, MOST_WORDS = 120 };

/* A language.  In a phrase $M is the method, $P a share in percent, $W the words, $L a place, $S A or B. */
typedef struct phrases {
    const char *by, *nowhere, *nowhere_by;
    const char *alike, *fits_words, *fits_query; /* the first region: of what its share is one */
    const char *next;                            /* another */
    const char *place, *both, *end;
    const char *nearly_all, *places[3][3];
} phrases;

static const phrases english = {
    "By $M, ", "No place speaks for the match.", "no place stands out.",
    "$P % of what makes A and B alike comes from ", "$P % of what fits \"$W\" comes from ",
    "$P % of what fits the query comes from ", ", $P % from ", "$L of $S", " and ", ".", "nearly all",
    { { "the upper left", "the top", "the upper right" },
      { "the left", "the centre", "the right" },
      { "the lower left", "the bottom", "the lower right" } }
};

static const phrases chinese = {
    "据 $M，", "没有哪一处支持这一匹配。", "没有哪一处特别突出。",
    "A 与 B 的相似之处有 $P% 来自 ", "与“$W”相符之处有 $P% 来自 ",
    "与查询相符之处有 $P% 来自 ", "，$P% 来自 ", "$S 的$L", "和 ", "。", "几乎全部",
    { { "左上方", "上方", "右上方" },
      { "左侧", "中央", "右侧" },
      { "左下方", "下方", "右下方" } }
};

/* What stands behind $ in a phrase. */
typedef struct values {
    const char *method, *words, *place;
    int percent;
    char side;
} values;

/* The words, up to some length but not into a letter. */
static ken_status add_words(kn_buf *b, const char *words)
{
    size_t n = strlen(words);
    const int cut = n > MOST_WORDS;
    for (n = cut ? MOST_WORDS : n; cut && n && ((unsigned char)words[n] & 0xC0) == 0x80;)
        n--;
    return kn_buf_addf(b, "%.*s%s", (int)n, words, cut ? "…" : "");
}

static ken_status add_value(kn_buf *b, char name, const values *v)
{
    switch (name) {
    case 'M': return kn_buf_adds(b, v->method);
    case 'W': return add_words(b, v->words);
    case 'L': return kn_buf_adds(b, v->place);
    case 'S': return kn_buf_add(b, &v->side, 1);
    default:  return kn_buf_addf(b, "%d", v->percent);
    }
}

static ken_status add(kn_buf *b, const char *phrase, const values *v)
{
    ken_status st = KEN_OK;
    for (const char *at; !st && (at = strchr(phrase, '$')); phrase = at + 2) {
        st = kn_buf_add(b, phrase, (size_t)(at - phrase));
        if (!st)
            st = add_value(b, at[1], v);
    }
    return st ? st : kn_buf_adds(b, phrase);
}

static const char *place_name(const phrases *p, const kn_side *s, const uint32_t box[4])
{
    const double w = ken_image_width(s->term->image), h = ken_image_height(s->term->image);
    if (box[2] / w * (box[3] / h) >= NEARLY_ALL)
        return p->nearly_all;
    const double x = (box[0] + box[2] / 2.0) / w, y = (box[1] + box[3] / 2.0) / h;
    return p->places[(int)fmin(3 * y, 2)][(int)fmin(3 * x, 2)];
}

static ken_status add_places(const kn_explaining *e, const phrases *p, kn_buf *b, const ken_region *r)
{
    const uint32_t *const box[2] = { r->a, r->b };
    ken_status st = KEN_OK;
    for (int i = 0, named = 0; i < 2 && !st; i++) {
        if (!e->side[i].map)
            continue;
        const values v = { .place = place_name(p, &e->side[i], box[i]), .side = "AB"[i] };
        if (named++)
            st = kn_buf_adds(b, p->both);
        if (!st)
            st = add(b, p->place, &v);
    }
    return st;
}

/* How the sentence begins, up to the first place; v->words of the side that is no picture. */
static const char *beginning(const kn_explaining *e, const phrases *p, const values *v)
{
    if (e->side[0].map && e->side[1].map)
        return p->alike;
    return v->words ? p->fits_words : p->fits_query;
}

static ken_status write_sentence(const kn_explaining *e, const phrases *p, values *v, const ken_region *r,
                                 size_t n, kn_buf *b)
{
    const int by = *v->method != '\0';
    ken_status st = by ? add(b, p->by, v) : KEN_OK;
    if (!n)
        return st ? st : kn_buf_adds(b, by ? p->nowhere_by : p->nowhere);
    for (size_t i = 0; i < n && i < 2 && !st; i++) {
        v->percent = (int)lrint(100 * (double)r[i].share);
        if (i && !v->percent)
            break;
        st = add(b, i ? p->next : beginning(e, p, v), v);
        if (!st)
            st = add_places(e, p, b, &r[i]);
    }
    return st ? st : kn_buf_adds(b, p->end);
}

ken_status kn_explain_sentence(const kn_explaining *e, const char *by, const ken_region *regions,
                               size_t n, char **out)
{
    values v = { .method = by };
    kn_buf b;
    for (int i = 0; i < 2; i++)
        if (e->side[i].term->text)
            v.words = e->side[i].term->text;
    const int in_chinese = e->language ? !strcmp(e->language, "zh") : v.words && kn_is_chinese(v.words);
    kn_buf_init(&b, MOST_SENTENCE);
    ken_status st = write_sentence(e, in_chinese ? &chinese : &english, &v, regions, n, &b);
    if (!st && !(*out = kn_buf_take(&b)))
        st = KEN_E_NOMEM;
    kn_buf_release(&b);
    return st;
}
