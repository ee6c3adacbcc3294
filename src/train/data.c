/*
 * data.c - opening sets of pictures, and making batches of them.
 *
 * Samples are numbered: the pictures in memory, `turns` of each, then the toys' views.  A picture in
 * memory has a short side of at most twice what is asked for, so that a crop of a quarter of the
 * area still has every pixel that it needs.
 */
#include "train/data_state.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t MAX_FILE = (size_t)1 << 30;

/* ---- classes by name ---- */

static ken_status add_class(kn_data *d, const char *name, uint32_t *out)
{
    if (d->names == d->classes_cap) {
        const uint32_t cap = d->classes_cap ? 2 * d->classes_cap : 64;
        char **more = kn_realloc(d->classes, cap * sizeof *more);
        if (!more)
            return KEN_E_NOMEM;
        d->classes = more;
        d->classes_cap = cap;
    }
    d->classes[d->names] = kn_strdup(name);
    if (!d->classes[d->names])
        return KEN_E_NOMEM;
    *out = d->names++;
    return KEN_OK;
}

/* Open addressing by the name's hash; made once, of all shots. */
typedef struct class_map {
    uint32_t *slot; /* class + 1 */
    size_t mask;
} class_map;

static ken_status find_class(kn_data *d, class_map *m, const char *name, uint32_t *out)
{
    size_t i = kn_hash64(name, strlen(name)) & m->mask;
    for (; m->slot[i]; i = (i + 1) & m->mask)
        if (!strcmp(d->classes[m->slot[i] - 1], name)) {
            *out = m->slot[i] - 1;
            return KEN_OK;
        }
    const ken_status st = add_class(d, name, out);
    if (!st)
        m->slot[i] = *out + 1;
    return st;
}

/* ---- reading pictures ---- */

typedef struct origin {
    const char *name;          /* a path, or what a zip calls it */
    const kn_zip_entry *entry; /* or NULL */
    char *label;               /* owned */
    uint64_t hash;
    ken_image *image;
    char *why;                 /* it could not be read */
} origin;

typedef struct reading {
    kn_data *d;
    origin *list;
    size_t n, cap;
    kn_meter meter;
    kn_zip *zips;
    size_t zips_len;
} reading;

static ken_status note(reading *r, origin o, const char *label, size_t label_len)
{
    if (r->n == r->cap) {
        const size_t cap = r->cap ? 2 * r->cap : 256;
        origin *more = kn_realloc(r->list, cap * sizeof *more);
        if (!more)
            return KEN_E_NOMEM;
        r->list = more;
        r->cap = cap;
    }
    o.label = kn_strndup(label, label_len);
    if (!o.label)
        return KEN_E_NOMEM;
    r->list[r->n++] = o;
    return KEN_OK;
}

static ken_status note_list(reading *r, const ken_labelled *l)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < l->n; i++)
        st = note(r, (origin){ .name = l->paths[i] }, l->labels[i], strlen(l->labels[i]));
    return st;
}

/* The class is the folder, without what lies before the first one that all share. */
static ken_status note_zip(reading *r, const char *path)
{
    kn_zip *more = kn_realloc(r->zips, (r->zips_len + 1) * sizeof *more);
    if (!more)
        return KEN_E_NOMEM;
    r->zips = more;
    ken_status st = kn_zip_open(&r->zips[r->zips_len], path);
    if (st)
        return kn_fail_in(st, "%s", path);
    const kn_zip *z = &r->zips[r->zips_len++];
    size_t found = 0;
    for (size_t i = 0; !st && i < z->len; i++) {
        const char *name = z->list[i].name, *slash = strrchr(name, '/');
        const char *root = strchr(name, '/');
        if (!slash || !slash[1] || !kn_image_name(name) || strstr(name, "__MACOSX"))
            continue;
        const char *from = root && root < slash ? root + 1 : name;
        st = note(r, (origin){ .name = name, .entry = &z->list[i] }, from, (size_t)(slash - from));
        found++;
    }
    if (!st && !found)
        st = kn_fail(KEN_E_FORMAT, "%s: no pictures in folders", path);
    return st;
}

