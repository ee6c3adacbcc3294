/* test_mesh.c - models from files, exact values; and pictures of them against geometry. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/parallel.h"
#include "base/rand.h"
#include "mesh/align.h"
#include "mesh/parse.h"
#include "mesh/shape.h"

#include <dirent.h>
#include <math.h>
#include <string.h>

/* ---- making files ---- */

typedef struct blob {
    unsigned char bytes[1 << 16];
    size_t len;
} blob;

static void put_float(blob *b, float x)
{
    memcpy(b->bytes + b->len, &x, 4); /* the tests' machines are little-endian */
    b->len += 4;
}

static void stl_begin(blob *b, const char *header, uint32_t count)
{
    memset(b->bytes, ' ', 80);
    memcpy(b->bytes, header, strlen(header));
    memcpy(b->bytes + 80, &count, 4);
    b->len = 84;
}

static void stl_triangle(blob *b, const float *corners)
{
    for (int i = 0; i < 3; i++)
        put_float(b, NAN); /* normals are not read */
    for (int i = 0; i < 9; i++)
        put_float(b, corners[i]);
    b->bytes[b->len++] = 0xff;
    b->bytes[b->len++] = 0xff;
}

/* The corner of a cube of side 2 cut off: three right angles at (1, 1, 1). */
static const float corner[4][9] = { { 1, 1, 1, 1, 3, 1, 3, 1, 1 },
                                    { 1, 1, 1, 3, 1, 1, 1, 1, 3 },
                                    { 1, 1, 1, 1, 1, 3, 1, 3, 1 },
                                    { 3, 1, 1, 1, 3, 1, 1, 1, 3 } };

static void stl_corner(blob *b, const char *header)
{
    stl_begin(b, header, 4);
    for (int i = 0; i < 4; i++)
        stl_triangle(b, corner[i]);
}

static void expect_corner(const kn_mesh *m)
{
    ck_assert_uint_eq(m->n, 4);
    ck_assert_double_eq_tol(kn_mesh_area(m), 6 + 2 * sqrt(3), 1e-12);
    ck_assert_double_eq_tol(kn_mesh_volume(m), 8.0 / 6, 1e-12);
    for (int d = 0; d < 3; d++) {
        ck_assert_float_eq(m->low[d], 1);
        ck_assert_float_eq(m->high[d], 3);
    }
}

static void expect_error(const char *kind, const void *bytes, size_t len, ken_status want,
                         const char *words)
{
    kn_mesh m = { .n = 77 };
    const ken_status st = kn_mesh_parse(&m, kind, bytes, len);
    ck_assert_msg(st == want && strstr(ken_last_error(), words), "wanted %s with \"%s\", got %s \"%s\"",
                  ken_status_name(want), words, ken_status_name(st), ken_last_error());
    ck_assert_uint_eq(m.n, 77); /* untouched */
}

static void expect_text_error(const char *kind, const char *text, const char *words)
{
    expect_error(kind, text, strlen(text), KEN_E_FORMAT, words);
}

/* ---- readers ---- */

START_TEST(reads_binary_stl)
{
    static const char *const headers[] = { "exported", "solid that is none", "" };
    static blob b;
    kn_mesh m;
    for (int i = 0; i < 3; i++) {
        stl_corner(&b, headers[i]);
        ck_assert_int_eq(kn_mesh_parse(&m, "stl", b.bytes, b.len), KEN_OK);
        ck_assert_mem_eq(m.corners, corner, sizeof corner);
        expect_corner(&m);
        kn_mesh_release(&m);
    }
    ck_assert_int_eq(kn_mesh_parse(&m, "stl", b.bytes, b.len + 7), KEN_OK); /* a tail shorter than one */
    kn_mesh_release(&m);
}
END_TEST

START_TEST(reads_ascii_stl)
{
    kn_mesh m;
    char text[4096];
    int n = sprintf(text, "\n solid a part, with a name\r\n");
    for (int i = 0; i < 4; i++) {
        n += sprintf(text + n, "  FACET NORMAL nan 0 -1e0\r\n outer loop\r\n");
        for (int k = 0; k < 3; k++)
            n += sprintf(text + n, "vertex %g\t%.3e +%g\n", (double)corner[i][3 * k],
                         (double)corner[i][3 * k + 1], (double)corner[i][3 * k + 2]);
        n += sprintf(text + n, "endloop endfacet\n");
        if (i == 1) /* a second solid */
            n += sprintf(text + n, "endsolid a part\nsolid\n");
    }
    n += sprintf(text + n, "endsolid");
    ck_assert_int_eq(kn_mesh_parse(&m, "stl", text, (size_t)n), KEN_OK);
    ck_assert_mem_eq(m.corners, corner, sizeof corner);
    expect_corner(&m);
    kn_mesh_release(&m);
}
END_TEST

