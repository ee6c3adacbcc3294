/*
 * ivf_search.c - the nearest lists, what is in them, and a finish with whole rows.
 *
 * Codes give candidates: a pool of at most twice as many as will be compared with their rows; when it
 * is full, the nearer half stays and its farthest bounds what comes.  Candidates are ordered by
 * distance and place, all of it in one integer, so the order in which lists are read does not matter.
 *
 * Queries that come together are answered together: a list is read once for all of them that want it, and
 * stays in the cache meanwhile.  Each one's nearest lists come first, as they bound what is left.
 */
#include "index/ivf.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROUP = 64,        /* queries that are answered together, at most, … */
    GROUP_BYTES = 1 << 20, /* … in so much memory */
    SPAN = 64,         /* blocks of 4-bit codes scanned at once … */
    CODES = SPAN * 32, /* … and codes of 8 bits */
    LEAST_PROBES = 8
};

/* A query on its way. */
typedef struct asked {
    const float *query, *turned;
    kn_topk *top;
    float *scores;       /* (lists) */
    uint64_t *order;     /* (lists) the nearest first; `looked_at` of them have been weighed */
    size_t looked_at;
    float *table;        /* (m, k); of 4-bit codes only a step towards lut, shared by all */
    uint8_t *lut;
    kn_pq4_lut step;
    uint64_t *pool;      /* (2 keep + 1) */
    size_t pooled, seen; /* candidates; rows that were allowed and looked at */
    uint64_t bound;      /* nothing behind it can be among the nearest `keep` */
} asked;

typedef struct seek {
    const kn_ivf *x;
    const kn_kernels *kern;
    const kn_find *find;
    size_t probes, keep; /* lists; candidates that are compared with their rows */
    size_t group;
    asked *asked;        /* (group) */
    float *rotated;      /* (group, dim) */
    float *shifted;      /* (dim) */
    float *sums;         /* (CODES) */
    uint16_t *small;     /* (CODES) */
    uint32_t *hits;      /* (SPAN) */
    uint32_t *starts;    /* (lists + 1) visits by list */
    uint8_t *visits;     /* (group * probes) who */
} seek;

/* Unsigned numbers in the order of floats, and back. */
static uint32_t ordered(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u >> 31 ? ~u : u | 1u << 31;
}

static float unordered(uint32_t u)
{
    float x;
    u = u >> 31 ? u & ~(1u << 31) : ~u;
    memcpy(&x, &u, 4);
    return x;
}

static uint64_t key_of(float distance, size_t place)
{
    return (uint64_t)ordered(distance) << 32 | (uint32_t)place;
}

/* The `count` least of n come first, in any order (quickselect, the pivot a median of three). */
static void select_least(uint64_t *p, size_t n, size_t count)
{
    size_t low = 0, high = n;
    while (high - low > 1 && count > low && count < high) {
        const uint64_t a = p[low], b = p[low + (high - low) / 2], c = p[high - 1];
        const uint64_t most = a > b ? a : b, least = a > b ? b : a;
        const uint64_t pivot = c > most ? most : c < least ? least : c;
        size_t i = low, j = high - 1;
        for (;;) {
            while (p[i] < pivot)
                i++;
            while (p[j] > pivot)
                j--;
            if (i >= j)
                break;
            const uint64_t t = p[i];
            p[i++] = p[j];
            p[j--] = t;
        }
        if (i == low || i == high)
            break; /* equal keys alone: any of them will do */
        if (count <= i) /* all before i are at most, all from i on at least the pivot */
            high = i;
        else
            low = i;
    }
}

static int is_l2(const seek *s)
{
    return s->x->rows.metric == KN_METRIC_L2;
}

/* ---- candidates ---------------------------------------------------------------- */

static void thin(const seek *s, asked *a)
{
    if (a->pooled <= s->keep)
        return;
    select_least(a->pool, a->pooled, s->keep);
    a->pooled = s->keep;
    a->bound = 0;
    for (size_t i = 0; i < s->keep; i++)
        a->bound = a->pool[i] > a->bound ? a->pool[i] : a->bound;
}

