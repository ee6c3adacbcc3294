/*
 * omniglot.c - ken_eval_omniglot_runs: one-shot classification as Lake, Salakhutdinov and Tenenbaum
 * set it up ("Human-level concept learning through probabilistic program induction", Science 350,
 * 2015).
 *
 * A run is a folder with class_labels.txt, whose lines name a test picture and the training picture
 * of its class; each test picture is compared with every training picture of its run.  The baseline
 * is the modified Hausdorff distance of the ink (Dubuisson and Jain, "A modified Hausdorff distance
 * for object matching", ICPR 1994), its pixels' coordinates centred on their mean.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "engine/eval_data.h"
#include "engine/pictures.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNS = 99, MAX_PAIRS = 4096, INK = 128 /* darker is ink */ };

/* The ink of a picture. */
typedef struct ink {
    float *x, *y; /* (n) */
    size_t n;
} ink;

typedef struct run {
    const ken_model *m;
    const ken_decode_options *decode;
    kn_pictures pictures;
    char **tests, **trains; /* (n) full paths, pair by pair */
    char **sorted;          /* (n) the training pictures in the order of their names */
    size_t n;
    float *vectors;         /* (2 n, dim) of tests, then of sorted */
    ink *inks;              /* (2 n) likewise */
    unsigned char *right;   /* (n) */
} run;

static void release(run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        kn_free(r->tests[i]);
        kn_free(r->trains[i]);
    }
    for (size_t i = 0; r->inks && i < 2 * r->n; i++) {
        kn_free(r->inks[i].x);
        kn_free(r->inks[i].y);
    }
    kn_free(r->tests);
    kn_free(r->trains);
    kn_free(r->sorted);
    kn_free(r->vectors);
    kn_free(r->inks);
    kn_free(r->right);
    r->tests = r->trains = r->sorted = NULL;
    r->vectors = NULL;
    r->inks = NULL;
    r->right = NULL;
    r->n = 0;
}

/* ---- the pairs ---- */

/* Names in the file are relative to the folder of runs, or to the run's own. */
static char *resolve(run *r, const char *dir, const char *folder, const char *name)
{
    unsigned char *bytes = NULL;
    size_t len;
    char *path = kn_path_join(dir, name);
    if (path && kn_pictures_read(&r->pictures, path, &bytes, &len)) {
        kn_free(path);
        path = kn_path_join(folder, name);
    }
    kn_free(bytes);
    return path;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ken_status add_pair(run *r, const char *dir, const char *folder, const char *test,
                           const char *train)
{
    r->tests[r->n] = resolve(r, dir, folder, test);
    r->trains[r->n] = resolve(r, dir, folder, train);
    r->n++;
    return r->tests[r->n - 1] && r->trains[r->n - 1] ? KEN_OK : KEN_E_NOMEM;
}

static ken_status read_pairs(run *r, const char *dir, const char *folder, char *text)
{
    char *save = NULL;
    ken_status st = KEN_OK;
    r->tests = kn_zalloc(MAX_PAIRS, sizeof *r->tests);
    r->trains = kn_zalloc(MAX_PAIRS, sizeof *r->trains);
    r->sorted = kn_alloc(MAX_PAIRS, sizeof *r->sorted);
    if (!r->tests || !r->trains || !r->sorted)
        return KEN_E_NOMEM;
    for (char *line = strtok_r(text, "\r\n", &save); !st && line; line = strtok_r(NULL, "\r\n", &save)) {
        char *gap = NULL, *test = strtok_r(line, " \t", &gap), *train = strtok_r(NULL, " \t", &gap);
        if (!test)
            continue;
        if (!train || r->n == MAX_PAIRS)
            return kn_fail(KEN_E_FORMAT, "line %zu: expected \"test_file train_file\"", r->n + 1);
        st = add_pair(r, dir, folder, test, train);
    }
    if (!st && !r->n)
        st = kn_fail(KEN_E_FORMAT, "no pairs");
    if (!st) {
        memcpy(r->sorted, r->trains, r->n * sizeof *r->sorted);
        qsort(r->sorted, r->n, sizeof *r->sorted, by_text);
    }
    return st;
}

/* ---- by ink ---- */

static ken_status find_ink(const ken_image *img, ink *out)
{
    size_t n = 0;
    double sum_x = 0, sum_y = 0;
    const size_t most = (size_t)img->width * img->height;
    out->x = kn_alloc(most, sizeof *out->x);
    out->y = kn_alloc(most, sizeof *out->y);
    if (!out->x || !out->y)
        return KEN_E_NOMEM;
    for (uint32_t y = 0; y < img->height; y++)
        for (uint32_t x = 0; x < img->width; x++) {
            const uint8_t *p = img->pixels + y * img->stride + 3 * (size_t)x;
            if (p[0] + p[1] + p[2] >= 3 * INK)
                continue;
            out->x[n] = (float)x;
            out->y[n++] = (float)y;
            sum_x += x;
            sum_y += y;
        }
    for (size_t i = 0; i < n; i++) {
        out->x[i] -= (float)(sum_x / (double)n);
        out->y[i] -= (float)(sum_y / (double)n);
    }
    out->n = n;
    return n ? KEN_OK : kn_fail(KEN_E_FORMAT, "a picture without ink");
}

static ken_status load_ink(run *r, const char *path, ink *out)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    ken_image *img = NULL;
    ken_status st = kn_pictures_read(&r->pictures, path, &bytes, &len);
    if (!st)
        st = ken_image_decode(&img, bytes, len, r->decode);
    kn_free(bytes);
    if (!st)
        st = find_ink(img, out);
    ken_image_free(img);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

/* The mean over a's points of the distance to the nearest of b's. */
static double mean_nearest(const ink *a, const ink *b)
{
    double sum = 0;
    for (size_t i = 0; i < a->n; i++) {
        float least = INFINITY;
        for (size_t j = 0; j < b->n; j++) {
            const float dx = a->x[i] - b->x[j], dy = a->y[i] - b->y[j], d = dx * dx + dy * dy;
            least = d < least ? d : least;
        }
        sum += sqrt((double)least);
    }
    return sum / (double)a->n;
}

/* ---- trials ---- */

static double cost(const run *r, size_t test, size_t train)
{
    if (r->inks)
        return fmax(mean_nearest(&r->inks[test], &r->inks[r->n + train]),
                    mean_nearest(&r->inks[r->n + train], &r->inks[test]));
    const size_t dim = ken_model_get_info(r->m)->dim;
    return -(double)kn_kernels_get()->dot_f32(r->vectors + test * dim,
                                              r->vectors + (r->n + train) * dim, dim);
}

static ken_status try_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    run *r = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        size_t best = 0;
        double least = INFINITY;
        for (size_t j = 0; j < r->n; j++) {
            const double c = cost(r, i, j);
            if (c < least) {
                least = c;
                best = j;
            }
        }
        r->right[i] = !strcmp(r->sorted[best], r->trains[i]);
    }
    return KEN_OK;
}

