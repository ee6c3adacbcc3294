/*
 * test_index.c - indexes against a plain list: random additions, replacements, removals, compactions,
 * reopenings and searches; the graph's promises; files that are damaged.
 */
#include "tests/test.h"
#include "tests/unit/index_make.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/rand.h"
#include "index/graph.h"
#include "index/index_state.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- the list ---- */

typedef struct list {
    size_t dim, n, cap;
    const char *metric;
    uint64_t *ids;
    float *rows;
} list;

static void list_free(list *l)
{
    free(l->ids);
    free(l->rows);
}

static size_t list_at(const list *l, uint64_t id)
{
    size_t i = 0;
    while (i < l->n && l->ids[i] != id)
        i++;
    return i;
}

static void list_put(list *l, uint64_t id, const float *row)
{
    size_t at = list_at(l, id);
    if (at == l->cap) {
        l->cap = l->cap * 2 + 16;
        l->ids = realloc(l->ids, l->cap * sizeof *l->ids);
        l->rows = realloc(l->rows, l->cap * l->dim * sizeof *l->rows);
    }
    l->n += at == l->n;
    l->ids[at] = id;
    memcpy(l->rows + at * l->dim, row, l->dim * sizeof *row);
}

static int list_remove(list *l, uint64_t id)
{
    const size_t at = list_at(l, id);
    if (at == l->n)
        return 0;
    l->ids[at] = l->ids[--l->n];
    memmove(l->rows + at * l->dim, l->rows + l->n * l->dim, l->dim * sizeof *l->rows);
    return 1;
}

/* In double, from the definition. */
static double score(const list *l, const float *q, size_t at)
{
    const float *x = l->rows + at * l->dim;
    double dot = 0, qq = 0, xx = 0, l2 = 0;
    for (size_t j = 0; j < l->dim; j++) {
        dot += (double)q[j] * (double)x[j];
        qq += (double)q[j] * (double)q[j];
        xx += (double)x[j] * (double)x[j];
        l2 += ((double)q[j] - (double)x[j]) * ((double)q[j] - (double)x[j]);
    }
    if (!strcmp(l->metric, "l2"))
        return -l2;
    if (!strcmp(l->metric, "ip"))
        return dot;
    return qq > 0 && xx > 0 ? dot / sqrt(qq * xx) : 0;
}

