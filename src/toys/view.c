/*
 * view.c - a photograph to be taken: where the camera stands, the light, the room, what is in the way.
 */
#include "toys/toys.h"

#include "base/error.h"
#include "base/rand.h"

#include <math.h>
#include <string.h>

enum { STREAM_VIEW = 0x76696577, STREAM_THINGS = 0x7468696e };

static const char *const mode_names[KN_TOY_MODES] = { "clean",    "full",  "head", "part",
                                                      "occluded", "light", "mixed" };

ken_status kn_toy_mode_named(kn_toy_mode *out, const char *name)
{
    for (int i = 0; i < KN_TOY_MODES; i++)
        if (!strcmp(name, mode_names[i])) {
            *out = (kn_toy_mode)i;
            return KEN_OK;
        }
    return kn_fail(KEN_E_INVALID,
                   "unknown view '%s': clean, full, head, part, occluded, light, mixed", name);
}

const char *kn_toy_mode_name(kn_toy_mode m)
{
    return mode_names[m];
}

static float between(kn_rand *r, float lo, float hi)
{
    return lo + (hi - lo) * kn_rand_float(r);
}

static int chance(kn_rand *r, float p)
{
    return kn_rand_float(r) < p;
}

/* ---- the camera ---- */

static void aim_clean(kn_toy_view *v, kn_rand *r)
{
    v->azimuth = between(r, -.7f, .7f);
    v->elevation = between(r, .05f, .32f);
    v->roll = between(r, -.04f, .04f);
    v->half_field = .22f;
    v->distance = 1.32f / tanf(v->half_field) * between(r, .95f, 1.08f);
}

static void aim_hard(kn_toy_view *v, kn_rand *r)
{
    v->azimuth = between(r, -1.9f, 1.9f);
    v->elevation = between(r, -.08f, .75f);
    v->roll = between(r, -.3f, .3f);
    v->half_field = between(r, .18f, .38f);
    v->distance = 1.25f / tanf(v->half_field) * between(r, .8f, 1.45f);
    v->target[0] += between(r, -.22f, .22f);
    v->target[1] += between(r, -.2f, .2f);
}

static void aim(kn_toy_view *v, const kn_toy *t, kn_rand *r, int mode)
{
    const float top = kn_toy_head_height(t);
    v->target[1] =
        t->plan == KN_TOY_BLOB ? top - .2f * t->head : (top + t->head - t->body[1]) * .5f;
    if (mode == KN_TOY_CLEAN) {
        aim_clean(v, r);
        return;
    }
    aim_hard(v, r);
    if (mode == KN_TOY_HEAD) {
        v->target[0] = between(r, -.08f, .08f);
        v->target[1] = top + between(r, -.05f, .12f);
        v->target[2] = t->plan == KN_TOY_STANDING ? t->body[1] * .8f : 0;
        v->azimuth = between(r, -1.3f, 1.3f);
        v->distance *= between(r, .42f, .56f);
    } else if (mode == KN_TOY_PART && chance(r, .5f)) {
        v->target[1] = -t->body[1] * between(r, .2f, .6f);
        v->distance *= .58f;
    } else if (mode == KN_TOY_PART) {
        v->target[0] = (chance(r, .5f) ? 1.f : -1.f) * t->body[0] * .8f;
        v->target[1] = between(r, -.1f, .6f);
        v->distance *= .55f;
    }
}

/* ---- light ---- */

static void shine(kn_toy_view *v, kn_rand *r, int mode)
{
    const int clean = mode == KN_TOY_CLEAN, extreme = mode == KN_TOY_LIGHT;
    const float turn = between(r, -1.3f, 1.3f),
                high = clean ? between(r, .6f, 1.1f) : between(r, .25f, 1.25f);
    v->light[0] = sinf(turn) * cosf(high);
    v->light[1] = sinf(high);
    v->light[2] = cosf(turn) * cosf(high);
    v->warmth = clean ? 0 : extreme ? between(r, -.5f, .5f) : between(r, -.22f, .22f);
    const float fill = clean ? .5f : between(r, .15f, .55f),
                key = clean ? .75f : between(r, .55f, 1.1f);
    const float tint[3] = { 1 + v->warmth, 1, 1 - v->warmth };
    for (int i = 0; i < 3; i++) {
        v->light_color[i] = key * tint[i];
        v->sky[i] = fill * (1 + .3f * (tint[i] - 1));
        v->ground[i] = fill * .55f * tint[i];
    }
    v->softness = clean ? .35f : between(r, .25f, 1);
    v->exposure = clean ? 1.15f : between(r, .65f, 1.4f);
    if (extreme)
        v->exposure = chance(r, .5f) ? between(r, .16f, .34f) : between(r, 1.8f, 2.8f);
}

