/* test_collection.c - a collection through its life, with a small model in place of a network. */
#include "tests/test.h"

#include "base/file.h"
#include "engine/encoder.h"
#include "store/lock.h"
#include "store/store.h"
#include "tests/fake_encoder.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sys/time.h>
#include <unistd.h>

static const char *const stores[] = {
    "file:",
#ifdef KEN_SQLITE
    "sqlite:",
#endif
};
enum { STORES = sizeof stores / sizeof *stores };

static char top[] = "/tmp/ken-collection-XXXXXX";
static const char *store = "file:";
static char problems[4096]; /* "name why\n" … of the last scan */

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static void setup(void)
{
    memcpy(top + sizeof top - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    ck_assert_int_eq(mkdir("p", 0777), 0);
    fake_fail_at = -1;
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

/* ---- small words ---- */

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void picture(const char *path, uint64_t seed)
{
    unsigned char bytes[2000];
    write_file(path, bytes, fake_picture(bytes, 16 + seed % 5, 12, seed));
}

static void set_time(const char *path, long seconds)
{
    const struct timespec t[2] = { { seconds, 1 }, { seconds, 1 } };
    ck_assert_int_eq(utimensat(AT_FDCWD, path, t, 0), 0);
}

static ken_status try_open(ken **k, const char *model, int create)
{
    ken_options o = KEN_OPTIONS_INIT;
    o.store = create ? store : NULL;
    o.model = model;
    o.create = create;
    o.wait = -1;
    return kn_collection_open(k, "c", &o, &fake_encoder);
}

static ken *open_it(const char *model)
{
    ken *k = NULL;
    OK(try_open(&k, model, model != NULL));
    return k;
}

static void note_problem(const char *path, const char *why, int skipped, void *cookie)
{
    const size_t n = strlen(problems);
    (void)cookie;
    snprintf(problems + n, sizeof problems - n, "%s%s %s\n", skipped ? "skipped " : "",
             kn_path_name(path), why);
}

static ken_scan_report scan_with(ken *k, const char *path, ken_scan_options o)
{
    ken_scan_report r = { 0 };
    o.problem = note_problem;
    *problems = 0;
    OK(ken_scan(k, &path, 1, &o, &r));
    OK(ken_check(k, NULL, NULL));
    return r;
}

static ken_scan_report scan(ken *k, const char *path)
{
    return scan_with(k, path, (ken_scan_options)KEN_SCAN_OPTIONS_INIT);
}

static uint64_t id_of(ken *k, const char *path)
{
    uint64_t id = 0;
    ken_status st = ken_find(k, path, &id);
    ck_assert(st == KEN_OK || st == KEN_E_NOTFOUND);
    return st ? 0 : id;
}

static void expect_vector(ken *k, const char *path)
{
    ken_image *img = NULL;
    const ken_model *m = NULL;
    float want[64], got[64];
    OK(ken_get_model(k, &m));
    OK(ken_image_load(&img, path, NULL));
    OK(fake_images(m, (const ken_image *const *)&img, 1, want));
    OK(ken_vector(k, id_of(k, path), got));
    ck_assert_mem_eq(want, got, fake_info(m)->dim * sizeof *got);
    ken_image_free(img);
}

/* ---- indexing ---- */

START_TEST(a_second_run_reads_no_pixels)
{
    store = stores[_i];
    ken *k = open_it("a");
    picture("p/1.ppm", 1);
    picture("p/2.ppm", 2);
    ck_assert_int_eq(mkdir("p/d", 0777), 0);
    picture("p/d/\xff\xfe.ppm", 3);
    write_file("p/notes.txt", "x", 1);
    ken_scan_report r = scan(k, "p");
    ck_assert(r.seen == 4 && r.added == 3 && r.skipped == 1 && !r.failed && !r.updated);
    ck_assert_str_eq(problems, "skipped notes.txt not a picture, by its name\n");
    expect_vector(k, "p/1.ppm");
    expect_vector(k, "p/2.ppm");
    expect_vector(k, "p/d/\xff\xfe.ppm");
    const long before = fake_encoded;
    for (int again = 0; again < 2; again++) {
        r = scan(k, "p");
        ck_assert(r.seen == 4 && !r.added && !r.updated && !r.moved && !r.removed);
        ken_close(k);
        k = open_it(NULL);
    }
    ck_assert_int_eq(fake_encoded, before);
    ken_close(k);
    ck_assert_int_eq(fake_open, 0);
}
END_TEST

START_TEST(changes_are_followed)
{
    store = stores[_i];
    ken *k = open_it("a");
    picture("p/1.ppm", 1);
    picture("p/2.ppm", 2);
    (void)scan(k, "p");
    const uint64_t one = id_of(k, "p/1.ppm");
    picture("p/1.ppm", 100);
    set_time("p/1.ppm", 1000);
    ken_scan_report r = scan(k, "p");
    ck_assert(r.updated == 1 && !r.added && !r.moved && !r.removed);
    ck_assert_uint_eq(id_of(k, "p/1.ppm"), one);
    expect_vector(k, "p/1.ppm");
    const long before = fake_encoded;
    set_time("p/1.ppm", 2000); /* the same bytes: the hash says so */
    r = scan(k, "p");
    ck_assert(!r.updated && !r.added && fake_encoded == before);
    ken_record *rec;
    OK(ken_get(k, one, &rec));
    ck_assert_int_eq(rec->mtime_ns, 2000000000001);
    ck_assert_int_eq((int)rec->width, 16);
    ck_assert_str_eq(rec->kind, "image");
    ck_assert_uint_eq(strlen(rec->hash), 32);
    ken_record_free(rec);
    ken_close(k);
}
END_TEST

START_TEST(renames_and_moves_keep_the_id)
{
    store = stores[_i];
    ken *k = open_it("a");
    ck_assert_int_eq(mkdir("p/d", 0777), 0);
    picture("p/1.ppm", 1);
    picture("p/d/2.ppm", 2);
    picture("p/3.ppm", 3);
    (void)scan(k, "p");
    const uint64_t one = id_of(k, "p/1.ppm"), two = id_of(k, "p/d/2.ppm"), three = id_of(k, "p/3.ppm");
    const long before = fake_encoded;
    ck_assert_int_eq(rename("p/1.ppm", "p/z.ppm"), 0);
    ck_assert_int_eq(rename("p/d", "p/a"), 0);
    ck_assert_int_eq(unlink("p/3.ppm"), 0); /* moved by copying: another inode and time */
    picture("p/three.ppm", 3);
    set_time("p/three.ppm", 5000);
    ken_scan_report r = scan(k, "p");
    ck_assert(r.moved == 3 && !r.added && !r.removed && !r.updated);
    ck_assert_uint_eq(id_of(k, "p/z.ppm"), one);
    ck_assert_uint_eq(id_of(k, "p/a/2.ppm"), two);
    ck_assert_uint_eq(id_of(k, "p/three.ppm"), three);
    ck_assert_uint_eq(id_of(k, "p/1.ppm"), 0);
    ck_assert_int_eq(fake_encoded, before);
    picture("p/copy.ppm", 3); /* a copy beside its original is an item of its own */
    r = scan(k, "p");
    ck_assert(r.added == 1 && !r.moved && fake_encoded == before);
    ck_assert_uint_ne(id_of(k, "p/copy.ppm"), three);
    expect_vector(k, "p/copy.ppm");
    ken_close(k);
}
END_TEST

/* Say that the item's file lies on another disk. */
static void set_device(const char *path, uint64_t device)
{
    kn_store *s;
    kn_item item;
    char *full;
    OK(kn_path_absolute(&full, path));
    OK(kn_store_open(&s, NULL, "c", KN_STORE_WRITE));
    OK(s->v->begin(s, 1));
    OK(kn_store_get(s, &(kn_select){ .by = KN_BY_PATH, .text = full }, &item));
    item.device = device;
    OK(kn_store_put(s, &item));
    OK(s->v->end(s, 1));
    kn_item_release(&item);
    kn_store_close(s);
    kn_free(full);
}

START_TEST(vanished_files)
{
    ken_scan_options prune = KEN_SCAN_OPTIONS_INIT;
    ken_stats stats;
    store = stores[_i];
    ken *k = open_it("a");
    ck_assert_int_eq(mkdir("p/disk", 0777), 0);
    ck_assert_int_eq(mkdir("q", 0777), 0);
    picture("p/1.ppm", 1);
    picture("p/disk/2.ppm", 2);
    picture("p/disk/3.ppm", 3);
    picture("q/4.ppm", 4);
    (void)scan(k, "p");
    (void)scan(k, "q");
    const uint64_t two = id_of(k, "p/disk/2.ppm");
    set_device("p/disk/2.ppm", 12345);
    set_device("p/disk/3.ppm", 12345);
    ck_assert_int_eq(rename("p/disk", "unplugged"), 0);
    ck_assert_int_eq(unlink("p/1.ppm"), 0);
    ck_assert_int_eq(unlink("q/4.ppm"), 0);
    ken_scan_report r = scan(k, "p");
    ck_assert_uint_eq(r.removed, 3); /* one deleted, two hidden */
    ck_assert_uint_eq(id_of(k, "p/1.ppm"), 0);
    ck_assert_uint_eq(id_of(k, "p/disk/2.ppm"), two);
    OK(ken_get_stats(k, &stats));
    ck_assert(stats.items == 1 && stats.hidden == 2 && stats.vectors == 3 && stats.dead == 1);
    const ken_term t = { .text = "rgb:1,2,3", .weight = 1 };
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    ken_hit hits[10];
    size_t found;
    OK(ken_search(k, &t, 1, NULL, hits, &found, NULL));
    ck_assert_uint_eq(found, 1);
    o.hidden = 1;
    OK(ken_search(k, &t, 1, &o, hits, &found, NULL));
    ck_assert_uint_eq(found, 3);
    prune.prune = 1;
    r = scan_with(k, "p", prune);
    ck_assert_uint_eq(r.removed, 1); /* q/4.ppm; the disk stays */
    ck_assert_uint_eq(id_of(k, "q/4.ppm"), 0);
    ck_assert_int_eq(rename("unplugged", "p/disk"), 0);
    const long before = fake_encoded;
    r = scan(k, "p");
    ck_assert(r.updated == 2 && !r.added && fake_encoded == before);
    ck_assert_uint_eq(id_of(k, "p/disk/2.ppm"), two);
    OK(ken_get_stats(k, &stats));
    ck_assert(stats.items == 2 && !stats.hidden);
    ken_close(k);
}
END_TEST

START_TEST(a_whole_root_that_is_gone)
{
    store = stores[_i];
    ken *k = open_it("a");
    picture("p/1.ppm", 1);
    (void)scan(k, "p");
    ck_assert_int_eq(rename("p", "elsewhere"), 0);
    ken_scan_report r = scan(k, "p");
    ck_assert(r.removed == 1 && !r.failed);
    r = scan(k, "never-there");
    ck_assert(r.failed == 1 && !r.removed);
    ck_assert_str_eq(problems, "never-there No such file or directory\n");
    ken_close(k);
}
END_TEST

START_TEST(what_cannot_be_read_is_remembered)
{
    unsigned char bytes[2000];
    store = stores[_i];
    ken *k = open_it("a");
    const size_t n = fake_picture(bytes, 16, 12, 1);
    picture("p/good.ppm", 9);
    write_file("p/cut.ppm", bytes, n / 2);
    write_file("p/empty.jpg", "", 0);
    write_file("p/tiff.png", "II*\0 and so on", 14);
    for (int again = 0; again < 3; again++) {
        ken_scan_report r = scan(k, "p");
        ck_assert(r.seen == 4 && r.failed == 2 && r.skipped == 1 && r.added == !again);
        ck_assert_ptr_nonnull(strstr(problems, "cut.ppm "));
        ck_assert_ptr_nonnull(strstr(problems, "empty.jpg "));
        ck_assert_ptr_nonnull(strstr(problems, "skipped tiff.png "));
        if (again) /* nothing but stat(2) may touch it now */
            ck_assert_int_eq(chmod("p/cut.ppm", 0), 0);
    }
    ck_assert_int_eq(chmod("p/cut.ppm", 0644), 0);
    write_file("p/cut.ppm", bytes, n);
    ken_scan_report r = scan(k, "p");
    ck_assert(r.added == 1 && r.failed == 1);
    const uint64_t good = id_of(k, "p/good.ppm");
    write_file("p/good.ppm", bytes, n - 100); /* an item that breaks is hidden … */
    r = scan(k, "p");
    ck_assert(r.failed == 2 && !r.removed);
    r = scan(k, "p");
    ck_assert(r.failed == 2 && !r.removed);
    ken_record *rec;
    OK(ken_get(k, good, &rec));
    ck_assert(rec->hidden);
    ken_record_free(rec);
    picture("p/good.ppm", 10); /* … and comes back when mended */
    r = scan(k, "p");
    ck_assert(r.failed == 1 && r.updated == 1 && id_of(k, "p/good.ppm") == good);
    ken_close(k);
}
END_TEST

START_TEST(roots)
{
    ken_scan_report r;
    store = stores[_i];
    ken *k = open_it("a");
    ck_assert_int_eq(mkdir("p/d", 0777), 0);
    picture("p/d/1.ppm", 1);
    picture("p/d/noending", 2);
    ck_assert_int_eq(symlink("d", "p/link"), 0);
    const char *const many[] = { "p/d", "./p", "p/d/1.ppm", "p/d/noending", "p" };
    OK(ken_scan(k, many, 5, NULL, &r));
    ck_assert(r.added == 2 && r.seen == 3 && r.skipped == 1);
    const char *const linked[] = { "p/link" };
    OK(ken_scan(k, linked, 1, NULL, &r)); /* a link that is named is followed */
    ck_assert_uint_eq(r.added, 1);
    const char *const none[] = { "p", NULL };
    ck_assert_int_eq(ken_scan(k, none, 2, NULL, &r), KEN_E_INVALID);
    ken_close(k);
}
END_TEST

START_TEST(objects_and_descriptions)
{
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_stats stats;
    ken_record *rec;
    size_t done;
    store = stores[_i];
    ken *k = open_it("a");
    ck_assert_int_eq(mkdir("p/bear", 0777), 0);
    ck_assert_int_eq(mkdir("p/c\xe9l", 0777), 0);
    picture("p/bear/1.ppm", 1);
    picture("p/bear/2.ppm", 2);
    picture("p/c\xe9l/3.ppm", 3);
    (void)scan(k, "p");
    OK(ken_get_stats(k, &stats));
    ck_assert_uint_eq(stats.objects, 0);
    o.objects_from_dirs = 1;
    ken_scan_report r = scan_with(k, "p", o);
    ck_assert(!r.added && !r.moved);
    OK(ken_get_stats(k, &stats));
    ck_assert_uint_eq(stats.objects, 2);
    const ken_note notes[] = { { "p/bear/1.ppm", NULL, "{\"description\":\"x\"}" },
                               { "p/bear/2.ppm", "teddy", NULL },
                               { "p/nothing", "z", "{}" } };
    OK(ken_describe(k, notes, 3, &done));
    ck_assert_uint_eq(done, 2);
    OK(ken_get(k, id_of(k, "p/bear/1.ppm"), &rec));
    ck_assert_str_eq(rec->object, "bear");
    ck_assert_str_eq(rec->meta, "{\"description\":\"x\"}");
    ck_assert_str_eq(rec->model, "61000000000000000000000000000000");
    ken_record_free(rec);
    picture("p/bear/1.ppm", 50); /* what was said of it stays */
    set_time("p/bear/1.ppm", 77);
    (void)scan(k, "p");
    OK(ken_get(k, id_of(k, "p/bear/1.ppm"), &rec));
    ck_assert_str_eq(rec->meta, "{\"description\":\"x\"}");
    ken_record_free(rec);
    ken_close(k);
}
END_TEST

/* ---- interruption ---- */

START_TEST(an_interrupted_run_goes_on)
{
    ken_scan_report r;
    char path[40];
    const char *root = "p";
    store = stores[_i];
    ken *k = open_it("a");
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        picture(path, (uint64_t)i);
    }
    uint64_t added = 0;
    for (int i = 0; i < 3; i++) {
        fake_stop_at = fake_encoded + 20;
        ck_assert_int_eq(ken_scan(k, &root, 1, NULL, &r), KEN_E_CANCELED);
        OK(ken_check(k, NULL, NULL));
        ken_interrupt_clear();
        added += r.added;
        ck_assert_uint_gt(r.added, 0);
    }
    ck_assert_uint_lt(added, 100);
    OK(ken_scan(k, &root, 1, NULL, &r));
    ck_assert_uint_eq(added + r.added, 100);
    ken_interrupt();
    ck_assert_int_eq(ken_scan(k, &root, 1, NULL, &r), KEN_E_CANCELED);
    ken_interrupt_clear();
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        ck_assert_uint_eq(id_of(k, path), (uint64_t)i + 1);
        expect_vector(k, path);
    }
    ken_close(k);
}
END_TEST

