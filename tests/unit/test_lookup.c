/*
 * test_lookup.c - a collection's search index against comparing every vector: the same scores, nearly
 * always the same answers, never one that is gone, always one that is new; files that are damaged,
 * missing or another's.
 *
 * The encoder is a stub whose vectors are given by number, so that large collections are made without
 * pictures: classes of near vectors in a space of few dimensions, as pictures of objects are.
 */
#include "tests/test.h"

#include "base/file.h"
#include "engine/lookup.h"
#include "tests/fake_encoder.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

enum { DIM = 192, LATENT = 24, PARTS = 3, PART_SEED = 50000000 };
static const float PART = .93f; /* what a part counts, as a model's metadata says */

static char top[64];
static const char *store = "file:";

static int quick(void)
{
    return getenv("QUICK") != NULL;
}

/* So many, fewer when it is to be quick, and fewer still under ThreadSanitizer, which takes its time. */
static size_t so_many(size_t all, size_t few)
{
#ifdef __SANITIZE_THREAD__
    return few / 2;
#else
    return quick() ? few : all;
#endif
}

/* ---- vectors by number ---- */

static float *map; /* (LATENT, DIM) */

/* Number `own` of class `class`: near the others of it, the nearer the smaller `spread`. */
static void vector(uint64_t class, uint64_t own, float spread, float *out)
{
    kn_rand c = kn_rand_at(class, 1), o = kn_rand_at(own, 2);
    for (size_t j = 0; j < DIM; j++)
        out[j] = 2; /* pictures have much in common */
    for (size_t l = 0; l < LATENT; l++) {
        const float a = kn_rand_normal(&c) + spread * kn_rand_normal(&o);
        for (size_t j = 0; j < DIM; j++)
            out[j] += a * map[l * DIM + j];
    }
    kn_kernels_get()->l2_normalize(out, DIM);
}

static ken_status stub_open(ken_model **out, const char *name, const ken_model_options *o)
{
    ken_status st = fake_open_model(out, name, o);
    if (!st)
        ((fake_model *)(void *)*out)->info.dim = DIM;
    return st;
}

/* The first three bytes of a picture are its class. */
static ken_status stub_pixels(const ken_model *m, const uint8_t *pixels, size_t n, float *out)
{
    (void)m;
    for (size_t i = 0; i < n; i++, pixels += FAKE_BYTES) {
        const uint64_t class = pixels[0] | (uint64_t)pixels[1] << 8 | (uint64_t)pixels[2] << 16;
        vector(class, class + 90000000, .5f, out + i * DIM);
    }
    return KEN_OK;
}

static kn_encoder stub;

