/*
 * test_convert.c - ken-convert's readers on archives made by hand: layouts that publishers' files have, and
 * files that lie.  Whole models are converted in tests/golden/test_models.c.
 */
#include "tests/unit/convert_make.h"

#include "base/alloc.h"
#include "base/file.h"
#include "tools/convert/emit.h"
#include "tools/convert/pickle.h"
#include "tools/convert/read.h"

#include <unistd.h>

/* Reads, takes the bytes, and gives the status; the set is the caller's. */
static ken_status read_bytes(cv_set *s, const bytes *b)
{
    *s = (cv_set){ 0 };
    ken_status st = cv_read_bytes(s, b->p, b->n, "test");
    return st ? st : cv_set_seal(s);
}

static void refuse(bytes b, const char *why)
{
    cv_set s;
    const ken_status st = read_bytes(&s, &b);
    ck_assert_msg(st == KEN_E_FORMAT || st == KEN_E_UNSUPPORTED || st == KEN_E_LIMIT,
                  "%s: status %d", why, st);
    ck_assert_msg(strstr(ken_last_error(), why), "said '%s', not '%s'", ken_last_error(), why);
    cv_set_release(&s);
    empty(&b);
}

static void accept(bytes b, const float *want, size_t n)
{
    cv_set s;
    float got[64];
    ck_assert_msg(!read_bytes(&s, &b), "%s", ken_last_error());
    const cv_tensor *t = cv_set_find(&s, "w");
    ck_assert_ptr_nonnull(t);
    const cv_view v = cv_view_of(t);
    ck_assert_uint_eq(cv_view_rows(&v) * cv_view_cols(&v), n);
    ck_assert_int_eq(cv_view_all(&s, &v, got), KEN_OK);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(got[i] == want[i], "element %zu is %g", i, (double)got[i]);
    for (uint64_t r = 0; r < cv_view_rows(&v); r++) {
        ck_assert_int_eq(cv_view_row(&s, &v, r, got), KEN_OK);
        for (uint64_t c = 0; c < cv_view_cols(&v); c++)
            ck_assert(got[c] == want[r * cv_view_cols(&v) + c]);
    }
    cv_set_release(&s);
    empty(&b);
}

static const made_tensor plain = { "0", 6, 0, { 2, 3 }, { 3, 1 } };
static const float counted[] = { 0, 1, 2, 3, 4, 5 };

static bytes archive_of(const made_tensor *t, size_t floats, unsigned how)
{
    bytes pickle = pickle_state(t);
    return torch_archive(&pickle, floats, how);
}

/* ---- torch's zips ---- */

START_TEST(reads_torch_zips)
{
    accept(archive_of(&plain, 6, 0), counted, 6);
    accept(archive_of(&plain, 6, STREAMED), counted, 6);
    accept(archive_of(&plain, 6, ZIP64), counted, 6);
    accept(archive_of(&plain, 6, ZIP64 | STREAMED), counted, 6);
}
END_TEST

START_TEST(gathers_through_strides)
{
    const float turned[] = { 0, 3, 1, 4, 2, 5 }, same[] = { 5, 5, 5, 5 }, step[] = { 1, 3, 5 };
    accept(archive_of(&(made_tensor){ "0", 6, 0, { 3, 2 }, { 1, 3 } }, 6, 0), turned, 6);
    accept(archive_of(&(made_tensor){ "0", 6, 5, { 2, 2 }, { 0, 0 } }, 6, 0), same, 4);
    accept(archive_of(&(made_tensor){ "0", 6, 1, { 1, 3 }, { 77, 2 } }, 6, 0), step, 3);
    accept(archive_of(&(made_tensor){ "0", 6, 6, { 0, 3 }, { 3, 1 } }, 6, 0), NULL, 0);
}
END_TEST

