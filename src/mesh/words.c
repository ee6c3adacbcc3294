/* words.c - texts word by word, any line ends. */
#include "mesh/parse.h"

#include "base/error.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void take(kn_words *w)
{
    size_t n = 0;
    for (; w->at < w->end && !is_space(*w->at); w->at++) {
        const unsigned char c = *w->at;
        if (n + 1 < sizeof w->word)
            w->word[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c ? c : '?');
    }
    w->word[n] = 0;
}

int kn_words_next(kn_words *w)
{
    for (; w->at < w->end && is_space(*w->at); w->at++)
        w->line += *w->at == '\n';
    take(w);
    return w->word[0] != 0;
}

int kn_words_next_here(kn_words *w)
{
    while (w->at < w->end && *w->at != '\n' && is_space(*w->at))
        w->at++;
    take(w);
    return w->word[0] != 0;
}

void kn_words_skip_line(kn_words *w)
{
    while (w->at < w->end && *w->at != '\n')
        w->at++;
    w->line += w->at < w->end;
    w->at += w->at < w->end;
}

ken_status kn_words_float(const kn_words *w, float *out)
{
    char *end;
    const double x = strtod(w->word, &end);
    if (end == w->word || *end)
        return kn_fail(KEN_E_FORMAT, "line %zu: \"%s\" is not a number", w->line, w->word);
    *out = (float)x;
    if (!isfinite(*out))
        return kn_fail(KEN_E_FORMAT, "line %zu: the coordinate %s is not finite", w->line, w->word);
    return KEN_OK;
}

ken_status kn_words_whole(const kn_words *w, long long *out, const char **rest)
{
    char *end;
    errno = 0;
    *out = strtoll(w->word, &end, 10);
    if (end == w->word || errno || (*end && !rest))
        return kn_fail(KEN_E_FORMAT, "line %zu: \"%s\" is not a whole number", w->line, w->word);
    if (rest)
        *rest = end;
    return KEN_OK;
}
