/*
 * body.c - a toy in a pose as primitives and materials.
 *
 * Four plans (sitting, standing on four legs, bird, blob) share head, face and what is worn.  Parts
 * are placed in their parent's frame: `frame` is a rotation and an origin, and a joint is one more.
 */
#include "toys/toys.h"

#include <math.h>
#include <string.h>

/* Materials, in this order in every scene; the scene's other things come after. */
enum {
    M_COAT,
    M_HEAD,
    M_BELLY,
    M_MUZZLE,
    M_EAR,
    M_INNER_EAR,
    M_LIMB,
    M_TIP,
    M_EYE,
    M_RING,
    M_NOSE,
    M_TAIL,
    M_WORN,
    M_WORN2,
    M_PEARL,
    M_TOY_MATERIALS
};

typedef struct frame {
    float m[9]; /* columns: the frame's axes in the world, row-major */
    float o[3];
} frame;

static const frame world = { { 1, 0, 0, 0, 1, 0, 0, 0, 1 }, { 0, 0, 0 } };

static void place(const frame *f, float x, float y, float z, float out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = f->o[i] + f->m[3 * i] * x + f->m[3 * i + 1] * y + f->m[3 * i + 2] * z;
}

/* f turned about its x, then y, then z axis, its origin moved to (x, y, z) in f. */
static frame joint(const frame *f, float x, float y, float z, float rx, float ry, float rz)
{
    const float cx = cosf(rx), sx = sinf(rx), cy = cosf(ry), sy = sinf(ry), cz = cosf(rz),
                sz = sinf(rz);
    const float r[9] = { cy * cz,
                         -cy * sz,
                         sy,
                         sx * sy * cz + cx * sz,
                         cx * cz - sx * sy * sz,
                         -sx * cy,
                         sx * sz - cx * sy * cz,
                         cx * sy * sz + sx * cz,
                         cx * cy };
    frame out;
    place(f, x, y, z, out.o);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            out.m[3 * i + j] =
                f->m[3 * i] * r[j] + f->m[3 * i + 1] * r[3 + j] + f->m[3 * i + 2] * r[6 + j];
    return out;
}

static kn_toy_prim *add(kn_toy_scene *s, const frame *f, int32_t shape, int32_t material,
                        float blend)
{
    static kn_toy_prim spare; /* never: the plans stay well under the limit */
    kn_toy_prim *p = s->prims < KN_TOY_PRIMS ? &s->prim[s->prims++] : &spare;
    *p = (kn_toy_prim){ .shape = shape, .material = material, .blend = blend };
    memcpy(p->center, f->o, sizeof p->center);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            p->axis[3 * i + j] = f->m[3 * j + i];
    return p;
}

static float largest(float a, float b, float c)
{
    const float m = a > b ? a : b;
    return m > c ? m : c;
}

static void ball(kn_toy_scene *s, const frame *f, float x, float y, float z, int32_t material,
                 float blend)
{
    kn_toy_prim *p = add(s, f, KN_TOY_ELLIPSOID, material, blend);
    p->size[0] = x;
    p->size[1] = y;
    p->size[2] = z;
    p->bound = largest(x, y, z);
    p->casts = p->bound > .09f;
}

/* From the frame's origin down its -y axis: radius top at the origin, low at the end. */
static void limb(kn_toy_scene *s, const frame *f, float top, float low, float length,
                 int32_t material, float blend)
{
    const frame mid = joint(f, 0, -length / 2, 0, 0, 0, 0);
    kn_toy_prim *p = add(s, &mid, KN_TOY_CONE, material, blend);
    p->size[0] = low;
    p->size[1] = top;
    p->size[2] = length / 2;
    p->bound = length / 2 + (top > low ? top : low);
    p->casts = 1;
}

static void ring(kn_toy_scene *s, const frame *f, float radius, float tube, float tall,
                 int32_t material)
{
    kn_toy_prim *p = add(s, f, KN_TOY_TORUS, material, .01f);
    p->size[0] = radius;
    p->size[1] = tube;
    p->size[2] = tall;
    p->bound = radius + tube * (tall > 1 ? tall : 1);
}

