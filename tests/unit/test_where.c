/* test_where.c - expressions over records: what they say, and what is said of wrong ones. */
#include "tests/test.h"

#include "base/error.h"
#include "engine/where.h"

#include <string.h>
#include <time.h>

#define DAY INT64_C(86400000000000)

static char path[] = "/home/a/Photos/2024/Beach trip/IMG_7.JPG", object[] = "bear", kind[] = "image", root[] = "/x",
            no_json[] = "not JSON",
            meta[] = "{\"tags\":[\"sea\",\"red kite\"],\"rating\":4,\"score\":\"10\",\"fav\":true,"
                     "\"camera\":{\"make\":\"Canon\",\"f.stop\":2.8},\"none\":null,\"empty\":\"\","
                     "\"taken\":\"2023-08-09T10:00:00Z\",\"description\":\"两只鹦鹉 on a branch\"}";

static kn_item item(void)
{
    return (kn_item){ .id = 7,
                      .path = path,
                      .object = object,
                      .kind = kind,
                      .meta = meta,
                      .width = 4000,
                      .height = 3000,
                      .bytes = 2500000,
                      .mtime_ns = 19860 * DAY,   /* 2024-05-17 00:00 UTC */
                      .added_ns = 20000 * DAY }; /* 2024-10-04 */
}

static int holds(const char *expr, const kn_item *i)
{
    kn_where *w = NULL;
    ken_status st = kn_where_parse(&w, expr);
    ck_assert_msg(!st, "%s: %s", expr, ken_last_error());
    const int yes = kn_where_match(w, i);
    kn_where_free(w);
    return yes;
}

static const struct {
    const char *expr;
    int holds;
} tests[] = {
    { "kind=image", 1 },
    { "kind = 'image' and object == bear", 1 },
    { "kind=model or object=bear", 1 },
    { "kind=model or object=cat", 0 },
    { "not kind=model", 1 },
    { "not not kind=model", 0 },
    { "kind=model and kind=model or kind=image", 1 },   /* and binds tighter */
    { "kind=image or kind=image and kind=model", 1 },
    { "(kind=image or kind=image) and kind=model", 0 },
    { "not kind=model and object=cat", 0 },             /* not binds tightest */
    { "not (kind=model and object=cat)", 1 },
    { "NOT kind=model AND Object IN (cat,bear)", 1 },
    { "object in (cat, \"bear\")", 1 },
    { "object not in (cat, dog)", 1 },
    { "object in(cat)", 0 },
    { "object", 1 },
    { "object!=bear", 0 },
    { "object~b*r", 1 },
    { "object~b?r", 0 },
    { "object!~b*", 0 },
    { "object>=b and object<c", 1 },
    { "id=7", 1 },
    { "id in (1,7)", 1 },
    { "ext=jpg", 1 },
    { "ext in (heic, .jpg)", 1 },
    { "ext=jp", 0 },
    { "name=IMG_7.JPG", 1 },
    { "name~'IMG_[0-9].*'", 1 },
    { "name~'IMG_[!0-9].*'", 0 },
    { "dir='/home/a/Photos/2024/Beach trip'", 1 },
    { "dir=/home/a/Photos", 0 },
    { "dir~/home/a/Photos/*", 1 },
    { "path~/home/*.JPG", 1 },
    { "path~\"2024/*\"", 1 },
    { "path~'Beach trip/*'", 1 },
    { "path~'each trip/*'", 0 }, /* begins behind a '/' */
    { "path~'*each trip/*'", 1 },
    { "path='/home/a/x/../Photos/2024/Beach trip/IMG_7.JPG'", 1 },
    { "bytes>2M and bytes<2.5MiB", 1 },
    { "bytes=2500k", 1 },
    { "size>=2500001", 0 },
    { "width>=4000 and h<=3000", 1 },
    { "w>4000 or height<3000", 0 },
    { "mtime=2024", 1 },
    { "mtime=2024-05", 1 },
    { "mtime=2024-05-17", 1 },
    { "mtime=2024-05-17T00:00", 1 },
    { "mtime>2024-05-16", 1 },
    { "mtime>2024-05", 0 }, /* behind the span */
    { "mtime<=2024-05", 1 },
    { "mtime<2024-05", 0 },
    { "mtime!=2023", 1 },
    { "mtime in (2022, 2024)", 1 },
    { "mtime=2024-05-17T02:00:00+02:00", 1 },
    { "mtime<2024-05-16T23:59:59Z", 0 },
    { "added>=2024-10-04 and added<2024-10-05", 1 },
    { "taken=2023-08", 1 }, /* of its metadata, not of its file */
    { "taken>=2024-01-01", 0 },
    { "tag=sea", 1 },
    { "tag='red kite'", 1 },
    { "tag in (x, sea)", 1 },
    { "tag=lake", 0 },
    { "tag!=lake", 1 },
    { "tag~red*", 1 },
    { "tag", 1 },
    { "meta.rating>3", 1 },
    { "meta.rating>=4.0", 1 },
    { "meta.rating>10", 0 }, /* as numbers */
    { "meta.score>9", 1 },
    { "meta.fav=true", 1 },
    { "meta.camera.make=Canon", 1 },
    { "meta.camera.f.stop<3", 1 },
    { "meta.camera=Canon", 0 },
    { "meta.none or meta.empty or meta.lost", 0 },
    { "meta.lost=1 or meta.lost<1 or meta.lost~*", 0 },
    { "not meta.lost=1 and meta.lost!=1", 1 },
    { "meta.taken<2024", 1 },
    { "description~'*parrot*'", 0 },
    { "description~两只*", 1 },
    { "description~??鹦鹉*", 1 },
    { "description~'[两-两]*'", 1 },
    { "meta.tags~'[a-f]*' or meta.tags~'[q-s]ed?kite'", 1 },
};

