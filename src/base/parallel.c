/*
 * parallel.c - one static split, two ways to run it.
 *
 * The pthread pool has threads - 1 helpers that sleep between loops; it exists
 * for ThreadSanitizer, which cannot see into libgomp, and where libgomp is
 * missing.  Loops from several application threads take turns on it.
 */
#include "base/parallel.h"

#include "base/error.h"

#include <sched.h>
#include <stdio.h>

#include <pthread.h>

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

static struct pool {
    pthread_mutex_t turn; /* held by the loop that has the pool */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake, done;
    uint32_t helpers;     /* started */
    uint64_t round;       /* raised for each loop */
    uint32_t running;     /* helpers that have not finished this round */
    loop *work;
} pool = { .turn = PTHREAD_MUTEX_INITIALIZER,
           .lock = PTHREAD_MUTEX_INITIALIZER,
           .wake = PTHREAD_COND_INITIALIZER,
           .done = PTHREAD_COND_INITIALIZER };

static void *helper(void *arg)
{
    const uint32_t me = (uint32_t)(uintptr_t)arg; /* piece me, from 1 */
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.round == seen)
            pthread_cond_wait(&pool.wake, &pool.lock);
        seen = pool.round;
        loop *l = pool.work;
        if (!l || me >= l->pieces)
            continue;
        pthread_mutex_unlock(&pool.lock);
        run_and_note(l, me);
        pthread_mutex_lock(&pool.lock);
        if (--pool.running == 0)
            pthread_cond_signal(&pool.done);
    }
    return NULL;
}

/* Helpers 1 .. want exist, or fewer if the system gives no more. */
static uint32_t start_helpers(uint32_t want)
{
    while (pool.helpers < want) {
        pthread_t t;
        if (pthread_create(&t, NULL, helper, (void *)(uintptr_t)(pool.helpers + 1)) != 0)
            break;
        pthread_detach(t);
        pool.helpers++;
    }
    return pool.helpers < want ? pool.helpers : want;
}

static void run_all(loop *l)
{
    pthread_mutex_lock(&pool.turn);
    pthread_mutex_lock(&pool.lock);
    const uint32_t have = start_helpers(l->pieces - 1);
    pool.work = l;
    pool.running = have;
    pool.round++;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    run_and_note(l, 0);
    for (uint32_t i = have + 1; i < l->pieces; i++)
        run_and_note(l, i);
    pthread_mutex_lock(&pool.lock);
    while (pool.running)
        pthread_cond_wait(&pool.done, &pool.lock);
    pool.work = NULL;
    pthread_mutex_unlock(&pool.lock);
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