/* 2^60 rows of nothing are no work. */
START_TEST(walks_no_empty_tensor)
{
    cv_set s = { 0 };
    static char name[] = "w";
    const float none = 0;
    float out[1] = { 7 };
    cv_tensor t = { .name = name, .dtype = KN_DT_F32, .rank = 4, .data = (const unsigned char *)&none,
                    .shape = { 2, 1ull << 40, 1ull << 20, 0 } };
    cv_contiguous(&t);
    ck_assert_int_eq(cv_check_inside(&t, 1), KEN_OK);
    const cv_view v = cv_view_of(&t);
    ck_assert_int_eq(cv_view_all(&s, &v, out), KEN_OK);
    ck_assert_int_eq(cv_view_row(&s, &v, 1, out), KEN_OK);
    ck_assert(out[0] == 7);
}
END_TEST

START_TEST(refuses_tensors_that_reach_out)
{
    refuse(archive_of(&(made_tensor){ "0", 6, 1, { 2, 3 }, { 3, 1 } }, 6, 0),
           "tensor w: element 5 of a storage of 5");
    refuse(archive_of(&(made_tensor){ "0", 6, 0, { 2, 3 }, { 4, 1 } }, 6, 0), "element 6");
    refuse(archive_of(&(made_tensor){ "0", 6, 7, { 1, 1 }, { 1, 1 } }, 6, 0), "begins outside");
    refuse(archive_of(&(made_tensor){ "0", 7, 0, { 2, 3 }, { 3, 1 } }, 6, 0),
           "7 elements are claimed");
    refuse(archive_of(&(made_tensor){ "0", INT64_MAX, 0, { 2, 3 }, { 3, 1 } }, 6, 0),
           "are claimed");
    refuse(archive_of(&(made_tensor){ "0", 6, 0, { 2, 3 }, { -3, 1 } }, 6, 0), "axis 0");
    refuse(archive_of(&(made_tensor){ "0", 6, -1, { 2, 3 }, { 3, 1 } }, 6, 0), "begins outside");
    refuse(
        archive_of(&(made_tensor){ "0", 6, 0, { INT64_MAX, INT64_MAX }, { INT64_MAX, 1 } }, 6, 0),
        "overflow");
    refuse(archive_of(&(made_tensor){ "0", 6, 0, { 1 << 20, 1 << 20 }, { 0, 0 } }, 6, 0),
           "elements made of 6");
    refuse(archive_of(&(made_tensor){ "1", 6, 0, { 2, 3 }, { 3, 1 } }, 6, 0),
           "storage 1 is not in the archive");
    refuse(archive_of(&(made_tensor){ "../0", 6, 0, { 2, 3 }, { 3, 1 } }, 6, 0),
           "not in the archive");
}
END_TEST

static bytes archive_with(const char *name, unsigned how)
{
    zip z = { 0 };
    bytes pickle = pickle_state(&plain);
    zip_add(&z, "a/data.pkl", pickle.p, pickle.n, 0);
    zip_add(&z, "a/data/0", counted, sizeof counted, 0);
    zip_add(&z, name, "x", 1, how);
    empty(&pickle);
    return zip_end(&z, 0);
}

START_TEST(refuses_zips_that_lie)
{
    refuse(archive_with("../../etc/passwd", 0), "climbs out");
    refuse(archive_with("a/../b", 0), "climbs out");
    refuse(archive_with("/etc/passwd", 0), "plain relative name");
    refuse(archive_with("a\\b", 0), "plain relative name");
    refuse(archive_with("C:evil", 0), "plain relative name");
    refuse(archive_with("a/data.pkl", 0), "appears twice");
    refuse(archive_with("a/secret", ENCRYPT), "encrypted");
    refuse(archive_with("a/other", RENAMED), "another name");
}
END_TEST

