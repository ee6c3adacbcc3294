/*
 * identity.c - from an id to a toy's parameters.
 *
 * Every draw has its own place in the sequence (at()), so that a parameter added later moves no
 * other one.  Only additions and products of floats: equal bits on every machine.
 */
#include "toys/toys.h"

#include "base/hash.h"
#include "base/rand.h"

#include <string.h>

enum { STREAM = 0x746f79 }; /* of kn_rand, for identities */

/* Linear light of twelve colours that people name. */
static const float palette[KN_TOY_COLOR_NAMES][3] = {
    { .17f, .07f, .025f }, { .55f, .33f, .13f },  { .80f, .76f, .68f },  { .015f, .015f, .018f },
    { .22f, .22f, .24f },  { .55f, .025f, .02f }, { .75f, .22f, .015f }, { .80f, .58f, .03f },
    { .035f, .27f, .05f }, { .02f, .09f, .42f },  { .19f, .05f, .33f },  { .80f, .28f, .40f },
};

typedef struct species {
    int8_t plan, tail, muzzle;
    int8_t ears[4]; /* as likely as they stand here */
    int8_t coat[6]; /* colours that it often has */
    float head, neck, snout;
} species;

enum { TAIL_NONE, TAIL_BALL, TAIL_LONG, TAIL_TUFT };
enum { MUZZLE_NONE, MUZZLE_ROUND, MUZZLE_BEAK, MUZZLE_TRUNK, MUZZLE_FLAT };
enum {
    R = KN_TOY_EAR_ROUND,
    P = KN_TOY_EAR_POINTED,
    L = KN_TOY_EAR_LONG,
    F = KN_TOY_EAR_FLOPPY,
    N = KN_TOY_EAR_NONE
};

/* In the order of kn_toy_species_name. */
static const species kinds[KN_TOY_SPECIES] = {
    { KN_TOY_SITTING,
      TAIL_BALL,
      MUZZLE_ROUND,
      { R, R, R, R },
      { 0, 1, 2, 3, 4, 1 },
      1.00f,
      0,
      1.0f },
    { KN_TOY_SITTING,
      TAIL_BALL,
      MUZZLE_ROUND,
      { L, L, L, F },
      { 2, 1, 4, 11, 0, 2 },
      1.00f,
      0,
      .7f },
    { KN_TOY_SITTING, TAIL_LONG, MUZZLE_FLAT, { P, P, P, R }, { 6, 3, 2, 4, 1, 0 }, 1.02f, 0, .6f },
    { KN_TOY_STANDING,
      TAIL_LONG,
      MUZZLE_ROUND,
      { F, F, P, R },
      { 0, 1, 2, 3, 4, 6 },
      .92f,
      .2f,
      1.2f },
    { KN_TOY_STANDING,
      TAIL_TUFT,
      MUZZLE_TRUNK,
      { F, F, F, R },
      { 4, 9, 11, 4, 10, 2 },
      1.00f,
      .1f,
      1.0f },
    { KN_TOY_BIRD, TAIL_NONE, MUZZLE_BEAK, { N, N, N, N }, { 3, 9, 4, 3, 11, 10 }, .95f, 0, .7f },
    { KN_TOY_SITTING, TAIL_NONE, MUZZLE_FLAT, { N, N, N, R }, { 8, 8, 7, 8, 9, 6 }, 1.05f, 0, .5f },
    { KN_TOY_STANDING,
      TAIL_LONG,
      MUZZLE_ROUND,
      { N, N, N, N },
      { 8, 10, 9, 5, 6, 8 },
      .80f,
      .45f,
      1.2f },
    { KN_TOY_BLOB, TAIL_NONE, MUZZLE_NONE, { N, N, N, N }, { 5, 10, 11, 9, 6, 8 }, 1.10f, 0, .0f },
    { KN_TOY_SITTING, TAIL_LONG, MUZZLE_ROUND, { R, R, R, R }, { 4, 2, 1, 4, 0, 3 }, .95f, 0, .8f },
    { KN_TOY_SITTING,
      TAIL_BALL,
      MUZZLE_FLAT,
      { P, F, F, P },
      { 11, 11, 2, 3, 11, 0 },
      1.02f,
      0,
      .9f },
    { KN_TOY_BIRD, TAIL_NONE, MUZZLE_BEAK, { N, N, N, N }, { 7, 7, 2, 6, 8, 9 }, .90f, 0, .9f },
    { KN_TOY_SITTING, TAIL_LONG, MUZZLE_FLAT, { R, R, R, R }, { 0, 1, 0, 3, 6, 4 }, .98f, 0, .8f },
    { KN_TOY_STANDING,
      TAIL_TUFT,
      MUZZLE_ROUND,
      { P, P, P, F },
      { 2, 11, 9, 10, 2, 7 },
      .85f,
      .35f,
      1.3f },
    { KN_TOY_SITTING,
      TAIL_TUFT,
      MUZZLE_ROUND,
      { R, R, R, P },
      { 6, 1, 7, 0, 6, 1 },
      1.08f,
      0,
      1.0f },
    { KN_TOY_BLOB, TAIL_NONE, MUZZLE_FLAT, { N, N, R, P }, { 9, 4, 11, 2, 10, 8 }, 1.20f, 0, .4f },
};