static ken_status prepare(run *r)
{
    ken_status st = KEN_OK;
    r->right = kn_alloc(r->n, 1);
    if (!r->right)
        return KEN_E_NOMEM;
    if (!r->m) {
        r->inks = kn_zalloc(2 * r->n, sizeof *r->inks);
        st = r->inks ? KEN_OK : KEN_E_NOMEM;
        for (size_t i = 0; !st && i < r->n; i++) {
            st = load_ink(r, r->tests[i], &r->inks[i]);
            if (!st)
                st = load_ink(r, r->sorted[i], &r->inks[r->n + i]);
        }
        return st;
    }
    const size_t dim = ken_model_get_info(r->m)->dim;
    r->vectors = kn_alloc_aligned(2 * r->n * dim, sizeof *r->vectors);
    st = r->vectors ? KEN_OK : KEN_E_NOMEM;
    if (!st)
        st = kn_eval_embed(r->m, (const char *const *)r->tests, r->n, r->decode, NULL, NULL,
                           r->vectors);
    if (!st)
        st = kn_eval_embed(r->m, (const char *const *)r->sorted, r->n, r->decode, NULL, NULL,
                           r->vectors + r->n * dim);
    return st;
}

/* *there: whether there is a run of that number. */
static ken_status do_run(run *r, const char *dir, unsigned number, int *there, size_t *right)
{
    char name[16];
    unsigned char *text = NULL;
    size_t len = 0;
    snprintf(name, sizeof name, "run%02u", number);
    char *folder = kn_path_join(dir, name);
    char *list = folder ? kn_path_join(folder, "class_labels.txt") : NULL;
    ken_status st = list ? kn_pictures_read(&r->pictures, list, &text, &len) : KEN_E_NOMEM;
    *there = !st;
    if (!st)
        st = read_pairs(r, dir, folder, (char *)text);
    if (*there && st)
        st = kn_fail_in(st, "%s", list);
    kn_free(text);
    kn_free(folder);
    kn_free(list);
    if (!st)
        st = prepare(r);
    if (!st)
        st = kn_parallel(r->n, 1, kn_processors(), try_piece, r);
    for (size_t i = 0; !st && i < r->n; i++)
        *right += r->right[i];
    return st;
}

/* The error is the mean of the runs' errors; all of one size, it is that of all trials. */
ken_status ken_eval_omniglot_runs(const ken_model *m, const char *dir,
                                  const ken_decode_options *decode, ken_progress_fn progress,
                                  void *cookie, ken_runs_report *out)
{
    run r = { .m = m, .decode = decode };
    ken_runs_report report = { 0 };
    kn_meter meter;
    ken_status st = dir && out ? KEN_OK : kn_fail(KEN_E_INVALID, "no folder, or no place");
    if (st)
        return st;
    kn_pictures_init(&r.pictures);
    kn_meter_start(&meter, "compare", "runs", 0, progress, cookie);
    for (unsigned i = 1; !st && i <= MAX_RUNS; i++) {
        size_t right = 0;
        int there = 0;
        st = kn_meter_tell(&meter, report.runs, NULL);
        if (!st)
            st = do_run(&r, dir, i, &there, &right);
        if (st == KEN_E_NOTFOUND && !there && report.runs) {
            st = KEN_OK;
            break;
        }
        if (!st) {
            report.runs++;
            report.trials += r.n;
            report.error += 1 - (double)right / (double)r.n;
        }
        release(&r);
    }
    kn_meter_end(&meter);
    release(&r);
    kn_pictures_release(&r.pictures);
    if (!st) {
        report.error /= (double)report.runs;
        *out = report;
    }
    return st;
}