static void furnish(kn_toy_view *v, kn_rand *r, int mode)
{
    v->room = mode == KN_TOY_CLEAN ? KN_TOY_STUDIO : (int32_t)kn_rand_below(r, KN_TOY_ROOMS);
    v->floor_pattern = mode == KN_TOY_CLEAN ? 0 : (int32_t)kn_rand_below(r, 4);
    v->back_z = -between(r, 1.2f, 4);
    v->room_frequency = between(r, 1.5f, 6);
    for (int i = 0; i < 2; i++)
        v->room_phase[i] = kn_rand_float(r);
    for (int j = 0; j < 2; j++) {
        const float a = between(r, .05f, .7f), b = between(r, .05f, .7f);
        for (int i = 0; i < 3; i++) {
            v->floor_color[j][i] = a * between(r, .55f, 1.2f);
            v->wall_color[j][i] = b * between(r, .45f, 1.3f);
        }
    }
    if (v->room == KN_TOY_GARDEN) {
        const float grass[2][3] = { { .05f, .16f, .03f }, { .12f, .22f, .05f } },
                    sky[2][3] = { { .1f, .2f, .08f }, { .35f, .5f, .75f } };
        memcpy(v->floor_color, grass, sizeof grass);
        memcpy(v->wall_color, sky, sizeof sky);
        v->floor_pattern = 3;
    }
    if (mode == KN_TOY_CLEAN)
        for (int j = 0; j < 2; j++)
            for (int i = 0; i < 3; i++)
                v->floor_color[j][i] = v->wall_color[j][i] = .72f + .12f * v->room_phase[0];
}

static void develop(kn_toy_view *v, kn_rand *r, int mode)
{
    const int clean = mode == KN_TOY_CLEAN;
    v->noise = clean ? .004f : between(r, .003f, .035f) * (v->exposure < .5f ? 1.6f : 1);
    v->blur = clean ? .3f : chance(r, .3f) ? between(r, .6f, 1.3f) : between(r, .25f, .5f);
    v->vignette = clean ? 0 : between(r, 0, .35f);
    v->contrast = clean ? 1 : between(r, .85f, 1.2f);
    v->saturation = clean ? 1 : between(r, .75f, 1.2f);
    v->jpeg = clean ? 92 : (int32_t)between(r, 45, 95);
}

static int pick_mode(kn_rand *r, int mode)
{
    static const int mixed[] = { KN_TOY_CLEAN,    KN_TOY_FULL, KN_TOY_FULL, KN_TOY_FULL,
                                 KN_TOY_HEAD,     KN_TOY_HEAD, KN_TOY_PART, KN_TOY_PART,
                                 KN_TOY_OCCLUDED, KN_TOY_LIGHT };
    const uint32_t i = kn_rand_below(r, 10);
    return mode == KN_TOY_MIXED ? mixed[i] : mode;
}

void kn_toy_view_make(kn_toy_view *v, const kn_toy *t, kn_toy_mode mode, uint64_t seed,
                      uint32_t number)
{
    kn_rand r =
        kn_rand_at(seed ^ (t->id * 0x9E3779B97F4A7C15u), (uint64_t)STREAM_VIEW << 32 | number);
    memset(v, 0, sizeof *v);
    const int m = pick_mode(&r, (int)mode);
    v->mode = m;
    v->seed = kn_rand_u64(&r);
    aim(v, t, &r, m);
    shine(v, &r, m);
    furnish(v, &r, m);
    develop(v, &r, m);
    for (int i = 0; i < KN_TOY_POSE; i++)
        v->pose[i] = m == KN_TOY_CLEAN ? between(&r, -.15f, .15f) : between(&r, -.7f, .7f);
    v->occluders = m == KN_TOY_OCCLUDED ? 2 : m != KN_TOY_CLEAN && chance(&r, .25f);
    v->neighbours = m != KN_TOY_CLEAN && m != KN_TOY_HEAD && chance(&r, .35f)
                        ? 1 + (int32_t)kn_rand_below(&r, 2)
                        : 0;
}

/* ---- the scene ---- */

static void camera(kn_toy_scene *s, const kn_toy_view *v)
{
    const float ca = cosf(v->azimuth), sa = sinf(v->azimuth), ce = cosf(v->elevation),
                se = sinf(v->elevation);
    const float cr = cosf(v->roll), sr = sinf(v->roll);
    const float f[3] = { -sa * ce, -se, -ca * ce }, right[3] = { ca, 0, -sa };
    const float up[3] = { -sa * se, ce, -ca * se };
    for (int i = 0; i < 3; i++) {
        s->forward[i] = f[i];
        s->right[i] = cr * right[i] + sr * up[i];
        s->up[i] = cr * up[i] - sr * right[i];
        s->eye[i] = v->target[i] - f[i] * v->distance;
    }
    s->tan_half = tanf(v->half_field);
}