START_TEST(an_encoder_that_fails_loses_nothing)
{
    ken_scan_report r;
    char path[40];
    const char *root = "p";
    store = stores[_i];
    ken *k = open_it("a");
    for (int i = 0; i < 60; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        picture(path, (uint64_t)i);
    }
    fake_fail_at = fake_encoded + 30;
    ck_assert_int_eq(ken_scan(k, &root, 1, NULL, &r), KEN_E_DEVICE);
    OK(ken_check(k, NULL, NULL));
    r = scan(k, "p");
    ck_assert_uint_gt(r.added, 0);
    ck_assert_uint_lt(r.added, 60);
    ken_close(k);
}
END_TEST

/* ---- models ---- */

START_TEST(another_model_is_refused)
{
    ken_scan_report r;
    const char *root = "p";
    const ken_model *m;
    ken *k = NULL;
    store = stores[_i];
    ck_assert_int_eq(try_open(&k, NULL, 0), KEN_E_NOTFOUND);
    ck_assert_int_eq(try_open(&k, NULL, 1), KEN_E_MODEL);
    ck_assert_int_eq(try_open(&k, "missing", 1), KEN_E_MODEL);
    ck_assert_int_ne(access("c", F_OK), 0);
    k = open_it("a");
    picture("p/1.ppm", 1);
    (void)scan(k, "p");
    ken_close(k);
    OK(try_open(&k, "b", 0));
    ck_assert_int_eq(ken_scan(k, &root, 1, NULL, &r), KEN_E_MODEL);
    ck_assert_ptr_nonnull(strstr(ken_last_error(), "--re-embed"));
    ck_assert_int_eq(ken_get_model(k, &m), KEN_E_MODEL);
    ken_close(k);
    OK(try_open(&k, "a", 0));
    OK(ken_get_model(k, &m));
    ken_close(k);
    ck_assert_int_eq(fake_open, 0);
}
END_TEST

