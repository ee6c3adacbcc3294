/*
 * test_net.c - src/nn: every family against a textbook in double, the promises about bits, and files
 * that lie.
 *
 * Runs at the level in force; test_net_levels.sh runs it at each.
 */
#include "tests/unit/net_families.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "nn/net.h"

#include <unistd.h>

enum { PICTURES = 5, TEXTS = 7 };

static char path[64];

static kn_net *open_net(const char *precision, uint32_t threads)
{
    kn_net *n = NULL;
    const kn_net_options o = { .precision = precision, .threads = threads };
    const ken_status st = kn_net_open(&n, path, &o);
    ck_assert_msg(st == KEN_OK, "%s", ken_last_error());
    return n;
}

/* A family's model, folded and rounded as its file will hold it. */
static void prepare(make_model *m, const family *f, kn_type type, char preprocess[256])
{
    make_family(m, f, preprocess);
    make_fold(m, f->image_heads, f->text_heads);
    make_round(m, type);
    make_write(m, (make_form){ type, 1, 1 }, path);
}

typedef struct error {
    double cosine, most; /* largest difference, relative to the root mean square */
} error;

static error compare(const float *got, const double *want, size_t n)
{
    double gg = 0, ww = 0, gw = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        gg += (double)got[i] * got[i];
        ww += want[i] * want[i];
        gw += got[i] * want[i];
        most = fmax(most, fabs(got[i] - want[i]));
    }
    return (error){ gw / sqrt(gg * ww), most / sqrt(ww / (double)n) };
}

static void expect(const float *got, const double *want, size_t n, const char *precision,
                   const char *what)
{
    const error e = compare(got, want, n);
    if (!strcmp(precision, "bf16"))
        ck_assert_msg(e.cosine >= 0.9995, "%s: %s: cosine %.6f", what, precision, e.cosine);
    else
        ck_assert_msg(e.cosine >= 0.999999 && e.most <= 1e-4, "%s: %s: cosine %.9f, off by %.2g", what,
                      precision, e.cosine, e.most);
}

static const char *const precisions[] = { "f32", "bf16x3", "bf16" };

/* ---- the values ---- */

static void check_images(make_model *m, const family *f, const char *precision)
{
    uint8_t *pixels = malloc(f->h * f->w * 3);
    float *got = malloc(f->dim * sizeof *got);
    kn_net *n = open_net(precision, 1);
    make_pixels(pixels, f->h * f->w * 3, 3);
    ck_assert_int_eq(kn_net_images(n, pixels, 1, got), KEN_OK);
    double *want = want_image(m, f, pixels);
    expect(got, want, f->dim, precision, f->name);
    free(want);
    kn_net_close(n);
    free(got);
    free(pixels);
}

static size_t make_ids(const family *f, int32_t *ids, uint64_t seed)
{
    kn_rand r = kn_rand_at(seed, 2);
    const size_t len = 2 + kn_rand_below(&r, (uint32_t)f->context - 1);
    for (size_t i = 0; i < len; i++)
        ids[i] = (int32_t)kn_rand_below(&r, (uint32_t)f->vocab - 1);
    ids[len - 1] = (int32_t)f->vocab - 1;
    return len;
}

static void check_texts(make_model *m, const family *f, const char *precision)
{
    int32_t ids[64];
    float *got = malloc(f->dim * sizeof *got);
    kn_net *n = open_net(precision, 1);
    for (uint64_t i = 0; i < 3; i++) {
        const size_t len = make_ids(f, ids, i);
        ck_assert_int_eq(kn_net_texts(n, ids, &len, 1, got), KEN_OK);
        double *want = want_text(m, f, ids, len);
        expect(got, want, f->dim, precision, f->name);
        free(want);
    }
    kn_net_close(n);
    free(got);
}

/* SHORT: of each family and type one precision. */
static int left_out(int i)
{
    return kn_test_size(0, 0, i % 3 != i / 3 % 3);
}

/* _i: family, stored type and precision */
START_TEST(equals_the_textbook)
{
    static const kn_type types[] = { KN_F32, KN_BF16, KN_F16 };
    if (left_out(_i))
        return;
    const family *f = &families[_i / 9];
    make_model m;
    char preprocess[256];
    prepare(&m, f, types[_i / 3 % 3], preprocess);
    check_images(&m, f, precisions[_i % 3]);
    if (f->text)
        check_texts(&m, f, precisions[_i % 3]);
    make_release(&m);
}
END_TEST

