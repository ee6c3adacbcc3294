/*
 * report.c - report.html: curves of the run as plain SVG, and the pairs that it still gets wrong.
 *
 * One file without scripts or outside resources; it is made of log.jsonl and the validation set.
 */
#include "train/run.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/file.h"

#include <cjson/cJSON.h>
#include <string.h>

enum { WIDE = 640, HIGH = 200, POINTS = 640, SHOWN = 12, QUALITY = 88 };
static const size_t MOST = (size_t)64 << 20;

/* ---- curves ---- */

typedef struct curve {
    double *step, *value;
    size_t n, cap;
} curve;

static ken_status add_point(curve *c, const cJSON *step, const cJSON *value)
{
    if (!cJSON_IsNumber(step) || !cJSON_IsNumber(value))
        return KEN_OK;
    if (c->n == c->cap) {
        const size_t cap = c->cap ? 2 * c->cap : 256;
        double *s = kn_realloc(c->step, cap * sizeof *s);
        c->step = s ? s : c->step;
        double *v = kn_realloc(c->value, cap * sizeof *v);
        c->value = v ? v : c->value;
        if (!s || !v)
            return KEN_E_NOMEM;
        c->cap = cap;
    }
    c->step[c->n] = step->valuedouble;
    c->value[c->n++] = value->valuedouble;
    return KEN_OK;
}

typedef struct curves {
    curve loss, rate, val_loss, score;
} curves;

static void release(curves *c)
{
    curve *const all[] = { &c->loss, &c->rate, &c->val_loss, &c->score };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        kn_free(all[i]->step);
        kn_free(all[i]->value);
    }
}

static ken_status add_line(curves *c, const char *line)
{
    static const char *const scores[] = { "val_recall1", "val_top1", "val_text1" };
    cJSON *j = cJSON_Parse(line);
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(j, "step");
    ken_status st = add_point(&c->loss, step, cJSON_GetObjectItemCaseSensitive(j, "loss"));
    if (!st)
        st = add_point(&c->rate, step, cJSON_GetObjectItemCaseSensitive(j, "lr"));
    if (!st)
        st = add_point(&c->val_loss, step, cJSON_GetObjectItemCaseSensitive(j, "val_loss"));
    for (int i = 0; !st && i < 3; i++)
        st = add_point(&c->score, step, cJSON_GetObjectItemCaseSensitive(j, scores[i]));
    cJSON_Delete(j);
    return st;
}

static ken_status read_log(const kn_run *r, curves *c)
{
    unsigned char *text = NULL;
    size_t len;
    char *path = kn_path_join(r->o->out, "log.jsonl");
    ken_status st = path ? kn_read_file(&text, &len, path, (size_t)1 << 30) : KEN_E_NOMEM;
    for (char *at = (char *)text; !st && *at;) {
        char *end = at + strcspn(at, "\n");
        const int last = !*end;
        *end = 0;
        st = add_line(c, at);
        at = last ? end : end + 1;
    }
    kn_free(text);
    kn_free(path);
    return st;
}