static int falling(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static int allowed(const uint64_t *only, size_t n_only, uint64_t id)
{
    if (!only)
        return 1;
    for (size_t i = 0; i < n_only; i++)
        if (only[i] == id)
            return 1;
    return 0;
}

/* hits: present, allowed, none twice, each with its true score, best first.  Returns how many of the
 * true k scores they reach; *want: how many there are. */
static size_t judge(const list *l, const float *q, size_t k, const uint64_t *only, size_t n_only,
                    const ken_hit *hits, size_t found, size_t *want)
{
    double *all = malloc((l->n + 1) * sizeof *all);
    size_t n = 0, good = 0;
    for (size_t i = 0; i < l->n; i++)
        if (allowed(only, n_only, l->ids[i]))
            all[n++] = score(l, q, i);
    qsort(all, n, sizeof *all, falling);
    *want = k < n ? k : n;
    ck_assert_uint_eq(found, *want);
    for (size_t i = 0; i < found; i++) {
        const size_t at = list_at(l, hits[i].id);
        ck_assert_msg(at < l->n, "id %llu is not there", (unsigned long long)hits[i].id);
        ck_assert(allowed(only, n_only, hits[i].id));
        const double truth = score(l, q, at), near = 1e-4 * (1 + fabs(truth));
        ck_assert_msg(fabs(hits[i].raw - truth) < near, "raw %g, truly %g", hits[i].raw, truth);
        ck_assert(!i || hits[i].raw <= hits[i - 1].raw);
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(hits[i].id, hits[j].id);
        good += truth >= all[*want - 1] - 1e-6 * (1 + fabs(truth));
    }
    free(all);
    return good;
}

/* ---- random operations ---- */

enum { IDS = 400, MOST = 40 };

typedef struct play {
    kn_rand r;
    list l;
    ken_index *ix;
    int on_disk;
    size_t good, want;
} play;

static void random_row(play *p, float *row)
{
    const uint32_t kind = kn_rand_below(&p->r, 12);
    for (size_t j = 0; j < p->l.dim; j++)
        row[j] = kind ? kn_rand_normal(&p->r) : 0; /* the zero vector, too */
    if (kind == 1 && p->l.n) /* and copies */
        memcpy(row, p->l.rows + kn_rand_below(&p->r, (uint32_t)p->l.n) * p->l.dim,
               p->l.dim * sizeof *row);
}

static void do_put(play *p)
{
    const size_t n = 1 + kn_rand_below(&p->r, MOST);
    uint64_t ids[MOST];
    float *rows = malloc(n * p->l.dim * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        ids[i] = kn_rand_below(&p->r, IDS) * 0x100000001u;
        random_row(p, rows + i * p->l.dim);
        list_put(&p->l, ids[i], rows + i * p->l.dim);
    }
    OK(ken_index_put(p->ix, ids, rows, n));
    free(rows);
}

static void do_remove(play *p)
{
    uint64_t ids[MOST];
    const size_t n = 1 + kn_rand_below(&p->r, MOST);
    size_t want = 0, got = 0;
    for (size_t i = 0; i < n; i++) {
        ids[i] = kn_rand_below(&p->r, IDS) * 0x100000001u;
        want += (size_t)list_remove(&p->l, ids[i]);
    }
    OK(ken_index_remove_all(p->ix, ids, n, &got));
    ck_assert_uint_eq(got, want);
}

static void do_reopen(play *p)
{
    const uint32_t how = kn_rand_below(&p->r, 3);
    if (how && p->on_disk)
        OK(ken_index_compact(p->ix));
    if (!p->on_disk) {
        OK(ken_index_compact(p->ix));
        OK(ken_index_save(p->ix, path));
        p->on_disk = 1;
    }
    ken_index_free(p->ix);
    p->ix = NULL;
    OK(ken_index_open(&p->ix, path, 1, NULL));
    OK(ken_index_check(p->ix, NULL, NULL));
}

static void do_search(play *p)
{
    const size_t k = 1 + kn_rand_below(&p->r, 20);
    float *q = malloc(p->l.dim * sizeof *q);
    ken_hit hits[20];
    uint64_t only[MOST];
    size_t found, want;
    ken_find_options o = KEN_FIND_OPTIONS_INIT;
    random_row(p, q);
    if (kn_rand_below(&p->r, 4) == 0) {
        o.only = only;
        o.n_only = kn_rand_below(&p->r, MOST);
        for (size_t i = 0; i < o.n_only; i++)
            only[i] = kn_rand_below(&p->r, IDS) * 0x100000001u;
    }
    o.nprobe = IDS; /* of IVF: all lists */
    o.exact = !o.only && kn_rand_below(&p->r, 8) == 0;
    OK(ken_index_find(p->ix, q, 1, k, &o, hits, &found));
    p->good += judge(&p->l, q, k, o.only, o.n_only, hits, found, &want);
    p->want += want;
    ck_assert(!o.exact || found == want);
    free(q);
}

static void run_play(play *p, const char *kind, size_t ops)
{
    ken_index_options o = KEN_INDEX_OPTIONS_INIT((uint32_t)p->l.dim);
    o.kind = kind;
    o.metric = p->l.metric;
    OK(ken_index_new(&p->ix, &o));
    for (size_t i = 0; i < ops; i++) {
        const uint32_t what = kn_rand_below(&p->r, 1000), rare = ops > 1000 ? 10 : 1;
        if (what < 250)
            do_put(p);
        else if (what < 350)
            do_remove(p);
        else if (what < 350 + 30 / rare)
            OK(ken_index_compact(p->ix));
        else if (what < 380 + 40 / rare && what >= 380)
            do_reopen(p);
        else
            do_search(p);
        ck_assert_uint_eq(ken_index_len(p->ix), p->l.n);
    }
    ken_index_free(p->ix);
    list_free(&p->l);
    unlink(path);
    unlink(log_path);
}

static const char *const metrics[] = { "cosine", "l2", "ip" };
static const size_t dims[] = { 1, 3, 8, 17, 64, 130, 200 };

static void many_plays(const char *kind, double least)
{
    size_t good = 0, want = 0;
    for (uint64_t i = 0; i < kn_test_size(600, 60, 21); i++) {
        play p = { .r = kn_rand_at(i, 77) };
        p.l = (list){ .dim = dims[i % 7], .metric = metrics[i / 7 % 3] };
        run_play(&p, kind, 40);
        good += p.good;
        want += p.want;
    }
    ck_assert_msg((double)good >= least * (double)want, "%s: %zu of %zu", kind, good, want);
}

START_TEST(flat_follows_the_list)
{
    many_plays("Flat", 1);
}
END_TEST

/* Every list is looked into: exact. */
START_TEST(ivf_follows_the_list)
{
    many_plays("IVF8,Flat", 1);
}
END_TEST

START_TEST(hnsw_follows_the_list)
{
    many_plays("HNSW8", .995);
}
END_TEST

START_TEST(one_long_life)
{
    play p = { .r = kn_rand_at(5, 78), .l = { .dim = 24, .metric = "l2" } };
    run_play(&p, "HNSW8", kn_test_size(100000, 1000, 300));
    ck_assert_uint_ge(p.good * 1000, p.want * 995);
}
END_TEST

/* ---- ranges and groups ---- */

static uint64_t third_of(uint64_t id, void *cookie)
{
    ++*(size_t *)cookie;
    return id / 3;
}

/* Of each group the best score, best first; how many. */
static size_t true_groups(const list *l, const float *q, double *best)
{
    size_t n = 0, groups = 0;
    uint64_t *seen = malloc((l->n + 1) * sizeof *seen);
    for (size_t i = 0; i < l->n; i++) {
        size_t g = 0;
        while (g < groups && seen[g] != l->ids[i] / 3)
            g++;
        if (g == groups) {
            seen[groups++] = l->ids[i] / 3;
            best[g] = -1e300;
        }
        const double s = score(l, q, i);
        best[g] = s > best[g] ? s : best[g];
    }
    n = groups;
    qsort(best, n, sizeof *best, falling);
    free(seen);
    return n;
}

/* All within a range, and the best of each group, as the definition has them; rows that are pending, and
 * gone, among them. */
static void check_wide(const char *kind, const char *metric, double least_share)
{
    enum { N = 900, K = 12 };
    list l = { .dim = 24, .metric = metric };
    kn_rand r = kn_rand_at(5, 5);
    ken_index *ix = NULL;
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(24);
    ken_find_options f = KEN_FIND_OPTIONS_INIT;
    size_t calls = 0, got = 0, want = 0;
    double *best = malloc(N * sizeof *best);
    o.kind = kind;
    o.metric = metric;
    f.nprobe = N;
    OK(ken_index_new(&ix, &o));
    for (uint64_t i = 0; i < N; i++) {
        float row[24];
        for (size_t j = 0; j < l.dim; j++)
            row[j] = kn_rand_normal(&r);
        list_put(&l, i, row);
        OK(ken_index_put(ix, &i, row, 1));
        if (i == N * 2 / 3)
            OK(ken_index_compact(ix));
        if (i % 10 == 9) {
            OK(ken_index_remove(ix, i / 2));
            list_remove(&l, i / 2);
        }
    }
    for (size_t turn = 0; turn < kn_test_size(40, 40, 6); turn++) {
        float q[24];
        ken_hit *hits = NULL, top[K];
        size_t found = 0, n = 0;
        for (size_t j = 0; j < l.dim; j++)
            q[j] = kn_rand_normal(&r);
        const double least = score(&l, q, kn_rand_below(&r, (uint32_t)l.n)) - 1e-4;
        OK(ken_index_range(ix, q, (float)least, &f, &hits, &found));
        for (size_t i = 0; i < l.n; i++)
            want += score(&l, q, i) >= (double)(float)least;
        for (size_t i = 0; i < found; i++) {
            ck_assert(hits[i].raw >= (float)least && (!i || hits[i].raw <= hits[i - 1].raw));
            ck_assert_double_eq_tol(score(&l, q, list_at(&l, hits[i].id)), (double)hits[i].raw, 1e-4);
        }
        got += found;
        ken_hits_free(hits);
        f.group = third_of;
        f.cookie = &calls;
        OK(ken_index_find(ix, q, 1, K, &f, top, &n));
        f.group = NULL;
        ck_assert_uint_eq(n, K);
        ck_assert_uint_ge(true_groups(&l, q, best), K);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < i; j++)
                ck_assert_uint_ne(top[i].id / 3, top[j].id / 3);
            want++;
            got += fabs(best[i] - (double)top[i].raw) < 1e-4;
        }
    }
    ck_assert_uint_gt(calls, 0);
    ck_assert_msg((double)got >= least_share * (double)want && got <= want + 40, "%s, %s: %zu of %zu", kind,
                  metric, got, want);
    ken_hit all[N];
    size_t n = 0;
    f.group = third_of; /* more groups are asked for than there are */
    OK(ken_index_find(ix, l.rows, 1, N, &f, all, &n));
    ck_assert_uint_eq(n, true_groups(&l, l.rows, best));
    free(best);
    ken_index_free(ix);
    list_free(&l);
}