/* Down to a short side of at most twice the size, never up. */
static ken_status shrink(ken_image **img, uint32_t size)
{
    const uint32_t w = (*img)->width, h = (*img)->height, side = w < h ? w : h;
    ken_image *small = NULL;
    if (side <= 2 * size)
        return KEN_OK;
    const ken_status st = kn_image_resize(&small, *img, (uint32_t)((uint64_t)w * 2 * size / side),
                                          (uint32_t)((uint64_t)h * 2 * size / side), KN_BILINEAR);
    if (st)
        return st;
    ken_image_free(*img);
    *img = small;
    return KEN_OK;
}

static ken_status read_one(const reading *r, origin *o)
{
    unsigned char *data = NULL;
    size_t len = 0;
    ken_status st = KEN_OK;
    if (o->entry) {
        st = kn_zip_read(o->entry, &data);
        len = (size_t)o->entry->size;
    } else {
        st = kn_read_file(&data, &len, o->name, MAX_FILE);
    }
    if (!st) {
        o->hash = kn_hash64(data, len);
        st = ken_image_decode(&o->image, data, len, &r->d->decode);
    }
    if (!st)
        st = shrink(&o->image, r->d->o.size);
    kn_free(data);
    return st;
}

/* A picture that cannot be read is remembered with the reason; out of memory ends it. */
static ken_status read_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    reading *r = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        origin *o = &r->list[i];
        const ken_status st = read_one(r, o);
        if (!st)
            continue;
        if (st == KEN_E_NOMEM || st == KEN_E_CANCELED)
            return st;
        o->why = kn_strdup(ken_last_error());
        if (!o->why)
            return KEN_E_NOMEM;
    }
    return KEN_OK;
}

enum { AT_A_TIME = 256 };

static ken_status read_all(reading *r)
{
    ken_status st = KEN_OK;
    kn_meter_start(&r->meter, "read", "pictures", r->n, r->d->o.progress, r->d->o.cookie);
    for (size_t i = 0; !st && i < r->n; i += AT_A_TIME) {
        reading part = *r;
        part.list += i;
        st = kn_meter_tell(&r->meter, i, r->list[i].name);
        if (!st)
            st = kn_parallel(r->n - i < AT_A_TIME ? r->n - i : AT_A_TIME, 1, r->d->o.threads,
                             read_piece, &part);
    }
    kn_meter_end(&r->meter);
    return st;
}

/* ---- from what was read to samples ---- */

static ken_status keep_shot(kn_data *d, origin *o, class_map *classes)
{
    kn_shot *s = &d->shots[d->shots_len];
    s->name = kn_strdup(o->name);
    if (!s->name)
        return KEN_E_NOMEM;
    const ken_status st = find_class(d, classes, o->label, &d->shot_label[d->shots_len]);
    s->image = o->image;
    o->image = NULL;
    d->shots_len++;
    return st;
}

static ken_status keep_shots(kn_data *d, reading *r)
{
    class_map classes = { .mask = 15 };
    ken_status st = KEN_OK;
    while (classes.mask < 2 * r->n)
        classes.mask = 2 * classes.mask + 1;
    classes.slot = kn_zalloc(classes.mask + 1, sizeof *classes.slot);
    d->shots = kn_zalloc(r->n, sizeof *d->shots);
    d->shot_label = kn_alloc(r->n, sizeof *d->shot_label);
    if (!classes.slot || !d->shots || !d->shot_label)
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < r->n; i++) {
        const origin *o = &r->list[i];
        if (o->image) {
            st = keep_shot(d, &r->list[i], &classes);
        } else if (!d->report.broken++) {
            snprintf(d->report.first_broken, sizeof d->report.first_broken, "%s: %s", o->name, o->why);
        }
    }
    kn_free(classes.slot);
    return st;
}

