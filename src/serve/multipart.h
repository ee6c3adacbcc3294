/* multipart.h - the parts of a form, multipart/form-data as RFC 7578 has it. */
#ifndef SERVE_MULTIPART_H
#define SERVE_MULTIPART_H

#include "ken.h"

enum { KN_FORM_PARTS = 33, KN_PART_NAME = 64 };

typedef struct kn_part {
    char name[KN_PART_NAME];
    const char *bytes; /* in the body */
    size_t len;
} kn_part;

typedef struct kn_form {
    kn_part parts[KN_FORM_PARTS];
    size_t n;
} kn_form;

/* type: the Content-Type header.  Parts point into body.  KEN_E_FORMAT, KEN_E_LIMIT for too many. */
KEN_CALL ken_status kn_form_parse(kn_form *out, const char *type, const char *body, size_t len);
const kn_part *kn_form_part(const kn_form *f, const char *name); /* the first, or NULL */

#endif