START_TEST(refuses_hostile_stl)
{
    static blob b;
    stl_corner(&b, "x");
    expect_error("stl", b.bytes, b.len - 1, KEN_E_FORMAT, "counts 4 triangles, the file has room for 3");
    expect_error("stl", b.bytes, 84, KEN_E_FORMAT, "room for 0");
    expect_error("stl", b.bytes, 83, KEN_E_FORMAT, "83 bytes");
    expect_error("stl", b.bytes, 0, KEN_E_FORMAT, "0 bytes");
    expect_error("stl", b.bytes, b.len + 50, KEN_E_FORMAT, "room for 5"); /* counts too few */
    b.bytes[83] = 0xff;
    expect_error("stl", b.bytes, b.len, KEN_E_FORMAT, "4278190084 triangles");
    stl_corner(&b, "solid x");
    const float bad[] = { INFINITY, -INFINITY, NAN };
    for (int i = 0; i < 3; i++) {
        memcpy(b.bytes + 84 + 2 * 50 + 12 + 4 * 4, &bad[i], 4);
        expect_error("stl", b.bytes, b.len, KEN_E_FORMAT,
                     "triangle 3 (at byte 184): corner 2 is not finite");
    }
    expect_text_error("stl", "solid\nfacet normal 0 0 1\nouter loop\nvertex 0 0 nan\n",
                      "stl: line 4: the coordinate nan");
    expect_text_error("stl", "solid\nfacet normal 0 0 1\nouter loop\nvertex 0 1e39 0\n", "1e39");
    expect_text_error("stl", "solid\nfacet normal 0 0 1\nouter loop\nvertex 0 one 0\n", "\"one\"");
    expect_text_error("stl", "solid\nfacet normal 0 0 1\nouter loop\nvertex 0 1 0\nendloop\n",
                      "line 5: \"endloop\" where \"vertex\"");
    expect_text_error("stl", "solid\nfacet normal 0 0 1\nouter loop\nvertex 0 1", "ends within");
    expect_text_error("stl", "solid\nendsolid\n", "no triangle");
    expect_text_error("stl", "solid a\nfacet normal 0 0 1 outer loop vertex 0 0 0 vertex 1 0 0 vertex 0 1 0 "
                             "endloop endfacet", "before \"endsolid\"");
}
END_TEST

START_TEST(drops_triangles_without_area)
{
    static const float flat[3][9] = { { 1, 2, 3, 1, 2, 3, 1, 2, 3 },
                                      { 0, 0, 0, 1, 1, 1, 2, 2, 2 },
                                      { 5, 6, 7, 5, 6, 7, 9, 9, 9 } };
    static blob b;
    kn_mesh m;
    stl_begin(&b, "", 7);
    for (int i = 0; i < 7; i++)
        stl_triangle(&b, i % 2 ? flat[i / 2] : corner[i / 2]);
    ck_assert_int_eq(kn_mesh_parse(&m, "stl", b.bytes, b.len), KEN_OK);
    ck_assert_uint_eq(m.dropped, 3);
    expect_corner(&m);
    kn_mesh_release(&m);
    stl_begin(&b, "", 3);
    for (int i = 0; i < 3; i++)
        stl_triangle(&b, flat[i]);
    expect_error("stl", b.bytes, b.len, KEN_E_FORMAT, "no triangle with an area among 3");
}
END_TEST

START_TEST(takes_extreme_coordinates)
{
    const float sizes[] = { 1e-30f, 1e-12f, 1e12f, 1e30f };
    static blob b;
    kn_mesh m;
    kn_shape s;
    for (int i = 0; i < 4; i++) {
        stl_begin(&b, "", 4);
        for (int t = 0; t < 4; t++) {
            float c[9];
            for (int k = 0; k < 9; k++)
                c[k] = corner[t][k] * sizes[i];
            stl_triangle(&b, c);
        }
        const double u = (double)sizes[i];
        ck_assert_int_eq(kn_mesh_parse(&m, "stl", b.bytes, b.len), KEN_OK);
        ck_assert_double_eq_tol(kn_mesh_area(&m) / (u * u), 6 + 2 * sqrt(3), 1e-5);
        ck_assert_double_eq_tol(kn_mesh_volume(&m) / (u * u * u), 8.0 / 6, 1e-5);
        ck_assert_int_eq(kn_shape_new(&s, &m), KEN_OK);
        ck_assert_int_eq(s.closed, 1);
        for (size_t k = 0; k < 9 * s.n; k++)
            ck_assert(fabsf(s.points[k]) <= 1.000001f && isfinite(s.normals[k]));
        kn_shape_release(&s);
        kn_mesh_release(&m);
    }
}
END_TEST

static const char cube_obj[] = "# a cube of side 2\nmtllib none.mtl\n"
                               "v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nv 0 0 2\nv 2 0 2 1.0\nv 2 2 2\nv 0 2 2\n"
                               "vn 0 0 1\nusemtl x\n"
                               "f 1 4 3 2\nf 5//1 6//1 7//1 8//1\nf 1/2/3 2/2/3 6/2/3 5/2/3\nf -7 -6 -2 -3\n"
                               "f 3 4 8 7\nf 4 1 5 8\n";

static void expect_cube(const kn_mesh *m, double area)
{
    ck_assert_double_eq(kn_mesh_area(m), area);
    ck_assert_uint_eq(m->n, 12);
    ck_assert_float_eq(m->high[1], 2);
}

