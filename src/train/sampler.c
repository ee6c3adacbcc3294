/*
 * sampler.c - balanced batches without a history.
 *
 * Batches cut an endless row of shuffled cycles into pieces of the same length.  A piece that lies
 * across a border could hold something twice, so the head of a cycle is kept clear of what the tail
 * before it has put into that piece: those trade places with some of the cycle's middle.  Where
 * head, middle and tail are well apart the tail stays as it was shuffled, and a cycle follows from
 * the seed and two shuffles; small sets are followed from their first cycle on, which is quick.
 *
 * The samples of a class take turns in shuffled order: a visit takes the next `images`, going
 * around; a new order begins when a visit ends exactly at the end of the row.  So nothing is
 * repeated within a visit and all samples serve equally often.
 */
#include "train/sampler.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/rand.h"

#include <string.h>

enum { STREAM_CYCLE = 1, STREAM_TURN = 2, STREAM_EPISODE = 3 };
enum { MAX_LABEL = 1 << 28 };

/* What is dealt in cycles: classes, some of them on several cards, or samples. */
typedef struct deck {
    uint32_t n, take;
    uint64_t seed, cycle;
    int filled;
    uint32_t *order; /* (n) of `cycle` */
    uint32_t *tail;  /* (take) scratch */
    uint8_t *marked; /* (n) scratch, zero between calls */
} deck;

struct kn_sampler {
    kn_sampler_config c;
    size_t n;          /* samples */
    uint32_t classes;  /* that take part */
    uint32_t repeated; /* the first of them, on c.repeat cards each */
    uint32_t *first;   /* (classes + 1) places in `samples` */
    uint32_t *samples; /* by class */
    uint32_t *photos;  /* (n) or NULL */
    uint32_t *turn;    /* (largest class) scratch */
    deck deck;
};

/* ---- shuffles ---- */

static kn_rand stream(uint64_t seed, uint64_t kind, uint64_t a, uint64_t b)
{
    /* a and b are small: the streams of one kind do not meet below 2^28 and 2^32 */
    return kn_rand_at(seed, kind << 60 | a << 32 | (b & 0xffffffff));
}

static void shuffle(uint32_t *out, uint32_t n, kn_rand r)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = kn_rand_below(&r, i), t = out[i - 1];
        out[i - 1] = out[j];
        out[j] = t;
    }
}

/* k different numbers below n (k <= n), each choice and order equally likely (R. W. Floyd; then
 * shuffled). */
static void choose(uint32_t *out, uint32_t k, uint32_t n, kn_rand *r)
{
    for (uint32_t i = 0; i < k; i++) {
        const uint32_t most = n - k + i;
        uint32_t x = kn_rand_below(r, most + 1);
        for (uint32_t j = 0; j < i; j++)
            if (out[j] == x) {
                x = most;
                break;
            }
        out[i] = x;
    }
    for (uint32_t i = k; i > 1; i--) {
        const uint32_t j = kn_rand_below(r, i), t = out[i - 1];
        out[i - 1] = out[j];
        out[j] = t;
    }
}

/* ---- decks ---- */

static ken_status deck_new(deck *d, uint64_t seed, uint32_t n, uint32_t take)
{
    *d = (deck){ .n = n, .take = take, .seed = seed };
    d->order = kn_alloc(n, sizeof *d->order);
    d->tail = kn_alloc(take, sizeof *d->tail);
    d->marked = kn_zalloc(n, 1);
    return d->order && d->tail && d->marked ? KEN_OK : KEN_E_NOMEM;
}

static void deck_release(deck *d)
{
    kn_free(d->order);
    kn_free(d->tail);
    kn_free(d->marked);
}

static void deck_shuffle(deck *d, uint64_t cycle)
{
    shuffle(d->order, d->n, kn_rand_at(d->seed, (uint64_t)STREAM_CYCLE << 60 | cycle));
    d->cycle = cycle;
    d->filled = 1;
}

static int deck_apart(const deck *d)
{
    return d->n / 4 >= d->take;
}

/* Clear the first `head` places of the `before` cards in tail. */
static void deck_clear_head(deck *d, uint32_t before, uint32_t head)
{
    const uint32_t room = (deck_apart(d) ? d->n - d->take : d->n) - head;
    kn_rand r = kn_rand_at(~d->seed, (uint64_t)STREAM_CYCLE << 60 | d->cycle);
    for (uint32_t i = 0; i < before; i++)
        d->marked[d->tail[i]] = 1;
    for (uint32_t i = 0; i < head; i++) {
        const uint32_t card = d->order[i];
        if (!d->marked[card])
            continue;
        uint32_t j = kn_rand_below(&r, room);
        while (d->marked[d->order[head + j]])
            j = (j + 1) % room;
        d->order[i] = d->order[head + j];
        d->order[head + j] = card;
    }
    for (uint32_t i = 0; i < before; i++)
        d->marked[d->tail[i]] = 0;
}

