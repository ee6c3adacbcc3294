/*
 * protobuf.h - protocol buffers on the wire: tags, numbers and lengths, no schema.
 *
 * Written as Google's own encoder writes fields in the order of their numbers: lengths in as few bytes
 * as they need.  Read without trust: a length is checked before anything is looked at.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
#ifndef STORE_PROTOBUF_H
#define STORE_PROTOBUF_H

#include "base/buf.h"

/* ---- writing ---- */

/* The first failure stays in st, and every call behind it does nothing. */
typedef struct kn_pb {
    kn_buf buf;
    ken_status st; /* KEN_E_NOMEM, KEN_E_LIMIT */
} kn_pb;

void kn_pb_init(kn_pb *w, size_t max); /* bytes at most */
void kn_pb_release(kn_pb *w);
void kn_pb_number(kn_pb *w, uint32_t field, uint64_t value); /* also negative int32, int64 and bool */
void kn_pb_bytes(kn_pb *w, uint32_t field, const void *bytes, size_t n);
void kn_pb_text(kn_pb *w, uint32_t field, const char *s);
/* A repeated float or int64, packed; nothing if n is 0. */
void kn_pb_floats(kn_pb *w, uint32_t field, const float *list, size_t n);
void kn_pb_longs(kn_pb *w, uint32_t field, const int64_t *list, size_t n);
/* A message within: what is written between them is its contents.  Open gives what close asks for. */
size_t kn_pb_open(kn_pb *w, uint32_t field);
void kn_pb_close(kn_pb *w, size_t opened);

/* ---- reading ---- */

typedef enum kn_pb_wire { KN_PB_VARINT = 0, KN_PB_64 = 1, KN_PB_BYTES = 2, KN_PB_32 = 5 } kn_pb_wire;

typedef struct kn_pb_in {
    const unsigned char *at, *end;
    int bad; /* what was met is no message; there is nothing more to read */
} kn_pb_in;

typedef struct kn_pb_field {
    uint32_t number;
    kn_pb_wire wire;
    uint64_t value;             /* of VARINT, 64 and 32 */
    const unsigned char *bytes; /* (n) of BYTES: lies within the input */
    size_t n;
} kn_pb_field;

kn_pb_in kn_pb_read(const void *bytes, size_t n);
/* The next field; 0 at the end, or when r->bad has been set. */
int kn_pb_next(kn_pb_in *r, kn_pb_field *f);
/* What lies in a field of BYTES: a message, or packed numbers; empty and bad if it is no such field. */
kn_pb_in kn_pb_within(const kn_pb_field *f);
/* The next packed varint; 0 at the end or when bad. */
int kn_pb_next_varint(kn_pb_in *r, uint64_t *value);
/* How many packed varints are left: bytes that end one. */
size_t kn_pb_count_varints(const kn_pb_in *r);

#endif
