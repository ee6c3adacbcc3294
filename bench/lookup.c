/* lookup.c - recognition in a large collection, without pictures: what the search index costs and gives.
 *
 *   lookup DIR OBJECTS [PARTS [DIM]]     one reference an object and 4 parts of it, of 512 numbers
 *
 * Makes the collection if DIR is missing, builds its index, and prints sizes, times and the share of first
 * answers that are those of comparing every vector.  Classes of near vectors stand for pictures; a stub
 * encodes, and its time is left out. */
#include "base/progress.h"
#include "engine/writer.h"
#include "tests/fake_encoder.h"

#include <stdlib.h>
#include <unistd.h>

enum { LATENT = 64, CHUNK = 1024, QUERIES = 1000, EXACT = 50, MOST_PARTS = 7 };

static size_t dim = 512, parts = 4;
static float *map; /* (LATENT, dim) */
static double encoding;

static void vector(uint64_t class, uint64_t own, float spread, float scale, float *out)
{
    kn_rand c = kn_rand_at(class, 1), o = kn_rand_at(own, 2);
    for (size_t j = 0; j < dim; j++)
        out[j] = 4;
    for (size_t l = 0; l < LATENT; l++) {
        const float a = kn_rand_normal(&c) + spread * kn_rand_normal(&o);
        for (size_t j = 0; j < dim; j++)
            out[j] += a * map[l * dim + j];
    }
    kn_kernels_get()->l2_normalize(out, dim);
    for (size_t j = 0; j < dim; j++)
        out[j] *= scale;
}

static ken_status stub_open(ken_model **out, const char *name, const ken_model_options *o)
{
    ken_status st = fake_open_model(out, name, o);
    if (!st)
        ((fake_model *)(void *)*out)->info.dim = (uint32_t)dim;
    return st;
}

static ken_status stub_pixels(const ken_model *m, const uint8_t *pixels, size_t n, float *out)
{
    const double start = kn_clock();
    (void)m;
    for (size_t i = 0; i < n; i++, pixels += FAKE_BYTES) {
        const uint64_t class = pixels[0] | (uint64_t)pixels[1] << 8 | (uint64_t)pixels[2] << 16;
        vector(class, class + (UINT64_C(1) << 40), .6f, 1, out + i * dim);
    }
    encoding += kn_clock() - start;
    return KEN_OK;
}

static ken_status put_chunk(kn_edit *w, uint64_t first, size_t n, float *rows, float *small)
{
    static uint64_t ids[CHUNK], part_ids[CHUNK * MOST_PARTS];
    static kn_place places[CHUNK];
    kn_place part = { 0 };
    char path[48], object[32], kind[] = "reference";
    ken_status st = KEN_OK;
    for (size_t i = 0; i < n; i++) {
        ids[i] = w->next_id++;
        vector(first + i, first + i, .5f, 1, rows + i * dim);
        for (size_t p = 0; p < parts; p++) {
            vector(first + i, (first + i) * 8 + p + (UINT64_C(1) << 50), .7f, .93f, small + (i * parts + p) * dim);
            part_ids[i * parts + p] = ids[i];
        }
    }
    for (size_t i = 0; !st && i < n; i += KN_BLOCK)
        st = kn_edit_vectors(w, ids + i, rows + i * dim, n - i < KN_BLOCK ? n - i : KN_BLOCK, places + i);
    if (!st)
        st = kn_edit_parts(w, part_ids, small, n * parts, &part);
    if (!st)
        st = kn_edit_open(w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < n; i++) {
        snprintf(path, sizeof path, "/nowhere/%llu", (unsigned long long)(first + i));
        snprintf(object, sizeof object, "%llu", (unsigned long long)(first + i));
        const kn_item item = { .id = ids[i], .path = path, .object = object, .kind = kind, .width = 1,
                               .height = 1, .segment = places[i].segment, .slot = places[i].slot,
                               .part_segment = part.segment, .part_slot = part.slot + (uint32_t)(i * parts),
                               .parts = (uint32_t)parts };
        st = kn_store_put(w->k->store, &item);
    }
    return kn_edit_close(w, st);
}

