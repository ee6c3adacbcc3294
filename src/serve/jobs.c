/*
 * jobs.c - each job is a thread; finished ones are remembered until their places are needed.
 *
 * A stream of events is read by a thread that must not wait: where there is nothing new it says so, is
 * put to sleep, and the job's next progress wakes it.
 */
#include "serve/jobs.h"

#include "base/alloc.h"
#include "base/error.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { PLACES = 64, RUNNING = 4 };

typedef struct events events;

typedef struct job {
    char id[KN_JOB_ID], key[KN_JOB_KEY + 1];
    kn_jobs *all;
    pthread_t thread;
    int used, running, joinable, cancel;
    uint64_t order, version; /* version: of the progress, raised when it changes */
    char **paths;
    size_t n;
    char stage[32], why[300];
    uint64_t done, total;
    double rate, left;
    ken_status st;
    ken_scan_report report;
    events *streams;
} job;

struct kn_jobs {
    ken *db;
    pthread_mutex_t lock; /* guards the rest */
    uint64_t count;
    int stopping;
    job list[PLACES];
};

struct events {
    kn_stream stream;
    kn_jobs *all;
    job *job;     /* NULL: it has been forgotten */
    events *next; /* of the same job */
    uint64_t seen;
    int asleep, last; /* last: the end has been told */
    char *text;       /* being sent */
    size_t at, len;
};

ken_status kn_jobs_new(kn_jobs **out, ken *db)
{
    kn_jobs *j = kn_zalloc(1, sizeof *j);
    if (!j)
        return KEN_E_NOMEM;
    j->db = db;
    pthread_mutex_init(&j->lock, NULL);
    *out = j;
    return KEN_OK;
}

/* ---- a job runs ---- */

static void wake(job *b)
{
    for (events *e = b->streams; e; e = e->next)
        if (e->asleep) {
            e->asleep = 0;
            kn_stream_wake(&e->stream);
        }
}

static int progress(const ken_progress *p, void *cookie)
{
    job *b = cookie;
    pthread_mutex_lock(&b->all->lock);
    snprintf(b->stage, sizeof b->stage, "%s", p->stage);
    b->done = p->done;
    b->total = p->total;
    b->rate = p->rate;
    b->left = p->left;
    b->version++;
    wake(b);
    const int stop = b->cancel;
    pthread_mutex_unlock(&b->all->lock);
    return stop;
}

static void problem(const char *path, const char *why, int skipped, void *cookie)
{
    job *b = cookie;
    if (skipped)
        return;
    pthread_mutex_lock(&b->all->lock);
    snprintf(b->why, sizeof b->why, "%.140s: %.140s", path, why); /* the last one */
    pthread_mutex_unlock(&b->all->lock);
}

