/*
 * test_explain.c - explanations: what places add up to, gradients against differences, and that
 * regions and sentences say what the pairs hold.
 */
#include "tests/unit/net_families.h"

#include "base/alloc.h"
#include "engine/explain.h"
#include "nn/net_state.h"
#include "nn/places.h"

#include <unistd.h>

static const char *const precisions[] = { "f32", "bf16x3", "bf16" };
static char path[64];

static void write_family(const family *f, kn_type type, make_model *m, char preprocess[256])
{
    make_family(m, f, preprocess);
    make_fold(m, f->image_heads, f->text_heads);
    make_round(m, type);
    make_write(m, (make_form){ type, 1, 1 }, path);
}

static kn_net *open_net(const char *file, const char *precision)
{
    kn_net *n = NULL;
    const kn_net_options o = { .precision = precision, .threads = 2 };
    ck_assert_msg(!kn_net_open(&n, file, &o), "%s", ken_last_error());
    return n;
}

static size_t places_of(const kn_net *n)
{
    const kn_grid g = kn_net_grid(n);
    return (size_t)g.hw[0] * g.hw[1];
}

/* ---- parts ---- */

/* Largest difference of the parts' sum from want (dim), relative to want's root mean square. */
static double off(const float *parts, size_t n, size_t dim, const double *want)
{
    double most = 0, square = 0;
    for (size_t j = 0; j < dim; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += parts[i * dim + j];
        most = fmax(most, fabs(sum - want[j]));
        square += want[j] * want[j];
    }
    return most / sqrt(square / (double)dim);
}

/* _i: family and precision.  In f32 they sum to the textbook's features in double. */
START_TEST(parts_sum_to_the_features)
{
    const family *f = &families[_i / 3];
    const char *precision = precisions[_i % 3];
    make_model m;
    char preprocess[256];
    if (!f->resnet)
        return;
    uint8_t *pixels = malloc(2 * f->h * f->w * 3);
    make_pixels(pixels, 2 * f->h * f->w * 3, 8);
    write_family(f, KN_F32, &m, preprocess);
    kn_net *n = open_net(path, precision);
    const size_t each = places_of(n) * f->dim;
    float *parts = malloc(2 * each * sizeof *parts);
    ck_assert_int_eq(kn_net_parts(n, pixels, 2, parts), KEN_OK);
    for (int i = 0; i < 2; i++) {
        double *want = want_image(&m, f, pixels + (size_t)i * f->h * f->w * 3);
        const double error = off(parts + (size_t)i * each, places_of(n), f->dim, want);
        ck_assert_msg(error < (strcmp(precision, "bf16") ? 1e-4 : 0.15), "%s, %s: off by %.2g", f->name,
                      precision, error);
        free(want);
    }
    kn_net_close(n);
    free(parts);
    free(pixels);
    make_release(&m);
}
END_TEST

/* The model that ships: a mean pool and a projection. */
START_TEST(parts_of_a_projection)
{
    kn_net *n = open_net("weights/ken-small.safetensors", "f32");
    const size_t dim = kn_net_info(n)->dim, places = places_of(n);
    const size_t size = (size_t)kn_net_info(n)->input[0] * kn_net_info(n)->input[1] * 3;
    uint8_t *pixels = malloc(size);
    float *parts = malloc(places * dim * sizeof *parts), *features = malloc(dim * sizeof *features);
    double *want = malloc(dim * sizeof *want);
    make_pixels(pixels, size, 9);
    ck_assert_int_eq(kn_net_parts(n, pixels, 1, parts), KEN_OK);
    ck_assert_int_eq(kn_net_images(n, pixels, 1, features), KEN_OK);
    for (size_t j = 0; j < dim; j++)
        want[j] = features[j];
    ck_assert_double_lt(off(parts, places, dim, want), 1e-5);
    free(want);
    free(features);
    free(parts);
    free(pixels);
    kn_net_close(n);
}
END_TEST

/* ---- gradients ---- */

typedef struct pooling {
    const kn_net *net;
    unsigned char *memory;
    size_t places, channels;
    float *parts;
} pooling;

/* The target: features . dout, as the pool makes it of a map. */
static double target(const pooling *p, const float *x, const float *dout)
{
    double sum = 0;
    kn_resnet_parts(&p->net->crew, &p->net->resnet, x, p->parts, (kn_arena){ p->memory, 0 });
    for (size_t i = 0; i < p->places * p->net->resnet.c.dim; i++)
        sum += (double)p->parts[i] * (double)dout[i % p->net->resnet.c.dim];
    return sum;
}

