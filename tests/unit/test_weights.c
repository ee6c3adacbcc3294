/* test_weights.c - safetensors files: the reference reader's own byte vectors (safetensors/src/tensor.rs), and what
 * our writer gives. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "nn/weights.h"

#include <string.h>
#include <unistd.h>

static ken_status open_text(kn_weights **out, uint64_t n, const char *header, size_t data,
                            unsigned char **keep)
{
    const size_t len = strlen(header);
    unsigned char *bytes = calloc(1, 8 + len + data + 1);
    memcpy(bytes, &n, 8);
    memcpy(bytes + 8, header, len);
    ken_status st = kn_weights_from_memory(out, bytes, 8 + len + data);
    if (keep && !st)
        *keep = bytes;
    else
        free(bytes);
    return st;
}

static void refuse(const char *header, size_t data, const char *why)
{
    kn_weights *w;
    ck_assert_msg(open_text(&w, strlen(header), header, data, NULL) == KEN_E_FORMAT, "%s", header);
    ck_assert_msg(strstr(ken_last_error(), why), "%s: said '%s', not '%s'", header,
                  ken_last_error(), why);
}

#define ENTRY "{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"

START_TEST(reads_the_reference_vectors)
{
    kn_weights *w;
    unsigned char *bytes;
    const char *one = "{\"test\":" ENTRY "}";
    ck_assert_int_eq(open_text(&w, strlen(one), one, 16, &bytes), KEN_OK);
    ck_assert_uint_eq(kn_weights_len(w), 1);
    const kn_tensor *t = kn_weights_find(w, "test");
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(t->dtype, KN_DT_I32);
    ck_assert_uint_eq(t->rank, 2);
    ck_assert_uint_eq(t->bytes, 16);
    ck_assert_ptr_null(kn_weights_find(w, "tes"));
    kn_weights_close(w);
    free(bytes);
    ck_assert_int_eq(open_text(&w, 6, "{}\r \t\n", 0, &bytes), KEN_OK); /* white space behind */
    kn_weights_close(w);
    free(bytes);
    const char *other = "{\"t\":{\"dtype\":\"F4\",\"shape\":[2,3],\"data_offsets\":[0,3]}}";
    ck_assert_int_eq(open_text(&w, strlen(other), other, 3, &bytes), KEN_OK);
    ck_assert_int_eq(kn_weights_find(w, "t")->dtype, KN_DT_OTHER);
    kn_weights_close(w);
    free(bytes);
    const char *scalar = "{\"__metadata__\":{\"a\":\"b\"},\"s\":{\"dtype\":\"F32\",\"shape\":[],"
                         "\"data_offsets\":[0,4]},"
                         "\"z\":{\"dtype\":\"F16\",\"shape\":[2,0],\"data_offsets\":[4,4]}}";
    ck_assert_int_eq(open_text(&w, strlen(scalar), scalar, 4, &bytes), KEN_OK);
    ck_assert_str_eq(kn_weights_meta(w, "a"), "b");
    ck_assert_ptr_null(kn_weights_meta(w, "b"));
    ck_assert_uint_eq(kn_weights_find(w, "z")->bytes, 0);
    kn_weights_close(w);
    free(bytes);
}
END_TEST

START_TEST(refuses_what_the_reference_refuses)
{
    kn_weights *w;
    const char *one = "{\"test\":" ENTRY "}";
    refuse(one, 17, "behind the last tensor");
    refuse(one, 14, "outside the file");
    refuse("{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,4]}}", 16,
           "the shape says 128");
    ck_assert_int_eq(open_text(&w, UINT64_MAX, one, 16, NULL), KEN_E_FORMAT);
    ck_assert_int_eq(open_text(&w, strlen(one) + 17, one, 16, NULL), KEN_E_FORMAT);
    refuse(
        "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,18446744073709551614],\"data_offsets\":[0,16]}}",
        16, "not a size");
    refuse(
        "{\"test\":{\"dtype\":\"I32\",\"shape\":[9007199254740992,4096],\"data_offsets\":[0,16]}}",
        16, "overflows");
    refuse("{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"u\":{\"dtype\":"
           "\"F32\",\"shape\":[1],"
           "\"data_offsets\":[8,12]}}",
           12, "does not begin where");
    refuse("{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"u\":{\"dtype\":"
           "\"F32\",\"shape\":[1],"
           "\"data_offsets\":[0,4]}}",
           4, "does not begin where");
    refuse("{\"t\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\"t\":{\"dtype\":"
           "\"F32\",\"shape\":[0],"
           "\"data_offsets\":[0,0]}}",
           0, "twice");
    refuse("{\"t\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "not known");
    refuse("{\"t\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "12 bits");
    refuse("{\"t\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[0,4]}}", 4, "24 bits");
    refuse("{\"t\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "dtype appears twice");
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1,
           "outside the file");
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "not two sizes");
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[0,0,0,0,0,0,0,0,0],\"data_offsets\":[0,0]}}", 0,
           "axes");
    refuse("{\"t\":7}", 0, "not a JSON object");
    refuse("{\"t\":", 0, "not JSON");
    refuse("[]", 0, "begin with");
    refuse("{\"a\":\"\xff\"}", 0, "UTF-8");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "not a string");
    refuse("{\"t\":[[[[[[[[[[[]]]]]]]]]]]}", 0, "deeply");
    refuse("{\"t\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,0]}}", 0, "not a size");
    refuse("{\"t\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,6]}}", 6, "not a size");
}
END_TEST