static ken_status fill(ken *k, size_t objects)
{
    const ken_model *m = NULL;
    kn_edit w = { 0 };
    float *rows = kn_alloc(CHUNK, dim * sizeof *rows), *small = kn_alloc(CHUNK * parts, dim * sizeof *small);
    ken_status st = rows && small ? ken_get_model(k, &m) : KEN_E_NOMEM;
    if (!st)
        st = kn_edit_begin(&w, k);
    w.model = m;
    for (size_t i = 0; !st && i < objects; i += CHUNK)
        st = put_chunk(&w, i, objects - i < CHUNK ? objects - i : CHUNK, rows, small);
    kn_edit_end(&w);
    kn_free(rows);
    kn_free(small);
    return st;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ken_status ask(ken *k, uint64_t class, int exact, uint64_t *first, double *seconds)
{
    ken_recognize_options o = KEN_RECOGNIZE_OPTIONS_INIT;
    ken_image *img = NULL;
    ken_recognition *r = NULL;
    unsigned char bytes[32 + FAKE_BYTES];
    const int n = sprintf((char *)bytes, "P6\n%d %d\n255\n", FAKE_SIDE, FAKE_SIDE);
    for (int i = 0; i < FAKE_BYTES; i++)
        bytes[n + i] = (unsigned char)(class >> i % 3 * 8);
    o.exact = exact;
    o.looks = -1;
    ken_status st = ken_image_decode(&img, bytes, (size_t)n + FAKE_BYTES, NULL);
    const double start = kn_clock(), encoded = encoding;
    if (!st)
        st = ken_recognize(k, img, &o, &r);
    *seconds = kn_clock() - start - (encoding - encoded);
    if (!st)
        *first = r->n ? r->candidates[0].id : 0;
    ken_recognition_free(r);
    ken_image_free(img);
    return st;
}

static long resident_kb(void)
{
    char line[128];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static ken_status measure(ken *k, size_t objects)
{
    static double all[QUERIES];
    uint64_t first = 0, want = 0;
    double seconds, exactly = 0;
    size_t same = 0, right = 0;
    ken_status st = ask(k, 0, 0, &first, &seconds); /* opens and counts */
    printf("first answer in %.1f ms\n", seconds * 1e3);
    for (size_t i = 0; !st && i < QUERIES; i++) {
        st = ask(k, i * 7919 % objects, 0, &first, &all[i]);
        right += first == 1 + i * 7919 % objects;
    }
    printf("resident %ld MB (pages of mapped files that were touched among them)\n", resident_kb() / 1024);
    for (size_t i = 0; !st && i < EXACT; i++) {
        st = ask(k, i * 7919 % objects, 0, &first, &seconds);
        if (!st)
            st = ask(k, i * 7919 % objects, 1, &want, &seconds);
        same += first == want;
        exactly += seconds;
    }
    qsort(all, QUERIES, sizeof *all, by_value);
    if (!st)
        printf("recognize without encoding: p50 %.2f ms, p99 %.2f ms; comparing all: %.1f ms\n"
               "first answer as by comparing: %zu of %d; right: %zu of %d\n",
               all[QUERIES / 2] * 1e3, all[QUERIES * 99 / 100] * 1e3, exactly / EXACT * 1e3, same, EXACT,
               right, QUERIES);
    return st;
}

int main(int argc, char **argv)
{
    ken *k = NULL;
    ken_stats s = { 0 };
    ken_options o = KEN_OPTIONS_INIT;
    kn_encoder stub = fake_encoder;
    const size_t objects = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    if (argc > 3)
        parts = strtoul(argv[3], NULL, 10);
    if (argc > 4)
        dim = strtoul(argv[4], NULL, 10);
    if (argc < 3 || !objects || parts < 1 || parts > MOST_PARTS || dim < 8) {
        fprintf(stderr, "usage: lookup DIR OBJECTS [PARTS [DIM]]\n");
        return 2;
    }
    stub.open = stub_open;
    stub.pixels = stub_pixels;
    map = kn_alloc(LATENT * dim, sizeof *map);
    kn_rand_fill_normal(map, LATENT * dim, 1, 1, 1);
    const int fresh = access(argv[1], F_OK) != 0;
    o.model = "stub";
    o.create = 1;
    o.vectors = "f16";
    double start = kn_clock();
    ken_status st = kn_collection_open(&k, argv[1], &o, &stub);
    if (!st && fresh) {
        st = fill(k, objects);
        printf("filled in %.1f s\n", kn_clock() - start);
        start = kn_clock();
        st = st ? st : ken_build(k, NULL);
        printf("index built in %.1f s\n", kn_clock() - start);
    }
    if (!st)
        st = ken_get_stats(k, &s);
    printf("%llu objects, %llu vectors of %u numbers, %s; on disk %.0f MB, index %.0f MB (%.0f bytes a vector)\n",
           (unsigned long long)s.objects, (unsigned long long)s.vectors, s.dim, s.kind,
           (double)s.bytes / 1e6, (double)s.index_bytes / 1e6,
           (double)s.index_bytes / (double)(s.vectors ? s.vectors : 1));
    ken_close(k);
    k = NULL;
    if (!st)
        st = kn_collection_open(&k, argv[1], &o, &stub);
    if (!st)
        st = measure(k, objects);
    if (st)
        fprintf(stderr, "lookup: %s\n", ken_last_error());
    ken_close(k);
    kn_free(map);
    return st != KEN_OK;
}
