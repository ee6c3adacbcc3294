/*
 * contrast.h - a text said otherwise: one of its words in turn exchanged for those that it excludes.
 *
 * "a red bear" is not "a blue bear" and not "a red cat".  A picture that "a blue bear" suits better is no
 * answer to "a red bear", however high the cosine.  Words are told in English and in Chinese.
 */
#ifndef ENGINE_CONTRAST_H
#define ENGINE_CONTRAST_H

#include "ken.h"

typedef struct kn_contrast {
    char **texts;
    size_t n, cap;
} kn_contrast;

/* Every text that differs from `text` in one word of a group (colours, animals, …); none if it has no such
 * word.  At most KN_CONTRASTS. */
enum { KN_CONTRASTS = 256 };
KEN_CALL ken_status kn_contrast_make(kn_contrast *out, const char *text);
void kn_contrast_release(kn_contrast *c);

#endif
