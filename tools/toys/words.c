/*
 * words.c - captions, and how far they can lead: who knows every attribute that a caption tells, and
 * of every toy what it is, still has to guess among those that it fits.
 */
#include "tools/toys/toys_tool.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"

#include <stdio.h>
#include <string.h>

typedef int32_t values[KN_TELLS][2];

/* A comma-separated list of attributes as a mask. */
static uint32_t told_in(const char *says)
{
    uint32_t mask = 0;
    for (int i = 0; i < KN_TELLS; i++) {
        const size_t n = strlen(kn_tell_name((kn_tell)i));
        for (const char *at = says; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
            if (!strncmp(at, kn_tell_name((kn_tell)i), n) && (at[n] == ',' || !at[n]))
                mask |= 1u << i;
    }
    return mask;
}

/* How many of the told things are otherwise of b than of a. */
static int differences(values a, values b, uint32_t told)
{
    int n = 0;
    for (int i = 0; i < KN_TELLS; i++)
        if (told >> i & 1 && a[i][0] >= 0)
            n += a[i][0] != b[i][0] || a[i][1] != b[i][1];
    return n;
}

enum { APART = 2 };

/* Does the caption say two things or more that are wrong of every other toy? */
static int stands_apart(const tt_args *a, const kn_toy *t, const char *says)
{
    values own, other;
    kn_toy u;
    const uint32_t told = told_in(says);
    kn_toy_tells(t, own);
    for (uint64_t id = a->apart_first; id < a->apart_end; id++) {
        kn_toy_make(&u, id);
        kn_toy_tells(&u, other);
        if (differences(own, other, told) < APART)
            return 0;
    }
    return 1;
}

int tt_captions(const tt_args *a)
{
    char en[KN_TOY_CAPTION], zh[KN_TOY_CAPTION], says[KN_TOY_CAPTION];
    const int choosy = a->apart_end > a->apart_first;
    ken_status st = KEN_OK;
    for (uint64_t id = a->first; !st && id < a->end; id++) {
        kn_toy t;
        kn_toy_make(&t, id);
        for (uint32_t k = 0; k < a->captions; k++) {
            kn_toy_view v;
            kn_toy_view_make(&v, &t, a->mode, a->seed, k);
            kn_toy_caption(&t, &v, k + 1, a->wrong, en, zh, says);
            if (choosy && !stands_apart(a, &t, says))
                continue;
            printf("{\"id\":%llu,\"en\":\"%s\",\"zh\":\"%s\",\"says\":\"%s\"}\n",
                   (unsigned long long)id, en, zh, says);
            if (choosy)
                break;
        }
        st = kn_check_interrupt();
    }
    return st ? tt_fail(st) : TT_DONE;
}

/* ---- the ceiling ---- */

/* How many of the told things both have: the thing is one, its colour another. */
static int matches(values a, values b, uint32_t told)
{
    int n = 0;
    for (int i = 0; i < KN_TELLS; i++)
        if (told >> i & 1 && a[i][0] >= 0 && a[i][0] == b[i][0])
            n += 1 + (a[i][1] >= 0 && a[i][1] == b[i][1]);
    return n;
}

/* Toys that match as well as toy i: the best answer picks one of them at random. */
static uint64_t rivals(values *all, uint64_t n, uint64_t i, uint32_t told)
{
    const int full = matches(all[i], all[i], told);
    uint64_t ties = 0;
    for (uint64_t j = 0; j < n; j++)
        ties += matches(all[i], all[j], told) == full;
    return ties;
}

int tt_ceiling(const tt_args *a)
{
    char en[KN_TOY_CAPTION], zh[KN_TOY_CAPTION], says[KN_TOY_CAPTION];
    const uint64_t n = a->end - a->first;
    double top1 = 0, top10 = 0, told = 0;
    values *all = kn_alloc(n, sizeof *all);
    ken_status st = all ? KEN_OK : KEN_E_NOMEM;
    kn_toy t;
    for (uint64_t i = 0; !st && i < n; i++) {
        kn_toy_make(&t, a->first + i);
        kn_toy_tells(&t, all[i]);
    }
    for (uint64_t i = 0; !st && i < n; i++) {
        kn_toy_make(&t, a->first + i);
        for (uint32_t k = 0; k < a->captions; k++) {
            kn_toy_caption(&t, NULL, k + 1, 0, en, zh, says);
            const uint32_t mask = told_in(says);
            const double ties = (double)rivals(all, n, i, mask);
            top1 += 1 / ties;
            top10 += ties > 10 ? 10 / ties : 1;
            told += __builtin_popcount(mask);
        }
        st = kn_check_interrupt();
    }
    kn_free(all);
    if (st)
        return tt_fail(st);
    const double q = (double)n * a->captions;
    printf(a->json
               ? "{\"toys\":%llu,\"captions\":%.0f,\"top1\":%.4f,\"top10\":%.4f,\"told\":%.2f}\n"
               : "%llu toys, %.0f captions: R@1 %.4f, R@10 %.4f; %.2f attributes told\n",
           (unsigned long long)n, q, top1 / q, top10 / q, told / q);
    return TT_DONE;
}