static void brick(kn_toy_scene *s, const frame *f, float x, float y, float z, float edge,
                  int32_t material)
{
    kn_toy_prim *p = add(s, f, KN_TOY_BOX, material, .008f);
    p->size[0] = x;
    p->size[1] = y;
    p->size[2] = z;
    p->round = edge;
    p->bound = sqrtf(x * x + y * y + z * z);
    p->casts = 1;
}

/* ---- materials ---- */

static kn_toy_material *material(kn_toy_scene *s, const kn_toy *t, int32_t which,
                                 const float *color, int soft)
{
    kn_toy_material *m = &s->material[which];
    *m = (kn_toy_material){ .frequency = t->frequency, .cloth_from = 1, .cloth_to = 0 };
    for (int i = 0; i < 3; i++)
        memcpy(m->color[i], color, sizeof m->color[i]);
    memcpy(m->phase, t->phase, sizeof m->phase);
    if (soft) {
        m->fur = t->fur;
        m->fur_frequency = t->fur_frequency;
        m->ribs = t->fabric == KN_TOY_KNIT ? 11.f : 0;
    }
    return m;
}

static void patterned(kn_toy_material *m, const kn_toy *t)
{
    m->pattern = t->pattern;
    memcpy(m->color[1], t->color[1], sizeof m->color[1]);
    memcpy(m->color[2], t->color[3], sizeof m->color[2]);
}

static void worn_between(kn_toy_material *m, const kn_toy *t, float from, float to)
{
    m->cloth_from = from;
    m->cloth_to = to;
    m->cloth_pattern = t->cloth_pattern;
    m->cloth_frequency = t->frequency;
    memcpy(m->cloth[0], t->color[4], sizeof m->cloth[0]);
    memcpy(m->cloth[1], t->color[3], sizeof m->cloth[1]);
}

static void decal(kn_toy_material *m, int32_t kind, int mirrored, float x, float y, float size,
                  const float *color)
{
    for (int i = 0; i < KN_TOY_DECALS; i++)
        if (!m->decal[i].kind) {
            m->decal[i] =
                (kn_toy_decal){ kind, mirrored, x, y, size, { color[0], color[1], color[2] } };
            return;
        }
}

static void toy_materials(kn_toy_scene *s, const kn_toy *t)
{
    static const float black[3] = { .008f, .008f, .01f }, white[3] = { .75f, .74f, .7f },
                       pink[3] = { .6f, .12f, .12f }, gold[3] = { .75f, .5f, .08f };
    static const int32_t emblems[] = { 0, KN_TOY_HEART, KN_TOY_STAR, KN_TOY_DISK };
    kn_toy_material *coat = material(s, t, M_COAT, t->color[0], 1),
                    *head = material(s, t, M_HEAD, t->color[0], 1);
    patterned(coat, t);
    patterned(head, t);
    if (t->cloth == KN_TOY_SHIRT)
        worn_between(coat, t, -.25f, 1.2f);
    if (t->cloth == KN_TOY_TROUSERS)
        worn_between(coat, t, -1.2f, -.05f);
    if (t->blush)
        decal(head, KN_TOY_DISK, 1, .52f, -.22f, .13f, pink);
    if (t->muzzle == 0 || t->muzzle == 4) /* nothing else bears a mouth */
        decal(head, KN_TOY_SMILE, 0, 0, -.32f, .2f, black);
    kn_toy_material *belly = material(s, t, M_BELLY, t->color[2], 1);
    if (t->emblem) /* on what lies outermost, in a colour that it does not have */
        decal(t->belly ? belly : coat, emblems[t->emblem], 0, 0, .12f, .26f,
              t->color[t->cloth == KN_TOY_SHIRT ? 3 : 4]);
    kn_toy_material *muzzle = material(s, t, M_MUZZLE, t->color[2], 1);
    decal(muzzle, KN_TOY_SMILE, 0, 0, -.25f, .5f, black);
    decal(muzzle, KN_TOY_LINE, 0, 0, -.1f, .3f, black);
    patterned(material(s, t, M_EAR, t->color[t->limbs == 2 ? 3 : 0], 1), t);
    material(s, t, M_INNER_EAR, t->color[3], 1);
    kn_toy_material *limbs = material(s, t, M_LIMB, t->color[t->limbs == 1 ? 1 : 0], 1);
    if (t->limbs != 1)
        patterned(limbs, t);
    if (t->cloth == KN_TOY_SHIRT)
        worn_between(limbs, t, -.1f, 1.2f);
    material(s, t, M_TIP, t->color[t->limbs == 0 ? 0 : 3], 1);
    material(s, t, M_EYE, black, 0)->gloss = 1.6f;
    material(s, t, M_RING, white, 0)->gloss = .4f;
    material(s, t, M_NOSE, t->color[5], 0)->gloss = .5f;
    patterned(material(s, t, M_TAIL, t->color[0], 1), t);
    kn_toy_material *worn = material(s, t, M_WORN, t->color[4], 0);
    worn->pattern = t->cloth_pattern;
    memcpy(worn->color[1], t->color[3], sizeof worn->color[1]);
    worn->ribs = t->wear == KN_TOY_SCARF ? 14.f : 0;
    material(s, t, M_WORN2, t->color[3], 0);
    material(s, t, M_PEARL, gold, 0)->gloss = 1;
    s->materials = M_TOY_MATERIALS;
}

