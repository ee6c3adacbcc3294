/* test_inflate.c - deflate and gzip; the packed bytes are what Python's zlib makes. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/inflate.h"

#include <string.h>

/* clang-format off */
static const unsigned char stored[] = {
    0x01, 0x0c, 0x00, 0xf3, 0xff, 0x73, 0x74, 0x6f, 0x72, 0x65, 0x64, 0x20, 0x62, 0x79,
    0x74, 0x65, 0x73
};
static const unsigned char fixed[] = {
    0x4b, 0x54, 0x48, 0xcb, 0xac, 0x48, 0x4d, 0x51, 0x48, 0xce, 0x4f, 0x49, 0xd5, 0x51,
    0x48, 0xc4, 0xc9, 0x03, 0x00
};
static const unsigned char dynamic[] = {
    0x85, 0xd6, 0xcd, 0x4d, 0x04, 0x31, 0x0c, 0x80, 0xd1, 0x56, 0x52, 0x00, 0x07, 0xec,
    0x38, 0x3f, 0x5b, 0x0e, 0x2b, 0x0d, 0xe2, 0x30, 0x62, 0x24, 0x18, 0x89, 0xf6, 0xe9,
    0x60, 0xdf, 0xf9, 0xbb, 0x3d, 0xc5, 0x76, 0x1e, 0x8f, 0xf6, 0xbc, 0xee, 0xfb, 0x3c,
    0x7e, 0xdb, 0xf5, 0xd9, 0x9e, 0xc7, 0xf1, 0xd3, 0xae, 0xef, 0x76, 0x7f, 0x1d, 0xed,
    0xef, 0xe3, 0x3c, 0xdf, 0xda, 0x63, 0xa3, 0x2f, 0xf4, 0x89, 0x3e, 0xd0, 0x0b, 0xbd,
    0xa3, 0x27, 0x7a, 0xa0, 0xbf, 0xbf, 0xee, 0x1b, 0x7e, 0x1b, 0x7e, 0x1b, 0x7e, 0x1b,
    0x7e, 0x1b, 0x7e, 0x1b, 0x7e, 0x1b, 0x7e, 0x1b, 0x7e, 0x1b, 0x7e, 0x1b, 0x7e, 0x0b,
    0x7e, 0x0b, 0x7e, 0x0b, 0x7e, 0x0b, 0x7e, 0x0b, 0x7e, 0x0b, 0x7e, 0x0b, 0x7e, 0x0b,
    0x7e, 0x0b, 0x7e, 0x0b, 0x7e, 0x13, 0x7e, 0x13, 0x7e, 0x13, 0x7e, 0x13, 0x7e, 0x13,
    0x7e, 0x13, 0x7e, 0x13, 0x7e, 0x13, 0x7e, 0x13, 0x7e, 0x13, 0x7e, 0x03, 0x7e, 0x03,
    0x7e, 0x03, 0x7e, 0x03, 0x7e, 0x03, 0x7e, 0x03, 0x7e, 0x03, 0x7e, 0x03, 0x7e, 0x03,
    0x7e, 0x03, 0x7e, 0x05, 0xbf, 0x82, 0x5f, 0xc1, 0xaf, 0xe0, 0x57, 0xf0, 0x2b, 0xf8,
    0x15, 0xfc, 0x0a, 0x7e, 0x05, 0xbf, 0x82, 0x5f, 0x87, 0x5f, 0x87, 0x5f, 0x87, 0x5f,
    0x87, 0x5f, 0x87, 0x5f, 0x87, 0x5f, 0x87, 0x5f, 0x87, 0x5f, 0x87, 0x5f, 0x87, 0x5f,
    0xc2, 0x2f, 0xe1, 0x97, 0xf0, 0x4b, 0xf8, 0x25, 0xfc, 0x12, 0x7e, 0x09, 0xbf, 0x84,
    0x5f, 0xc2, 0x2f, 0xe1, 0x17, 0xf0, 0x0b, 0xf8, 0x05, 0xfc, 0x02, 0x7e, 0x01, 0xbf,
    0x80, 0x5f, 0xc0, 0x2f, 0xe0, 0x17, 0xf0, 0x0b, 0xf8, 0xe9, 0xfb, 0x87, 0xeb, 0x8e,
    0xe3, 0x85, 0xdd, 0x8c, 0xd5, 0x83, 0xc9, 0xc2, 0xc3, 0x81, 0xcb, 0xeb, 0xfc, 0x0f
};
static const unsigned char run[] = {
    0xed, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xda, 0x8b, 0x6f, 0x09, 0x4f,
    0xa0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0xb7, 0x01
};
static const unsigned char blocks[] = {
    0xca, 0xcf, 0x4b, 0x55, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x2a, 0x29, 0xcf, 0x57,
    0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x2b, 0xc9, 0x28, 0x4a, 0x4d, 0x05, 0x00
};
/* clang-format on */

static ken_status unpack(unsigned char **out, size_t *len, const unsigned char *in, size_t n,
                         size_t max)
{
    unsigned char *exact = malloc(n ? n : 1); /* so that a sanitizer sees a read past it */
    memcpy(exact, in, n);
    ken_status st = kn_inflate(out, len, exact, n, max);
    free(exact);
    return st;
}

static void check_text(const unsigned char *in, size_t n, const char *want)
{
    unsigned char *out;
    size_t len;
    ck_assert_int_eq(unpack(&out, &len, in, n, 100), KEN_OK);
    ck_assert_uint_eq(len, strlen(want));
    ck_assert_str_eq((char *)out, want);
    kn_free(out);
}

