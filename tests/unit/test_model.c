/* test_model.c - the model half of ken.h: names to files, pictures and words to vectors. */
#include "tests/unit/net_families.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "ken.h"

#include <unistd.h>

enum { PICTURES = 3 };

static char dir[64], path[128];

/* Family i, written to dir/NAME.safetensors. */
static void write_model(int i, const char *name)
{
    make_model m;
    char preprocess[256], at[128];
    snprintf(at, sizeof at, "%s/%s.safetensors", dir, name);
    make_family(&m, &families[i], preprocess);
    make_fold(&m, families[i].image_heads, families[i].text_heads);
    make_write(&m, (make_form){ KN_F32, 1, 1 }, at);
    make_release(&m);
}

static ken_model *open_model(const char *name)
{
    ken_model *m = NULL;
    ken_model_options o = KEN_MODEL_OPTIONS_INIT;
    o.dirs = dir;
    o.threads = 2;
    o.precision = "f32";
    const ken_status st = ken_model_open(&m, name, &o);
    ck_assert_msg(st == KEN_OK, "%s", ken_last_error());
    return m;
}

static ken_image *picture(uint32_t w, uint32_t h, uint64_t seed)
{
    ken_image *img = NULL;
    uint8_t *rgb = malloc((size_t)w * h * 3);
    make_pixels(rgb, (size_t)w * h * 3, seed);
    ck_assert_int_eq(ken_image_from_rgb(&img, rgb, w, h, (size_t)w * 3), KEN_OK);
    free(rgb);
    return img;
}

/* ---- names ---- */

START_TEST(names_are_looked_up)
{
    ken_model *m = NULL;
    char env[96];
    write_model(0, "tiny");
    m = open_model("tiny");
    ck_assert_str_eq(ken_model_get_info(m)->name, "tiny");
    ck_assert_str_eq(ken_model_get_info(m)->path, path);
    ken_model_close(m);

    setenv("KEN_MODELS", dir, 1);
    ck_assert_int_eq(ken_model_open(&m, "tiny", NULL), KEN_OK);
    ken_model_close(m);
    unsetenv("KEN_MODELS");
    setenv("XDG_DATA_HOME", dir, 1);
    snprintf(env, sizeof env, "%s/ken/models", dir);
    ck_assert_int_eq(ken_model_open(&m, "tiny", NULL), KEN_E_MODEL);
    ck_assert_msg(strstr(ken_last_error(), env), "%s", ken_last_error());
    ck_assert_msg(strstr(ken_last_error(), "weights"), "%s", ken_last_error());
    ck_assert_int_eq(ken_model_open(&m, path, NULL), KEN_OK);
    ken_model_close(m);
    ck_assert_int_eq(ken_model_open(&m, "", NULL), KEN_E_INVALID);
    ken_model_options o = KEN_MODEL_OPTIONS_INIT;
    o.size = 1;
    ck_assert_int_eq(ken_model_open(&m, path, &o), KEN_E_INVALID);
    o = (ken_model_options)KEN_MODEL_OPTIONS_INIT;
    o.device = "tpu";
    ck_assert_int_eq(ken_model_open(&m, path, &o), KEN_E_INVALID);
    o.device = "cpu";
    o.precision = "int8";
    ck_assert_int_eq(ken_model_open(&m, path, &o), KEN_E_UNSUPPORTED);
}
END_TEST

typedef struct seen {
    int whole, broken;
} seen;

static int note(const char *at, const ken_model_info *info, void *cookie)
{
    seen *s = cookie;
    if (strncmp(at, dir, strlen(dir)))
        return 0; /* found elsewhere */
    if (info) {
        ck_assert_str_eq(info->path, at);
        ck_assert_uint_gt(info->dim, 0);
        s->whole++;
    } else {
        ck_assert_ptr_nonnull(strstr(ken_last_error(), at));
        s->broken++;
    }
    return 0;
}

START_TEST(models_are_listed)
{
    seen s = { 0 };
    char broken[96], below[96];
    write_model(0, "tiny");
    write_model(5, "heads");
    snprintf(broken, sizeof broken, "%s/broken.safetensors", dir);
    ck_assert_int_eq(kn_replace_file(broken, "nonsense", 8), KEN_OK);
    snprintf(below, sizeof below, "%s/below", dir);
    ck_assert_int_eq(kn_mkdirs(below), KEN_OK);
    ck_assert_int_eq(ken_models_list(dir, note, &s), KEN_OK);
    ck_assert_int_eq(s.whole, 2);
    ck_assert_int_eq(s.broken, 1);
    unlink(broken);
    rmdir(below);
    snprintf(broken, sizeof broken, "%s/heads.safetensors", dir);
    unlink(broken);
}
END_TEST

START_TEST(a_changed_byte_is_found)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    write_model(0, "tiny");
    ck_assert_int_eq(ken_model_check(path), KEN_OK);
    ck_assert_int_eq(kn_read_file(&bytes, &len, path, 1 << 24), KEN_OK);
    bytes[len - 100] ^= 1;
    ck_assert_int_eq(kn_replace_file(path, bytes, len), KEN_OK);
    ck_assert_int_eq(ken_model_check(path), KEN_E_CORRUPT);
    kn_free(bytes);
}
END_TEST

/* ---- vectors ---- */