START_TEST(re_embedding)
{
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r;
    ken_stats stats;
    char path[40];
    const char *root = "p";
    store = stores[_i];
    ken *k = open_it("a"), *reader;
    for (int i = 0; i < 80; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        picture(path, (uint64_t)i);
    }
    (void)scan(k, "p");
    ken_close(k);
    OK(try_open(&k, "wide", 0));
    OK(try_open(&reader, NULL, 0));
    o.reembed = 1;
    fake_stop_at = fake_encoded + 20;
    ck_assert_int_eq(ken_scan(k, &root, 1, &o, &r), KEN_E_CANCELED);
    ken_interrupt_clear();
    OK(ken_check(k, NULL, NULL));
    expect_vector(reader, "p/003.ppm"); /* still the old ones */
    const long before = fake_encoded;
    r = scan_with(k, "p", o);
    ck_assert_uint_eq(r.updated, 80);
    ck_assert_int_lt(fake_encoded - before, 80); /* it has gone on */
    expect_vector(k, "p/003.ppm");
    expect_vector(k, "p/079.ppm");
    OK(ken_get_stats(k, &stats));
    ck_assert(stats.dim == FAKE_DIM + 8 && stats.vectors == 80 && !stats.dead);
    ck_assert_str_eq(stats.model, "wide");
    const ken_term t = { .text = "rgb:1,2,3", .weight = 1 };
    ken_hit hits[10];
    size_t found;
    ck_assert_int_eq(ken_search(reader, &t, 1, NULL, hits, &found, NULL), KEN_E_MODEL);
    ken_close(reader);
    r = scan(k, "p");
    ck_assert(!r.updated && !r.added);
    ken_close(k);
    k = open_it(NULL);
    expect_vector(k, "p/050.ppm");
    ken_close(k);
}
END_TEST

