/*
 * graph_load.c - the weights of a model file as the start of training.
 *
 * Rows or panels, folded or not.  A folded file has no batch normalisations any more, only what is
 * left of each: a bias.  A norm that is the identity (statistics 0 and 1 - eps, factor 1) and adds
 * that bias stands in its place, so that the loaded graph computes what the file does; the first
 * training batch then turns it into a real one with the same output (graph_norm.c).
 */
#include "nn/graph_state.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct loading {
    kn_graph *g;
    const kn_weights *w;
    int panels, folded;
} loading;

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static ken_status wrong_shape(const kn_param *p)
{
    return kn_fail(KEN_E_FORMAT, "tensor %s does not have the shape that the network wants", p->name);
}

static ken_status type_of(const kn_tensor *t, kn_type *out)
{
    if (t->dtype != KN_DT_F32 && t->dtype != KN_DT_F16 && t->dtype != KN_DT_BF16)
        return kn_fail(KEN_E_FORMAT, "tensor %s is of type %s", t->name, kn_dtype_name(t->dtype));
    *out = t->dtype == KN_DT_F32 ? KN_F32 : t->dtype == KN_DT_F16 ? KN_F16 : KN_BF16;
    return KEN_OK;
}

static ken_status take_panels(const loading *l, const kn_param *p, const kn_tensor *t, kn_type type)
{
    const size_t n = (size_t)p->shape[0], k = (size_t)p->shape[1];
    if (t->bytes != kn_panel_bytes(n, k, type))
        return wrong_shape(p);
    for (size_t i = 0; i < n; i++)
        kn_panel_row(l->g->crew.k, t->data, type, k, i, l->g->w + p->at + i * k);
    return KEN_OK;
}

static ken_status take_rows(const loading *l, const kn_param *p, const kn_tensor *t, kn_type type)
{
    float *to = l->g->w + p->at;
    size_t len = 1;
    for (uint32_t d = 0; d < t->rank; d++)
        len *= (size_t)t->shape[d];
    if (len != p->len || t->rank != p->rank || (p->rank && t->shape[0] != p->shape[0]))
        return wrong_shape(p);
    if (type == KN_BF16)
        l->g->crew.k->bf16_to_f32(t->data, to, len);
    else if (type == KN_F16)
        l->g->crew.k->f16_to_f32(t->data, to, len);
    else
        memcpy(to, t->data, len * sizeof *to);
    return KEN_OK;
}

/* The scale of attention out of the q rows of NAME.qkv.w and .b. */
static void unscale(const loading *l, const kn_param *p)
{
    const kn_trunk_config *c = p->name[0] == 't' ? &l->g->config.text.trunk : &l->g->config.vit.trunk;
    const float scale = sqrtf((float)(c->width / c->heads));
    for (size_t i = 0; i < p->len / 3; i++)
        l->g->w[p->at + i] *= scale;
}

static ken_status take(const loading *l, const kn_param *p, const kn_tensor *t)
{
    kn_type type = KN_F32;
    ken_status st = type_of(t, &type);
    if (st)
        return st;
    /* tables of embeddings and positions are rows in any layout */
    if (l->panels && p->rank == 2 && ends_with(p->name, ".w"))
        st = take_panels(l, p, t, type);
    else
        st = take_rows(l, p, t, type);
    if (!st && l->folded && strstr(p->name, ".qkv."))
        unscale(l, p);
    return st;
}

/* NAME.bn.* of a folded file, of which NAME.b is left. */
static ken_status take_norm(const loading *l, const kn_param *p, int *found)
{
    const char *at = strstr(p->name, ".bn.");
    char name[64];
    snprintf(name, sizeof name, "%.*s.b", (int)(at - p->name), p->name);
    const kn_tensor *t = kn_weights_find(l->w, name);
    float *w = l->g->w + p->at;
    *found = t != NULL;
    if (!t)
        return KEN_OK;
    if (!strcmp(at, ".bn.b"))
        return take(l, p, t);
    for (size_t i = 0; i < p->len; i++)
        w[i] = !strcmp(at, ".bn.w") ? 1 : !strcmp(at, ".bn.var") ? 1 - KN_BN_EPS : 0;
    return KEN_OK;
}

ken_status kn_graph_load(kn_graph *g, const kn_weights *w, size_t *kept)
{
    const char *folded = kn_weights_meta(w, "folded"), *layout = kn_weights_meta(w, "layout");
    loading l = { .g = g, .w = w };
    *kept = 0;
    if (!folded || !layout)
        return kn_fail(KEN_E_MODEL, "not a model of ken; ken-convert makes one of it");
    l.folded = !strcmp(folded, "1");
    l.panels = !strcmp(layout, "panel16");
    for (size_t i = 0; i < g->params_len; i++) {
        const kn_param *p = &g->params[i];
        const kn_tensor *t = kn_weights_find(w, p->name);
        int found = t != NULL;
        ken_status st = KEN_OK;
        if (t)
            st = take(&l, p, t);
        else if (l.folded && strstr(p->name, ".bn."))
            st = take_norm(&l, p, &found);
        if (st)
            return st;
        *kept += !found;
    }
    g->dirty = 1;
    return KEN_OK;
}
