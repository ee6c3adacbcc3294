/* test_vector_cache.c - the same pixels go through a network once; whatever lies in the cache, answers are the same. */
#include "tests/test.h"

#include "base/file.h"
#include "engine/vector_cache.h"
#include "tests/fake_encoder.h"

#include <fcntl.h>
#include <unistd.h>

enum { PICTURES = 20 };
static char top[] = "/tmp/ken-cache-XXXXXX";
static const char *cache = "cache";
static uint64_t cache_bytes = 1 << 20;
static float truth[PICTURES][FAKE_DIM];

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static const char *name_of(size_t i)
{
    static char name[32];
    snprintf(name, sizeof name, "p/%02zu.ppm", i);
    return name;
}

static ken_image *load(size_t i)
{
    ken_image *img = NULL;
    OK(ken_image_load(&img, name_of(i), NULL));
    return img;
}

static void setup(void)
{
    ken_model *m = NULL;
    memcpy(top + sizeof top - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    ck_assert_int_eq(mkdir("p", 0777), 0);
    OK(fake_open_model(&m, "a", NULL));
    for (size_t i = 0; i < PICTURES; i++) {
        unsigned char bytes[2000];
        OK(kn_replace_file(name_of(i), bytes, fake_picture(bytes, 16, 12, i)));
        ken_image *img = load(i);
        OK(fake_images(m, (const ken_image *const *)&img, 1, truth[i]));
        ken_image_free(img);
    }
    fake_close(m);
    cache = "cache";
    cache_bytes = 1 << 20;
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

static ken *open_it(const char *dir, const char *model)
{
    ken *k = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    o.store = "file:";
    o.model = model;
    o.create = 1;
    o.cache = cache;
    o.cache_bytes = cache_bytes;
    OK(kn_collection_open(&k, dir, &o, &fake_encoder));
    return k;
}

/* Indexes all into a new collection; how many pictures the network saw.  Vectors are the truth (of model "a"). */
static long index_into(const char *dir, const char *model)
{
    const long before = atomic_load(&fake_encoded);
    const char *path = "p";
    ken_scan_report r = { 0 };
    ken *k = open_it(dir, model);
    OK(ken_scan(k, &path, 1, NULL, &r));
    ck_assert_uint_eq(r.added, PICTURES);
    for (size_t i = 0; *model == 'a' && i < PICTURES; i++) {
        uint64_t id = 0;
        float v[FAKE_DIM];
        OK(ken_find(k, name_of(i), &id));
        OK(ken_vector(k, id, v));
        ck_assert_mem_eq(v, truth[i], sizeof v);
    }
    ken_close(k);
    return atomic_load(&fake_encoded) - before;
}

/* The cache's one file. */
static const char *cache_file(void)
{
    static char path[128];
    FILE *f = popen("ls cache/vectors-61* 2>/dev/null", "r");
    ck_assert_ptr_nonnull(f);
    if (!fgets(path, sizeof path, f))
        *path = 0;
    pclose(f);
    path[strcspn(path, "\n")] = 0;
    return path;
}

static off_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) ? -1 : info.st_size;
}

START_TEST(a_picture_is_encoded_once)
{
    ck_assert_int_eq(index_into("one", "a"), PICTURES);
    ck_assert_int_eq(index_into("two", "a"), 0);
    ck_assert_int_eq(index_into("other", "b"), PICTURES); /* another model's vectors are others */
    ck_assert_int_eq(index_into("three", "a"), 0);
}
END_TEST

/* A collection that goes over to another model remembers that one's vectors, too, and still the first one's. */
START_TEST(two_models_in_one_life)
{
    const char *path = "p";
    ken_scan_report r = { 0 };
    ken_scan_options so = KEN_SCAN_OPTIONS_INIT;
    ck_assert_int_eq(index_into("one", "a"), PICTURES);
    ken *k = open_it("one", "b");
    so.reembed = 1;
    long before = atomic_load(&fake_encoded);
    OK(ken_scan(k, &path, 1, &so, &r));
    ck_assert_int_eq(atomic_load(&fake_encoded) - before, PICTURES);
    ken_image *img = load(3);
    const ken_term term = { .image = img, .weight = 1 };
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    ken_hit hit = { 0 };
    size_t found = 0;
    o.k = 1;
    before = atomic_load(&fake_encoded);
    OK(ken_search(k, &term, 1, &o, &hit, &found, NULL));
    ck_assert_int_eq(atomic_load(&fake_encoded) - before, 0);
    ken_image_free(img);
    ken_close(k);
    ck_assert_int_eq(index_into("two", "b"), 0);
    ck_assert_int_eq(index_into("three", "a"), 0);
}
END_TEST

