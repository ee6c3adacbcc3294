/* truth.c - a picture's lines in truth.jsonl and captions.jsonl; every string here is free of quotes. */
#include "tools/toys/toys_tool.h"

#include "toys/tell.h"

static const char *const plans[] = { "sitting", "standing", "bird", "blob" };
static const char *const fabrics[] = { "plush", "long fur", "felt", "knit" };
static const char *const tails[] = { "none", "ball", "long", "tuft" };

/* "name":"word" and "name_color":"word", as far as it has them; null where it does not have the thing. */
static ken_status attribute(kn_buf *b, const kn_toy *t, kn_tell what)
{
    const char *name = kn_tell_name(what);
    const kn_word *w = kn_tell_word(t, what);
    const int slot = kn_tell_color(t, what), there = kn_tell_there(t, NULL, what);
    const char *color = slot >= 0 && there ? kn_toy_color_name(t->name[slot], 0) : NULL;
    const int words = w && what != KN_TELL_BELLY && what != KN_TELL_LIMBS && what != KN_TELL_FEET;
    ken_status st = KEN_OK;
    if (words)
        st = there ? kn_buf_addf(b, ",\"%s\":\"%s\"", name, w->en[0])
                   : kn_buf_addf(b, ",\"%s\":null", name);
    if (!st && slot >= 0)
        st = color ? kn_buf_addf(b, ",\"%s%s\":\"%s\"", name, words ? "_color" : "", color)
                   : kn_buf_addf(b, ",\"%s%s\":null", name, words ? "_color" : "");
    return st;
}

static ken_status attributes(kn_buf *b, const kn_toy *t)
{
    ken_status st = kn_buf_addf(b, ",\"attributes\":{\"plan\":\"%s\"", plans[t->plan]);
    for (int i = 0; !st && i < KN_TELL_VIEW; i++)
        if (i != KN_TELL_FABRIC)
            st = attribute(b, t, (kn_tell)i);
    return st ? st
              : kn_buf_addf(b, ",\"fabric\":\"%s\",\"tail\":\"%s\",\"blush\":%s}",
                            fabrics[t->fabric], tails[t->tail & 3], t->blush ? "true" : "false");
}

static ken_status camera(kn_buf *b, const kn_toy_view *v)
{
    return kn_buf_addf(b,
                       ",\"camera\":{\"azimuth\":%.4f,\"elevation\":%.4f,\"roll\":%.4f,"
                       "\"distance\":%.3f,\"field\":%.4f},\"light\":{\"to\":[%.3f,%.3f,%.3f],"
                       "\"warmth\":%.3f,\"exposure\":%.3f},\"noise\":%.4f,\"blur\":%.3f,"
                       "\"jpeg\":%d,\"in_front\":%d,\"beside\":%d",
                       (double)v->azimuth, (double)v->elevation, (double)v->roll,
                       (double)v->distance, 2 * (double)v->half_field, (double)v->light[0],
                       (double)v->light[1], (double)v->light[2], (double)v->warmth,
                       (double)v->exposure, (double)v->noise, (double)v->blur, v->jpeg,
                       v->occluders, v->neighbours);
}

ken_status tt_truth_line(kn_buf *b, const tt_args *a, const tt_shot *s)
{
    const kn_toy_truth *t = &s->truth;
    ken_status st = kn_buf_addf(
        b,
        "{\"path\":\"%s\",\"label\":\"%llu%s\",\"id\":%llu,\"view\":%u,\"seed\":%llu,"
        "\"size\":%u,\"mode\":\"%s\",\"box\":[%.0f,%.0f,%.0f,%.0f],\"visible\":%.4f,"
        "\"hidden\":%.4f",
        s->path, (unsigned long long)s->id, s->twin ? "-twin" : "", (unsigned long long)s->id,
        s->number, (unsigned long long)a->seed, a->size,
        kn_toy_mode_name((kn_toy_mode)s->view.mode), (double)t->box[0], (double)t->box[1],
        (double)t->box[2], (double)t->box[3], (double)t->visible, (double)t->hidden);
    if (!st && a->twins)
        st = kn_buf_addf(b, ",\"twin\":%s,\"attribute\":\"%s\",\"differs\":%.4f",
                         s->twin ? "true" : "false", s->attribute, (double)s->differs);
    if (!st)
        st = camera(b, &s->view);
    if (!st)
        st = attributes(b, &s->toy);
    return st ? st : kn_buf_adds(b, "}\n");
}

ken_status tt_caption_line(kn_buf *b, const tt_shot *s, uint32_t variant)
{
    char en[KN_TOY_CAPTION], zh[KN_TOY_CAPTION], says[KN_TOY_CAPTION];
    kn_toy_caption(&s->toy, &s->view, variant, 0, en, zh, says);
    return kn_buf_addf(b, "{\"path\":\"%s\",\"en\":\"%s\",\"zh\":\"%s\",\"says\":\"%s\"}\n",
                       s->path, en, zh, says);
}
