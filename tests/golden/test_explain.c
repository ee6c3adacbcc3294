/*
 * test_explain.c - what places have to do with a cosine, against what PyTorch's gradients of the same
 * small networks say (explain.py).
 */
#include "tests/test.h"

#include "image/image.h"
#include "nn/places.h"
#include "tools/convert/emit.h"
#include "tools/convert/read.h"
#include "tools/convert/repack.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define HERE "tests/golden/models/"
enum { MAX_PLACES = 64, MAX_DIM = 256, MAX_SIDE = 224 };

typedef struct explain_case {
    const char *path, *method;
    size_t places;
    double want[MAX_PLACES];
} explain_case;

#include "tests/golden/explain_cases.h"

enum { CASES = sizeof cases / sizeof *cases };

/* Unfolded too, and 8 bits a weight, which only the way back through a transformer has to read anew. */
typedef struct setting {
    const char *name;
    int trainable, int8;
    double apart; /* of the greatest value wanted */
} setting;
static const setting settings[] = { { "folded", 0, 0, 1e-3 }, { "trainable", 1, 0, 1e-3 }, { "int8", 1, 1, 0.25 } };
enum { SETTINGS = sizeof settings / sizeof *settings };

static char out_path[64];

static void convert(const char *name, const setting *s)
{
    const cv_options o = { .type = KN_F32, .trainable = s->trainable }, packed = { .type = KN_F32, .int8 = s->int8 };
    char path[256];
    uint64_t bytes;
    cv_set set = { 0 };
    cv_side side;
    cv_plan plan;
    cv_emitted done;
    snprintf(path, sizeof path, HERE "%s", name);
    ck_assert_msg(!cv_read(&set, path), "%s: %s", path, ken_last_error());
    ck_assert_int_eq(cv_side_open(&side, path), KEN_OK);
    ck_assert_msg(!cv_plan_make(&plan, &set, &side, &o), "%s: %s", path, ken_last_error());
    ck_assert_msg(!cv_emit(&plan, &set, out_path, &done), "%s: %s", path, ken_last_error());
    cv_plan_release(&plan);
    cv_side_close(&side);
    cv_set_release(&set);
    if (s->int8)
        ck_assert_msg(!cv_repack(out_path, out_path, &packed, &bytes), "%s: %s", path, ken_last_error());
}

/* The publisher's unit vector of milk.png. */
static void read_target(const char *name, float *out)
{
    FILE *f = fopen(HERE "models.json", "rb");
    ck_assert_msg(f != NULL, "run the tests from the root of the tree");
    char *text = calloc(1, 1 << 20);
    ck_assert_uint_gt(fread(text, 1, (1 << 20) - 1, f), 0);
    fclose(f);
    cJSON *golden = cJSON_Parse(text), *found = NULL;
    for (cJSON *m = cJSON_GetObjectItem(golden, "models")->child; m && !found; m = m->next)
        if (!strcmp(cJSON_GetObjectItem(m, "path")->valuestring, name))
            found = cJSON_GetArrayItem(cJSON_GetObjectItem(m, "images"), 1);
    ck_assert_ptr_nonnull(found);
    for (const cJSON *v = found->child; v; v = v->next)
        *out++ = (float)v->valuedouble;
    cJSON_Delete(golden);
    free(text);
}

typedef struct run {
    kn_net *net;
    size_t dim, places;
    uint8_t *pixels;
    float target[MAX_DIM], features[MAX_DIM];
    double norm;
} run;

static void start(run *r, const char *name)
{
    const kn_net_options o = { .precision = "f32", .threads = 2 };
    ken_image *img = NULL;
    ck_assert_msg(!kn_net_open(&r->net, out_path, &o), "%s", ken_last_error());
    const kn_grid g = kn_net_grid(r->net);
    r->places = (size_t)g.hw[0] * g.hw[1];
    r->dim = kn_net_info(r->net)->dim;
    r->pixels = malloc(MAX_SIDE * MAX_SIDE * 3);
    ck_assert_int_eq(ken_image_load(&img, HERE "apple.png", NULL), KEN_OK);
    ck_assert_int_eq(kn_image_fit(img, kn_net_prep(r->net), r->pixels), KEN_OK);
    ken_image_free(img);
    ck_assert_int_eq(kn_net_images(r->net, r->pixels, 1, r->features), KEN_OK);
    read_target(name, r->target);
    double sum = 0;
    for (size_t j = 0; j < r->dim; j++)
        sum += (double)r->features[j] * r->features[j];
    r->norm = sqrt(sum);
}

static void cosine_grad(const run *r, float *dout)
{
    double dot = 0;
    for (size_t j = 0; j < r->dim; j++)
        dot += r->features[j] / r->norm * r->target[j];
    for (size_t j = 0; j < r->dim; j++)
        dout[j] = (float)((r->target[j] - dot * r->features[j] / r->norm) / r->norm);
}

static void find_parts(const run *r, double *got)
{
    float *parts = malloc(r->places * r->dim * sizeof *parts);
    ck_assert_int_eq(kn_net_parts(r->net, r->pixels, 1, parts), KEN_OK);
    for (size_t i = 0; i < r->places; i++) {
        got[i] = 0;
        for (size_t j = 0; j < r->dim; j++)
            got[i] += (double)parts[i * r->dim + j] * r->target[j] / r->norm;
    }
    free(parts);
}

static void find_heat(const run *r, const char *method, double *got)
{
    float dout[MAX_DIM], heat[MAX_PLACES];
    double sum = 0;
    cosine_grad(r, dout);
    const ken_status st = strcmp(method, "gradcam") ? kn_net_relevance(r->net, r->pixels, 1, dout, 0, heat)
                                                    : kn_net_gradcam(r->net, r->pixels, 1, dout, heat);
    ck_assert_msg(!st, "%s", ken_last_error());
    for (size_t i = 0; i < r->places; i++)
        sum += heat[i];
    for (size_t i = 0; i < r->places; i++)
        got[i] = heat[i] / sum;
}

/* _i: case and setting */
START_TEST(as_pytorch_has_it)
{
    const explain_case *c = &cases[_i / SETTINGS];
    const setting *s = &settings[_i % SETTINGS];
    double got[MAX_PLACES], most = 0, apart = 0;
    run r;
    convert(c->path, s);
    start(&r, c->path);
    ck_assert_uint_eq(r.places, c->places);
    if (strcmp(c->method, "parts"))
        find_heat(&r, c->method, got);
    else
        find_parts(&r, got);
    for (size_t i = 0; i < c->places; i++) {
        most = fmax(most, fabs(c->want[i]));
        apart = fmax(apart, fabs(got[i] - c->want[i]));
    }
    ck_assert_msg(apart <= s->apart * most, "%s, %s, %s: %.2e of %.2e apart", c->path, c->method, s->name, apart,
                  most);
    free(r.pixels);
    kn_net_close(r.net);
}
END_TEST

static void set_up(void)
{
    snprintf(out_path, sizeof out_path, "/tmp/ken-golden-explain-%d", (int)getpid());
}

static void tear_down(void)
{
    unlink(out_path);
}

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, as_pytorch_has_it, 0, CASES * SETTINGS);
}

int main(void)
{
    return kn_test_main("golden explain", fill);
}