START_TEST(a_query_is_known_by_its_pixels)
{
    ck_assert_int_eq(index_into("one", "a"), PICTURES);
    ken *k = open_it("one", "a");
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    ken_hit hit = { 0 };
    size_t found = 0;
    o.k = 1;
    ken_image *img = load(7);
    const ken_term term = { .image = img, .weight = 1 };
    const long before = atomic_load(&fake_encoded);
    OK(ken_search(k, &term, 1, &o, &hit, &found, NULL));
    ck_assert_int_eq(atomic_load(&fake_encoded) - before, 0);
    ck_assert_uint_eq(found, 1);
    uint64_t id = 0;
    OK(ken_find(k, name_of(7), &id));
    ck_assert_uint_eq(hit.id, id);
    ken_image_free(img);
    ken_close(k);
}
END_TEST

START_TEST(damage_costs_time_only)
{
    unsigned char *file = NULL;
    size_t len = 0;
    ck_assert_int_eq(index_into("one", "a"), PICTURES);
    OK(kn_read_file(&file, &len, cache_file(), 1 << 24));
    for (size_t i = 128; i < len; i++) /* every key, checksum and vector that is there */
        file[i] = file[i] ? (unsigned char)(file[i] ^ 16) : 0;
    OK(kn_replace_file(cache_file(), file, len));
    ck_assert_int_eq(index_into("two", "a"), PICTURES);
    ck_assert_int_eq(index_into("three", "a"), 0); /* mended on the way */

    file[20] ^= 1; /* the head */
    OK(kn_replace_file(cache_file(), file, len));
    ck_assert_int_eq(index_into("four", "a"), PICTURES);
    OK(kn_replace_file(cache_file(), file, len / 2));
    ck_assert_int_eq(index_into("five", "a"), PICTURES);
    OK(kn_replace_file(cache_file(), "", 0));
    ck_assert_int_eq(index_into("six", "a"), PICTURES);
    ck_assert_int_eq(index_into("seven", "a"), 0);
    kn_free(file);
}
END_TEST

START_TEST(one_torn_vector_is_the_only_one_lost)
{
    ck_assert_int_eq(index_into("one", "a"), PICTURES);
    unsigned char *file = NULL;
    size_t len = 0, at = 128;
    OK(kn_read_file(&file, &len, cache_file(), 1 << 24));
    while (at < len && !file[at])
        at++;
    file[at + 60] ^= 1; /* within the first vector */
    OK(kn_replace_file(cache_file(), file, len));
    kn_free(file);
    ck_assert_int_eq(index_into("two", "a"), 1);
}
END_TEST

START_TEST(it_does_not_grow)
{
    cache_bytes = 1000; /* two rows of four */
    ck_assert_int_eq(index_into("one", "a"), PICTURES);
    const off_t size = size_of(cache_file());
    ck_assert_int_gt(size, 128);
    ck_assert_int_le(size, 128 + 1000);
    const long again = index_into("two", "a");
    ck_assert_int_ge(again, PICTURES - 8);
    ck_assert_int_eq(size_of(cache_file()), size);
    cache_bytes = 1; /* no place at all */
    ck_assert_int_eq(index_into("three", "a"), PICTURES);
}
END_TEST

START_TEST(where_it_cannot_be_nothing_is_missed)
{
    cache = "/proc/no/such";
    ck_assert_int_eq(index_into("one", "a"), PICTURES);
    cache = NULL;
    ck_assert_int_eq(index_into("two", "a"), PICTURES);
    ck_assert_int_eq(index_into("three", "a"), PICTURES);
}
END_TEST

/* An allocation fails, any one: the picture is encoded all the same, or all that is said is "out of memory". */
START_TEST(without_memory_nothing_is_lost)
{
    ken *k = open_it("one", "a");
    const ken_model *m = NULL;
    uint8_t pixels[4 * FAKE_BYTES];
    float want[4 * FAKE_DIM], got[4 * FAKE_DIM];
    long answered = 0;
    OK(ken_get_model(k, &m));
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    OK(fake_pixels(m, pixels, 4, want));
    for (long n = 0; n < 40; n++) {
        memset(got, 0, sizeof got);
        kn_alloc_fail_after(n);
        const ken_status st = kn_encode_pixels(k, m, pixels, 4, got);
        kn_alloc_fail_after(-1);
        ck_assert(st == KEN_OK || st == KEN_E_NOMEM);
        answered += st == KEN_OK;
        if (!st)
            ck_assert_mem_eq(got, want, sizeof got);
        if (n % 8 == 7) { /* anew */
            ken_close(k);
            ck_assert_int_eq(system("rm -rf cache"), 0);
            k = open_it("one", "a");
            OK(ken_get_model(k, &m));
        }
    }
    ck_assert_int_gt(answered, 20);
    ken_close(k);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_picture_is_encoded_once);
    tcase_add_test(tc, two_models_in_one_life);
    tcase_add_test(tc, a_query_is_known_by_its_pixels);
    tcase_add_test(tc, damage_costs_time_only);
    tcase_add_test(tc, one_torn_vector_is_the_only_one_lost);
    tcase_add_test(tc, it_does_not_grow);
    tcase_add_test(tc, without_memory_nothing_is_lost);
    tcase_add_test(tc, where_it_cannot_be_nothing_is_missed);
}

int main(void)
{
    return kn_test_main("vector_cache", fill);
}