START_TEST(reads_obj)
{
    kn_mesh m;
    ck_assert_int_eq(kn_mesh_parse(&m, "obj", cube_obj, sizeof cube_obj - 1), KEN_OK);
    ck_assert_uint_eq(m.n, 12);
    ck_assert_float_eq(m.high[1], 2);
    kn_mesh_release(&m);
    expect_text_error("obj", "v 0 0 0\nv 1 0 0\n\nf 1 2 3\n", "obj: line 4: point 3 of 2");
    expect_text_error("obj", "v 0 0 0\nv 1 0 0\nf 1 2 0\n", "point 0 of 2");
    expect_text_error("obj", "v 0 0 0\nv 1 0 0\nf 1 2 -3\n", "point -3 of 2");
    expect_text_error("obj", "v 0 0 0\nf 1 1\n", "line 2: a face of 2 corners");
    expect_text_error("obj", "v 0 0\nf 1 1 1\n", "line 1: a point of 2 numbers");
    expect_text_error("obj", "v 0 0 0\nf 1x 1 1\n", "\"1x\" is not a corner");
    expect_text_error("obj", "v 0 0 0\nf 99999999999999999999 1 1\n", "not a whole number");
    expect_text_error("obj", "# nothing\n", "no triangle");
}
END_TEST

static const char ply_head[] = "ply\nformat %s 1.0\ncomment x\nelement junk 2\nproperty list uchar short s\n"
                               "element vertex 4\nproperty float x\nproperty uchar red\nproperty double y\n"
                               "property float z\nelement face 2\nproperty uchar flags\n"
                               "property list uchar int vertex_indices\nend_header\n";
/* A square of side 3 at z = 2 as a polygon of four corners, and half of it once more. */
static const float square[4][3] = { { 0, 0, 2 }, { 3, 0, 2 }, { 3, 3, 2 }, { 0, 3, 2 } };

static size_t ply_text(char *text)
{
    int n = sprintf(text, ply_head, "ascii");
    n += sprintf(text + n, "3 1 2 3\n0\n");
    for (int i = 0; i < 4; i++)
        n += sprintf(text + n, "%g 255 %g %g\n", (double)square[i][0], (double)square[i][1],
                     (double)square[i][2]);
    return (size_t)n + (size_t)sprintf(text + n, "0 4 0 1 2 3\n1 3 0 1 2\n");
}

static size_t ply_binary(char *bytes)
{
    static const char tail[] = { 0, 4, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0,
                                 1, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0 };
    size_t n = (size_t)sprintf(bytes, ply_head, "binary_little_endian");
    memcpy(bytes + n, "\3\1\0\2\0\3\0\0", 8);
    n += 8;
    for (int i = 0; i < 4; i++) {
        const double y = (double)square[i][1];
        memcpy(bytes + n, &square[i][0], 4);
        bytes[n + 4] = 7;
        memcpy(bytes + n + 5, &y, 8);
        memcpy(bytes + n + 13, &square[i][2], 4);
        n += 17;
    }
    memcpy(bytes + n, tail, sizeof tail);
    return n + sizeof tail;
}

START_TEST(reads_ply)
{
    char bytes[2048];
    kn_mesh m;
    for (int binary = 0; binary < 2; binary++) {
        const size_t n = binary ? ply_binary(bytes) : ply_text(bytes);
        ck_assert_int_eq(kn_mesh_parse(&m, "ply", bytes, n), KEN_OK);
        ck_assert_uint_eq(m.n, 3);
        ck_assert_double_eq(kn_mesh_area(&m), 9 + 4.5);
        ck_assert_float_eq(m.high[0], 3);
        ck_assert_float_eq(m.low[2], 2);
        kn_mesh_release(&m);
        for (size_t cut = 0; cut + 2 < n; cut++) /* every truncation is refused */
            ck_assert_int_ne(kn_mesh_parse(&m, "ply", bytes, cut), KEN_OK);
    }
    const size_t n = ply_binary(bytes);
    bytes[n - 4] = 4;
    expect_error("ply", bytes, n, KEN_E_FORMAT, "ply: face 2: point 4 of 4");
    expect_text_error("ply", "ply\nformat ascii 1.0\nelement vertex 1000000\nproperty float x\nproperty "
                             "float y\nproperty float z\nend_header\n", "more than the file has room for");
    expect_text_error("ply", "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n0\n",
                      "points without");
    expect_text_error("ply", "ply\nproperty what x\n", "line 2");
    const char *big = "ply\nformat binary_big_endian 1.0\n";
    expect_error("ply", big, strlen(big), KEN_E_UNSUPPORTED, "binary_big_endian");
}
END_TEST

START_TEST(names_files)
{
    kn_mesh m;
    ck_assert_str_eq(kn_mesh_kind("a/b.c/part.STL"), "stl");
    ck_assert_str_eq(kn_mesh_kind("x.Obj"), "obj");
    ck_assert_ptr_null(kn_mesh_kind("dir.stl/part"));
    ck_assert_ptr_null(kn_mesh_kind("stl"));
    ck_assert_int_eq(kn_mesh_load(&m, "/nowhere/part.stl"), KEN_E_NOTFOUND);
    ck_assert_ptr_nonnull(strstr(ken_last_error(), "/nowhere/part.stl"));
    ck_assert_int_eq(kn_mesh_load(&m, "/dev/null"), KEN_E_UNSUPPORTED);
}
END_TEST