/* ---- head and face ---- */

static void ear(kn_toy_scene *s, const kn_toy *t, const frame *head, float side, float bend)
{
    const float h = t->head, l = t->ear_long, w = t->ear_wide, x = side * h * t->ear_apart;
    frame f;
    switch (t->ear) {
    case KN_TOY_EAR_ROUND:
        f = joint(head, x, h * .72f, 0, 0, 0, 0);
        ball(s, &f, w * 1.35f, w * 1.35f, w * .6f, M_EAR, .03f);
        f = joint(&f, 0, 0, w * .35f, 0, 0, 0);
        ball(s, &f, w * .85f, w * .85f, w * .4f, M_INNER_EAR, .008f);
        break;
    case KN_TOY_EAR_POINTED:
        f = joint(head, x * .85f, h * .62f, 0, 0, 0, -side * .3f);
        f = joint(&f, 0, l * .8f, 0, 0, 0, 0);
        limb(s, &f, w * .14f, w, l * .8f, M_EAR, .03f);
        break;
    case KN_TOY_EAR_LONG:
        f = joint(head, x * .62f, h * .8f, 0, bend * .5f, 0, -side * (.15f + .2f * bend));
        f = joint(&f, 0, l * .8f, 0, 0, 0, 0);
        ball(s, &f, w * .8f, l, w * .5f, M_EAR, .03f);
        f = joint(&f, 0, 0, w * .3f, 0, 0, 0);
        ball(s, &f, w * .45f, l * .75f, w * .3f, M_INNER_EAR, .008f);
        break;
    case KN_TOY_EAR_FLOPPY:
        f = joint(head, side * h * t->head_wide * .93f, h * .35f, 0, 0, 0,
                  side * (.35f + .15f * bend));
        f = joint(&f, 0, -l * .5f, 0, 0, 0, 0);
        ball(s, &f, w * .5f, l * .85f, w * 1.1f, M_EAR, .03f);
        break;
    default:
        break;
    }
}

static void eyes(kn_toy_scene *s, const kn_toy *t, const frame *head)
{
    const float h = t->head;
    for (float side = -1; side <= 1; side += 2) {
        const float x = side * h * t->eye_apart, y = h * t->eye_high;
        const float on =
            1 - (x / (h * t->head_wide)) * (x / (h * t->head_wide)) - (y / h) * (y / h);
        frame f = joint(head, x, y, h * .93f * sqrtf(on > .1f ? on : .1f), 0, 0, 0);
        if (t->eyes == 1)
            ball(s, &f, t->eye * 1.45f, t->eye * 1.45f, t->eye * .5f, M_RING, .004f);
        f = joint(&f, 0, 0, t->eyes == 1 ? t->eye * .4f : 0, 0, 0, 0);
        ball(s, &f, t->eye, t->eye, t->eye * .62f, M_EYE, .004f);
    }
}