/* _i: family.  Along random directions, against central differences. */
START_TEST(the_map_has_its_gradient)
{
    const family *f = &families[_i];
    make_model m;
    char preprocess[256];
    if (!f->resnet)
        return;
    write_family(f, KN_F32, &m, preprocess);
    kn_net *n = open_net(path, "f32");
    pooling p = { .net = n, .places = places_of(n), .channels = n->resnet.channels };
    const size_t len = p.places * p.channels;
    p.memory = kn_alloc_aligned(kn_resnet_places_bytes(&n->crew, &n->resnet), 1);
    p.parts = malloc(p.places * f->dim * sizeof *p.parts);
    float *at = malloc(len * sizeof *at), *dmap = malloc(len * sizeof *dmap), *moved = malloc(len * sizeof *moved);
    float dout[512], *way = malloc(len * sizeof *way);
    kn_rand_fill_normal(at, len, 1, 1, 0.5F);
    kn_rand_fill_normal(dout, f->dim, 1, 2, 1);
    kn_resnet_map_grad(&n->crew, &n->resnet, at, dout, dmap, (kn_arena){ p.memory, 0 });
    for (uint64_t k = 0; k < 8; k++) {
        const float step = 0.02F;
        double value[2], along = 0, size = 0;
        kn_rand_fill_normal(way, len, 2, k, 1);
        for (int s = 0; s < 2; s++) {
            for (size_t i = 0; i < len; i++)
                moved[i] = at[i] + (s ? -step : step) * way[i];
            value[s] = target(&p, moved, dout);
        }
        for (size_t i = 0; i < len; i++) {
            along += (double)dmap[i] * way[i];
            size += (double)dmap[i] * dmap[i];
        }
        const double error = fabs((value[0] - value[1]) / (2 * (double)step) - along) / sqrt(size);
        ck_assert_msg(error < 5e-3, "%s: off by %.2g of the gradient", f->name, error);
    }
    free(way);
    free(moved);
    free(dmap);
    free(at);
    free(p.parts);
    kn_free(p.memory);
    kn_net_close(n);
    make_release(&m);
}
END_TEST

/* ---- the whole ---- */

static ken_model *open_model(const char *file, const char *precision)
{
    ken_model *m = NULL;
    ken_model_options o = KEN_MODEL_OPTIONS_INIT;
    o.precision = precision;
    ck_assert_msg(!ken_model_open(&m, file, &o), "%s", ken_last_error());
    return m;
}

static ken_image *noise(uint32_t w, uint32_t h, uint64_t seed)
{
    ken_image *img = NULL;
    uint8_t *rgb = malloc((size_t)w * h * 3);
    make_pixels(rgb, (size_t)w * h * 3, seed);
    ck_assert_int_eq(ken_image_from_rgb(&img, rgb, w, h, (size_t)w * 3), KEN_OK);
    free(rgb);
    return img;
}

static double sum_of(const float *cells, const uint32_t grid[2])
{
    double sum = 0;
    for (size_t i = 0; i < (size_t)grid[0] * grid[1]; i++)
        sum += cells[i];
    return sum;
}

static double cosine(const ken_model *m, const ken_term *a, const ken_term *b)
{
    float x[2][512];
    const ken_term *terms[2] = { a, b };
    double dot = 0;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(terms[i]->text ? ken_model_embed_texts(m, &terms[i]->text, 1, x[i])
                                        : ken_model_embed(m, &terms[i]->image, 1, x[i]), KEN_OK);
    for (uint32_t j = 0; j < ken_model_get_info(m)->dim; j++)
        dot += (double)x[0][j] * (double)x[1][j];
    return dot;
}

