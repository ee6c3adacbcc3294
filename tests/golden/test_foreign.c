/* test_foreign.c - files of faiss and hnswlib (make_foreign.py) answer as these libraries did,
 * and are written again as they were. */
#include "tests/test.h"

#include "base/alloc.h"
#include "index/foreign.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())
#define HERE "tests/golden/foreign/"

typedef struct golden {
    const char *name;
    double least; /* of their answers that must be ours; 1: with their distances */
    int again;    /* the file is written again as it was */
} golden;

static const golden goldens[] = {
    { "flat_l2.faiss", 1, 1 },      { "flat_ip.faiss", 1, 1 },     { "flat_ids.faiss", 1, 1 },
    { "hnsw.faiss", 0.98, 0 },      { "ivf_flat_l2.faiss", 1, 1 }, { "ivf_flat_ip_ids.faiss", 1, 1 },
    { "ivf_pq_l2.faiss", 1, 1 },    { "ivf_pq_ip.faiss", 1, 1 },   { "ivf_pq4_l2.faiss", 0.9, 0 },
    { "opq_ivf_pq.faiss", 1, 1 },   { "ivf_fs_l2.faiss", 0.9, 1 }, { "ivf_fsr_l2.faiss", 0.9, 1 },
    { "ivf_fs_ip.faiss", 0.9, 1 },  { "ivf_fs_refine.faiss", 1, 1 }, { "ivf_pqr.faiss", 0.9, 0 },
    { "ivf_sq8.faiss", 1, 0 },      { "sq8.faiss", 1, 0 },         { "sq4.faiss", 1, 0 },
    { "sq6.faiss", 1, 0 },          { "sqfp16.faiss", 1, 0 },      { "pq_fs.faiss", 0.9, 0 },
    { "pca.faiss", 0.98, 0 },       { "l2.hnswlib", 0.98, 0 },
};
enum { GOLDENS = sizeof goldens / sizeof *goldens };

static char path[] = "/tmp/ken-foreign-XXXXXX";

static unsigned char *file(const char *name, size_t *len)
{
    char full[200];
    unsigned char *p = NULL;
    snprintf(full, sizeof full, "%s%s", strchr(name, '/') ? "" : HERE, name);
    OK(kn_read_file(&p, len, full, 1u << 30));
    return p;
}

/* As the kind of index would answer: lists by IVF's own search, all else by comparing all. */
static size_t answers(kn_foreign *f, const float *q, size_t k, kn_near *near)
{
    const kn_rows rows = { f->rows, f->ids, f->n, f->dim, f->metric, NULL };
    const kn_kernels *kern = kn_kernels_get();
    kn_topk top;
    kn_topk_init(&top, near, k);
    if (f->ivf) {
        const kn_find p = { .k = k, .rerank = f->ivf->refine ? 40 * (uint32_t)k : 0 };
        kn_scratch scratch = { 0 };
        f->ivf->rows = rows;
        OK(kn_kind_ivf.search(f->ivf, q, 1, &p, &scratch, &top));
        kn_free(scratch.p);
    }
    for (size_t i = 0; !f->ivf && i < f->n; i++) {
        const float *row = f->rows + i * f->dim;
        kn_topk_offer(&top, f->ids[i],
                      f->metric == KN_METRIC_L2 ? -kern->l2sq_f32(q, row, f->dim)
                                                : kern->dot_f32(q, row, f->dim));
    }
    kn_topk_sort(&top);
    return top.len;
}

START_TEST(answers_as_they_do)
{
    const golden *g = &goldens[_i];
    char want_name[100];
    size_t len, want_len;
    kn_foreign f;
    snprintf(want_name, sizeof want_name, "%.*s.want", (int)strcspn(g->name, "."), g->name);
    unsigned char *queries = file("queries.f32", &len), *want = file(want_name, &want_len);
    uint32_t shape[2];
    memcpy(shape, want, 8);
    char full[100];
    snprintf(full, sizeof full, HERE "%s", g->name);
    OK(kn_foreign_read(&f, full, NULL));
    ck_assert_uint_eq(f.dim, 16);
    ck_assert_uint_eq(len, 4 * 16 * shape[0]);
    const size_t k = shape[1], all = shape[0] * k;
    size_t hits = 0;
    kn_near near[16];
    for (size_t q = 0; q < shape[0]; q++) {
        float one[16];
        memcpy(one, queries + q * 64, 64);
        ck_assert_uint_eq(answers(&f, one, k, near), k);
        for (size_t i = 0; i < k; i++) {
            int64_t id;
            float distance;
            for (size_t j = 0; j < k; j++) {
                memcpy(&id, want + 8 + 8 * (q * k + j), 8);
                hits += near[i].id == (uint64_t)id;
            }
            memcpy(&distance, want + 8 + 8 * all + 4 * (q * k + i), 4);
            if (f.metric == KN_METRIC_L2)
                distance = -distance;
            if (g->least == 1.0)
                ck_assert_msg(fabsf(near[i].raw - distance) <= 2e-5f * (1 + fabsf(distance)),
                              "%s: %g, not %g", g->name, (double)near[i].raw, (double)distance);
        }
    }
    ck_assert_msg((double)hits >= g->least * (double)all, "%s: %zu of %zu", g->name, hits, all);
    kn_foreign_release(&f);
    kn_free(queries);
    kn_free(want);
}
END_TEST