static void muzzle(kn_toy_scene *s, const kn_toy *t, const frame *head, float sway)
{
    const float h = t->head, n = t->snout < .06f ? .06f : t->snout;
    frame f;
    switch (t->muzzle) {
    case 1: /* round */
        f = joint(head, 0, -h * .2f, h * .8f, 0, 0, 0);
        ball(s, &f, n * 1.2f, n * .9f, n * 1.05f, M_MUZZLE, .03f);
        f = joint(&f, 0, n * .4f, n * .95f, 0, 0, 0);
        ball(s, &f, .05f, .038f, .036f, M_NOSE, .005f);
        break;
    case 2:                                                  /* beak */
        f = joint(head, 0, -h * .08f, h * .8f, -1.5f, 0, 0); /* its -y looks forward */
        limb(s, &f, n * .75f, n * .18f, n * 1.5f, M_NOSE, .008f);
        break;
    case 3: /* trunk */
        f = joint(head, 0, -h * .1f, h * .75f, -.7f + .3f * sway, 0, 0);
        limb(s, &f, n * .85f, n * .6f, n * 2.f, M_HEAD, .05f);
        f = joint(&f, 0, -n * 2.f, 0, -.6f, 0, .4f * sway);
        limb(s, &f, n * .6f, n * .45f, n * 1.6f, M_HEAD, .04f);
        break;
    case 4: /* flat: a nose, and the mouth painted */
        f = joint(head, 0, -h * .08f, h * .9f, 0, 0, 0);
        ball(s, &f, .055f, .04f, .035f, M_NOSE, .006f);
        break;
    default:
        break;
    }
}

static void hat(kn_toy_scene *s, const kn_toy *t, const frame *head)
{
    const float h = t->head;
    frame f = joint(head, 0, h * .82f, 0, 0, 0, 0);
    if (t->phase[3] < .5f) { /* with a brim */
        ball(s, &f, h * .85f, h * .09f, h * .8f, M_WORN, .01f);
        f = joint(&f, 0, h * .22f, 0, 0, 0, 0);
        ball(s, &f, h * .48f, h * .42f, h * .46f, M_WORN, .02f);
        f = joint(&f, 0, -h * .1f, 0, 0, 0, 0);
        ring(s, &f, h * .44f, h * .06f, 1, M_WORN2);
    } else { /* pointed, with a ball */
        f = joint(&f, 0, h * .75f, 0, 0, 0, 0);
        limb(s, &f, h * .05f, h * .5f, h * .75f, M_WORN, .02f);
        ball(s, &f, h * .17f, h * .17f, h * .17f, M_WORN2, .008f);
    }
}

static void on_head(kn_toy_scene *s, const kn_toy *t, const frame *head)
{
    const float h = t->head;
    frame f;
    if (t->wear == KN_TOY_HAT)
        hat(s, t, head);
    if (t->wear == KN_TOY_GLASSES)
        for (float side = -1; side <= 1; side += 2) {
            f = joint(head, side * h * t->eye_apart, h * t->eye_high, h * .98f, 1.5707963f, 0, 0);
            ring(s, &f, t->eye * 2.1f, .018f, 1, M_WORN);
        }
    if (t->wear == KN_TOY_FLOWER)
        for (int i = 0; i < 6; i++) {
            f = joint(head, h * .55f, h * .68f, h * .45f, -.4f, .6f, (float)i * 1.2566371f);
            f = joint(&f, 0, i < 5 ? .085f : 0, i < 5 ? 0 : .02f, 0, 0, 0);
            ball(s, &f, .05f, .06f, .03f, i < 5 ? M_WORN : M_PEARL, .006f);
        }
    if (t->wear == KN_TOY_CROWN) {
        f = joint(head, 0, h * .86f, 0, 0, 0, 0);
        ring(s, &f, h * .42f, .05f, 1.6f, M_WORN);
        for (int i = 0; i < 5; i++) {
            frame spike = joint(&f, 0, 0, 0, 0, (float)i * 1.2566371f, 0);
            spike = joint(&spike, 0, .17f, h * .42f, 0, 0, 0);
            limb(s, &spike, .015f, .05f, .15f, M_WORN, .01f);
        }
    }
}