static inline void offer(const seek *s, asked *a, float distance, size_t place)
{
    const uint64_t key = key_of(distance, place);
    if (key >= a->bound)
        return;
    a->pool[a->pooled++] = key;
    if (a->pooled == 2 * s->keep)
        thin(s, a);
}

static inline int allowed(const seek *s, size_t place)
{
    const uint32_t slot = s->x->slots[place];
    return slot < s->x->rows.n && kn_find_allows(s->find, slot);
}

static float exact(const seek *s, const asked *a, size_t slot)
{
    const size_t dim = s->x->rows.dim;
    const float *row = s->x->rows.f32 + slot * dim;
    return is_l2(s) ? -s->kern->l2sq_f32(a->query, row, dim) : s->kern->dot_f32(a->query, row, dim);
}

static void fetch(const seek *s, size_t slot)
{
    const char *row = (const char *)(s->x->rows.f32 + slot * s->x->rows.dim);
    for (size_t i = 0; i < s->x->rows.dim * sizeof(float); i += 64)
        __builtin_prefetch(row + i);
}

static void finish(const seek *s, asked *a)
{
    enum { AHEAD = 2 };
    const int rows = s->x->rows.f32 != NULL;
    thin(s, a);
    for (size_t i = 0; i < a->pooled; i++) {
        const uint32_t slot = s->x->slots[(uint32_t)a->pool[i]];
        if (rows && i + AHEAD < a->pooled)
            fetch(s, s->x->slots[(uint32_t)a->pool[i + AHEAD]]);
        kn_topk_offer(a->top, s->x->rows.ids[slot],
                      rows ? exact(s, a, slot) : -unordered((uint32_t)(a->pool[i] >> 32)));
    }
}

/* ---- lists ---------------------------------------------------------------------- */

static void scan_rows(const seek *s, asked *a, size_t begin, size_t end)
{
    float floor = kn_topk_floor(a->top);
    for (size_t i = begin; i < end; i++) {
        const uint32_t slot = s->x->slots[i];
        if (i + 1 < end && s->x->slots[i + 1] < s->x->rows.n)
            fetch(s, s->x->slots[i + 1]);
        if (!allowed(s, i))
            continue;
        const float raw = exact(s, a, slot);
        a->seen++;
        if (raw >= floor) {
            kn_topk_offer(a->top, s->x->rows.ids[slot], raw);
            floor = kn_topk_floor(a->top);
        }
    }
}

/* Distances are `base` plus the sums. */
static void scan8(const seek *s, asked *a, size_t begin, size_t end, float base)
{
    const size_t m = s->x->pq.space.m;
    const float *terms = s->x->terms;
    for (size_t i = begin; i < end; i += CODES) {
        const size_t n = end - i < CODES ? end - i : CODES;
        s->kern->pq8_sums(a->table, s->x->codes + i * m, n, m, s->sums);
        for (size_t j = 0; j < n; j++) {
            const float d = base + s->sums[j] + (terms ? terms[i + j] : 0);
            if (ordered(d) > a->bound >> 32) {
                a->seen += !s->find->allowed;
                continue;
            }
            if (!allowed(s, i + j))
                continue;
            a->seen++;
            offer(s, a, d, i + j);
        }
    }
}

/* The greatest sum that can still come in. */
static int limit_of(const asked *a, float base, uint16_t *limit)
{
    const float bound = a->bound == UINT64_MAX ? INFINITY : unordered((uint32_t)(a->bound >> 32));
    const float most = (bound - base) / a->step.step;
    *limit = 65535;
    if (!(a->step.step > 0) || !(most < 65534))
        return 1;
    *limit = most > 0 ? (uint16_t)(most + 1) : 0; /* one more: what rounding may hide */
    return most >= -1;
}

