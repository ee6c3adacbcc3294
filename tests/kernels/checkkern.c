/* checkkern.c - run every check at every level; see checkkern.h. */
#include "checkkern.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static void (*const checks[])(ck *) = {
    check_gemm, check_conv,    check_pack,     check_outer, check_attention, check_norm, check_batch,
    check_wino, check_pool, check_dist, check_code, check_pq, check_convert, check_resample,
};

enum { SHOWN = 10, CANARY = 0xA5, TURNS = 40 };
static const double turn_seconds = 0.0005;

double ck_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

ck_timer ck_start(ck *t, const char *label)
{
    return (
        ck_timer){ .t = t, .label = label, .turn = -1, .repeat = { 1, 1 }, .best = { 1e30, 1e30 } };
}

bool ck_turn(ck_timer *tm)
{
    const double now = ck_now();
    if (!tm->t->bench)
        return false;
    if (tm->turn >= 0) {
        const int side = tm->turn % 2;
        const double took = (now - tm->since) / (double)tm->repeat[side];
        tm->best[side] = took < tm->best[side] ? took : tm->best[side];
        tm->repeat[side] = 1 + (long)(turn_seconds / (tm->best[side] + 1e-9));
    }
    if (++tm->turn == TURNS) {
        const double c = tm->best[0] * 1e9, best = tm->best[1] * 1e9;
        printf("%-16s %-10s %-14s %11.1f ns   c %11.1f ns   x%.1f\n", tm->t->kernel, tm->t->level,
               tm->label, best, c, c / best);
        return false;
    }
    tm->since = ck_now();
    return true;
}

typedef struct ck_block {
    struct ck_block *next;
    unsigned char *map, *p;
    size_t map_bytes, page;
} ck_block;

void *ck_guarded(ck *t, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = (bytes + page - 1) / page * page;
    ck_block *b = malloc(sizeof *b);
    unsigned char *map =
        mmap(NULL, room + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!b || map == MAP_FAILED || mprotect(map, page, PROT_NONE) ||
        mprotect(map + page + room, page, PROT_NONE))
        abort();
    *b = (ck_block){ t->blocks, map, map + page + room - bytes, room + 2 * page, page };
    memset(map + page, CANARY, (size_t)(b->p - (map + page)));
    t->blocks = b;
    return b->p;
}

void ck_release(ck *t)
{
    while (t->blocks) {
        ck_block *b = t->blocks;
        t->blocks = b->next;
        for (const unsigned char *c = b->map + b->page; c < b->p; c++)
            if (*c != CANARY) {
                ck_near(t, *c, CANARY, 0, "byte %td before a buffer", b->p - c);
                break;
            }
        munmap(b->map, b->map_bytes);
        free(b);
    }
}

uint32_t ck_rand(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

void ck_fill(float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(ck_rand() >> 8) / 8388608.0f - 1.0f;
}

void ck_fill_bytes(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)p)[i] = (unsigned char)(ck_rand() >> 24);
}

/* x rounded to a float format of `bits` significant bits, whose smallest normal is 2^low and whose
 * smallest overflowing power is 2^high.  rint() rounds to nearest even. */
static double round_to(double x, int bits, int low, int high)
{
    int e;
    if (x == 0 || !isfinite(x))
        return x;
    frexp(x, &e); /* |x| in [2^(e-1), 2^e) */
    const int unit = (e - 1 > low ? e - 1 : low) - bits + 1;
    const double r = ldexp(rint(ldexp(x, -unit)), unit);
    return fabs(r) >= ldexp(1, high) ? copysign(INFINITY, x) : r;
}

uint16_t ck_to_bf16(double x)
{
    const float f = (float)round_to(x, 8, -126, 128);
    uint32_t u;
    memcpy(&u, &f, 4);
    return isnan(x) ? (uint16_t)(u >> 16 | 0x40) : (uint16_t)(u >> 16);
}