static int by_hash(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

/* photos of the shots: equal files have the number of the first. */
static ken_status number_photos(kn_data *d, const reading *r)
{
    uint64_t(*pairs)[2] = kn_alloc(d->shots_len, sizeof *pairs);
    const size_t turns = d->o.turns;
    size_t n = 0;
    if (!pairs)
        return KEN_E_NOMEM;
    for (size_t i = 0, at = 0; i < r->n; i++)
        if (!r->list[i].why) {
            pairs[n][0] = r->list[i].hash;
            pairs[n++][1] = at++;
        }
    if (n)
        qsort(pairs, n, sizeof *pairs, by_hash);
    for (size_t i = 0, first = 0; i < n; i++) {
        if (pairs[i][0] != pairs[first][0])
            first = i;
        d->report.copies += i != first;
        for (size_t t = 0; t < turns; t++)
            d->photos[pairs[i][1] * turns + t] = (uint32_t)(pairs[first][1] * turns + t);
    }
    kn_free(pairs);
    return KEN_OK;
}

static ken_status number_samples(kn_data *d, const reading *r)
{
    const uint32_t turns = d->o.turns;
    d->len = d->shots_len * turns;
    d->total = d->names * turns;
    for (size_t i = 0; i < d->toys_len; i++) {
        kn_toy_range *t = &d->toys[i];
        t->first = d->len;
        t->first_label = d->total;
        d->len += (size_t)(t->to - t->from) * t->views;
        d->total += (uint32_t)(t->to - t->from);
    }
    d->labels = kn_alloc(d->len, sizeof *d->labels);
    d->photos = kn_alloc(d->len, sizeof *d->photos);
    if (!d->labels || !d->photos)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < d->shots_len * turns; i++)
        d->labels[i] = d->shot_label[i / turns] * turns + (uint32_t)(i % turns);
    for (size_t i = 0; i < d->toys_len; i++) {
        const kn_toy_range *t = &d->toys[i];
        const size_t n = (size_t)(t->to - t->from) * t->views;
        for (size_t j = 0; j < n; j++) {
            d->labels[t->first + j] = t->first_label + (uint32_t)(j / t->views);
            d->photos[t->first + j] = (uint32_t)(t->first + j);
        }
    }
    return number_photos(d, r);
}

static ken_status count_classes(kn_data *d)
{
    uint32_t *count = kn_zalloc(d->total, sizeof *count);
    if (!count)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < d->len; i++)
        count[d->labels[i]]++;
    for (uint32_t i = 0; i < d->total; i++)
        d->report.single += count[i] == 1;
    kn_free(count);
    d->report.pictures = d->len;
    d->report.classes = d->total;
    return KEN_OK;
}

static ken_status note_source(reading *r, const ken_data *s)
{
    kn_data *d = r->d;
    if (!s->name)
        return note_list(r, &s->list);
    if (strncmp(s->name, "toys:", 5))
        return note_zip(r, s->name);
    kn_toy_range *more = kn_realloc(d->toys, (d->toys_len + 1) * sizeof *more);
    if (!more)
        return KEN_E_NOMEM;
    d->toys = more;
    return kn_toy_range_parse(&d->toys[d->toys_len++], s->name + 5);
}

static void end_reading(reading *r)
{
    for (size_t i = 0; i < r->n; i++) {
        kn_free(r->list[i].label);
        kn_free(r->list[i].why);
        ken_image_free(r->list[i].image);
    }
    for (size_t i = 0; i < r->zips_len; i++)
        kn_zip_close(&r->zips[i]);
    kn_free(r->zips);
    kn_free(r->list);
}

static ken_status make_cameras(kn_data *d)
{
    uint32_t side = d->o.size;
    ken_status st = KEN_OK;
    if (!d->toys_len)
        return KEN_OK;
    for (size_t i = 0; i < d->toys_len; i++)
        side = d->toys[i].size > side ? d->toys[i].size : side;
    d->cameras = kn_zalloc(d->o.threads, sizeof *d->cameras);
    if (!d->cameras)
        return KEN_E_NOMEM;
    for (uint32_t i = 0; !st && i < d->o.threads; i++)
        st = kn_toy_camera_new(&d->cameras[i], side);
    return st;
}

