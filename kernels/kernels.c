/* kernels.c - choose the implementations once, at first use. */
#include "kernels/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const kn_level kn_levels[] = {
    { "c", 0, kn_kernels_init_c },
#if defined(__x86_64__)
    { "avx2", KN_CPU_AVX2, kn_kernels_init_avx2 },
    { "avx512", KN_CPU_AVX512, kn_kernels_init_avx512 },
    { "avx512icl", KN_CPU_AVX512ICL, kn_kernels_init_avx512icl },
    { "avx512bf16", KN_CPU_AVX512BF16, kn_kernels_init_avx512bf16 },
    { "amx", KN_CPU_AMX, kn_kernels_init_amx },
#elif defined(__aarch64__)
    { "neon", KN_CPU_NEON, kn_kernels_init_neon },
#endif
    { NULL, 0, NULL },
};

kn_kernels kn_kernels_for(unsigned cpu)
{
    kn_kernels k = { 0 };
    for (const kn_level *l = kn_levels; l->name; l++)
        if ((cpu & l->need) == l->need)
            l->init(&k); /* a later level replaces only what it implements */
    return k;
}

/* "avx2" allows every level up to and including avx2. */
static unsigned cap(const char *name)
{
    unsigned allowed = 0;
    for (const kn_level *l = kn_levels; l->name; l++) {
        allowed |= l->need;
        if (!strcmp(name, l->name))
            return allowed;
    }
    return ~0u; /* an unknown name caps nothing */
}

static kn_kernels chosen;
static unsigned chosen_cpu;
static const char *chosen_level;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void)
{
    const char *limit = getenv("KEN_CPU");
    chosen_cpu = kn_cpu_detect() & (limit ? cap(limit) : ~0u);
    chosen = kn_kernels_for(chosen_cpu);
    for (const kn_level *l = kn_levels; l->name; l++)
        if ((chosen_cpu & l->need) == l->need)
            chosen_level = l->name;
}

const kn_kernels *kn_kernels_get(void)
{
    pthread_once(&once, choose);
    return &chosen;
}

unsigned kn_cpu_get(void)
{
    pthread_once(&once, choose);
    return chosen_cpu;
}

const char *kn_level_get(void)
{
    pthread_once(&once, choose);
    return chosen_level;
}

size_t kn_panel_bytes(size_t n, size_t k, kn_type type)
{
    const size_t panels = (n + KN_PANEL - 1) / KN_PANEL;
    return panels * kn_panel_k(k, type) * KN_PANEL * (type == KN_F32 ? sizeof(float) : 2);
}