static void head_of(kn_toy_scene *s, const kn_toy *t, const frame *f, const float *pose)
{
    const float h = t->head;
    ball(s, f, h * t->head_wide, h * .94f, h * .93f, M_HEAD, .07f);
    ear(s, t, f, -1, pose[2]);
    ear(s, t, f, 1, pose[3]);
    eyes(s, t, f);
    muzzle(s, t, f, pose[7]);
    on_head(s, t, f);
}

/* ---- what is worn on the body ---- */

static void bow(kn_toy_scene *s, const frame *f)
{
    for (float side = -1; side <= 1; side += 2) {
        const frame wing = joint(f, side * .13f, 0, 0, 0, 0, side * .35f);
        ball(s, &wing, .14f, .09f, .055f, M_WORN, .008f);
    }
    const frame knot = joint(f, 0, 0, .02f, 0, 0, 0);
    ball(s, &knot, .05f, .055f, .05f, M_WORN2, .006f);
}

/* neck: a frame at the throat, y along the neck; rx, rz its half widths. */
static void on_neck(kn_toy_scene *s, const kn_toy *t, const frame *neck, float radius)
{
    frame f;
    if (t->wear == KN_TOY_SCARF) {
        ring(s, neck, radius, .085f, 1.1f, M_WORN);
        f = joint(neck, radius * .55f, -.2f, radius * .85f, .15f, 0, .12f);
        brick(s, &f, .075f, .2f, .03f, .02f, M_WORN);
    }
    if (t->wear == KN_TOY_BOW) {
        f = joint(neck, 0, -.06f, radius * 1.05f + .03f, .2f, 0, 0);
        bow(s, &f);
    }
    if (t->wear == KN_TOY_COLLAR) {
        ring(s, neck, radius, .045f, 1.2f, M_WORN);
        f = joint(neck, 0, -.08f, radius + .05f, 0, 0, 0);
        ball(s, &f, .06f, .06f, .06f, M_PEARL, .005f);
    }
}

static void on_body(kn_toy_scene *s, const kn_toy *t, const frame *body, float x, float y, float z)
{
    frame f;
    if (t->wear == KN_TOY_BELT) {
        f = joint(body, 0, -y * .12f, 0, 0, 0, 0);
        ball(s, &f, x * 1.05f, y * .13f, z * 1.05f, M_WORN, .006f);
        f = joint(&f, 0, 0, z * 1.04f, 0, 0, 0);
        brick(s, &f, .07f, .055f, .02f, .01f, M_PEARL);
    }
    if (t->wear == KN_TOY_BACKPACK) {
        f = joint(body, 0, y * .15f, -z * 1.05f, 0, 0, 0);
        brick(s, &f, x * .6f, y * .5f, z * .35f, .06f, M_WORN);
        for (float side = -1; side <= 1; side += 2) {
            f = joint(body, side * x * .5f, y * .1f, z * .05f, 0, 0, 1.5707963f);
            ring(s, &f, z * 1.02f, .035f, 1.3f, M_WORN2);
        }
    }
    if (t->belly) {
        f = joint(body, 0, -.04f, z * .42f, 0, 0, 0);
        ball(s, &f, x * t->belly_size, y * t->belly_size, z * .64f, M_BELLY, .015f);
    }
}

static void tail_of(kn_toy_scene *s, const kn_toy *t, const frame *root, float wag)
{
    frame f = joint(root, 0, 0, 0, 1.9f, 0, wag * .5f);
    if (t->tail == 1)
        ball(s, root, .13f, .13f, .13f, M_TAIL, .02f);
    if (t->tail >= 2) {
        limb(s, &f, .075f, .06f, .42f, M_TAIL, .04f);
        f = joint(&f, 0, -.42f, 0, .5f, 0, wag * .3f);
        limb(s, &f, .06f, .05f, .2f, M_TAIL, .03f);
        f = joint(&f, 0, -.24f, 0, 0, 0, 0);
        if (t->tail == 3)
            ball(s, &f, .1f, .13f, .1f, M_TIP, .02f);
    }
}

