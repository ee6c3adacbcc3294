/*
 * inflate.c - DEFLATE, read bit by bit with canonical Huffman codes.
 *
 * Codes are decoded by counting (RFC 1951, 3.2.2): a code of length n is first[n] + its index among
 * those of that length.  That is slow beside a table of prefixes, and short; what it reads here are
 * a vocabulary and small arrays.
 */
#include "base/inflate.h"

#include "base/alloc.h"
#include "base/error.h"

#include <pthread.h>
#include <string.h>

enum { MAX_BITS = 15, LITERALS = 288, DISTANCES = 30, END = 256, WINDOW = 32768 };

typedef struct stream {
    const unsigned char *in, *end;
    uint32_t bits, have; /* bits not yet used, lowest first */
    unsigned char *out;
    size_t len, cap, max;
} stream;

typedef struct code {
    uint16_t count[MAX_BITS + 1];
    uint16_t symbol[LITERALS]; /* by length, then value */
} code;

static ken_status need(stream *s, uint32_t n, uint32_t *value)
{
    while (s->have < n) {
        if (s->in == s->end)
            return kn_fail(KEN_E_FORMAT, "deflate: the data ends too early");
        s->bits |= (uint32_t)*s->in++ << s->have;
        s->have += 8;
    }
    *value = s->bits & ((1u << n) - 1);
    s->bits >>= n;
    s->have -= n;
    return KEN_OK;
}

static ken_status put(stream *s, unsigned char c)
{
    if (s->len == s->max)
        return kn_fail(KEN_E_LIMIT, "deflate: more than %zu bytes", s->max);
    if (s->len + 1 >= s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4096;
        unsigned char *out = kn_grow(s->out, cap, 1);
        if (!out)
            return KEN_E_NOMEM;
        s->out = out;
        s->cap = cap;
    }
    s->out[s->len++] = c;
    return KEN_OK;
}

/* lengths (n), 0 for symbols without a code.  Over-full codes are refused; an incomplete one only
 * fails if the data uses what it lacks. */
static ken_status make_code(code *c, const uint8_t *lengths, unsigned n)
{
    uint16_t at[MAX_BITS + 2] = { 0 };
    int left = 1;
    memset(c->count, 0, sizeof c->count);
    for (unsigned i = 0; i < n; i++)
        c->count[lengths[i]]++;
    c->count[0] = 0;
    for (unsigned b = 1; b <= MAX_BITS; b++) {
        left = left * 2 - c->count[b];
        if (left < 0)
            return kn_fail(KEN_E_FORMAT, "deflate: a code is over-full");
        at[b + 1] = (uint16_t)(at[b] + c->count[b]);
    }
    for (unsigned i = 0; i < n; i++)
        if (lengths[i])
            c->symbol[at[lengths[i]]++] = (uint16_t)i;
    return KEN_OK;
}

static ken_status decode(stream *s, const code *c, uint32_t *symbol)
{
    uint32_t bit;
    int value = 0, first = 0, index = 0;
    for (unsigned b = 1; b <= MAX_BITS; b++) {
        ken_status st = need(s, 1, &bit);
        if (st)
            return st;
        value |= (int)bit;
        const int count = c->count[b];
        if (value - count < first) {
            *symbol = c->symbol[index + (value - first)];
            return KEN_OK;
        }
        index += count;
        first = (first + count) * 2;
        value *= 2;
    }
    return kn_fail(KEN_E_FORMAT, "deflate: no such code");
}

static ken_status copy_back(stream *s, uint32_t length, uint32_t distance)
{
    if (distance > s->len || distance > WINDOW)
        return kn_fail(KEN_E_FORMAT, "deflate: a distance of %u at byte %zu", distance, s->len);
    ken_status st = KEN_OK;
    while (!st && length--)
        st = put(s, s->out[s->len - distance]);
    return st;
}