/* ---- solids for the rest ---- */

static void add_quad(kn_mesh *m, const float a[3], const float b[3], const float c[3],
                     const float d[3])
{
    const float *const order[2][3] = { { a, b, c }, { a, c, d } };
    for (int i = 0; i < 2; i++) {
        float t[9];
        for (int k = 0; k < 3; k++)
            memcpy(t + 3 * k, order[i][k], 3 * sizeof *t);
        if (!m->n)
            for (int k = 0; k < 3; k++)
                m->low[k] = m->high[k] = a[k];
        for (int k = 0; k < 9; k++) {
            m->low[k % 3] = fminf(m->low[k % 3], t[k]);
            m->high[k % 3] = fmaxf(m->high[k % 3], t[k]);
        }
        ck_assert_int_eq(kn_mesh_add(m, t), KEN_OK);
    }
}

/* A sphere of radius r, or a torus around z (ring > 0), of n x 2n quads. */
static kn_mesh round_solid(int n, double r, double ring)
{
    kn_mesh m = { 0 };
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 2 * n; j++) {
            float p[4][3];
            for (int k = 0; k < 4; k++) {
                const int up = i + (k == 2 || k == 3);
                const double u = ring > 0 ? 2 * M_PI * (up % n) / n : M_PI * up / n - M_PI / 2;
                const double v = M_PI * ((j + (k == 1 || k == 2)) % (2 * n)) / n;
                const double d = ring > 0 ? ring + r * cos(u) : up % n ? r * cos(u) : 0; /* poles */
                p[k][0] = (float)(d * cos(v));
                p[k][1] = (float)(d * sin(v));
                p[k][2] = (float)(r * sin(u));
            }
            add_quad(&m, p[0], p[1], p[2], p[3]);
        }
    return m;
}

static kn_mesh cube(void)
{
    kn_mesh m;
    ck_assert_int_eq(kn_mesh_parse(&m, "obj", cube_obj, sizeof cube_obj - 1), KEN_OK);
    return m;
}

START_TEST(measures_solids)
{
    kn_mesh s = round_solid(200, 2, 0), t = round_solid(200, 1, 3), c = cube();
    ck_assert_double_eq_tol(kn_mesh_area(&s) / (4 * M_PI * 4), 1, 2e-4);
    ck_assert_double_eq_tol(kn_mesh_volume(&s) / (4 / 3.0 * M_PI * 8), 1, 3e-4);
    ck_assert_double_eq_tol(kn_mesh_area(&t) / (4 * M_PI * M_PI * 3), 1, 5e-4);
    ck_assert_double_eq_tol(kn_mesh_volume(&t) / (2 * M_PI * M_PI * 3), 1, 5e-4);
    expect_cube(&c, 24);
    ck_assert_double_eq(kn_mesh_volume(&c), 8);
    kn_mesh_release(&s);
    kn_mesh_release(&t);
    kn_mesh_release(&c);
}
END_TEST

/* A rotation from a random quaternion, then a shift. */
static void move(kn_mesh *m, kn_rand *r)
{
    double q[4], norm = 0, shift[3];
    for (int i = 0; i < 4; i++) {
        q[i] = (double)kn_rand_normal(r);
        norm += q[i] * q[i];
    }
    for (int i = 0; i < 4; i++)
        q[i] /= sqrt(norm);
    const double w = q[0], x = q[1], y = q[2], z = q[3];
    const double rot[3][3] = { { 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y) },
                               { 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x) },
                               { 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y) } };
    for (int i = 0; i < 3; i++)
        shift[i] = 50 * ((double)kn_rand_float(r) - .5);
    for (size_t c = 0; c < 3 * m->n; c++) {
        float p[3];
        memcpy(p, m->corners + 3 * c, sizeof p);
        for (int i = 0; i < 3; i++)
            m->corners[3 * c + (size_t)i] =
                (float)(rot[i][0] * (double)p[0] + rot[i][1] * (double)p[1] + rot[i][2] * (double)p[2]
                        + shift[i]);
    }
}

START_TEST(moving_keeps_area_and_volume)
{
    kn_rand r = kn_rand_at(5, 0);
    for (int i = 0; i < 24; i++) {
        kn_mesh m = i % 3 == 0 ? cube() : round_solid(12 + i, 1 + i / 8.0, i % 3 == 1 ? 0 : 5);
        const double area = kn_mesh_area(&m), volume = kn_mesh_volume(&m);
        move(&m, &r);
        ck_assert_double_eq_tol(kn_mesh_area(&m) / area, 1, 2e-5);
        ck_assert_double_eq_tol(kn_mesh_volume(&m) / volume, 1, 2e-5);
        kn_mesh_release(&m);
    }
}
END_TEST

/* ---- shapes ---- */

static kn_shape shape_of(kn_mesh m)
{
    kn_shape s;
    ck_assert_int_eq(kn_shape_new(&s, &m), KEN_OK);
    kn_mesh_release(&m);
    return s;
}

