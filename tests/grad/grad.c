/* grad.c - differences, and the program that checks every group. */
#include "tests/grad/grad.h"

#include "base/rand.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define H 1e-7
#define TOLERANCE 1e-5
enum { MOST = 400 };

typedef struct tally {
    double worst, a, n; /* the worst error, and what differed */
    size_t part, entry, left_out, checked;
} tally;

static double difference(kn_grad_fn *fn, void *cookie, float *x, double h)
{
    const float before = *x;
    *x = before + h;
    const double up = fn(cookie), above = *x;
    *x = before - h;
    const double down = fn(cookie), below = *x;
    *x = before;
    return (up - down) / (above - below);
}

static double apart(double a, double b, double floor)
{
    const double size = fmax(fmax(fabs(a), fabs(b)), floor);
    return size > 0 ? fabs(a - b) / size : 0;
}

static void check_part(kn_grad_fn *fn, void *cookie, const kn_grad_part *p, const double *g,
                       size_t part, double most, tally *t)
{
    const size_t limit = p->most ? p->most : MOST, steps = p->n < limit ? p->n : limit;
    for (size_t s = 0; s < steps; s++) {
        const size_t i = s * p->n / steps;
        const double n = difference(fn, cookie, p->x + i, H);
        const double half = difference(fn, cookie, p->x + i, H / 2);
        const double error = apart(g[i], n, 1e-3 * most);
        t->checked++;
        if (apart(n, half, 1e-3 * most) > TOLERANCE) {
            t->left_out++;
        } else if (error > t->worst || error != error) {
            t->worst = error == error ? error : INFINITY;
            t->a = g[i];
            t->n = n;
            t->part = part;
            t->entry = i;
        }
    }
}

int kn_grad_check(const char *name, kn_grad_fn *fn, void *cookie, const kn_grad_part *parts,
                  size_t n_parts)
{
    tally t = { 0 };
    double most = 0;
    double **copy = malloc(n_parts * sizeof *copy);
    for (size_t i = 0; i < n_parts; i++) {
        copy[i] = malloc(parts[i].n * sizeof **copy + 1);
        memcpy(copy[i], parts[i].g, parts[i].n * sizeof **copy);
        for (size_t j = 0; j < parts[i].n; j++)
            most = fmax(most, fabs(copy[i][j]));
    }
    for (size_t i = 0; i < n_parts; i++)
        check_part(fn, cookie, &parts[i], copy[i], i, most, &t);
    for (size_t i = 0; i < n_parts; i++)
        free(copy[i]);
    free(copy);
    const int failed = !(t.worst <= TOLERANCE) || t.left_out * 50 > t.checked;
    printf("%s %.2e", name, t.worst);
    if (t.left_out)
        printf("  (%zu of %zu left out)", t.left_out, t.checked);
    if (failed)
        printf("  FAILED: part %zu, entry %zu: %.9g, difference %.9g", t.part, t.entry, t.a, t.n);
    printf("\n");
    return failed;
}

void kn_grad_fill(float *x, size_t n, unsigned seed, double scale)
{
    kn_rand_fill_normal(x, n, seed, 0, scale);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    static int (*const groups[])(void) = { kn_grad_losses, kn_grad_graphs };
    int failed = 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        failed += groups[i]();
    printf("%d failed\n", failed);
    return failed != 0;
}