/* Each field of a zip, damaged in turn: any answer but one outside the file. */
START_TEST(survives_every_changed_byte)
{
    static const unsigned hows[] = { 0, ZIP64 | STREAMED };
    for (int h = 0; h < 2; h++) {
        bytes good = archive_of(&plain, 6, hows[h]);
        for (size_t i = 0; i < good.n; i++) {
            static const unsigned char flips[] = { 0xff, 0x80, 0x01 };
            for (int f = 0; f < 3; f++) {
                unsigned char *copy = malloc(good.n);
                memcpy(copy, good.p, good.n);
                copy[i] ^= flips[f];
                const bytes b = { copy, good.n, 0 };
                cv_set s;
                float out[64];
                const ken_status st = read_bytes(&s, &b);
                const cv_tensor *t = st ? NULL : cv_set_find(&s, "w");
                cv_view v = { 0 };
                if (t)
                    v = cv_view_of(t);
                if (t && cv_view_rows(&v) * cv_view_cols(&v) <= 64 && cv_view_all(&s, &v, out))
                    ck_assert_str_ne(ken_last_error(), "");
                cv_set_release(&s);
                free(copy);
            }
        }
        empty(&good);
    }
}
END_TEST

static void truncate_everywhere(bytes good)
{
    for (size_t n = 0; n < good.n; n++) {
        unsigned char *copy = malloc(n ? n : 1); /* exactly so long: reading on is seen */
        memcpy(copy, good.p, n);
        const bytes b = { copy, n, 0 };
        cv_set s;
        const ken_status st = read_bytes(&s, &b);
        ck_assert_msg(st == KEN_E_FORMAT || st == KEN_E_UNSUPPORTED, "%zu of %zu bytes: status %d",
                      n, good.n, st);
        cv_set_release(&s);
        free(copy);
    }
    empty(&good);
}

START_TEST(refuses_truncated_zips)
{
    truncate_everywhere(archive_of(&plain, 6, 0));
    truncate_everywhere(archive_of(&plain, 6, ZIP64));
}
END_TEST

static void poke(bytes *b, const char *signature, size_t offset, uint64_t v, size_t n)
{
    unsigned char *at = b->p + b->n;
    do
        at--;
    while (at > b->p && memcmp(at, signature, 4) != 0);
    for (size_t i = 0; i < n; i++, v >>= 8)
        at[offset + i] = (unsigned char)v;
}

START_TEST(refuses_zip64_lies)
{
    static const struct {
        const char *record, *why;
        size_t offset;
        uint64_t value;
    } lies[] = {
        { "PK\x06\x06", "directory of", 32, UINT64_MAX },        /* entries */
        { "PK\x06\x06", "outside the file", 40, UINT64_MAX },    /* its size */
        { "PK\x06\x06", "outside the file", 48, UINT64_MAX },    /* its place */
        { "PK\x06\x07", "end record is not at", 8, UINT64_MAX }, /* of the record */
        { "PK\x06\x07", "end record is not at", 8, 3 },
        { "PK\x06\x06", "no directory entry", 48, 1 },
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        bytes b = archive_of(&plain, 6, ZIP64);
        poke(&b, lies[i].record, lies[i].offset, lies[i].value, 8);
        refuse(b, lies[i].why);
    }
    bytes b = archive_of(&plain, 6, ZIP64); /* an entry's sizes, in its extra field */
    poke(&b, "PK\x01\x02", 46 + 9 + 4, UINT64_MAX, 8);
    refuse(b, "a/version");
}
END_TEST

/* ---- pickles ---- */

static bytes archive_of_pickle(const char *p, size_t n)
{
    bytes pickle = { 0 };
    put(&pickle, p, n);
    return torch_archive(&pickle, 6, 0);
}

#define PICKLE(s) archive_of_pickle(s, sizeof(s) - 1)

