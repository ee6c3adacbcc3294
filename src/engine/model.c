/*
 * model.c - the model half of ken.h: checks what the caller gave, and puts image, text and network
 * together.
 *
 * Pictures are fitted and run in chunks, so that a million of them need no more memory than a
 * few hundred.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "engine/model.h"
#include "engine/model_find.h"
#include "kernels/kernels.h"
#include "nn/net.h"
#include "nn/weights.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 128 }; /* pictures, or texts, at once */

struct ken_model {
    kn_net *net;
    char *name, *path;
    uint32_t threads;
    ken_encode_fn encode; /* or NULL */
    void *cookie;
    ken_model_info info;
};

/* ---- opening ---- */

static ken_status check_options(const ken_model_options *o, kn_net_options *out)
{
    static const ken_model_options defaults = KEN_MODEL_OPTIONS_INIT;
    if (!o)
        o = &defaults;
    if (o->size != sizeof *o)
        return kn_fail(KEN_E_INVALID, "ken_model_options: size is not set");
    if (o->device && strcmp(o->device, "cpu") && strcmp(o->device, "auto")) {
        if (!strcmp(o->device, "cuda"))
            return kn_fail(KEN_E_UNSUPPORTED, "this build has no CUDA");
        return kn_fail(KEN_E_INVALID, "device \"%s\": one of cpu, cuda, auto", o->device);
    }
    out->precision = o->precision;
    out->threads = o->threads;
    return KEN_OK;
}

/* Where it encodes; of a model that has just been opened. */
static void set_encode(ken_model *m, const ken_model_options *o)
{
    m->encode = o ? o->encode : NULL;
    m->cookie = o ? o->encode_cookie : NULL;
}

/* Takes net, also on failure.  The path is remembered in full: a collection opens it again from
 * another folder. */
static ken_status new_model(ken_model **out, kn_net *net, const char *path, const char *name,
                            const kn_net_options *o)
{
    ken_model *m = kn_zalloc(1, sizeof *m);
    if (!m) {
        kn_net_close(net);
        return KEN_E_NOMEM;
    }
    m->net = net;
    m->threads = o->threads ? o->threads : kn_processors();
    ken_status st = *path ? kn_path_absolute(&m->path, path) : KEN_OK;
    if (!st && !*path)
        st = (m->path = kn_strdup("")) ? KEN_OK : KEN_E_NOMEM;
    if (!st)
        st = (m->name = kn_strdup(name)) ? KEN_OK : KEN_E_NOMEM;
    if (st) {
        ken_model_close(m);
        return st;
    }
    const size_t len = strlen(m->name), end = strlen(".safetensors");
    if (len > end && !strcmp(m->name + len - end, ".safetensors"))
        m->name[len - end] = 0;
    m->info = *kn_net_info(net);
    m->info.name = m->name;
    m->info.path = m->path;
    *out = m;
    return KEN_OK;
}

static ken_status open_file(ken_model **out, const char *path, const kn_net_options *o)
{
    kn_net *net = NULL;
    ken_status st = kn_net_open(&net, path, o);
    return st ? st : new_model(out, net, path, kn_path_name(path), o);
}

ken_status ken_model_open(ken_model **out, const char *name_or_path, const ken_model_options *opts)
{
    kn_net_options o = { 0 };
    char *path = NULL;
    if (!out || !name_or_path || !*name_or_path)
        return kn_fail(KEN_E_INVALID, "ken_model_open: no place for the model, or no name");
    ken_status st = check_options(opts, &o);
    if (!st)
        st = kn_model_find(&path, name_or_path, opts ? opts->dirs : NULL);
    if (!st)
        st = open_file(out, path, &o);
    if (!st)
        set_encode(*out, opts);
    kn_free(path);
    return st;
}

ken_status ken_model_random(ken_model **out, const char *arch, uint64_t seed,
                            const ken_model_options *opts)
{
    kn_net_options o = { 0 };
    kn_net *net = NULL;
    if (!out || !arch)
        return kn_fail(KEN_E_INVALID, "ken_model_random: no place for the model, or no name");
    ken_status st = check_options(opts, &o);
    if (!st)
        st = kn_net_random(&net, arch, seed, &o);
    if (!st)
        st = new_model(out, net, "", arch, &o);
    if (!st)
        set_encode(*out, opts);
    return st;
}

void ken_model_close(ken_model *m)
{
    if (!m)
        return;
    kn_net_close(m->net);
    kn_free(m->name);
    kn_free(m->path);
    kn_free(m);
}

