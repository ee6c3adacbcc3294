/*
 * graph_wino.c - 3 x 3 convolutions with stride 1 and a border of 1 in 2 x 2 tiles: 16 products of
 * matrices in place of one with nine times the columns, which is 2.25 times fewer multiplications
 * (Winograd, 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
 *
 *   Y  = A^T [(G g G^T) (B^T d B)] A      for each tile, summed over the input's channels
 *   dx                                    the same of dy, taps mirrored and turned
 *   dg = G^T [sum (A dy A^T) (B^T d B)] G over all tiles
 *
 * Training alone: its weights change with each step anyway, and its sums are as near to the exact
 * ones as the direct way's, but not their bits.  Results don't depend on the number of threads: a
 * tile's sums are its own, and gradients are added up in chunks of tiles in their order.
 */
#include "nn/graph_state.h"

#include "base/parallel.h"

#include <string.h>

enum {
    SPOTS = 16,
    TAPS = 9,
    BLOCK = 96,          /* tiles of a worker at a time */
    LEAST = 16,          /* channels; with fewer the tiles cost more than they save */
    CHUNK_FLOATS = 2 << 20 /* of a chunk of tiles, all spots, for the gradient */
};

static const kn_type F32 = KN_F32;

int kn_g_wino_suits(const kn_op *op, uint32_t cin, uint32_t cout)
{
    return op->side == 3 && op->stride == 1 && op->pad == 1 && cin >= LEAST && cout >= LEAST;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

size_t kn_g_wino_panels(const kn_graph *g, size_t n, size_t k)
{
    return SPOTS * kn_panel_bytes(n, k, g->crew.type);
}

/* ---- weights ---- */

/* G a, of a column: (a0, (a0 + a1 + a2) / 2, (a0 - a1 + a2) / 2, a2) */
static void spread(const float a[3], float out[4])
{
    out[0] = a[0];
    out[1] = (a[0] + a[2] + a[1]) * 0.5F;
    out[2] = (a[0] + a[2] - a[1]) * 0.5F;
    out[3] = a[2];
}

typedef struct packing {
    const kn_graph *g;
    const float *w;
    size_t n, k, ld; /* of the result; ld: of w's taps */
    int turned;
    void *out;
    float *room; /* (threads, SPOTS, KN_PANEL, k) */
} packing;

/* G w G^T of output row n and input j, its spots `apart` elements behind each other. */
static void spread_filter(const packing *p, size_t n, size_t j, float *to, size_t apart)
{
    float half[3][4], out[4];
    for (size_t x = 0; x < 3; x++) {
        float g[3];
        for (size_t y = 0; y < 3; y++)
            g[y] = p->turned ? p->w[(j * TAPS + 8 - (y * 3 + x)) * p->ld + n]
                             : p->w[(n * TAPS + y * 3 + x) * p->ld + j];
        spread(g, half[x]);
    }
    for (size_t y = 0; y < 4; y++) {
        spread((float[]){ half[0][y], half[1][y], half[2][y] }, out);
        for (size_t x = 0; x < 4; x++)
            to[(y * 4 + x) * apart] = out[x];
    }
}

static void pack_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const packing *p = cookie;
    const kn_crew *crew = &p->g->crew;
    const size_t apart = KN_PANEL * p->k, all = kn_panel_bytes(p->n, p->k, crew->type);
    float *room = p->room + worker * SPOTS * apart;
    for (size_t i = begin; i < end; i++) {
        const size_t first = i * KN_PANEL, left = p->n - first, n = left < KN_PANEL ? left : KN_PANEL;
        for (size_t r = 0; r < n; r++)
            for (size_t j = 0; j < p->k; j++)
                spread_filter(p, first + r, j, room + r * p->k + j, apart);
        for (size_t s = 0; s < SPOTS; s++)
            crew->k->pack(room + s * apart, n, p->k, crew->type,
                          (char *)p->out + s * all + kn_panel_bytes(first, p->k, crew->type));
    }
}

static void pack(kn_graph *g, const float *w, size_t n, size_t k, int turned, void *out)
{
    packing p = { g, w, n, k, turned ? n : k, turned, out, g->scratch };
    kn_crew_run(&g->crew, (n + KN_PANEL - 1) / KN_PANEL, 1, pack_piece, &p);
}

/* ---- y, and dx ---- */

typedef struct product {
    kn_graph *g;
    kn_tiles in, out;
    const void *packed;
    void *y;
    int add;
    size_t tiles, v_bytes, each; /* each: bytes of a worker's room */
} product;

