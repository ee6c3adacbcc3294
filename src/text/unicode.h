/*
 * unicode.h - text as code points, and what Unicode 14 says of them.
 *
 * The tables are generated (tables.py).  Normalisation uses utf8proc's data, which agree with the
 * pinned version on every character assigned in it (stability policy).
 */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include "ken.h"

/* Code points that grow.  A zeroed one is empty. */
typedef struct kn_points {
    uint32_t *at; /* (len) */
    size_t len, cap;
} kn_points;

void kn_points_release(kn_points *p);
/* Room for n in all; what is there stays. */
KEN_CALL ken_status kn_points_reserve(kn_points *p, size_t n);
KEN_CALL ken_status kn_points_add(kn_points *p, uint32_t c);
KEN_CALL ken_status kn_points_append(kn_points *to, const uint32_t *from, size_t n);

/* Reads n bytes of UTF-8 behind what is there; each byte that belongs to no character becomes
 * U+FFFD.  The number of those. */
KEN_CALL ken_status kn_points_decode(kn_points *p, const char *text, size_t n, size_t *bad);
/* Bytes of c, 1 .. 4. */
size_t kn_utf8_put(uint32_t c, unsigned char out[4]);

enum {
    KN_LETTER = 1 << 0,    /* L* */
    KN_NUMBER = 1 << 1,    /* N* */
    KN_DIGIT = 1 << 2,     /* Nd */
    KN_SPACE = 1 << 3,     /* Python's str.isspace */
    KN_CASED = 1 << 4,     /* these two: by the rule of the final sigma */
    KN_IGNORABLE = 1 << 5, /*   set only where the character isn't cased */
    KN_MARK = 1 << 6,      /* Mn */
    KN_PUNCT = 1 << 7,  /* P*, and all of ASCII that is neither letter, digit, space nor control */
    KN_FORMAT = 1 << 8, /* Cc and Cf but tab, line feed and carriage return; U+FFFD */
    KN_FIX = 1 << 9,    /* ftfy replaces or removes it */
    KN_LOWER = 1 << 10, /* has another lower case */
    KN_NFC = 1 << 11,   /* text without any of these is in NFC */
    KN_NFD = 1 << 12    /* and without any of these in NFD */
};
unsigned kn_flags(uint32_t c);

/* What ftfy's steps on single characters make of c, up to three; 0: nothing (it is removed). */
size_t kn_fixed(uint32_t c, uint32_t out[3]);

/* In place: Python's str.lower, with U+0130 as two characters and the final sigma. */
KEN_CALL ken_status kn_points_lower(kn_points *p);

typedef enum kn_form { KN_FORM_C, KN_FORM_D } kn_form;
KEN_CALL ken_status kn_points_normalize(kn_points *p, kn_form form);

#endif
