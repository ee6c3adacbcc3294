/* about.c - what this build is and what this machine can do. */
#include "base/parallel.h"
#include "kernels/kernels.h"
#include "ken.h"

#include <pthread.h>
#include <string.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *ken_version(void)
{
    return TEXT(KEN_VERSION_MAJOR) "." TEXT(KEN_VERSION_MINOR) "." TEXT(KEN_VERSION_PATCH);
}

const char *ken_features(void)
{
    return
#ifdef KEN_JPEG
        "jpeg "
#endif
#ifdef KEN_WEBP
        "webp "
#endif
#ifdef KEN_HEIF
        "heif "
#endif
#ifdef KEN_SQLITE
        "sqlite "
#endif
#ifdef KEN_YAML
        "yaml "
#endif
#ifdef KEN_MILVUS
        "milvus "
#endif
#ifdef KEN_CURL
        "curl "
#endif
#ifdef KEN_PTHREAD
        "pthread";
#else
        "openmp";
#endif
}

static char levels[128];
static pthread_once_t levels_once = PTHREAD_ONCE_INIT;

static void list_levels(void)
{
    const unsigned cpu = kn_cpu_detect();
    for (const kn_level *l = kn_levels; l->name; l++) {
        if ((cpu & l->need) != l->need)
            continue;
        if (*levels)
            strncat(levels, " ", sizeof levels - strlen(levels) - 1);
        strncat(levels, l->name, sizeof levels - strlen(levels) - 1);
    }
}

const char *ken_cpu_levels(void)
{
    pthread_once(&levels_once, list_levels);
    return levels;
}

const char *ken_cpu_level(void)
{
    return kn_level_get();
}

/* ---- the peak ---- */

enum { MOST_THREADS = 256 };

typedef struct peak {
    kn_math math;
    double rate[MOST_THREADS]; /* of each thread */
} peak;

static ken_status measure(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    peak *p = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        p->rate[i] = kn_peak(p->math, 0.1);
    return KEN_OK;
}

double ken_peak_flops(const char *precision, uint32_t threads)
{
    peak p = { .math = KN_MATH_F32 };
    double sum = 0;
    const char *name = precision ? precision : "auto";
    if (!strcmp(name, "auto"))
        name = kn_cpu_get() & KN_CPU_AMX ? "bf16" : "f32";
    if (!strcmp(name, "bf16"))
        p.math = KN_MATH_BF16;
    else if (!strcmp(name, "bf16x3"))
        p.math = KN_MATH_BF16X3;
    if (!threads)
        threads = kn_processors();
    if (threads > MOST_THREADS)
        threads = MOST_THREADS;
    if (kn_parallel(threads, 1, threads, measure, &p))
        return 0;
    for (uint32_t i = 0; i < threads; i++)
        sum += p.rate[i];
    return sum;
}