/* ---- plans ---- */

static float head_height(const kn_toy *t)
{
    return t->body[1] * .82f + t->head * .74f + t->neck;
}

static void sitting(kn_toy_scene *s, const kn_toy *t, const float *pose)
{
    const float x = t->body[0], y = t->body[1], z = t->body[2];
    ball(s, &world, x, y, z, M_COAT, .08f);
    const frame head =
        joint(&world, 0, head_height(t), .02f, pose[0] * .35f, pose[1] * .6f, pose[6] * .25f);
    head_of(s, t, &head, pose);
    for (int i = 0; i < 2; i++) {
        const float side = i ? 1.f : -1.f;
        frame f = joint(&world, side * x * .82f, y * .45f, .05f, -pose[3 + i] * .8f - .25f, 0,
                        side * (.75f + .35f * pose[4 + i]));
        limb(s, &f, t->arm_thick, t->arm_thick * .9f, t->arm_long, M_LIMB, .06f);
        f = joint(&f, 0, -t->arm_long, 0, 0, 0, 0);
        ball(s, &f, t->arm_thick, t->arm_thick * 1.05f, t->arm_thick, M_TIP, .03f);
        f = joint(&world, side * x * .58f, -y * .72f, z * .35f, -1.15f + .3f * pose[5 + i], 0,
                  side * (.3f + .2f * pose[6]));
        limb(s, &f, t->leg_thick * 1.05f, t->leg_thick, t->leg_long, M_LIMB, .06f);
        f = joint(&f, 0, -t->leg_long, -.04f, 0, 0, 0);
        ball(s, &f, t->leg_thick * 1.05f, t->leg_thick * .8f, t->leg_thick * 1.25f, M_TIP, .03f);
    }
    const frame back = joint(&world, 0, -y * .45f, -z * .98f, 0, 0, 0),
                neck = joint(&world, 0, y * .86f, 0, 0, 0, 0);
    tail_of(s, t, &back, pose[7]);
    on_neck(s, t, &neck, (x + z) * .36f);
    on_body(s, t, &world, x, y, z);
}

static void standing(kn_toy_scene *s, const kn_toy *t, const float *pose)
{
    const float wide = t->body[2] * .92f, tall = t->body[0] * .85f, along_z = t->body[1] * 1.08f;
    const frame trunk = joint(&world, 0, 0, 0, 1.5707963f, 0, 0); /* its y is the toy's z */
    ball(s, &trunk, wide, along_z, tall, M_COAT, .08f);
    const frame root = joint(&world, 0, tall * .45f, along_z * .72f, .55f, 0, 0);
    if (t->neck > .05f) {
        const frame top = joint(&root, 0, t->neck * 1.4f, 0, 0, 0, 0);
        limb(s, &top, t->head * .45f, t->head * .55f, t->neck * 1.4f, M_COAT, .08f);
    }
    frame f = joint(&world, 0, head_height(t), along_z * .78f + t->neck * .5f, 0, 0, 0);
    const frame head = joint(&f, 0, 0, 0, pose[0] * .35f, pose[1] * .6f, pose[6] * .25f);
    head_of(s, t, &head, pose);
    for (int i = 0; i < 4; i++) {
        const float side = i % 2 ? 1.f : -1.f, front = i < 2 ? 1.f : -1.f;
        f = joint(&world, side * wide * .6f, -tall * .3f, front * along_z * .6f, pose[3 + i] * .3f,
                  0, side * .08f);
        limb(s, &f, t->leg_thick, t->leg_thick * .92f, tall * .5f + t->leg_long, M_LIMB, .06f);
        f = joint(&f, 0, -tall * .5f - t->leg_long, .02f, 0, 0, 0);
        ball(s, &f, t->leg_thick * 1.05f, t->leg_thick * .7f, t->leg_thick * 1.15f, M_TIP, .03f);
    }
    const frame back = joint(&world, 0, tall * .3f, -along_z * .95f, 0, 0, 0);
    tail_of(s, t, &back, pose[7]);
    const frame neck = joint(&root, 0, t->neck * .5f + .06f, 0, 0, 0, 0);
    on_neck(s, t, &neck, t->head * .62f);
    if (t->belly) {
        f = joint(&world, 0, -tall * .35f, 0, 1.5707963f, 0, 0);
        ball(s, &f, wide * t->belly_size, along_z * t->belly_size, tall * .7f, M_BELLY, .015f);
    }
    if (t->wear == KN_TOY_BELT)
        ring(s, &trunk, (wide + tall) * .5f, .07f, 1, M_WORN);
    if (t->wear == KN_TOY_BACKPACK) {
        f = joint(&world, 0, tall * 1.f, -.05f, 0, 0, 0);
        brick(s, &f, wide * .6f, tall * .3f, along_z * .4f, .06f, M_WORN);
    }
}