/* _i: precision.  Both maps sum to the cosine that ken_model_embed's vectors have. */
START_TEST(maps_sum_to_the_cosine)
{
    ken_model *m = open_model("weights/ken-small.safetensors", precisions[_i]);
    ken_image *img[2] = { noise(150, 90, 1), noise(64, 200, 2) };
    const ken_term a = { .image = img[0] }, b = { .image = img[1] }, c = { .text = "a brown bear" };
    ken_explanation *e = NULL;
    ck_assert_msg(!ken_explain(m, &a, &b, NULL, &e), "%s", ken_last_error());
    ck_assert_str_eq(e->method, "parts");
    const double want = cosine(m, &a, &b);
    ck_assert_double_lt(fabs(sum_of(e->a, e->grid) - want), 1e-5);
    ck_assert_double_lt(fabs(sum_of(e->b, e->grid) - want), 1e-5);
    ck_assert_double_lt(fabs((double)e->raw - want), 1e-6);
    ken_explanation_free(e);
    ck_assert_int_eq(ken_explain(m, &c, &b, NULL, &e), KEN_OK);
    ck_assert_ptr_null(e->a);
    ck_assert_double_lt(fabs(sum_of(e->b, e->grid) - cosine(m, &c, &b)), 1e-5);
    for (size_t i = 0; i < e->n_regions; i++)
        ck_assert_uint_eq(e->regions[i].a[2], 0);
    ken_explanation_free(e);
    for (int i = 0; i < 2; i++)
        ken_image_free(img[i]);
    ken_model_close(m);
}
END_TEST

/* Long words are cut between letters, never inside one. */
START_TEST(long_words_are_cut)
{
    ken_model *m = open_model("weights/ken-small.safetensors", "f32");
    ken_image *img = noise(64, 64, 1);
    char words[400];
    ken_explain_options o = KEN_EXPLAIN_OPTIONS_INIT;
    o.language = "en";
    for (int lead = 0; lead < 3; lead++) {
        ken_explanation *e = NULL;
        snprintf(words, sizeof words, "%.*s", lead, "ab");
        for (int i = 0; i < 60; i++)
            strcat(words, "熊");
        const ken_term a = { .text = words }, b = { .image = img };
        ck_assert_int_eq(ken_explain(m, &a, &b, &o, &e), KEN_OK);
        const char *cut = strstr(e->text, "…\"");
        ck_assert(cut && !strncmp(cut - 3, "熊", 3));
        ken_explanation_free(e);
    }
    const ken_term a = { .text = "bear" }, b = { .image = img };
    ken_explanation *e = NULL;
    o.language = "fr";
    ck_assert_int_eq(ken_explain(m, &a, &b, &o, &e), KEN_E_INVALID);
    ken_image_free(img);
    ken_model_close(m);
}
END_TEST

/* The same bits with any number of threads. */
START_TEST(threads_change_nothing)
{
    make_model made;
    char preprocess[256];
    ken_image *img[2] = { noise(30, 20, 1), noise(20, 40, 2) };
    const ken_term a = { .image = img[0] }, b = { .image = img[1] };
    ken_explanation *e[2] = { NULL, NULL };
    write_family(&families[_i], KN_F32, &made, preprocess);
    for (uint32_t k = 0; k < 2; k++) {
        ken_model *m = NULL;
        ken_model_options o = KEN_MODEL_OPTIONS_INIT;
        o.threads = 1 + 2 * k;
        ck_assert_int_eq(ken_model_open(&m, path, &o), KEN_OK);
        ck_assert_int_eq(ken_explain(m, &a, &b, NULL, &e[k]), KEN_OK);
        ken_model_close(m);
    }
    const size_t bytes = (size_t)e[0]->grid[0] * e[0]->grid[1] * sizeof(float);
    ck_assert_int_eq(memcmp(e[0]->a, e[1]->a, bytes), 0);
    ck_assert_int_eq(memcmp(e[0]->b, e[1]->b, bytes), 0);
    ck_assert_str_eq(e[0]->text, e[1]->text);
    for (int k = 0; k < 2; k++) {
        ken_explanation_free(e[k]);
        ken_image_free(img[k]);
    }
    make_release(&made);
}
END_TEST

/* What a centre crop leaves out is 0, and only that. */
START_TEST(maps_are_of_the_whole_picture)
{
    ken_model *m = open_model("weights/ken-small.safetensors", "f32");
    ken_image *img = noise(320, 80, 3);
    const ken_term a = { .image = img };
    ken_explain_options o = KEN_EXPLAIN_OPTIONS_INIT;
    ken_explanation *e = NULL;
    o.grid = 32;
    ck_assert_int_eq(ken_explain(m, &a, &a, &o, &e), KEN_OK);
    ck_assert_uint_eq(e->grid[0] * e->grid[1], 32 * 32);
    for (uint32_t i = 0; i < 32 * 32; i++) {
        const uint32_t x = i % 32; /* the crop is the middle quarter */
        ck_assert_msg((e->a[i] != 0) == (x >= 12 && x < 20), "cell %u,%u holds %g", x, i / 32, (double)e->a[i]);
        ck_assert_float_eq(e->a[i], e->b[i]);
    }
    for (size_t i = 0; i < e->n_regions; i++) {
        ck_assert_uint_ge(e->regions[i].a[0], 120);
        ck_assert_uint_le(e->regions[i].a[0] + e->regions[i].a[2], 200);
    }
    ken_explanation_free(e);
    ken_image_free(img);
    ken_model_close(m);
}
END_TEST