static void setup(void)
{
    snprintf(top, sizeof top, "%s/ken-lookup-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* many small commits */
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    ck_assert_int_eq(mkdir("p", 0777), 0);
    stub = fake_encoder;
    stub.open = stub_open;
    stub.pixels = stub_pixels;
    map = malloc(LATENT * DIM * sizeof *map);
    kn_rand_fill_normal(map, LATENT * DIM, 1, 1, 1);
}

static void teardown(void)
{
    char command[96];
    free(map);
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

static ken *open_it(const char *vectors)
{
    ken *k = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    o.store = store;
    o.model = "stub";
    o.create = 1;
    o.vectors = vectors;
    OK(kn_collection_open(&k, "c", &o, &stub));
    return k;
}

/* Items number first .. first + n-1, two of a class; with `parts`, references of objects. */
static void add(ken *k, uint64_t first, size_t n, int parts)
{
    enum { MOST = 64 };
    const ken_model *m = NULL;
    kn_edit w;
    static float rows[MOST * DIM], small[MOST * PARTS * DIM];
    OK(ken_get_model(k, &m));
    OK(kn_edit_begin(&w, k));
    w.model = m;
    for (size_t done = 0; done < n; done += MOST) {
        const size_t some = n - done < MOST ? n - done : MOST;
        uint64_t ids[MOST], part_ids[MOST * PARTS];
        kn_place places[MOST], part = { 0 };
        for (size_t i = 0; i < some; i++) {
            const uint64_t number = first + done + i;
            ids[i] = w.next_id++;
            vector(number / 2, number, .5f, rows + i * DIM);
            for (size_t p = 0; p < PARTS; p++) {
                float *to = small + (i * PARTS + p) * DIM;
                vector(number / 2, PART_SEED + number * PARTS + p, .6f, to);
                for (size_t j = 0; j < DIM; j++)
                    to[j] *= PART;
                part_ids[i * PARTS + p] = ids[i];
            }
        }
        OK(kn_edit_vectors(&w, ids, rows, some, places));
        if (parts)
            OK(kn_edit_parts(&w, part_ids, small, some * PARTS, &part));
        OK(kn_edit_open(&w));
        for (size_t i = 0; i < some; i++) {
            char path[40], object[40], kind[] = "image";
            snprintf(path, sizeof path, "/nowhere/%llu", (unsigned long long)(first + done + i));
            snprintf(object, sizeof object, "toy%llu", (unsigned long long)((first + done + i) / 2));
            kn_item item = { .id = ids[i], .path = path, .kind = kind, .width = 1, .height = 1,
                             .object = parts ? object : NULL, .segment = places[i].segment,
                             .slot = places[i].slot };
            if (parts) {
                item.parts = PARTS;
                item.part_segment = part.segment;
                item.part_slot = part.slot + (uint32_t)i * PARTS;
            }
            OK(kn_store_put(k->store, &item));
        }
        OK(kn_edit_close(&w, KEN_OK));
    }
    kn_edit_end(&w);
}

static void build(ken *k, const char *kind)
{
    ken_build_options o = KEN_BUILD_OPTIONS_INIT;
    o.kind = kind;
    OK(ken_build(k, &o));
}

static ken_stats stats_of(ken *k)
{
    ken_stats s;
    OK(ken_get_stats(k, &s));
    return s;
}

static size_t ask(ken *k, const float *q, uint32_t n, int exact, int hidden, ken_hit *hits)
{
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    ken_term t = { .vector = q, .weight = 1 };
    size_t found = 0;
    o.k = n;
    o.exact = exact;
    o.hidden = hidden;
    OK(ken_search(k, &t, 1, &o, hits, &found, NULL));
    return found;
}

/* Share of the true ten that the index finds; what both tell has the very same score. */
static double recall(ken *k, uint64_t first, size_t nq)
{
    float q[DIM];
    ken_hit a[10], b[10];
    size_t hit = 0, all = 0;
    for (size_t i = 0; i < nq; i++) {
        vector(first + i, 70000000 + i, .5f, q);
        const size_t n = ask(k, q, 10, 1, 0, b), m = ask(k, q, 10, 0, 0, a);
        ck_assert_uint_eq(n, m);
        for (size_t x = 0; x < n; x++)
            for (size_t y = 0; y < m; y++)
                if (a[y].id == b[x].id) {
                    ck_assert_msg(a[y].raw == b[x].raw, "%.9g, truly %.9g", (double)a[y].raw,
                                  (double)b[x].raw);
                    hit++;
                }
        all += n;
    }
    return (double)hit / (double)all;
}

static void note_problem(const char *where, const char *what, void *cookie)
{
    snprintf(cookie, 300, "%s: %s", where, what);
}

static int sound(ken *k)
{
    char told[300] = "";
    const ken_status st = ken_check(k, note_problem, told);
    ck_assert_msg(!st || *told, "%s", ken_last_error());
    return !st;
}

/* ---- searching ---- */

START_TEST(finds_what_comparing_finds)
{
    static const char *const elements[] = { "f32", "f16" };
    const size_t n = so_many(20000, 3000);
    ken *k = open_it(elements[_i % 2]);
    add(k, 0, n, 0);
    build(k, "HNSW16");
    const ken_stats s = stats_of(k);
    ck_assert_str_eq(s.kind, "HNSW16");
    ck_assert_uint_eq(s.indexed, n);
    ck_assert_uint_eq(s.pending + s.dead, 0);
    ck_assert(!s.stale);
    /* codes and links, no rows: less than half of what the halves of the vectors would take */
    ck_assert_msg(s.index_bytes < n * 320 + 65536, "%llu bytes", (unsigned long long)s.index_bytes);
    ck_assert(sound(k));
    const double r = recall(k, 0, 200);
    ck_assert_msg(r >= .98, "recall %.4f", r);
    printf("index of %zu: recall %.4f, %.1f bytes a vector\n", n, r, (double)s.index_bytes / (double)n);
    ken_close(k);
    k = open_it(NULL); /* the same when it is opened anew */
    ck_assert(recall(k, 0, 50) >= .98);
    ken_close(k);
}
END_TEST

static uint64_t id_of(ken *k, uint64_t number)
{
    char path[40];
    uint64_t id = 0;
    snprintf(path, sizeof path, "/nowhere/%llu", (unsigned long long)number);
    OK(ken_find(k, path, &id));
    return id;
}

static void set_hidden(ken *k, uint64_t id)
{
    kn_edit w;
    kn_item item;
    const kn_select which = { .by = KN_BY_ID, .number = id };
    OK(kn_edit_begin(&w, k));
    OK(kn_edit_open(&w));
    OK(kn_store_get(k->store, &which, &item));
    item.hidden = 1;
    OK(kn_store_put(k->store, &item));
    kn_item_release(&item);
    OK(kn_edit_close(&w, KEN_OK));
    kn_edit_end(&w);
}

static void rescan(ken *k, const char *kind)
{
    const char *root = "p";
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r;
    o.index = kind;
    OK(ken_scan(k, &root, 1, &o, &r));
}

/* New ones are found at once, gone and hidden ones never again; the index follows at 5 %. */
START_TEST(follows_the_collection)
{
    const size_t n = 2000;
    float q[DIM];
    ken_hit hits[400];
    store = _i ? "sqlite:" : "file:";
#ifndef KEN_SQLITE
    store = "file:";
#endif
    ken *k = open_it(NULL);
    add(k, 0, n, 0);
    rescan(k, NULL);
    ck_assert_str_eq(stats_of(k).kind, "Flat"); /* auto: so few are compared */
    rescan(k, "HNSW8");
    ck_assert_str_eq(stats_of(k).kind, "HNSW8");
    ck_assert_uint_eq(stats_of(k).indexed, n);
    add(k, n, 60, 0);
    for (uint64_t i = n; i < n + 60; i += 7) {
        vector(i / 2, i, .5f, q);
        ck_assert_uint_ge(ask(k, q, 3, 0, 0, hits), 3);
        ck_assert_uint_eq(hits[0].id, id_of(k, i));
    }
    uint64_t gone[30], unseen = id_of(k, 77);
    for (uint64_t i = 0; i < 30; i++)
        gone[i] = id_of(k, 500 + i * 3);
    OK(ken_remove(k, gone, 30));
    set_hidden(k, unseen);
    for (uint64_t i = 0; i < 30; i++) {
        vector((500 + i * 3) / 2, 500 + i * 3, .5f, q);
        const size_t found = ask(k, q, 100, 0, 0, hits);
        ck_assert_uint_eq(found, 100);
        for (size_t h = 0; h < found; h++)
            for (size_t g = 0; g < 30; g++)
                ck_assert_uint_ne(hits[h].id, gone[g]);
    }
    vector(38, 77, .5f, q);
    ask(k, q, 5, 0, 0, hits);
    ck_assert_uint_ne(hits[0].id, unseen);
    ask(k, q, 5, 0, 1, hits);
    ck_assert_uint_eq(hits[0].id, unseen);
    ck_assert(recall(k, 0, 50) >= .97);
    for (int turn = 0; turn < 2; turn++) { /* a filter: few, and then nearly all */
        ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
        ken_term t = { .vector = q, .weight = 1 };
        size_t found = 0;
        o.k = 10;
        o.where = turn ? "id > 60" : "id > 60 and id <= 75";
        OK(ken_search(k, &t, 1, &o, hits, &found, NULL));
        ck_assert_uint_eq(found, 10);
        for (size_t i = 0; i < found; i++)
            ck_assert(hits[i].id > 60 && (turn || hits[i].id <= 75) && hits[i].id != unseen);
    }
    ken_stats s = stats_of(k);
    ck_assert_uint_eq(s.indexed, n);
    ck_assert_uint_eq(s.pending, 60);
    ck_assert_uint_eq(s.dead, 30);
    ck_assert(!s.stale); /* 90 of 2,000 */
    rescan(k, NULL);
    ck_assert_uint_eq(stats_of(k).indexed, n); /* and so nothing is built */
    add(k, n + 60, 20, 0);
    ck_assert(stats_of(k).stale);
    rescan(k, NULL);
    s = stats_of(k);
    ck_assert_uint_eq(s.indexed, n + 50);
    ck_assert_uint_eq(s.pending + s.dead + (uint64_t)s.stale, 0);
    ck_assert(sound(k));
    build(k, "Flat");
    ck_assert_str_eq(stats_of(k).kind, "Flat");
    ck_assert_int_eq(access("c/near-whole.ix", F_OK), -1);
    rescan(k, NULL);
    ck_assert_str_eq(stats_of(k).kind, "Flat"); /* it is remembered */
    ken_build_options bad = KEN_BUILD_OPTIONS_INIT;
    bad.kind = "IVF16,Flat";
    ck_assert_int_eq(ken_build(k, &bad), KEN_E_INVALID);
    bad.kind = "HNSW999";
    ck_assert_int_eq(ken_build(k, &bad), KEN_E_INVALID);
    ken_close(k);
}
END_TEST

/* ---- recognition ---- */

static ken_recognition *recognize(ken *k, uint64_t class, int exact)
{
    ken_recognition *r = NULL;
    ken_recognize_options o = KEN_RECOGNIZE_OPTIONS_INIT;
    ken_image *img = NULL;
    unsigned char bytes[32 + FAKE_BYTES];
    const int n = sprintf((char *)bytes, "P6\n%d %d\n255\n", FAKE_SIDE, FAKE_SIDE);
    for (int i = 0; i < FAKE_BYTES; i++)
        bytes[n + i] = (unsigned char)(class >> i % 3 * 8);
    o.exact = exact;
    OK(ken_image_decode(&img, bytes, (size_t)n + FAKE_BYTES, NULL));
    OK(ken_recognize(k, img, &o, &r));
    ken_image_free(img);
    return r;
}

/* Wholes and parts are in indexes of their own; parts count .93 of a whole in both. */
START_TEST(recognises_what_comparing_recognises)
{
    const size_t n = so_many(20000, 2000), nq = so_many(200, 200);
    size_t same = 0, order = 0, all = 0;
    ken *k = open_it("f16");
    add(k, 0, n, 1);
    build(k, "HNSW16");
    ck_assert_uint_eq(stats_of(k).indexed, n * (1 + PARTS));
    for (uint64_t q = 0; q < nq; q++) {
        ken_recognition *a = recognize(k, q * 3, 0), *b = recognize(k, q * 3, 1);
        ck_assert_uint_eq(a->n, b->n);
        same += !strcmp(a->candidates[0].object, b->candidates[0].object);
        for (size_t i = 0; i < a->n; i++)
            for (size_t j = 0; j < b->n; j++)
                if (!strcmp(a->candidates[i].object, b->candidates[j].object)) {
                    order++;
                    ck_assert_float_le(a->candidates[i].raw, b->candidates[j].raw);
                }
        all += b->n;
        ken_recognition_free(a);
        ken_recognition_free(b);
    }
    printf("recognition among %zu objects: the first as by comparing %.4f, of ten %.4f\n", n / 2,
           (double)same / (double)nq, (double)order / (double)all);
    ck_assert_uint_ge(same * 1000, nq * 980);
    ck_assert_uint_ge(order * 1000, all * 960);
    /* a part that is nearest, yet counts less than a whole that is not: by hand */
    float q[DIM], part[DIM];
    vector(9, PART_SEED + 9 * 2 * PARTS, .6f, q);
    memcpy(part, q, sizeof part);
    kn_view *v = NULL;
    kn_near near[5];
    size_t found;
    OK(kn_view_get(k, &v));
    const kn_seek s = { q, 1, 5, v->parts, 1u << KN_ROLE_PART | 1u << KN_ROLE_VIEW, 0, 0 };
    OK(kn_lookup(k, v, &s, near, &found));
    ck_assert_uint_eq(found, 5);
    ck_assert_float_eq_tol(near[0].raw, PART, .01f);
    ck_assert_uint_eq(near[0].id, id_of(k, 18));
    kn_view_release(k, v);
    ck_assert(sound(k));
    ken_close(k);
}
END_TEST

/* ---- files ---- */

START_TEST(damage_costs_time_alone)
{
    const size_t n = 1200;
    unsigned char *bytes = NULL;
    size_t len = 0;
    float q[DIM];
    ken_hit hits[10];
    kn_rand r = kn_rand_at(3, 3);
    ken *k = open_it(NULL);
    add(k, 0, n, 0);
    build(k, "HNSW8");
    ken_close(k);
    OK(kn_read_file(&bytes, &len, "c/near-whole.ix", 1 << 28));
    for (size_t i = 0; i < len; i += i < 4096 ? 97 : len / so_many(600, 60)) {
        const unsigned char was = bytes[i];
        bytes[i] ^= (unsigned char)(1 + kn_rand_below(&r, 255));
        OK(kn_replace_file("c/near-whole.ix", bytes, len));
        bytes[i] = was;
        k = open_it(NULL);
        for (uint64_t c = 0; c < 5; c++) {
            vector(c * 50, c, .5f, q);
            ck_assert_uint_eq(ask(k, q, 10, 0, 0, hits), 10);
            for (size_t h = 0; h < 10; h++)
                ck_assert(hits[h].id && hits[h].id <= n);
        }
        ck_assert_msg(!sound(k), "nobody tells of byte %zu", i);
        ken_close(k);
    }
    OK(kn_replace_file("c/near-whole.ix", bytes, len / 2));
    k = open_it(NULL);
    ck_assert(stats_of(k).stale);
    ck_assert(recall(k, 0, 20) == 1);
    rescan(k, NULL);
    ck_assert(!stats_of(k).stale && sound(k));
    OK(kn_unlink("c/near-whole.ix"));
    ken_close(k);
    k = open_it(NULL);
    ck_assert(stats_of(k).stale); /* it should be there */
    ck_assert(sound(k));          /* and nothing is wrong */
    rescan(k, NULL);
    ck_assert_str_eq(stats_of(k).kind, "HNSW8");
    ken_close(k);
    /* another collection's: as many vectors, other ones */
    OK(kn_rename("c/near-whole.ix", "near"));
    ck_assert_int_eq(system("rm -rf c"), 0);
    k = open_it(NULL);
    add(k, 5000, n, 0);
    OK(kn_rename("near", "c/near-whole.ix"));
    ck_assert(stats_of(k).stale && !sound(k));
    ck_assert(recall(k, 2500, 20) == 1);
    ken_close(k);
    kn_free(bytes);
}
END_TEST

/* ---- together ---- */

typedef struct beside {
    ken *k;
    atomic_int stop;
} beside;

static char FAILED[] = "a search failed";

static void *keep_asking(void *cookie)
{
    beside *b = cookie;
    float q[DIM];
    ken_hit hits[5];
    for (uint64_t i = 0; !atomic_load(&b->stop); i++) {
        vector(i % 300, i, .5f, q);
        ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
        ken_term t = { .vector = q, .weight = 1 };
        size_t found = 0;
        o.k = 5;
        if (ken_search(b->k, &t, 1, &o, hits, &found, NULL) || found != 5)
            return FAILED;
    }
    return NULL;
}

START_TEST(searches_beside_builds)
{
    beside b = { .k = open_it(NULL) };
    pthread_t threads[2];
    void *failed = NULL;
    add(b.k, 0, 600, 0);
    build(b.k, "HNSW4");
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_asking, &b), 0);
    for (uint64_t round = 0; round < 4; round++) {
        add(b.k, 600 + round * 64, 64, 0);
        build(b.k, round % 2 ? "HNSW8" : NULL);
    }
    atomic_store(&b.stop, 1);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_msg(!failed, "%s: %s", (char *)failed, ken_last_error());
    }
    ken_close(b.k);
}
END_TEST

