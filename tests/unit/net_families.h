/*
 * net_families.h - one tiny model of each family, with awkward sizes: widths that are no multiple of a
 * panel, odd patches, pictures that are not square.
 */
#ifndef NET_FAMILIES_H
#define NET_FAMILIES_H

#include "tests/unit/net_oracle.h"

typedef struct family {
    const char *name, *image, *text;
    size_t h, w, dim;         /* of a picture, 0 without; of a vector */
    size_t image_heads, text_heads;
    /* vit */
    size_t grid[2], patch, layers, width, mlp;
    int ln_pre, proj, patch_bias, gelu;
    double eps;
    /* resnet */
    int resnet, labels; /* labels: of the trained head */
    res_shape res;
    /* text */
    int bert;
    size_t text_layers, text_width, text_mlp, context, vocab;
} family;

#define TEXT_CONFIG "\"width\":48,\"layers\":2,\"heads\":3,\"mlp\":72,\"context\":12,\"vocab\":60,\"dim\":24"

static const family families[] = {
    { .name = "vit and clip text", .h = 15, .w = 10, .dim = 24, .image_heads = 3, .text_heads = 3,
      .image = "{\"kind\":\"vit\",\"width\":48,\"layers\":3,\"heads\":3,\"mlp\":80,\"patch\":5,\"grid\":[3,2],"
               "\"act\":\"quickgelu\",\"eps\":1e-5,\"ln_pre\":1,\"dim\":24}",
      .text = "{\"kind\":\"clip\",\"act\":\"quickgelu\",\"eps\":1e-5,\"eot\":59," TEXT_CONFIG "}",
      .grid = { 3, 2 }, .patch = 5, .layers = 3, .width = 48, .mlp = 80, .ln_pre = 1, .proj = 1,
      .eps = 1e-5, .text_layers = 2, .text_width = 48, .text_mlp = 72, .context = 12, .vocab = 60 },
    { .name = "plain vit and bert", .h = 8, .w = 8, .dim = 40, .image_heads = 5, .text_heads = 5,
      .image = "{\"kind\":\"vit\",\"width\":40,\"layers\":2,\"heads\":5,\"mlp\":56,\"patch\":4,\"grid\":[2,2],"
               "\"act\":\"gelu\",\"eps\":1e-6,\"dim\":40}",
      .text = "{\"kind\":\"bert\",\"width\":40,\"layers\":3,\"heads\":5,\"mlp\":64,\"context\":12,"
              "\"positions\":20,\"vocab\":60,\"dim\":40,\"act\":\"gelu\",\"eps\":1e-6}",
      .grid = { 2, 2 }, .patch = 4, .layers = 2, .width = 40, .mlp = 56, .patch_bias = 1, .gelu = 1,
      .eps = 1e-6, .bert = 1, .text_layers = 3, .text_width = 40, .text_mlp = 64, .context = 12,
      .vocab = 60 },
    { .name = "vit of head 64, patch 14", .h = 42, .w = 42, .dim = 32, .image_heads = 2,
      .image = "{\"kind\":\"vit\",\"width\":128,\"layers\":2,\"heads\":2,\"mlp\":512,\"patch\":14,\"grid\":[3,3],"
               "\"act\":\"gelu\",\"eps\":1e-5,\"ln_pre\":1,\"dim\":32}",
      .grid = { 3, 3 }, .patch = 14, .layers = 2, .width = 128, .mlp = 512, .ln_pre = 1, .proj = 1,
      .gelu = 1, .eps = 1e-5 },
    { .name = "resnet, basic", .h = 37, .w = 33, .dim = 16, .resnet = 1,
      .image = "{\"kind\":\"resnet\",\"stem\":\"imagenet\",\"block\":\"basic\",\"layers\":[1,2],\"width\":8,"
               "\"pool\":\"mean\",\"shortcut\":\"conv\",\"dim\":16,\"input\":[37,33]}",
      .res = { .stages = 2, .layers = { 1, 2 }, .width = 8 } },
    { .name = "resnet, bottleneck", .h = 64, .w = 64, .dim = 256, .resnet = 1,
      .image = "{\"kind\":\"resnet\",\"stem\":\"imagenet\",\"block\":\"bottleneck\",\"layers\":[2,1,1,2],"
               "\"width\":8,\"pool\":\"mean\",\"shortcut\":\"conv\",\"dim\":256,\"input\":[64,64]}",
      .res = { .bottleneck = 1, .stages = 4, .layers = { 2, 1, 1, 2 }, .width = 8 } },
    { .name = "resnet, cifar", .h = 18, .w = 18, .dim = 32, .resnet = 1, .labels = 3,
      .image = "{\"kind\":\"resnet\",\"stem\":\"cifar\",\"block\":\"basic\",\"layers\":[2,2,2],\"width\":8,"
               "\"pool\":\"mean\",\"shortcut\":\"pad\",\"dim\":32,\"input\":[18,18]}",
      .res = { .cifar = 1, .stages = 3, .layers = { 2, 2, 2 }, .width = 8 } },
    { .name = "resnet, clip", .h = 64, .w = 96, .dim = 20, .resnet = 1, .image_heads = 4,
      .image = "{\"kind\":\"resnet\",\"stem\":\"clip\",\"block\":\"bottleneck\",\"layers\":[1,2,1,1],\"width\":8,"
               "\"pool\":\"attention\",\"shortcut\":\"conv\",\"heads\":4,\"dim\":20,\"input\":[64,96]}",
      .res = { .clip = 1, .bottleneck = 1, .stages = 4, .layers = { 1, 2, 1, 1 }, .width = 8,
               .heads = 4 } },
};

enum { FAMILIES = sizeof families / sizeof *families };