const ken_model_info *ken_model_get_info(const ken_model *m)
{
    return &m->info;
}

const char *const *ken_model_archs(void)
{
    return kn_net_archs();
}

/* ---- lists and checks ---- */

typedef struct listing {
    ken_model_fn fn;
    void *cookie;
    const char *folder;
    int stop;
} listing;

static int list_entry(const kn_walk_entry *e, void *cookie)
{
    listing *l = cookie;
    const kn_net_options o = { .info_only = 1 };
    const char *end = strrchr(e->path, '.');
    ken_model *m = NULL;
    if (e->err || e->is_dir)
        return strcmp(e->path, l->folder) != 0; /* folders below are not searched */
    if (!end || strcmp(end, ".safetensors"))
        return 0;
    const ken_status st = open_file(&m, e->path, &o);
    l->stop = l->fn(e->path, st ? NULL : &m->info, l->cookie) != 0;
    ken_model_close(m);
    return l->stop ? -1 : 0;
}

static ken_status list_folder(const char *folder, void *cookie)
{
    listing *l = cookie;
    struct stat info;
    l->folder = folder;
    if (l->stop || stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return KEN_OK;
    const ken_status st = kn_walk(folder, list_entry, l);
    return l->stop ? KEN_OK : st;
}

ken_status ken_models_list(const char *dirs, ken_model_fn fn, void *cookie)
{
    listing l = { .fn = fn, .cookie = cookie };
    if (!fn)
        return kn_fail(KEN_E_INVALID, "ken_models_list: no function");
    return kn_model_folders(dirs, list_folder, &l);
}

ken_status ken_model_check(const char *path)
{
    kn_weights *w = NULL;
    char sum[33];
    size_t len = 0;
    if (!path)
        return kn_fail(KEN_E_INVALID, "ken_model_check: no path");
    ken_status st = kn_weights_open(&w, path);
    const char *stored = st ? NULL : kn_weights_meta(w, "checksum");
    if (!st && !stored)
        st = kn_fail(KEN_E_FORMAT, "no checksum in the metadata");
    if (!st) {
        const void *data = kn_weights_data(w, &len);
        kn_hash128_hex(sum, data, len);
        if (strcmp(sum, stored))
            st = kn_fail(KEN_E_CORRUPT, "the tensors' checksum is %s, the metadata says %.32s", sum,
                         stored);
    }
    kn_weights_close(w);
    return st ? kn_fail_in(st, "check %s", path) : KEN_OK;
}

/* ---- pictures ---- */

/* What makes vectors of pictures that are fitted, (n, crop[0], crop[1], 3). */
typedef ken_status (*encoder)(const ken_model *m, const uint8_t *pixels, size_t n, float *out);

/* Raw features. */
static ken_status run_net(const ken_model *m, const uint8_t *pixels, size_t n, float *out)
{
    return kn_net_images(m->net, pixels, n, out);
}

static ken_status run_pictures(const ken_model *m, const ken_image *const *imgs, size_t n, encoder run,
                               float *out)
{
    const kn_prep *p = kn_net_prep(m->net);
    if (!p)
        return kn_fail(KEN_E_UNSUPPORTED, "model %s has no image network", m->name);
    const size_t bytes = (size_t)p->crop[0] * p->crop[1] * 3;
    uint8_t *pixels = kn_alloc_aligned((n < CHUNK ? n : CHUNK) * bytes, 1);
    ken_status st = pixels ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; i < n && !st; i += CHUNK) {
        const size_t now = n - i < CHUNK ? n - i : CHUNK;
        st = kn_images_fit(imgs + i, now, p, m->threads, pixels);
        if (!st)
            st = run(m, pixels, now, out + i * m->info.dim);
    }
    kn_free(pixels);
    return st;
}

static void normalize(const ken_model *m, size_t n, float *vectors)
{
    for (size_t i = 0; i < n; i++)
        kn_kernels_get()->l2_normalize(vectors + i * m->info.dim, m->info.dim);
}

ken_status ken_model_embed(const ken_model *m, const ken_image *const *imgs, size_t n, float *vectors)
{
    if (!m || (n && (!imgs || !vectors)))
        return kn_fail(KEN_E_INVALID, "ken_model_embed: a NULL argument");
    return run_pictures(m, imgs, n, kn_model_embed_pixels, vectors);
}

const kn_prep *kn_model_prep(const ken_model *m)
{
    return kn_net_prep(m->net);
}