START_TEST(never_calls_anything)
{
    static const char mark[] = "/tmp/ken-convert-called";
    bytes b = PICKLE("\x80\x02}X\x01\x00\x00\x00wcos\nsystem\n(X\x1d\x00\x00\x00touch "
                     "/tmp/ken-convert-calledtRs.");
    cv_set s;
    float out[1];
    unlink(mark);
    ck_assert_msg(!read_bytes(&s, &b), "%s", ken_last_error());
    const cv_tensor *t = cv_set_find(&s, "w");
    ck_assert_ptr_nonnull(t->problem);
    const cv_view v = cv_view_of(t);
    ck_assert_int_eq(cv_view_all(&s, &v, out), KEN_E_FORMAT);
    ck_assert_msg(strstr(ken_last_error(), "tensor w"), "%s", ken_last_error());
    ck_assert_int_ne(access(mark, F_OK), 0);
    cv_set_release(&s);
    empty(&b);
    b = PICKLE("\x80\x02"
               "cos\nsystem\n(X\x1d\x00\x00\x00touch /tmp/ken-convert-calledtR.");
    ck_assert_int_eq(read_bytes(&s, &b), KEN_OK);
    ck_assert_int_ne(access(mark, F_OK), 0);
    cv_set_release(&s);
    empty(&b);
}
END_TEST

START_TEST(refuses_broken_pickles)
{
    refuse(PICKLE(""), "pickle: byte 0: cut off");
    refuse(PICKLE("\x80\x02"), "pickle: byte 2: cut off");
    refuse(PICKLE("\x80\x09."), "protocol");
    refuse(PICKLE("."), "stack is empty");
    refuse(PICKLE("(."), "stack is empty");
    refuse(PICKLE("t."), "no mark");
    refuse(PICKLE("}X\xff\xff\xff\x7f"
                  "a."),
           "cut off");
    refuse(PICKLE("}\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
                  "a."),
           "cut off");
    refuse(PICKLE("\x8b\xff\xff\xff\xff."), "cut off");
    refuse(PICKLE("h\x05."), "nothing at that memo place");
    refuse(PICKLE("Nr\xff\xff\xff\xff."), "memo place beyond");
    refuse(PICKLE("Np4294967295\n."), "memo place beyond");
    refuse(PICKLE("cos"), "a line without end");
    refuse(PICKLE("\x82\x01."), "unknown opcode 82");
    refuse(PICKLE("N(K\x01K\x02u."), "items for something that holds none");
    refuse(PICKLE("}(K\x01u."), "a key without value");
    refuse(PICKLE("](K\x01K\x02u."), "keys for a list");
    refuse(PICKLE("Ib\n."), "not a number");
}
END_TEST

START_TEST(reads_every_constant)
{
    static const char p[] =
        "(I01\nI-7\nL123456789012345678901234567890L\nF1.5\nG?\xf0\x00\x00\x00\x00\x00\x00"
        "S'a b'\nVtext\nU\x02hiC\x01z\x8c\x01y\x8a\x01\xff\x88\x89NM\x01\x02J\xfe\xff\xff\xfft.";
    static const cv_kind kinds[] = { CV_INT,  CV_INT,  CV_LONG, CV_FLOAT, CV_FLOAT, CV_TEXT,
                                     CV_TEXT, CV_TEXT, CV_TEXT, CV_TEXT,  CV_INT,   CV_BOOL,
                                     CV_BOOL, CV_NONE, CV_INT,  CV_INT };
    cv_pickle k;
    ck_assert_msg(!cv_pickle_read(&k, p, sizeof p - 1), "%s", ken_last_error());
    const cv_node *t = &k.nodes[k.root];
    ck_assert_int_eq(t->kind, CV_TUPLE);
    ck_assert_uint_eq(t->len, sizeof kinds / sizeof *kinds);
    for (uint32_t i = 0; i < t->len; i++)
        ck_assert_msg(k.nodes[t->u.items[i]].kind == kinds[i], "constant %u", i);
    ck_assert_int_eq(k.nodes[t->u.items[1]].u.i, -7);
    ck_assert_int_eq(k.nodes[t->u.items[10]].u.i, -1);
    ck_assert_int_eq(k.nodes[t->u.items[14]].u.i, 513);
    ck_assert_int_eq(k.nodes[t->u.items[15]].u.i, -2);
    ck_assert(cv_is_text(&k, t->u.items[5], "a b"));
    cv_pickle_free(&k);
}
END_TEST