/* Draw number i of this toy, 0 .. 1. */
static float at(uint64_t id, uint64_t i)
{
    kn_rand r = { .seed = id, .stream = STREAM, .index = i };
    return kn_rand_float(&r);
}

static float between(uint64_t id, uint64_t i, float lo, float hi)
{
    const float x = (hi - lo) * at(id, i);
    return lo + x;
}

static int32_t one_of(uint64_t id, uint64_t i, int32_t n)
{
    const int32_t k = (int32_t)(at(id, i) * (float)n);
    return k < n ? k : n - 1;
}

static void set_color(kn_toy *t, int slot, int32_t name, uint64_t draw)
{
    const float light = between(t->id, draw, .75f, 1.2f);
    t->name[slot] = name;
    for (int k = 0; k < 3; k++) {
        const float tint = between(t->id, draw + 1 + (uint64_t)k, .88f, 1.12f);
        float v = palette[name][k] * light;
        v = v * tint;
        t->color[slot][k] = v > .9f ? .9f : v;
    }
}

static void choose_colors(kn_toy *t, const species *k)
{
    const uint64_t id = t->id;
    int32_t coat = at(id, 0) < .55f ? k->coat[one_of(id, 1, 6)] : one_of(id, 2, KN_TOY_COLOR_NAMES);
    set_color(t, 0, coat, 100);
    for (int slot = 1; slot < KN_TOY_COLORS; slot++) {
        int32_t name = one_of(id, 2 + (uint64_t)slot, KN_TOY_COLOR_NAMES);
        if (slot == 2 && at(id, 10) < .5f)
            name = at(id, 11) < .6f ? 2 : 1; /* light bellies are common */
        if (slot == 5 && at(id, 12) < .6f)
            name = at(id, 13) < .7f ? 3 : 11;
        if (name == coat && slot != 3)
            name = (name + 1 + one_of(id, 14 + (uint64_t)slot, 10)) % KN_TOY_COLOR_NAMES;
        set_color(t, slot, name, 100 + 8 * (uint64_t)slot);
    }
}

static void choose_shape(kn_toy *t, const species *k)
{
    const uint64_t id = t->id;
    t->head = between(id, 30, .36f, .50f) * k->head;
    t->head_wide = between(id, 31, .94f, 1.16f);
    t->body[0] = between(id, 32, .34f, .52f);
    t->body[1] = between(id, 33, .40f, .60f);
    t->body[2] = between(id, 34, .30f, .46f);
    t->ear_long = between(id, 35, .16f, .46f);
    t->ear_wide = between(id, 36, .10f, .19f);
    t->ear_apart = between(id, 37, .50f, .82f);
    t->snout = between(id, 38, .10f, .21f) * k->snout;
    t->eye = between(id, 39, .036f, .070f);
    t->eye_apart = between(id, 40, .28f, .48f);
    t->eye_high = between(id, 41, .05f, .28f);
    t->arm_long = between(id, 42, .22f, .42f);
    t->arm_thick = between(id, 43, .10f, .17f);
    t->leg_long = between(id, 44, .18f, .36f);
    t->leg_thick = between(id, 45, .12f, .20f);
    t->neck = k->neck * between(id, 46, .6f, 1.3f);
    t->belly_size = between(id, 47, .5f, .78f);
    t->frequency = between(id, 48, 5.f, 12.f);
    for (uint64_t i = 0; i < 4; i++)
        t->phase[i] = at(id, 50 + i);
}

