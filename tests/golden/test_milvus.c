/* test_milvus.c - requests byte for byte as Milvus's own SDK writes them, and its answers read. */
#include "tests/test.h"

#include "store/milvus_call.h"

#include <string.h>

#ifdef KEN_MILVUS
#include "tests/golden/milvus_cases.h"

enum { DIM = 3, ROWS = 3 };
static const int64_t ids[] = { ((int64_t)77 << 32) + 1, 2, INT64_MAX },
                     revs[] = { 0, -1, 1700000000000000 };
static const float vectors[] = { 1.0f, 0.0f, -0.5f, 0.25f, -1.5e-8f, 3.0f, 0.1f, 0.2f, 0.3f };
static char long_path[208] = "/b \"c\"/";
static char empty[] = "", first_path[] = "/a/\xe4\xbd\xa0\xe5\xa5\xbd.jpg", none[] = "{}",
            one[] = "{\"a\":1}";
static char *const paths[] = { first_path, empty, long_path }, *const metas[] = { none, one, none };

static const kn_mv_field fields[] = { { "id", KN_MV_LONG, 0, 1 },
                                      { "path", KN_MV_TEXT, 65535, 0 },
                                      { "meta", KN_MV_JSON, 0, 0 },
                                      { "rev", KN_MV_LONG, 0, 0 },
                                      { "vector", KN_MV_VECTOR, DIM, 0 } };

static void same(kn_pb *w, const unsigned char *wanted, size_t n)
{
    ck_assert_msg(!w->st, "%s", ken_last_error());
    ck_assert_uint_eq(w->buf.len, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg((unsigned char)w->buf.data[i] == wanted[i], "byte %zu", i);
    kn_pb_release(w);
}

static kn_milvus_url url(const char *text)
{
    kn_milvus_url u;
    ck_assert_msg(!kn_milvus_url_parse(&u, text), "%s", ken_last_error());
    return u;
}

START_TEST(requests_are_the_sdks)
{
    kn_pb w;
    kn_milvus_url u = url("milvus://h/toys?consistency=bounded");
    memset(long_path + 7, 'x', 200);
    kn_pb_init(&w, 1 << 20);
    kn_mv_write_create(&w, "toys", "own", fields, 5, 2, 2);
    same(&w, case_create, sizeof case_create);
    const kn_mv_column columns[] = { { "id", KN_MV_LONG, ids, NULL, NULL, 0 },
                                     { "path", KN_MV_TEXT, NULL, paths, NULL, 0 },
                                     { "meta", KN_MV_JSON, NULL, metas, NULL, 0 },
                                     { "rev", KN_MV_LONG, revs, NULL, NULL, 0 },
                                     { "vector", KN_MV_VECTOR, NULL, NULL, vectors, DIM } };
    kn_mv_write_upsert(&w, "toys", NULL, columns, 5, 0, ROWS);
    same(&w, case_upsert, sizeof case_upsert);
    const kn_mv_search s = { "toys", "state == 0", "COSINE", "HNSW", vectors, 2, DIM, 10, 0 };
    kn_mv_write_search(&w, &u, &s);
    same(&w, case_search, sizeof case_search);
    const kn_mv_result wanted[] = { { .name = "id" }, { .name = "vector" } };
    kn_mv_write_query(&w, &u, "toys", "id > 5", 100, wanted, 2);
    same(&w, case_query, sizeof case_query);
    kn_milvus_url_release(&u);
}
END_TEST

START_TEST(rows_are_read)
{
    kn_mv_result r[] = { { .name = "vector", .type = KN_MV_VECTOR },
                         { .name = "id", .type = KN_MV_LONG },
                         { .name = "path", .type = KN_MV_TEXT },
                         { .name = "meta", .type = KN_MV_JSON },
                         { .name = "rev", .type = KN_MV_LONG } };
    memset(long_path + 7, 'x', 200);
    ck_assert_msg(!kn_mv_read_query(case_rows, sizeof case_rows, r, 5), "%s", ken_last_error());
    ck_assert_uint_eq(r[0].n, ROWS);
    ck_assert_uint_eq(r[0].dim, DIM);
    ck_assert(!memcmp(r[0].floats, vectors, sizeof vectors));
    ck_assert(!memcmp(r[1].longs, ids, sizeof ids));
    ck_assert(!memcmp(r[4].longs, revs, sizeof revs));
    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_uint_eq(r[2].texts[i].n, strlen(paths[i]));
        ck_assert(!memcmp(r[2].texts[i].bytes, paths[i], r[2].texts[i].n));
        ck_assert(!memcmp(r[3].texts[i].bytes, metas[i], r[3].texts[i].n));
    }
    kn_mv_results_release(r, 5);
    kn_mv_result other = { .name = "path", .type = KN_MV_LONG };
    ck_assert_int_eq(kn_mv_read_query(case_rows, sizeof case_rows, &other, 1), KEN_E_FORMAT);
}
END_TEST