/* Dictionaries within each other, as deep as it says. */
static bytes nested(int depth)
{
    bytes pickle = { 0 };
    put_text(&pickle, "\x80\x02");
    for (int i = 0; i < depth; i++) {
        put_text(&pickle, "}");
        pickle_text(&pickle, "a");
    }
    put_text(&pickle, "N");
    for (int i = 0; i < depth; i++)
        put_text(&pickle, "s");
    put_text(&pickle, ".");
    return torch_archive(&pickle, 6, 0);
}

START_TEST(bounds_depth_and_breadth)
{
    refuse(nested(100000), "nested more than");
    refuse(PICKLE("\x80\x02}q\x00X\x01\x00\x00\x00"
                  "ah\x00s."),
           "nested more than"); /* itself */
    bytes pickle = { 0 };       /* thirty levels of two references each: 2^30 ways */
    put_text(&pickle, "\x80\x02Nq");
    put_number(&pickle, 0, 1);
    for (int i = 0; i < 30; i++) {
        put_text(&pickle, "}(");
        pickle_text(&pickle, "a");
        put_text(&pickle, "h");
        put_number(&pickle, (uint64_t)i, 1);
        pickle_text(&pickle, "b");
        put_text(&pickle, "h");
        put_number(&pickle, (uint64_t)i, 1);
        put_text(&pickle, "uq");
        put_number(&pickle, (uint64_t)i + 1, 1);
    }
    put_text(&pickle, ".");
    refuse(torch_archive(&pickle, 6, 0), "more than 1048576 entries");
}
END_TEST

/* ---- legacy ---- */