/* Rows instead of panels, and nothing folded: packed and folded at opening, the same vectors. */
START_TEST(trainable_files_run)
{
    const family *f = &families[_i / 2];
    const kn_type type = _i % 2 ? KN_F16 : KN_F32;
    make_model raw, folded;
    char preprocess[256];
    make_family(&raw, f, preprocess);
    make_round(&raw, type);
    make_write(&raw, (make_form){ type, 0, 0 }, path);
    make_family(&folded, f, preprocess);
    make_round(&folded, type);
    make_fold(&folded, f->image_heads, f->text_heads);
    for (int p = 0; p < 3; p++) {
        check_images(&folded, f, precisions[p]);
        if (f->text)
            check_texts(&folded, f, precisions[p]);
    }
    make_release(&raw);
    make_release(&folded);
}
END_TEST

/* What follows the first end-of-text cannot change a causal tower's result. */
START_TEST(text_ends_at_end_of_text)
{
    int32_t ids[] = { 5, 9, 59, 3, 59, 7 };
    const size_t len = 3, longer = 6;
    float a[24], b[24];
    make_model m;
    char preprocess[256];
    prepare(&m, &families[0], KN_F32, preprocess);
    kn_net *n = open_net("f32", 1);
    ck_assert_int_eq(kn_net_texts(n, ids, &len, 1, a), KEN_OK);
    ck_assert_int_eq(kn_net_texts(n, ids, &longer, 1, b), KEN_OK);
    ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
    ids[1] = 60;
    ck_assert_int_eq(kn_net_texts(n, ids, &len, 1, a), KEN_E_INVALID);
    kn_net_close(n);
    make_release(&m);
}
END_TEST

/* ---- the bits ---- */

static void same_bits_images(const family *f, const char *precision)
{
    const size_t bytes = f->h * f->w * 3;
    uint8_t *pixels = malloc(PICTURES * bytes);
    float *want = malloc(PICTURES * f->dim * sizeof *want), *got = malloc(PICTURES * f->dim * sizeof *got);
    make_pixels(pixels, PICTURES * bytes, 4);
    for (uint32_t threads = 1; threads <= 3; threads++) {
        kn_net *n = open_net(precision, threads);
        for (size_t i = 0; i < PICTURES && threads == 1; i++)
            ck_assert_int_eq(kn_net_images(n, pixels + i * bytes, 1, want + i * f->dim), KEN_OK);
        for (size_t count = 1; count <= PICTURES; count++) {
            ck_assert_int_eq(kn_net_images(n, pixels, count, got), KEN_OK);
            ck_assert_msg(!memcmp(got, want, count * f->dim * sizeof *got), "%s: %s: %u threads, %zu of %d",
                          f->name, precision, threads, count, PICTURES);
        }
        kn_net_close(n);
    }
    free(pixels);
    free(want);
    free(got);
}

static void same_bits_texts(const family *f, const char *precision)
{
    int32_t ids[TEXTS * 64];
    size_t lens[TEXTS], all = 0;
    float *want = malloc(TEXTS * f->dim * sizeof *want), *got = malloc(TEXTS * f->dim * sizeof *got);
    for (uint32_t threads = 1; threads <= 3; threads++) {
        kn_net *n = open_net(precision, threads);
        for (size_t i = 0; i < TEXTS && threads == 1; i++) {
            lens[i] = make_ids(f, ids + all, i);
            ck_assert_int_eq(kn_net_texts(n, ids + all, &lens[i], 1, want + i * f->dim), KEN_OK);
            all += lens[i];
        }
        for (size_t count = 1; count <= TEXTS; count++) {
            ck_assert_int_eq(kn_net_texts(n, ids, lens, count, got), KEN_OK);
            ck_assert_msg(!memcmp(got, want, count * f->dim * sizeof *got), "%s: %s: %u threads, %zu of %d",
                          f->name, precision, threads, count, TEXTS);
        }
        kn_net_close(n);
    }
    free(want);
    free(got);
}

START_TEST(same_bits_in_any_company)
{
    const family *f = &families[_i / 3];
    if (left_out(_i))
        return;
    make_model m;
    char preprocess[256];
    prepare(&m, f, KN_BF16, preprocess);
    same_bits_images(f, precisions[_i % 3]);
    if (f->text)
        same_bits_texts(f, precisions[_i % 3]);
    make_release(&m);
}
END_TEST

/* ---- files that lie ---- */

/* The word in the family's image or text config replaced: refused, with this in the reason. */
typedef struct lie {
    int family, text;
    const char *word, *instead, *why;
} lie;