static void choose_parts(kn_toy *t, const species *k)
{
    const uint64_t id = t->id;
    t->plan = k->plan;
    t->tail = at(id, 60) < .75f ? k->tail : one_of(id, 61, 4);
    t->muzzle = k->muzzle;
    t->ear = k->ears[one_of(id, 62, 4)];
    t->pattern = at(id, 63) < .35f ? KN_TOY_PLAIN : one_of(id, 64, KN_TOY_PATTERNS);
    t->fabric = one_of(id, 65, KN_TOY_FABRICS);
    t->wear = at(id, 66) < .25f ? KN_TOY_BARE : one_of(id, 67, KN_TOY_WEARS);
    t->cloth = at(id, 68) < .65f || t->plan == KN_TOY_BLOB ? KN_TOY_NAKED
                                                           : 1 + one_of(id, 69, KN_TOY_CLOTHES - 1);
    t->cloth_pattern = one_of(id, 70, 2) ? KN_TOY_PLAIN : one_of(id, 71, KN_TOY_PATTERNS);
    t->emblem = at(id, 72) < .7f ? KN_TOY_NO_EMBLEM : 1 + one_of(id, 73, KN_TOY_EMBLEMS - 1);
    t->limbs = one_of(id, 74, 3);
    t->eyes = one_of(id, 75, 3);
    t->blush = at(id, 76) < .25f;
    t->belly = at(id, 77) < .5f && t->cloth == KN_TOY_NAKED;
    t->eye *= t->eyes == 2 ? 1.4f : 1;
    t->fur = t->fabric == KN_TOY_LONG_FUR ? .55f : t->fabric == KN_TOY_PLUSH ? .3f : .08f;
    t->fur_frequency = t->fabric == KN_TOY_LONG_FUR ? 26.f : 44.f;
}

void kn_toy_make(kn_toy *out, uint64_t id)
{
    memset(out, 0, sizeof *out); /* padding too: identities are hashed */
    out->id = id;
    out->species = one_of(id, 20, KN_TOY_SPECIES);
    const species *k = &kinds[out->species];
    choose_colors(out, k);
    choose_shape(out, k);
    choose_parts(out, k);
}

/* A value of 0 .. n-1 other than `old`. */
static int32_t other(uint64_t id, uint64_t i, int32_t old, int32_t n)
{
    return (old + 1 + one_of(id, i, n - 1)) % n;
}

void kn_toy_twin(kn_toy *t, uint64_t id, const char **attribute)
{
    static const char *const names[] = { "coat colour", "second colour", "worn colour",
                                         "worn thing",  "ears",          "pattern",
                                         "limbs",       "emblem",        "clothes",
                                         "belly colour" };
    kn_toy_make(t, id);
    int32_t which = one_of(id, 300, (int32_t)(sizeof names / sizeof *names));
    if (which == 1 && t->pattern == KN_TOY_PLAIN)
        which = 0; /* it would not show */
    if (which == 2 && t->wear == KN_TOY_BARE)
        which = 3;
    if (which == 9 && !t->belly)
        which = 5;
    if (which == 4 && (t->plan == KN_TOY_BIRD || t->plan == KN_TOY_BLOB))
        which = 0;
    if (which == 8 && t->plan == KN_TOY_BLOB)
        which = 7;
    static const int slots[] = { 0, 1, 4, 0, 0, 0, 0, 0, 0, 2 };
    if (which <= 2 || which == 9)
        set_color(t, slots[which], other(id, 301, t->name[slots[which]], KN_TOY_COLOR_NAMES), 310);
    else if (which == 3)
        t->wear = other(id, 301, t->wear, KN_TOY_WEARS);
    else if (which == 4)
        t->ear = other(id, 301, t->ear, KN_TOY_EARS);
    else if (which == 5)
        t->pattern = other(id, 301, t->pattern, KN_TOY_PATTERNS);
    else if (which == 6)
        t->limbs = other(id, 301, t->limbs, 3);
    else if (which == 7)
        t->emblem = other(id, 301, t->emblem, KN_TOY_EMBLEMS);
    else
        t->cloth = other(id, 301, t->cloth, KN_TOY_CLOTHES);
    *attribute = names[which];
}

uint64_t kn_toy_identity_hash(uint64_t first, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        kn_toy t;
        kn_toy_make(&t, first + i);
        sum = sum * 0x9E3779B97F4A7C15u + kn_hash64(&t, sizeof t);
    }
    return sum;
}