/* Truncated anywhere, it is refused; the block is exactly so long, so that reading on is seen. */
START_TEST(refuses_truncated_files)
{
    const char *one = "{\"test\":" ENTRY ",\"__metadata__\":{\"k\":\"v\"}}";
    const uint64_t n = strlen(one);
    unsigned char whole[256] = { 0 };
    memcpy(whole, &n, 8);
    memcpy(whole + 8, one, n);
    for (size_t len = 0; len < 8 + n + 16; len++) {
        unsigned char *part = malloc(len ? len : 1);
        kn_weights *w;
        memcpy(part, whole, len);
        ck_assert_msg(kn_weights_from_memory(&w, part, len) == KEN_E_FORMAT, "%zu bytes", len);
        free(part);
    }
}
END_TEST

START_TEST(survives_oom)
{
    const char *one = "{\"a\":" ENTRY ",\"__metadata__\":{\"k\":\"v\"}}";
    kn_weights *w;
    for (long n = 0;; n++) {
        kn_alloc_fail_after(n);
        ken_status st = open_text(&w, strlen(one), one, 16, NULL);
        const long denied = kn_alloc_denied();
        kn_alloc_fail_after(-1);
        if (!st)
            kn_weights_close(w);
        if (!denied)
            break;
        ck_assert_int_eq(st, KEN_E_NOMEM);
    }
}
END_TEST

static char path[] = "/tmp/ken-weights-XXXXXX";

static void write_one(kn_writer **out)
{
    const uint64_t big[] = { 32, 8 }, odd[] = { 3 };
    kn_writer *w;
    ck_assert_int_eq(kn_writer_new(&w), KEN_OK);
    ck_assert_int_eq(kn_writer_meta(w, "ken", "1"), KEN_OK);
    ck_assert_int_eq(kn_writer_meta(w, "a \"quoted\"\n", "\\"), KEN_OK);
    ck_assert_int_eq(kn_writer_declare(w, "odd.u8", KN_DT_U8, 1, odd), KEN_OK);
    ck_assert_int_eq(kn_writer_declare(w, "odd.f32", KN_DT_F32, 1, odd), KEN_OK);
    ck_assert_int_eq(kn_writer_declare(w, "big", KN_DT_F32, 2, big), KEN_OK);
    ck_assert_int_eq(kn_writer_declare(w, "scalar", KN_DT_F32, 0, NULL), KEN_OK);
    *out = w;
}

static ken_status fill_and_commit(kn_writer *w)
{
    size_t n;
    ken_status st = kn_writer_begin(w, path);
    if (st)
        return st;
    float *big = kn_writer_data(w, "big", &n);
    ck_assert_uint_eq(n, 1024);
    for (int i = 0; i < 256; i++)
        big[i] = (float)i;
    memset(kn_writer_data(w, "odd.u8", NULL), 7, 3);
    ck_assert_ptr_null(kn_writer_data(w, "none", NULL));
    return kn_writer_commit(w);
}

START_TEST(writes_what_it_reads)
{
    kn_writer *w;
    kn_weights *r;
    close(mkstemp(path));
    write_one(&w);
    ck_assert_int_eq(fill_and_commit(w), KEN_OK);
    kn_writer_free(w);
    ck_assert_int_eq(kn_weights_open(&r, path), KEN_OK);
    ck_assert_str_eq(kn_weights_meta(r, "a \"quoted\"\n"), "\\");
    const kn_tensor *big = kn_weights_find(r, "big"), *odd = kn_weights_find(r, "odd.f32");
    ck_assert_uint_eq((uintptr_t)big->data % 64, 0);
    ck_assert_uint_eq((uintptr_t)odd->data % 4, 0);
    ck_assert(((const float *)big->data)[255] == 255.0f);
    ck_assert_int_eq(((const unsigned char *)kn_weights_find(r, "odd.u8")->data)[2], 7);
    ck_assert_uint_eq(strlen(kn_weights_meta(r, "checksum")), 32);
    kn_weights_close(r);
    unlink(path);
}
END_TEST

START_TEST(a_failed_step_leaves_nothing)
{
    strcpy(path, "/tmp/ken-weights-XXXXXX");
    close(mkstemp(path));
    unlink(path);
    for (long n = 1;; n++) {
        kn_writer *w;
        write_one(&w);
        kn_file_fault(KN_FAULT_FAIL, n);
        ken_status st = fill_and_commit(w);
        kn_file_fault(KN_FAULT_NONE, 0);
        kn_writer_free(w);
        if (!st)
            break;
        ck_assert_int_eq(st, KEN_E_IO);
        ck_assert_int_lt(n, 20);
    }
    unlink(path);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, reads_the_reference_vectors);
    tcase_add_test(tc, refuses_what_the_reference_refuses);
    tcase_add_test(tc, refuses_truncated_files);
    tcase_add_test(tc, survives_oom);
    tcase_add_test(tc, writes_what_it_reads);
    tcase_add_test(tc, a_failed_step_leaves_nothing);
}

int main(void)
{
    return kn_test_main("weights", fill);
}
