/*
 * inflate.c - deflate backwards (RFC 1951) and gzip's wrapping (RFC 1952).
 *
 * Codes are canonical, so a Huffman code is two arrays: how many codes there are of each length and
 * the symbols in order.  Codes of up to FAST bits are looked up at once; longer ones are walked one
 * bit at a time.  Past the end of the input zero bits are read, and counted: a stream that needed
 * them is cut off.
 */
#include "base/inflate.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"

#include <pthread.h>
#include <string.h>

#define TRY(call)                                                                                  \
    do {                                                                                           \
        ken_status status = (call);                                                                \
        if (status)                                                                                \
            return status;                                                                         \
    } while (0)

enum { LONGEST = 15, FAST = 10, LITERALS = 288, DISTANCES = 32, END_OF_BLOCK = 256 };

typedef struct code {
    uint16_t fast[1 << FAST]; /* symbol << 4 | length; 0: longer, or no code */
    uint16_t count[LONGEST + 1];
    uint16_t symbol[LITERALS];
} code;

typedef struct stream {
    const unsigned char *in, *end;
    uint64_t bits;
    unsigned have, missing; /* bits in `bits`; of these, made up past the end */
    unsigned char *out;     /* (cap + 1) */
    size_t len, cap, max;
    code literal, distance;
} stream;

/* At least 56 bits in s->bits: a length, a distance and their extra bits are 48. */
static void refill(stream *s)
{
    if (s->end - s->in >= 8) { /* whole bytes, as many as fit; those that do not are read again */
        const unsigned char *p = s->in;
        uint64_t low = kn_little32(p), high = kn_little32(p + 4);
        s->bits |= (low | high << 32) << s->have;
        s->in += (63 - s->have) / 8;
        s->have |= 56;
        return;
    }
    while (s->have < 56) {
        if (s->in < s->end)
            s->bits |= (uint64_t)*s->in++ << s->have;
        else
            s->missing += 8;
        s->have += 8;
    }
}

static unsigned take(stream *s, unsigned n)
{
    unsigned v = (unsigned)s->bits & ((1u << n) - 1);
    s->bits >>= n;
    s->have -= n;
    return v;
}

static int cut_off(const stream *s)
{
    return s->missing > s->have;
}

static ken_status too_short(void)
{
    return kn_fail(KEN_E_FORMAT, "compressed data is cut off");
}

static unsigned reversed(unsigned v, unsigned n)
{
    unsigned r = 0;
    for (; n; n--, v >>= 1)
        r = r << 1 | (v & 1);
    return r;
}

/* From the length of each symbol's code.  A code that is not complete is allowed only with a
 * single code in it (one distance) or none. */
static ken_status code_from_lengths(code *h, const unsigned char *lengths, unsigned n)
{
    uint16_t offset[LONGEST + 2] = { 0 };
    unsigned next = 0;
    int left = 1;
    memset(h, 0, sizeof(*h));
    for (unsigned i = 0; i < n; i++)
        h->count[lengths[i]]++;
    h->count[0] = 0;
    for (unsigned l = 1; l <= LONGEST; l++) {
        left = 2 * left - h->count[l];
        if (left < 0)
            return kn_fail(KEN_E_FORMAT, "compressed data has an impossible Huffman code");
        offset[l + 1] = (uint16_t)(offset[l] + h->count[l]);
    }
    if (left > 0 && offset[LONGEST + 1] > 1)
        return kn_fail(KEN_E_FORMAT, "compressed data has an incomplete Huffman code");
    for (unsigned i = 0; i < n; i++)
        if (lengths[i])
            h->symbol[offset[lengths[i]]++] = (uint16_t)i;
    for (unsigned l = 1, at = 0; l <= FAST; l++, next <<= 1)
        for (unsigned k = 0; k < h->count[l]; k++, at++, next++)
            for (unsigned f = reversed(next, l); f < 1u << FAST; f += 1u << l)
                h->fast[f] = (uint16_t)(h->symbol[at] << 4 | l);
    return KEN_OK;
}

/* The next symbol, -1: no such code.  Needs LONGEST bits. */
static int decode(stream *s, const code *h)
{
    unsigned f = h->fast[s->bits & ((1u << FAST) - 1)];
    if (f) {
        take(s, f & 15);
        return (int)(f >> 4);
    }
    int value = 0, first = 0, index = 0;
    for (unsigned l = 1; l <= LONGEST; l++) {
        value |= (int)(s->bits >> (l - 1) & 1);
        int count = h->count[l];
        if (value - first < count) {
            take(s, l);
            return h->symbol[index + value - first];
        }
        index += count;
        first = (first + count) << 1;
        value <<= 1;
    }
    return -1;
}