/* _i: family.  A transformer's maps are shares; each kind of network refuses the other's methods. */
START_TEST(each_network_has_its_methods)
{
    static const char *const methods[] = { "parts", "gradcam", "relevance" };
    const family *f = &families[_i];
    make_model made;
    char preprocess[256];
    write_family(f, KN_F16, &made, preprocess);
    ken_model *m = open_model(path, "f32");
    ken_image *img[2] = { noise(30, 20, 1), noise(20, 40, 2) };
    const ken_term a = { .image = img[0] }, b = { .image = img[1] };
    ken_explain_options o = KEN_EXPLAIN_OPTIONS_INIT;
    for (int k = 0; k < 3; k++) {
        ken_explanation *e = NULL;
        o.method = methods[k];
        const int allowed = f->resnet ? k < 2 : k == 2;
        ck_assert_int_eq(ken_explain(m, &a, &b, &o, &e), allowed ? KEN_OK : KEN_E_UNSUPPORTED);
        if (!allowed)
            continue;
        ck_assert_str_eq(e->method, methods[k]);
        for (int side = 0; side < 2 && k; side++) {
            const double sum = sum_of(side ? e->b : e->a, e->grid);
            ck_assert_msg(sum == 0 || fabs(sum - 1) < 1e-5, "%s, %s: %g", f->name, methods[k], sum);
        }
        ck_assert_int_eq(strstr(e->text, "By ") == e->text, k > 0);
        ken_explanation_free(e);
    }
    for (int i = 0; i < 2; i++)
        ken_image_free(img[i]);
    ken_model_close(m);
    make_release(&made);
}
END_TEST

/* ---- regions ---- */

enum { GRID = 16, N = 16 };

/* Pictures whose network has 4 x 4 places, side by side, without a crop. */
static void set_side(kn_side *s, const ken_term *t)
{
    *s = (kn_side){ .term = t, .places = N, .hw = { 4, 4 }, .grid = { { 4, 4 }, 8, 16 } };
}

static void free_side(kn_side *s)
{
    kn_free(s->rows);
    kn_free(s->cols);
    kn_free(s->map);
}

static int holds(const uint32_t box[4], uint32_t x, uint32_t y)
{
    return x >= box[0] && x < box[0] + box[2] && y >= box[1] && y < box[1] + box[3];
}

