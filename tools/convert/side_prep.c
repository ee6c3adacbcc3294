/*
 * side_prep.c - preprocessing as a configuration file describes it.
 *
 * preprocessor_config.json: transformers' CLIPImageProcessor; `resample` counts as Pillow's enum
 * does. open_clip_config.json: open_clip's PreprocessCfg (transform.py).
 */
#include "tools/convert/side.h"

#include "base/error.h"

#include <string.h>

static ken_status bad(const char *file, const char *member)
{
    return kn_fail(KEN_E_FORMAT, "%s: \"%s\" is not understood", file, member);
}

/* A number for both, or a list of height and width, or an object of them. */
static int read_size(const cJSON *j, uint32_t hw[2])
{
    const cJSON *h = j, *w = j;
    if (cJSON_IsArray(j)) {
        h = cJSON_GetArrayItem(j, 0);
        w = cJSON_GetArrayItem(j, 1);
    } else if (cJSON_IsObject(j)) {
        h = cJSON_GetObjectItemCaseSensitive(j, "height");
        w = cJSON_GetObjectItemCaseSensitive(j, "width");
    }
    hw[0] = cv_side_whole(h, "", 0);
    hw[1] = cv_side_whole(w, "", 0);
    return hw[0] && hw[1];
}

static int read_three(const cJSON *j, float out[3])
{
    for (int i = 0; i < 3; i++) {
        const cJSON *v = cJSON_IsArray(j) ? cJSON_GetArrayItem(j, i) : j;
        if (!cJSON_IsNumber(v))
            return 0;
        out[i] = (float)v->valuedouble;
    }
    return 1;
}

/* ---- Hugging Face ---- */

static ken_status hf_resize(const cJSON *j, kn_prep *p)
{
    static const kn_filter filters[] = { KN_NEAREST, KN_LANCZOS, KN_BILINEAR,
                                         KN_BICUBIC, KN_BOX,     KN_HAMMING };
    const cJSON *size = cv_side_get(j, "size"), *filter = cv_side_get(j, "resample");
    const uint32_t edge = cv_side_whole(size, "shortest_edge", cv_side_whole(size, "", 0));
    if (cJSON_IsFalse(cv_side_get(j, "do_resize")))
        return bad("preprocessor_config.json", "do_resize");
    if (edge) {
        p->fit = KN_FIT_SHORT;
        p->resize[0] = p->resize[1] = edge;
    } else if (size && read_size(size, p->resize)) {
        p->fit = KN_FIT_SQUASH;
    } else if (size) {
        return bad("preprocessor_config.json", "size");
    }
    if (filter && (!cJSON_IsNumber(filter) || filter->valuedouble < 0 || filter->valuedouble > 5))
        return bad("preprocessor_config.json", "resample");
    if (filter)
        p->filter = filters[(int)filter->valuedouble];
    return KEN_OK;
}

static ken_status hf_prep(const cJSON *j, kn_prep *p)
{
    const char *file = "preprocessor_config.json";
    const cJSON *crop = cv_side_get(j, "crop_size"), *factor = cv_side_get(j, "rescale_factor");
    const cJSON *mean = cv_side_get(j, "image_mean"), *std = cv_side_get(j, "image_std");
    ken_status st = hf_resize(j, p);
    if (st)
        return st;
    if (cJSON_IsFalse(cv_side_get(j, "do_center_crop")))
        memcpy(p->crop, p->resize, sizeof p->crop);
    else if (crop && !read_size(crop, p->crop))
        return bad(file, "crop_size");
    if (factor && (!cJSON_IsNumber(factor) || (float)factor->valuedouble != (float)(1.0 / 255)))
        return bad(file, "rescale_factor");
    if (cJSON_IsFalse(cv_side_get(j, "do_normalize"))) {
        for (int i = 0; i < 3; i++) {
            p->mean[i] = 0;
            p->std[i] = 1;
        }
    } else if ((mean && !read_three(mean, p->mean)) || (std && !read_three(std, p->std))) {
        return bad(file, "image_mean");
    }
    p->hf_crop = 1;
    return KEN_OK;
}

/* ---- open_clip ---- */

static ken_status open_clip_prep(const cJSON *j, kn_prep *p)
{
    const char *file = "open_clip_config.json";
    const cJSON *mean = cv_side_get(j, "mean"), *std = cv_side_get(j, "std");
    const cJSON *filter = cv_side_get(j, "interpolation"), *mode = cv_side_get(j, "resize_mode");
    const cJSON *size = cv_side_get(j, "size"), *fill = cv_side_get(j, "fill_color");
    if ((mean && !read_three(mean, p->mean)) || (std && !read_three(std, p->std)))
        return bad(file, "preprocess_cfg.mean");
    if (cJSON_IsString(
            filter)) { /* "random" is of training; what isn't bilinear is bicubic there */
        if (strcmp(filter->valuestring, "bilinear") != 0 &&
            strcmp(filter->valuestring, "bicubic") != 0 &&
            strcmp(filter->valuestring, "random") != 0)
            return bad(file, "preprocess_cfg.interpolation");
        p->filter = strcmp(filter->valuestring, "bilinear") ? KN_BICUBIC : KN_BILINEAR;
    }
    if (cJSON_IsString(mode)) {
        const char *m = mode->valuestring;
        if (strcmp(m, "shortest") != 0 && strcmp(m, "squash") != 0 && strcmp(m, "longest") != 0)
            return bad(file, "preprocess_cfg.resize_mode");
        p->fit = *m == 'l' ? KN_FIT_LONGEST : m[1] == 'q' ? KN_FIT_SQUASH : KN_FIT_SHORT;
    }
    if (size && !cJSON_IsNull(size)) {
        if (!read_size(size, p->crop))
            return bad(file, "preprocess_cfg.size");
        memcpy(p->resize, p->crop, sizeof p->resize);
    }
    if (cJSON_IsNumber(fill) && fill->valuedouble >= 0 && fill->valuedouble <= 255)
        memset(p->fill, (int)fill->valuedouble, sizeof p->fill);
    return KEN_OK;
}

ken_status cv_side_prep(const cv_side *s, kn_prep *p, const char **from)
{
    const cJSON *open_clip = cv_side_get(s->open_clip, "preprocess_cfg");
    ken_status st = KEN_OK;
    if (s->prep) {
        *from = "preprocessor_config.json";
        st = hf_prep(s->prep, p);
    } else if (cJSON_IsObject(open_clip)) {
        *from = "open_clip_config.json";
        st = open_clip_prep(open_clip, p);
    }
    return st;
}