/* From the cycle in order to the next. */
static void deck_next(deck *d)
{
    const uint64_t cycle = d->cycle + 1;
    const uint32_t before = (uint32_t)(cycle * d->n % d->take);
    memcpy(d->tail, d->order + d->n - before, before * sizeof *d->tail);
    deck_shuffle(d, cycle);
    if (before)
        deck_clear_head(d, before, d->take - before);
}

static void deck_seek(deck *d, uint64_t cycle)
{
    if (d->filled && d->cycle == cycle)
        return;
    if (deck_apart(d) && cycle && !(d->filled && d->cycle + 1 == cycle))
        deck_shuffle(d, cycle - 1); /* its tail is right, which is all that matters */
    else if (!d->filled || d->cycle > cycle)
        deck_shuffle(d, 0);
    while (d->cycle < cycle)
        deck_next(d);
}

/* Card `place` of the endless row; *cycle is the one it lies in. */
static uint32_t deck_card(deck *d, uint64_t place, uint64_t *cycle)
{
    *cycle = place / d->n;
    deck_seek(d, *cycle);
    return d->order[place % d->n];
}

/* ---- the samples of each class ---- */

static ken_status count_labels(uint32_t **out, size_t *count, const uint32_t *labels, size_t n)
{
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = labels[i] > most ? labels[i] : most;
    if (most >= MAX_LABEL || n > UINT32_MAX / 2)
        return kn_fail(KEN_E_LIMIT, "label %u of %zu samples: too many", (unsigned)most, n);
    uint32_t *counts = kn_zalloc((size_t)most + 1, sizeof *counts);
    if (!counts)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        counts[labels[i]]++;
    *out = counts;
    *count = (size_t)most + 1;
    return KEN_OK;
}

/* counts becomes where the next sample of each label goes, UINT32_MAX for labels that stay out. */
static uint32_t lay_out(kn_sampler *s, uint32_t *counts, size_t labels, uint32_t least)
{
    uint32_t at = 0, largest = 0;
    for (size_t i = 0; i < labels; i++) {
        const uint32_t c = counts[i];
        counts[i] = UINT32_MAX;
        if (c < least)
            continue;
        counts[i] = at;
        s->first[s->classes++] = at;
        s->repeated += i < s->c.repeated;
        at += c;
        largest = c > largest ? c : largest;
    }
    s->first[s->classes] = at;
    return largest;
}

static ken_status group(kn_sampler *s, const uint32_t *labels, size_t n)
{
    uint32_t *counts = NULL;
    size_t n_labels = 0;
    const int episodes = s->c.kind == KN_SAMPLER_EPISODES;
    uint32_t least = s->c.least > 1 ? s->c.least : 1;
    if (episodes && least < s->c.images)
        least = s->c.images;
    ken_status st = count_labels(&counts, &n_labels, labels, n);
    if (st)
        return st;
    s->first = kn_alloc(n_labels + 1, sizeof *s->first);
    s->samples = kn_alloc(n, sizeof *s->samples);
    if (s->first && s->samples) {
        const uint32_t largest = lay_out(s, counts, n_labels, least);
        for (size_t i = 0; i < n; i++)
            if (counts[labels[i]] != UINT32_MAX)
                s->samples[counts[labels[i]]++] = (uint32_t)i;
        s->turn = kn_alloc(largest, sizeof *s->turn);
    }
    kn_free(counts);
    return s->turn ? KEN_OK : KEN_E_NOMEM;
}

/* ---- making one ---- */

static ken_status check(const kn_sampler_config *c, const kn_sampler *s)
{
    if (c->kind == KN_SAMPLER_SHUFFLE) {
        if (!c->batch || s->n < c->batch)
            return kn_fail(KEN_E_INVALID, "batches of %u from %zu samples", (unsigned)c->batch,
                           s->n);
        return KEN_OK;
    }
    if (!c->classes || !c->images)
        return kn_fail(KEN_E_INVALID, "batches of %u classes and %u images", (unsigned)c->classes,
                       (unsigned)c->images);
    if (s->classes < c->classes)
        return kn_fail(KEN_E_INVALID, "batches of %u classes: only %u have enough samples",
                       (unsigned)c->classes, (unsigned)s->classes);
    return KEN_OK;
}

static ken_status build(kn_sampler *s, const uint32_t *labels, const uint32_t *photos, size_t n)
{
    const kn_sampler_config *c = &s->c;
    const int plain = c->kind == KN_SAMPLER_SHUFFLE;
    ken_status st = plain || !n ? KEN_OK : group(s, labels, n);
    if (!st)
        st = check(c, s);
    const uint64_t cards = plain ? n : s->classes + (uint64_t)s->repeated * (s->c.repeat - 1);
    if (!st && cards > UINT32_MAX / 2)
        st = kn_fail(KEN_E_LIMIT, "%zu classes repeated %u times: too many", (size_t)s->repeated,
                     (unsigned)s->c.repeat);
    if (!st)
        st = deck_new(&s->deck, c->seed, (uint32_t)cards, plain ? c->batch : c->classes);
    if (st || !photos || plain)
        return st;
    s->photos = kn_alloc(n, sizeof *s->photos);
    if (!s->photos)
        return KEN_E_NOMEM;
    memcpy(s->photos, photos, n * sizeof *photos);
    return KEN_OK;
}