static kn_toy_prim *thing(kn_toy_scene *s, int32_t shape, int32_t material, int32_t object)
{
    if (s->prims >= KN_TOY_PRIMS)
        return NULL;
    kn_toy_prim *p = &s->prim[s->prims++];
    *p = (kn_toy_prim){ .shape = shape, .material = material, .object = object, .blend = .01f };
    p->axis[0] = p->axis[4] = p->axis[8] = 1;
    return p;
}

/* A point of the picture (u right, v up, -1 .. 1) at a distance along the view. */
static void on_screen(const kn_toy_scene *s, float u, float v, float distance, float out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] =
            s->eye[i] + distance * (s->forward[i] + s->tan_half * (u * s->right[i] + v * s->up[i]));
}

/* Local axes: x and y in the picture, turned by `turn`, z towards the camera. */
static void face_camera(const kn_toy_scene *s, kn_toy_prim *p, float turn)
{
    const float c = cosf(turn), d = sinf(turn);
    for (int i = 0; i < 3; i++) {
        p->axis[i] = c * s->right[i] + d * s->up[i];
        p->axis[3 + i] = c * s->up[i] - d * s->right[i];
        p->axis[6 + i] = -s->forward[i];
    }
}

static int32_t new_material(kn_toy_scene *s, kn_rand *r, int skin)
{
    if (s->materials >= KN_TOY_MATERIALS)
        return (int32_t)s->materials - 1;
    kn_toy_material *m = &s->material[s->materials];
    *m = (kn_toy_material){ .cloth_from = 1, .cloth_to = 0, .frequency = between(r, 4, 14) };
    m->pattern = skin ? KN_TOY_PLAIN : (int32_t)kn_rand_below(r, KN_TOY_PATTERNS);
    const float dark = between(r, .25f, 1);
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < 3; i++)
            m->color[j][i] = between(r, .02f, .75f);
    if (skin) {
        const float tone[3] = { .62f * dark, .36f * dark, .25f * dark };
        memcpy(m->color[0], tone, sizeof tone);
    }
    m->fur = skin ? 0 : between(r, 0, .2f);
    m->fur_frequency = 30;
    m->gloss = skin ? .15f : between(r, 0, .5f);
    return (int32_t)s->materials++;
}

/* Four fingers that lie across the toy, coming in from an edge of the picture. */
static void hand(kn_toy_scene *s, const kn_toy_view *v, kn_rand *r, float u, float w)
{
    const int32_t skin = new_material(s, r, 1);
    const float turn = between(r, -.9f, .9f) + (u > 0 ? 1.5707963f : -1.5707963f),
                near = v->distance * between(r, .55f, .66f);
    const float unit = near * s->tan_half;
    for (int i = 0; i < 5; i++) {
        kn_toy_prim *p = thing(s, i < 4 ? KN_TOY_CONE : KN_TOY_ELLIPSOID, skin, 1);
        if (!p)
            return;
        const float step = i < 4 ? ((float)i - 1.5f) * .17f : 0, out = i < 4 ? 0 : .55f;
        face_camera(s, p, turn);
        on_screen(s, u + cosf(turn) * step + sinf(turn) * out,
                  w + sinf(turn) * step - cosf(turn) * out, near, p->center);
        p->size[0] = unit * (i < 4 ? .085f : .36f);
        p->size[1] = unit * (i < 4 ? .07f : .34f);
        p->size[2] = unit * (i < 4 ? .34f + .05f * (float)(i % 3) : .1f);
        p->bound = unit * .5f;
        p->blend = unit * .05f;
    }
}

static void object_in_front(kn_toy_scene *s, const kn_toy_view *v, kn_rand *r, float u, float w)
{
    const int round = chance(r, .4f);
    kn_toy_prim *p = thing(s, round ? KN_TOY_ELLIPSOID : KN_TOY_BOX, new_material(s, r, 0), 1);
    if (!p)
        return;
    const float near = v->distance * between(r, .5f, .68f), unit = near * s->tan_half;
    on_screen(s, u, w, near, p->center);
    face_camera(s, p, between(r, -1.5f, 1.5f));
    p->size[0] = unit * between(r, .16f, .38f);
    p->size[1] = unit * between(r, .2f, .5f);
    p->size[2] = unit * .15f;
    p->round = unit * .03f;
    p->bound = unit * .7f;
}