static void bird(kn_toy_scene *s, const kn_toy *t, const float *pose)
{
    const float x = t->body[0], y = t->body[1] * 1.05f, z = t->body[2] * 1.05f;
    ball(s, &world, x, y, z, M_COAT, .12f);
    const frame head =
        joint(&world, 0, head_height(t), .03f, pose[0] * .3f, pose[1] * .6f, pose[6] * .2f);
    head_of(s, t, &head, pose);
    for (int i = 0; i < 2; i++) {
        const float side = i ? 1.f : -1.f;
        frame f = joint(&world, side * x * .92f, y * .35f, 0, pose[3 + i] * .3f, 0,
                        side * (.35f + .5f * (pose[4 + i] + .5f)));
        f = joint(&f, 0, -t->arm_long * .8f, 0, 0, 0, 0);
        ball(s, &f, .07f, t->arm_long * 1.05f, t->arm_thick * 1.5f, M_LIMB, .03f);
        f = joint(&world, side * x * .45f, -y * .95f, z * .35f, 0, side * .3f, 0);
        ball(s, &f, .13f, .06f, .2f, M_NOSE, .03f);
    }
    const frame back = joint(&world, 0, -y * .5f, -z * .95f, 0, 0, 0),
                neck = joint(&world, 0, y * .84f, 0, 0, 0, 0);
    tail_of(s, t, &back, pose[7]);
    on_neck(s, t, &neck, (x + z) * .37f);
    on_body(s, t, &world, x, y, z);
}

static void blob(kn_toy_scene *s, const kn_toy *t, const float *pose)
{
    const float h = t->head;
    const frame head =
        joint(&world, 0, head_height(t), 0, pose[0] * .2f, pose[1] * .4f, pose[6] * .2f);
    head_of(s, t, &head, pose);
    const int arms = 5 + (int)(t->phase[2] * 4);
    for (int i = 0; i < arms; i++) {
        const float turn = 6.2831853f * ((float)i + .5f) / (float)arms;
        frame f = joint(&world, 0, head_height(t) - h * .55f, 0, 0, turn, 0);
        f = joint(&f, 0, 0, h * .5f, -.75f - .25f * pose[i % KN_TOY_POSE], 0, 0);
        limb(s, &f, t->leg_thick * .85f, t->leg_thick * .7f, t->leg_long * 1.2f, M_LIMB, .08f);
        f = joint(&f, 0, -t->leg_long * 1.2f, 0, .9f, 0, 0);
        limb(s, &f, t->leg_thick * .7f, t->leg_thick * .5f, t->leg_long * .8f, M_TIP, .05f);
    }
    const frame neck = joint(&world, 0, head_height(t) - h * .72f, 0, 0, 0, 0);
    on_neck(s, t, &neck, h * .62f);
    if (t->wear == KN_TOY_BELT || t->wear == KN_TOY_BACKPACK)
        ring(s, &neck, h * .66f, .06f, 1, M_WORN);
}

float kn_toy_head_height(const kn_toy *t)
{
    return head_height(t);
}

void kn_toy_body(kn_toy_scene *s, const kn_toy *t, const float pose[KN_TOY_POSE])
{
    static void (*const plans[])(kn_toy_scene *, const kn_toy *,
                                 const float *) = { sitting, standing, bird, blob };
    toy_materials(s, t);
    plans[t->plan](s, t, pose);
}
