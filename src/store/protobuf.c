/* protobuf.c - see protobuf.h. */
#include "store/protobuf.h"

#include "base/bytes.h"

#include <string.h>

enum { VARINT_MAX = 10 };

/* ---- writing ---- */

void kn_pb_init(kn_pb *w, size_t max)
{
    kn_buf_init(&w->buf, max);
    w->st = KEN_OK;
}

void kn_pb_release(kn_pb *w)
{
    kn_buf_release(&w->buf);
}

static void add(kn_pb *w, const void *bytes, size_t n)
{
    if (!w->st)
        w->st = kn_buf_add(&w->buf, bytes, n);
}

static size_t put_varint(unsigned char out[VARINT_MAX], uint64_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        out[n++] = (unsigned char)(value | 0x80);
    out[n++] = (unsigned char)value;
    return n;
}

static void add_varint(kn_pb *w, uint64_t value)
{
    unsigned char bytes[VARINT_MAX];
    add(w, bytes, put_varint(bytes, value));
}

static void add_tag(kn_pb *w, uint32_t field, kn_pb_wire wire)
{
    add_varint(w, (uint64_t)field << 3 | (unsigned)wire);
}

void kn_pb_number(kn_pb *w, uint32_t field, uint64_t value)
{
    add_tag(w, field, KN_PB_VARINT);
    add_varint(w, value);
}

void kn_pb_bytes(kn_pb *w, uint32_t field, const void *bytes, size_t n)
{
    add_tag(w, field, KN_PB_BYTES);
    add_varint(w, n);
    add(w, bytes, n);
}

void kn_pb_text(kn_pb *w, uint32_t field, const char *s)
{
    kn_pb_bytes(w, field, s, strlen(s));
}

/* The wire is little-endian, as every machine that ken runs on. */
void kn_pb_floats(kn_pb *w, uint32_t field, const float *list, size_t n)
{
    if (n)
        kn_pb_bytes(w, field, list, n * sizeof *list);
}

void kn_pb_longs(kn_pb *w, uint32_t field, const int64_t *list, size_t n)
{
    if (!n)
        return;
    const size_t opened = kn_pb_open(w, field);
    for (size_t i = 0; i < n; i++)
        add_varint(w, (uint64_t)list[i]);
    kn_pb_close(w, opened);
}

/* One byte is left for the length; a longer one moves the contents. */
size_t kn_pb_open(kn_pb *w, uint32_t field)
{
    add_tag(w, field, KN_PB_BYTES);
    add(w, "", 1);
    return w->buf.len;
}

void kn_pb_close(kn_pb *w, size_t opened)
{
    unsigned char length[VARINT_MAX];
    if (w->st)
        return;
    const size_t n = w->buf.len - opened, more = put_varint(length, n) - 1;
    add(w, length, more); /* room */
    if (w->st)
        return;
    memmove(w->buf.data + opened + more, w->buf.data + opened, n);
    memcpy(w->buf.data + opened - 1, length, 1 + more);
}

/* ---- reading ---- */

kn_pb_in kn_pb_read(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    return (kn_pb_in){ p, n ? p + n : p, 0 };
}

static int give_up(kn_pb_in *r)
{
    r->bad = 1;
    r->at = r->end;
    return 0;
}

int kn_pb_next_varint(kn_pb_in *r, uint64_t *value)
{
    uint64_t v = 0;
    if (r->at == r->end)
        return 0;
    for (unsigned shift = 0; shift < 7 * VARINT_MAX && r->at < r->end; shift += 7) {
        const unsigned char byte = *r->at++;
        if (shift == 63 && byte > 1)
            return give_up(r);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = v;
            return 1;
        }
    }
    return give_up(r);
}

static int take(kn_pb_in *r, const unsigned char **out, uint64_t n)
{
    if (n > (uint64_t)(r->end - r->at))
        return give_up(r);
    *out = r->at;
    r->at += n;
    return 1;
}

static int take_number(kn_pb_in *r, kn_pb_field *f, size_t n)
{
    const unsigned char *p;
    if (!take(r, &p, n))
        return 0;
    f->value = kn_little32(p);
    if (n == 8)
        f->value |= (uint64_t)kn_little32(p + 4) << 32;
    return 1;
}

int kn_pb_next(kn_pb_in *r, kn_pb_field *f)
{
    uint64_t tag, n;
    if (!kn_pb_next_varint(r, &tag))
        return 0;
    if (tag >> 3 == 0 || tag >> 3 >= UINT32_C(1) << 29)
        return give_up(r);
    *f = (kn_pb_field){ .number = (uint32_t)(tag >> 3), .wire = (kn_pb_wire)(tag & 7) };
    switch (f->wire) {
    case KN_PB_VARINT:
        return kn_pb_next_varint(r, &f->value) || give_up(r);
    case KN_PB_64:
        return take_number(r, f, 8);
    case KN_PB_32:
        return take_number(r, f, 4);
    case KN_PB_BYTES:
        if (!kn_pb_next_varint(r, &n) || !take(r, &f->bytes, n))
            return give_up(r);
        f->n = (size_t)n;
        return 1;
    }
    return give_up(r); /* groups are of another age */
}

kn_pb_in kn_pb_within(const kn_pb_field *f)
{
    kn_pb_in r = { f->bytes, f->bytes, 1 };
    if (f->wire == KN_PB_BYTES)
        r = (kn_pb_in){ f->bytes, f->bytes + f->n, 0 };
    return r;
}

size_t kn_pb_count_varints(const kn_pb_in *r)
{
    size_t n = 0;
    for (const unsigned char *p = r->at; p < r->end; p++)
        n += *p < 0x80;
    return n;
}