ken_status kn_data_open(kn_data **out, const ken_data *sources, size_t n, const kn_data_options *o)
{
    kn_data *d = kn_zalloc(1, sizeof *d);
    reading r = { .d = d };
    ken_status st = d ? KEN_OK : KEN_E_NOMEM;
    if (st)
        return st;
    d->o = *o;
    d->o.turns = o->turns == 4 ? 4 : 1;
    d->o.threads = o->threads ? o->threads : kn_processors();
    d->decode = o->decode ? *o->decode : (ken_decode_options)KEN_DECODE_OPTIONS_INIT;
    for (size_t i = 0; !st && i < n; i++)
        st = note_source(&r, &sources[i]);
    if (!st)
        st = read_all(&r);
    if (!st)
        st = keep_shots(d, &r);
    if (!st)
        st = number_samples(d, &r);
    if (!st && !d->len)
        st = kn_fail(KEN_E_FORMAT, "no picture could be read%s%s",
                     d->report.broken ? "; the first one: " : "", d->report.first_broken);
    if (!st)
        st = count_classes(d);
    if (!st)
        st = make_cameras(d);
    end_reading(&r);
    if (st)
        kn_data_close(d);
    else
        *out = d;
    return st;
}

void kn_data_close(kn_data *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->shots_len; i++) {
        ken_image_free(d->shots[i].image);
        kn_free(d->shots[i].name);
    }
    for (uint32_t i = 0; i < d->names; i++)
        kn_free(d->classes[i]);
    for (uint32_t i = 0; d->cameras && i < d->o.threads; i++)
        kn_toy_camera_free(d->cameras[i]);
    kn_free(d->cameras);
    kn_free(d->classes);
    kn_free(d->shots);
    kn_free(d->shot_label);
    kn_free(d->toys);
    kn_free(d->labels);
    kn_free(d->photos);
    kn_free(d);
}

/* ---- asking ---- */

size_t kn_data_len(const kn_data *d)
{
    return d->len;
}

const uint32_t *kn_data_labels(const kn_data *d)
{
    return d->labels;
}

const uint32_t *kn_data_photos(const kn_data *d)
{
    return d->photos;
}

uint32_t kn_data_classes(const kn_data *d)
{
    return d->total;
}

uint32_t kn_data_own_classes(const kn_data *d)
{
    return d->names * d->o.turns;
}

const kn_data_report *kn_data_about(const kn_data *d)
{
    return &d->report;
}

static const kn_toy_range *range_of(const kn_data *d, size_t sample)
{
    for (size_t i = d->toys_len; i-- > 0;)
        if (sample >= d->toys[i].first)
            return &d->toys[i];
    return NULL;
}

const char *kn_data_class(const kn_data *d, uint32_t label)
{
    kn_data *own = (kn_data *)(uintptr_t)d; /* only the text of a toy's id changes */
    if (label < d->names * d->o.turns)
        return d->classes[label / d->o.turns];
    for (size_t i = d->toys_len; i-- > 0;)
        if (label >= d->toys[i].first_label) {
            snprintf(own->said, sizeof own->said, "%llu",
                     (unsigned long long)(d->toys[i].from + label - d->toys[i].first_label));
            break;
        }
    return own->said;
}

int kn_data_toy(const kn_data *d, size_t i, uint64_t epoch, uint64_t *id, kn_toy_mode *mode,
                uint32_t *number)
{
    const kn_toy_range *t = i < d->len ? range_of(d, i) : NULL;
    if (!t)
        return 0;
    const size_t at = i - t->first, view = at % t->views;
    *id = t->from + at / t->views;
    *mode = t->mode[view];
    *number = (uint32_t)(epoch * t->views + view);
    return 1;
}

const char *kn_data_name(kn_data *d, size_t i)
{
    uint64_t id;
    kn_toy_mode mode;
    uint32_t number;
    if (!kn_data_toy(d, i, 0, &id, &mode, &number))
        return d->shots[i / d->o.turns].name;
    snprintf(d->said, sizeof d->said, "toy %llu, %s view %u", (unsigned long long)id,
             kn_toy_mode_name(mode), number);
    return d->said;
}

/* ---- batches ---- */

