/*
 * preprocess.c - one picture from bytes to what CLIP sees (short side 224, bicubic, centre crop), on one
 * thread, step by step.
 *
 *   preprocess FILE [SECONDS [FIT]]
 *
 * Prints the best of each in ms.  FIT as ken_decode_options.fit: then also how far the pixels are from
 * those of the full decode.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/progress.h"
#include "image/image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    unsigned char *bytes;
    size_t len;
    ken_decode_options opts;
    kn_prep prep;
    uint8_t *out;
    ken_image *img;
} job;

static ken_status decode(job *j)
{
    ken_image *img;
    ken_status st = ken_image_decode(&img, j->bytes, j->len, &j->opts);
    if (!st)
        ken_image_free(img);
    return st;
}

static ken_status fit(job *j)
{
    return kn_image_fit(j->img, &j->prep, j->out);
}

static ken_status both(job *j)
{
    uint32_t w, h;
    return kn_image_decode_fit(j->bytes, j->len, &j->opts, &j->prep, j->out, &w, &h);
}

/* The best of as many turns as fit into `seconds`, in ms; < 0 on failure. */
static double best(job *j, ken_status (*step)(job *), double seconds)
{
    double least = 1e9;
    for (const double end = kn_clock() + seconds; kn_clock() < end;) {
        const double start = kn_clock();
        if (step(j))
            return -1;
        const double took = kn_clock() - start;
        least = took < least ? took : least;
    }
    return 1e3 * least;
}

/* What decoding at a reduced size costs. */
static ken_status tell_difference(job *j)
{
    enum { BYTES = 3 * 224 * 224 };
    uint8_t *exact = kn_alloc(BYTES, 1);
    const uint32_t fit_at = j->opts.fit;
    double sum = 0, square = 0;
    int most = 0;
    ken_status st = exact ? both(j) : KEN_E_NOMEM;
    if (!st) {
        memcpy(exact, j->out, BYTES);
        j->opts.fit = 0;
        st = both(j);
        j->opts.fit = fit_at;
    }
    for (int i = 0; !st && i < BYTES; i++) {
        const int d = abs(exact[i] - j->out[i]);
        sum += d;
        square += (double)d * d;
        most = d > most ? d : most;
    }
    if (!st)
        printf("off by %.3f of 255 on average, %.3f in the root mean square, %d at most\n",
               sum / BYTES, sqrt(square / BYTES), most);
    kn_free(exact);
    return st;
}

int main(int argc, char **argv)
{
    job j = { .opts = KEN_DECODE_OPTIONS_INIT,
              .prep = { .fit = KN_FIT_SHORT,
                        .resize = { 224, 224 },
                        .crop = { 224, 224 },
                        .filter = KN_BICUBIC } };
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
    if (argc < 2)
        return 2;
    j.opts.fit = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    j.out = kn_alloc(3 * 224, 224);
    if (!j.out || kn_read_file(&j.bytes, &j.len, argv[1], 1 << 30) ||
        ken_image_decode(&j.img, j.bytes, j.len, &j.opts)) {
        fprintf(stderr, "%s\n", ken_last_error());
        return 2;
    }
    printf("decode %.2f  fit %.2f", best(&j, decode, seconds), best(&j, fit, seconds));
    printf("  decode+fit at once %.2f ms  (%u x %u, level %s)\n", best(&j, both, seconds),
           j.img->width, j.img->height, ken_cpu_level());
    const ken_status st = j.opts.fit ? tell_difference(&j) : KEN_OK;
    ken_image_free(j.img);
    kn_free(j.bytes);
    kn_free(j.out);
    return st != KEN_OK;
}