/* An answer that was cut anywhere is refused, or has no rows, or lacks only what was not asked for. */
START_TEST(cut_rows_are_refused)
{
    for (size_t n = 0; n < sizeof case_rows; n++) {
        unsigned char *copy = malloc(n ? n : 1);
        kn_mv_result r[] = { { .name = "id", .type = KN_MV_LONG },
                             { .name = "vector", .type = KN_MV_VECTOR } };
        memcpy(copy, case_rows, n);
        ken_status st = kn_mv_read_query(copy, n, r, 2);
        ck_assert(st == KEN_E_FORMAT || (!st && r[0].n == r[1].n && (!r[0].n || r[0].n == ROWS)));
        kn_mv_results_release(r, 2);
        free(copy);
    }
}
END_TEST

START_TEST(hits_are_read)
{
    const kn_mv_search s = { "toys", "", "COSINE", "HNSW", vectors, 2, DIM, 3, 0 };
    ken_hit hits[6];
    size_t found[2];
    for (int text = 0; text < 2; text++) {
        ck_assert(!kn_mv_read_search(text ? case_hits_text : case_hits,
                                     text ? sizeof case_hits_text : sizeof case_hits, &s, hits, found));
        ck_assert(found[0] == 3 && found[1] == 1);
        ck_assert(hits[0].id == 7 && hits[0].raw == 0.9f);
        ck_assert(hits[1].id == 8 && hits[2].id == 9 && hits[1].raw == 0.5f); /* equal: smaller id first */
        ck_assert(hits[3].id == (uint64_t)ids[0] && hits[3].raw == 0.25f);
    }
    ck_assert_int_eq(kn_mv_read_search(case_hits_lying, sizeof case_hits_lying, &s, hits, found),
                     KEN_E_FORMAT);
    const kn_mv_search fewer = { "toys", "", "COSINE", "HNSW", vectors, 2, DIM, 2, 0 };
    ck_assert_int_eq(kn_mv_read_search(case_hits, sizeof case_hits, &fewer, hits, found), KEN_E_FORMAT);
}
END_TEST

START_TEST(urls)
{
    kn_milvus_url u =
        url("milvus://root:a%40b@db.example:7/own/toys?shards=2&replicas=3&consistency=Session"
            "&index=ivf_flat&nprobe=9&metric=ip&tls=1&ca=%2Fx%20y&retry=4&ef=77");
    ck_assert_str_eq(u.host, "db.example");
    ck_assert_str_eq(u.port, "7");
    ck_assert_str_eq(u.database, "own");
    ck_assert_str_eq(u.collection, "toys");
    ck_assert_str_eq(u.authorization, "cm9vdDphQGI="); /* base64 of root:a@b */
    ck_assert_str_eq(u.ca, "/x y");
    ck_assert_str_eq(u.index, "IVF_FLAT");
    ck_assert_str_eq(u.metric, "IP");
    ck_assert(u.shards == 2 && u.replicas == 3 && u.consistency == 1 && u.nprobe == 9 && u.tls &&
              u.retry == 4);
    ck_assert_ptr_null(strstr(u.plain, "a%40b")); /* nobody reads it over a shoulder */
    kn_milvus_url_release(&u);
    u = url("milvus://[::1]/t");
    ck_assert_str_eq(u.host, "::1");
    ck_assert_str_eq(u.port, "19530");
    ck_assert(!u.authorization && !u.database && !u.tls && u.consistency == 0);
    kn_milvus_url_release(&u);
    const char *bad[] = { "milvus://",
                          "milvus://h",
                          "milvus:///t",
                          "milvus://h:x/t",
                          "milvus://h:123456/t",
                          "milvus://h/1t",
                          "milvus://h/t?shards=0",
                          "milvus://h/t?shards",
                          "milvus://h/t?wings=2",
                          "milvus://h/t?consistency=weak",
                          "milvus://h/a/b/c",
                          "milvus://[::1/t",
                          "http://h/t",
                          "milvus://h/t?index=HNSW2" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(kn_milvus_url_parse(&u, bad[i]) == KEN_E_INVALID, "%s", bad[i]);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, requests_are_the_sdks);
    tcase_add_test(tc, rows_are_read);
    tcase_add_test(tc, cut_rows_are_refused);
    tcase_add_test(tc, hits_are_read);
    tcase_add_test(tc, urls);
}
#else
static void fill(TCase *tc)
{
    (void)tc;
    puts("skipped test_milvus: this build has no remote store");
}
#endif

int main(void)
{
    return kn_test_main("milvus", fill);
}
