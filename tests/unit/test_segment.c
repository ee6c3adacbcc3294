/* test_segment.c - vectors come back as they were written, and what is broken is told. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/rand.h"
#include "store/segment.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 7, ROWS = 2 * KN_BLOCK + 33 };

static char dir[] = "/tmp/ken-segment-XXXXXX";
static float rows[ROWS][DIM];
static uint64_t ids[ROWS];

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static void setup(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    kn_rand_fill_normal(rows[0], ROWS * DIM, 1, 2, 1);
    for (size_t i = 0; i < ROWS; i++)
        ids[i] = i * 0x100000001u + 5;
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static const kn_segment_info info = { .number = 4, .dim = DIM, .element = KN_ELEMENT_F32,
                                      .fingerprint = "0123456789abcdef0123456789abcdef" };

static void write_rows(kn_segment_writer *w, size_t from, size_t to, size_t step)
{
    for (size_t i = from; i < to; i += step)
        OK(kn_segment_append(w, ids + i, rows[i], to - i < step ? to - i : step));
    OK(kn_segment_sync(w));
}

static void expect_rows(uint32_t n)
{
    kn_segment s;
    OK(kn_segment_map(&s, dir, 4, n));
    ck_assert_str_eq(s.info.fingerprint, info.fingerprint);
    size_t seen = 0;
    const void *block;
    const unsigned char *entries;
    for (uint32_t b = 0; b < n / KN_BLOCK + 2; b++) {
        size_t have = kn_segment_block(&s, b, &block, &entries);
        if (have)
            ck_assert_mem_eq(block, rows[b * KN_BLOCK], have * sizeof rows[0]);
        for (size_t i = 0; i < have; i++)
            ck_assert_mem_eq(entries + i * KN_ENTRY_BYTES, &ids[seen + i], sizeof ids[0]);
        seen += have;
    }
    ck_assert_uint_eq(seen, n);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_mem_eq(kn_segment_row(&s, i), rows[i], sizeof rows[i]);
        ck_assert_uint_eq(kn_segment_id(&s, i), ids[i]);
        ck_assert(kn_segment_intact(&s, i));
    }
    kn_segment_unmap(&s);
}

START_TEST(rows_come_back)
{
    static const size_t steps[] = { 1, 3, 100, 256, 257, ROWS };
    kn_segment_writer *w;
    OK(kn_segment_create(&w, dir, &info));
    write_rows(w, 0, ROWS, steps[_i]);
    ck_assert_uint_eq(kn_segment_writer_rows(w), ROWS);
    kn_segment_writer_close(w);
    for (uint32_t n = 0; n <= ROWS; n += 11)
        expect_rows(n);
    expect_rows(ROWS);
}
END_TEST

/* A writer that died behind row n is gone on from. */
START_TEST(what_is_not_committed_is_cut_off)
{
    static const uint32_t committed[] = { 0, 1, 255, 256, 257, 512, 540 };
    kn_segment_writer *w;
    const uint32_t n = committed[_i];
    OK(kn_segment_create(&w, dir, &info));
    write_rows(w, 0, n, 64);
    const float junk[5][DIM] = { { 9 } };
    const uint64_t nobody[5] = { 1, 2, 3, 4, 5 };
    OK(kn_segment_append(w, nobody, junk, 5));
    kn_segment_rewind(w, n);
    OK(kn_segment_append(w, nobody, junk, 2));
    kn_segment_writer_close(w);
    OK(kn_segment_continue(&w, dir, 4, n));
    ck_assert_uint_eq(kn_segment_writer_rows(w), n);
    write_rows(w, n, ROWS, 50);
    kn_segment_writer_close(w);
    expect_rows(ROWS);
    ck_assert_int_eq(kn_segment_continue(&w, dir, 4, ROWS + 1), KEN_E_CORRUPT);
}
END_TEST

/* Each byte of the file changed in turn: the header refuses, or exactly one row is not intact, or the
 * byte belongs to no row. */