static void product_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const product *p = cookie;
    const kn_crew *crew = &p->g->crew;
    const size_t cin = p->in.c, cout = p->out.c, all = kn_panel_bytes(cout, cin, crew->type);
    char *v = (char *)p->g->scratch + worker * p->each;
    float *m = (float *)(void *)(v + p->v_bytes);
    for (size_t b = begin; b < end; b++) {
        const size_t t0 = b * BLOCK, left = p->tiles - t0, n = left < BLOCK ? left : BLOCK;
        crew->k->tiles_in(&p->in, t0, t0 + n, v, BLOCK * cin);
        for (size_t s = 0; s < SPOTS; s++) {
            const kn_gemm g = { .math = crew->math, .m = n, .n = cout, .k = cin,
                                .a = kn_at(v, crew->type, s * BLOCK * cin), .lda = cin,
                                .w = (const char *)p->packed + s * all, .w_type = crew->type,
                                .c = m + s * BLOCK * cout, .ldc = cout, .c_type = F32 };
            crew->k->gemm(&g);
        }
        crew->k->tiles_out(m, BLOCK * cout, &p->out, t0, t0 + n, p->add, p->y);
    }
}

static size_t v_bytes(const kn_graph *g, size_t c)
{
    return aligned(SPOTS * BLOCK * c * kn_type_bytes(g->crew.type));
}

static size_t worker_bytes(const kn_graph *g, size_t cin, size_t cout)
{
    return v_bytes(g, cin) + aligned(SPOTS * BLOCK * cout * sizeof(float));
}

static kn_tiles tiles_of(const kn_value *v, const void *x)
{
    return (kn_tiles){ x, v->type, v->h, v->w, v->c };
}

static void multiply(kn_graph *g, const kn_value *in, const void *x, const kn_value *out, void *y,
                     const void *packed, int add)
{
    product p = { g, tiles_of(in, x), tiles_of(out, NULL), packed, y, add, 0, v_bytes(g, in->c),
                  worker_bytes(g, in->c, out->c) };
    p.tiles = g->n * kn_tiles_of(&p.in);
    kn_crew_run(&g->crew, (p.tiles + BLOCK - 1) / BLOCK, 1, product_piece, &p);
}

void kn_g_wino_forward(kn_graph *g, const kn_op *op)
{
    const kn_value *in = kn_val(g, op->in), *out = kn_val(g, op->out);
    if (g->dirty)
        pack(g, kn_w(g, op->w), out->c, in->c, 0, op->packed);
    multiply(g, in, in->x, out, out->x, op->packed, 0);
}

void kn_g_wino_back(kn_graph *g, const kn_op *op)
{
    const kn_value *in = kn_val(g, op->in), *out = kn_val(g, op->out);
    pack(g, kn_w(g, op->w), in->c, out->c, 1, op->turned);
    multiply(g, out, out->dx, in, in->dx, op->turned, op->adds);
}

/* ---- dg ---- */

/* A chunk of tiles: x and dy spread, dy turned, and the sums of all chunks. */
typedef struct gradient {
    kn_graph *g;
    kn_tiles x, dy;
    size_t t0, n, room;         /* tiles of the chunk; of the largest one */
    void *v, *e, *turned;       /* (SPOTS, room, cin), (SPOTS, room, cout) */
    size_t turned_bytes, parts; /* of a spot; pieces of its product */
    float *sums;                /* (SPOTS, cout, cin) */
    float *dw;
} gradient;

static size_t chunk_tiles(size_t cin, size_t cout)
{
    const size_t n = CHUNK_FLOATS / SPOTS / larger(cin, cout) / KN_TURN_ROWS * KN_TURN_ROWS;
    return larger(n, KN_TURN_ROWS);
}

static void spread_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const gradient *d = cookie;
    const kn_crew *crew = &d->g->crew;
    (void)worker;
    crew->k->tiles_in(&d->x, d->t0 + begin, d->t0 + end, kn_at(d->v, crew->type, begin * d->x.c),
                      d->room * d->x.c);
    crew->k->tiles_grad(&d->dy, d->t0 + begin, d->t0 + end, kn_at(d->e, crew->type, begin * d->dy.c),
                        d->room * d->dy.c);
}

static void turn_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const gradient *d = cookie;
    const kn_crew *crew = &d->g->crew;
    const size_t c = d->dy.c;
    (void)worker;
    for (size_t s = begin; s < end; s++)
        crew->k->turn(crew->math, kn_at(d->e, crew->type, s * d->room * c), c, d->n, c, 0,
                      (d->n + KN_TURN_ROWS - 1) / KN_TURN_ROWS, (char *)d->turned + s * d->turned_bytes);
}

