/* views.c - the standard ways to look at a model. */
#include "mesh/shape.h"

#include <string.h>

#define LONG 1.6180340f /* (1 + sqrt 5) / 2: the corners of an icosahedron are (0, 1, LONG), turned */

static const struct {
    const char *name;
    float eye[3];
} views[KN_VIEWS] = {
    { "front-right", { 1, -LONG, 0 } },  { "front-left", { -1, -LONG, 0 } },
    { "back-right", { 1, LONG, 0 } },    { "back-left", { -1, LONG, 0 } },
    { "right-top", { LONG, 0, 1 } },     { "right-bottom", { LONG, 0, -1 } },
    { "left-top", { -LONG, 0, 1 } },     { "left-bottom", { -LONG, 0, -1 } },
    { "top-front", { 0, -1, LONG } },    { "top-back", { 0, 1, LONG } },
    { "bottom-front", { 0, -1, -LONG } }, { "bottom-back", { 0, 1, -LONG } },
};

const char *kn_view_named(uint32_t view)
{
    return view < KN_VIEWS ? views[view].name : NULL;
}

void kn_shot_view(kn_shot *s, uint32_t view)
{
    static const float up[3] = { 0, 0, 1 };
    memcpy(s->eye, views[view % KN_VIEWS].eye, sizeof s->eye);
    memcpy(s->up, up, sizeof s->up);
}

void kn_shot_init(kn_shot *s)
{
    *s = (kn_shot){ .perspective = .25f,
                    .fill = .95f,
                    .key = { -.5f, .7f, .6f },
                    .fills = { .8f, .1f, .6f },
                    .key_strength = .65f,
                    .fill_strength = .25f,
                    .ambient = .12f,
                    .colour = { 200, 200, 204 },
                    .background = { 255, 255, 255 },
                    .size = 224,
                    .samples = 2 };
    kn_shot_view(s, 0);
}
