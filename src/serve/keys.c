/* keys.c - API keys, and SHA-256 to compare them by. */
#include "serve/keys.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <pthread.h>
#include <string.h>

enum { DIGEST = 32, MAX_KEYS_FILE = 1 << 20 };

/* ---- SHA-256: FIPS 180-4, sections 4.1.2, 5.3.3 and 6.2 ---- */

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t turn(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 |
               p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        const uint32_t a = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
        const uint32_t b = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        const uint32_t e = turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25);
        const uint32_t t = v[7] + e + ((v[4] & v[5]) ^ (~v[4] & v[6])) + ROUND[i] + w[i];
        const uint32_t a = turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22);
        const uint32_t u = a + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t;
        v[0] = t + u;
    }
    for (int i = 0; i < 8; i++)
        h[i] += v[i];
}

void kn_sha256(uint8_t out[32], const void *bytes, size_t n)
{
    uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    const uint8_t *p = bytes;
    uint8_t last[128] = { 0 };
    const size_t rest = n % 64, end = rest < 56 ? 64 : 128;
    for (size_t i = 0; i + 64 <= n; i += 64)
        block(h, p + i);
    if (rest)
        memcpy(last, p + n - rest, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        last[end - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
    for (size_t i = 0; i < end; i += 64)
        block(h, last + i);
    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- keys ---- */

typedef struct key {
    uint8_t digest[DIGEST];
    kn_scope scope;
} key;

struct kn_keys {
    pthread_mutex_t lock; /* guards the rest */
    key *list;
    size_t n, cap;
    int on; /* keys are asked for, though the file may hold none */
};

static ken_status add(kn_keys *k, const uint8_t digest[DIGEST], kn_scope scope)
{
    key *more = kn_room(k->list, k->n, &k->cap, sizeof *k->list);
    if (!more)
        return KEN_E_NOMEM;
    k->list = more;
    memcpy(k->list[k->n].digest, digest, DIGEST);
    k->list[k->n++].scope = scope;
    return KEN_OK;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int read_hex(uint8_t out[DIGEST], const char *s)
{
    for (int i = 0; i < DIGEST; i++) {
        const int a = nibble(s[2 * i]), b = a < 0 ? -1 : nibble(s[2 * i + 1]);
        if (b < 0)
            return -1;
        out[i] = (uint8_t)(16 * a + b);
    }
    return s[2 * DIGEST] ? -1 : 0;
}

static kn_scope scope_named(const char *s, size_t len)
{
    static const struct {
        const char *name;
        kn_scope scope;
    } all[] = { { "read", KN_READ }, { "write", KN_WRITE }, { "admin", KN_ADMIN } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (len == strlen(all[i].name) && !memcmp(s, all[i].name, len))
            return all[i].scope;
    return KN_OPEN;
}

static ken_status read_line(kn_keys *k, char *line)
{
    uint8_t digest[DIGEST];
    line += strspn(line, " \t");
    line[strcspn(line, "\r")] = 0;
    if (!*line || *line == '#')
        return KEN_OK;
    const char *scope = strchr(line, ':'), *hex = scope ? strchr(scope + 1, ':') : NULL;
    const kn_scope which = hex ? scope_named(scope + 1, (size_t)(hex - scope - 1)) : KN_OPEN;
    if (which == KN_OPEN || read_hex(digest, hex + 1))
        return kn_fail(KEN_E_FORMAT, "expects name:read|write|admin:SHA-256 in 64 hex digits");
    return add(k, digest, which);
}

static ken_status read_file(kn_keys *k, const char *file)
{
    unsigned char *bytes = NULL;
    size_t len, number = 0;
    ken_status st = kn_read_file(&bytes, &len, file, MAX_KEYS_FILE);
    for (char *line = (char *)bytes, *end; !st && line && line < (char *)bytes + len; line = end + 1) {
        end = line + strcspn(line, "\n");
        *end = 0;
        number++;
        if ((st = read_line(k, line)))
            kn_fail_in(st, "line %zu", number);
    }
    kn_free(bytes);
    return st ? kn_fail_in(st, "keys file %s", file) : KEN_OK;
}

ken_status kn_keys_new(kn_keys **out, const char *secret, const char *file)
{
    uint8_t digest[DIGEST];
    kn_keys *k = kn_zalloc(1, sizeof *k);
    ken_status st = k ? KEN_OK : KEN_E_NOMEM;
    if (st)
        return st;
    pthread_mutex_init(&k->lock, NULL);
    secret = secret && *secret ? secret : NULL;
    k->on = secret || file;
    if (secret) {
        kn_sha256(digest, secret, strlen(secret));
        st = add(k, digest, KN_ADMIN);
    }
    if (!st && file)
        st = read_file(k, file);
    if (st)
        kn_keys_free(k);
    else
        *out = k;
    return st;
}

void kn_keys_replace(kn_keys *k, kn_keys *from)
{
    pthread_mutex_lock(&k->lock);
    key *old = k->list;
    k->list = from->list;
    k->n = from->n;
    k->cap = from->cap;
    k->on = from->on;
    from->list = old;
    pthread_mutex_unlock(&k->lock);
    kn_keys_free(from);
}

kn_scope kn_keys_scope(kn_keys *k, const char *secret)
{
    uint8_t digest[DIGEST];
    kn_scope scope = KN_OPEN;
    kn_sha256(digest, secret, strlen(secret));
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < k->n; i++) { /* all of them, all bytes: nothing is told by how long it takes */
        unsigned differ = 0;
        for (int b = 0; b < DIGEST; b++)
            differ |= digest[b] ^ k->list[i].digest[b];
        const kn_scope one = differ ? KN_OPEN : k->list[i].scope;
        scope = one > scope ? one : scope;
    }
    pthread_mutex_unlock(&k->lock);
    return scope;
}

int kn_keys_on(kn_keys *k)
{
    pthread_mutex_lock(&k->lock);
    const int on = k->on;
    pthread_mutex_unlock(&k->lock);
    return on;
}

void kn_keys_free(kn_keys *k)
{
    if (!k)
        return;
    pthread_mutex_destroy(&k->lock);
    kn_free(k->list);
    kn_free(k);
}
