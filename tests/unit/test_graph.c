/*
 * test_graph.c - nn/graph*.c beyond gradients (tests/grad has those): a graph loaded from any kind of
 * model file computes what the textbook does, the first training batch changes nothing of it, and
 * what the graph writes runs as inference.  QUICK=1 tries two families, and one kind of file.
 */
#include "tests/unit/net_families.h"

#include "base/file.h"
#include "nn/config.h"
#include "nn/graph.h"
#include "nn/net.h"

#include <unistd.h>

enum { PICTURES = 3, TEXTS = 3, TOKENS = 64, FORMS = 4 };

static const make_form forms[FORMS] = { { KN_F32, 1, 1 }, { KN_BF16, 1, 1 }, { KN_F16, 0, 1 }, { KN_F32, 0, 0 } };
static const char *const form_names[FORMS] = { "f32, packed, folded", "bf16, packed, folded",
                                               "f16, rows, folded", "f32, trainable" };

/* ---- a family's model, its file, and a graph of it ---- */

typedef struct bench {
    const family *f;
    const make_form *form;
    make_model m;            /* folded, and rounded as the file is */
    size_t in_file;          /* the first of m's tensors, which the file has */
    char preprocess[256];
    uint8_t *pixels;         /* (PICTURES, h, w, 3) */
    int32_t ids[TOKENS];
    size_t lens[TEXTS];
} bench;

static char path[64], written[64];

/* Whether to try this family and form: attention pooling does not train. */
static int wanted(const family *f, int form)
{
    return !f->res.clip && (!getenv("QUICK") || (form == 1 && (f == &families[0] || f == &families[3])));
}

static void set_the_bench(bench *b, const family *f, const make_form *form)
{
    *b = (bench){ .f = f, .form = form };
    make_family(&b->m, f, b->preprocess);
    if (form->folded)
        make_fold(&b->m, f->image_heads, f->text_heads);
    make_round(&b->m, form->type);
    make_write(&b->m, *form, path);
    b->in_file = b->m.len;
    if (!form->folded)
        make_fold(&b->m, f->image_heads, f->text_heads);
    b->pixels = malloc(PICTURES * f->h * f->w * 3);
    make_pixels(b->pixels, PICTURES * f->h * f->w * 3, 5);
    kn_rand r = kn_rand_at(9, 9);
    size_t at = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        b->lens[i] = 4 + 3 * i;
        for (size_t j = 0; j < b->lens[i]; j++)
            b->ids[at++] = j + 1 < b->lens[i] ? (int32_t)kn_rand_below(&r, 58) : 59;
    }
}

static void clear_the_bench(bench *b)
{
    make_release(&b->m);
    free(b->pixels);
}

static kn_graph *new_graph(const bench *b, kn_math math, int text)
{
    const kn_graph_options o = { .batch = PICTURES, .tokens = TOKENS, .math = math, .threads = 2,
                                 .seed = 1, .text = text };
    kn_net_config c;
    kn_graph *g = NULL;
    ck_assert_msg(kn_config_parse(&c, b->f->image, b->preprocess, b->f->text) == KEN_OK, "%s", ken_last_error());
    ck_assert_msg(kn_graph_new(&g, &c, &o) == KEN_OK, "%s", ken_last_error());
    return g;
}

static ken_status load(kn_graph *g, size_t *kept)
{
    kn_weights *w = NULL;
    ck_assert_int_eq(kn_weights_open(&w, path), KEN_OK);
    const ken_status st = kn_graph_load(g, w, kept);
    kn_weights_close(w);
    return st;
}

static kn_graph *loaded_graph(const bench *b, kn_math math, int text)
{
    kn_graph *g = new_graph(b, math, text);
    size_t kept = 9;
    ck_assert_msg(load(g, &kept) == KEN_OK, "%s", ken_last_error());
    ck_assert_uint_eq(kept, 0);
    return g;
}

static const float *pictures(kn_graph *g, const bench *b, int train)
{
    const float *out = NULL;
    ck_assert_int_eq(kn_graph_images(g, b->pixels, PICTURES, train, 0, &out), KEN_OK);
    return out;
}

static const float *texts(kn_graph *g, const bench *b, int train)
{
    const float *out = NULL;
    ck_assert_int_eq(kn_graph_texts(g, b->ids, b->lens, TEXTS, train, 0, &out), KEN_OK);
    return out;
}

