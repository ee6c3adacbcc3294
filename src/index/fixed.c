/* fixed.c - through the table kernel of product quantisers, whose order of additions is fixed. */
#include "index/fixed.h"

#include "base/alloc.h"
#include "base/parallel.h"
#include "kernels/kernels.h"

#include <string.h>

enum { COLUMNS = 256 };

typedef struct job {
    const float *panels; /* blocks of COLUMNS columns, (depth, columns) each, padded to 16 */
    size_t depth, columns;
    const float *x;
    float *out;
} job;

static size_t padded(size_t columns)
{
    return (columns + 15) / 16 * 16;
}

static ken_status multiply(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const job *p = cookie;
    const kn_kernels *kern = kn_kernels_get();
    float some[COLUMNS];
    const float *panel = p->panels;
    (void)worker;
    for (size_t j = 0; j < p->columns; j += COLUMNS) {
        const size_t columns = p->columns - j < COLUMNS ? p->columns - j : COLUMNS;
        const kn_pq_space space = { 1, padded(columns), p->depth, panel };
        for (size_t i = begin; i < end; i++) {
            kern->pq_dot(&space, p->x + i * p->depth, some);
            memcpy(p->out + i * p->columns + j, some, columns * sizeof *some);
        }
        panel += p->depth * padded(columns);
    }
    return KEN_OK;
}

ken_status kn_fixed_product(const float *x, size_t n, size_t depth, const float *b, size_t columns,
                      int transposed, uint32_t threads, float *out)
{
    float *panels = kn_alloc_aligned(depth * padded(columns) + 1, sizeof *panels), *p = panels;
    if (!panels)
        return KEN_E_NOMEM;
    memset(panels, 0, depth * padded(columns) * sizeof *panels);
    for (size_t j = 0; j < columns; j += COLUMNS) {
        const size_t some = columns - j < COLUMNS ? columns - j : COLUMNS;
        for (size_t e = 0; e < depth; e++, p += padded(some))
            for (size_t c = 0; c < some; c++)
                p[c] = transposed ? b[(j + c) * depth + e] : b[e * columns + j + c];
    }
    job j = { panels, depth, columns, x, out };
    const ken_status st = kn_parallel(n, 1, threads ? threads : 1, multiply, &j);
    kn_free(panels);
    return st;
}