START_TEST(ranges_and_groups)
{
    check_wide("Flat", metrics[_i], 1);
    check_wide("IVF8,Flat", metrics[_i], 1);
    check_wide("HNSW8", metrics[_i], .97);
}
END_TEST

/* ---- Flat over codes ---- */

static ken_index *make_index(const char *kind, const char *metric, const float *rows, size_t n,
                             size_t dim, uint32_t threads);

/* One by one, through the codes, the answers are those of comparing every row: ids, scores, order. */
START_TEST(flat_over_codes_is_exact)
{
    enum { K = 15, NQ = 60 };
    const size_t n = kn_test_size(5000, 5000, 1100), dim = _i % 2 ? 300 : 512;
    float *rows = make_rows(n + NQ, dim, 12 + (uint64_t)_i);
    for (size_t i = 0; i < n; i += 9) /* copies, zeros, and rows of other lengths */
        for (size_t j = 0; j < dim; j++)
            rows[i * dim + j] = i % 27 ? rows[(i / 2) * dim + j] : i % 54 ? 0 : 3 * rows[i * dim + j];
    ken_index *ix = make_index("Flat", metrics[_i / 2], rows, n, dim, 2);
    ken_find_options all = KEN_FIND_OPTIONS_INIT;
    ken_hit a[K], b[K];
    size_t na, nb;
    all.exact = 1;
    if (_i % 2 == 0) { /* mapped */
        OK(ken_index_save(ix, path));
        ken_index_free(ix);
        OK(ken_index_open(&ix, path, 0, NULL));
    }
    for (size_t q = 0; q < NQ; q++) {
        const float *query = rows + (q % 3 ? n + q : q) * dim;
        const uint64_t gone = q;
        if (q % 5 == 4)
            OK(ken_index_remove_all(ix, &gone, 1, NULL));
        OK(ken_index_search(ix, query, 1, K, a, &na));
        OK(ken_index_find(ix, query, 1, K, &all, b, &nb));
        ck_assert_uint_eq(na, nb);
        for (size_t i = 0; i < na; i++) {
            ck_assert_msg(a[i].id == b[i].id && a[i].raw == b[i].raw,
                          "query %zu, hit %zu: %llu %.9g, truly %llu %.9g", q, i,
                          (unsigned long long)a[i].id, (double)a[i].raw,
                          (unsigned long long)b[i].id, (double)b[i].raw);
        }
    }
    ken_index_free(ix);
    free(rows);
}
END_TEST