static void sum_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const gradient *d = cookie;
    const kn_crew *crew = &d->g->crew;
    const size_t cin = d->x.c, cout = d->dy.c;
    (void)worker;
    for (size_t i = begin, count; i < end; i += count) {
        const size_t s = i / d->parts, part = i % d->parts;
        count = d->parts - part < end - i ? d->parts - part : end - i;
        const kn_wgrad w = { .c = { .g = { .math = crew->math, .m = d->n, .n = cout, .k = cin,
                                           .a = kn_at(d->v, crew->type, s * d->room * cin), .lda = cin },
                                    .h = (uint32_t)d->n, .w = 1, .cin = (uint32_t)cin, .kh = 1, .kw = 1,
                                    .stride = 1, .dilation = 1, .oh = (uint32_t)d->n, .ow = 1 },
                             .turned = (const char *)d->turned + s * d->turned_bytes,
                             .dw = d->sums + s * cout * cin, .add = d->t0 > 0 };
        crew->k->wgrad(&w, part, part + count);
    }
}

/* G^T a, of a column */
static void gather(const float a[4], float out[3])
{
    out[0] = a[0] + (a[1] + a[2]) * 0.5F;
    out[1] = (a[1] - a[2]) * 0.5F;
    out[2] = (a[1] + a[2]) * 0.5F + a[3];
}

static void gather_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const gradient *d = cookie;
    const size_t cin = d->x.c, apart = d->dy.c * cin;
    (void)worker;
    for (size_t n = begin; n < end; n++)
        for (size_t j = 0; j < cin; j++) {
            const float *u = d->sums + n * cin + j;
            float half[4][3], out[3];
            for (size_t x = 0; x < 4; x++)
                gather((float[]){ u[x * apart], u[(4 + x) * apart], u[(8 + x) * apart], u[(12 + x) * apart] },
                       half[x]);
            for (size_t y = 0; y < 3; y++) {
                gather((float[]){ half[0][y], half[1][y], half[2][y], half[3][y] }, out);
                for (size_t x = 0; x < 3; x++)
                    d->dw[(n * TAPS + y * 3 + x) * cin + j] += out[x];
            }
        }
}

/* Where the parts of a gradient's room begin; the last one is where it ends. */
static void gradient_room(const kn_graph *g, size_t cin, size_t cout, size_t at[5])
{
    const size_t room = chunk_tiles(cin, cout), size = kn_type_bytes(g->crew.type);
    at[0] = 0;
    at[1] = aligned(SPOTS * room * cin * size);
    at[2] = at[1] + aligned(SPOTS * room * cout * size);
    at[3] = at[2] + SPOTS * aligned(kn_turned_bytes(room, cout));
    at[4] = at[3] + aligned(SPOTS * cout * cin * sizeof(float));
}

void kn_g_wino_wgrad(kn_graph *g, const kn_op *op)
{
    const kn_value *in = kn_val(g, op->in), *out = kn_val(g, op->out);
    size_t at[5];
    char *room = g->scratch;
    gradient d = { .g = g, .x = tiles_of(in, in->x), .dy = tiles_of(out, out->dx),
                   .room = chunk_tiles(in->c, out->c), .parts = kn_wgrad_pieces(out->c, in->c),
                   .dw = kn_dw(g, op->w) };
    const size_t tiles = g->n * kn_tiles_of(&d.x);
    if (!d.dw)
        return;
    gradient_room(g, in->c, out->c, at);
    d.v = room;
    d.e = room + at[1];
    d.turned = room + at[2];
    d.turned_bytes = (at[3] - at[2]) / SPOTS;
    d.sums = (float *)(void *)(room + at[3]);
    for (; d.t0 < tiles; d.t0 += d.n) {
        d.n = tiles - d.t0 < d.room ? tiles - d.t0 : d.room;
        kn_crew_run(&g->crew, d.n, 16, spread_piece, &d);
        kn_crew_run(&g->crew, SPOTS, 1, turn_piece, &d);
        kn_crew_run(&g->crew, SPOTS * d.parts, 1, sum_piece, &d);
    }
    kn_crew_run(&g->crew, out->c, 1, gather_piece, &d);
}

size_t kn_g_wino_scratch(const kn_graph *g, uint32_t cin, uint32_t cout)
{
    const size_t threads = g->crew.threads, most = larger(cin, cout);
    size_t at[5];
    gradient_room(g, cin, cout, at);
    const size_t blocks = threads * larger(worker_bytes(g, cin, cout), worker_bytes(g, cout, cin));
    return larger(at[4], larger(blocks, threads * SPOTS * KN_PANEL * most * sizeof(float)));
}