ken_status kn_sampler_new(kn_sampler **out, const kn_sampler_config *c, const uint32_t *labels,
                          const uint32_t *photos, size_t n)
{
    kn_sampler *s = kn_zalloc(1, sizeof *s);
    if (!s)
        return KEN_E_NOMEM;
    s->c = *c;
    s->c.repeat = c->kind == KN_SAMPLER_PK && c->repeat ? c->repeat : 1;
    s->n = n;
    const ken_status st = build(s, labels, photos, n);
    if (st) {
        kn_sampler_free(s);
        return st;
    }
    *out = s;
    return KEN_OK;
}

void kn_sampler_free(kn_sampler *s)
{
    if (!s)
        return;
    deck_release(&s->deck);
    kn_free(s->first);
    kn_free(s->samples);
    kn_free(s->photos);
    kn_free(s->turn);
    kn_free(s);
}

size_t kn_sampler_batch(const kn_sampler *s)
{
    return s->c.kind == KN_SAMPLER_SHUFFLE ? s->c.batch : (size_t)s->c.classes * s->c.images;
}

size_t kn_sampler_classes(const kn_sampler *s)
{
    return s->classes;
}

uint64_t kn_sampler_epoch(const kn_sampler *s)
{
    return ((uint64_t)s->deck.n + s->deck.take - 1) / s->deck.take;
}

/* ---- batches ---- */

static int photo_in(const kn_sampler *s, const uint32_t *batch, size_t n, uint32_t sample)
{
    for (size_t i = 0; i < n; i++)
        if (s->photos[batch[i]] == s->photos[sample])
            return 1;
    return 0;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        const uint32_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* `images` samples of a class for its visit number `visit`, behind the `have` of the batch. */
static void take_turns(kn_sampler *s, uint32_t class, uint64_t visit, uint32_t *batch, size_t have)
{
    const uint32_t *of = s->samples + s->first[class], n = s->first[class + 1] - s->first[class];
    const uint64_t visits = n / gcd(n, s->c.images);
    uint64_t at = visit % visits * s->c.images;
    shuffle(s->turn, n, stream(s->c.seed, STREAM_TURN, class, visit / visits));
    for (uint32_t j = 0; j < s->c.images; j++) {
        uint32_t skip = 0;
        while (s->photos && skip < n && photo_in(s, batch, have + j, of[s->turn[(at + skip) % n]]))
            skip++;
        at += skip == n ? 0 : skip;
        batch[have + j] = of[s->turn[at++ % n]];
    }
}

static void episode(kn_sampler *s, uint64_t step, uint32_t *batch)
{
    const uint32_t ways = s->c.classes, images = s->c.images;
    kn_rand r = kn_rand_at(s->c.seed, (uint64_t)STREAM_EPISODE << 60 | step);
    uint32_t *classes = s->deck.tail;
    choose(classes, ways, s->classes, &r);
    for (uint32_t i = 0; i < ways; i++) {
        const uint32_t first = s->first[classes[i]], n = s->first[classes[i] + 1] - first;
        uint32_t *out = batch + (size_t)i * images;
        choose(out, images, n, &r);
        for (uint32_t j = 0; j < images; j++)
            out[j] = s->samples[first + out[j]];
    }
}

/* The class on a card, and how often it has been dealt before. */
static uint32_t class_on(const kn_sampler *s, uint32_t card, uint64_t cycle, uint64_t *visit)
{
    const uint32_t several = s->repeated * s->c.repeat;
    if (card >= several) {
        *visit = cycle;
        return card - several + s->repeated;
    }
    *visit = cycle * s->c.repeat + card % s->c.repeat;
    return card / s->c.repeat;
}

void kn_sampler_get(kn_sampler *s, uint64_t step, uint32_t *samples)
{
    const uint32_t take = s->deck.take, images = s->c.images;
    uint64_t cycle, visit;
    if (s->c.kind == KN_SAMPLER_EPISODES) {
        episode(s, step, samples);
        return;
    }
    for (uint32_t i = 0; i < take; i++) {
        const uint32_t card = deck_card(&s->deck, step * take + i, &cycle);
        if (s->c.kind == KN_SAMPLER_SHUFFLE) {
            samples[i] = card;
        } else {
            const uint32_t class = class_on(s, card, cycle, &visit);
            take_turns(s, class, visit, samples, (size_t)i * images);
        }
    }
}