/* Dead and pending ones must not make up for each other. */
START_TEST(fewer_than_its_note_names_is_due)
{
    kn_lookup_count c = { .kind = "HNSW16", .wanted = "HNSW16", .live = 1001, .n = 1000, .covered = 1000 };
    ck_assert(!kn_lookup_is_due(&c));
    c.n = 999;
    ck_assert(kn_lookup_is_due(&c));
}
END_TEST

/* Counting looks at what searches have open. */
START_TEST(files_are_opened_once)
{
    ken *k = open_it(NULL);
    add(k, 0, 300, 0);
    build(k, "HNSW8");
    ck_assert_str_eq(stats_of(k).kind, "HNSW8");
    ck_assert_int_eq(unlink("c/near-whole.ix"), 0);
    ck_assert_str_eq(stats_of(k).kind, "HNSW8");
    ck_assert(recall(k, 0, 20) >= .97);
    ken_close(k);
    k = open_it(NULL);
    ck_assert_str_eq(stats_of(k).kind, "Flat");
    ken_close(k);
}
END_TEST

static void fill(TCase *t)
{
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, finds_what_comparing_finds, 0, 2);
    tcase_add_loop_test(t, follows_the_collection, 0, 2);
    tcase_add_test(t, recognises_what_comparing_recognises);
    tcase_add_test(t, fewer_than_its_note_names_is_due);
    tcase_add_test(t, files_are_opened_once);
    tcase_add_test(t, damage_costs_time_alone);
    tcase_add_test(t, searches_beside_builds);
}

int main(void)
{
    return kn_test_main("lookup", fill);
}
