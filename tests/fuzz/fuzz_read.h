/* fuzz_read.h - any bytes through a reader of checkpoints, and every tensor of what it accepts. */
#ifndef FUZZ_READ_H
#define FUZZ_READ_H

#include "tests/fuzz/fuzz.h"
#include "tools/convert/names.h"
#include "tools/convert/read.h"

enum { MOST_FLOATS = 1 << 16 };

typedef ken_status (*fuzz_reader)(cv_set *s, const void *bytes, size_t len, const char *file);

/* Reads every element: outside the block, the sanitizer sees it. */
static inline void fuzz_tensors(cv_set *s)
{
    float *out = malloc(MOST_FLOATS * sizeof *out);
    for (size_t i = 0; out && i < s->len; i++) {
        const cv_tensor *t = &s->list[i];
        const cv_view v = cv_view_of(t);
        uint64_t n = 1;
        for (uint32_t j = 0; j < t->rank; j++)
            n = t->shape[j] && n > MOST_FLOATS / t->shape[j] ? MOST_FLOATS + 1 : n * t->shape[j];
        if (n <= MOST_FLOATS)
            (void)!cv_view_all(s, &v, out);
    }
    free(out);
}

static inline int fuzz_read(fuzz_reader read, const uint8_t *data, size_t len)
{
    unsigned char *copy = fuzz_copy(data, len);
    cv_set s = { 0 };
    cv_names names;
    if (!copy)
        return 0;
    if (!read(&s, copy, len, "fuzz")) {
        fuzz_tensors(&s);
        if (!cv_names_map(&names, &s))
            cv_names_release(&names);
    }
    cv_set_release(&s);
    free(copy);
    return 0;
}

#endif
