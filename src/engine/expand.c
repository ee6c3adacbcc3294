/* expand.c - see expand.h. */
#include "engine/expand.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/features.h"
#include "kernels/kernels.h"

#include <string.h>

/* What stands before and behind the text; the first leaves it as it is. */
static const char *const english[][2] = { { "", "" }, { "a photo of ", "" }, { "a picture of ", "" } };
static const char *const chinese[][2] = { { "", "" }, { "一张", "的照片" }, { "", "的图片" } };
enum { FRAMES = 3 };

ken_status kn_expansion_named(kn_expansion *out, const char *name)
{
    static const char *const names[] = { "none", "prompts", "aqe" };
    *out = KN_EXPAND_NONE;
    for (int i = 0; name && i < 3; i++)
        if (!strcmp(name, names[i])) {
            *out = (kn_expansion)i;
            return KEN_OK;
        }
    return name ? kn_fail(KEN_E_INVALID, "expand \"%s\": one of none, prompts, aqe", name) : KEN_OK;
}

int kn_is_chinese(const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        if (*s >= 0xe3 && *s <= 0xe9 && s[1])
            return 1;
    return 0;
}

static void add(float *to, const float *from, float weight, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        to[i] += weight * from[i];
}

/* The text in its frames, one behind the other, kn_free each. */
static ken_status frame(const char *text, const ken_search_options *o, char **out)
{
    const char *const(*frames)[2] = kn_is_chinese(text) ? chinese : english;
    for (int i = 0; i < FRAMES; i++) {
        const size_t before = strlen(frames[i][0]), len = strlen(text), behind = strlen(frames[i][1]);
        if (!(out[i] = kn_alloc(before + len + behind + 1, 1)))
            return KEN_E_NOMEM;
        memcpy(out[i], frames[i][0], before);
        memcpy(out[i] + before, text, len);
        memcpy(out[i] + before + len, frames[i][1], behind + 1);
        if (i && o->added)
            o->added(out[i], 1.0f / FRAMES, o->cookie);
    }
    return KEN_OK;
}

static ken_status with_prompts(ken *k, const ken_model *m, const ken_search_options *o,
                               const char *const *texts, size_t n, float *vectors)
{
    const size_t dim = k->encoder->info(m)->dim;
    char **framed = kn_zalloc(n * FRAMES, sizeof *framed);
    float *all = kn_alloc_aligned(n * FRAMES * dim, sizeof *all);
    ken_status st = framed && all ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++)
        st = frame(texts[i], o, framed + i * FRAMES);
    if (!st)
        st = kn_features_texts(k, m, (const char *const *)framed, n * FRAMES, all);
    for (size_t i = 0; !st && i < n; i++) {
        memset(vectors + i * dim, 0, dim * sizeof *vectors);
        for (size_t f = 0; f < FRAMES; f++)
            add(vectors + i * dim, all + (i * FRAMES + f) * dim, 1, dim);
        (void)kn_kernels_get()->l2_normalize(vectors + i * dim, dim);
    }
    for (size_t i = 0; framed && i < n * FRAMES; i++)
        kn_free(framed[i]);
    kn_free(framed);
    kn_free(all);
    return st;
}

ken_status kn_expand_texts(ken *k, const ken_model *m, const ken_search_options *o, const char *const *texts,
                           size_t n, float *vectors)
{
    kn_expansion how;
    ken_status st = kn_expansion_named(&how, o->expand);
    if (st || !n)
        return st;
    return how == KN_EXPAND_PROMPTS ? with_prompts(k, m, o, texts, n, vectors)
                                    : kn_features_texts(k, m, texts, n, vectors);
}

static void tell(ken *k, const ken_search_options *o, uint64_t id, float weight)
{
    ken_record *r = NULL;
    if (o->added && !ken_get(k, id, &r))
        o->added(r->path, weight, o->cookie);
    ken_record_free(r);
}

ken_status kn_expand_by_hits(ken *k, size_t dim, const ken_search_options *o, const kn_near *hits, size_t n,
                             float *query)
{
    float *item = kn_alloc_aligned(dim, sizeof *item);
    ken_status st = item ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n && hits[i].raw > 0; i++) {
        const float weight = hits[i].raw * hits[i].raw * hits[i].raw;
        st = kn_collection_vector(k, hits[i].id, (uint32_t)dim, item);
        if (st == KEN_E_NOTFOUND) { /* removed since */
            st = KEN_OK;
            continue;
        }
        if (!st) {
            add(query, item, weight, dim);
            tell(k, o, hits[i].id, weight);
        }
    }
    if (!st)
        (void)kn_kernels_get()->l2_normalize(query, dim);
    kn_free(item);
    return st;
}
