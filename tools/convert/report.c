/* report.c - one table: each tensor of the output and what it is made of, then what was dropped. */
#include "tools/convert/report.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SHAPE = 160 };

/* "bf16 [48, 384, 16, 2]" */
static void describe_item(const cv_plan *p, const cv_item *item, char *out)
{
    cv_tensor t = { .dtype = cv_item_dtype(p, item) };
    t.rank = cv_item_shape(p, item, t.shape);
    cv_describe(&t, out, SHAPE);
}

/* "v.11.ln1.w" as "v.*.ln1.w": tensors that differ in the last number only share a line. */
static void pattern_of(const char *name, char out[CV_NAME + 1])
{
    const char *at = NULL;
    size_t len = 0;
    for (const char *p = name; *p;) {
        const size_t n = strcspn(p, ".");
        if (n && strspn(p, "0123456789") == n) {
            at = p;
            len = n;
        }
        p += n + (p[n] == '.');
    }
    if (at)
        snprintf(out, CV_NAME + 1, "%.*s*%s", (int)(at - name), name, at + len);
    else
        snprintf(out, CV_NAME + 1, "%s", name);
}

static int alike(const cv_plan *p, const cv_item *a, const cv_item *b)
{
    char x[CV_NAME + 1], y[CV_NAME + 1], s[SHAPE], t[SHAPE];
    pattern_of(a->name, x);
    pattern_of(b->name, y);
    if (strcmp(x, y) != 0)
        return 0;
    describe_item(p, a, s);
    describe_item(p, b, t);
    return !strcmp(s, t) && a->note == b->note;
}

static void print_source(const cv_plan *p, const cv_item *item)
{
    char shape[SHAPE];
    if (item->kind == CV_BYTES) {
        printf("%s", p->tokenizer_from);
        return;
    }
    const cv_slot *s = item->from;
    cv_describe(s->part[0].t, shape, sizeof shape);
    printf("%s%s %s", s->part[0].t->name, s->parts > 1 ? " …" : "", shape);
    if (item->note)
        printf("  (%s)", item->note);
}

static void print_items(const cv_plan *p)
{
    for (size_t i = 0; i < p->len; i++) {
        const cv_item *item = &p->items[i];
        char name[CV_NAME + 1], shape[SHAPE];
        size_t first = 0, count = 0;
        while (first < i && !alike(p, &p->items[first], item))
            first++;
        if (first < i)
            continue;
        for (size_t j = i; j < p->len; j++)
            count += (size_t)alike(p, &p->items[j], item);
        pattern_of(item->name, name);
        describe_item(p, item, shape);
        printf("  %-16s %4zu  %-28s <- ", count > 1 ? name : item->name, count, shape);
        print_source(p, item);
        printf("\n");
    }
}

static void print_drops(const cv_plan *p)
{
    const cv_names *n = &p->names;
    for (size_t i = 0; i < n->drops_len; i++) {
        size_t count = 0, first = 0;
        while (first < i && strcmp(n->drops[first].why, n->drops[i].why) != 0)
            first++;
        if (first < i)
            continue;
        for (size_t j = i; j < n->drops_len; j++)
            count += !strcmp(n->drops[j].why, n->drops[i].why);
        printf("  dropped          %4zu  %s%s: %s\n", count, n->drops[i].t->name,
               count > 1 ? " …" : "", n->drops[i].why);
    }
    if (cv_names_has(n, "fc.w") && !p->labels)
        printf("  dropped             2  the head, fc.w and fc.b: --labels FILE keeps it\n");
}

static void print_networks(const cv_plan *p)
{
    const kn_net_config *c = &p->config;
    const kn_vit_config *v = &c->vit;
    const kn_resnet_config *r = &c->resnet;
    if (c->image == KN_NET_VIT)
        printf(
            "  pictures  ViT, %u layers, width %u, %u heads, patches of %u, %u x %u pixels -> %u\n",
            v->trunk.layers, v->trunk.width, v->trunk.heads, v->patch, v->grid[0] * v->patch,
            v->grid[1] * v->patch, v->dim);
    if (c->image == KN_NET_RESNET)
        printf("  pictures  ResNet, width %u, %u x %u pixels -> %u\n", r->width, r->input[0],
               r->input[1], r->dim);
    if (c->image != KN_NET_NONE)
        printf("  resizing  as %s\n", p->prep_from ? p->prep_from : "is usual for this family");
    if (c->has_text)
        printf("  words     %s, %u layers, width %u, %u heads, %u tokens of %u -> %u\n",
               c->text.bert ? "BERT" : "CLIP", c->text.trunk.layers, c->text.trunk.width,
               c->text.trunk.heads, c->text.context, c->text.vocab, c->text.dim);
    if (p->act_from)
        printf("  GELU      %s, says %s\n",
               (c->image == KN_NET_VIT ? v->trunk.act : c->text.trunk.act) == KN_ACT_GELU ? "exact"
                                                                                          : "quick",
               p->act_from);
}

