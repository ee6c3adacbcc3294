/* keys.c - API keys, compared by their SHA-256. */
#include "serve/keys.h"

#include "base/alloc.h"
#include "base/digits.h"
#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

#include <pthread.h>
#include <string.h>

enum { DIGEST = KN_SHA256_BYTES, MAX_KEYS_FILE = 1 << 20 };

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

static int read_hex(uint8_t out[DIGEST], const char *s)
{
    for (int i = 0; i < DIGEST; i++) {
        const int a = kn_hex_digit(s[2 * i]), b = a < 0 ? -1 : kn_hex_digit(s[2 * i + 1]);
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
