/*
 * test_models.c - small models of every family, converted here, against what their publishers' own
 * code gave for the same pictures and texts (make_models.py).
 */
#include "tests/test.h"

#include "nn/net.h"
#include "tools/convert/emit.h"
#include "tools/convert/read.h"
#include "tools/convert/repack.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define HERE "tests/golden/models/"
enum { MODELS = 12, MAX_DIM = 256, MAX_TOKENS = 64, MAX_SIDE = 224 };

/* How one run stores and computes, and how near it must come. */
typedef struct setting {
    const char *name, *precision;
    kn_type type;
    int trainable;
    double cosine, apart;
    int repack, int8; /* packed again from the trainable file */
} setting;

static const setting settings[] = {
    { "f32", "f32", KN_F32, 0, 0.999999, 1e-5, 0, 0 },
    { "trainable", "f32", KN_F32, 1, 0.999999, 1e-5, 0, 0 },
    { "trainable, packed", "f32", KN_F32, 1, 0.999999, 1e-5, 1, 0 },
    { "int8", "f32", KN_BF16, 1, 0.998, 3e-2, 1, 1 },
    { "f16", "f32", KN_F16, 0, 0.9999, 1e-2, 0, 0 },
    { "bf16 stored, f32 computed", "f32", KN_BF16, 0, 0.9995, 3e-2, 0, 0 },
    { "bf16", "bf16", KN_BF16, 0, 0.9995, 3e-2, 0, 0 },
    { "bf16x3", "bf16x3", KN_F32, 0, 0.99999, 1e-3, 0, 0 },
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static cJSON *golden;
static char out_path[] = "/tmp/ken-golden-XXXXXX";

static void read_golden(void)
{
    FILE *f = fopen(HERE "models.json", "rb");
    ck_assert_msg(f != NULL, "run the tests from the root of the tree");
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    const long n = ftell(f);
    rewind(f);
    char *text = calloc(1, (size_t)n + 1);
    ck_assert_uint_eq(fread(text, 1, (size_t)n, f), (size_t)n);
    fclose(f);
    golden = cJSON_Parse(text);
    free(text);
    ck_assert_ptr_nonnull(golden);
}

static void forget_golden(void)
{
    cJSON_Delete(golden);
}

/* ---- converting ---- */

static void convert(const cJSON *model, const setting *s)
{
    const cJSON *size = cJSON_GetObjectItem(model, "size");
    const cJSON *act = cJSON_GetObjectItem(model, "activation");
    const cv_options packed = { .type = s->type, .int8 = s->int8 };
    const cv_options o = { .type = s->repack ? KN_F32 : s->type,
                           .trainable = s->trainable,
                           .has_act = act != NULL,
                           .act = KN_ACT_QUICKGELU,
                           .size = size ? (uint32_t)size->valuedouble : 0 };
    char path[512];
    cv_set set = { 0 };
    cv_side side;
    cv_plan plan;
    cv_emitted done;
    snprintf(path, sizeof path, HERE "%s", cJSON_GetObjectItem(model, "path")->valuestring);
    ck_assert_msg(!cv_read(&set, path), "%s: %s", path, ken_last_error());
    ck_assert_int_eq(cv_side_open(&side, path), KEN_OK);
    ck_assert_msg(!cv_plan_make(&plan, &set, &side, &o), "%s: %s", path, ken_last_error());
    ck_assert_msg(!cv_emit(&plan, &set, out_path, &done), "%s: %s", path, ken_last_error());
    cv_plan_release(&plan);
    cv_side_close(&side);
    cv_set_release(&set);
    uint64_t bytes;
    if (s->repack)
        ck_assert_msg(!cv_repack(out_path, out_path, &packed, &bytes), "%s: %s", path, ken_last_error());
}

/* ---- comparing ---- */

static void compare(const float *got, const cJSON *want, const setting *s, const char *what)
{
    double dot = 0, norm = 0, apart = 0;
    const int n = cJSON_GetArraySize(want);
    int i = 0;
    for (int j = 0; j < n; j++)
        norm += (double)got[j] * got[j];
    norm = sqrt(norm);
    for (const cJSON *w = want->child; w; w = w->next, i++) {
        dot += got[i] / norm * w->valuedouble;
        apart = fmax(apart, fabs(got[i] / norm - w->valuedouble));
    }
    ck_assert_msg(dot >= s->cosine && apart <= s->apart, "%s, %s: cosine %.9f, %.2e apart", what,
                  s->name, dot, apart);
}

static void check_images(const kn_net *net, const cJSON *want, const setting *s, const char *what)
{
    static uint8_t pixels[MAX_SIDE * MAX_SIDE * 3];
    float vector[MAX_DIM];
    const cJSON *picture = cJSON_GetObjectItem(golden, "pictures")->child;
    for (const cJSON *w = want->child; w; w = w->next, picture = picture->next) {
        char path[512];
        ken_image *img;
        snprintf(path, sizeof path, HERE "%s", picture->valuestring);
        ck_assert_int_eq(ken_image_load(&img, path, NULL), KEN_OK);
        ck_assert_int_eq(kn_image_fit(img, kn_net_prep(net), pixels), KEN_OK);
        ken_image_free(img);
        ck_assert_uint_eq(kn_net_info(net)->dim, (unsigned)cJSON_GetArraySize(w));
        ck_assert_int_eq(kn_net_images(net, pixels, 1, vector), KEN_OK);
        compare(vector, w, s, what);
    }
}

static void check_texts(const kn_net *net, const cJSON *want, const setting *s, const char *what)
{
    ck_assert_ptr_nonnull(kn_net_tokenizer(net));
    for (const cJSON *w = want->child; w; w = w->next) {
        const cJSON *ids = cJSON_GetObjectItem(w, "ids");
        const char *text = cJSON_GetObjectItem(w, "text")->valuestring;
        int32_t got[MAX_TOKENS];
        float vector[MAX_DIM];
        size_t n = 0, i = 0;
        ck_assert_int_eq(
            kn_tokenize(kn_net_tokenizer(net), text, kn_net_info(net)->context, got, &n), KEN_OK);
        ck_assert_msg(n == (size_t)cJSON_GetArraySize(ids), "%s: %zu tokens of '%s'", what, n,
                      text);
        for (const cJSON *id = ids->child; id; id = id->next, i++)
            ck_assert_msg(got[i] == (int32_t)id->valuedouble, "%s: token %zu of '%s'", what, i,
                          text);
        ck_assert_int_eq(kn_net_texts(net, got, &n, 1, vector), KEN_OK);
        compare(vector, cJSON_GetObjectItem(w, "vector"), s, what);
    }
}

START_TEST(gives_the_publishers_vectors)
{
    const cJSON *model = cJSON_GetArrayItem(cJSON_GetObjectItem(golden, "models"), _i / SETTINGS);
    const setting *s = &settings[_i % SETTINGS];
    const char *what = cJSON_GetObjectItem(model, "name")->valuestring;
    const cJSON *images = cJSON_GetObjectItem(model, "images"),
                *texts = cJSON_GetObjectItem(model, "texts");
    const kn_net_options o = { .precision = s->precision, .threads = 1 };
    kn_net *net;
    close(mkstemp(out_path));
    convert(model, s);
    ck_assert_msg(!kn_net_open(&net, out_path, &o), "%s: %s", what, ken_last_error());
    if (images)
        check_images(net, images, s, what);
    if (texts)
        check_texts(net, texts, s, what);
    kn_net_close(net);
    unlink(out_path);
}
END_TEST

START_TEST(every_model_is_here)
{
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(golden, "models")), MODELS);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, read_golden, forget_golden);
    tcase_add_test(tc, every_model_is_here);
    tcase_add_loop_test(tc, gives_the_publishers_vectors, 0, MODELS * SETTINGS);
}

int main(void)
{
    return kn_test_main("models", fill);
}