START_TEST(smooths_spheres_not_cubes)
{
    kn_shape s = shape_of(round_solid(24, 3, 0)), c = shape_of(cube());
    ck_assert_int_eq(s.closed, 1);
    for (size_t i = 0; i < s.n * 3; i++) { /* Max's weights: the normal of a sphere is its radius */
        const float *p = s.points + 3 * i, *n = s.normals + 3 * i;
        const float d = p[0] * n[0] + p[1] * n[1] + p[2] * n[2];
        ck_assert_float_gt(d, .99999f);
    }
    ck_assert_int_eq(c.closed, 1);
    for (size_t i = 0; i < c.n * 3; i++) {
        const float *n = c.normals + 3 * i;
        int ones = 0;
        for (int d = 0; d < 3; d++)
            ones += fabsf(n[d]) == 1;
        ck_assert_int_eq(ones, 1);
    }
    kn_shape_release(&s);
    kn_shape_release(&c);
}
END_TEST

START_TEST(knows_closed_surfaces)
{
    kn_mesh open = cube(), inside_out = cube();
    open.n -= 1;
    for (size_t t = 0; t < inside_out.n; t++)
        for (int d = 0; d < 3; d++) {
            float *p = inside_out.corners + 9 * t;
            const float swap = p[d];
            p[d] = p[3 + d];
            p[3 + d] = swap;
        }
    kn_shape o = shape_of(open), i = shape_of(inside_out), t = shape_of(round_solid(16, 1, 3));
    ck_assert_int_eq(o.closed, 0);
    ck_assert_int_eq(i.closed, 0);
    ck_assert_int_eq(t.closed, 1);
    kn_shape_release(&o);
    kn_shape_release(&i);
    kn_shape_release(&t);
}
END_TEST

/* ---- pictures ---- */

enum { SIDE = 200 };

static void take(const kn_shape *s, const kn_shot *shot, uint8_t *rgb, uint8_t *cover)
{
    ck_assert_msg(kn_shape_render(s, shot, rgb, cover) == KEN_OK, "%s", ken_last_error());
}

/* Covered pixels. */
static double silhouette(const kn_shape *s, const kn_shot *shot)
{
    static uint8_t rgb[SIDE * SIDE * 3], cover[SIDE * SIDE];
    double sum = 0;
    take(s, shot, rgb, cover);
    for (int i = 0; i < SIDE * SIDE; i++)
        sum += cover[i] / 255.0;
    return sum;
}

static kn_shot shot_of(float perspective, float x, float y, float z)
{
    kn_shot s;
    kn_shot_init(&s);
    s.size = SIDE;
    s.samples = 4;
    s.perspective = perspective;
    s.eye[0] = x;
    s.eye[1] = y;
    s.eye[2] = z;
    return s;
}

START_TEST(draws_true_silhouettes)
{
    const double r = .95 * SIDE / 2, a = 2 * r / sqrt(3); /* side of a cube in a sphere of radius r */
    kn_shape ball = shape_of(round_solid(100, 7, 0)), box = shape_of(cube());
    for (int i = 0; i < 5; i++) {
        const kn_shot shot = shot_of((float)i * .15f, .3f, -.9f, .4f);
        ck_assert_double_eq_tol(silhouette(&ball, &shot) / (M_PI * r * r), 1, 3e-3);
    }
    kn_shot shot = shot_of(0, 0, -1, 0);
    ck_assert_double_eq_tol(silhouette(&box, &shot) / (a * a), 1, 5e-3);
    shot = shot_of(0, 1, 1, 1); /* a regular hexagon */
    ck_assert_double_eq_tol(silhouette(&box, &shot) / (sqrt(3) * a * a), 1, 3e-3);
    shot = shot_of(0, 1, -1, 0); /* two faces */
    ck_assert_double_eq_tol(silhouette(&box, &shot) / (sqrt(2) * a * a), 1, 5e-3);
    /* in perspective along an axis only the near face is seen, sqrt(d^2-1)/(d - a/2) times as large */
    shot = shot_of(.5f, 0, -1, 0);
    const double k = sqrt(3.0) / (2 - 1 / sqrt(3));
    ck_assert_double_eq_tol(silhouette(&box, &shot) / (a * a * k * k), 1, 5e-3);
    kn_shape_release(&ball);
    kn_shape_release(&box);
}
END_TEST

/* Two squares facing -y, one behind the other, the far one wider and turned away from the lights by its
 * slope: what is near hides what is far, whichever comes first. */
