/* side.h - what lies beside a checkpoint: configuration and tokenizer files. */
#ifndef CONVERT_SIDE_H
#define CONVERT_SIDE_H

#include "nn/config.h"

#include <cjson/cJSON.h>

typedef struct cv_side {
    char *dir;        /* the checkpoint's folder */
    cJSON *hf;        /* config.json of Hugging Face, or NULL */
    cJSON *open_clip; /* open_clip_config.json, or NULL */
    cJSON *prep;      /* preprocessor_config.json, or NULL */
} cv_side;

/* A missing file is none; KEN_E_FORMAT names one that is no JSON object. */
KEN_CALL ken_status cv_side_open(cv_side *out, const char *checkpoint);
void cv_side_close(cv_side *s);

/* Members along a path of names with dots between, or NULL. */
const cJSON *cv_side_get(const cJSON *j, const char *path);
/* The number there if it is whole and within 1 … 2^31-1, else `otherwise`. */
uint32_t cv_side_whole(const cJSON *j, const char *path, uint32_t otherwise);

/* Which GELU the configuration names for a tower ("vision" or "text"): 1 and *act, or 0.
 * KEN_E_UNSUPPORTED for another function. */
KEN_CALL ken_status cv_side_act(const cv_side *s, const char *tower, kn_act *act, int *found);
/* What open_clip's configuration asks for and no tensor shows.  KEN_E_UNSUPPORTED names it. */
KEN_CALL ken_status cv_side_check(const cv_side *s);

/* Overrides *p by preprocessor_config.json or open_clip_config.json, if there; *from names it or is
 * left alone.  KEN_E_FORMAT names the member. */
KEN_CALL ken_status cv_side_prep(const cv_side *s, kn_prep *p, const char **from);

/* The tokenizer file beside, for the kinds of kn_tokenizer_build; kn_free it.  NULL: none. */
char *cv_side_tokenizer(const cv_side *s, const char *kind);

#endif