static ken_status length_and_distance(stream *s, uint32_t symbol, const code *distances)
{
    static const uint16_t length_base[29] = { 3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                              31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };
    static const uint8_t length_bits[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                             2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
    uint32_t more, d, far;
    if (symbol > 285)
        return kn_fail(KEN_E_FORMAT, "deflate: length symbol %u", symbol);
    ken_status st = need(s, length_bits[symbol - 257], &more);
    if (!st)
        st = decode(s, distances, &d);
    if (!st && d >= DISTANCES)
        st = kn_fail(KEN_E_FORMAT, "deflate: distance symbol %u", d);
    if (st)
        return st;
    const uint32_t bits = d < 4 ? 0 : d / 2 - 1, base = d < 4 ? d + 1 : ((2 + d % 2) << bits) + 1;
    st = need(s, bits, &far);
    return st ? st : copy_back(s, length_base[symbol - 257] + more, base + far);
}

static ken_status block(stream *s, const code *literals, const code *distances)
{
    for (;;) {
        uint32_t symbol;
        ken_status st = decode(s, literals, &symbol);
        if (!st && symbol == END)
            return KEN_OK;
        if (!st)
            st = symbol < END ? put(s, (unsigned char)symbol) : length_and_distance(s, symbol, distances);
        if (st)
            return st;
    }
}

static ken_status stored(stream *s)
{
    uint32_t n, complement;
    s->bits = s->have = 0; /* to the next byte */
    ken_status st = need(s, 16, &n);
    if (!st)
        st = need(s, 16, &complement);
    if (!st && (n ^ complement) != 0xffff)
        st = kn_fail(KEN_E_FORMAT, "deflate: a stored block's length is broken");
    for (uint32_t c; !st && n--;) {
        st = need(s, 8, &c);
        if (!st)
            st = put(s, (unsigned char)c);
    }
    return st;
}

static ken_status fixed(stream *s)
{
    uint8_t lengths[LITERALS];
    code literals, distances;
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    ken_status st = make_code(&literals, lengths, LITERALS);
    memset(lengths, 5, DISTANCES);
    if (!st)
        st = make_code(&distances, lengths, DISTANCES);
    return st ? st : block(s, &literals, &distances);
}

/* Code lengths, themselves coded: 16 repeats the last, 17 and 18 are runs of zeros. */
static ken_status read_lengths(stream *s, const code *c, uint8_t *lengths, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        static const uint8_t bits[] = { 2, 3, 7 }, base[] = { 3, 3, 11 };
        uint32_t symbol, more = 0;
        ken_status st = decode(s, c, &symbol);
        if (st)
            return st;
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        st = need(s, bits[symbol - 16], &more);
        const uint32_t times = base[symbol - 16] + more;
        if (!st && ((symbol == 16 && !i) || times > n - i))
            st = kn_fail(KEN_E_FORMAT, "deflate: a run of lengths does not fit");
        if (st)
            return st;
        memset(lengths + i, symbol == 16 ? lengths[i - 1] : 0, times);
        i += times;
    }
    return KEN_OK;
}

static ken_status dynamic(stream *s)
{
    static const uint8_t order[19] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
    uint8_t lengths[LITERALS + 32] = { 0 };
    uint32_t nl, nd, nc, v;
    code c, literals, distances;
    ken_status st = need(s, 5, &nl);
    if (!st)
        st = need(s, 5, &nd);
    if (!st)
        st = need(s, 4, &nc);
    if (!st && (nl + 257 > 286 || nd + 1 > DISTANCES))
        st = kn_fail(KEN_E_FORMAT, "deflate: too many symbols");
    for (uint32_t i = 0; !st && i < nc + 4; i++) {
        st = need(s, 3, &v);
        lengths[order[i]] = (uint8_t)v;
    }
    if (!st)
        st = make_code(&c, lengths, 19);
    memset(lengths, 0, sizeof lengths);
    if (!st)
        st = read_lengths(s, &c, lengths, nl + 257 + nd + 1);
    if (!st)
        st = make_code(&literals, lengths, nl + 257);
    if (!st)
        st = make_code(&distances, lengths + nl + 257, nd + 1);
    return st ? st : block(s, &literals, &distances);
}

static ken_status run(stream *s)
{
    for (uint32_t last = 0, kind; !last;) {
        ken_status st = need(s, 1, &last);
        if (!st)
            st = need(s, 2, &kind);
        if (!st)
            st = kind == 0 ? stored(s) : kind == 1 ? fixed(s) : kind == 2 ? dynamic(s)
                                                              : kn_fail(KEN_E_FORMAT, "deflate: block of kind 3");
        if (st)
            return st;
    }
    return KEN_OK;
}

/* *used: bytes of input up to the end of the stream. */
static ken_status inflate(unsigned char **out, size_t *len, const unsigned char *in, size_t n, size_t max, size_t *used)
{
    stream s = { .in = in, .end = in + n, .max = max };
    ken_status st = run(&s);
    if (!st && !s.out)
        s.out = kn_alloc(1, 1);
    if (!st && !s.out)
        st = KEN_E_NOMEM;
    if (st) {
        kn_free(s.out);
        return st;
    }
    s.out[s.len] = 0;
    *out = s.out;
    *len = s.len;
    *used = (size_t)(s.in - in) - s.have / 8;
    return KEN_OK;
}

ken_status kn_inflate(unsigned char **out, size_t *len, const void *in, size_t n, size_t max)
{
    size_t used;
    return inflate(out, len, in, n, max, &used);
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

static uint32_t little32(const unsigned char *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
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
    const size_t at = gzip_header(p, n);
    if (!at)
        return kn_fail(KEN_E_FORMAT, "gzip: the header is broken");
    ken_status st = inflate(&text, &bytes, p + at, n - at, max, &used);
    if (st)
        return st;
    const unsigned char *tail = p + at + used;
    if (n - at - used < 8 || little32(tail) != kn_crc32(text, bytes) || little32(tail + 4) != (uint32_t)bytes) {
        kn_free(text);
        return kn_fail(KEN_E_FORMAT, "gzip: the checksum is wrong");
    }
    *out = text;
    *len = bytes;
    return KEN_OK;
}
