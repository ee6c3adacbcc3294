/* words.c - texts of samples. */
#include "train/words.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

typedef struct line {
    const char *label, *text;
    size_t order;
} line;

struct kn_words {
    unsigned char *block;
    size_t block_bytes;
    kn_tokenizer *tokenizer;
    unsigned char *file;
    line *lines; /* (n) by label, in the order of the file */
    size_t n;
};

static const size_t MAX_FILE = (size_t)1 << 28;

static int by_label(const void *a, const void *b)
{
    const line *x = a, *y = b;
    const int c = strcmp(x->label, y->label);
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

/* A field in quotes is unquoted in place; *end is at the comma or line end behind it.  NULL: not closed. */
static char *field(char *at, char **end)
{
    if (*at != '"') {
        *end = at + strcspn(at, ",\r\n");
        return at;
    }
    char *to = at, *from = at + 1;
    for (; *from && (*from != '"' || from[1] == '"'); *to++ = *from++)
        from += *from == '"';
    if (*from != '"')
        return NULL;
    *end = from + 1;
    *to = 0;
    return at;
}

static ken_status add_line(kn_words *w, size_t *cap, line l)
{
    if (w->n == *cap) {
        *cap = *cap ? 2 * *cap : 256;
        line *more = kn_realloc(w->lines, *cap * sizeof *more);
        if (!more)
            return KEN_E_NOMEM;
        w->lines = more;
    }
    w->lines[w->n++] = l;
    return KEN_OK;
}

static ken_status read_lines(kn_words *w, const char *path)
{
    size_t len, cap = 0, number = 0;
    ken_status st = kn_read_file(&w->file, &len, path, MAX_FILE);
    char *at = (char *)w->file;
    while (!st && *at) {
        char *end, *label, *text;
        number++;
        label = field(at, &end);
        if (!label || *end != ',')
            return kn_fail(KEN_E_FORMAT, "%s: line %zu: expected label,text", path, number);
        *end = 0;
        text = field(end + 1, &at);
        if (!text || (*at && *at != '\r' && *at != '\n'))
            return kn_fail(KEN_E_FORMAT, "%s: line %zu: expected label,text and nothing behind", path,
                           number);
        if (*at == '\r')
            *at++ = 0;
        if (*at)
            *at++ = 0;
        if (number > 1 || strcmp(label, "label"))
            st = add_line(w, &cap, (line){ label, text, w->n });
    }
    if (!st && w->n)
        qsort(w->lines, w->n, sizeof *w->lines, by_label);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

static ken_status read_vocab(kn_words *w, const char *path)
{
    unsigned char *text = NULL;
    size_t len;
    ken_status st = kn_read_file(&text, &len, path, MAX_FILE);
    if (!st)
        st = kn_tokenizer_build(&w->block, &w->block_bytes, "bert-wordpiece", text, len);
    if (!st)
        st = kn_tokenizer_open(&w->tokenizer, "bert-wordpiece", w->block, w->block_bytes);
    kn_free(text);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

ken_status kn_words_open(kn_words **out, const char *vocab, const char *texts)
{
    kn_words *w = kn_zalloc(1, sizeof *w);
    ken_status st = w ? read_vocab(w, vocab) : KEN_E_NOMEM;
    if (!st && texts)
        st = read_lines(w, texts);
    if (st)
        kn_words_close(w);
    else
        *out = w;
    return st;
}

void kn_words_close(kn_words *w)
{
    if (!w)
        return;
    kn_tokenizer_close(w->tokenizer);
    kn_free(w->block);
    kn_free(w->file);
    kn_free(w->lines);
    kn_free(w);
}

const void *kn_words_block(const kn_words *w, size_t *bytes)
{
    *bytes = w->block_bytes;
    return w->block;
}

uint32_t kn_words_vocab(const kn_words *w)
{
    return kn_tokenizer_vocab(w->tokenizer);
}

int32_t kn_words_end(const kn_words *w)
{
    return kn_tokenizer_end(w->tokenizer);
}

/* A line of the label, by the variant; its name where there is none. */
static const char *line_of(const kn_words *w, const char *label, uint32_t variant)
{
    size_t lo = 0, hi = w->n, end;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (strcmp(w->lines[mid].label, label) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (end = lo; end < w->n && !strcmp(w->lines[end].label, label); end++)
        ;
    return end > lo ? w->lines[lo + variant % (end - lo)].text : label;
}

ken_status kn_words_of(const kn_words *w, const kn_data *d, size_t i, uint32_t variant, int32_t *ids,
                       size_t *n)
{
    char en[KN_TOY_CAPTION], zh[KN_TOY_CAPTION], says[KN_TOY_CAPTION];
    uint64_t id;
    kn_toy_mode mode;
    uint32_t number;
    const char *text;
    if (kn_data_toy(d, i, 0, &id, &mode, &number)) {
        kn_toy toy;
        kn_toy_make(&toy, id);
        kn_toy_caption(&toy, NULL, variant / 2, 0, en, zh, says);
        text = variant & 1 ? zh : en;
    } else {
        text = line_of(w, kn_data_class(d, kn_data_labels(d)[i]), variant);
    }
    return kn_tokenize(w->tokenizer, text, KN_WORDS_CONTEXT, ids, n);
}