/* ---- searching ---- */

START_TEST(queries)
{
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    ken_search_times times;
    ken_hit hits[50];
    size_t found;
    char path[40];
    store = stores[_i];
    ken *k = open_it("a");
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        picture(path, (uint64_t)i % 39); /* the last equals the first */
    }
    (void)scan(k, "p");
    ken_image *img = NULL;
    OK(ken_image_load(&img, "p/017.ppm", NULL));
    ken_term terms[3] = { { .image = img, .weight = 1 } };
    OK(ken_search(k, terms, 1, NULL, hits, &found, &times));
    ck_assert_uint_eq(found, 10);
    ck_assert_uint_eq(hits[0].id, id_of(k, "p/017.ppm"));
    ck_assert_double_eq_tol((double)hits[0].raw, 1, 1e-6);
    ck_assert(times.total >= times.encode && times.search >= 0);
    for (size_t i = 1; i < found; i++)
        ck_assert(hits[i].raw <= hits[i - 1].raw && hits[i].score <= hits[i - 1].score);
    terms[0] = (ken_term){ .is_id = 1, .id = 1, .weight = 2 }; /* equal vectors: the smaller id */
    OK(ken_search(k, terms, 1, NULL, hits, &found, NULL));
    ck_assert(hits[0].id == 1 && hits[1].id == 40 && hits[0].raw == hits[1].raw);
    /* a sum, against the same by hand */
    float a[FAKE_DIM], b[FAKE_DIM], c[FAKE_DIM], want = 0, norm = 0;
    OK(ken_vector(k, 3, a));
    OK(ken_vector(k, 4, b));
    OK(ken_vector(k, 9, c));
    const float twice[FAKE_DIM] = { 2, 2 };
    terms[0] = (ken_term){ .is_id = 1, .id = 3, .weight = 0.5f };
    terms[1] = (ken_term){ .is_id = 1, .id = 4, .weight = -0.25f };
    terms[2] = (ken_term){ .vector = twice, .weight = 1 };
    o.k = 40;
    OK(ken_search(k, terms, 3, &o, hits, &found, NULL));
    for (size_t i = 0; i < FAKE_DIM; i++) {
        const float q = 0.5f * a[i] - 0.25f * b[i] + (i < 2 ? sqrtf(0.5f) : 0);
        want += q * c[i];
        norm += q * q;
    }
    for (size_t i = 0; i < found; i++)
        if (hits[i].id == 9)
            ck_assert_double_eq_tol((double)hits[i].raw, (double)(want / sqrtf(norm)), 1e-5);
    ck_assert_uint_eq(found, 40);
    /* filters, and the score of words */
    o.min_raw = hits[6].raw;
    o.has_min_raw = 1;
    OK(ken_search(k, terms, 3, &o, hits, &found, NULL));
    ck_assert_uint_eq(found, 7);
    o.has_min_raw = 0;
    o.min_score = hits[2].score;
    OK(ken_search(k, terms, 3, &o, hits, &found, NULL));
    ck_assert_uint_eq(found, 3);
    terms[0] = (ken_term){ .text = "rgb:200,10,10", .weight = 1 };
    OK(ken_search(k, terms, 1, NULL, hits, &found, NULL));
    ck_assert(hits[0].score == (hits[0].raw + 1) / 2);
    /* wrong use */
    terms[0].weight = 0;
    ck_assert_int_eq(ken_search(k, terms, 1, NULL, hits, &found, NULL), KEN_E_INVALID);
    terms[0] = (ken_term){ .weight = 1 };
    ck_assert_int_eq(ken_search(k, terms, 1, NULL, hits, &found, NULL), KEN_E_INVALID);
    terms[0] = (ken_term){ .is_id = 1, .id = 1, .weight = 1 };
    terms[1] = (ken_term){ .is_id = 1, .id = 40, .weight = -1 };
    ck_assert_int_eq(ken_search(k, terms, 2, NULL, hits, &found, NULL), KEN_E_INVALID);
    terms[0].id = 999;
    ck_assert_int_eq(ken_search(k, terms, 1, NULL, hits, &found, NULL), KEN_E_NOTFOUND);
    ken_image_free(img);
    ken_close(k);
}
END_TEST