static ken_status make_room(stream *s, size_t n)
{
    if (s->cap - s->len >= n)
        return KEN_OK;
    if (n > s->max - s->len)
        return kn_fail(KEN_E_LIMIT, "compressed data holds more than %zu bytes", s->max);
    size_t cap = s->cap < s->max / 2 ? 2 * s->cap + 256 : s->max;
    if (cap - s->len < n)
        cap = s->len + n;
    if (cap > s->max)
        cap = s->max;
    unsigned char *p = kn_grow(s->out, cap + 1, 1);
    if (!p)
        return KEN_E_NOMEM;
    s->out = p;
    s->cap = cap;
    return KEN_OK;
}

static ken_status stored_block(stream *s)
{
    take(s, s->have & 7);
    refill(s);
    unsigned n = take(s, 16), check = take(s, 16);
    if (cut_off(s))
        return too_short();
    if (n != (check ^ 0xffff))
        return kn_fail(KEN_E_FORMAT, "compressed data has a broken block length");
    TRY(make_room(s, n));
    for (; n && s->have; n--)
        s->out[s->len++] = (unsigned char)take(s, 8);
    if (cut_off(s) || n > (size_t)(s->end - s->in))
        return too_short();
    if (!s->have)
        s->bits = 0; /* what refill read ahead is among the bytes that are copied here */
    if (n) /* nothing yet has been unpacked where an empty block comes first */
        memcpy(s->out + s->len, s->in, n);
    s->len += n;
    s->in += n;
    return KEN_OK;
}

/* RFC 1951, 3.2.5 */
static ken_status copy_match(stream *s, unsigned symbol)
{
    static const uint16_t base[29] = { 3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                       15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                       67, 83, 99, 115, 131, 163, 195, 227, 258 };
    static const unsigned char extra[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                             2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
    static const uint16_t far[30] = {
        1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577
    };
    unsigned i = symbol - END_OF_BLOCK - 1;
    if (i >= 29)
        return kn_fail(KEN_E_FORMAT, "compressed data has an unknown length");
    size_t n = base[i] + take(s, extra[i]);
    int d = decode(s, &s->distance);
    if (d < 0 || d >= 30)
        return kn_fail(KEN_E_FORMAT, "compressed data has an unknown distance");
    size_t back = far[d] + take(s, d < 2 ? 0 : (unsigned)d / 2 - 1);
    if (back > s->len)
        return kn_fail(KEN_E_FORMAT, "compressed data refers to before its start");
    TRY(make_room(s, n));
    unsigned char *to = s->out + s->len;
    const unsigned char *from = to - back;
    if (back >= n)
        memcpy(to, from, n);
    else
        for (size_t k = 0; k < n; k++) /* overlapping: that is how runs are made */
            to[k] = from[k];
    s->len += n;
    return KEN_OK;
}

static ken_status coded_block(stream *s)
{
    for (;;) {
        refill(s);
        int symbol = decode(s, &s->literal);
        if (symbol < 0)
            return kn_fail(KEN_E_FORMAT, "compressed data has an unknown code");
        if (symbol == END_OF_BLOCK)
            return cut_off(s) ? too_short() : KEN_OK;
        if (symbol > END_OF_BLOCK) {
            TRY(copy_match(s, (unsigned)symbol));
        } else {
            TRY(make_room(s, 1));
            s->out[s->len++] = (unsigned char)symbol;
        }
        if (cut_off(s))
            return too_short();
    }
}

static ken_status fixed_codes(stream *s)
{
    unsigned char l[LITERALS];
    memset(l, 8, 144);
    memset(l + 144, 9, 112);
    memset(l + 256, 7, 24);
    memset(l + 280, 8, 8);
    TRY(code_from_lengths(&s->literal, l, LITERALS));
    memset(l, 5, DISTANCES);
    return code_from_lengths(&s->distance, l, DISTANCES);
}

/* RFC 1951, 3.2.7: the lengths of both codes, themselves coded. */
static ken_status read_lengths(stream *s, unsigned char *lengths, unsigned n)
{
    for (unsigned i = 0; i < n;) {
        refill(s);
        int symbol = decode(s, &s->distance);
        unsigned char value = 0;
        unsigned times = 1;
        if (symbol < 0)
            return kn_fail(KEN_E_FORMAT, "compressed data has an unknown code");
        if (symbol < 16) {
            value = (unsigned char)symbol;
        } else if (symbol == 16) {
            if (!i)
                return kn_fail(KEN_E_FORMAT, "compressed data repeats a length before the first");
            value = lengths[i - 1];
            times = 3 + take(s, 2);
        } else {
            times = symbol == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
        }
        if (times > n - i)
            return kn_fail(KEN_E_FORMAT, "compressed data has too many lengths");
        memset(lengths + i, value, times);
        i += times;
    }
    return cut_off(s) ? too_short() : KEN_OK;
}

static ken_status dynamic_codes(stream *s)
{
    static const unsigned char order[19] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                             11, 4,  12, 3, 13, 2, 14, 1, 15 };
    unsigned char lengths[LITERALS + DISTANCES] = { 0 };
    unsigned literals = 257 + take(s, 5), distances = 1 + take(s, 5), n = 4 + take(s, 4);
    if (literals > 286 || distances > 30)
        return kn_fail(KEN_E_FORMAT, "compressed data has too many codes");
    for (unsigned i = 0; i < n; i++) {
        refill(s);
        lengths[order[i]] = (unsigned char)take(s, 3);
    }
    TRY(code_from_lengths(&s->distance, lengths, 19));
    memset(lengths, 0, 19);
    TRY(read_lengths(s, lengths, literals + distances));
    if (!lengths[END_OF_BLOCK])
        return kn_fail(KEN_E_FORMAT, "compressed data has a block without an end");
    TRY(code_from_lengths(&s->literal, lengths, literals));
    return code_from_lengths(&s->distance, lengths + literals, distances);
}