/* ---- the graph ---- */

static ken_index *make_index(const char *kind, const char *metric, const float *rows, size_t n,
                             size_t dim, uint32_t threads)
{
    ken_index *ix = NULL;
    ken_index_options o = KEN_INDEX_OPTIONS_INIT((uint32_t)dim);
    o.kind = kind;
    o.metric = metric;
    o.threads = threads;
    o.seed = 9;
    OK(ken_index_build(&ix, &o, NULL, rows, n));
    return ix;
}

/* Of ten neighbours, with so many in sight (0: the index's choice). */
static double recall_at(const ken_index *ix, const ken_index *truth, const float *q, size_t nq, uint32_t ef)
{
    enum { K = 10 };
    ken_find_options o = KEN_FIND_OPTIONS_INIT;
    o.ef = ef;
    ken_hit *a = malloc(nq * K * sizeof *a), *b = malloc(nq * K * sizeof *b);
    size_t *found = malloc(nq * sizeof *found), hit = 0;
    OK(ken_index_search(truth, q, nq, K, b, found));
    OK(ken_index_find(ix, q, nq, K, &o, a, found));
    for (size_t i = 0; i < nq; i++)
        for (size_t j = 0; j < K; j++)
            hit += a[i * K + j].raw >= b[i * K + K - 1].raw;
    free(a);
    free(b);
    free(found);
    return (double)hit / (double)(nq * K);
}

static double recall_of(const ken_index *ix, const ken_index *truth, const float *q, size_t nq, size_t dim)
{
    (void)dim;
    return recall_at(ix, truth, q, nq, 0);
}

