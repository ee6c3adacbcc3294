/*
 * side.c - config.json and preprocessor_config.json (transformers), open_clip_config.json
 * (open_clip).
 *
 * transformers leaves out of a file what is its class's default, so that a missing member has that
 * value: hidden_act "quick_gelu" (configuration_clip.py, configuration_chinese_clip.py).
 */
#include "tools/convert/side.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_JSON = 16 << 20 };

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static ken_status read_json(const char *dir, const char *name, cJSON **out)
{
    unsigned char *text = NULL;
    size_t len = 0;
    char *path = kn_path_join(dir, name);
    if (!path)
        return KEN_E_NOMEM;
    ken_status st = KEN_OK;
    if (is_file(path)) {
        st = kn_read_file(&text, &len, path, MAX_JSON);
        if (!st) {
            *out = cJSON_ParseWithLength((const char *)text, len);
            if (!cJSON_IsObject(*out))
                st = kn_fail(KEN_E_FORMAT, "%s: not a JSON object", path);
        }
    }
    kn_free(text);
    kn_free(path);
    return st;
}

ken_status cv_side_open(cv_side *out, const char *checkpoint)
{
    struct stat info;
    cv_side s = { 0 };
    const char *last = strrchr(checkpoint, '/');
    if (stat(checkpoint, &info) == 0 && S_ISDIR(info.st_mode))
        s.dir = kn_strdup(checkpoint);
    else
        s.dir = last ? kn_strndup(checkpoint, (size_t)(last - checkpoint) + 1) : kn_strdup(".");
    ken_status st = s.dir ? KEN_OK : KEN_E_NOMEM;
    if (!st)
        st = read_json(s.dir, "config.json", &s.hf);
    if (!st)
        st = read_json(s.dir, "open_clip_config.json", &s.open_clip);
    if (!st)
        st = read_json(s.dir, "preprocessor_config.json", &s.prep);
    if (st) {
        cv_side_close(&s);
        return st;
    }
    *out = s;
    return KEN_OK;
}

void cv_side_close(cv_side *s)
{
    kn_free(s->dir);
    cJSON_Delete(s->hf);
    cJSON_Delete(s->open_clip);
    cJSON_Delete(s->prep);
    *s = (cv_side){ 0 };
}

/* ---- members ---- */

const cJSON *cv_side_get(const cJSON *j, const char *path)
{
    char name[64];
    while (j && *path) {
        const size_t n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        j = cJSON_GetObjectItemCaseSensitive(j, name);
        path += n + (path[n] == '.');
    }
    return j;
}

uint32_t cv_side_whole(const cJSON *j, const char *path, uint32_t otherwise)
{
    const cJSON *v = cv_side_get(j, path);
    const double d = cJSON_IsNumber(v) ? v->valuedouble : 0;
    return d >= 1 && d <= INT32_MAX && d == floor(d) ? (uint32_t)d : otherwise;
}

/* ---- activation ---- */

static ken_status named_act(const char *file, const char *name, kn_act *act)
{
    if (!strcmp(name, "quick_gelu"))
        *act = KN_ACT_QUICKGELU;
    else if (!strcmp(name, "gelu"))
        *act = KN_ACT_GELU;
    else
        return kn_fail(KEN_E_UNSUPPORTED, "%s: activation \"%.40s\"", file, name);
    return KEN_OK;
}

static int is_clip_config(const cJSON *hf)
{
    const cJSON *type = cv_side_get(hf, "model_type");
    return cJSON_IsString(type) && (!strncmp(type->valuestring, "clip", 4) ||
                                    !strncmp(type->valuestring, "chinese_clip", 12));
}

ken_status cv_side_act(const cv_side *s, const char *tower, kn_act *act, int *found)
{
    char path[64];
    const cJSON *quick = cv_side_get(s->open_clip, "model_cfg.quick_gelu");
    *found = 1;
    if (is_clip_config(s->hf)) {
        snprintf(path, sizeof path, "%s_config.hidden_act", tower);
        const cJSON *name = cv_side_get(s->hf, path);
        if (!name)
            name = cv_side_get(s->hf, "hidden_act");
        return named_act("config.json", cJSON_IsString(name) ? name->valuestring : "quick_gelu",
                         act);
    }
    if (cv_side_get(s->open_clip, "model_cfg")) {
        *act = cJSON_IsTrue(quick) ? KN_ACT_QUICKGELU : KN_ACT_GELU;
        return KEN_OK;
    }
    *found = 0;
    return KEN_OK;
}

static ken_status refuse_unless(const cJSON *cfg, const char *path, const char *value)
{
    const cJSON *j = cv_side_get(cfg, path);
    if (!j || cJSON_IsNull(j) || cJSON_IsFalse(j) ||
        (value && cJSON_IsString(j) && !strcmp(j->valuestring, value)))
        return KEN_OK;
    return kn_fail(KEN_E_UNSUPPORTED, "open_clip_config.json: %s is not one of CLIP's", path);
}

ken_status cv_side_check(const cv_side *s)
{
    static const char *const paths[][2] = {
        { "model_cfg.vision_cfg.pool_type", "tok" },
        { "model_cfg.vision_cfg.final_ln_after_pool", NULL },
        { "model_cfg.vision_cfg.no_ln_pre", NULL },
        { "model_cfg.vision_cfg.attentional_pool", NULL },
        { "model_cfg.vision_cfg.timm_model_name", NULL },
        { "model_cfg.text_cfg.pool_type", "argmax" },
        { "model_cfg.text_cfg.no_causal_mask", NULL },
        { "model_cfg.text_cfg.embed_cls", NULL },
        { "model_cfg.text_cfg.hf_model_name", NULL },
    };
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < sizeof paths / sizeof *paths; i++)
        st = refuse_unless(s->open_clip, paths[i][0], paths[i][1]);
    return st;
}

/* ---- tokenizer ---- */

char *cv_side_tokenizer(const cv_side *s, const char *kind)
{
    static const char *const bpe[] = { "bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt",
                                       "merges.txt", NULL };
    static const char *const bert[] = { "vocab.txt", NULL };
    const char *const *names = !strcmp(kind, "clip-bpe") ? bpe : bert;
    for (; *names; names++) {
        char *path = kn_path_join(s->dir, *names);
        if (!path || is_file(path))
            return path;
        kn_free(path);
    }
    return NULL;
}