START_TEST(every_byte_is_watched)
{
    enum { N = 3 };
    kn_segment_writer *w;
    unsigned char *bytes;
    size_t len;
    kn_segment s;
    OK(kn_segment_create(&w, dir, &info));
    write_rows(w, 0, N, 1);
    kn_segment_writer_close(w);
    char *path = kn_path_join(dir, "vectors-000004.seg");
    OK(kn_read_file(&bytes, &len, path, 1 << 20));
    const size_t entries = 4096, data = entries + KN_BLOCK * KN_ENTRY_BYTES;
    ck_assert_uint_eq(len, data + N * sizeof rows[0]);
    for (size_t i = 0; i < len; i++) {
        int broken = 0;
        bytes[i] ^= 1 << i % 8;
        ken_status st = kn_segment_from_memory(&s, bytes, len, N);
        for (uint32_t slot = 0; !st && slot < N; slot++)
            broken += !kn_segment_intact(&s, slot);
        const int in_row = (i >= entries && i < entries + N * KN_ENTRY_BYTES) || i >= data;
        ck_assert_int_eq(st != KEN_OK, i < 80);
        ck_assert_int_eq(broken, in_row);
        bytes[i] ^= 1 << i % 8;
    }
    /* a row in another's place, with its entry, is not intact either */
    memcpy(bytes + data, rows[1], sizeof rows[1]);
    memcpy(bytes + entries, bytes + entries + KN_ENTRY_BYTES, KN_ENTRY_BYTES);
    OK(kn_segment_from_memory(&s, bytes, len, N));
    ck_assert(!kn_segment_intact(&s, 0) && kn_segment_intact(&s, 1));
    for (size_t n = 0; n < len; n += 7)
        ck_assert_int_eq(kn_segment_from_memory(&s, bytes, n, N), KEN_E_CORRUPT);
    kn_free(bytes);
    kn_free(path);
}
END_TEST

START_TEST(wrong_use_and_other_files)
{
    kn_segment_writer *w;
    kn_segment s;
    kn_segment_info bad = info;
    bad.dim = 0;
    ck_assert_int_eq(kn_segment_create(&w, dir, &bad), KEN_E_INVALID);
    ck_assert_int_eq(kn_segment_map(&s, dir, 4, 0), KEN_E_NOTFOUND);
    ck_assert_int_eq(kn_segment_continue(&w, dir, 4, 0), KEN_E_NOTFOUND);
    OK(kn_segment_create(&w, dir, &info));
    kn_segment_writer_close(w);
    char *from = kn_path_join(dir, "vectors-000004.seg");
    char *to = kn_path_join(dir, "vectors-000005.seg");
    ck_assert_int_eq(rename(from, to), 0);
    ck_assert_int_eq(kn_segment_map(&s, dir, 5, 0), KEN_E_CORRUPT);
    ck_assert_int_eq(kn_segment_continue(&w, dir, 5, 0), KEN_E_CORRUPT);
    kn_free(from);
    kn_free(to);
}
END_TEST

static int keep_odd(uint32_t number, void *cookie)
{
    (void)cookie;
    return number % 2;
}

START_TEST(sweeping)
{
    kn_segment_writer *w;
    for (uint32_t i = 1; i < 6; i++) {
        kn_segment_info one = info;
        one.number = i;
        OK(kn_segment_create(&w, dir, &one));
        kn_segment_writer_close(w);
    }
    char *other = kn_path_join(dir, "vectors-000002.seg.bak");
    OK(kn_replace_file(other, "x", 1));
    OK(kn_segment_sweep(dir, keep_odd, NULL));
    for (uint32_t i = 1; i < 6; i++) {
        kn_segment s;
        ken_status st = kn_segment_map(&s, dir, i, 0);
        ck_assert_int_eq(st, i % 2 ? KEN_OK : KEN_E_NOTFOUND);
        if (!st)
            kn_segment_unmap(&s);
    }
    ck_assert_int_eq(access(other, F_OK), 0);
    kn_free(other);
}
END_TEST

/* The largest component is kept to the rounding of its scale, the others to half a step. */
START_TEST(bytes_are_near_their_vector)
{
    for (uint32_t dim = 1; dim <= DIM; dim++) {
        unsigned char row[4 + 8];
        float back[DIM], most = 0;
        ck_assert_uint_eq(kn_row_bytes(KN_ELEMENT_I8, dim), dim <= 4 ? 8 : 12);
        kn_row_pack_i8(rows[dim], dim, row);
        kn_row_unpack_i8(row, dim, back);
        for (uint32_t i = 0; i < dim; i++)
            most = fmaxf(most, fabsf(rows[dim][i]));
        for (uint32_t i = 0; i < dim; i++)
            ck_assert_float_le(fabsf(back[i] - rows[dim][i]), most / 127 * .5001f);
    }
    const float zeros[DIM] = { 0 };
    float back[DIM];
    unsigned char row[12];
    kn_row_pack_i8(zeros, DIM, row);
    kn_row_unpack_i8(row, DIM, back);
    ck_assert_mem_eq(back, zeros, sizeof zeros);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, rows_come_back, 0, 6);
    tcase_add_loop_test(tc, what_is_not_committed_is_cut_off, 0, 7);
    tcase_add_test(tc, every_byte_is_watched);
    tcase_add_test(tc, wrong_use_and_other_files);
    tcase_add_test(tc, sweeping);
    tcase_add_test(tc, bytes_are_near_their_vector);
}

int main(void)
{
    return kn_test_main("segment", fill);
}
