/*
 * shape.h - what JSON may look like: one description that checks what comes in and that the OpenAPI
 * document is written from.
 */
#ifndef SERVE_SHAPE_H
#define SERVE_SHAPE_H

#include "ken.h"

#include <cjson/cJSON.h>

/* Bits: a value may be of several types. */
enum {
    KN_STRING = 1,
    KN_NUMBER = 2,
    KN_WHOLE = 4, /* a whole number */
    KN_BOOL = 8,
    KN_ARRAY = 16,
    KN_OBJECT = 32,
    KN_NULL = 64,
    KN_FREE = 128,     /* an object of any members */
    KN_FILE = 256,     /* of a form: bytes */
    KN_NEEDED = 1024,  /* of a member: may not be missing */
    KN_REPEATED = 2048 /* of a form: may come more than once */
};

typedef struct kn_shape kn_shape;

/* A member of an object, a part of a form, an argument of a query, or (without name) an array's item. */
typedef struct kn_field {
    const char *name;
    unsigned is;
    const char *choices;          /* of a string, '|' between; or NULL */
    double least, most;           /* of a number; characters of a string; both 0: any */
    const struct kn_field *items; /* of an array */
    unsigned most_items;          /* … of 1 to so many; 0: of any number, none too */
    const kn_shape *of;           /* of an object */
    const char *help;             /* a line */
} kn_field;

struct kn_shape {
    const char *name;       /* in the document */
    const kn_field *fields; /* ended by one without a name */
    int one_of;             /* the first so many members: exactly one of them */
};

/* What is wrong with a value, and where: "query[0].weight". */
typedef struct kn_wrong {
    char where[160], what[200];
} kn_wrong;

/* The text as JSON, all of it: KEN_E_FORMAT for what is not JSON, UTF-8, or holds a NUL character;
 * the reason is in ken_last_error().  cJSON_Delete it. */
KEN_CALL ken_status kn_json_parse(cJSON **out, const char *text, size_t len);
/* 0 if the bytes are UTF-8 text without a NUL. */
int kn_text_check(const char *text, size_t len);
/* 0, or -1 with *w filled in. */
int kn_shape_check(const kn_shape *s, const cJSON *v, kn_wrong *w);
int kn_field_check(const kn_field *f, const cJSON *v, kn_wrong *w);
/* A query's argument or a form's text, as the value that it stands for ("3" is 3 where a number is asked);
 * NULL and *w if it is not of that kind.  cJSON_Delete it. */
cJSON *kn_field_read(const kn_field *f, const char *text, kn_wrong *w);

/* JSON Schemas.  Named shapes are added to `all`, once, and referred to. */
cJSON *kn_shape_schema(const kn_shape *s, cJSON *all);
cJSON *kn_field_schema(const kn_field *f, cJSON *all);

#endif