/* ---- what is expected: an oracle's row in double ---- */

static void expect(const float *got, const double *want, size_t n, kn_math math, const char *what,
                   const char *when)
{
    double gg = 0, ww = 0, gw = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        gg += (double)got[i] * got[i];
        ww += want[i] * want[i];
        gw += got[i] * want[i];
        most = fmax(most, fabs(got[i] - want[i]));
    }
    const double cosine = gw / sqrt(gg * ww), off = most / sqrt(ww / (double)n);
    ck_assert_msg(math == KN_MATH_F32 ? cosine >= 0.999999 && off <= 1e-4 : cosine >= 0.9995,
                  "%s, %s, %s: cosine %.9f, off by %.2g", what, math == KN_MATH_F32 ? "f32" : "bf16", when,
                  cosine, off);
}

static void expect_pictures(bench *b, const float *got, kn_math math, const char *when)
{
    const family *f = b->f;
    for (size_t i = 0; i < PICTURES; i++) {
        double *want = want_image(&b->m, f, b->pixels + i * f->h * f->w * 3);
        expect(got + i * f->dim, want, f->dim, math, f->name, when);
        free(want);
    }
}

static void expect_texts(bench *b, const float *got, kn_math math, const char *when)
{
    for (size_t i = 0, at = 0; i < TEXTS; at += b->lens[i++]) {
        double *want = want_text(&b->m, b->f, b->ids + at, b->lens[i]);
        expect(got + i * b->f->dim, want, b->f->dim, math, b->f->name, when);
        free(want);
    }
}

/* The graph in a file as the trainer writes it. */
static void write_graph(const kn_graph *g, const bench *b, int text)
{
    kn_writer *w = NULL;
    ck_assert_int_eq(kn_writer_new(&w), KEN_OK);
    make_meta(w, "ken", "1");
    make_meta(w, "arch", "custom");
    make_meta(w, "image", text ? NULL : b->f->image);
    make_meta(w, "preprocess", text ? NULL : b->preprocess);
    make_meta(w, "text", text ? b->f->text : NULL);
    make_meta(w, "layout", "rows");
    make_meta(w, "folded", "0");
    make_meta(w, "dtype", "f32");
    ck_assert_int_eq(kn_graph_declare(g, w), KEN_OK);
    ck_assert_int_eq(kn_writer_begin(w, written), KEN_OK);
    ck_assert_int_eq(kn_graph_write(g, w, NULL), KEN_OK);
    ck_assert_int_eq(kn_writer_commit(w), KEN_OK);
    kn_writer_free(w);
}

/* What inference makes of that file. */
static void run_file(const bench *b, int text, float *out)
{
    kn_net *n = NULL;
    ck_assert_msg(kn_net_open(&n, written, &(kn_net_options){ .precision = "f32" }) == KEN_OK, "%s",
                  ken_last_error());
    ck_assert_int_eq(text ? kn_net_texts(n, b->ids, b->lens, TEXTS, out)
                          : kn_net_images(n, b->pixels, PICTURES, out), KEN_OK);
    kn_net_close(n);
}

/* ---- loading ---- */

static void check_pictures(bench *b, kn_math math)
{
    const char *form = form_names[b->form - forms];
    char when[64];
    kn_graph *g = loaded_graph(b, math, 0);
    snprintf(when, sizeof when, "%s, loaded", form);
    expect_pictures(b, pictures(g, b, 0), math, when);
    if (b->form->folded) { /* else the batch has statistics of its own */
        snprintf(when, sizeof when, "%s, in the first batch", form);
        expect_pictures(b, pictures(g, b, 1), math, when);
        snprintf(when, sizeof when, "%s, after the first batch", form);
        expect_pictures(b, pictures(g, b, 0), math, when);
    }
    float *out = malloc(PICTURES * b->f->dim * sizeof *out);
    write_graph(g, b, 0);
    run_file(b, 0, out);
    snprintf(when, sizeof when, "%s, written", form);
    expect_pictures(b, out, math, when);
    free(out);
    kn_graph_free(g);
}

static void check_texts(bench *b, kn_math math)
{
    const char *form = form_names[b->form - forms];
    kn_graph *g = loaded_graph(b, math, 1);
    float *out = malloc(TEXTS * b->f->dim * sizeof *out);
    expect_texts(b, texts(g, b, 0), math, form);
    expect_texts(b, texts(g, b, 1), math, form);
    write_graph(g, b, 1);
    run_file(b, 1, out);
    expect_texts(b, out, math, form);
    free(out);
    kn_graph_free(g);
}