static void scan4(const seek *s, asked *a, size_t list, float base)
{
    const kn_ivf *x = s->x;
    const size_t m2 = (x->pq.space.m + 1) / 2 * 2, first = x->first[list];
    const size_t n = x->first[list + 1] - first, blocks = kn_pq4_blocks(n);
    const uint8_t *codes = x->codes + x->blocks[list] * kn_pq4_block_bytes(m2);
    uint16_t limit;
    a->seen += s->find->allowed ? 0 : n;
    for (size_t b = 0; b < blocks; b += SPAN) {
        const size_t some = blocks - b < SPAN ? blocks - b : SPAN;
        if (!limit_of(a, base, &limit) && !s->find->allowed)
            return;
        s->kern->pq4_scan(codes + b * kn_pq4_block_bytes(m2), some, m2, a->lut, limit, s->small,
                          s->hits);
        for (size_t i = 0; i < some; i++)
            for (uint32_t hits = s->hits[i]; hits; hits &= hits - 1) {
                const size_t v = 32 * i + (size_t)__builtin_ctz(hits), at = 32 * b + v;
                if (at >= n || !allowed(s, first + at))
                    continue;
                a->seen += s->find->allowed != NULL;
                offer(s, a, base + a->step.step * s->small[v], first + at);
            }
    }
}

/* One table for all lists, unless 4-bit codes are of residuals and distances squared. */
static int own_table(const seek *s)
{
    return s->x->residual && is_l2(s) && kn_ivf_bits(s->x) == 4;
}

static void make_table(const seek *s, asked *a, const float *q)
{
    const kn_pq_space *p = &s->x->pq.space;
    const int whole = is_l2(s) && (!s->x->residual || own_table(s));
    const float factor = is_l2(s) ? -2 : -1; /* -2 q.r of |q - c - r|^2; minus the inner product */
    if (whole)
        s->kern->pq_l2(p, q, a->table);
    else
        s->kern->pq_dot(p, q, a->table);
    for (size_t i = 0; !whole && i < p->m * p->k; i++)
        a->table[i] *= factor;
    if (p->k == 16)
        a->step = kn_pq4_quantise(a->table, p->m, a->lut);
}

/* What all distances of a list have in common, besides the table's sums. */
static float base_of(const seek *s, const asked *a, size_t list)
{
    const size_t dim = s->x->rows.dim;
    const float *c = s->x->centres + list * dim;
    if (!s->x->residual)
        return 0;
    return is_l2(s) ? s->kern->l2sq_f32(a->turned, c, dim) : -a->scores[list];
}

static void scan(const seek *s, asked *a, size_t list)
{
    const kn_ivf *x = s->x;
    const size_t dim = x->rows.dim, begin = x->first[list], end = x->first[list + 1];
    if (begin == end)
        return;
    if (!x->pq.space.m) {
        scan_rows(s, a, begin, end);
        return;
    }
    if (own_table(s)) {
        for (size_t e = 0; e < dim; e++)
            s->shifted[e] = a->turned[e] - x->centres[list * dim + e];
        make_table(s, a, s->shifted);
    }
    const float base = own_table(s) ? 0 : base_of(s, a, list);
    if (x->pq.space.k == 16)
        scan4(s, a, list, base + a->step.base);
    else
        scan8(s, a, begin, end, base);
}

/* ---- queries -------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Lists by their centres' codes; those that may be among the nearest, how many is returned, come first
 * and are weighed by the centres themselves. */
static size_t weigh_by_code(const seek *s, asked *a)
{
    const kn_ivf *x = s->x;
    const size_t m2 = (x->pq.space.m + 1) / 2 * 2, blocks = kn_pq4_blocks(x->lists);
    const size_t wish = s->probes + s->probes / 4 + 8, dim = x->rows.dim;
    const size_t some = wish < x->lists ? wish : x->lists;
    for (size_t b = 0; b < blocks; b += SPAN) {
        const size_t n = blocks - b < SPAN ? blocks - b : SPAN;
        s->kern->pq4_scan(x->coarse + b * kn_pq4_block_bytes(m2), n, m2, a->lut, 0, s->small, s->hits);
        for (size_t l = 32 * b; l < 32 * (b + n) && l < x->lists; l++)
            a->order[l] = (uint64_t)s->small[l - 32 * b] << 32 | l;
    }
    select_least(a->order, x->lists, some);
    for (size_t i = 0; i < some; i++) {
        const uint32_t l = (uint32_t)a->order[i];
        a->scores[l] = s->kern->dot_f32(a->turned, x->centres + l * dim, dim);
        a->order[i] = key_of(x->halves[l] - a->scores[l], l);
    }
    return some;
}

/* How many of the nearest lists are read first: they bound the others. */
static size_t first_of(const seek *s)
{
    return s->probes / 4;
}

