/* fill.c - a collection of random unit vectors, to time searches in: no pictures are needed.
 *
 *   fill DIR MODEL N        makes DIR with MODEL, whose vectors the items claim to be
 *
 * The items' files do not exist; only searching, showing and checking make sense. */
#include "base/alloc.h"
#include "base/rand.h"
#include "engine/writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 64 };

static void make_rows(float *rows, size_t n, size_t dim, uint64_t first)
{
    for (size_t i = 0; i < n; i++) {
        kn_rand r = kn_rand_at(first + i, 0);
        double sum = 0;
        for (size_t d = 0; d < dim; d++) {
            rows[i * dim + d] = (float)(kn_rand_below(&r, 65536) / 32768.0 - 1);
            sum += (double)rows[i * dim + d] * (double)rows[i * dim + d];
        }
        for (size_t d = 0; d < dim; d++)
            rows[i * dim + d] = (float)((double)rows[i * dim + d] / sqrt(sum));
    }
}

static ken_status put_rows(kn_edit *w, size_t n, const uint64_t *ids, const kn_place *places)
{
    char kind[] = "image", path[64];
    ken_status st = kn_edit_open(w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < n; i++) {
        kn_item item = { .id = ids[i], .path = path, .kind = kind, .width = 1, .height = 1 };
        snprintf(path, sizeof path, "/nowhere/%llu.jpg", (unsigned long long)ids[i]);
        item.segment = places[i].segment;
        item.slot = places[i].slot;
        st = kn_store_put(w->k->store, &item);
    }
    return kn_edit_close(w, st);
}

static ken_status fill(ken *k, size_t total)
{
    const ken_model *m = NULL;
    kn_edit w = { 0 };
    float *rows = NULL;
    ken_status st = ken_get_model(k, &m);
    if (!st)
        st = kn_edit_begin(&w, k);
    if (!st && !(rows = kn_alloc((size_t)ROWS * ken_model_get_info(m)->dim, sizeof *rows)))
        st = KEN_E_NOMEM;
    w.model = m;
    for (size_t done = 0; !st && done < total; done += ROWS) {
        size_t n = total - done < ROWS ? total - done : ROWS;
        uint64_t ids[ROWS];
        kn_place places[ROWS];
        for (size_t i = 0; i < n; i++)
            ids[i] = w.next_id++;
        make_rows(rows, n, ken_model_get_info(m)->dim, done);
        st = kn_edit_vectors(&w, ids, rows, n, places);
        if (!st)
            st = put_rows(&w, n, ids, places);
    }
    kn_edit_end(&w);
    kn_free(rows);
    return st;
}

int main(int argc, char **argv)
{
    ken *k = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    if (argc != 4) {
        fprintf(stderr, "usage: fill DIR MODEL N\n");
        return 2;
    }
    o.model = argv[2];
    o.create = 1;
    ken_status st = ken_open(&k, argv[1], &o);
    if (!st)
        st = fill(k, strtoul(argv[3], NULL, 10));
    if (st)
        fprintf(stderr, "fill: %s\n", ken_last_error());
    ken_close(k);
    return st != KEN_OK;
}
