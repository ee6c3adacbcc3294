/* metrics.c - counters and histograms in the text format of Prometheus, version 0.0.4. */
#include "serve/metrics.h"

#include "base/alloc.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const double TIMES[] = { .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };
static const double SIZES[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
static const int CODES[] = { 200, 201, 202, 204, 206, 304, 400, 401, 403,
                             404, 405, 409, 413, 415, 416, 422, 500, 502, 503 };
enum {
    N_TIMES = sizeof TIMES / sizeof *TIMES,
    N_SIZES = sizeof SIZES / sizeof *SIZES,
    N_CODES = sizeof CODES / sizeof *CODES
};

typedef struct histogram {
    uint64_t at_most[16], count; /* not summed up */
    double sum;
} histogram;

typedef struct per_route {
    uint64_t codes[N_CODES + 1]; /* the last: any other */
    histogram seconds;
} per_route;

struct kn_metrics {
    pthread_mutex_t lock;          /* guards the rest */
    histogram encode[2], batch[2]; /* of texts and of pictures */
    histogram stage[2];            /* encode, search */
    size_t n;
    per_route routes[];
};

static void observe(histogram *h, const double *bounds, size_t n, double v)
{
    size_t i = 0;
    while (i < n && v > bounds[i])
        i++;
    h->at_most[i]++;
    h->count++;
    h->sum += v;
}

ken_status kn_metrics_new(kn_metrics **out, size_t routes)
{
    kn_metrics *m = kn_zalloc(1, sizeof *m + (routes + 1) * sizeof *m->routes);
    if (!m)
        return KEN_E_NOMEM;
    m->n = routes + 1;
    pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return KEN_OK;
}

void kn_metrics_free(kn_metrics *m)
{
    if (m)
        pthread_mutex_destroy(&m->lock);
    kn_free(m);
}

void kn_metrics_request(kn_metrics *m, size_t route, int status, double seconds)
{
    size_t code = 0;
    while (code < N_CODES && CODES[code] != status)
        code++;
    pthread_mutex_lock(&m->lock);
    m->routes[route].codes[code]++;
    observe(&m->routes[route].seconds, TIMES, N_TIMES, seconds);
    pthread_mutex_unlock(&m->lock);
}

void kn_metrics_encoded(kn_metrics *m, const char *what, size_t n, double seconds)
{
    const int i = strcmp(what, "text") != 0;
    pthread_mutex_lock(&m->lock);
    observe(&m->encode[i], TIMES, N_TIMES, seconds);
    observe(&m->batch[i], SIZES, N_SIZES, (double)n);
    pthread_mutex_unlock(&m->lock);
}

void kn_metrics_searched(kn_metrics *m, const ken_search_times *t)
{
    pthread_mutex_lock(&m->lock);
    observe(&m->stage[0], TIMES, N_TIMES, t->encode);
    observe(&m->stage[1], TIMES, N_TIMES, t->search);
    pthread_mutex_unlock(&m->lock);
}

/* ---- as text ---- */

static ken_status write_histogram(kn_buf *b, const char *name, const char *labels, const histogram *h,
                                  const double *bounds, size_t n)
{
    uint64_t sum = 0;
    ken_status st = KEN_OK;
    const char *comma = *labels ? "," : "";
    for (size_t i = 0; !st && i < n; i++) {
        sum += h->at_most[i];
        st = kn_buf_addf(b, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma, bounds[i],
                         (unsigned long long)sum);
    }
    if (!st)
        st = kn_buf_addf(b, "%s_bucket{%s%sle=\"+Inf\"} %llu\n%s_sum{%s} %.9g\n%s_count{%s} %llu\n", name,
                         labels, comma, (unsigned long long)h->count, name, labels, h->sum, name, labels,
                         (unsigned long long)h->count);
    return st;
}

static ken_status head(kn_buf *b, const char *name, const char *type, const char *help)
{
    return kn_buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static ken_status write_requests(const kn_metrics *m, kn_route_name_fn name, kn_buf *b)
{
    const char *method, *path;
    char labels[160];
    ken_status st = head(b, "ken_http_requests_total", "counter", "Requests answered.");
    for (size_t i = 0; i < m->n; i++) {
        name(i, &method, &path);
        for (size_t c = 0; !st && c <= N_CODES; c++)
            if (m->routes[i].codes[c])
                st = kn_buf_addf(
                    b, "ken_http_requests_total{route=\"%s\",method=\"%s\",code=\"%d\"} %llu\n", path,
                    method, c < N_CODES ? CODES[c] : 0, (unsigned long long)m->routes[i].codes[c]);
    }
    if (!st)
        st = head(b, "ken_http_request_duration_seconds", "histogram",
                  "From a request's head to its reply's end.");
    for (size_t i = 0; !st && i < m->n; i++) {
        name(i, &method, &path);
        snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\"", path, method);
        if (m->routes[i].seconds.count)
            st = write_histogram(b, "ken_http_request_duration_seconds", labels, &m->routes[i].seconds,
                                 TIMES, N_TIMES);
    }
    return st;
}

static ken_status write_encoding(const kn_metrics *m, const char *model, kn_buf *b)
{
    static const char *const what[] = { "text", "image" }, *const stages[] = { "encode", "ann" };
    char labels[300];
    ken_status st = head(b, "ken_encode_duration_seconds", "histogram", "One pass through the network.");
    for (int i = 0; !st && i < 2; i++) {
        snprintf(labels, sizeof labels, "model=\"%.200s\",modality=\"%s\"", model, what[i]);
        st = write_histogram(b, "ken_encode_duration_seconds", labels, &m->encode[i], TIMES, N_TIMES);
    }
    if (!st)
        st = head(b, "ken_encode_batch_size", "histogram", "Texts or pictures in one pass.");
    for (int i = 0; !st && i < 2; i++) {
        snprintf(labels, sizeof labels, "modality=\"%s\"", what[i]);
        st = write_histogram(b, "ken_encode_batch_size", labels, &m->batch[i], SIZES, N_SIZES);
    }
    if (!st)
        st = head(b, "ken_search_duration_seconds", "histogram",
                  "Parts of a search; encode includes waiting.");
    for (int i = 0; !st && i < 2; i++) {
        snprintf(labels, sizeof labels, "stage=\"%s\"", stages[i]);
        st = write_histogram(b, "ken_search_duration_seconds", labels, &m->stage[i], TIMES, N_TIMES);
    }
    return st;
}

ken_status kn_metrics_write(kn_metrics *m, kn_route_name_fn name, const char *model, kn_buf *out)
{
    pthread_mutex_lock(&m->lock);
    ken_status st = write_requests(m, name, out);
    if (!st)
        st = write_encoding(m, model, out);
    pthread_mutex_unlock(&m->lock);
    return st;
}

static int open_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3; /* ".", ".." and the folder's own */
}

ken_status kn_metrics_process(kn_buf *out)
{
    unsigned long pages = 0, resident = 0;
    struct rusage u;
    FILE *f = fopen("/proc/self/statm", "re");
    const int got = f ? fscanf(f, "%lu %lu", &pages, &resident) : 0;
    if (f)
        fclose(f);
    getrusage(RUSAGE_SELF, &u);
    const double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    ken_status st = head(out, "process_resident_memory_bytes", "gauge", "Memory in use.");
    if (!st)
        st = kn_buf_addf(out, "process_resident_memory_bytes %llu\n",
                         got == 2 ? (unsigned long long)resident * (unsigned long long)sysconf(_SC_PAGESIZE)
                                  : 0ull);
    if (!st)
        st = head(out, "process_cpu_seconds_total", "counter", "Processor time used.");
    if (!st)
        st = kn_buf_addf(out, "process_cpu_seconds_total %.3f\n", cpu);
    if (!st)
        st = head(out, "process_open_fds", "gauge", "Open files.");
    return st ? st : kn_buf_addf(out, "process_open_fds %d\n", open_files());
}