static void check_recall(const char *metric, size_t dim, double least)
{
    const size_t n = kn_test_size(12000, 3000, 800), nq = kn_test_size(200, 200, 50);
    float *rows = make_rows(n + nq, dim, 3);
    ken_index *ix = make_index("HNSW16", metric, rows, n, dim, 2),
              *truth = make_index("Flat", metric, rows, n, dim, 2);
    ken_index_info info;
    ken_index_get_info(ix, &info);
    ck_assert_uint_eq(info.unreachable, 0);
    OK(ken_index_check(ix, NULL, NULL));
    const double r = recall_of(ix, truth, rows + n * dim, nq, dim);
    ck_assert_msg(r >= least, "%s, %zu dimensions: recall %.4f", metric, dim, r);
    ken_index_free(ix);
    ken_index_free(truth);
    free(rows);
}

START_TEST(graph_finds_the_nearest)
{
    check_recall("cosine", 256, .97);
    check_recall("l2", 200, .97);
    check_recall("ip", 160, .95);
    check_recall("l2", 48, .99);
}
END_TEST

static void same_bytes(const char *a_path, const unsigned char *want, size_t len)
{
    unsigned char *got = NULL;
    size_t n = 0;
    OK(kn_read_file(&got, &n, a_path, 1 << 28));
    ck_assert_uint_eq(n, len);
    ck_assert_int_eq(memcmp(got, want, len), 0);
    kn_free(got);
}

START_TEST(threads_change_nothing)
{
    const size_t n = kn_test_size(5000, 5000, 900), dim = 136;
    float *rows = make_rows(n, dim, 4);
    for (int m = 0; m < 3; m++) {
        unsigned char *want = NULL;
        size_t len = 0;
        for (uint32_t threads = 1; threads <= 5; threads += 2) {
            ken_index *ix = make_index("HNSW8", metrics[m], rows, n, dim, threads);
            OK(ken_index_save(ix, path));
            ken_index_free(ix);
            if (threads == 1)
                OK(kn_read_file(&want, &len, path, 1 << 28));
            else
                same_bytes(path, want, len);
        }
        kn_free(want);
    }
    free(rows);
}
END_TEST

/* ---- change ---- */

/* Ten rounds in which a tenth goes and as many come, merged each time.  ids: of the last state. */
static void churn(ken_index *ix, const float *rows, size_t n, size_t dim, uint64_t *ids)
{
    const size_t part = n / 10;
    kn_rand r = kn_rand_at(4, 44);
    for (size_t i = 0; i < n; i++)
        ids[i] = i;
    for (size_t round = 0; round < 10; round++)
        for (size_t i = 0; i < part; i++) {
            const size_t at = kn_rand_below(&r, (uint32_t)n);
            const uint64_t new_id = n + round * part + i;
            OK(ken_index_remove(ix, ids[at]));
            OK(ken_index_add(ix, &new_id, rows + new_id * dim, 1));
            ids[at] = new_id;
            if (i + 1 == part)
                OK(ken_index_compact(ix));
        }
}

/* The graph that has followed is as good as a new one over the same rows, and the same for any number of
 * threads. */
START_TEST(churn_costs_no_recall)
{
    const char *metric = _i ? "l2" : "cosine";
    const size_t n = kn_test_size(10000, 2000, 1200), dim = _i ? 96 : 160, nq = kn_test_size(1000, 1000, 200);
    float *rows = make_rows(2 * n + nq, dim, 15), *last = malloc(n * dim * sizeof *last);
    uint64_t *ids = malloc(n * sizeof *ids);
    unsigned char *want = NULL;
    size_t len = 0;
    double followed = 0, fresh = 0;
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        ken_index *ix = make_index("HNSW16", metric, rows, n, dim, threads);
        churn(ix, rows, n, dim, ids);
        for (size_t i = 0; i < n; i++)
            memcpy(last + i * dim, rows + ids[i] * dim, dim * sizeof *last);
        OK(ken_index_save(ix, path));
        ken_index_free(ix);
        if (threads == 1)
            OK(kn_read_file(&want, &len, path, 1 << 28));
        else
            same_bytes(path, want, len);
    }
    kn_index *state = NULL;
    OK(kn_index_open(&state, path, 0));
    /* it was changed, not built: the coder saw the first rows alone */
    const kn_graph *g = kn_index_state(state);
    ck_assert_uint_eq(g->trained, n);
    ck_assert_uint_eq(g->unreachable, 0);
    kn_index *built = NULL;
    const kn_build b = { .seed = 9, .threads = 2 };
    OK(kn_index_build(&built, "HNSW16", _i ? KN_METRIC_L2 : KN_METRIC_COSINE, ids, last, n, (uint32_t)dim, &b));
    const kn_graph *h = kn_index_state(built);
    ck_assert(memcmp(g->coder.centre, h->coder.centre, dim * sizeof(float)));
    kn_index_free(built);
    kn_index_free(state);
    ken_index *ix = NULL, *new = make_index("HNSW16", metric, last, n, dim, 2),
              *truth = make_index("Flat", metric, last, n, dim, 2);
    OK(ken_index_open(&ix, path, 0, NULL));
    OK(ken_index_check(ix, NULL, NULL));
    for (uint32_t ef = 48; ef <= 192; ef *= 2) { /* few, or all would be found */
        followed = recall_at(ix, truth, rows + 2 * n * dim, nq, ef);
        fresh = recall_at(new, truth, rows + 2 * n * dim, nq, ef);
        printf("%s, %zu rows, ten times a tenth: recall %.4f, built anew %.4f, ef %u\n", metric, n,
               followed, fresh, ef);
        ck_assert(followed >= fresh - .005);
    }
    ken_index_free(ix);
    ken_index_free(new);
    ken_index_free(truth);
    kn_free(want);
    free(ids);
    free(last);
    free(rows);
}
END_TEST