START_TEST(pictures_become_unit_vectors)
{
    const size_t dim = families[_i].dim;
    float *all = malloc(PICTURES * dim * sizeof *all), *one = malloc(dim * sizeof *one);
    ken_image *imgs[PICTURES];
    const ken_image *borrowed[PICTURES];
    write_model(_i, "tiny");
    ken_model *m = open_model("tiny");
    for (uint32_t i = 0; i < PICTURES; i++)
        borrowed[i] = imgs[i] = picture(60 + 30 * i, 80, i);
    ck_assert_int_eq(ken_model_embed(m, borrowed, PICTURES, all), KEN_OK);
    for (int i = 0; i < PICTURES; i++) {
        double sum = 0;
        ck_assert_int_eq(ken_model_embed(m, &borrowed[i], 1, one), KEN_OK);
        ck_assert_int_eq(memcmp(one, all + (size_t)i * dim, dim * sizeof *one), 0);
        for (size_t j = 0; j < dim; j++)
            sum += (double)one[j] * one[j];
        ck_assert_double_eq_tol(sum, 1, 1e-5);
        ken_image_free(imgs[i]);
    }
    ken_model_close(m);
    free(all);
    free(one);
}
END_TEST

START_TEST(the_network_sees_normalised_planes)
{
    float planes[3 * 15 * 10];
    write_model(0, "tiny");
    ken_model *m = open_model("tiny");
    ken_image *img = picture(10, 15, 1); /* of the right size already */
    ck_assert_int_eq(ken_model_preprocess(m, img, planes), KEN_OK);
    for (uint32_t i = 0; i < 3 * 150; i++) {
        const uint32_t c = i / 150, y = i % 150 / 10, x = i % 10;
        const double want = (ken_image_row(img, y)[3 * x + c] / 255.0 - make_mean[c]) / make_std[c];
        ck_assert_double_eq_tol(planes[i], want, 1e-6);
    }
    ken_image_free(img);
    ken_model_close(m);
}
END_TEST

START_TEST(words_need_a_tokenizer)
{
    const char *text = "a red apple";
    float v[512];
    int32_t ids[77];
    size_t n = 0;
    ken_model *m;
    write_model(0, "tiny");
    m = open_model("tiny");
    ck_assert_int_eq(ken_model_embed_texts(m, &text, 1, v), KEN_E_MODEL);
    ck_assert_int_eq(ken_model_tokens(m, text, ids, &n), KEN_E_MODEL);
    ken_model_close(m);
    write_model(3, "tiny");
    m = open_model("tiny");
    ck_assert_int_eq(ken_model_embed_texts(m, &text, 1, v), KEN_E_MODEL);
    ck_assert_uint_eq(ken_model_get_info(m)->context, 0);
    ken_model_close(m);
    ck_assert_int_eq(ken_model_random(&m, "clip-vit-b32", 1, NULL), KEN_OK);
    ck_assert_int_eq(ken_model_tokens(m, text, ids, &n), KEN_OK);
    ck_assert_uint_eq(n, 5);
    ck_assert_int_eq(ids[4], 49407);
    ck_assert_int_eq(ken_model_embed_texts(m, &text, 1, v), KEN_OK);
    ken_model_close(m);
}
END_TEST

START_TEST(heads_and_scores)
{
    float logits[3];
    write_model(5, "tiny");
    ken_model *m = open_model("tiny");
    ken_image *img = picture(40, 40, 2);
    ck_assert_uint_eq(ken_model_get_info(m)->labels, 3);
    ck_assert_str_eq(ken_model_label(m, 0), "apple");
    ck_assert_int_eq(ken_model_logits(m, img, logits), KEN_OK);
    ck_assert_float_eq_tol(ken_model_score(m, "image-image", 0.5F), 1 / (1 + exp(-1.0)), 1e-6);
    ck_assert_float_eq(ken_model_score(m, "text-image", 0.25F), 0.25F);
    ck_assert_float_eq(ken_model_score(m, "text-image", -0.25F), 0);
    ken_model_close(m);
    write_model(0, "tiny");
    m = open_model("tiny");
    ck_assert_int_eq(ken_model_logits(m, img, logits), KEN_E_UNSUPPORTED);
    ken_image_free(img);
    ken_model_close(m);
}
END_TEST

START_TEST(the_library_knows_itself)
{
    ck_assert_int_eq(strncmp(ken_cpu_levels(), "c", 1), 0);
    ck_assert_ptr_nonnull(strstr(ken_cpu_levels(), ken_cpu_level()));
    ck_assert_str_eq(ken_version(), "0.1.0");
    ck_assert_uint_gt(strlen(ken_features()), 0);
    ck_assert_double_gt(ken_peak_flops("f32", 1), 1e8);
}
END_TEST

static void set_up(void)
{
    snprintf(dir, sizeof dir, "/tmp/ken-test-model-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/tiny.safetensors", dir);
    ck_assert_int_eq(kn_mkdirs(dir), KEN_OK);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(dir);
}

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, names_are_looked_up);
    tcase_add_test(tc, models_are_listed);
    tcase_add_test(tc, a_changed_byte_is_found);
    tcase_add_loop_test(tc, pictures_become_unit_vectors, 0, FAMILIES);
    tcase_add_test(tc, the_network_sees_normalised_planes);
    tcase_add_test(tc, words_need_a_tokenizer);
    tcase_add_test(tc, heads_and_scores);
    tcase_add_test(tc, the_library_knows_itself);
}

int main(void)
{
    return kn_test_main("model", fill);
}