START_TEST(near_hides_far)
{
    static uint8_t rgb[2][SIDE * SIDE * 3];
    const float n[4][3] = { { -1, -2, -1 }, { 1, -2, -1 }, { 1, -2, 1 }, { -1, -2, 1 } };
    const float f[4][3] = { { -2, 1, -2 }, { 2, 1, -2 }, { 2, 2.5f, 2 }, { -2, 2.5f, 2 } };
    const kn_shot shot = shot_of(.25f, 0, -1, 0);
    uint8_t colours[2] = { 0, 0 };
    for (int order = 0; order < 2; order++) {
        kn_mesh m = { 0 };
        for (int i = 0; i < 2; i++)
            if (i == order)
                add_quad(&m, n[0], n[1], n[2], n[3]);
            else
                add_quad(&m, f[0], f[1], f[2], f[3]);
        kn_shape s = shape_of(m);
        take(&s, &shot, rgb[order], NULL);
        kn_shape_release(&s);
    }
    ck_assert_mem_eq(rgb[0], rgb[1], sizeof rgb[0]);
    colours[0] = rgb[0][3 * (SIDE / 2 * SIDE + SIDE / 2)]; /* the near one's */
    colours[1] = rgb[0][3 * (SIDE / 2 * SIDE + SIDE / 2 + 38)]; /* the far one's, beside it */
    ck_assert(colours[0] != colours[1] && colours[0] != 255 && colours[1] != 255);
}
END_TEST

/* Lights in the plane of symmetry: the picture is its own mirror image, up to where a border runs
 * through the middle of a sample. */
START_TEST(mirrors)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    kn_shape s = shape_of(cube());
    kn_shot shot = shot_of(.25f, 0, -1, .6f);
    const float above[3] = { 0, .7f, .6f };
    memcpy(shot.key, above, sizeof above);
    memcpy(shot.fills, above, sizeof above);
    take(&s, &shot, rgb, NULL);
    int differ = 0, inked = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const int a = rgb[3 * (y * SIDE + x)], b = rgb[3 * (y * SIDE + SIDE - 1 - x)];
            inked += a != 255;
            differ += abs(a - b) > 1;
        }
    ck_assert_int_gt(inked, SIDE * SIDE / 4);
    ck_assert_int_le(differ, SIDE);
    kn_shape_release(&s);
}
END_TEST

/* A face is as bright as Lambert says: each light's strength times the cosine. */
START_TEST(lights_by_cosines)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    kn_shape s = shape_of(cube());
    kn_shot shot = shot_of(0, 0, -1, 0);
    const float key[3] = { 3, 0, 4 }, fill[3] = { 0, 12, 5 };
    memcpy(shot.key, key, sizeof key);
    memcpy(shot.fills, fill, sizeof fill);
    take(&s, &shot, rgb, NULL);
    const double sum = .12 + .65 * .8 + .25 * 5 / 13, albedo = 200.0 / 255 * 200 / 255;
    ck_assert_int_eq(rgb[3 * (SIDE / 2 * SIDE + SIDE / 2)], (int)(sqrt(sum * albedo) * 255 + .5));
    ck_assert_int_eq(rgb[0], 255);
    kn_shape_release(&s);
}
END_TEST

/* A sphere's normals are its radii, as the camera sees them; from wherever it looks. */
START_TEST(normals_are_the_cameras)
{
    static float normals[SIDE * SIDE * 3];
    static uint8_t cover[SIDE * SIDE];
    kn_shape s = shape_of(round_solid(60, 1, 0));
    const double r = .95 * SIDE / 2;
    for (int from = 0; from < 2; from++) {
        kn_shot shot = from ? shot_of(0, 1, -2, .5f) : shot_of(0, 0, -1, 0);
        shot.samples = 1;
        ck_assert_int_eq(kn_shape_normals(&s, &shot, normals, cover), KEN_OK);
        for (int i = 0; i < SIDE * SIDE; i++) {
            const double x = (i % SIDE + .5 - SIDE / 2.0) / r, y = (SIDE / 2.0 - i / SIDE - .5) / r;
            const double flat = x * x + y * y, want[3] = { x, y, sqrt(fmax(1 - flat, 0)) };
            ck_assert(flat < .98 ? cover[i] == 255 : flat < 1.02 || cover[i] == 0);
            for (int d = 0; d < 3; d++) {
                if (flat < .9)
                    ck_assert_double_eq_tol((double)normals[3 * i + d], want[d], .01);
                else if (flat > 1.02)
                    ck_assert(normals[3 * i + d] == 0);
            }
        }
        shot.samples = 2;
        ck_assert_int_eq(kn_shape_normals(&s, &shot, normals, cover), KEN_E_INVALID);
    }
    kn_shape_release(&s);
}
END_TEST

typedef struct album {
    const kn_shape *s;
    uint8_t *rgb; /* (KN_VIEWS, 64, 64, 3) */
} album;

static ken_status take_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const album *a = cookie;
    ken_status st = KEN_OK;
    kn_shot shot;
    (void)worker;
    kn_shot_init(&shot);
    shot.size = 64;
    for (size_t i = begin; !st && i < end; i++) {
        kn_shot_view(&shot, (uint32_t)i);
        st = kn_shape_render(a->s, &shot, a->rgb + i * 64 * 64 * 3, NULL);
    }
    return st;
}

START_TEST(same_bits_for_any_threads)
{
    static uint8_t one[KN_VIEWS * 64 * 64 * 3], more[sizeof one];
    kn_shape s = shape_of(round_solid(20, 1, 2));
    ck_assert_int_eq(kn_parallel(KN_VIEWS, 1, 1, take_some, &(album){ &s, one }), KEN_OK);
    for (uint32_t threads = 2; threads < 6; threads++) {
        memset(more, 0, sizeof more);
        ck_assert_int_eq(kn_parallel(KN_VIEWS, 1, threads, take_some, &(album){ &s, more }), KEN_OK);
        ck_assert_mem_eq(one, more, sizeof one);
    }
    kn_shape_release(&s);
}
END_TEST