const kn_net *kn_model_net(const ken_model *m)
{
    return m->net;
}

/* Rows of pixels as pictures, for who encodes elsewhere. */
static ken_status send_pixels(const ken_model *m, const uint8_t *pixels, size_t n, float *vectors)
{
    const kn_prep *p = kn_net_prep(m->net);
    const uint32_t h = p->crop[0], w = p->crop[1];
    ken_image *views = kn_alloc(n, sizeof *views);
    const ken_image **list = kn_alloc(n, sizeof *list);
    ken_status st = views && list ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        uint8_t *own = (uint8_t *)(uintptr_t)(pixels + i * h * w * 3); /* read alone */
        views[i] = (ken_image){ w, h, (size_t)w * 3, own };
        list[i] = &views[i];
    }
    if (!st)
        st = m->encode(&m->info, NULL, list, n, vectors, m->cookie);
    kn_free(views);
    kn_free(list);
    return st;
}

ken_status kn_model_embed_pixels(const ken_model *m, const uint8_t *pixels, size_t n,
                                 float *vectors)
{
    if (m->encode)
        return n ? send_pixels(m, pixels, n, vectors) : KEN_OK;
    ken_status st = run_net(m, pixels, n, vectors);
    if (!st)
        normalize(m, n, vectors);
    return st;
}

/* At most CHUNK pictures, each a row of `bytes` in pixels. */
static void pack(const ken_image *const *imgs, size_t n, size_t bytes, uint8_t *pixels)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t w = ken_image_width(imgs[i]), h = ken_image_height(imgs[i]);
        for (uint32_t y = 0; y < h; y++)
            memcpy(pixels + i * bytes + (size_t)y * w * 3, ken_image_row(imgs[i], y), (size_t)w * 3);
    }
}

ken_status ken_model_embed_fitted(const ken_model *m, const ken_image *const *imgs, size_t n, float *vectors)
{
    if (!m || (n && (!imgs || !vectors)))
        return kn_fail(KEN_E_INVALID, "ken_model_embed_fitted: a NULL argument");
    const kn_prep *p = kn_net_prep(m->net);
    if (!p)
        return kn_fail(KEN_E_UNSUPPORTED, "model %s has no image network", m->name);
    for (size_t i = 0; i < n; i++)
        if (ken_image_width(imgs[i]) != p->crop[1] || ken_image_height(imgs[i]) != p->crop[0])
            return kn_fail(KEN_E_INVALID, "picture %zu has %u x %u pixels; model %s takes %u x %u", i,
                           ken_image_width(imgs[i]), ken_image_height(imgs[i]), m->name, p->crop[1],
                           p->crop[0]);
    const size_t bytes = (size_t)p->crop[0] * p->crop[1] * 3;
    uint8_t *pixels = kn_alloc_aligned((n < CHUNK ? n : CHUNK) * bytes, 1);
    ken_status st = pixels ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; i < n && !st; i += CHUNK) {
        const size_t now = n - i < CHUNK ? n - i : CHUNK;
        pack(imgs + i, now, bytes, pixels);
        st = kn_model_embed_pixels(m, pixels, now, vectors + i * m->info.dim);
    }
    kn_free(pixels);
    return st;
}

ken_status ken_model_preprocess(const ken_model *m, const ken_image *img, float *out)
{
    float table[3][256];
    if (!m || !img || !out)
        return kn_fail(KEN_E_INVALID, "ken_model_preprocess: a NULL argument");
    const kn_prep *p = kn_net_prep(m->net);
    if (!p)
        return kn_fail(KEN_E_UNSUPPORTED, "model %s has no image network", m->name);
    const size_t n = (size_t)p->crop[0] * p->crop[1];
    uint8_t *pixels = kn_alloc(n, 3);
    if (!pixels)
        return KEN_E_NOMEM;
    ken_status st = kn_image_fit(img, p, pixels);
    if (!st) {
        kn_prep_table(p, table);
        kn_kernels_get()->rgb_to_planes(pixels, n, table[0], out, n);
    }
    kn_free(pixels);
    return st;
}

ken_status ken_model_logits(const ken_model *m, const ken_image *img, float *logits)
{
    if (!m || !img || !logits)
        return kn_fail(KEN_E_INVALID, "ken_model_logits: a NULL argument");
    if (!m->info.labels)
        return kn_fail(KEN_E_UNSUPPORTED, "model %s has no trained head", m->name);
    float *features = kn_alloc(m->info.dim, sizeof *features);
    if (!features)
        return KEN_E_NOMEM;
    ken_status st = run_pictures(m, &img, 1, run_net, features);
    if (!st)
        st = kn_net_head(m->net, features, 1, logits);
    kn_free(features);
    return st;
}

