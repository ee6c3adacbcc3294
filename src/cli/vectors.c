/* vectors.c - see vectors.h.  Every length is checked against the file before anything is read. */
#include "cli/vectors.h"

#include "cli/mem.h"
#include "cli/paths.h"
#include "cli/say.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum type { F32, F16, F64, I8, U8, I32, U32, I64, U64, TYPES } type;
static const size_t sizes[TYPES] = { 4, 2, 8, 1, 1, 4, 4, 8, 8 };

/* A file's numbers, wherever they lie. */
typedef struct table {
    const unsigned char *data; /* the first row */
    size_t n, dim, apart;      /* rows, numbers in one, bytes from one to the next */
    type t;
} table;

static int wrong(const char *path, const char *what)
{
    return cli_error("%s: %s", path, what);
}

static uint32_t little32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- .npy: numpy/lib/format.py ---- */

static int npy_type(const char *descr, type *t)
{
    static const struct {
        const char *name;
        type t;
    } all[] = { { "<f4", F32 }, { "<f2", F16 }, { "<f8", F64 }, { "|i1", I8 }, { "|u1", U8 },
                { "<i4", I32 }, { "<u4", U32 }, { "<i8", I64 }, { "<u8", U64 } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strncmp(descr, all[i].name, 3)) {
            *t = all[i].t;
            return 1;
        }
    return 0;
}

static const char *npy_value(const char *head, const char *key)
{
    const char *p = strstr(head, key);
    if (!p)
        return NULL;
    p += strlen(key);
    return p + strspn(p, ": ");
}

static int npy_shape(const char *p, table *t)
{
    unsigned long long d[2] = { 1, 1 };
    int n = 0;
    if (!p || *p++ != '(')
        return 0;
    for (; n < 2; n++) {
        char *end;
        p += strspn(p, " ");
        if (*p < '0' || *p > '9')
            break;
        d[n] = strtoull(p, &end, 10);
        p = end + strspn(end, " ");
        p += *p == ',';
    }
    p += strspn(p, " ");
    if (*p != ')' || !n || d[0] > SIZE_MAX / 16 || d[1] > 1u << 24)
        return 0;
    t->n = (size_t)d[0];
    t->dim = (size_t)d[1];
    return 1;
}

static int parse_npy(const char *path, const unsigned char *b, size_t len, table *t)
{
    const size_t at = len > 10 && b[6] == 1 ? 10 : 12;
    const size_t header = len <= 12 ? 0 : at == 10 ? (size_t)(b[8] | b[9] << 8) : little32(b + 8);
    if (len < 12 || memcmp(b, "\x93NUMPY", 6) || b[6] < 1 || b[6] > 3 || header > len - at)
        return wrong(path, "not a NumPy file");
    char *head = cli_mem_textn((const char *)b + at, header);
    const char *descr = npy_value(head, "'descr'"), *order = npy_value(head, "'fortran_order'");
    int bad = 0;
    if (!descr || *descr != '\'' || !npy_type(descr + 1, &t->t))
        bad = wrong(path, "its numbers are not f32, f16, f64, i8, u8, i32, u32, i64 or u64");
    else if (!order || strncmp(order, "False", 5))
        bad = wrong(path, "in Fortran's order; save numpy.ascontiguousarray() of it");
    else if (!npy_shape(npy_value(head, "'shape'"), t))
        bad = wrong(path, "its shape is not one or two axes");
    cli_mem_free(head);
    if (bad)
        return bad;
    t->apart = t->dim * sizes[t->t];
    t->data = b + at + header;
    if (t->apart && t->n > (len - at - header) / t->apart)
        return wrong(path, "it ends before its last row");
    return 0;
}

/* ---- the formats of the benchmarks ---- */

static int parse_bin(const char *path, const unsigned char *b, size_t len, type of, table *t)
{
    if (len < 8)
        return wrong(path, "it ends within its header");
    *t = (table){ b + 8, little32(b), little32(b + 4), 0, of };
    t->apart = t->dim * sizes[of];
    if (!t->dim || t->n > (len - 8) / t->apart)
        return wrong(path, "it ends before its last row");
    return 0;
}