START_TEST(names_views)
{
    kn_shot a, b;
    kn_shot_init(&a);
    kn_shot_init(&b);
    for (uint32_t i = 0; i < KN_VIEWS; i++) {
        double most = -1;
        kn_shot_view(&a, i);
        ck_assert_ptr_nonnull(kn_view_named(i));
        for (uint32_t j = 0; j < KN_VIEWS; j++) {
            double dot = 0, len = 0;
            kn_shot_view(&b, j);
            for (int d = 0; d < 3; d++) {
                dot += (double)a.eye[d] * (double)b.eye[d];
                len += (double)a.eye[d] * (double)a.eye[d];
            }
            if (i != j)
                most = fmax(most, dot / len);
            ck_assert(i == j || strcmp(kn_view_named(i), kn_view_named(j)));
        }
        ck_assert_double_eq_tol(most, 1 / sqrt(5), 1e-6); /* neighbours on an icosahedron */
    }
    ck_assert_ptr_null(kn_view_named(KN_VIEWS));
    kn_shot_view(&a, 0);
    ck_assert_str_eq(kn_view_named(0), "front-right");
    ck_assert(a.eye[1] < 0 && a.eye[0] > 0 && -a.eye[1] > a.eye[0]);
}
END_TEST

START_TEST(refuses_shots)
{
    uint8_t rgb[3];
    kn_shape s = shape_of(cube());
    kn_shot good = shot_of(0, 0, 0, 1), bad; /* up is z */
    ck_assert_int_eq(kn_shape_render(&s, &good, rgb, NULL), KEN_E_INVALID);
    good = shot_of(0, 0, 1, 0);
    for (int i = 0; i < 6; i++) {
        bad = good;
        switch (i) {
        case 0: bad.size = 0; break;
        case 1: bad.size = 4096; break;
        case 2: bad.samples = 5; break;
        case 3: bad.perspective = NAN; break;
        case 4: bad.eye[1] = 0; break;
        default: bad.key[0] = INFINITY; break;
        }
        ck_assert_int_eq(kn_shape_render(&s, &bad, rgb, NULL), KEN_E_INVALID);
    }
    kn_shape_release(&s);
}
END_TEST

/* A block with a smaller one on it off the middle, and a bar across: no two sides look alike. */
static kn_mesh odd_solid(double boss)
{
    static const double blocks[3][6] = { { -3, -2, 0, 3, 2, 1 }, { .5, -1.5, 1, 2.5, 1, 3 },
                                         { -3, 1, 1, -2, 2, 2 } };
    static const int faces[6][4] = { { 0, 2, 3, 1 }, { 4, 5, 7, 6 }, { 0, 1, 5, 4 },
                                     { 2, 6, 7, 3 }, { 0, 4, 6, 2 }, { 1, 3, 7, 5 } };
    kn_mesh m = { 0 };
    for (int b = 0; b < 3; b++)
        for (int f = 0; f < 6; f++) {
            float p[4][3];
            for (int k = 0; k < 4; k++)
                for (int d = 0; d < 3; d++)
                    p[k][d] = (float)(blocks[b][d + 3 * (faces[f][k] >> d & 1)]
                                      - (b == 1 && d == 2 && faces[f][k] >> 2 ? 2 - boss : 0));
            add_quad(&m, p[0], p[1], p[2], p[3]);
        }
    return m;
}

enum { SEEN = 112 };

static void take_noisy(const kn_shape *s, float x, float y, float z, uint8_t *rgb)
{
    kn_rand r = kn_rand_at(8, 1);
    kn_shot shot;
    kn_shot_init(&shot);
    const float eye[3] = { x, y, z }, up[3] = { .2f, .3f, 1 }, key[3] = { .6f, .2f, .7f };
    memcpy(shot.eye, eye, sizeof eye);
    memcpy(shot.up, up, sizeof up);
    memcpy(shot.key, key, sizeof key);
    shot.perspective = .3f;
    shot.fill = .8f;
    shot.size = SEEN;
    take(s, &shot, rgb, NULL);
    for (size_t i = 0; i < SEEN * SEEN * 3; i++)
        rgb[i] = (uint8_t)fminf(fmaxf((float)rgb[i] + 2 * kn_rand_normal(&r), 0), 255);
}