static void *run(void *cookie)
{
    job *b = cookie;
    kn_jobs *j = b->all;
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report report = { 0 };
    o.progress = progress;
    o.problem = problem;
    o.cookie = b;
    const ken_status st = ken_scan(j->db, (const char *const *)b->paths, b->n, &o, &report);
    pthread_mutex_lock(&j->lock);
    b->st = st;
    b->report = report;
    if (st)
        snprintf(b->why, sizeof b->why, "%.290s", ken_last_error());
    b->running = 0;
    b->version++;
    wake(b);
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* ---- the table; the lock is held ---- */

static job *find(kn_jobs *j, const char *id)
{
    for (int i = 0; i < PLACES; i++)
        if (j->list[i].used && !strcmp(j->list[i].id, id))
            return &j->list[i];
    return NULL;
}

static void forget(job *b)
{
    if (b->joinable)
        pthread_join(b->thread, NULL); /* it has let go of the lock, or is about to end */
    for (events *e = b->streams; e; e = e->next)
        e->job = NULL;
    wake(b);
    for (size_t i = 0; i < b->n; i++)
        kn_free(b->paths[i]);
    kn_free(b->paths);
    *b = (job){ 0 };
}

/* A free place; the oldest finished job makes room.  NULL: too many are running. */
static job *place(kn_jobs *j)
{
    job *oldest = NULL;
    int running = 0;
    for (int i = 0; i < PLACES; i++)
        running += j->list[i].running;
    if (running >= RUNNING || j->stopping)
        return NULL;
    for (int i = 0; i < PLACES; i++) {
        job *b = &j->list[i];
        if (!b->used)
            return b;
        if (!b->running && (!oldest || b->order < oldest->order))
            oldest = b;
    }
    if (oldest)
        forget(oldest);
    return oldest;
}

static job *with_key(kn_jobs *j, const char *key)
{
    for (int i = 0; *key && i < PLACES; i++)
        if (j->list[i].used && !strcmp(j->list[i].key, key))
            return &j->list[i];
    return NULL;
}

static ken_status begin(kn_jobs *j, char **paths, size_t n, const char *key, char *id)
{
    job *b = place(j);
    if (!b)
        return kn_fail(KEN_E_BUSY, "%d jobs are running", RUNNING);
    *b =
        (job){ .all = j, .used = 1, .running = 1, .order = ++j->count, .paths = paths, .n = n, .left = -1 };
    snprintf(b->id, sizeof b->id, "job-%llu", (unsigned long long)b->order);
    snprintf(b->key, sizeof b->key, "%s", key);
    snprintf(b->stage, sizeof b->stage, "begin");
    const int err = pthread_create(&b->thread, NULL, run, b);
    if (err) {
        *b = (job){ 0 };
        return kn_fail_errno(err);
    }
    b->joinable = 1;
    snprintf(id, KN_JOB_ID, "%s", b->id);
    return KEN_OK;
}

ken_status kn_jobs_scan(kn_jobs *j, char **paths, size_t n, const char *key, char *id)
{
    ken_status st = KEN_OK;
    pthread_mutex_lock(&j->lock);
    const job *same = with_key(j, key);
    if (same)
        snprintf(id, KN_JOB_ID, "%s", same->id);
    else
        st = begin(j, paths, n, key, id);
    pthread_mutex_unlock(&j->lock);
    if (same || st) {
        for (size_t i = 0; i < n; i++)
            kn_free(paths[i]);
        kn_free(paths);
    }
    return st;
}

/* ---- what is told ---- */

static const char *state(const job *b)
{
    return b->running ? "running" : b->st == KEN_E_CANCELED ? "canceled" : b->st ? "failed" : "done";
}

static void add_report(cJSON *o, const ken_scan_report *r)
{
    cJSON *v = cJSON_AddObjectToObject(o, "report");
    cJSON_AddNumberToObject(v, "seen", (double)r->seen);
    cJSON_AddNumberToObject(v, "added", (double)r->added);
    cJSON_AddNumberToObject(v, "updated", (double)r->updated);
    cJSON_AddNumberToObject(v, "moved", (double)r->moved);
    cJSON_AddNumberToObject(v, "removed", (double)r->removed);
    cJSON_AddNumberToObject(v, "failed", (double)r->failed);
    cJSON_AddNumberToObject(v, "skipped", (double)r->skipped);
    cJSON_AddNumberToObject(v, "seconds", r->seconds);
}

static cJSON *to_json(const job *b)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "id", b->id);
    cJSON_AddStringToObject(o, "kind", "index");
    cJSON_AddStringToObject(o, "state", state(b));
    cJSON_AddStringToObject(o, "stage", b->stage);
    cJSON_AddNumberToObject(o, "done", (double)b->done);
    cJSON_AddNumberToObject(o, "total", (double)b->total);
    cJSON_AddNumberToObject(o, "rate", b->rate);
    if (b->running && b->left >= 0)
        cJSON_AddNumberToObject(o, "seconds_left", b->left);
    else
        cJSON_AddNullToObject(o, "seconds_left");
    if (b->why[0])
        cJSON_AddStringToObject(o, "problem", b->why);
    else
        cJSON_AddNullToObject(o, "problem");
    if (b->running)
        cJSON_AddNullToObject(o, "report");
    else
        add_report(o, &b->report);
    return o;
}

cJSON *kn_jobs_json(kn_jobs *j, const char *id)
{
    pthread_mutex_lock(&j->lock);
    const job *b = find(j, id);
    cJSON *o = b ? to_json(b) : NULL;
    pthread_mutex_unlock(&j->lock);
    return o;
}