static bytes legacy_of(const made_tensor *t, int64_t count, size_t floats)
{
    bytes b = { 0 }, state = pickle_state(t);
    put(&b, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.", 22 - 1);
    put_text(&b, "\x80\x02}");
    pickle_text(&b, "little_endian");
    put_text(&b, "\x88s.");
    put(&b, state.p, state.n);
    put_text(&b, "\x80\x02]");
    pickle_text(&b, t->key);
    put_text(&b, "a.");
    put_number(&b, (uint64_t)count, 8);
    for (size_t i = 0; i < floats; i++)
        put(&b, &(float){ (float)i }, sizeof(float));
    empty(&state);
    return b;
}

START_TEST(reads_legacy_files)
{
    const float turned[] = { 0, 3, 1, 4, 2, 5 };
    accept(legacy_of(&plain, 6, 6), counted, 6);
    accept(legacy_of(&(made_tensor){ "0", 6, 0, { 3, 2 }, { 1, 3 } }, 6, 6), turned, 6);
    refuse(legacy_of(&plain, 7, 6), "do not fit the file");
    refuse(legacy_of(&plain, INT64_MAX, 6), "do not fit the file");
    refuse(legacy_of(&plain, -1, 6), "do not fit the file");
    refuse(legacy_of(&plain, 5, 6), "element 5 of a storage of 5");
    bytes b = { 0 };
    put(&b, "\x80\x02}q\x00.", 6);
    refuse(b, "not one that torch.save made");
}
END_TEST

START_TEST(refuses_truncated_legacy_files)
{
    truncate_everywhere(legacy_of(&plain, 6, 6));
}
END_TEST

/* ---- npz ---- */

static bytes npz_of(const char *header, const void *data, size_t n, unsigned how)
{
    zip z = { 0 };
    bytes array = { 0 };
    put(&array, "\x93NUMPY\x01\x00", 8);
    put_number(&array, strlen(header), 2);
    put_text(&array, header);
    put(&array, data, n);
    zip_add(&z, "w.npy", array.p, array.n, how);
    empty(&array);
    return zip_end(&z, 0);
}

#define NPY(type, fortran, shape)                                                                  \
    "{'descr': '" type "', 'fortran_order': " fortran ", 'shape': " shape ", }\n"

START_TEST(reads_npz)
{
    const float turned[] = { 0, 2, 4, 1, 3, 5 };
    const double wide[] = { 1, 2.5 };
    const float narrowed[] = { 1, 2.5F };
    accept(npz_of(NPY("<f4", "False", "(2, 3)"), counted, 24, 0), counted, 6);
    accept(npz_of(NPY("<f4", "False", "(2, 3)"), counted, 24, DEFLATE), counted, 6);
    accept(npz_of(NPY("<f4", "True", "(2, 3)"), counted, 24, DEFLATE), turned, 6);
    accept(npz_of(NPY("<f8", "False", "(2,)"), wide, 16, 0), narrowed, 2);
    accept(npz_of(NPY("<f4", "False", "()"), counted, 4, 0), counted, 1);
    refuse(npz_of(NPY("<f4", "False", "(2, 4)"), counted, 24, 0), "the shape says 32");
    refuse(npz_of(NPY("<f4", "False", "(99999999999, 99999999999)"), counted, 24, 0), "overflows");
    refuse(npz_of(NPY("|O", "False", "(2, 3)"), counted, 24, 0), "none that weights have");
    refuse(npz_of(NPY(">f4", "False", "(2, 3)"), counted, 24, 0), "none that weights have");
    refuse(npz_of("{'descr': '<f4', 'shape': (2, 3), }", counted, 24, 0), "no fortran_order");
    refuse(npz_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3", counted, 24, 0),
           "not a shape");
    bytes b = npz_of(NPY("<f4", "False", "(2, 3)"), counted, 24, DEFLATE);
    b.p[30 + 5 + 7 + 5 + 70] ^= 1;
    refuse(b, "checksum");
}
END_TEST

START_TEST(refuses_truncated_npz)
{
    truncate_everywhere(npz_of(NPY("<f4", "False", "(2, 3)"), counted, 24, DEFLATE));
}
END_TEST

/* ---- folders ---- */

static void write_file(const char *dir, const char *name, const char *text)
{
    char *path = kn_path_join(dir, name);
    ck_assert_int_eq(kn_replace_file(path, text, strlen(text)), KEN_OK);
    kn_free(path);
}

static void remove_file(const char *dir, const char *name)
{
    char *path = kn_path_join(dir, name);
    unlink(path);
    kn_free(path);
}

static void refuse_index(const char *dir, const char *text, ken_status want, const char *why)
{
    cv_set s = { 0 };
    write_file(dir, "model.safetensors.index.json", text);
    ck_assert_int_eq(cv_read(&s, dir), want);
    ck_assert_msg(strstr(ken_last_error(), why), "said '%s'", ken_last_error());
    cv_set_release(&s);
}

START_TEST(keeps_shards_beside_their_index)
{
    char dir[] = "/tmp/ken-shards-XXXXXX";
    cv_set s = { 0 };
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(cv_read(&s, dir), KEN_E_NOTFOUND);
    cv_set_release(&s);
    refuse_index(dir, "{\"weight_map\":{\"a\":\"../x\"}}", KEN_E_FORMAT,
                 "not the name of a file beside");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", KEN_E_FORMAT, "not the name");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"..\"}}", KEN_E_FORMAT, "not the name");
    refuse_index(dir, "{\"weight_map\":{\"a\":7}}", KEN_E_FORMAT, "has no file");
    refuse_index(dir, "{\"weight_map\":{\"a\":\"none.safetensors\"}}", KEN_E_NOTFOUND,
                 "none.safetensors");
    refuse_index(dir, "{}", KEN_E_FORMAT, "weight_map");
    refuse_index(dir, "[[[", KEN_E_FORMAT, "weight_map");
    remove_file(dir, "model.safetensors.index.json");
    rmdir(dir);
}
END_TEST

/* ---- whole conversions ---- */

static char out_path[64];

static ken_status convert(const char *path, const cv_options *o, cv_emitted *done)
{
    cv_set set = { 0 };
    cv_side side = { 0 };
    cv_plan plan = { 0 };
    ken_status st = cv_read(&set, path);
    if (!st)
        st = cv_side_open(&side, path);
    if (!st)
        st = cv_plan_make(&plan, &set, &side, o);
    if (!st)
        st = cv_emit(&plan, &set, out_path, done);
    cv_plan_release(&plan);
    cv_side_close(&side);
    cv_set_release(&set);
    return st;
}