/* Many copies of one vector are all found, and hide nobody else. */
START_TEST(copies_hide_nobody)
{
    const size_t n = kn_test_size(12000, 3000, 800), copies = n / 10, dim = 128, nq = 100;
    float *rows = make_rows(n + nq, dim, 6);
    for (size_t i = 0; i < copies; i++)
        memcpy(rows + i * 7 % n * dim, rows + 3 * dim, dim * sizeof *rows);
    ken_index *ix = make_index("HNSW16", "cosine", rows, n, dim, 2),
              *truth = make_index("Flat", "cosine", rows, n, dim, 2);
    ck_assert(recall_of(ix, truth, rows + n * dim, nq, dim) >= .95);
    ken_hit *hits = malloc(copies * sizeof *hits);
    size_t found;
    OK(ken_index_search(ix, rows + 3 * dim, 1, copies, hits, &found));
    ck_assert_uint_eq(found, copies);
    for (size_t i = 0; i < copies; i++)
        ck_assert_float_ge(hits[i].raw, .9999f);
    free(hits);
    ken_index_free(ix);
    ken_index_free(truth);
    free(rows);
}
END_TEST

/* What tune has measured holds for queries that it has not seen. */
START_TEST(target_recall_holds)
{
    const size_t n = kn_test_size(8000, 2000, 800), dim = 160, nq = kn_test_size(300, 300, 100);
    float *rows = make_rows(n + nq, dim, 11);
    ken_index *ix = make_index("HNSW8", "cosine", rows, n, dim, 2);
    OK(ken_index_save(ix, path));
    ck_assert_int_eq(ken_index_tune(ix, NULL, 0), KEN_E_INVALID); /* it lies in no file */
    ken_index_free(ix);
    OK(ken_index_open(&ix, path, 0, NULL));
    ken_find_options o = KEN_FIND_OPTIONS_INIT, exact = KEN_FIND_OPTIONS_INIT;
    ken_hit a[10], b[10];
    size_t found;
    exact.exact = 1;
    o.target_recall = .9;
    ck_assert_int_eq(ken_index_find(ix, rows, 1, 10, &o, a, &found), KEN_E_INVALID);
    OK(ken_index_tune(ix, NULL, 0));
    ck_assert_uint_ge(ken_index_points(ix, NULL, 0), 5);
    for (double target = .9; target < .985; target += .03) {
        size_t hit = 0;
        o.target_recall = target;
        for (size_t q = 0; q < nq; q++) {
            OK(ken_index_find(ix, rows + (n + q) * dim, 1, 10, &exact, b, &found));
            OK(ken_index_find(ix, rows + (n + q) * dim, 1, 10, &o, a, &found));
            for (size_t i = 0; i < found; i++)
                hit += a[i].raw >= b[9].raw;
        }
        ck_assert_msg((double)hit >= target * 10 * (double)nq, "%.2f: %zu of %zu", target, hit,
                      10 * nq);
    }
    OK(ken_index_check(ix, NULL, NULL));
    ken_index_free(ix);
    free(rows);
}
END_TEST

/* ---- at the door ---- */

