/* test_remote.c - items as rows of a server's, and back: nothing is lost, and nothing hostile gets in. */
#include "tests/test.h"

#include "base/alloc.h"
#include "store/milvus.h"

#include <string.h>

#ifdef KEN_MILVUS
static kn_mv_text text(const char *s)
{
    return (kn_mv_text){ s, strlen(s) };
}

static void same(const char *a, const char *b)
{
    ck_assert((a == NULL) == (b == NULL));
    if (a)
        ck_assert_str_eq(a, b);
}

/* There as push does it, back as pull does. */
static void there_and_back(const kn_item *item)
{
    char *record = NULL, *path = kn_remote_text(item->path);
    char *object = kn_remote_text(item->object ? item->object : ""), *kind = kn_remote_text(item->kind);
    kn_item back = { 0 };
    ck_assert_msg(!kn_remote_record(&record, item), "%s", ken_last_error());
    const kn_mv_text p = text(path), o = text(object), k = text(kind), r = text(record);
    ck_assert_msg(
        !kn_remote_item(&back, (int64_t)item->id, item->segment ? 0 : KN_ROW_BARE, &p, &o, &k, &r), "%s",
        ken_last_error());
    ck_assert_uint_eq(back.id, item->id);
    same(back.path, item->path);
    same(back.object, item->object);
    same(back.meta, item->meta);
    same(back.kind, item->kind);
    ck_assert_str_eq(back.hash, item->hash);
    ck_assert(back.width == item->width && back.height == item->height && back.bytes == item->bytes &&
              back.mtime_ns == item->mtime_ns && back.added_ns == item->added_ns &&
              back.parts == item->parts && back.hidden == item->hidden && !back.segment == !item->segment &&
              !back.part_segment == !item->part_segment);
    kn_item_release(&back);
    kn_free(record);
    kn_free(path);
    kn_free(object);
    kn_free(kind);
}

START_TEST(items_come_back_as_they_were)
{
    char plain[] = "/a/b.jpg", image[] = "image", model[] = "model",
         chinese[] = "/\xe7\x86\x8a/\xf0\x9f\x90\xbb.png";
    char bytes[] = "/x/\xff\xfe\x80.jpg", overlong[] = "/\xc0\xaf", cut[] = "/\xe7\x86",
         surrogate[] = "/\xed\xa0\x80", control[] = "/\"\\\n\t\x01 end";
    char name[] = "b\xe4r", meta[] = "{\"tags\": [\"a\\\"b\", 1e3], \"n\": 9007199254740993}";
    char *const paths[] = { plain, chinese, bytes, overlong, cut, surrogate, control };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        kn_item item = { .id = INT64_MAX - i,
                         .path = paths[i],
                         .object = i % 2 ? name : NULL,
                         .meta = i % 3 ? meta : NULL,
                         .kind = i % 4 ? image : model,
                         .hash = "0123456789abcdef0123456789abcdef",
                         .width = UINT32_MAX,
                         .height = 1,
                         .bytes = UINT64_MAX >> 1,
                         .mtime_ns = -5,
                         .added_ns = INT64_MAX,
                         .segment = i != 2,
                         .parts = 3,
                         .part_segment = i != 3,
                         .hidden = i == 4 };
        there_and_back(&item);
    }
}
END_TEST

START_TEST(what_is_too_long_is_named)
{
    char path[] = "/a/b.jpg", image[] = "image", *meta = malloc(70000), *record = NULL;
    memset(meta, 'x', 69999);
    meta[69999] = 0;
    const kn_item item = { .id = 1, .path = path, .kind = image, .meta = meta };
    ck_assert_int_eq(kn_remote_record(&record, &item), KEN_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(ken_last_error(), path));
    free(meta);
}
END_TEST

/* Rows that ken did not write, or somebody has changed. */
START_TEST(hostile_rows_are_refused)
{
    const char *const records[] = { "",
                                    "{",
                                    "[]",
                                    "null",
                                    "{}",
                                    "{\"hash\": 5}",
                                    "{\"hash\": null}",
                                    "{\"hash\": \"0123456789abcdef0123456789abcdef0\"}" };
    const kn_mv_text path = text("/a"), object = text(""), kind = text("image"), empty = text("");
    kn_item item = { 0 };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        const kn_mv_text record = text(records[i]);
        ck_assert_msg(kn_remote_item(&item, 7, 0, &path, &object, &kind, &record) == KEN_E_FORMAT, "%s",
                      records[i]);
    }
    const kn_mv_text good = text("{\"hash\": \"ab\"}");
    ck_assert_int_eq(kn_remote_item(&item, 7, 0, &empty, &object, &kind, &good), KEN_E_FORMAT);
    ck_assert_int_eq(kn_remote_item(&item, 0, 0, &path, &object, &kind, &good), KEN_E_FORMAT);
    ck_assert_int_eq(kn_remote_item(&item, -1, 0, &path, &object, &kind, &good), KEN_E_FORMAT);
    /* numbers that are none count as 0, hex that is none as no path */
    const kn_mv_text odd =
        text("{\"hash\": \"ab\", \"width\": -1, \"height\": 1e99, \"bytes\": [], \"parts\": \"x\"}");
    ck_assert(!kn_remote_item(&item, 7, 0, &path, &object, &kind, &odd));
    ck_assert(!item.width && !item.height && !item.bytes && !item.parts && !item.part_segment);
    kn_item_release(&item);
    const kn_mv_text hex = text("{\"hash\": \"ab\", \"path_bytes\": \"2fzz\"}");
    ck_assert_int_eq(kn_remote_item(&item, 7, 0, &path, &object, &kind, &hex), KEN_E_FORMAT);
    const kn_mv_text nul = text("{\"hash\": \"ab\", \"path_bytes\": \"2f00\"}");
    ck_assert_int_eq(kn_remote_item(&item, 7, 0, &path, &object, &kind, &nul), KEN_E_FORMAT);
}
END_TEST

START_TEST(places_are_nobody_elses)
{
    const uint64_t ids[] = { 1, UINT32_MAX, (uint64_t)1 << 32, ((uint64_t)1 << 32) + 1, INT64_MAX };
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++) {
            uint32_t a[2], b[2];
            kn_remote_place(ids[i], &a[0], &a[1]);
            kn_remote_place(ids[j], &b[0], &b[1]);
            ck_assert(a[0] && (i == j) == (a[0] == b[0] && a[1] == b[1]));
        }
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, items_come_back_as_they_were);
    tcase_add_test(tc, what_is_too_long_is_named);
    tcase_add_test(tc, hostile_rows_are_refused);
    tcase_add_test(tc, places_are_nobody_elses);
}
#else
static void fill(TCase *tc)
{
    (void)tc;
    puts("skipped test_remote: this build has no remote store");
}
#endif

int main(void)
{
    return kn_test_main("remote", fill);
}