static void refuse_options(const char *path, cv_options o, ken_status want, const char *why)
{
    cv_emitted done;
    const ken_status st = convert(path, &o, &done);
    ck_assert_msg(st == want, "status %d: %s", st, st ? ken_last_error() : "");
    ck_assert_msg(strstr(ken_last_error(), why), "said '%s', not '%s'", ken_last_error(), why);
    ck_assert_int_ne(access(out_path, F_OK), 0);
}

#define MODELS "tests/golden/models/"

START_TEST(refuses_options_that_do_not_fit)
{
    snprintf(out_path, sizeof out_path, "/tmp/ken-convert-%ld", (long)getpid());
    refuse_options(MODELS "open-clip/open_clip_pytorch_model.bin", (cv_options){ .arch = "none" },
                   KEN_E_INVALID, "no such architecture");
    refuse_options(MODELS "open-clip", (cv_options){ .arch = "clip-vit-b32" }, KEN_E_FORMAT,
                   "no published network");
    refuse_options(MODELS "open-clip", (cv_options){ .size = 33 }, KEN_E_INVALID,
                   "no multiple of the patch");
    refuse_options(MODELS "openai-rn/model.pt", (cv_options){ .size = 96 }, KEN_E_INVALID,
                   "--size");
    refuse_options(MODELS "cifar/model.th", (cv_options){ .tokenizer = "x" }, KEN_E_INVALID,
                   "--tokenizer");
    refuse_options(MODELS "open-clip", (cv_options){ .labels = "x" }, KEN_E_INVALID, "no head");
    refuse_options(MODELS "open-clip", (cv_options){ .tokenizer = MODELS "models.json" },
                   KEN_E_FORMAT, "models.json");
    refuse_options(MODELS "none.pt", (cv_options){ 0 }, KEN_E_NOTFOUND, "none.pt");
    refuse_options(MODELS "apple.png", (cv_options){ 0 }, KEN_E_FORMAT, "not a checkpoint");
}
END_TEST

/* Without its configuration a CLIP does not say which GELU it has, nor how many heads of 16. */
START_TEST(asks_for_the_activation)
{
    char dir[] = "/tmp/ken-act-XXXXXX", *copy;
    unsigned char *whole;
    size_t n;
    snprintf(out_path, sizeof out_path, "/tmp/ken-convert-%ld", (long)getpid());
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(
        kn_read_file(&whole, &n, MODELS "open-clip/open_clip_pytorch_model.bin", 1 << 24), KEN_OK);
    copy = kn_path_join(dir, "m.bin");
    ck_assert_int_eq(kn_replace_file(copy, whole, n), KEN_OK);
    refuse_options(copy, (cv_options){ 0 }, KEN_E_UNSUPPORTED, "--activation");
    refuse_options(copy, (cv_options){ .has_act = 1 }, KEN_E_UNSUPPORTED, "how many heads");
    remove_file(dir, "m.bin");
    rmdir(dir);
    kn_free(copy);
    kn_free(whole);
}
END_TEST

/* The same checkpoint gives the same bytes, whatever it is called. */
START_TEST(is_deterministic)
{
    unsigned char *a, *b;
    size_t n, m;
    cv_emitted done;
    const cv_options o = { .type = KN_BF16, .name = "x", .licence = "MIT", .source = "here" };
    snprintf(out_path, sizeof out_path, "/tmp/ken-convert-%ld-a", (long)getpid());
    ck_assert_int_eq(convert(MODELS "hf-chinese", &o, &done), KEN_OK);
    ck_assert_int_eq(kn_read_file(&a, &n, out_path, 1 << 24), KEN_OK);
    unlink(out_path);
    snprintf(out_path, sizeof out_path, "/tmp/ken-convert-%ld-bb", (long)getpid());
    ck_assert_int_eq(convert(MODELS "hf-chinese/../hf-chinese", &o, &done), KEN_OK);
    ck_assert_int_eq(kn_read_file(&b, &m, out_path, 1 << 24), KEN_OK);
    unlink(out_path);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(a, b, n);
    kn_free(a);
    kn_free(b);
}
END_TEST