static const lie lies[] = {
    { 0, 0, "\"width\":48", "\"width\":51", "v.patch.w" },
    { 0, 0, "\"width\":48", "\"width\":1e9", "width" },
    { 0, 0, "\"width\":48", "\"width\":-48", "width" },
    { 0, 0, "\"width\":48", "\"width\":48.5", "width" },
    { 0, 0, "\"width\":48", "\"width\":\"48\"", "width" },
    { 0, 0, "\"layers\":3", "\"layers\":4", "v.3.ln1.w: missing" },
    { 0, 0, "\"layers\":3", "\"layers\":0", "layers" },
    { 0, 0, "\"heads\":3", "\"heads\":5", "heads" },
    { 0, 0, "\"heads\":3", "\"heads\":0", "heads" },
    { 0, 0, "\"mlp\":80", "\"mlp\":96", "v.0.fc1" },
    { 0, 0, "\"grid\":[3,2]", "\"grid\":[2,3]", "crop" },
    { 0, 0, "\"grid\":[3,2]", "\"grid\":[3]", "grid" },
    { 0, 0, "\"grid\":[3,2]", "\"grid\":7", "grid" },
    { 0, 0, "\"act\":\"quickgelu\"", "\"act\":\"relu\"", "act" },
    { 0, 0, "\"eps\":1e-5", "\"eps\":0", "eps" },
    { 0, 0, "\"dim\":24", "\"dim\":25", "dim" },
    { 0, 0, "\"kind\":\"vit\"", "\"kind\":\"vat\"", "kind" },
    { 0, 0, "{", "[", "not a JSON object" },
    { 0, 1, "\"context\":12", "\"context\":13", "t.pos" },
    { 0, 1, "\"vocab\":60", "\"vocab\":70", "t.tok" },
    { 0, 1, "\"eot\":59", "\"eot\":60", "eot" },
    { 0, 1, "\"dim\":24", "\"dim\":16", "dim" },
    { 1, 1, "\"positions\":20", "\"positions\":10", "positions" },
    { 2, 0, "\"heads\":2", "\"heads\":128", NULL }, /* lawful: heads of one column */
    { 4, 0, "\"layers\":[2,1,1,2]", "\"layers\":[2,1,1,3]", "v.4.2.conv1" },
    { 4, 0, "\"layers\":[2,1,1,2]", "\"layers\":[2,1,1,2,1]", "layers" },
    { 4, 0, "\"input\":[64,64]", "\"input\":[99999,64]", "input" },
    { 4, 0, "\"dim\":256", "\"dim\":255", "v.proj.w: missing" },
    { 4, 0, "\"stem\":\"imagenet\"", "\"stem\":\"clip\"", NULL },
    { 5, 0, "\"shortcut\":\"pad\"", "\"shortcut\":\"conv\"", "v.2.0.down" },
    { 6, 0, "\"heads\":4", "\"heads\":3", "heads" },
    { 6, 0, "\"heads\":4", "\"heads\":1", "heads" },
};

static void replace(char *out, size_t cap, const char *in, const lie *l)
{
    const char *at = strstr(in, l->word);
    ck_assert_ptr_nonnull(at);
    snprintf(out, cap, "%.*s%s%s", (int)(at - in), in, l->instead, at + strlen(l->word));
}

START_TEST(lies_are_told)
{
    const lie *l = &lies[_i];
    make_model m;
    char preprocess[256], text[512];
    kn_net *n = NULL;
    prepare(&m, &families[l->family], KN_F32, preprocess);
    replace(text, sizeof text, l->text ? m.text : m.image, l);
    *(l->text ? &m.text : &m.image) = text;
    make_write(&m, (make_form){ KN_F32, 1, 1 }, path);
    const ken_status st = kn_net_open(&n, path, NULL);
    if (l->why) {
        ck_assert_int_eq(st, KEN_E_FORMAT);
        ck_assert_msg(strstr(ken_last_error(), l->why), "%s instead of %s", ken_last_error(), l->why);
    }
    kn_net_close(n);
    make_release(&m);
}
END_TEST