static ken_status block(stream *s, unsigned kind)
{
    if (kind == 0)
        return stored_block(s);
    if (kind == 3)
        return kn_fail(KEN_E_FORMAT, "compressed data has an unknown kind of block");
    TRY(kind == 1 ? fixed_codes(s) : dynamic_codes(s));
    return coded_block(s);
}

/* The whole stream; *used: bytes of input that it took. */
static ken_status inflate_all(stream *s, size_t *used, const unsigned char *in, size_t n)
{
    ken_status st = KEN_OK;
    s->in = in;
    s->end = in + n;
    for (unsigned last = 0; !st && !last;) {
        refill(s);
        last = take(s, 1);
        unsigned kind = take(s, 2);
        st = cut_off(s) ? too_short() : block(s, kind);
    }
    *used = (size_t)(s->in - in) - (s->have - s->missing) / 8;
    return st ? st : make_room(s, 0);
}

static ken_status inflate_from(unsigned char **out, size_t *len, size_t *used,
                               const unsigned char *in, size_t n, size_t max)
{
    stream *s = kn_zalloc(1, sizeof(*s));
    if (!s)
        return KEN_E_NOMEM;
    s->max = max < PTRDIFF_MAX ? max : PTRDIFF_MAX - 1;
    ken_status st = inflate_all(s, used, in, n);
    if (!st && !s->out && !(s->out = kn_alloc(1, 1)))
        st = KEN_E_NOMEM;
    if (st) {
        kn_free(s->out);
    } else {
        s->out[s->len] = 0;
        *out = s->out;
        *len = s->len;
    }
    kn_free(s);
    return st;
}

ken_status kn_inflate(unsigned char **out, size_t *len, const void *in, size_t n, size_t max)
{
    size_t used;
    *out = NULL;
    *len = 0;
    return inflate_from(out, len, &used, in, n, max);
}

/* ---- gzip ---- */

static uint32_t table[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        table[i] = c;
    }
}

uint32_t kn_crc32(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint32_t c = ~0u;
    pthread_once(&once, make_table);
    while (n--)
        c = table[(c ^ *p++) & 255] ^ c >> 8;
    return ~c;
}

/* Bytes of the header, 0 if it is broken. */
static size_t gzip_header(const unsigned char *p, size_t n)
{
    enum { HCRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16 };
    size_t at = 10;
    if (n < 18 || p[0] != 0x1f || p[1] != 0x8b || p[2] != 8 || p[3] & 0xe0)
        return 0;
    if (p[3] & EXTRA)
        at += 2 + (size_t)(p[at] | p[at + 1] << 8);
    for (int part = NAME; part <= COMMENT; part *= 2)
        if (p[3] & part) {
            while (at < n && p[at])
                at++;
            at++;
        }
    at += p[3] & HCRC ? 2 : 0;
    return at + 8 < n ? at : 0;
}

ken_status kn_gunzip(unsigned char **out, size_t *len, const void *in, size_t n, size_t max)
{
    const unsigned char *p = in;
    unsigned char *text;
    size_t bytes, used;
    *out = NULL;
    *len = 0;
    const size_t at = gzip_header(p, n);
    if (!at)
        return kn_fail(KEN_E_FORMAT, "gzip: the header is broken");
    ken_status st = inflate_from(&text, &bytes, &used, p + at, n - at, max);
    if (st)
        return st;
    const unsigned char *tail = p + at + used;
    if (n - at - used < 8 || kn_little32(tail) != kn_crc32(text, bytes) ||
        kn_little32(tail + 4) != (uint32_t)bytes) {
        kn_free(text);
        return kn_fail(KEN_E_FORMAT, "gzip: the checksum is wrong");
    }
    *out = text;
    *len = bytes;
    return KEN_OK;
}