static int count_record(const ken_record *r, void *cookie)
{
    uint64_t *last = cookie;
    ck_assert_uint_gt(r->id, *last);
    *last = r->id;
    return r->id == 400;
}

/* More than a page of records, removals, and the compaction that they bring. */
START_TEST(removal_and_compaction)
{
    ken_stats stats;
    uint64_t ids[700], last = 0;
    char path[40];
    store = stores[_i];
    ken_options o = KEN_OPTIONS_INIT;
    ken *k = NULL, *reader = NULL;
    o.store = store;
    o.model = "a";
    o.create = 1;
    o.vectors = "f16";
    OK(kn_collection_open(&k, "c", &o, &fake_encoder));
    for (int i = 0; i < 700; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        picture(path, (uint64_t)i);
        ids[i] = (uint64_t)i + 1;
    }
    (void)scan(k, "p");
    OK(ken_each(k, count_record, &last));
    ck_assert_uint_eq(last, 400);
    reader = open_it(NULL);
    const ken_term t = { .is_id = 1, .id = 650, .weight = 1 };
    ken_hit hits[10], again[10];
    size_t found;
    OK(ken_search(reader, &t, 1, NULL, hits, &found, NULL));
    ck_assert_uint_eq(hits[0].id, 650);
    OK(ken_remove(k, ids, 300));
    ck_assert_int_eq(ken_remove(k, ids + 299, 2), KEN_E_NOTFOUND); /* all or none */
    OK(ken_get_stats(k, &stats));
    ck_assert(stats.items == 400 && stats.dead == 300);
    OK(ken_search(reader, &t, 1, NULL, hits, &found, NULL));
    for (size_t i = 0; i < found; i++)
        ck_assert_uint_gt(hits[i].id, 300);
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        ck_assert_int_eq(unlink(path), 0);
    }
    (void)scan(k, "p");
    OK(ken_get_stats(k, &stats));
    ck_assert(stats.items == 400 && stats.dead == 0);
    ck_assert_int_ne(access("c/vectors-000001.seg", F_OK), 0);
    OK(ken_search(reader, &t, 1, NULL, again, &found, NULL));
    ck_assert_mem_eq(hits, again, sizeof hits);
    picture("p/new.ppm", 5000); /* ids are never used again */
    (void)scan(k, "p");
    ck_assert_uint_eq(id_of(k, "p/new.ppm"), 701);
    ken_close(reader);
    ken_close(k);
}
END_TEST