static int parse_vecs(const char *path, const unsigned char *b, size_t len, type of, table *t)
{
    *t = (table){ b + 4, 0, len >= 4 ? little32(b) : 0, 0, of };
    t->apart = 4 + t->dim * sizes[of];
    if (!t->dim || len % t->apart)
        return wrong(path, "its length is no whole number of rows");
    t->n = len / t->apart;
    for (size_t i = 0; i < t->n; i++)
        if (little32(b + i * t->apart) != t->dim) {
            return cli_error("%s: row %zu has another dimension than row 0", path, i);
        }
    return 0;
}

static const char *ending(const char *path)
{
    const char *dot = strrchr(cli_path_name(path), '.');
    return dot ? dot : "";
}

static int parse(const char *path, const unsigned char *b, size_t len, table *t)
{
    static const struct {
        const char *end;
        type t;
        int vecs;
    } all[] = { { ".fbin", F32, 0 },  { ".u8bin", U8, 0 },  { ".i8bin", I8, 0 }, { ".ibin", I32, 0 },
                { ".fvecs", F32, 1 }, { ".bvecs", U8, 1 }, { ".ivecs", I32, 1 } };
    const char *end = ending(path);
    if (!strcmp(end, ".npy"))
        return parse_npy(path, b, len, t);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(end, all[i].end))
            return all[i].vecs ? parse_vecs(path, b, len, all[i].t, t)
                               : parse_bin(path, b, len, all[i].t, t);
    return wrong(path, "no kind of vectors by its name: .npy .fbin .fvecs .bvecs .ibin .ivecs");
}

/* ---- numbers ---- */