/* Which lists are the nearest. */
static void set_out(const seek *s, asked *a)
{
    const size_t lists = s->x->lists;
    a->pooled = a->seen = 0;
    a->bound = UINT64_MAX;
    if (s->x->pq.space.m && !own_table(s))
        make_table(s, a, a->turned);
    a->looked_at = s->x->coarse ? weigh_by_code(s, a) : lists;
    for (size_t l = 0; a->looked_at == lists && l < lists; l++)
        a->order[l] = key_of(s->x->halves[l] - a->scores[l], l);
    select_least(a->order, a->looked_at, s->probes);
    select_least(a->order, s->probes, first_of(s));
}

/* Lists begin .. end of each of n queries' orders, list by list. */
static void visit(const seek *s, size_t n, size_t begin, size_t end)
{
    const size_t lists = s->x->lists;
    uint32_t *starts = s->starts;
    memset(starts, 0, (lists + 1) * sizeof *starts);
    for (size_t i = 0; i < n; i++)
        for (size_t j = begin; j < end; j++)
            starts[(uint32_t)s->asked[i].order[j] + 1]++;
    for (size_t l = 0; l < lists; l++)
        starts[l + 1] += starts[l];
    for (size_t i = 0; i < n; i++)
        for (size_t j = begin; j < end; j++)
            s->visits[starts[(uint32_t)s->asked[i].order[j]]++] = (uint8_t)i;
    for (size_t l = 0, at = 0; l < lists; l++) /* starts are ends now */
        for (; at < starts[l]; at++)
            scan(s, &s->asked[s->visits[at]], l);
}

/* Further lists, until k rows were seen that may be answered; and the finish. */
static void arrive(const seek *s, asked *a)
{
    const size_t lists = s->x->lists;
    const size_t most = s->find->allowed ? s->find->n_allowed : s->x->rows.n;
    const size_t enough = s->find->k < most ? s->find->k : most;
    for (size_t i = s->probes; i < lists && a->seen < enough; i++) {
        if (i == s->probes)
            qsort(a->order + i, a->looked_at - i, sizeof *a->order, by_key);
        if (i == a->looked_at)
            qsort(a->order + i, lists - i, sizeof *a->order, by_key);
        scan(s, a, (uint32_t)a->order[i]);
    }
    if (s->x->pq.space.m)
        finish(s, a);
}

/* So few are allowed that looking at each of them is the faster way, and exact. */
static int few_allowed(const seek *s)
{
    const size_t n = s->find->n_allowed;
    return s->find->allowed && s->x->rows.f32 && (n <= 2 * s->keep || n <= s->x->rows.n / 64);
}

static void seek_allowed(const seek *s, asked *a)
{
    const size_t n = s->x->rows.n;
    for (size_t w = 0; w < (n + 63) / 64; w++)
        for (uint64_t bits = s->find->allowed[w]; bits; bits &= bits - 1) {
            const size_t slot = 64 * w + (size_t)__builtin_ctzll(bits);
            if (slot < n)
                kn_topk_offer(a->top, s->x->rows.ids[slot], exact(s, a, slot));
        }
}

uint32_t kn_ivf_nprobe(const kn_ivf *x)
{
    const uint32_t part = x->lists / 16 < LEAST_PROBES ? LEAST_PROBES : x->lists / 16;
    const uint32_t some = x->nprobe ? x->nprobe : part;
    return some < x->lists ? some : x->lists;
}

size_t kn_ivf_rerank(const kn_ivf *x, size_t k)
{
    return x->rows.f32 && x->refine ? 4 * k + 60 : k;
}

/* A filter leaves fewer rows a list: proportionally more of them, up to eight times. */
static size_t probes_of(const kn_ivf *x, const kn_find *p)
{
    size_t probes = p->nprobe ? p->nprobe : kn_ivf_nprobe(x);
    if (p->allowed) {
        const size_t times = x->rows.n / (p->n_allowed + 1);
        probes *= times < 1 ? 1 : times < 8 ? times : 8;
    }
    return probes < x->lists ? probes : x->lists;
}

/* Parts of one piece of memory. */
static void *part(char **at, size_t n, size_t size)
{
    void *p = *at;
    *at += (n * size + 63) / 64 * 64;
    return p;
}