/* ---- several at once ---- */

START_TEST(one_writer)
{
    ken_scan_report r;
    const char *root = "p";
    const uint64_t one = 1;
    store = stores[_i];
    ken *k = open_it("a");
    picture("p/1.ppm", 1);
    (void)scan(k, "p");
    int fd = open("c/lock", O_RDWR);
    ck_assert_int_ge(fd, 0);
    kn_lock lock = { -1 };
    OK(kn_lock_take(&lock, "c", 0));
    ck_assert_int_eq(ken_scan(k, &root, 1, NULL, &r), KEN_E_BUSY);
    ck_assert_ptr_nonnull(strstr(ken_last_error(), "locked by process"));
    ck_assert_int_eq(ken_remove(k, &one, 1), KEN_E_BUSY);
    ken_hit hits[10];
    size_t found;
    const ken_term t = { .is_id = 1, .id = 1, .weight = 1 };
    OK(ken_search(k, &t, 1, NULL, hits, &found, NULL)); /* readers do not wait */
    kn_lock_release(&lock);
    close(fd);
    ken_close(k);
    ken_options o = KEN_OPTIONS_INIT;
    o.read_only = 1;
    OK(kn_collection_open(&k, "c", &o, &fake_encoder));
    OK(ken_search(k, &t, 1, NULL, hits, &found, NULL));
    ck_assert_int_eq(ken_remove(k, &one, 1), KEN_E_INVALID);
    ken_close(k);
}
END_TEST