static float from_f16(uint32_t h)
{
    const uint32_t sign = (h & 0x8000) << 16, e = h >> 10 & 31, m = h & 1023;
    float x = 0;
    uint32_t bits = sign | (e == 31 ? 255u << 23 : (e + 112) << 23) | m << 13;
    if (e) {
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    x = (float)m * 0x1p-24f; /* subnormal */
    return sign ? -x : x;
}

static float real_at(const unsigned char *p, type t)
{
    union {
        float f;
        double d;
        int32_t i;
        uint32_t u;
        int64_t l;
        uint64_t ul;
        uint16_t h;
        int8_t c;
    } x;
    memcpy(&x, p, sizes[t]);
    switch (t) {
    case F32:
        return x.f;
    case F16:
        return from_f16(x.h);
    case F64:
        return (float)x.d;
    case I8:
        return x.c;
    case I32:
        return (float)x.i;
    case U32:
        return (float)x.u;
    case I64:
        return (float)x.l;
    case U64:
        return (float)x.ul;
    default:
        return p[0];
    }
}

static int64_t whole_at(const unsigned char *p, type t)
{
    int64_t l;
    int32_t i;
    if (t == I64 || t == U64) {
        memcpy(&l, p, sizeof l);
        return l;
    }
    if (t == U32)
        return little32(p);
    if (t == I32) {
        memcpy(&i, p, sizeof i);
        return i;
    }
    return t == I8 ? (int8_t)p[0] : p[0];
}

/* ---- reading ---- */

static char *read_all(const char *path, size_t *len)
{
    char *b = cli_read_file(path, SIZE_MAX / 4, len);
    if (!b)
        cli_error("%s: %s", path, strerror(errno));
    return b;
}

static int append(cli_vectors *v, const char *path)
{
    size_t len;
    table t = { 0 };
    char *b = read_all(path, &len);
    int bad = b ? parse(path, (const unsigned char *)b, len, &t) : CLI_EXIT_WRONG;
    if (!bad && v->n && t.dim != v->dim)
        bad = cli_error("%s: dimension %zu beside %zu", path, t.dim, v->dim);
    if (!bad) {
        v->rows = cli_mem_grow(v->rows, (v->n + t.n ? v->n + t.n : 1) * t.dim, sizeof *v->rows);
        for (size_t i = 0; i < t.n; i++) {
            const unsigned char *p = t.data + i * t.apart;
            float *row = v->rows + (v->n + i) * t.dim;
            if (t.t == F32)
                memcpy(row, p, t.dim * sizeof *row);
            else
                for (size_t j = 0; j < t.dim; j++)
                    row[j] = real_at(p + j * sizes[t.t], t.t);
        }
        v->n += t.n;
        v->dim = t.dim;
    }
    cli_mem_free(b);
    return bad;
}

static int is_npy(const struct dirent *e)
{
    return !strcmp(ending(e->d_name), ".npy");
}

static int append_folder(cli_vectors *v, const char *path)
{
    struct dirent **list;
    int bad = 0, n = scandir(path, &list, is_npy, alphasort);
    if (n < 0)
        return cli_error("%s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *file = cli_path_in(path, list[i]->d_name);
        if (!bad)
            bad = append(v, file);
        cli_mem_free(file);
        cli_mem_free(list[i]);
    }
    cli_mem_free(list);
    return bad;
}

int cli_vectors_read(cli_vectors *v, const char *path)
{
    *v = (cli_vectors){ 0 };
    int bad = cli_path_is_dir(path) ? append_folder(v, path) : append(v, path);
    if (!bad && !v->dim)
        bad = wrong(path, "no vectors in it");
    if (bad)
        cli_vectors_free(v);
    return bad;
}

int cli_ids_read(cli_ids *v, const char *path)
{
    size_t len;
    table t = { 0 };
    char *b = read_all(path, &len);
    int bad = b ? parse(path, (const unsigned char *)b, len, &t) : CLI_EXIT_WRONG;
    *v = (cli_ids){ 0 };
    if (!bad && (t.t == F32 || t.t == F16 || t.t == F64))
        bad = wrong(path, "ids are whole numbers");
    if (!bad) {
        *v = (cli_ids){ cli_mem_new(t.n * t.dim + 1, sizeof *v->ids), t.n, t.dim };
        for (size_t i = 0; i < t.n; i++)
            for (size_t j = 0; j < t.dim; j++)
                v->ids[i * t.dim + j] = whole_at(t.data + i * t.apart + j * sizes[t.t], t.t);
    }
    cli_mem_free(b);
    return bad;
}

int cli_ids_read_list(cli_ids *v, const char *path)
{
    int bad = cli_ids_read(v, path);
    if (!bad && v->n == 1 && v->k > 1) { /* one row of many */
        v->n = v->k;
        v->k = 1;
    }
    if (!bad && v->k != 1) {
        bad = wrong(path, "a list of ids has one axis");
        cli_ids_free(v);
    }
    return bad;
}

void cli_vectors_free(cli_vectors *v)
{
    cli_mem_free(v->rows);
    *v = (cli_vectors){ 0 };
}

void cli_ids_free(cli_ids *v)
{
    cli_mem_free(v->ids);
    *v = (cli_ids){ 0 };
}

/* ---- writing ---- */

static int put_row(FILE *f, const int64_t *ids, size_t k, int wide)
{
    for (size_t i = 0; i < k; i++) {
        const int32_t small = (int32_t)ids[i];
        if (fwrite(wide ? (const void *)&ids[i] : &small, wide ? 8 : 4, 1, f) != 1)
            return 0;
    }
    return 1;
}

static int put_head(FILE *f, const char *end, size_t n, size_t k)
{
    char h[128];
    const uint32_t shape[2] = { (uint32_t)n, (uint32_t)k };
    if (!strcmp(end, ".ibin"))
        return fwrite(shape, sizeof shape, 1, f) == 1;
    if (!strcmp(end, ".ivecs"))
        return 1;
    memset(h, ' ', sizeof h);
    memcpy(h, "\x93NUMPY\x01\x00\x76\x00", 10);
    h[10 + snprintf(h + 10, sizeof h - 10,
                    "{'descr': '<i8', 'fortran_order': False, 'shape': (%zu, %zu), }", n, k)] = ' ';
    h[sizeof h - 1] = '\n';
    return fwrite(h, sizeof h, 1, f) == 1;
}

int cli_ids_write(const char *path, const int64_t *ids, size_t n, size_t k)
{
    const char *end = ending(path);
    const uint32_t dim = (uint32_t)k;
    const int vecs = !strcmp(end, ".ivecs"), wide = !vecs && strcmp(end, ".ibin");
    char *temporary = cli_mem_textf("%s.%ld.tmp", path, (long)getpid());
    FILE *f = fopen(temporary, "wb");
    int ok = f && put_head(f, end, n, k);
    for (size_t i = 0; ok && i < n; i++)
        ok = (!vecs || fwrite(&dim, sizeof dim, 1, f) == 1) && put_row(f, ids + i * k, k, wide);
    if (f && fclose(f))
        ok = 0;
    ok = ok && rename(temporary, path) == 0;
    int code = ok ? 0 : cli_error("%s: %s", path, strerror(errno));
    if (!ok)
        unlink(temporary);
    cli_mem_free(temporary);
    return code;
}