float ck_from_bf16(uint16_t h)
{
    const uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

uint16_t ck_to_f16(double x)
{
    const double r = fabs(round_to(x, 11, -14, 16));
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    int e;
    if (isnan(x))
        return (uint16_t)(sign | 0x7e00);
    if (isinf(r))
        return (uint16_t)(sign | 0x7c00);
    if (r < ldexp(1, -14)) /* zero and subnormal: units of 2^-24 */
        return (uint16_t)(sign | (uint16_t)ldexp(r, 24));
    const double m = frexp(r, &e); /* m in [1/2, 1) */
    return (uint16_t)(sign | (uint16_t)((e + 14) << 10) | (uint16_t)(ldexp(m, 11) - 1024));
}

float ck_from_f16(uint16_t h)
{
    const int e = h >> 10 & 31, m = h & 1023;
    const float x =
        e == 31 ? (m ? NAN : INFINITY) : (float)ldexp(e ? m + 1024 : m, (e ? e : 1) - 25);
    return h & 0x8000 ? -x : x;
}

/* Close the kernel under test, if any. */
static void end_kernel(ck *t)
{
    if (t->kernel && t->wrong == 0)
        t->passed++;
    else if (t->kernel) {
        printf("FAILED %s at level %s: %d mismatches\n", t->kernel, t->level, t->wrong);
        t->failed++;
    }
    t->kernel = NULL;
    t->wrong = 0;
}

bool ck_begin(ck *t, const char *kernel, bool is_new)
{
    if (!is_new || (t->pattern && !strstr(kernel, t->pattern)))
        return false;
    end_kernel(t);
    t->kernel = kernel;
    t->tested++;
    return true;
}

static bool report(ck *t, const char *fmt, va_list ap)
{
    if (t->wrong++ >= SHOWN)
        return false;
    printf("WRONG %s at level %s: ", t->kernel, t->level);
    vprintf(fmt, ap);
    return true;
}

void ck_near(ck *t, double got, double want, double tolerance, const char *fmt, ...)
{
    if (fabs(got - want) <= tolerance || (isnan(got) && isnan(want)) || got == want)
        return;
    va_list ap;
    va_start(ap, fmt);
    if (report(t, fmt, ap))
        printf(": got %.9g, want %.9g +- %.3g\n", got, want, tolerance);
    va_end(ap);
}

void ck_equal(ck *t, const void *got, const void *want, size_t bytes, const char *fmt, ...)
{
    const unsigned char *g = got, *w = want;
    size_t i = 0;
    while (i < bytes && g[i] == w[i])
        i++;
    if (i == bytes)
        return;
    va_list ap;
    va_start(ap, fmt);
    if (report(t, fmt, ap))
        printf(": byte %zu of %zu is %02x, not %02x\n", i, bytes, g[i], w[i]);
    va_end(ap);
}

/* What the processor claims, whether or not the system lets us use it. */
static bool processor_has_amx(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    const unsigned amx = 1u << 22 | 1u << 24; /* BF16, TILE */
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & amx) == amx;
#else
    return false;
#endif
}

static void run_level(ck *t, const char *name)
{
    const int before = t->tested;
    t->level = name;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        checks[i](t);
        ck_release(t);
        end_kernel(t);
    }
    printf("level %s: %d kernels tested\n", name, t->tested - before);
    fflush(stdout);
}

/* The logic of level amx, on machines that have everything but its tiles too. */
static void run_emulated(ck *t, unsigned cpu, const char *only)
{
#if defined(__x86_64__)
    const bool able = cpu & KN_CPU_AVX512BF16, bench = t->bench;
    if (only && strcmp(only, "amx"))
        return;
    if (!able) {
        printf("skipped level amx (emulated): this machine lacks avx512bf16\n");
        return;
    }
    t->now = t->prev = kn_kernels_for(cpu);
    t->bench = false;
    ck_init_amx_emulated(&t->now);
    run_level(t, "amx (emulated)");
    t->bench = bench;
#else
    (void)t;
    (void)cpu;
    (void)only;
#endif
}

static bool run_levels(ck *t, const char *only)
{
    const unsigned cpu = kn_cpu_detect();
    unsigned upto = 0;
    bool amx = false;
    for (const kn_level *l = kn_levels; l->name; l++) {
        if ((cpu & l->need) != l->need) {
            printf("skipped level %s: this machine lacks it\n", l->name);
            continue;
        }
        upto |= l->need;
        t->now = kn_kernels_for(upto);
        if (!only || !strcmp(only, l->name))
            run_level(t, l->name);
        t->prev = t->now;
        amx |= l->need == KN_CPU_AMX;
    }
    run_emulated(t, cpu, only);
    if (processor_has_amx() && !amx)
        printf("FAILED level amx: the processor has it, but the system did not let it run\n");
    return amx || !processor_has_amx();
}

static ck *running;

/* A read or write past a buffer ends here. */
static void crashed(int signal)
{
    char text[200];
    const int n =
        snprintf(text, sizeof text, "FAILED %s at level %s: signal %d\n0 passed, 1 failed\n",
                 running->kernel ? running->kernel : "?", running->level, signal);
    fflush(stdout);
    _exit(write(STDOUT_FILENO, text, (size_t)n) == n ? 1 : 2);
}

int main(int argc, char **argv)
{
    ck t = { .ref = kn_kernels_for(0) };
    const char *only = NULL;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--bench"))
            t.bench = true;
        else if (!strcmp(argv[i], "--level") && i + 1 < argc)
            only = argv[++i];
        else
            t.pattern = argv[i];
    running = &t;
    signal(SIGSEGV, crashed);
    signal(SIGILL, crashed);
    t.failed += !run_levels(&t, only);
    printf("%d passed, %d failed\n", t.passed, t.failed);
    return t.failed != 0;
}
