/*
 * bench_http.c - `ken bench http`: words through HTTP, asked by several clients at once, beside what the text
 * network does by itself in full batches.
 *
 * The server runs in this process; each client is a thread with a connection that it keeps.
 */
#include "cli/bench.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/progress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 8, BATCH = 32, MAX_ANSWER = 1 << 20, MOST = 1 << 16 };

typedef struct client {
    pthread_t thread;
    int port, is_search, number;
    double until;
    const char *failed; /* what went wrong, or NULL */
    double *times;      /* (n) seconds */
    size_t n;
} client;

static void make_text(char *to, size_t room, int number, size_t i)
{
    static const char *const things[] = { "cup", "bear", "car", "house", "tree", "chair", "bird" };
    snprintf(to, room, "a small red %s with %zu white dots, view %d", things[i % 7], i % 100, number);
}

/* One answer, to its last byte: 0 if it was 200. */
static int read_answer(int fd, char *bytes)
{
    size_t n = 0, head = 0, length = 0;
    while (!head || n < head + length) {
        const ssize_t got = n < MAX_ANSWER ? read(fd, bytes + n, MAX_ANSWER - n) : -1;
        if (got <= 0)
            return -1;
        n += (size_t)got;
        bytes[n] = 0;
        const char *end = head ? NULL : strstr(bytes, "\r\n\r\n");
        const char *at = end ? strstr(bytes, "Content-Length: ") : NULL;
        if (end && !at)
            return -1;
        if (end) {
            head = (size_t)(end - bytes) + 4;
            length = strtoul(at + 16, NULL, 10);
        }
    }
    return strncmp(bytes, "HTTP/1.1 200", 12) != 0;
}

static int dial(int port)
{
    const struct sockaddr_in a = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int ask(const client *c, int fd, char *bytes, size_t i)
{
    char text[128], body[256], request[600];
    make_text(text, sizeof text, c->number, i);
    const int n = snprintf(body, sizeof body,
                           c->is_search ? "{\"query\":\"%s\",\"limit\":10}"
                                        : "{\"input\":\"%s\",\"encoding_format\":\"base64\"}",
                           text);
    const int len = snprintf(request, sizeof request,
                             "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             "Content-Length: %d\r\n\r\n%s",
                             c->is_search ? "/v1/collections/default/search" : "/v1/embeddings", n, body);
    return send(fd, request, (size_t)len, MSG_NOSIGNAL) == len ? read_answer(fd, bytes) : -1;
}

static void *run_client(void *cookie)
{
    client *c = cookie;
    char *bytes = cli_mem_new(MAX_ANSWER + 1, 1);
    const int fd = dial(c->port);
    c->failed = fd < 0 ? "no connection" : NULL;
    for (size_t i = 0; !c->failed && c->n < MOST && !ken_interrupted() && cli_now() < c->until; i++) {
        const double start = cli_now();
        if (ask(c, fd, bytes, i))
            c->failed = "a request was not answered with 200";
        else
            c->times[c->n++] = cli_now() - start;
    }
    if (fd >= 0)
        close(fd);
    cli_mem_free(bytes);
    return NULL;
}

/* Rate and percentiles of so many seconds; what failed, or NULL. */
static const char *measure(cli_case *out, int port, int is_search, double seconds)
{
    client c[CLIENTS];
    size_t n = 0;
    const char *failed = NULL;
    double *all = cli_mem_new((size_t)CLIENTS * MOST, sizeof *all);
    const double start = cli_now();
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = (client){ .port = port,
                         .is_search = is_search,
                         .number = i,
                         .until = start + seconds,
                         .times = cli_mem_new(MOST, sizeof(double)) };
        if (pthread_create(&c[i].thread, NULL, run_client, &c[i]) != 0)
            abort(); /* a benchmark with fewer clients would lie */
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(c[i].thread, NULL);
        failed = c[i].failed ? c[i].failed : failed;
        memcpy(all + n, c[i].times, c[i].n * sizeof *all);
        n += c[i].n;
        cli_mem_free(c[i].times);
    }
    const double took = cli_now() - start;
    cli_bench_sort(all, n);
    if (n) {
        out->per_second = (double)n / took;
        out->ms = 1e3 * took / (double)n;
        out->p50 = 1e3 * cli_bench_percentile(all, n, .5);
        out->p99 = 1e3 * cli_bench_percentile(all, n, .99);
    }
    cli_mem_free(all);
    return failed ? failed : n ? NULL : "no answers";
}

typedef struct load {
    const ken_model *model;
    const char *texts[BATCH];
    float *vectors;
} load;

static ken_status encode(void *cookie)
{
    load *l = cookie;
    return ken_model_embed_texts(l->model, l->texts, BATCH, l->vectors);
}

static ken_status encoder_rate(const ken_model *m, double *per_second)
{
    load l = { .model = m,
               .vectors = cli_mem_new((size_t)BATCH * ken_model_get_info(m)->dim, sizeof(float)) };
    char texts[BATCH][128];
    double best = 0;
    for (int i = 0; i < BATCH; i++) {
        make_text(texts[i], sizeof texts[i], i % CLIENTS, (size_t)i);
        l.texts[i] = texts[i];
    }
    const ken_status st = cli_bench_best(encode, &l, "f32", &best, NULL);
    *per_second = BATCH / best;
    cli_mem_free(l.vectors);
    return st;
}

static int one_case(const ken_model *m, ken *db)
{
    ken_server_options o = KEN_SERVER_OPTIONS_INIT;
    ken_server *s = NULL;
    cli_case c = CLI_CASE;
    o.collection = db;
    o.model = m;
    o.listen = "127.0.0.1:0";
    ken_status st = encoder_rate(m, &c.encoder);
    if (!st)
        st = ken_server_start(&s, &o);
    if (st)
        return cli_complain(st, ABOUT_MODEL, NULL);
    const int port = (int)strtol(strrchr(ken_server_address(s, 0), ':') + 1, NULL, 10);
    const char *failed = measure(&c, port, db != NULL, .5); /* to warm up */
    if (!failed)
        failed = measure(&c, port, db != NULL, cli_opt_real(OPT_SECONDS));
    ken_server_stop(s, 5);
    if (failed)
        return ken_interrupted() ? CLI_EXIT_INTERRUPTED : cli_error("bench http: %s", failed);
    c.bench = "http";
    c.part = db ? "search" : "embeddings";
    c.arch = ken_model_get_info(m)->arch;
    c.precision = ken_model_get_info(m)->precision;
    c.batch = CLIENTS;
    c.share = c.per_second / c.encoder;
    cli_bench_say(&c);
    return 0;
}

int cli_bench_http(const cli_args *a)
{
    ken_model *own = NULL;
    const ken_model *m = NULL;
    ken *db = NULL;
    if (a->n != 1)
        return cli_misuse("bench http takes no argument %s", a->operands[1].text);
    int code = 0;
    if (cli_opt(OPT_DB)) {
        code = cli_open_collection(&db, TO_READ);
        if (!code && ken_get_model(db, &m))
            code = cli_complain(KEN_E_MODEL, ABOUT_MODEL, NULL);
    } else {
        code = cli_bench_model(&own);
        m = own;
    }
    if (!code && !ken_model_get_info(m)->has_texts)
        code = cli_misuse("bench http asks by words; model %s has no text network",
                          ken_model_get_info(m)->name);
    if (!code)
        code = one_case(m, db);
    ken_model_close(own);
    ken_close(db);
    return code;
}