static void *search_on(void *arg)
{
    ken_hit hits[10];
    size_t found;
    const ken_term t = { .text = "rgb:9,8,7", .weight = 1 };
    for (int i = 0; i < 200; i++)
        if (ken_search(arg, &t, 1, NULL, hits, &found, NULL))
            return (void *)(uintptr_t)1;
    return NULL;
}

START_TEST(searches_beside_a_scan)
{
    pthread_t threads[3];
    char path[40];
    store = stores[_i];
    ken *k = open_it("a");
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        picture(path, (uint64_t)i);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, search_on, k), 0);
    (void)scan(k, "p");
    for (int i = 0; i < 3; i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        ck_assert_ptr_null(bad);
    }
    ken_close(k);
}
END_TEST

/* ---- checking ---- */

static void count_problem(const char *where, const char *what, void *cookie)
{
    (void)where;
    note_problem("", what, 0, NULL);
    ++*(int *)cookie;
}

/* Every way in which a record, or a row, can be wrong is told. */
START_TEST(check_finds_what_is_broken)
{
    static const char *const wrong[] = { "is used twice",    "behind the end",  "belongs to item",
                                         "belongs to nobody", "does not exist",  "dead and in use",
                                         "wrong checksum",    "another model" };
    const int what = _i / STORES;
    store = stores[_i % STORES];
    ken *k = open_it("a");
    picture("p/1.ppm", 1);
    picture("p/2.ppm", 2);
    (void)scan(k, "p");
    kn_store *s;
    kn_item item;
    OK(kn_store_open(&s, NULL, "c", KN_STORE_WRITE));
    OK(kn_store_get(s, &(kn_select){ .by = KN_BY_ID, .number = 2 }, &item));
    OK(s->v->begin(s, 1));
    switch (what) {
    case 0:
    case 2:
        OK(s->v->drop(s, 1));
        item.slot = 0;
        OK(s->v->put(s, &item));
        break;
    case 1:
        item.slot = 2;
        OK(s->v->put(s, &item));
        break;
    case 3:
        OK(s->v->drop(s, 2));
        break;
    case 4:
        item.segment = 9;
        OK(s->v->put(s, &item));
        break;
    case 5:
        OK(s->v->put_dead(s, 1, 1));
        break;
    case 7:
        OK(s->v->set_text(s, "fingerprint", "0123"));
    }
    OK(s->v->end(s, 1));
    kn_item_release(&item);
    kn_store_close(s);
    if (what == 6) {
        int fd = open("c/vectors-000001.seg", O_RDWR);
        ck_assert_int_eq(pwrite(fd, "x", 1, 4096 + 256 * 16 + 40), 1);
        close(fd);
    }
    int n = 0;
    *problems = 0;
    ck_assert_int_eq(ken_check(k, count_problem, &n), KEN_E_CORRUPT);
    ck_assert_int_gt(n, 0);
    if (what) /* a slot that is used twice always is of another item as well */
        ck_assert_msg(strstr(problems, wrong[what]) != NULL, "%s", problems);
    ken_close(k);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_second_run_reads_no_pixels, 0, STORES);
    tcase_add_loop_test(tc, changes_are_followed, 0, STORES);
    tcase_add_loop_test(tc, renames_and_moves_keep_the_id, 0, STORES);
    tcase_add_loop_test(tc, vanished_files, 0, STORES);
    tcase_add_loop_test(tc, a_whole_root_that_is_gone, 0, STORES);
    tcase_add_loop_test(tc, what_cannot_be_read_is_remembered, 0, STORES);
    tcase_add_loop_test(tc, roots, 0, STORES);
    tcase_add_loop_test(tc, objects_and_descriptions, 0, STORES);
    tcase_add_loop_test(tc, an_interrupted_run_goes_on, 0, STORES);
    tcase_add_loop_test(tc, an_encoder_that_fails_loses_nothing, 0, STORES);
    tcase_add_loop_test(tc, another_model_is_refused, 0, STORES);
    tcase_add_loop_test(tc, re_embedding, 0, STORES);
    tcase_add_loop_test(tc, queries, 0, STORES);
    tcase_add_loop_test(tc, removal_and_compaction, 0, STORES);
    tcase_add_loop_test(tc, one_writer, 0, STORES);
    tcase_add_loop_test(tc, searches_beside_a_scan, 0, STORES);
    tcase_add_loop_test(tc, check_finds_what_is_broken, 0, STORES * 8);
}

int main(void)
{
    return kn_test_main("collection", fill);
}
