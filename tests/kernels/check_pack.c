/* check_pack.c - kernels/<level>/pack.c: exact, by the text of kernels.h. */
#include "product.h"

#include <string.h>

enum { SOME = 100 };

static size_t size_of(kn_type type)
{
    return type == KN_F32 ? 4 : 2;
}

static void put(void *p, size_t i, kn_type type, float x)
{
    if (type == KN_F32)
        ((float *)p)[i] = x;
    else
        ((uint16_t *)p)[i] = type == KN_BF16 ? ck_to_bf16((double)x) : ck_to_f16((double)x);
}

/* Element (n, k) of the matrix that is packed; 0 outside. */
typedef struct matrix {
    const float *w;
    size_t n, k, taps, ld; /* taps 0: as it stands */
    bool lo;
} matrix;

static float at(const matrix *m, size_t n, size_t k)
{
    if (n >= m->n || k >= m->k)
        return 0;
    if (m->taps) {
        const size_t from = m->k / m->taps, tap = m->taps - 1 - k / from;
        return m->w[(k % from * m->taps + tap) * m->ld + n];
    }
    const float x = m->w[n * m->k + k];
    return m->lo ? x - ck_from_bf16(ck_to_bf16((double)x)) : x;
}

static void check(ck *t, const matrix *m, kn_type type, const void *got)
{
    const size_t kp = kn_panel_k(m->k, type), pair = type == KN_BF16 ? 2 : 1;
    const size_t bytes = kn_panel_bytes(m->n, m->k, type), count = bytes / size_of(type);
    void *want = ck_guarded(t, bytes);
    for (size_t i = 0; i < count; i++) {
        const size_t e = i % pair, j = i / pair % 16, col = i / pair / 16 % (kp / pair) * pair + e;
        put(want, i, type, at(m, i / (16 * kp) * 16 + j, col));
    }
    ck_equal(t, got, want, bytes, "type %d n=%zu k=%zu taps=%zu ld=%zu", type, m->n, m->k, m->taps, m->ld);
}

/* Small numbers too, whose lo parts are subnormal. */
static const float *weights(ck *t, size_t n)
{
    float *w = ck_guarded(t, n * sizeof *w);
    ck_fill(w, n);
    for (size_t i = 0; i < n; i += 7)
        w[i] *= 1e-6f;
    return w;
}

static void check_straight(ck *t, bool lo)
{
    for (unsigned i = 0; i < SOME; i++) {
        const kn_type type = lo ? KN_BF16 : (kn_type)(i % 3); /* f32, bf16, f16 */
        const size_t n = 1 + ck_rand() % 50, k = 1 + ck_rand() % 100;
        const matrix m = { weights(t, n * k), n, k, 0, 0, lo };
        void *out = ck_guarded(t, kn_panel_bytes(n, k, type));
        if (lo)
            t->now.pack_lo(m.w, n, k, out);
        else
            t->now.pack(m.w, n, k, type, out);
        check(t, &m, type, out);
        ck_release(t);
    }
}

static void check_turned(ck *t)
{
    static const size_t taps[] = { 1, 9, 4, 1, 25 };
    for (unsigned i = 0; i < SOME; i++) {
        const kn_type type = (kn_type)(i % 3);
        const size_t n = 1 + ck_rand() % 50, from = 1 + ck_rand() % (i % 7 ? 40 : 80);
        const size_t k = from * taps[i % 5], ld = n + ck_rand() % 3 * 9;
        const matrix m = { weights(t, (k - 1) * ld + n), n, k, taps[i % 5], ld, false };
        void *out = ck_guarded(t, kn_panel_bytes(n, k, type));
        t->now.pack_turned(m.w, ld, n, k, taps[i % 5], type, out);
        check(t, &m, type, out);
        ck_release(t);
    }
}

static void bench(ck *t, kn_type type, const char *label)
{
    const size_t n = 64, k = 576;
    const float *w = weights(t, n * k);
    void *out = ck_guarded(t, kn_panel_bytes(n, k, type));
    if (!strcmp(t->kernel, "pack"))
        CK_BENCH(t, label, (t->ref.pack(w, n, k, type, out), 0), (t->now.pack(w, n, k, type, out), 0));
    else
        CK_BENCH(t, label, (t->ref.pack_turned(w, n, n, k, 9, type, out), 0),
                 (t->now.pack_turned(w, n, n, k, 9, type, out), 0));
    ck_release(t);
}

void check_pack(ck *t)
{
    if (CK_BEGIN(t, pack)) {
        check_straight(t, false);
        bench(t, KN_F32, "64x576 f32");
        bench(t, KN_BF16, "64x576 bf16");
    }
    if (CK_BEGIN(t, pack_lo))
        check_straight(t, true);
    if (CK_BEGIN(t, pack_turned)) {
        check_turned(t);
        bench(t, KN_F32, "64x576 f32");
        bench(t, KN_BF16, "64x576 bf16");
    }
}