START_TEST(written_again)
{
    const golden *g = &goldens[_i];
    size_t a_len, b_len;
    kn_foreign f;
    char full[100];
    if (!g->again)
        return;
    snprintf(full, sizeof full, HERE "%s", g->name);
    OK(kn_foreign_read(&f, full, NULL));
    const kn_rows rows = { f.rows, f.ids, f.n, f.dim, f.metric, NULL };
    if (f.ivf)
        f.ivf->rows = rows;
    OK(kn_foreign_write_faiss(&rows, f.ivf, NULL, path));
    unsigned char *a = file(g->name, &a_len), *b = file(path, &b_len);
    ck_assert_msg(a_len == b_len, "%s: %zu bytes, not %zu", g->name, b_len, a_len);
    for (size_t i = 0; i < a_len; i++)
        ck_assert_msg(a[i] == b[i], "%s: byte %zu is %02x, not %02x", g->name, i, b[i], a[i]);
    kn_free(a);
    kn_free(b);
    kn_foreign_release(&f);
}
END_TEST

/* An error that names the file, at any length but the whole. */
START_TEST(cut_files)
{
    size_t len;
    unsigned char *p = file(goldens[_i].name, &len);
    kn_foreign f;
    for (size_t n = 0; n < len; n += n < 150 ? 1 : 1 + len / 50) {
        void *cut = malloc(n ? n : 1); /* of that size: reading on is seen */
        memcpy(cut, p, n);
        ck_assert_int_ne(kn_foreign_parse(&f, cut, n, "cut.file", NULL), KEN_OK);
        ck_assert_msg(strstr(ken_last_error(), "cut.file") != NULL, "%zu: %s", n, ken_last_error());
        free(cut);
    }
    kn_free(p);
}
END_TEST

/* Bytes of the file's beginning, where its counts are, become others: an error or an index. */
START_TEST(forged_files)
{
    static const unsigned char bad[] = { 0, 0x7f, 0xff };
    size_t len, refused = 0;
    unsigned char *p = file(goldens[_i].name, &len);
    kn_near near[8];
    const float q[16] = { 0.5f };
    for (size_t at = 0; at < len && at < 3000; at += at < 200 ? 1 : 7)
        for (size_t b = 0; b < sizeof bad; b++) {
            const unsigned char was = p[at];
            kn_foreign f = { 0 };
            p[at] = bad[b];
            if (kn_foreign_parse(&f, p, len, "forged", NULL)) {
                refused++;
                ck_assert(strstr(ken_last_error(), "forged") != NULL);
            } else if (f.dim == 16)
                answers(&f, q, 5, near);
            kn_foreign_release(&f);
            p[at] = was;
        }
    ck_assert_uint_gt(refused, 50);
    kn_free(p);
}
END_TEST

/* What faiss 1.7.3 of Debian wrote: every file is read, and holds the same 3,000 vectors. */
START_TEST(older_faiss)
{
    char full[4096];
    const char *data = kn_test_data("older_faiss");
    kn_foreign f;
    if (!data)
        return;
    snprintf(full, sizeof full, "%s/../prototypes/ann/faiss173/f0.faiss", data);
    if (access(full, R_OK)) {
        printf("skipped older_faiss: no %s\n", full);
        fflush(stdout);
        return;
    }
    for (int i = 0; i < 14; i++) {
        snprintf(full, sizeof full, "%s/../prototypes/ann/faiss173/f%d.faiss", data, i);
        OK(kn_foreign_read(&f, full, NULL));
        ck_assert_uint_eq(f.n, 3000);
        ck_assert_uint_eq(f.dim, 16);
        ck_assert_int_eq(f.metric, KN_METRIC_L2);
        ck_assert(f.rows || f.ivf->codes);
        kn_near near[3];
        const float q[16] = { 0.25f };
        ck_assert_uint_eq(answers(&f, q, 3, near), 3);
        kn_foreign_release(&f);
    }
}
END_TEST

START_TEST(metrics)
{
    kn_foreign f;
    size_t len;
    OK(kn_foreign_read(&f, HERE "l2.hnswlib", "ip"));
    ck_assert_int_eq(f.metric, KN_METRIC_DOT);
    kn_foreign_release(&f);
    ck_assert_int_eq(kn_foreign_read(&f, HERE "flat_l2.faiss", "ip"), KEN_E_INVALID);
    ck_assert_int_eq(kn_foreign_read(&f, HERE "flat_ip.faiss", "cosine"), KEN_E_INVALID);
    unsigned char *p = file("flat_ip.faiss", &len);
    for (size_t i = 45; i < len; i += 64) { /* unit vectors */
        memset(p + i, 0, 64);
        memcpy(p + i, &(float){ 1 }, 4);
    }
    OK(kn_foreign_parse(&f, p, len, "unit", "cosine"));
    ck_assert_int_eq(f.metric, KN_METRIC_COSINE);
    kn_foreign_release(&f);
    kn_free(p);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_loop_test(tc, answers_as_they_do, 0, GOLDENS);
    tcase_add_loop_test(tc, written_again, 0, GOLDENS);
    tcase_add_loop_test(tc, cut_files, 0, GOLDENS);
    tcase_add_loop_test(tc, forged_files, 0, GOLDENS);
    tcase_add_test(tc, older_faiss);
    tcase_add_test(tc, metrics);
}

int main(void)
{
    const int fd = mkstemp(path);
    if (fd < 0)
        return 2;
    close(fd);
    const int failed = kn_test_main("foreign", fill);
    unlink(path);
    return failed;
}