static size_t lay_scratch(seek *s, char *base)
{
    const kn_ivf *x = s->x;
    const size_t m = x->pq.space.m, dim = x->rows.dim, own = x->pq.space.k == 16 ? 0 : m * x->pq.space.k;
    char *at = base;
    s->asked = part(&at, s->group, sizeof *s->asked);
    float *scores = part(&at, s->group * x->lists, sizeof *scores);
    float *shared = part(&at, own ? 0 : m * 16, sizeof *shared);
    s->rotated = part(&at, x->rotation ? s->group * dim : 0, sizeof *s->rotated);
    s->shifted = part(&at, dim, sizeof *s->shifted);
    s->sums = part(&at, CODES, sizeof *s->sums);
    s->small = part(&at, CODES, sizeof *s->small);
    s->hits = part(&at, SPAN, sizeof *s->hits);
    s->starts = part(&at, x->lists + 1, sizeof *s->starts);
    s->visits = part(&at, s->group * s->probes, sizeof *s->visits);
    for (size_t i = 0; i < s->group; i++) {
        asked a = { .scores = scores + i * x->lists };
        a.order = part(&at, x->lists, sizeof *a.order);
        a.table = own ? part(&at, own, sizeof *a.table) : shared;
        a.lut = part(&at, (m + 1) / 2 * 32, 1);
        a.pool = part(&at, 2 * s->keep + 1, sizeof *a.pool);
        if (base)
            s->asked[i] = a;
    }
    return (size_t)(at - base);
}

/* As many queries together as their memory allows. */
static size_t group_of(seek *s, size_t nq)
{
    s->group = 1;
    const size_t one = lay_scratch(s, NULL);
    s->group = 2;
    const size_t each = lay_scratch(s, NULL) - one, most = nq < GROUP ? nq : GROUP;
    const size_t fit = one < GROUP_BYTES ? 1 + (GROUP_BYTES - one) / each : 1;
    return fit < most ? fit : most ? most : 1;
}

static void search_group(seek *s, const float *queries, size_t n, kn_topk *top)
{
    const kn_ivf *x = s->x;
    const size_t dim = x->rows.dim;
    const float *turned = x->rotation ? s->rotated : queries;
    for (size_t i = 0; x->rotation && i < n; i++)
        s->kern->dots_f32(queries + i * dim, x->columns, dim, dim, s->rotated + i * dim);
    for (size_t i = 0; i < n; i++) {
        s->asked[i].query = queries + i * dim;
        s->asked[i].turned = turned + i * dim;
        s->asked[i].top = &top[i];
    }
    if (few_allowed(s)) {
        for (size_t i = 0; i < n; i++)
            seek_allowed(s, &s->asked[i]);
        return;
    }
    if (!x->coarse)
        s->kern->dots_batch_f32(turned, n, x->centres, x->lists, dim, s->asked->scores, x->lists);
    for (size_t i = 0; i < n; i++)
        set_out(s, &s->asked[i]);
    visit(s, n, 0, first_of(s));
    visit(s, n, first_of(s), s->probes);
    for (size_t i = 0; i < n; i++)
        arrive(s, &s->asked[i]);
}

ken_status kn_ivf_search(const void *state, const float *queries, size_t nq, const kn_find *p,
                         kn_scratch *scratch, kn_topk *top)
{
    const kn_ivf *x = state;
    seek s = { .x = x, .kern = kn_kernels_get(), .find = p, .probes = probes_of(x, p) };
    const size_t keep = p->rerank ? p->rerank : kn_ivf_rerank(x, p->k);
    s.keep = keep < p->k ? p->k : keep;
    s.keep = s.keep < x->rows.n ? s.keep : x->rows.n;
    if (!x->rows.n)
        return KEN_OK;
    s.group = group_of(&s, nq);
    char *room = kn_scratch_room(scratch, lay_scratch(&s, NULL));
    if (!room)
        return KEN_E_NOMEM;
    lay_scratch(&s, room);
    for (size_t q = 0; q < nq; q += s.group)
        search_group(&s, queries + q * x->rows.dim, nq - q < s.group ? nq - q : s.group, top + q);
    return KEN_OK;
}