static void check_sum(const unsigned char *in, size_t n, size_t want, uint32_t crc)
{
    unsigned char *out;
    size_t len;
    ck_assert_int_eq(unpack(&out, &len, in, n, want), KEN_OK);
    ck_assert_uint_eq(len, want);
    ck_assert_uint_eq(kn_crc32(out, len), crc);
    kn_free(out);
    ck_assert_int_eq(unpack(&out, &len, in, n, want - 1), KEN_E_LIMIT);
    ck_assert_ptr_null(out);
}

START_TEST(every_kind_of_block)
{
    static const unsigned char empty[] = { 3, 0 };
    check_text(stored, sizeof(stored), "stored bytes");
    check_text(fixed, sizeof(fixed), "a fixed code, a fixed code, a fixed code");
    check_text(blocks, sizeof(blocks), "one two three");
    check_text(empty, sizeof(empty), "");
    check_sum(dynamic, sizeof(dynamic), 3159, 4140898575u);
    check_sum(run, sizeof(run), 70000, 3311487016u);
}
END_TEST

/* A stream that lacks its last byte or more is an error; bytes behind it are not. */
START_TEST(cut_off_anywhere)
{
    unsigned char more[sizeof(dynamic) + 3] = { 0 }, *out;
    size_t len;
    for (size_t n = 0; n < sizeof(dynamic); n++) {
        ck_assert_int_eq(unpack(&out, &len, dynamic, n, 1 << 16), KEN_E_FORMAT);
        ck_assert_ptr_null(out);
    }
    for (size_t n = 0; n < sizeof(blocks); n++)
        ck_assert_int_eq(unpack(&out, &len, blocks, n, 1 << 16), KEN_E_FORMAT);
    memcpy(more, dynamic, sizeof(dynamic));
    ck_assert_int_eq(unpack(&out, &len, more, sizeof(more), 1 << 16), KEN_OK);
    ck_assert_uint_eq(len, 3159);
    kn_free(out);
}
END_TEST

START_TEST(broken_streams)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        { "\x07", 1 },                  /* a block of kind 3 */
        { "\x01\x01\x00\x00\x00x", 6 }, /* a stored length that does not fit its complement */
        { "\x05\xe0\x03", 3 },          /* 288 literals' lengths */
        { "\x03\x02\x00", 3 },          /* a match before the start */
        { "\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 12 }, /* codes of no symbol */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        unsigned char *out;
        size_t len;
        ken_status st = unpack(&out, &len, (const unsigned char *)bad[i].bytes, bad[i].n, 1 << 16);
        ck_assert_msg(st == KEN_E_FORMAT, "stream %zu: %d", i, st);
    }
}
END_TEST

/* Every bit turned: an error or other bytes, never a read or write outside (sanitizers watch). */
START_TEST(turned_bits)
{
    for (size_t bit = 0; bit < 8 * sizeof(dynamic); bit++) {
        unsigned char bytes[sizeof(dynamic)], *out;
        size_t len;
        memcpy(bytes, dynamic, sizeof(bytes));
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        ken_status st = unpack(&out, &len, bytes, sizeof(bytes), 1 << 16);
        ck_assert(st == KEN_OK || st == KEN_E_FORMAT || st == KEN_E_LIMIT);
        kn_free(out);
    }
}
END_TEST

/* gzip -n of "one two three" by hand around the blocks above, with every optional field. */
static size_t wrap(unsigned char *to, unsigned flags)
{
    static const unsigned char head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
    static const unsigned char tail[] = { 0xd7, 0xd3, 0x25, 0x78, 13, 0, 0, 0 };
    size_t n = sizeof(head);
    memcpy(to, head, n);
    to[3] = (unsigned char)flags;
    if (flags & 4) {
        memcpy(to + n, "\x02\x00XY", 4);
        n += 4;
    }
    for (unsigned f = 8; f <= 16; f *= 2)
        if (flags & f) {
            memcpy(to + n, "name", 5);
            n += 5;
        }
    n += flags & 2;
    memcpy(to + n, blocks, sizeof(blocks));
    n += sizeof(blocks);
    memcpy(to + n, tail, sizeof(tail));
    return n + sizeof(tail);
}

START_TEST(gzip_headers)
{
    for (unsigned flags = 0; flags < 32; flags += 2) {
        unsigned char bytes[100] = { 0 }, *out;
        size_t len, n = wrap(bytes, flags);
        ken_status st = kn_gunzip(&out, &len, bytes, n, 100);
        ck_assert_msg(!st, "flags %u: %s", flags, ken_last_error());
        ck_assert_str_eq((char *)out, "one two three");
        kn_free(out);
        for (size_t k = 0; k < n; k++)
            ck_assert_int_eq(kn_gunzip(&out, &len, bytes, k, 100), KEN_E_FORMAT);
        bytes[n - 5] ^= 1;
        ck_assert_int_eq(kn_gunzip(&out, &len, bytes, n, 100), KEN_E_FORMAT);
    }
}
END_TEST

START_TEST(no_memory)
{
    ken_status st = KEN_E_NOMEM;
    for (long i = 0; st; i++) {
        unsigned char *out;
        size_t len;
        kn_alloc_fail_after(i);
        st = kn_inflate(&out, &len, dynamic, sizeof(dynamic), 1 << 16);
        ck_assert_int_eq(st, kn_alloc_denied() ? KEN_E_NOMEM : KEN_OK);
        kn_alloc_fail_after(-1);
        kn_free(out);
        ck_assert_int_lt(i, 100);
    }
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, every_kind_of_block);
    tcase_add_test(tc, cut_off_anywhere);
    tcase_add_test(tc, broken_streams);
    tcase_add_test(tc, turned_bits);
    tcase_add_test(tc, gzip_headers);
    tcase_add_test(tc, no_memory);
}

int main(void)
{
    return kn_test_main("inflate", fill);
}