static const char *const torn[] = { "resnet-basic/model.pth",
                                    "resnet-bottleneck/model.npz",
                                    "cifar/model.th",
                                    "openai-rn/model.pt",
                                    "hf-clip",
                                    "hf-chinese" };
enum { TORN = sizeof torn / sizeof *torn };

/* Out of memory at every allocation in turn, cJSON's too (which it calls a fault of the text). */
START_TEST(survives_oom)
{
    cJSON_InitHooks(&(cJSON_Hooks){ kn_malloc, kn_free });
    char path[128];
    cv_emitted done;
    snprintf(path, sizeof path, MODELS "%s", torn[_i]);
    snprintf(out_path, sizeof out_path, "/tmp/ken-convert-%ld", (long)getpid());
    const cv_options o = { .type = KN_F16 };
    const long step = getenv("QUICK") ? 37 : 5; /* there are thousands, most of one kind */
    for (long n = 0;; n += n < 60 ? 1 : step) {
        kn_alloc_fail_after(n);
        const ken_status st = convert(path, &o, &done);
        const long denied = kn_alloc_denied();
        kn_alloc_fail_after(-1);
        if (!denied) {
            ck_assert_int_eq(st, KEN_OK);
            break;
        }
        ck_assert_msg(st == KEN_E_NOMEM || st == KEN_E_FORMAT, "allocation %ld: status %d, %s", n,
                      st, ken_last_error());
        ck_assert_int_ne(access(out_path, F_OK), 0);
    }
    unlink(out_path);
}
END_TEST

START_TEST(survives_a_failing_disk)
{
    char path[128];
    snprintf(path, sizeof path, MODELS "%s", torn[_i]);
    snprintf(out_path, sizeof out_path, "/tmp/ken-convert-%ld", (long)getpid());
    for (long n = 1;; n++) {
        cv_emitted done;
        kn_file_fault(KN_FAULT_FAIL, n);
        const ken_status st = convert(path, &(cv_options){ 0 }, &done);
        const long steps = kn_file_steps();
        kn_file_fault(KN_FAULT_NONE, 0);
        if (steps < n)
            break;
        ck_assert_int_eq(st, KEN_E_IO);
        ck_assert(done.output_failed);
    }
    ck_assert_int_eq(unlink(out_path), 0);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, reads_torch_zips);
    tcase_add_test(tc, gathers_through_strides);
    tcase_add_test(tc, walks_no_empty_tensor);
    tcase_add_test(tc, refuses_tensors_that_reach_out);
    tcase_add_test(tc, refuses_zips_that_lie);
    tcase_add_test(tc, survives_every_changed_byte);
    tcase_add_test(tc, refuses_truncated_zips);
    tcase_add_test(tc, refuses_zip64_lies);
    tcase_add_test(tc, never_calls_anything);
    tcase_add_test(tc, refuses_broken_pickles);
    tcase_add_test(tc, reads_every_constant);
    tcase_add_test(tc, bounds_depth_and_breadth);
    tcase_add_test(tc, reads_legacy_files);
    tcase_add_test(tc, refuses_truncated_legacy_files);
    tcase_add_test(tc, reads_npz);
    tcase_add_test(tc, refuses_truncated_npz);
    tcase_add_test(tc, keeps_shards_beside_their_index);
    tcase_add_test(tc, refuses_options_that_do_not_fit);
    tcase_add_test(tc, asks_for_the_activation);
    tcase_add_test(tc, is_deterministic);
    tcase_add_loop_test(tc, survives_oom, 0, TORN);
    tcase_add_loop_test(tc, survives_a_failing_disk, 0, TORN);
}

int main(void)
{
    return kn_test_main("convert", fill);
}