START_TEST(aligns_pictures)
{
    static const float eyes[3][3] = { { .5f, -.8f, .7f }, { -.9f, .2f, .5f }, { .3f, .6f, .9f } };
    static uint8_t rgb[SEEN * SEEN * 3];
    kn_shape design = shape_of(odd_solid(2)), less = shape_of(odd_solid(.8));
    for (int i = 0; i < 3; i++) {
        kn_alignment a, again, b;
        double dot = 0, len = 0;
        take_noisy(&design, eyes[i][0], eyes[i][1], eyes[i][2], rgb);
        ck_assert_msg(kn_align(&design, rgb, SEEN, &a) == KEN_OK, "%s", ken_last_error());
        for (int d = 0; d < 3; d++) {
            dot += (double)a.shot.eye[d] * (double)eyes[i][d];
            len += (double)eyes[i][d] * (double)eyes[i][d];
        }
        ck_assert_double_gt(dot / sqrt(len), cos(8 * M_PI / 180)); /* where it was taken from */
        ck_assert_float_gt(a.agreement, .975f);
        ck_assert_float_gt(a.outline, .8f);
        ck_assert_int_eq(kn_align(&design, rgb, SEEN, &again), KEN_OK);
        ck_assert_mem_eq(&a.agreement, &again.agreement, sizeof a.agreement);
        take_noisy(&less, eyes[i][0], eyes[i][1], eyes[i][2], rgb); /* its boss is too low */
        ck_assert_int_eq(kn_align(&design, rgb, SEEN, &b), KEN_OK);
        ck_assert_float_lt(b.agreement, a.agreement - .01f);
    }
    memset(rgb, 200, sizeof rgb);
    kn_alignment a;
    ck_assert_int_eq(kn_align(&design, rgb, SEEN, &a), KEN_E_FORMAT);
    ck_assert_int_eq(kn_align(&design, rgb, 31, &a), KEN_E_INVALID);
    kn_shape_release(&design);
    kn_shape_release(&less);
}
END_TEST

/* Every allocation fails in turn: an error, nothing lost. */
START_TEST(survives_without_memory)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    static blob b;
    const kn_shot shot = shot_of(0, 0, 1, 0);
    char ply[2048];
    const size_t ply_len = ply_text(ply);
    ken_status st = KEN_E_NOMEM;
    stl_corner(&b, "");
    for (long n = 0; st == KEN_E_NOMEM && n < 100; n++) {
        kn_mesh m[3] = { { 0 }, { 0 }, { 0 } };
        kn_shape s = { 0 };
        kn_alloc_fail_after(n);
        st = kn_mesh_parse(&m[0], "stl", b.bytes, b.len);
        if (!st)
            st = kn_mesh_parse(&m[1], "obj", cube_obj, sizeof cube_obj - 1);
        if (!st)
            st = kn_mesh_parse(&m[2], "ply", ply, ply_len);
        if (!st)
            st = kn_shape_new(&s, &m[1]);
        if (!st)
            st = kn_shape_render(&s, &shot, rgb, NULL);
        kn_alloc_fail_after(-1);
        kn_shape_release(&s);
        for (int i = 0; i < 3; i++)
            kn_mesh_release(&m[i]);
    }
    ck_assert_int_eq(st, KEN_OK);
}
END_TEST

/* The parts of the shared data: closed, and their measures do not depend on how they lie. */
START_TEST(reads_real_parts)
{
    const char *data = kn_test_data("reads_real_parts");
    char path[4096];
    kn_rand r = kn_rand_at(6, 0);
    int parts = 0;
    if (!data)
        return;
    snprintf(path, sizeof path, "%s/stl", data);
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        kn_mesh m;
        kn_shape s;
        snprintf(path, sizeof path, "%s/stl/%s", data, e->d_name);
        if (!kn_mesh_kind(path))
            continue;
        ck_assert_msg(kn_mesh_load(&m, path) == KEN_OK, "%s", ken_last_error());
        ck_assert_int_eq(kn_shape_new(&s, &m), KEN_OK);
        const double area = kn_mesh_area(&m), volume = kn_mesh_volume(&m);
        ck_assert_double_gt(volume, 0);
        move(&m, &r);
        ck_assert_double_eq_tol(kn_mesh_area(&m) / area, 1, 1e-4);
        ck_assert_double_eq_tol(kn_mesh_volume(&m) / volume, 1, 1e-4);
        kn_shape_release(&s);
        kn_mesh_release(&m);
        parts++;
    }
    closedir(d);
    ck_assert_int_eq(parts, 21);
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_test(t, reads_binary_stl);
    tcase_add_test(t, reads_ascii_stl);
    tcase_add_test(t, refuses_hostile_stl);
    tcase_add_test(t, drops_triangles_without_area);
    tcase_add_test(t, takes_extreme_coordinates);
    tcase_add_test(t, reads_obj);
    tcase_add_test(t, reads_ply);
    tcase_add_test(t, names_files);
    tcase_add_test(t, measures_solids);
    tcase_add_test(t, moving_keeps_area_and_volume);
    tcase_add_test(t, smooths_spheres_not_cubes);
    tcase_add_test(t, knows_closed_surfaces);
    tcase_add_test(t, draws_true_silhouettes);
    tcase_add_test(t, near_hides_far);
    tcase_add_test(t, mirrors);
    tcase_add_test(t, lights_by_cosines);
    tcase_add_test(t, normals_are_the_cameras);
    tcase_add_test(t, same_bits_for_any_threads);
    tcase_add_test(t, names_views);
    tcase_add_test(t, refuses_shots);
    tcase_add_test(t, aligns_pictures);
    tcase_add_test(t, survives_without_memory);
    tcase_add_test(t, reads_real_parts);
}

int main(void)
{
    return kn_test_main("mesh", fill);
}