/* ---- texts ---- */

/* ids holds context of them. */
static ken_status tokenize(const ken_model *m, const char *text, int32_t *ids, size_t *n)
{
    const kn_tokenizer *t = kn_net_tokenizer(m->net);
    if (!m->info.has_texts)
        return kn_fail(KEN_E_MODEL, "model %s has no text network", m->name);
    if (t)
        return kn_tokenize(t, text, m->info.context, ids, n);
    *n = kn_net_stand_in(m->net, text, ids);
    return *n ? KEN_OK : kn_fail(KEN_E_MODEL, "model %s has no tokenizer", m->name);
}

ken_status ken_model_tokens(const ken_model *m, const char *text, int32_t *ids, size_t *n)
{
    if (!m || !text || !ids || !n)
        return kn_fail(KEN_E_INVALID, "ken_model_tokens: a NULL argument");
    return tokenize(m, text, ids, n);
}

ken_status ken_model_strange(const ken_model *m, const char *text, double *share)
{
    if (!m || !text || !share)
        return kn_fail(KEN_E_INVALID, "ken_model_strange: a NULL argument");
    const kn_tokenizer *t = kn_net_tokenizer(m->net);
    int32_t *ids = kn_alloc(m->info.context ? m->info.context : 1, sizeof *ids);
    size_t n = 0;
    *share = 0;
    if (!ids)
        return KEN_E_NOMEM;
    const ken_status st = t ? tokenize(m, text, ids, &n) : KEN_OK;
    if (!st && n > 2)
        *share = (double)kn_tokenizer_spelled(t, ids, n) / (double)(n - 2);
    kn_free(ids);
    return st;
}

/* At most CHUNK texts; ids holds context of each. */
static ken_status run_texts(const ken_model *m, const char *const *texts, size_t n, int32_t *ids,
                            float *out)
{
    size_t lens[CHUNK], all = 0;
    ken_status st = KEN_OK;
    for (size_t i = 0; i < n && !st; i++) {
        st = texts[i] ? tokenize(m, texts[i], ids + all, &lens[i])
                      : kn_fail(KEN_E_INVALID, "ken_model_embed_texts: text %zu is NULL", i);
        if (!st)
            all += lens[i];
    }
    return st ? st : kn_net_texts(m->net, ids, lens, n, out);
}

ken_status ken_model_embed_texts(const ken_model *m, const char *const *texts, size_t n,
                                 float *vectors)
{
    if (!m || (n && (!texts || !vectors)))
        return kn_fail(KEN_E_INVALID, "ken_model_embed_texts: a NULL argument");
    if (!m->info.has_texts)
        return kn_fail(KEN_E_MODEL, "model %s has no text network", m->name);
    if (m->encode)
        return n ? m->encode(&m->info, texts, NULL, n, vectors, m->cookie) : KEN_OK;
    int32_t *ids = kn_alloc((n < CHUNK ? n : CHUNK) * m->info.context, sizeof *ids);
    if (!ids)
        return KEN_E_NOMEM;
    ken_status st = KEN_OK;
    for (size_t i = 0; i < n && !st; i += CHUNK)
        st = run_texts(m, texts + i, n - i < CHUNK ? n - i : CHUNK, ids, vectors + i * m->info.dim);
    kn_free(ids);
    if (!st)
        normalize(m, n, vectors);
    return st;
}

/* ---- the rest ---- */

const char *ken_model_label(const ken_model *m, uint32_t i)
{
    return kn_net_label(m->net, i);
}

float ken_model_score(const ken_model *m, const char *kinds, float raw)
{
    float ab[2];
    if (kn_net_calibration(m->net, kinds, ab))
        return 1 / (1 + expf(-(ab[0] * raw + ab[1])));
    return raw > 0 ? raw : 0;
}

const char *kn_model_meta(const ken_model *m, const char *key)
{
    return kn_net_meta(m->net, key);
}

float ken_model_logit_scale(const ken_model *m)
{
    return kn_net_logit_scale(m->net);
}

double ken_model_image_macs(const ken_model *m)
{
    return kn_net_image_macs(m->net);
}

double ken_model_text_macs(const ken_model *m, size_t n)
{
    return kn_net_text_macs(m->net, n);
}
