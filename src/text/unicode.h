/*
 * unicode.h - text as code points, and what Unicode 14 says of them.
 *
 * Tables are generated (tables.py); normalisation is utf8proc's, which is stable for every character
 * assigned in the pinned version.
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
KEN_CALL ken_status kn_points_add(kn_points *p, uint32_t c);
/* Reads UTF-8; each byte that belongs to no character becomes U+FFFD. */
KEN_CALL ken_status kn_points_decode(kn_points *p, const char *text);
/* Bytes of c, 1 .. 4. */
size_t kn_utf8_put(uint32_t c, unsigned char out[4]);

enum {
    KN_LETTER = 1 << 0,      /* L* */
    KN_NUMBER = 1 << 1,      /* N* */
    KN_MARK = 1 << 2,        /* Mn */
    KN_PUNCTUATION = 1 << 3, /* P* */
    KN_SEPARATOR = 1 << 4,   /* Zs */
    KN_CONTROL = 1 << 5,     /* Cc, Cf */
    KN_SPACE = 1 << 6,       /* Python's str.isspace */
    KN_CASED = 1 << 7,
    KN_IGNORABLE = 1 << 8    /* by the rule of the final sigma */
};
unsigned kn_class(uint32_t c);

/* In place: Python's str.lower, with U+0130 as two characters and the final sigma. */
KEN_CALL ken_status kn_points_lower(kn_points *p);
typedef enum kn_form { KN_NFC, KN_NFD, KN_NFKC } kn_form;
KEN_CALL ken_status kn_points_normalize(kn_points *p, kn_form form);

/* HTML entities.  name has n bytes, without '&', with its ';' if it has one.  text gets up to three
 * code points, 0 behind the last; 0 if there is no such name.  any: also names in capitals. */
int kn_entity(const char *name, size_t n, uint32_t text[3], int any);
/* Python's html.unescape of a number: up to one code point, 0 for nothing. */
uint32_t kn_entity_number(uint64_t n);
uint32_t kn_windows1252(uint32_t c); /* 0x80 .. 0x9f */

#endif