/* _i: family and form */
START_TEST(a_file_becomes_a_graph)
{
    bench b;
    if (!wanted(&families[_i / FORMS], _i % FORMS))
        return;
    set_the_bench(&b, &families[_i / FORMS], &forms[_i % FORMS]);
    for (int math = 0; math < 2; math++) {
        check_pictures(&b, math ? KN_MATH_BF16 : KN_MATH_F32);
        if (b.f->text)
            check_texts(&b, math ? KN_MATH_BF16 : KN_MATH_F32);
    }
    clear_the_bench(&b);
}
END_TEST

/* What the file lacks stays as it was, and is counted. */
START_TEST(a_missing_tensor_is_counted)
{
    bench b;
    size_t kept = 9, n;
    set_the_bench(&b, &families[0], &forms[0]);
    make_find(&b.m, "v.2.fc1.w")->name[0] = 'x';
    make_write(&b.m, forms[0], path);
    kn_graph *fresh = new_graph(&b, KN_MATH_F32, 0), *g = new_graph(&b, KN_MATH_F32, 0);
    ck_assert_int_eq(load(g, &kept), KEN_OK);
    ck_assert_uint_eq(kept, 1);
    const kn_param *p = kn_graph_params(g, &n);
    for (size_t i = 0; i < n; i++) {
        const int same = !memcmp(kn_graph_weights(g, NULL) + p[i].at, kn_graph_weights(fresh, NULL) + p[i].at,
                                 p[i].len * sizeof(float));
        ck_assert_msg(same == !strcmp(p[i].name, "v.2.fc1.w"), "%s", p[i].name);
    }
    kn_graph_free(g);
    kn_graph_free(fresh);
    clear_the_bench(&b);
}
END_TEST

/* A tensor with 16 more rows than wanted: one more panel, whatever its layout. */
static void lengthen(make_tensor *t)
{
    float *more = calloc((t->n + 16) * t->k, sizeof *more);
    memcpy(more, t->data, t->n * t->k * sizeof *more);
    free(t->data);
    t->data = more;
    t->n += 16;
}

static void refuse(kn_graph *g, const char *name, const char *why)
{
    size_t kept = 0;
    ck_assert_msg(load(g, &kept) == KEN_E_FORMAT, "%s: taken", name);
    ck_assert_msg(strstr(ken_last_error(), name) && strstr(ken_last_error(), why), "of %s, %s: said '%s'",
                  name, why, ken_last_error());
}

/* _i: a transformer or a residual network, and form.  Each tensor in turn of another shape. */
START_TEST(a_wrong_shape_is_named)
{
    bench b;
    if (getenv("QUICK") && _i % FORMS != 1)
        return;
    set_the_bench(&b, &families[_i / FORMS ? 3 : 1], &forms[_i % FORMS]);
    kn_graph *side[2] = { new_graph(&b, KN_MATH_F32, 0), b.f->text ? new_graph(&b, KN_MATH_F32, 1) : NULL };
    for (size_t i = 0; i < b.in_file; i++) {
        make_tensor *t = &b.m.list[i];
        if (!make_wanted(t, b.form))
            continue;
        lengthen(t);
        make_write(&b.m, *b.form, path);
        refuse(side[t->name[0] == 't'], t->name, "shape [");
        t->n -= 16;
    }
    kn_graph_free(side[0]);
    kn_graph_free(side[1]);
    clear_the_bench(&b);
}
END_TEST

START_TEST(a_wrong_type_is_named)
{
    bench b;
    kn_writer *w = NULL;
    set_the_bench(&b, &families[3], &forms[3]);
    ck_assert_int_eq(kn_writer_new(&w), KEN_OK);
    make_meta(w, "layout", "rows");
    make_meta(w, "folded", "0");
    ck_assert_int_eq(kn_writer_declare(w, "v.stem.0.w", KN_DT_I32, 2, (uint64_t[]){ 8, 147 }), KEN_OK);
    ck_assert_int_eq(kn_writer_begin(w, path), KEN_OK);
    ck_assert_int_eq(kn_writer_commit(w), KEN_OK);
    kn_writer_free(w);
    kn_graph *g = new_graph(&b, KN_MATH_F32, 0);
    refuse(g, "v.stem.0.w", "I32");
    kn_graph_free(g);
    clear_the_bench(&b);
}
END_TEST