/* Means of as many neighbouring values as give POINTS points. */
static ken_status put_line(kn_buf *b, const curve *c, const double range[4], const char *color)
{
    const size_t each = (c->n + POINTS - 1) / POINTS;
    ken_status st = kn_buf_addf(
        b, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", color);
    for (size_t i = 0; !st && i < c->n; i += each) {
        const size_t n = c->n - i < each ? c->n - i : each;
        double x = 0, y = 0;
        for (size_t j = i; j < i + n; j++) {
            x += c->step[j] / (double)n;
            y += c->value[j] / (double)n;
        }
        st = kn_buf_addf(b, "%.1f,%.1f ", WIDE * (x - range[0]) / (range[1] - range[0]),
                         HIGH - HIGH * (y - range[2]) / (range[3] - range[2]));
    }
    return st ? st : kn_buf_adds(b, "\"/>");
}

static void widen(const curve *c, double range[4])
{
    for (size_t i = 0; i < c->n; i++) {
        range[0] = c->step[i] < range[0] ? c->step[i] : range[0];
        range[1] = c->step[i] > range[1] ? c->step[i] : range[1];
        range[2] = c->value[i] < range[2] ? c->value[i] : range[2];
        range[3] = c->value[i] > range[3] ? c->value[i] : range[3];
    }
}

/* One or two curves (other NULL) over the same axes. */
static ken_status put_chart(kn_buf *b, const char *title, const curve *c, const curve *other)
{
    double range[4] = { 1e300, -1e300, 1e300, -1e300 };
    if (!c->n)
        return KEN_OK;
    widen(c, range);
    if (other)
        widen(other, range);
    range[1] += range[1] == range[0];
    range[3] += range[3] == range[2];
    ken_status st = kn_buf_addf(b, "<h2>%s</h2><p class=\"axis\">%.4g</p><svg viewBox=\"0 0 %d %d\">", title,
                                range[3], WIDE, HIGH);
    if (!st)
        st = put_line(b, c, range, "#2563a8");
    if (!st && other && other->n)
        st = put_line(b, other, range, "#c2571a");
    return st ? st : kn_buf_addf(b, "</svg><p class=\"axis\">%.4g <span>step %.0f to %.0f</span></p>\n",
                                 range[2], range[0], range[1]);
}

/* ---- pictures ---- */

static ken_status put_escaped(kn_buf *b, const char *text)
{
    ken_status st = KEN_OK;
    for (; !st && *text; text++)
        st = *text == '<'   ? kn_buf_adds(b, "&lt;")
             : *text == '&' ? kn_buf_adds(b, "&amp;")
             : *text == '"' ? kn_buf_adds(b, "&quot;")
                            : kn_buf_add(b, text, 1);
    return st;
}

static ken_status put_picture(kn_buf *b, kn_run *r, uint32_t sample, const char *what)
{
    const uint32_t side = r->plan.net.prep.crop[0];
    const ken_image img = { .width = side, .height = side, .stride = 3 * (size_t)side, .pixels = r->pixels };
    unsigned char *bytes = NULL;
    char *text = NULL;
    size_t n;
    ken_status st = kn_data_pictures(r->val, &sample, 1, NULL, 0, 0, r->pixels);
    if (!st)
        st = kn_image_encode(&bytes, &n, &img, QUALITY);
    if (!st)
        st = kn_buf_adds(b, "<figure><img alt=\"\" src=\"data:image/jpeg;base64,");
    if (!st && !(text = kn_base64(bytes, n)))
        st = KEN_E_NOMEM;
    if (!st)
        st = kn_buf_adds(b, text);
    if (!st)
        st = kn_buf_addf(b, "\"><figcaption>%s: ", what);
    if (!st)
        st = put_escaped(b, kn_data_class(r->val, kn_data_labels(r->val)[sample]));
    kn_free(bytes);
    kn_free(text);
    return st ? st : kn_buf_adds(b, "</figcaption></figure>");
}

static ken_status put_pairs(kn_buf *b, kn_run *r)
{
    kn_confusion worst[SHOWN];
    size_t n = 0;
    ken_status st = kn_run_hardest(r, worst, SHOWN, &n);
    if (!st)
        st = kn_buf_adds(b, "<h2>The hardest pictures of the validation set</h2>\n");
    for (size_t i = 0; !st && i < n; i++) {
        st = kn_buf_adds(b, "<div class=\"row\">");
        if (!st)
            st = put_picture(b, r, worst[i].query, "asked");
        if (!st)
            st = put_picture(b, r, worst[i].wrong, "nearest");
        if (!st)
            st = put_picture(b, r, worst[i].right, "right one");
        if (!st)
            st = kn_buf_addf(b, "<p>cosine %.3f to the wrong one, %.3f to the right one</p></div>\n",
                             (double)worst[i].to_wrong, (double)worst[i].to_right);
    }
    return st;
}

/* ---- the page ---- */

static const char head[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>training run</title><style>"
    "body{font:15px/1.5 sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1c2733}"
    "svg{width:100%;background:#f5f7f9;border:1px solid #d9dfe5}.axis{margin:0;color:#66727f}"
    ".axis span{float:right}.row{display:flex;gap:1rem;align-items:center;margin:.5rem 0}"
    "figure{margin:0}img{width:112px;image-rendering:pixelated}figcaption{font-size:12px}"
    "pre{background:#f5f7f9;padding:.75rem;overflow:auto;font-size:12px}</style>\n<h1>Training run</h1>\n";

static ken_status put_page(kn_buf *b, kn_run *r, const curves *c)
{
    ken_status st = kn_buf_adds(b, head);
    if (!st)
        st = kn_buf_addf(b, "<p>%llu steps, %llu pictures; last loss %.4g", (unsigned long long)r->at.step,
                         (unsigned long long)r->at.images, r->at.last_loss);
    if (!st && r->val && r->at.has_best)
        st = kn_buf_addf(b, "; best validation score %.2f %%", 100 * r->at.best);
    if (!st)
        st = kn_buf_adds(b, ".</p>\n");
    if (!st)
        st = put_chart(b, "Loss (blue: training, orange: validation)", &c->loss, &c->val_loss);
    if (!st)
        st = put_chart(b, "Validation score", &c->score, NULL);
    if (!st)
        st = put_chart(b, "Learning rate", &c->rate, NULL);
    if (!st && r->val && !r->plan.loss.classes && r->loss)
        st = put_pairs(b, r);
    if (!st)
        st = kn_buf_adds(b, "<h2>Settings</h2><pre>");
    if (!st)
        st = put_escaped(b, r->config);
    return st ? st : kn_buf_adds(b, "</pre></html>\n");
}

ken_status kn_run_report(kn_run *r)
{
    curves c = { 0 };
    kn_buf b;
    kn_buf_init(&b, MOST);
    char *path = kn_path_join(r->o->out, "report.html");
    ken_status st = path ? read_log(r, &c) : KEN_E_NOMEM;
    if (!st)
        st = put_page(&b, r, &c);
    if (!st)
        st = kn_replace_file(path, b.data, b.len);
    kn_free(path);
    kn_buf_release(&b);
    release(&c);
    return st;
}