/* Each tensor, in turn, left out, of another shape or another type. */
START_TEST(broken_tensors_are_named)
{
    make_model m;
    char preprocess[256];
    for (size_t i = 0;; i += kn_test_size(1, 1, 3)) {
        kn_net *n = NULL;
        make_family(&m, &families[_i], preprocess);
        make_fold(&m, families[_i].image_heads, families[_i].text_heads);
        const int end = i >= m.len;
        if (!end && make_wanted(&m.list[i], &(make_form){ .folded = 1 }) && !strstr(m.list[i].name, "patch.b") &&
            (i % 2 || m.list[i].n > 1)) {
            char name[40];
            snprintf(name, sizeof name, "%s", m.list[i].name);
            if (i % 2)
                m.list[i].name[0] = 'x'; /* missing */
            else
                m.list[i].n = (m.list[i].n + 1) / 2; /* too short */
            make_write(&m, (make_form){ KN_F32, 0, 1 }, path);
            ck_assert_int_eq(kn_net_open(&n, path, NULL), KEN_E_FORMAT);
            ck_assert_msg(strstr(ken_last_error(), name), "%s does not name %s", ken_last_error(), name);
        }
        make_release(&m);
        if (end)
            break;
    }
}
END_TEST

START_TEST(no_model_at_all)
{
    kn_net *n = NULL;
    ck_assert_int_eq(kn_net_open(&n, "no/such/file", NULL), KEN_E_MODEL);
    ck_assert_int_eq(kn_replace_file(path, "\2\0\0\0\0\0\0\0{}", 10), KEN_OK);
    ck_assert_int_eq(kn_net_open(&n, path, NULL), KEN_E_FORMAT);
    ck_assert_int_eq(kn_net_random(&n, "no-such-arch", 1, NULL), KEN_E_NOTFOUND);
    ck_assert_int_eq(kn_net_random(&n, "resnet18", 1, &(kn_net_options){ .precision = "f64" }),
                     KEN_E_INVALID);
    ck_assert_ptr_null(n);
}
END_TEST

/* ---- memory ---- */

/* Every allocation denied in turn, in opening and in running: reported, nothing lost. */
START_TEST(survives_denied_memory)
{
    const family *f = &families[_i / 2];
    make_model m;
    char preprocess[256];
    uint8_t *pixels = malloc(3 * f->h * f->w * 3);
    float *out = malloc(3 * f->dim * sizeof *out);
    make_pixels(pixels, 3 * f->h * f->w * 3, 5);
    prepare(&m, f, KN_F16, preprocess);
    for (long after = 0;; after += (long)kn_test_size(1, 1, 7)) {
        kn_net *n = NULL;
        kn_alloc_fail_after(after);
        ken_status st = kn_net_open(&n, path, &(kn_net_options){ .precision = _i % 2 ? "bf16" : "f32",
                                                                 .threads = 2 });
        if (!st)
            st = kn_net_images(n, pixels, 3, out);
        const long denied = kn_alloc_denied();
        kn_alloc_fail_after(-1);
        ck_assert_int_eq(st, denied ? KEN_E_NOMEM : KEN_OK);
        if (n)
            ck_assert_int_eq(kn_net_images(n, pixels, 3, out), KEN_OK);
        kn_net_close(n);
        if (!denied)
            break;
    }
    free(out);
    free(pixels);
    make_release(&m);
}
END_TEST

static long dirty_kib(void)
{
    char line[256];
    long kib = 0, n;
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Private_Dirty: %ld", &n) == 1)
            kib = n;
    if (f)
        fclose(f);
    return kib;
}

/* A model of 20 MB opens in milliseconds and its pages stay the file's. */
START_TEST(opening_maps)
{
    static const char image[] = "{\"kind\":\"vit\",\"width\":512,\"layers\":3,\"heads\":8,\"mlp\":2048,\"patch\":4,"
                                "\"grid\":[2,2],\"act\":\"gelu\",\"eps\":1e-6,\"dim\":40}";
    const family f = { .grid = { 2, 2 }, .patch = 4, .layers = 3, .width = 512, .mlp = 2048, .h = 8,
                       .w = 8, .dim = 40, .proj = 1, .image = image };
    make_model m;
    char preprocess[256];
    make_family(&m, &f, preprocess);
    make_fold(&m, 8, 8);
    make_write(&m, (make_form){ KN_BF16, 1, 1 }, path);
    make_release(&m);
    const long before = dirty_kib();
    const double start = kn_clock();
    kn_net *n = open_net("f32", 1);
    const double seconds = kn_clock() - start;
    const long grown = dirty_kib() - before;
    printf("opening %.1f MB: %.2f ms, %ld KiB of memory of its own\n", (double)kn_net_info(n)->bytes / 1e6,
           seconds * 1e3, grown);
    ck_assert_int_lt(grown, 1024);
    kn_net_close(n);
}
END_TEST

/* ---- the rest ---- */