/* Two pairs of places agree, a third speaks against: two regions, the stronger first, in their corners. */
START_TEST(regions_are_where_the_pairs_are)
{
    static const kn_prep prep = { .fit = KN_FIT_SQUASH, .resize = { 64, 64 }, .crop = { 64, 64 } };
    ken_image *img[2] = { noise(128, 64, 4), noise(64, 256, 5) };
    const ken_term a = { .image = img[0] }, b = { .image = img[1] };
    double pairs[N * N] = { 0 };
    ken_region r[4];
    size_t n = 0;
    char *text = NULL;
    kn_explaining e = { .grid = GRID, .pairs = pairs };
    set_side(&e.side[0], &a);
    set_side(&e.side[1], &b);
    pairs[0 * N + 15] = 0.4;  /* upper left of a, lower right of b */
    pairs[15 * N + 0] = 0.2;  /* the reverse */
    pairs[3 * N + 12] = -0.5; /* against */
    ck_assert_int_eq(kn_explain_maps(&e, &prep), KEN_OK);
    ck_assert_double_eq_tol(sum_of(e.side[0].map, (uint32_t[]){ GRID, GRID }), 0.1, 1e-6);
    ck_assert_float_lt(e.side[0].map[15], 0);
    ck_assert_int_eq(kn_explain_regions(&e, r, 4, &n), KEN_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert(holds(r[0].a, 8, 4) && holds(r[0].b, 60, 250));
    ck_assert(holds(r[1].a, 120, 60) && holds(r[1].b, 4, 10));
    ck_assert(!holds(r[0].a, 64, 32) && !holds(r[0].b, 32, 128));
    ck_assert_float_gt(r[0].share, 1.7F * r[1].share);
    ck_assert_float_gt(r[0].share + r[1].share, 0.4F);
    ck_assert_float_le(r[0].share + r[1].share, 1.0001F);
    ck_assert_int_eq(kn_explain_sentence(&e, "", r, n, &text), KEN_OK);
    ck_assert_ptr_nonnull(strstr(text, "from the upper left of A and the lower right of B, "));
    ck_assert_ptr_nonnull(strstr(text, "from the lower right of A and the upper left of B."));
    kn_free(text);
    for (int i = 0; i < 2; i++) {
        free_side(&e.side[i]);
        ken_image_free(img[i]);
    }
}
END_TEST

/* ---- what is refused ---- */

START_TEST(wrong_use_is_told)
{
    ken_model *m = open_model("weights/ken-small.safetensors", "f32");
    ken_image *img = noise(64, 64, 6), *drawn = NULL;
    const ken_term a = { .image = img }, c = { .text = "a bear" }, none = { 0 }, both = { .image = img, .text = "x" };
    ken_explain_options o = KEN_EXPLAIN_OPTIONS_INIT;
    ken_explanation *e = NULL;
    ck_assert_int_eq(ken_explain(m, &c, &c, NULL, &e), KEN_E_INVALID);
    ck_assert_int_eq(ken_explain(m, &a, &none, NULL, &e), KEN_E_INVALID);
    ck_assert_int_eq(ken_explain(m, &a, &both, NULL, &e), KEN_E_INVALID);
    o.method = "magic";
    ck_assert_int_eq(ken_explain(m, &a, &a, &o, &e), KEN_E_INVALID);
    o = (ken_explain_options)KEN_EXPLAIN_OPTIONS_INIT;
    o.grid = 257;
    ck_assert_int_eq(ken_explain(m, &a, &a, &o, &e), KEN_E_INVALID);
    ck_assert_ptr_null(e);
    ck_assert_int_eq(ken_explain(m, &a, &c, NULL, &e), KEN_OK);
    ck_assert_int_eq(ken_explanation_draw(&drawn, e, &a, &a, 0), KEN_E_INVALID);
    ck_assert_int_eq(ken_explanation_draw(&drawn, e, &a, &c, 100), KEN_OK);
    ck_assert_uint_eq(ken_image_height(drawn), 100);
    ken_image_free(drawn);
    ken_explanation_free(e);
    ken_image_free(img);
    ken_model_close(m);
}
END_TEST

/* Every allocation denied in turn. */
START_TEST(survives_denied_memory)
{
    static const char *const methods[] = { "parts", "gradcam", "relevance" };
    make_model made;
    char preprocess[256];
    write_family(&families[_i < 2 ? 6 : 0], KN_F32, &made, preprocess);
    ken_model *m = open_model(path, "f32");
    ken_image *img = noise(40, 60, 7);
    const ken_term a = { .image = img };
    ken_explain_options o = KEN_EXPLAIN_OPTIONS_INIT;
    o.method = methods[_i];
    for (long after = 0;; after++) {
        ken_explanation *e = NULL;
        ken_image *drawn = NULL;
        kn_alloc_fail_after(after);
        ken_status st = ken_explain(m, &a, &a, &o, &e);
        if (!st)
            st = ken_explanation_draw(&drawn, e, &a, &a, 32);
        const long denied = kn_alloc_denied();
        kn_alloc_fail_after(-1);
        ck_assert_int_eq(st, denied ? KEN_E_NOMEM : KEN_OK);
        ken_image_free(drawn);
        ken_explanation_free(e);
        if (!denied)
            break;
    }
    ken_image_free(img);
    ken_model_close(m);
    make_release(&made);
}
END_TEST

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/ken-test-explain-%d", (int)getpid());
}

static void tear_down(void)
{
    unlink(path);
}

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, parts_sum_to_the_features, 0, 3 * FAMILIES);
    tcase_add_test(tc, parts_of_a_projection);
    tcase_add_loop_test(tc, the_map_has_its_gradient, 0, FAMILIES);
    tcase_add_loop_test(tc, maps_sum_to_the_cosine, 0, 3);
    tcase_add_test(tc, maps_are_of_the_whole_picture);
    tcase_add_test(tc, long_words_are_cut);
    tcase_add_loop_test(tc, threads_change_nothing, 0, FAMILIES);
    tcase_add_loop_test(tc, each_network_has_its_methods, 0, FAMILIES);
    tcase_add_test(tc, regions_are_where_the_pairs_are);
    tcase_add_test(tc, wrong_use_is_told);
    tcase_add_loop_test(tc, survives_denied_memory, 0, 3);
}

int main(void)
{
    return kn_test_main("explain", fill);
}
