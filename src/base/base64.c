/* base64.c - see base64.h. */
#include "base/base64.h"

#include "base/alloc.h"

#include <stdint.h>
#include <string.h>

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *kn_base64(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    char *out = kn_alloc((n + 2) / 3 * 4 + 1, 1), *o = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const uint32_t v =
            (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        *o++ = LETTERS[v >> 18];
        *o++ = LETTERS[v >> 12 & 63];
        *o++ = left > 1 ? LETTERS[v >> 6 & 63] : '=';
        *o++ = left > 2 ? LETTERS[v & 63] : '=';
    }
    *o = 0;
    return out;
}

static int value(char c)
{
    const char *at = c ? strchr(LETTERS, c) : NULL;
    return at ? (int)(at - LETTERS) : -1;
}

unsigned char *kn_unbase64(const char *text, size_t *n, int *bad)
{
    const size_t len = strlen(text);
    const size_t pad = len < 2 ? 0 : text[len - 2] == '=' ? 2 : text[len - 1] == '=';
    *bad = len % 4 != 0;
    unsigned char *out = *bad ? NULL : kn_alloc(len / 4 * 3 + 1, 1);
    if (!out)
        return NULL;
    *n = 0;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t v = 0;
        for (size_t j = 0; j < 4; j++) {
            const int padding = i + j >= len - pad;
            const int one = padding ? text[i + j] == '=' ? 0 : -1 : value(text[i + j]);
            *bad |= one < 0;
            v = v << 6 | (uint32_t)(one & 63);
        }
        out[(*n)++] = (unsigned char)(v >> 16);
        out[(*n)++] = (unsigned char)(v >> 8);
        out[(*n)++] = (unsigned char)v;
    }
    *n -= pad;
    if (!*bad)
        return out;
    kn_free(out);
    return NULL;
}
