/* test_find.c - what makes a search find: words that exclude each other, and how near is near enough. */
#include "tests/test.h"

#include "base/alloc.h"
#include "engine/contrast.h"
#include "engine/relevance.h"
#include "tests/fake_encoder.h"

#include <string.h>

static int has(const kn_contrast *c, const char *text)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->texts[i], text))
            return 1;
    return 0;
}

START_TEST(one_word_is_exchanged)
{
    kn_contrast c = { 0 };
    ck_assert_int_eq(kn_contrast_make(&c, "a Red teddy bear"), KEN_OK);
    ck_assert_uint_eq(c.n, 11 + 15);
    ck_assert(has(&c, "a blue teddy bear") && has(&c, "a Red cat") && !has(&c, "a blue cat"));
    ck_assert(!has(&c, "a red teddy bear") && !has(&c, "a Red bear"));
    kn_contrast_release(&c);
    ck_assert_int_eq(kn_contrast_make(&c, "一只红色小熊"), KEN_OK);
    ck_assert(c.n == 11 + 15 && has(&c, "一只蓝色小熊") && has(&c, "一只红色猫"));
    kn_contrast_release(&c);
    ck_assert_int_eq(kn_contrast_make(&c, "infrared bearing, a catalogue and greyhounds"), KEN_OK);
    ck_assert_uint_eq(c.n, 0); /* words stand alone */
    kn_contrast_release(&c);
    ck_assert_int_eq(kn_contrast_make(&c, ""), KEN_OK);
    ck_assert_uint_eq(c.n, 0);
}
END_TEST

START_TEST(contrasts_are_limited)
{
    char long_text[4000] = "";
    kn_contrast c = { 0 };
    for (int i = 0; i < 300; i++)
        strcat(long_text, "red cat ");
    ck_assert_int_eq(kn_contrast_make(&c, long_text), KEN_OK);
    ck_assert_uint_eq(c.n, KN_CONTRASTS);
    kn_contrast_release(&c);
}
END_TEST

START_TEST(bounds_follow_the_number_of_items)
{
    kn_relevance r = { .strange = 1, .pictures = 2 };
    kn_relevance_put(&r, (kn_relevance_point){ 400, .5, -.1 });
    kn_relevance_put(&r, (kn_relevance_point){ 100, .3, -.3 });
    kn_relevance_put(&r, (kn_relevance_point){ 110, .4, -.2 }); /* takes the place of 100 */
    ck_assert(r.n == 2 && r.words[0].items == 110 && r.words[1].items == 400);
    kn_relevance_put(&r, (kn_relevance_point){ 100, .4, -.2 });
    ck_assert(r.n == 2);
    ck_assert_double_eq_tol(kn_relevance_at(&r, 200).floor, .45, 1e-12); /* half way between in logarithms */
    ck_assert_double_eq_tol(kn_relevance_at(&r, 200).margin, -.15, 1e-12);
    ck_assert_double_eq(kn_relevance_at(&r, 7).floor, .4);
    ck_assert_double_eq(kn_relevance_at(&r, 1e6).floor, .5);
}
END_TEST

static const char *metadata;

static const char *meta(const ken_model *m, const char *key)
{
    (void)m;
    return strcmp(key, "relevance") ? NULL : metadata;
}

START_TEST(what_the_model_says_is_read_strictly)
{
    static const char *const wrong[] = { "[]", "{", "{\"words\":3}", "{\"words\":[[0,.5,.5]]}", "{\"words\":[[9,5,0]]}",
                                         "{\"words\":[[9,.5]]}", "{\"words\":[[9,0,0],[8,0,0]]}",
                                         "{\"strange\":\"x\"}", "{\"pictures\":7}" };
    kn_encoder e = fake_encoder;
    ken_model *m = NULL;
    kn_relevance r, again;
    e.meta = meta;
    ck_assert_int_eq(e.open(&m, "a", NULL), KEN_OK);
    metadata = NULL;
    ck_assert_int_eq(kn_relevance_read(&r, &e, m), KEN_E_MODEL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        metadata = wrong[i];
        ck_assert_msg(kn_relevance_read(&r, &e, m) == KEN_E_FORMAT, "%s", wrong[i]);
    }
    metadata = "{\"words\":[[50,0.25,-0.125],[100,0.5,-0.0625]],\"strange\":0.25,\"pictures\":0.75}";
    ck_assert_int_eq(kn_relevance_read(&r, &e, m), KEN_OK);
    char *text = kn_relevance_print(&r);
    ck_assert_str_eq(text, metadata);
    metadata = text;
    ck_assert_int_eq(kn_relevance_read(&again, &e, m), KEN_OK);
    ck_assert(again.n == 2 && again.words[1].margin == -.0625 && again.pictures == .75);
    kn_free(text);
    e.close(m);
}
END_TEST

/* ---- what is encoded, and how often ---- */

static size_t encoded;

static ken_status counting_texts(const ken_model *m, const char *const *texts, size_t n, float *out)
{
    encoded += n;
    return fake_texts(m, texts, n, out);
}

START_TEST(no_text_is_encoded_twice)
{
    char dir[] = "/tmp/ken-find-XXXXXX", command[64];
    const float vector[FAKE_DIM] = { 1 };
    const kn_near hit = { .id = 7 };
    const ken_term term = { .text = "a red bear", .weight = 1 };
    kn_encoder e = fake_encoder;
    ken_options o = KEN_OPTIONS_INIT;
    ken_search_options so = KEN_SEARCH_OPTIONS_INIT;
    const ken_model *m = NULL;
    kn_rivals r = { 0 };
    ken *k = NULL;
    float margin;
    e.texts = counting_texts;
    o.create = 1;
    o.model = "a";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(kn_collection_open(&k, dir, &o, &e), KEN_OK);
    ck_assert_int_eq(ken_get_model(k, &m), KEN_OK);
    for (int i = 0; i < 3; i++) /* a search that looks deeper asks again */
        ck_assert_int_eq(kn_relevance_margins(k, m, &term, 1, &r, &hit, 1, &margin), KEN_OK);
    ck_assert_uint_eq(r.n, 11 + 15);
    ck_assert_uint_eq(encoded, 1 + 11 + 15);
    kn_rivals_release(&r);
    const ken_term ahead[] = { { .text = "with its vector", .vector = vector, .weight = 1 },
                               { .text = "without", .weight = 1 } };
    encoded = 0;
    ck_assert_int_eq(ken_search_ahead(k, ahead, 2, &so), KEN_OK);
    ck_assert_uint_eq(encoded, 1);
    so.size = 0;
    ck_assert_int_eq(ken_search_ahead(k, ahead, 2, &so), KEN_E_INVALID);
    ken_close(k);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, one_word_is_exchanged);
    tcase_add_test(tc, contrasts_are_limited);
    tcase_add_test(tc, bounds_follow_the_number_of_items);
    tcase_add_test(tc, what_the_model_says_is_read_strictly);
    tcase_add_test(tc, no_text_is_encoded_twice);
}

int main(void)
{
    return kn_test_main("find", fill);
}