cJSON *kn_jobs_list(kn_jobs *j)
{
    cJSON *list = cJSON_CreateArray();
    uint64_t after = 0;
    pthread_mutex_lock(&j->lock);
    for (;;) {
        const job *next = NULL;
        for (int i = 0; i < PLACES; i++)
            if (j->list[i].used && j->list[i].order > after && (!next || j->list[i].order < next->order))
                next = &j->list[i];
        if (!next)
            break;
        after = next->order;
        cJSON_AddItemToArray(list, to_json(next));
    }
    pthread_mutex_unlock(&j->lock);
    return list;
}

int kn_jobs_cancel(kn_jobs *j, const char *id)
{
    pthread_mutex_lock(&j->lock);
    job *b = find(j, id);
    if (b && b->running)
        b->cancel = 1;
    else if (b && !j->stopping) /* then kn_jobs_stop() joins it */
        forget(b);
    pthread_mutex_unlock(&j->lock);
    return b ? 0 : -1;
}

/* ---- events ---- */

/* The next event as text, or NULL: nothing new.  The lock is held. */
static char *next_event(events *e)
{
    const job *b = e->job;
    kn_buf text;
    if (!b || e->last || b->version == e->seen)
        return NULL;
    kn_buf_init(&text, 1 << 16);
    cJSON *o = to_json(b);
    char *data = cJSON_PrintUnformatted(o);
    e->seen = b->version;
    e->last = !b->running;
    if (!data || kn_buf_addf(&text, "event: %s\ndata: %s\n\n", e->last ? "done" : "progress", data))
        e->last = 1;
    cJSON_free(data);
    cJSON_Delete(o);
    e->len = text.len;
    e->at = 0;
    return kn_buf_take(&text);
}

static long read_events(kn_stream *s, char *bytes, size_t max)
{
    events *e = (events *)s;
    long n = 0;
    pthread_mutex_lock(&e->all->lock);
    if (!e->text)
        e->text = next_event(e);
    if (e->text) {
        n = (long)(e->len - e->at < max ? e->len - e->at : max);
        memcpy(bytes, e->text + e->at, (size_t)n);
        e->at += (size_t)n;
        if (e->at == e->len) {
            kn_free(e->text);
            e->text = NULL;
        }
    } else if (!e->job || e->last || e->all->stopping) {
        n = -1;
    } else {
        e->asleep = 1;
    }
    pthread_mutex_unlock(&e->all->lock);
    return n;
}

static void close_events(kn_stream *s)
{
    events *e = (events *)s;
    pthread_mutex_lock(&e->all->lock);
    for (events **link = e->job ? &e->job->streams : NULL; link && *link; link = &(*link)->next)
        if (*link == e) {
            *link = e->next;
            break;
        }
    pthread_mutex_unlock(&e->all->lock);
    kn_free(e->text);
    kn_free(e);
}

kn_stream *kn_jobs_events(kn_jobs *j, const char *id)
{
    events *e = kn_zalloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->stream.read = read_events;
    e->stream.close = close_events;
    e->all = j;
    e->seen = UINT64_MAX; /* the present state is the first event */
    pthread_mutex_lock(&j->lock);
    e->job = find(j, id);
    if (e->job) {
        e->next = e->job->streams;
        e->job->streams = e;
    }
    pthread_mutex_unlock(&j->lock);
    if (e->job)
        return &e->stream;
    kn_free(e);
    return NULL;
}

/* ---- the end ---- */

void kn_jobs_stop(kn_jobs *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->stopping = 1;
    for (int i = 0; i < PLACES; i++)
        j->list[i].cancel = 1;
    for (int i = 0; i < PLACES; i++)
        wake(&j->list[i]);
    pthread_mutex_unlock(&j->lock);
    for (int i = 0; i < PLACES; i++)
        if (j->list[i].joinable) {
            pthread_join(j->list[i].thread, NULL);
            j->list[i].joinable = 0;
        }
}

void kn_jobs_free(kn_jobs *j)
{
    if (!j)
        return;
    for (int i = 0; i < PLACES; i++)
        forget(&j->list[i]);
    pthread_mutex_destroy(&j->lock);
    kn_free(j);
}
