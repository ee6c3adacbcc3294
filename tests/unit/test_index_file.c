/* test_index_file.c - the factory string; the file of sections, and every byte of it broken in turn. */
#include "tests/test.h"

#include "base/alloc.h"
#include "index/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static const char *path = "/tmp/ken-test-index-file";

START_TEST(spec_is_read_as_faiss_reads_it)
{
    static const struct {
        const char *text, *canonical;
        size_t n;
        kn_kind_id kind;
        uint32_t m, lists, opq, pq, bits;
        int refine;
    } cases[] = {
        { "Flat", "Flat", 9, KN_KIND_FLAT, 0, 0, 0, 0, 0, 0 },
        { "flat", "Flat", 9, KN_KIND_FLAT, 0, 0, 0, 0, 0, 0 },
        { "HNSW", "HNSW16", 9, KN_KIND_HNSW, 16, 0, 0, 0, 0, 0 },
        { "hnsw32", "HNSW32", 9, KN_KIND_HNSW, 32, 0, 0, 0, 0, 0 },
        { "HNSW8,Flat", "HNSW8", 9, KN_KIND_HNSW, 8, 0, 0, 0, 0, 0 },
        { "IVF1024,Flat", "IVF1024,Flat", 9, KN_KIND_IVF, 0, 1024, 0, 0, 0, 0 },
        { "IVF10,PQ64", "IVF10,PQ64", 9, KN_KIND_IVF, 0, 10, 0, 64, 8, 0 },
        { "IVF10,PQ64x8", "IVF10,PQ64", 9, KN_KIND_IVF, 0, 10, 0, 64, 8, 0 },
        { "IVF7,PQ128x4fs,RFlat", "IVF7,PQ128x4fs,RFlat", 9, KN_KIND_IVF, 0, 7, 0, 128, 4, 1 },
        { "OPQ64,IVF1024,PQ64", "OPQ64,IVF1024,PQ64", 9, KN_KIND_IVF, 0, 1024, 64, 64, 8, 0 },
        { "auto", "Flat", 10, KN_KIND_FLAT, 0, 0, 0, 0, 0, 0 },
        { "auto", "HNSW16", 1000000, KN_KIND_HNSW, 16, 0, 0, 0, 0, 0 },
    };
    static const char *const wrong[] = { "",         "Flt",        "Flat,",      "HNSW1",
                                         "HNSW65",   "HNSW16,",    "HNSWx",      "IVF",
                                         "IVF0,Flat", "IVF10",     "IVF10,",     "IVF10,PQ0",
                                         "IVF10,PQ7", "IVF10,PQ8x5", "OPQ7,IVF1,Flat", "OPQ8,Flat",
                                         "IVF10,PQ8,RFlat,x", "IVF99999999999,Flat", "Flat " };
    kn_spec s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(kn_spec_parse(&s, cases[i].text, cases[i].n, 512, KN_METRIC_L2));
        ck_assert_str_eq(s.text, cases[i].canonical);
        ck_assert_int_eq(s.kind, cases[i].kind);
        ck_assert_uint_eq(s.m, cases[i].m);
        ck_assert_uint_eq(s.lists, cases[i].lists);
        ck_assert_uint_eq(s.opq, cases[i].opq);
        ck_assert_uint_eq(s.pq, cases[i].pq);
        ck_assert_uint_eq(s.bits, cases[i].bits);
        ck_assert_int_eq(s.refine, cases[i].refine);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(kn_spec_parse(&s, wrong[i], 9, 512, KN_METRIC_L2) == KEN_E_INVALID, "\"%s\"",
                      wrong[i]);
}
END_TEST

static void write_file(const char *spec)
{
    kn_index_writer w;
    kn_index_about about = { .metric = KN_METRIC_L2, .dim = 3, .n = 5, .seed = 7 };
    unsigned char bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + 1);
    snprintf(about.spec, sizeof about.spec, "%s", spec);
    OK(kn_index_writer_begin(&w, path));
    OK(kn_index_writer_section(&w, "parts"));
    OK(kn_index_writer_add(&w, bytes, 100));
    OK(kn_index_writer_add(&w, bytes + 100, 4900));
    OK(kn_index_writer_put(&w, "empty", "", 0));
    OK(kn_index_writer_put(&w, "five", bytes, 20));
    OK(kn_index_writer_commit(&w, &about));
}

START_TEST(what_was_written_is_found)
{
    kn_index_file f;
    const void *p;
    size_t bytes = 0;
    write_file("Flat");
    OK(kn_index_file_open(&f, path));
    ck_assert_str_eq(f.about.spec, "Flat");
    ck_assert_uint_eq(f.about.n, 5);
    OK(kn_index_file_get(&f, "five", 5, 4, &p));
    ck_assert_uint_eq((uintptr_t)p % 4096, 0);
    ck_assert_uint_eq(((const unsigned char *)p)[19], 19 * 7 + 1);
    OK(kn_index_file_get(&f, "parts", 5000, 1, &p));
    ck_assert_uint_eq(((const unsigned char *)p)[4999], (4999 * 7 + 1) & 255);
    ck_assert_ptr_nonnull(kn_index_file_find(&f, "empty", &bytes));
    ck_assert_uint_eq(bytes, 0);
    ck_assert_ptr_null(kn_index_file_find(&f, "none", &bytes));
    ck_assert_int_eq(kn_index_file_get(&f, "five", 4, 4, &p), KEN_E_CORRUPT);
    ck_assert_int_eq(kn_index_file_get(&f, "five", SIZE_MAX / 2, 4, &p), KEN_E_CORRUPT);
    ck_assert_int_eq(kn_index_file_get(&f, "none", 4, 4, &p), KEN_E_CORRUPT);
    OK(kn_index_file_check(&f, NULL, NULL));
    ck_assert_ptr_null(kn_index_file_table(&f));
    kn_index_file_close(&f);
    OK(kn_index_file_set_table(path, "{\"a\":1}"));
    OK(kn_index_file_open(&f, path));
    ck_assert_str_eq(kn_index_file_table(&f), "{\"a\":1}");
    OK(kn_index_file_check(&f, NULL, NULL));
    kn_index_file_close(&f);
    unlink(path);
}
END_TEST

START_TEST(every_broken_byte_is_seen)
{
    kn_index_file f;
    unsigned char *bytes = NULL;
    size_t len = 0;
    write_file("Flat");
    OK(kn_index_file_set_table(path, "{}"));
    OK(kn_read_file(&bytes, &len, path, 1 << 20));
    unsigned char *copy = aligned_alloc(4096, (len + 4095) & ~(size_t)4095);
    for (size_t i = 0; i < len; i++) {
        memcpy(copy, bytes, len);
        copy[i] ^= 0x10;
        ken_status st = kn_index_file_from_memory(&f, copy, len);
        if (!st)
            st = kn_index_file_check(&f, NULL, NULL);
        ck_assert_msg(st == KEN_E_CORRUPT || st == KEN_E_FORMAT || st == KEN_E_VERSION,
                      "byte %zu: %s", i, ken_status_name(st));
    }
    for (size_t n = 0; n < len; n += n < 9000 ? 1 : 97) {
        memcpy(copy, bytes, n);
        ck_assert_msg(kn_index_file_from_memory(&f, copy, n) != KEN_OK, "cut to %zu", n);
    }
    free(copy);
    kn_free(bytes);
    unlink(path);
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_test(t, spec_is_read_as_faiss_reads_it);
    tcase_add_test(t, what_was_written_is_found);
    tcase_add_test(t, every_broken_byte_is_seen);
}

int main(void)
{
    return kn_test_main("index file", fill);
}