typedef struct batch {
    kn_data *d;
    const uint32_t *list;
    kn_data_augment aug;
    uint64_t seed, epoch;
    uint8_t *out;
} batch;

/* A quarter turn `turn` times, of a square. */
static void turn_square(uint8_t *rgb, uint32_t n, uint32_t turns)
{
    for (uint32_t t = 0; t < turns; t++)
        for (uint32_t y = 0; y < n / 2; y++)
            for (uint32_t x = 0; x < (n + 1) / 2; x++) {
                uint8_t *p[4] = { rgb + ((size_t)y * n + x) * 3, rgb + ((size_t)x * n + n - 1 - y) * 3,
                                  rgb + ((size_t)(n - 1 - y) * n + n - 1 - x) * 3,
                                  rgb + ((size_t)(n - 1 - x) * n + y) * 3 };
                for (int c = 0; c < 3; c++) {
                    const uint8_t last = p[3][c];
                    p[3][c] = p[2][c];
                    p[2][c] = p[1][c];
                    p[1][c] = p[0][c];
                    p[0][c] = last;
                }
            }
}

/* As inference sees it: the whole picture squashed if it is nearly square already, else its middle. */
static ken_status fit(const kn_data *d, const ken_image *img, uint8_t *out)
{
    const kn_prep p = { .fit = KN_FIT_SHORT, .resize = { d->o.size, d->o.size },
                        .crop = { d->o.size, d->o.size }, .filter = KN_BILINEAR };
    return kn_image_fit(img, &p, out);
}

static ken_status dress(const batch *b, const kn_augment *aug, const ken_image *img, const ken_image *other,
                        size_t sample, uint8_t *out)
{
    const kn_augment_key key = { b->seed, b->epoch, sample };
    return aug ? kn_augment_run(aug, img, other, b->d->o.size, key, out) : fit(b->d, img, out);
}

static ken_status shot(const batch *b, size_t sample, uint8_t *out)
{
    const kn_data *d = b->d;
    const size_t i = sample / d->o.turns;
    const size_t other = (i * 2654435761u + b->epoch * 40503u + 1) % d->shots_len;
    const ken_status st = dress(b, b->aug.shots, d->shots[i].image, d->shots[other].image, sample, out);
    if (!st)
        turn_square(out, d->o.size, (uint32_t)(sample % d->o.turns));
    return st;
}

static ken_status toy(const batch *b, size_t sample, uint32_t worker, uint8_t *out)
{
    const kn_data *d = b->d;
    const kn_toy_range *t = range_of(d, sample);
    const uint32_t size = t->size ? t->size : d->o.size;
    uint64_t id;
    kn_toy_mode mode;
    uint32_t number;
    ken_image *img = NULL;
    kn_data_toy(d, sample, b->epoch, &id, &mode, &number);
    if (size == d->o.size && !b->aug.toys)
        return kn_toy_picture(d->cameras[worker], id, mode, d->o.seed, number, size, out, NULL, NULL);
    ken_status st = kn_image_new(&img, size, size);
    if (!st)
        st = kn_toy_picture(d->cameras[worker], id, mode, d->o.seed, number, size, img->pixels, NULL,
                            NULL);
    if (!st)
        st = dress(b, b->aug.toys, img, NULL, sample, out);
    ken_image_free(img);
    return st;
}

static ken_status batch_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const batch *b = cookie;
    const size_t bytes = (size_t)b->d->o.size * b->d->o.size * 3;
    ken_status st = KEN_OK;
    for (size_t i = begin; !st && i < end; i++) {
        const size_t sample = b->list[i];
        uint8_t *out = b->out + i * bytes;
        st = sample < b->d->shots_len * b->d->o.turns ? shot(b, sample, out)
                                                       : toy(b, sample, worker, out);
    }
    return st;
}

ken_status kn_data_pictures(kn_data *d, const uint32_t *list, size_t n, const kn_data_augment *aug,
                            uint64_t seed, uint64_t epoch, uint8_t *out)
{
    batch b = { d, list, aug ? *aug : (kn_data_augment){ 0 }, seed, epoch, out };
    return kn_parallel(n, 1, d->o.threads, batch_piece, &b);
}