START_TEST(bad_vectors_are_refused)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY, 1e30f };
    float rows[3 * 4] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    uint64_t ids[] = { 1, 2, 3 };
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(4);
    ken_index *ix = NULL, *none = NULL;
    ken_hit hits[3];
    size_t found;
    o.kind = "HNSW16";
    OK(ken_index_build(&ix, &o, ids, rows, 3));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rows[5] = bad[i];
        ck_assert_int_eq(ken_index_build(&none, &o, ids, rows, 3), KEN_E_INVALID);
        ck_assert_ptr_nonnull(strstr(ken_last_error(), "row 1"));
        ck_assert_int_eq(ken_index_put(ix, ids, rows, 3), KEN_E_INVALID);
        ck_assert_int_eq(ken_index_search(ix, rows + 4, 1, 3, hits, &found), KEN_E_INVALID);
        ck_assert_uint_eq(ken_index_len(ix), 3);
    }
    rows[5] = 0;
    ids[1] = 1;
    ck_assert_int_eq(ken_index_build(&none, &o, ids, rows, 3), KEN_E_EXISTS);
    OK(ken_index_build(&none, &o, NULL, rows, 0));
    OK(ken_index_search(none, rows, 1, 3, hits, &found));
    ck_assert_uint_eq(found, 0);
    OK(ken_index_search(ix, rows, 1, 0, NULL, &found));
    ck_assert_uint_eq(found, 0);
    ken_index_free(none);
    ken_index_free(ix);
}
END_TEST

START_TEST(a_note_outlives_compactions)
{
    const float rows[] = { 1, 0, 0, 1, 1, 1 };
    const uint64_t ids[] = { 1, 2, 3 };
    const kn_build b = { .threads = 1 };
    kn_index *ix = NULL;
    size_t n = 0;
    OK(kn_index_build(&ix, "Flat", KN_METRIC_COSINE, ids, rows, 3, 2, &b));
    OK(kn_index_set_note(ix, "whose", 5));
    OK(kn_index_save(ix, path));
    kn_index_free(ix);
    OK(kn_index_open(&ix, path, 1));
    for (size_t i = 0; i < 2; i++) {
        OK(kn_index_remove(ix, ids + i, 1, NULL));
        OK(kn_index_compact(ix, &b));
        const void *note = kn_index_note(ix, &n);
        ck_assert(note && n == 5 && !memcmp(note, "whose", 5));
    }
    kn_index_free(ix);
}
END_TEST

/* ---- damaged files ---- */

/* What opens may be searched and checked, whatever it holds; what is broken is told. */
static void try_bytes(unsigned char *bytes, size_t len, const float *q, int must_tell)
{
    kn_index_file f = { 0 };
    kn_index *ix = NULL;
    kn_near near[10];
    size_t found;
    const kn_find p = { .k = 10 };
    ken_status st = kn_index_file_from_memory(&f, bytes, len);
    if (!st)
        st = kn_index_from_file(&ix, &f);
    if (!st) {
        ck_assert_int_eq(kn_index_search(ix, q, 1, &p, NULL, 0, 1, near, &found), KEN_OK);
        st = kn_index_check(ix, NULL, NULL);
    }
    kn_index_free(ix);
    kn_index_file_close(&f);
    if (must_tell)
        ck_assert_msg(st == KEN_E_CORRUPT || st == KEN_E_FORMAT || st == KEN_E_VERSION, "%s",
                      ken_status_name(st));
}

static void break_bytes(const char *kind, const char *metric, size_t dim)
{
    const size_t n = 300;
    float *rows = make_rows(n, dim, 8);
    unsigned char *bytes = NULL;
    size_t len = 0;
    kn_rand r = kn_rand_at(1, 2);
    ken_index *ix = make_index(kind, metric, rows, n, dim, 1);
    OK(ken_index_save(ix, path));
    ken_index_free(ix);
    OK(kn_read_file(&bytes, &len, path, 1 << 28));
    unsigned char *copy = aligned_alloc(4096, (len + 4095) & ~(size_t)4095);
    memcpy(copy, bytes, len);
    for (size_t i = 0; i < len; i += kn_test_size(1, 1, 7) * (i < 8192 ? 31 : kn_test_size(61, 997, 997))) {
        copy[i] ^= (unsigned char)(1 + kn_rand_below(&r, 255));
        try_bytes(copy, len, rows, 1);
        copy[i] = bytes[i];
    }
    for (int turn = 0; turn < (int)kn_test_size(1000, 100, 16); turn++) { /* much at once, the header whole */
        memcpy(copy, bytes, len);
        const size_t at = 8192 + kn_rand_below(&r, (uint32_t)(len - 8192 - 600));
        for (size_t i = 0; i < 600; i++)
            copy[at + i] ^= turn % 2 ? 0xff : (unsigned char)(1 + kn_rand_below(&r, 255));
        try_bytes(copy, len, rows, 1);
    }
    for (size_t cut = 0; cut < len; cut += 1 + len / kn_test_size(500, 500, 60)) {
        memcpy(copy, bytes, len);
        try_bytes(copy, cut, rows, 1);
    }
    free(copy);
    kn_free(bytes);
    free(rows);
}