static void make_vit(make_model *m, const family *f)
{
    make_add(m, MATRIX, f->width, f->patch * f->patch * 3, 0, 0.05F, "v.patch.w");
    if (f->patch_bias)
        make_add(m, VECTOR, f->width, 1, 0, 0.3F, "v.patch.b");
    make_add(m, VECTOR, f->width, 1, 0, 0.5F, "v.cls");
    make_add(m, ARRAY, f->grid[0] * f->grid[1] + 1, f->width, 0, 0.5F, "v.pos");
    if (f->ln_pre)
        make_norm(m, f->width, "v.ln_pre");
    make_layers(m, "v", f->layers, f->width, f->mlp);
    make_norm(m, f->width, "v.ln_post");
    if (f->proj)
        make_add(m, MATRIX, f->dim, f->width, 0, 0.2F, "v.proj.w");
}

static void make_block(make_model *m, const res_shape *r, const char *base, size_t in, size_t planes,
                       size_t stride)
{
    char name[64];
    const size_t out = r->bottleneck ? 4 * planes : planes;
    snprintf(name, sizeof name, "%s.conv1", base);
    make_conv(m, planes, r->bottleneck ? in : 9 * in, name);
    snprintf(name, sizeof name, "%s.conv2", base);
    make_conv(m, planes, 9 * planes, name);
    snprintf(name, sizeof name, "%s.conv3", base);
    if (r->bottleneck)
        make_conv(m, out, planes, name);
    snprintf(name, sizeof name, "%s.down", base);
    if ((stride > 1 || in != out) && !r->cifar)
        make_conv(m, out, in, name);
}

static void make_resnet(make_model *m, const family *f)
{
    static const char *const parts[] = { "v.pool.q", "v.pool.k", "v.pool.v", "v.pool.o" };
    const res_shape *r = &f->res;
    char base[48];
    size_t c = r->width;
    make_conv(m, r->clip ? r->width / 2 : r->width, r->clip || r->cifar ? 27 : 147, "v.stem.0");
    if (r->clip) {
        make_conv(m, r->width / 2, 9 * r->width / 2, "v.stem.1");
        make_conv(m, r->width, 9 * r->width / 2, "v.stem.2");
    }
    for (size_t s = 0; s < r->stages; s++)
        for (size_t i = 0; i < r->layers[s]; i++) {
            snprintf(base, sizeof base, "v.%zu.%zu", s + 1, i);
            make_block(m, r, base, c, r->width << s, s && !i ? 2 : 1);
            c = (r->width << s) * (r->bottleneck ? 4 : 1);
        }
    if (!r->clip)
        return;
    make_add(m, ARRAY, (f->h / 32) * (f->w / 32) + 1, c, 0, 0.3F, "v.pool.pos");
    for (int i = 0; i < 4; i++)
        make_linear(m, i == 3 ? f->dim : c, c, parts[i]);
}

static void make_text(make_model *m, const family *f)
{
    make_add(m, TABLE, f->vocab, f->text_width, 0, 0.5F, "t.tok");
    make_add(m, TABLE, f->bert ? 20 : f->context, f->text_width, 0, 0.5F, "t.pos");
    if (f->bert)
        make_add(m, TABLE, 1, f->text_width, 0, 0.5F, "t.type");
    make_norm(m, f->text_width, f->bert ? "t.ln_emb" : "t.ln_final");
    make_layers(m, "t", f->text_layers, f->text_width, f->text_mlp);
    make_add(m, MATRIX, f->dim, f->text_width, 0, 0.2F, "t.proj.w");
}

static const float make_mean[3] = { 0.5F, 0.4F, 0.3F }, make_std[3] = { 0.2F, 0.25F, 0.3F };

/* *preprocess is kept for the life of m. */
static void make_family(make_model *m, const family *f, char preprocess[256])
{
    *m = (make_model){ .image = f->image, .text = f->text, .preprocess = preprocess, .seed = 7 };
    snprintf(preprocess, 256,
             "{\"fit\":\"squash\",\"resize\":[%zu,%zu],\"crop\":[%zu,%zu],\"filter\":\"bicubic\","
             "\"mean\":[0.5,0.4,0.3],\"std\":[0.2,0.25,0.3]}",
             f->h, f->w, f->h, f->w);
    if (f->resnet)
        make_resnet(m, f);
    else
        make_vit(m, f);
    if (f->text)
        make_text(m, f);
    if (f->labels) {
        m->labels = "[\"apple\",\"pear\",\"plum\"]";
        make_linear(m, (size_t)f->labels, f->dim, "fc");
    }
}

static void make_pixels(uint8_t *out, size_t n, uint64_t seed)
{
    kn_rand r = kn_rand_at(seed, 1);
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)kn_rand_below(&r, 256);
}

/* What the oracle says of one picture; free it. */
static inline double *want_image(make_model *m, const family *f, const uint8_t *pixels)
{
    const oracle o = { .m = m, .gelu = f->gelu, .heads = f->image_heads, .eps = f->eps };
    double *x = reals(f->h * f->w * 3);
    for (size_t i = 0; i < f->h * f->w * 3; i++)
        x[i] = (pixels[i] / 255.0 - make_mean[i % 3]) / make_std[i % 3];
    double *out = f->resnet ? oracle_resnet(&o, &f->res, x, f->h, f->w)
                            : oracle_vit(&o, x, f->grid[0], f->grid[1], f->patch, f->layers);
    free(x);
    return out;
}

static inline double *want_text(make_model *m, const family *f, const int32_t *ids, size_t len)
{
    const oracle o = { .m = m, .gelu = f->bert, .bert = f->bert, .causal = !f->bert,
                       .heads = f->text_heads, .eps = f->eps };
    return oracle_text(&o, ids, len, f->text_layers);
}

#endif