ken_status cv_report_table(const cv_plan *p, const char *out, uint64_t bytes)
{
    printf("%s\n", p->arch);
    print_networks(p);
    printf("\n  %-16s count  %-25s <- in the checkpoint\n", "tensor", "stored as");
    print_items(p);
    print_drops(p);
    printf("\n%s: %zu tensors, %.1f MB\n", out, p->len, (double)bytes / 1e6);
    if (fflush(stdout) != 0 || ferror(stdout))
        return kn_fail_errno(errno);
    return KEN_OK;
}

/* ---- JSON ---- */

static void add_shape(cJSON *to, uint32_t rank, const uint64_t *shape)
{
    cJSON *list = cJSON_AddArrayToObject(to, "shape");
    for (uint32_t i = 0; i < rank; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)shape[i]));
}

static cJSON *source_json(const cv_tensor *t)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", t->name);
    cJSON_AddStringToObject(j, "dtype", kn_dtype_name(t->dtype));
    add_shape(j, t->rank, t->shape);
    return j;
}

static cJSON *item_json(const cv_plan *p, const cv_item *item)
{
    uint64_t shape[KN_MAX_RANK];
    const uint32_t rank = cv_item_shape(p, item, shape);
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", item->name);
    cJSON_AddStringToObject(j, "dtype", kn_dtype_name(cv_item_dtype(p, item)));
    add_shape(j, rank, shape);
    cJSON *from = cJSON_AddArrayToObject(j, "from");
    for (uint32_t i = 0; item->from && i < item->from->parts; i++)
        cJSON_AddItemToArray(from, source_json(item->from->part[i].t));
    for (int i = 0; item->norm[0] && i < 4; i++)
        if (item->norm[i] != item->from)
            cJSON_AddItemToArray(from, source_json(item->norm[i]->part[0].t));
    if (item->note)
        cJSON_AddStringToObject(j, "done", item->note);
    return j;
}

static void add_raw(cJSON *to, const char *name, char *json)
{
    if (json)
        cJSON_AddItemToObject(to, name, cJSON_Parse(json));
    kn_free(json);
}

static void add_head(cJSON *j, const cv_plan *p, const char *out, uint64_t bytes)
{
    const cv_options *o = p->opts;
    cJSON_AddStringToObject(j, "path", out);
    cJSON_AddStringToObject(j, "arch", p->arch);
    cJSON_AddStringToObject(j, "dtype",
                            o->type == KN_F32   ? "f32"
                            : o->type == KN_F16 ? "f16"
                                                : "bf16");
    cJSON_AddBoolToObject(j, "folded", !o->trainable);
    cJSON_AddNumberToObject(j, "bytes", (double)bytes);
    if (p->act_from)
        cJSON_AddStringToObject(j, "activation_from", p->act_from);
    if (p->prep_from)
        cJSON_AddStringToObject(j, "preprocess_from", p->prep_from);
    if (p->tokenizer_from)
        cJSON_AddStringToObject(j, "tokenizer_from", p->tokenizer_from);
}

ken_status cv_report_json(const cv_plan *p, const char *out, uint64_t bytes)
{
    char *image = NULL, *prep = NULL, *text = NULL;
    cJSON *j = cJSON_CreateObject();
    ken_status st = kn_config_write(&p->config, &image, &prep, &text);
    add_head(j, p, out, bytes);
    add_raw(j, "image", image);
    add_raw(j, "preprocess", prep);
    add_raw(j, "text", text);
    cJSON *list = cJSON_AddArrayToObject(j, "tensors");
    for (size_t i = 0; i < p->len; i++)
        cJSON_AddItemToArray(list, item_json(p, &p->items[i]));
    list = cJSON_AddArrayToObject(j, "dropped");
    for (size_t i = 0; i < p->names.drops_len; i++) {
        cJSON *d = source_json(p->names.drops[i].t);
        cJSON_AddStringToObject(d, "why", p->names.drops[i].why);
        cJSON_AddItemToArray(list, d);
    }
    char *s = st ? NULL : cJSON_PrintUnformatted(j);
    cJSON_Delete(j);
    if (!s)
        return st ? st : kn_fail(KEN_E_NOMEM, "out of memory");
    puts(s);
    cJSON_free(s);
    return fflush(stdout) || ferror(stdout) ? kn_fail_errno(errno) : KEN_OK;
}