START_TEST(broken_bytes_are_told)
{
    break_bytes("Flat", "cosine", 20);
    break_bytes("IVF5,Flat", "l2", 20);
    break_bytes("OPQ4,IVF5,PQ4", "cosine", 20);
    break_bytes("IVF5,PQ5x4fs,RFlat", "ip", 20);
    break_bytes("HNSW4", "l2", 130);
    break_bytes("HNSW8", "cosine", 40);
}
END_TEST

static ken_status try_open(void)
{
    ken_index *ix = NULL;
    ken_status st = ken_index_open(&ix, path, 0, NULL);
    if (!st)
        st = ken_index_check(ix, NULL, NULL);
    ken_index_free(ix);
    return st;
}

START_TEST(a_broken_log_is_told)
{
    const size_t n = 50, dim = 9;
    float *rows = make_rows(2 * n, dim, 8);
    uint64_t ids[50];
    unsigned char *bytes = NULL;
    size_t len = 0;
    ken_index *ix = make_index("Flat", "l2", rows, n, dim, 1);
    OK(ken_index_save(ix, path));
    ken_index_free(ix);
    OK(ken_index_open(&ix, path, 1, NULL));
    for (size_t i = 0; i < n; i++)
        ids[i] = 1000 + i;
    OK(ken_index_put(ix, ids, rows + n * dim, n));
    OK(ken_index_remove_all(ix, ids, 10, NULL));
    ken_index *second = NULL;
    ck_assert_int_eq(ken_index_open(&second, path, 1, NULL), KEN_E_BUSY);
    ken_index_free(ix);
    OK(kn_read_file(&bytes, &len, log_path, 1 << 20));
    for (size_t i = 0; i < len; i += i < 128 ? 1 : 7) {
        if (i >= 32 && i < 128) /* the two places of the commit, one of them older: see log.h */
            continue;
        bytes[i] ^= 0x20;
        OK(kn_replace_file(log_path, bytes, len));
        bytes[i] ^= 0x20;
        ck_assert_msg(try_open() != KEN_OK, "byte %zu of %zu", i, len);
    }
    for (size_t i = 32; i < 128; i++) {
        bytes[i] ^= 0x20;
        OK(kn_replace_file(log_path, bytes, len));
        bytes[i] ^= 0x20;
        (void)!try_open();
    }
    OK(kn_replace_file(log_path, bytes, len));
    OK(ken_index_open(&ix, path, 0, NULL));
    ck_assert_uint_eq(ken_index_len(ix), n + 40);
    ken_index_free(ix);
    kn_free(bytes);
    free(rows);
}
END_TEST

static void fill(TCase *t)
{
    tcase_set_timeout(t, 1200);
    tcase_add_checked_fixture(t, enter, leave);
    tcase_add_test(t, flat_follows_the_list);
    tcase_add_test(t, hnsw_follows_the_list);
    tcase_add_test(t, ivf_follows_the_list);
    tcase_add_loop_test(t, ranges_and_groups, 0, 3);
    tcase_add_loop_test(t, flat_over_codes_is_exact, 0, 6);
    tcase_add_test(t, one_long_life);
    tcase_add_test(t, graph_finds_the_nearest);
    tcase_add_test(t, threads_change_nothing);
    tcase_add_loop_test(t, churn_costs_no_recall, 0, 2);
    tcase_add_test(t, copies_hide_nobody);
    tcase_add_test(t, target_recall_holds);
    tcase_add_test(t, bad_vectors_are_refused);
    tcase_add_test(t, a_note_outlives_compactions);
    tcase_add_test(t, broken_bytes_are_told);
    tcase_add_test(t, a_broken_log_is_told);
}

int main(void)
{
    return kn_test_main("index", fill);
}
