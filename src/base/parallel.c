/*
 * parallel.c - one static split, two ways to run it.
 *
 * Our own pool has threads - 1 helpers that look for work some 30 microseconds
 * after a loop, then sleep.  OpenMP's (libgomp) look far longer, which holds a
 * processor that another program could use, and ThreadSanitizer cannot see into it.
 */
#include "base/parallel.h"

#include "base/error.h"

#include <sched.h>
#include <stdio.h>

#include <pthread.h>
#include <stdatomic.h>

enum { MAX_THREADS = 256, REASON = 512 };

typedef struct loop {
    size_t n, grain;
    uint32_t pieces;
    kn_loop_fn fn;
    void *cookie;
    pthread_mutex_t lock; /* guards the three below: the first failing piece so far */
    uint32_t failed;
    ken_status st;
    char why[REASON];
} loop;

static _Thread_local int inside; /* a loop within a loop runs alone */

static ken_status run_piece(const loop *l, uint32_t i)
{
    const size_t grains = (l->n + l->grain - 1) / l->grain;
    const size_t begin = grains * i / l->pieces * l->grain;
    size_t end = grains * (i + 1) / l->pieces * l->grain;
    if (end > l->n)
        end = l->n;
    return begin < end ? l->fn(begin, end, i, l->cookie) : KEN_OK;
}

static void run_and_note(loop *l, uint32_t i)
{
    int before = inside;
    inside = 1;
    ken_status st = run_piece(l, i);
    inside = before;
    if (!st)
        return;
    pthread_mutex_lock(&l->lock);
    if (!l->st || i < l->failed) {
        l->st = st;
        l->failed = i;
        snprintf(l->why, sizeof l->why, "%s", ken_last_error());
    }
    pthread_mutex_unlock(&l->lock);
}

#ifdef KEN_PTHREAD

enum { SPINS = 2000 }; /* looks before sleeping: some 30 microseconds */

static struct pool {
    pthread_mutex_t turn; /* held by the loop that has the pool */
    pthread_mutex_t lock; /* guards the sleeping, and helpers */
    pthread_cond_t wake, done;
    uint32_t helpers;     /* started */
    unsigned born[MAX_THREADS]; /* round before each one's first */
    loop *work;           /* written before round is raised, read behind it */
    atomic_uint round;    /* raised for each loop */
    atomic_uint running;  /* helpers that have not finished this round */
} pool = { .turn = PTHREAD_MUTEX_INITIALIZER,
           .lock = PTHREAD_MUTEX_INITIALIZER,
           .wake = PTHREAD_COND_INITIALIZER,
           .done = PTHREAD_COND_INITIALIZER };

static void pause_a_little(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Wait until *value is no longer `old`: looking for a while, then asleep. */
static void wait_for_change(atomic_uint *value, unsigned old, pthread_cond_t *cond)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(value) != old)
            return;
        pause_a_little();
    }
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(value) == old)
        pthread_cond_wait(cond, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

static void *helper(void *arg)
{
    const uint32_t me = (uint32_t)(uintptr_t)arg; /* piece me, from 1 */
    for (unsigned seen = pool.born[me];; seen++) { /* every helper takes part in every round */
        wait_for_change(&pool.round, seen, &pool.wake);
        if (me < pool.work->pieces)
            run_and_note(pool.work, me);
        if (atomic_fetch_sub(&pool.running, 1) == 1) {
            pthread_mutex_lock(&pool.lock);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.lock);
        }
    }
    return NULL;
}

/* A forked child has no helpers, whatever the parent's were doing. */
static void forget_helpers(void)
{
    pthread_mutex_init(&pool.turn, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.done, NULL);
    atomic_store(&pool.running, 0);
    pool.helpers = 0;
}

/* Helpers 1 .. want exist, or fewer if the system gives no more. */
static void start_helpers(uint32_t want)
{
    static int told;
    if (!told)
        told = pthread_atfork(NULL, NULL, forget_helpers) == 0;
    while (pool.helpers < want) {
        pthread_t t;
        pool.born[pool.helpers + 1] = atomic_load(&pool.round);
        if (pthread_create(&t, NULL, helper, (void *)(uintptr_t)(pool.helpers + 1)) != 0)
            break;
        pthread_detach(t);
        pool.helpers++;
    }
}

static void run_all(loop *l)
{
    if (pthread_mutex_trylock(&pool.turn) != 0) { /* another thread has the pool: alone is not slower */
        for (uint32_t i = 0; i < l->pieces; i++)
            run_and_note(l, i);
        return;
    }
    start_helpers(l->pieces - 1);
    const uint32_t have = pool.helpers;
    pool.work = l;
    atomic_store(&pool.running, have);
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.round, 1);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    run_and_note(l, 0);
    for (uint32_t i = have + 1; i < l->pieces; i++)
        run_and_note(l, i);
    for (unsigned left; (left = atomic_load(&pool.running));)
        wait_for_change(&pool.running, left, &pool.done);
    pthread_mutex_unlock(&pool.turn);
}

#else

static void run_all(loop *l)
{
    const int pieces = (int)l->pieces;
#pragma omp parallel for schedule(static, 1) num_threads(pieces)
    for (int i = 0; i < pieces; i++)
        run_and_note(l, (uint32_t)i);
}

#endif

ken_status kn_parallel(size_t n, size_t grain, uint32_t threads, kn_loop_fn fn, void *cookie)
{
    if (!n)
        return KEN_OK;
    loop l = { .n = n, .fn = fn, .cookie = cookie, .lock = PTHREAD_MUTEX_INITIALIZER };
    l.grain = grain ? grain : 1;
    const size_t grains = (n + l.grain - 1) / l.grain;
    l.pieces = threads < MAX_THREADS ? threads : MAX_THREADS;
    if (l.pieces > grains)
        l.pieces = (uint32_t)grains;
    if (l.pieces <= 1 || inside)
        return fn(0, n, 0, cookie);

    run_all(&l);
    return l.st ? kn_fail(l.st, "%s", l.why) : KEN_OK;
}

/* cgroup v2 says "MAX PERIOD" in microseconds, or "max PERIOD". */
static uint32_t quota(void)
{
    double max = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    int got = f ? fscanf(f, "%lf %lf", &max, &period) : 0;
    if (f)
        fclose(f);
    if (got != 2 || max <= 0 || period <= 0)
        return MAX_THREADS;
    return max < period ? 1 : (uint32_t)(max / period);
}

uint32_t kn_processors(void)
{
    cpu_set_t set;
    uint32_t n = 1, limit = quota();
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = (uint32_t)CPU_COUNT(&set);
    if (n > limit)
        n = limit;
    return n ? n : 1;
}
