/*
 * loss_watch.c - auto mining, and the watch for embeddings that draw together.
 *
 * Hard mining from a random start sits on a plateau with all embeddings in one point, where the
 * loss is the margin (or ln 2) and every triplet is active; all triplets, then semi-hard ones, do
 * not.  So auto mining goes on to harder terms only once few of the present ones are left to learn
 * from, and takes a step back, for good, when hard ones make the run collapse.
 */
#include "train/loss_state.h"

#include <math.h>

enum { SETTLE = 50, PATIENCE = 50 };
#define ALL_DONE 0.05      /* active share below which all triplets have taught what they can */
#define SEMIHARD_DONE 0.10 /* … and semi-hard ones */

static int of_terms(const kn_loss *l)
{
    return l->c.kind == KN_LOSS_TRIPLET || l->c.kind == KN_LOSS_CONTRASTIVE;
}

static void follow(double *mean, double x, double keep, double runs)
{
    const double k = keep < 1 - 1 / runs ? keep : 1 - 1 / runs; /* a plain mean at first */
    *mean = k * *mean + (1 - k) * x;
}

/* Does this run look like one point?  On the plateau of a triplet loss with distances that do not
 * grow, or no distance at all. */
static int looks_collapsed(const kn_loss *l, const kn_loss_report *r)
{
    const watch *w = &l->watch;
    const double length = l->c.normalize ? 1 : r->norm;
    if (!(r->negative > 0))
        return r->negative == 0 && r->norm > 0 && r->active > 0.9;
    if (r->negative < 1e-3 * length)
        return 1;
    if (l->c.kind != KN_LOSS_TRIPLET)
        return 0;
    const double plateau = l->c.soft ? 0.6931471805599453 : (double)l->c.margin;
    return fabs(r->loss - plateau) < 0.05 * plateau && w->active > 0.8 && w->fast < 1.05 * w->slow;
}

static void move_on(kn_loss *l, kn_loss_report *r, kn_mining to, const char *why)
{
    l->mining = to;
    l->watch.stage = (double)to;
    l->watch.runs = l->watch.stuck = 0;
    r->reason = why;
}

static void mine(kn_loss *l, kn_loss_report *r)
{
    const watch *w = &l->watch;
    const int triplet = l->c.kind == KN_LOSS_TRIPLET;
    if (w->runs < SETTLE)
        return;
    if (l->mining == KN_MINING_ALL && triplet && w->active < ALL_DONE)
        move_on(l, r, KN_MINING_SEMIHARD,
                "few active triplets left: mining goes on from all to semi-hard");
    else if (l->mining == KN_MINING_ALL && !triplet && w->active < ALL_DONE && !(w->warned > 0))
        move_on(l, r, KN_MINING_HARD, "few active pairs left: mining goes on from all to hard");
    else if (l->mining == KN_MINING_SEMIHARD && w->active < SEMIHARD_DONE && !(w->warned > 0))
        move_on(l, r, KN_MINING_HARD,
                "few active triplets left: mining goes on from semi-hard to hard");
}

static void collapse(kn_loss *l, kn_loss_report *r)
{
    watch *w = &l->watch;
    const int first = !(w->warned > 0);
    w->warned = 1;
    if (l->c.mining == KN_MINING_AUTO && l->mining == KN_MINING_HARD) {
        const int triplet = l->c.kind == KN_LOSS_TRIPLET;
        move_on(l, r, triplet ? KN_MINING_SEMIHARD : KN_MINING_ALL,
                "hard mining draws all embeddings together: a step back, for good");
        return;
    }
    r->collapsed = 1;
    if (!first)
        return;
    r->reason = l->c.kind == KN_LOSS_TRIPLET && l->mining == KN_MINING_HARD
                    ? "all embeddings draw together, the loss stays at its plateau: mine all or "
                      "semihard first (auto does), or lower the learning rate"
                    : "all embeddings draw together: lower the learning rate or warm up longer";
}

void kn_loss_watch(kn_loss *l, kn_loss_report *r)
{
    watch *w = &l->watch;
    if (r->bad >= 0)
        return;
    w->runs++;
    follow(&w->active, r->active, 0.95, w->runs);
    follow(&w->fast, r->negative, 0.9, w->runs);
    follow(&w->slow, r->negative, 0.99, w->runs);
    w->stuck = looks_collapsed(l, r) ? w->stuck + 1 : 0;
    if (w->stuck >= PATIENCE)
        collapse(l, r);
    else if (l->c.mining == KN_MINING_AUTO && of_terms(l))
        mine(l, r);
}