START_TEST(a_foreign_file_is_refused)
{
    bench b;
    size_t kept = 0;
    set_the_bench(&b, &families[3], &forms[0]);
    kn_graph *g = new_graph(&b, KN_MATH_F32, 0);
    ck_assert_int_eq(kn_replace_file(path, "\2\0\0\0\0\0\0\0{}", 10), KEN_OK);
    ck_assert_int_eq(load(g, &kept), KEN_E_MODEL);
    kn_graph_free(g);
    clear_the_bench(&b);
}
END_TEST

/* ---- freezing ---- */

static int is_frozen(const kn_param *p)
{
    return !strncmp(p->name, "v.stem", 6) || !strncmp(p->name, "v.1.", 4);
}

/* Of one parameter after a step: whether it got a gradient, and whether it still is what it was. */
static void check_step(const kn_param *p, const float *dw, const float *w, const float *before)
{
    int gradient = 0;
    const int same = !memcmp(w + p->at, before + p->at, p->len * sizeof *w);
    for (size_t j = 0; j < p->len; j++)
        gradient |= dw[p->at + j] != 0;
    ck_assert_msg(gradient == !(is_frozen(p) || p->statistic), "%s: gradient %d", p->name, gradient);
    ck_assert_msg(p->frozen == (is_frozen(p) || p->statistic), "%s: frozen %d", p->name, p->frozen);
    /* the first batch makes norms of what was folded; nothing else changes without an optimiser */
    ck_assert_msg(same == (is_frozen(p) || !strstr(p->name, ".bn.")), "%s: same %d", p->name, same);
}

/* _i: form */
START_TEST(the_frozen_stays)
{
    bench b;
    size_t n, len, frozen = 0;
    set_the_bench(&b, &families[3], &forms[_i]);
    kn_graph *g = loaded_graph(&b, KN_MATH_F32, 0);
    const kn_param *p = kn_graph_params(g, &n);
    for (size_t i = 0; i < n; i++)
        frozen += (size_t)is_frozen(&p[i]);
    ck_assert_uint_eq(kn_graph_freeze(g, "v.stem,v.1."), frozen);
    ck_assert_uint_eq(kn_graph_freeze(g, ""), 0);
    ck_assert_uint_eq(kn_graph_freeze(g, ",v.9,"), 0);
    float *w = kn_graph_weights(g, &len), *before = malloc(len * sizeof *before);
    float *dout = malloc(PICTURES * b.f->dim * sizeof *dout);
    memcpy(before, w, len * sizeof *before);
    kn_rand_fill_normal(dout, PICTURES * b.f->dim, 3, 3, 1);
    (void)pictures(g, &b, 1);
    kn_graph_zero_gradients(g);
    kn_graph_backward(g, dout);
    for (size_t i = 0; i < n; i++)
        if (b.form->folded || !strstr(p[i].name, ".bn.") || p[i].statistic || is_frozen(&p[i]))
            check_step(&p[i], kn_graph_gradients(g), w, before);
    if (b.form->folded)
        expect_pictures(&b, pictures(g, &b, 0), KN_MATH_F32, "partly frozen, after the first batch");
    free(dout);
    free(before);
    kn_graph_free(g);
    clear_the_bench(&b);
}
END_TEST

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/ken-graph-%d.safetensors", (int)getpid());
    snprintf(written, sizeof written, "/tmp/ken-graph-%d-out.safetensors", (int)getpid());
}

static void tear_down(void)
{
    (void)unlink(path);
    (void)unlink(written);
}

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, a_file_becomes_a_graph, 0, FAMILIES * FORMS);
    tcase_add_test(tc, a_missing_tensor_is_counted);
    tcase_add_loop_test(tc, a_wrong_shape_is_named, 0, 2 * FORMS);
    tcase_add_test(tc, a_wrong_type_is_named);
    tcase_add_test(tc, a_foreign_file_is_refused);
    tcase_add_loop_test(tc, the_frozen_stays, 0, FORMS);
}

int main(void)
{
    printf("level %s of: %s\n", kn_level_get(), ken_cpu_levels());
    fflush(stdout);
    return kn_test_main("graph", fill);
}