START_TEST(random_networks_run)
{
    float a[512], b[512], t[512];
    int32_t ids[77];
    uint8_t *pixels = malloc(224 * 224 * 3);
    make_pixels(pixels, 224 * 224 * 3, 6);
    for (int i = (int)kn_test_size(0, 0, 1); i < 2; i++) {
        kn_net *n = NULL;
        ck_assert_int_eq(kn_net_random(&n, i ? "resnet18" : "clip-vit-b32", 1,
                                       &(kn_net_options){ .precision = "f32" }), KEN_OK);
        ck_assert_int_eq(kn_net_images(n, pixels, 1, a), KEN_OK);
        ck_assert_int_eq(kn_net_images(n, pixels, 1, b), KEN_OK);
        ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
        for (int j = 0; j < 512; j++)
            ck_assert(isfinite(a[j]));
        const size_t len = i ? 0 : kn_net_stand_in(n, " a  red apple ", ids);
        ck_assert_uint_eq(len, i ? 0 : 5);
        if (len)
            ck_assert_int_eq(kn_net_texts(n, ids, &len, 1, t), KEN_OK);
        ck_assert_double_gt(kn_net_image_macs(n), i ? 1.8e9 : 4.1e9);
        ck_assert_double_lt(kn_net_image_macs(n), i ? 1.83e9 : 4.2e9);
        kn_net_close(n);
    }
    free(pixels);
}
END_TEST

START_TEST(scores_and_names)
{
    float ab[2];
    make_model m;
    char preprocess[256];
    prepare(&m, &families[0], KN_BF16, preprocess);
    kn_net *n = open_net("bf16", 1), *other = open_net("f32", 2);
    ck_assert_int_eq(kn_net_calibration(n, "image-image", ab), 1);
    ck_assert_float_eq(ab[0], 12);
    ck_assert_float_eq(ab[1], -5);
    ck_assert_int_eq(kn_net_calibration(n, "text-image", ab), 0);
    ck_assert_str_eq(kn_net_info(n)->dtype, "bf16");
    ck_assert_uint_eq(kn_net_info(n)->dim, 24);
    ck_assert_uint_eq(kn_net_info(n)->context, 12);
    ck_assert_uint_eq(strlen(kn_net_info(n)->fingerprint), 32);
    ck_assert_str_ne(kn_net_info(n)->fingerprint, kn_net_info(other)->fingerprint);
    kn_net_close(n);
    kn_net_close(other);
    make_release(&m);
}
END_TEST

START_TEST(the_head_answers)
{
    const family *f = &families[5];
    float features[2 * 32], logits[2 * 3];
    make_model m;
    char preprocess[256];
    kn_rand_fill_normal(features, 64, 1, 1, 1);
    prepare(&m, f, KN_F32, preprocess);
    for (int p = 0; p < 3; p++) {
        kn_net *n = open_net(precisions[p], 2);
        ck_assert_uint_eq(kn_net_info(n)->labels, 3);
        ck_assert_str_eq(kn_net_label(n, 2), "plum");
        ck_assert_ptr_null(kn_net_label(n, 3));
        ck_assert_int_eq(kn_net_head(n, features, 2, logits), KEN_OK);
        double *x = reals(64);
        for (int i = 0; i < 64; i++)
            x[i] = features[i];
        double *want = linear(&(oracle){ .m = &m }, "fc", x, 2);
        expect(logits, want, 6, precisions[p], "head");
        free(want);
        free(x);
        kn_net_close(n);
    }
    make_release(&m);
}
END_TEST

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/ken-test-net-%d.safetensors", (int)getpid());
}

static void tear_down(void)
{
    unlink(path);
}

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, equals_the_textbook, 0, FAMILIES * 9);
    tcase_add_loop_test(tc, trainable_files_run, 0, FAMILIES * 2);
    tcase_add_test(tc, text_ends_at_end_of_text);
    tcase_add_loop_test(tc, same_bits_in_any_company, 0, FAMILIES * 3);
    tcase_add_loop_test(tc, lies_are_told, 0, sizeof lies / sizeof *lies);
    tcase_add_loop_test(tc, broken_tensors_are_named, 0, FAMILIES);
    tcase_add_test(tc, no_model_at_all);
    tcase_add_loop_test(tc, survives_denied_memory, 0, FAMILIES * 2);
    tcase_add_test(tc, opening_maps);
    tcase_add_test(tc, random_networks_run);
    tcase_add_test(tc, scores_and_names);
    tcase_add_test(tc, the_head_answers);
}

int main(void)
{
    printf("level %s of: %s\n", kn_level_get(), ken_cpu_levels());
    fflush(stdout);
    return kn_test_main("net", fill);
}