START_TEST(holds_what_it_says)
{
    const kn_item i = item();
    ck_assert_msg(holds(tests[_i].expr, &i) == tests[_i].holds, "%s", tests[_i].expr);
}
END_TEST

static const struct {
    const char *expr, *error;
} wrong[] = {
    { "", "column 1: expected a key, but there it ends" },
    { "wdth>3", "column 1: no key \"wdth\"" },
    { "kind=image and wdth>3", "column 16: no key \"wdth\"" },
    { "meta=1", "column 1: no key \"meta\"" },
    { "meta.=1", "column 1: no key \"meta.\"" },
    { "width>wide", "column 7: expected a number" },
    { "width>3x", "column 7: expected a number" },
    { "mtime>yesterday", "column 7: expected a time" },
    { "mtime>2024-13", "column 7: expected a time" },
    { "mtime>2023-02-30T", "column 7: expected a time" },
    { "mtime~2024*", "column 6: ~ is for texts" },
    { "kind", "column 5: expected one of =" },
    { "kind image", "column 6: expected one of =" },
    { "kind=", "column 6: expected a value, but there it ends" },
    { "kind=and", "column 6: expected a value; the word \"and\" goes into quotes" },
    { "kind=\"image", "column 6: this quote is not closed" },
    { "(kind=image", "column 1: this '(' is not closed" },
    { "(kind=image x)", "column 13: expected and, or, ')', not \"x)\"" },
    { "kind=image kind=image", "column 12: expected and, or, or the end" },
    { "object='两只' x", "column 13: expected and, or, or the end" }, /* characters, not bytes */
    { "kind in image", "column 9: expected '(' behind in" },
    { "kind in (image", "column 15: expected ',' or ')'" },
    { "kind in ()", "column 10: expected a value" },
    { "kind=image)", "column 11: expected and, or, or the end" },
    { "kind=image and", "column 15: expected a key, but there it ends" },
};

START_TEST(says_where_it_is_wrong)
{
    kn_where *w = NULL;
    ck_assert_int_eq(kn_where_parse(&w, wrong[_i].expr), KEN_E_INVALID);
    ck_assert_ptr_null(w);
    ck_assert_msg(!strncmp(ken_last_error(), wrong[_i].error, strlen(wrong[_i].error)), "%s: %s", wrong[_i].expr,
                  ken_last_error());
}
END_TEST

START_TEST(depth_and_length_are_limited)
{
    char deep[3000] = "", *at = deep;
    static char wide[1 << 17];
    kn_where *w = NULL;
    for (int i = 0; i < 500; i++)
        *at++ = '(';
    ck_assert_int_eq(kn_where_parse(&w, deep), KEN_E_INVALID);
    ck_assert_ptr_nonnull(strstr(ken_last_error(), "levels"));
    for (at = deep; at < deep + 2000; at += 4)
        memcpy(at, "not ", 5);
    ck_assert_int_eq(kn_where_parse(&w, deep), KEN_E_INVALID);
    for (at = wide; at < wide + 60000; at += 8)
        memcpy(at, "id=1 or ", 9);
    memcpy(at, "id=7", 5);
    const kn_item i = item();
    ck_assert(holds(wide, &i));
    memset(wide, ' ', sizeof wide - 1);
    ck_assert_int_eq(kn_where_parse(&w, wide), KEN_E_INVALID);
}
END_TEST

/* Without meta, object and kind nothing of theirs is true, and nothing breaks. */
START_TEST(what_is_missing_equals_nothing)
{
    kn_item i = item();
    i.meta = i.object = i.kind = NULL;
    i.path = root;
    ck_assert(!holds("object or tag or meta.a or kind=image or object~*", &i));
    ck_assert(holds("not object and ext='' and dir=/ and path!~*.jpg and taken=2024-05-17", &i));
    i.meta = no_json;
    ck_assert(!holds("meta.a", &i));
}
END_TEST

static void fill(TCase *tc)
{
    setenv("TZ", "UTC", 1);
    tzset();
    tcase_add_loop_test(tc, holds_what_it_says, 0, sizeof tests / sizeof *tests);
    tcase_add_loop_test(tc, says_where_it_is_wrong, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, depth_and_length_are_limited);
    tcase_add_test(tc, what_is_missing_equals_nothing);
}

int main(void)
{
    return kn_test_main("where", fill);
}
