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

static ken_status take_panels(const loading *l, const kn_param *p, const kn_tensor *t, kn_type type)
{
    const size_t n = (size_t)p->shape[0], k = (size_t)p->shape[1];
    const ken_status st = kn_tensor_matrix(t, type, 1, n, k);
    for (size_t i = 0; !st && i < n; i++)
        kn_panel_row(l->g->crew.k, t->data, type, k, i, l->g->w + p->at + i * k);
    return st;
}

static ken_status take_rows(const loading *l, const kn_param *p, const kn_tensor *t, kn_type type)
{
    const kn_rows all = { .n = 1, .k = p->len, .data = t->data, .type = type };
    const ken_status st = kn_tensor_shape(t, p->rank, p->shape);
    if (!st)
        kn_rows_get(l->g->crew.k, &all, 0, l->g->w + p->at);
    return st;
}

/* An int8 matrix: rows, and what 1 stands for in each, in NAME.s beside NAME.w. */
static ken_status take_steps(const loading *l, const kn_param *p, const kn_tensor *t)
{
    const size_t n = (size_t)p->shape[0], k = (size_t)(p->rank > 1 ? p->shape[1] : 1);
    const kn_tensor *steps = NULL;
    kn_type type = KN_F32;
    char name[sizeof p->name];
    memcpy(name, p->name, sizeof name);
    name[strlen(name) - 1] = 's';
    ken_status st = kn_tensor_shape(t, p->rank, p->shape);
    if (!st)
        st = kn_tensor_find(l->w, name, &steps);
    if (!st && !steps)
        st = kn_fail(KEN_E_FORMAT, "tensor %s: missing", name);
    if (!st)
        st = kn_tensor_shape(steps, 1, &(uint64_t){ n });
    if (!st)
        st = kn_tensor_type(steps, &type);
    const kn_rows rows = { .n = n, .k = 1, .data = st ? NULL : steps->data, .type = type };
    for (size_t i = 0; !st && i < n; i++) {
        float step;
        kn_rows_get(l->g->crew.k, &rows, i, &step);
        for (size_t j = 0; j < k; j++)
            l->g->w[p->at + i * k + j] = (float)((const int8_t *)t->data)[i * k + j] * step;
    }
    return st;
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
    const int steps = t->dtype == KN_DT_I8 && ends_with(p->name, ".w");
    ken_status st = steps ? KEN_OK : kn_tensor_type(t, &type);
    if (st)
        return st;
    /* tables of embeddings and positions are rows in any layout */
    if (steps)
        st = take_steps(l, p, t);
    else if (l->panels && p->rank == 2 && ends_with(p->name, ".w"))
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
    const kn_tensor *t = NULL;
    float *w = l->g->w + p->at;
    const ken_status st = kn_tensor_find(l->w, name, &t);
    *found = t != NULL;
    if (st || !t)
        return st;
    if (!strcmp(at, ".bn.b"))
        return take(l, p, t);
    for (size_t i = 0; i < p->len; i++)
        w[i] = !strcmp(at, ".bn.w") ? 1 : !strcmp(at, ".bn.var") ? 1 - KN_BN_EPS : 0;
    return KEN_OK;
}

/* The graph's patches have no bias: one in the file goes onto the positions of all of them. */
static ken_status take_patch_bias(const loading *l)
{
    const uint64_t width = l->g->config.vit.trunk.width;
    const kn_tensor *t = NULL;
    kn_type type = KN_F32;
    ken_status st = kn_tensor_find(l->w, "v.patch.b", &t);
    if (!st && t)
        st = kn_tensor_shape(t, 1, &width);
    if (!st && t)
        st = kn_tensor_type(t, &type);
    if (st || !t)
        return st;
    const kn_rows bias = { .n = (size_t)width, .k = 1, .data = t->data, .type = type };
    const kn_param *pos = l->g->params;
    while (strcmp(pos->name, "v.pos"))
        pos++;
    for (size_t j = 0; j < bias.n; j++) {
        float b;
        kn_rows_get(l->g->crew.k, &bias, j, &b);
        for (size_t i = bias.n + j; i < pos->len; i += bias.n) /* the first row is the class token's */
            l->g->w[pos->at + i] += b;
    }
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
        const kn_tensor *t = NULL;
        ken_status st = kn_tensor_find(w, p->name, &t);
        int found = t != NULL;
        if (t && !st)
            st = take(&l, p, t);
        else if (!st && l.folded && strstr(p->name, ".bn."))
            st = take_norm(&l, p, &found);
        if (st)
            return st;
        *kept += !found;
    }
    g->dirty = 1;
    return !g->o.text && g->config.image == KN_NET_VIT ? take_patch_bias(&l) : KEN_OK;
}