/* How far a primitive reaches down from its centre. */
static float depth_of(const kn_toy_prim *p)
{
    const float x = p->axis[1] * p->size[0], y = p->axis[4] * p->size[1],
                z = p->axis[7] * p->size[2];
    const float lean = sqrtf(p->axis[1] * p->axis[1] + p->axis[7] * p->axis[7]);
    switch (p->shape) {
    case KN_TOY_ELLIPSOID:
        return sqrtf(x * x + y * y + z * z);
    case KN_TOY_CONE:
        return fmaxf(p->size[0] + p->axis[4] * p->size[2], p->size[1] - p->axis[4] * p->size[2]);
    case KN_TOY_TORUS:
        return lean * p->size[0] + p->size[1] * fmaxf(1, p->size[2]);
    default:
        return fabsf(x) + fabsf(y) + fabsf(z);
    }
}

/* The height that a toy stands on, sunk by a little, as soft things are. */
static float lowest(const kn_toy_scene *s)
{
    float low = 0;
    for (uint32_t i = 0; i < s->prims; i++)
        low = fminf(low, s->prim[i].center[1] - depth_of(&s->prim[i]));
    return low + .02f;
}

/* Another toy, beside or behind: its coat and face, moved as a whole. */
static void neighbour(kn_toy_scene *s, const kn_toy_view *v, kn_rand *r, int side)
{
    static const float pose[KN_TOY_POSE] = { 0 };
    kn_toy_scene other;
    kn_toy t;
    other.prims = other.materials = 0;
    kn_toy_make(&t, 0x7000000000000000u + kn_rand_u32(r)); /* ids that no split uses */
    kn_toy_body(&other, &t, pose);
    if (s->prims + other.prims > KN_TOY_PRIMS || s->materials + other.materials > KN_TOY_MATERIALS)
        return;
    const float away = (side ? 1.f : -1.f) * between(r, 1.05f, 1.6f), back = -between(r, .1f, 1.2f);
    const float ca = cosf(v->azimuth), sa = sinf(v->azimuth), rise = s->floor_y - lowest(&other);
    for (uint32_t i = 0; i < other.prims; i++) {
        kn_toy_prim p = other.prim[i];
        p.center[0] += ca * away + sa * back;
        p.center[1] += rise;
        p.center[2] += ca * back - sa * away;
        p.material += (int32_t)s->materials;
        p.object = 2;
        p.casts = 0;
        s->prim[s->prims++] = p;
    }
    memcpy(&s->material[s->materials], other.material, other.materials * sizeof *other.material);
    s->materials += other.materials;
}

static void things(kn_toy_scene *s, const kn_toy_view *v)
{
    kn_rand r = kn_rand_at(v->seed, STREAM_THINGS);
    for (int i = 0; i < v->occluders; i++) {
        const float reach = v->mode == KN_TOY_OCCLUDED ? .38f : .6f;
        const float u = between(&r, -reach, reach), w = between(&r, -reach, reach * .8f);
        if (chance(&r, .45f))
            hand(s, v, &r, u, w);
        else
            object_in_front(s, v, &r, u, w);
    }
    for (int i = 0; i < v->neighbours; i++)
        neighbour(s, v, &r, i);
}

void kn_toy_scene_make(kn_toy_scene *s, const kn_toy *t, const kn_toy_view *v, uint32_t width,
                       uint32_t height)
{
    s->width = width;
    s->height = height;
    s->prims = s->materials = 0;
    kn_toy_body(s, t, v->pose);
    s->floor_y = lowest(s);
    camera(s, v);
    if (s->eye[1] < s->floor_y + .15f) /* never below the floor */
        s->eye[1] = s->floor_y + .15f;
    memcpy(s->light, v->light, sizeof s->light);
    memcpy(s->light_color, v->light_color, sizeof s->light_color);
    memcpy(s->sky, v->sky, sizeof s->sky);
    memcpy(s->ground, v->ground, sizeof s->ground);
    s->softness = v->softness;
    s->room = v->room;
    s->floor_pattern = v->floor_pattern;
    s->back_z = v->room == KN_TOY_STUDIO ? -40 : v->back_z;
    memcpy(s->floor_color, v->floor_color, sizeof s->floor_color);
    memcpy(s->wall_color, v->wall_color, sizeof s->wall_color);
    s->room_frequency = v->room_frequency;
    memcpy(s->room_phase, v->room_phase, sizeof s->room_phase);
    s->seed = (uint32_t)v->seed;
    things(s, v);
}
