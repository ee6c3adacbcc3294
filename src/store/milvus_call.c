/* milvus_call.c - see milvus_call.h. */
#include "store/milvus_call.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "store/grpc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SERVICE "/milvus.proto.milvus.MilvusService/"

static const double CONNECT_S = 5, CALL_S = 60, SLOW_S = 300, LEAST_S = 60, STARTING_S = 90;
static const double FIRST_PAUSE = .1, LONGEST_PAUSE = 5;
static const size_t REQUEST_MAX = (size_t)64 << 20, BATCH_BYTES = (size_t)24 << 20;
enum { BATCH_ROWS = 4096, UNEXPECTED_TRIES = 5, METHOD = 128 };

/* The server's codes (its pkg/util/merr), and those of old that stand in Status.error_code. */
enum { NOT_LOADED = 101, NO_COLLECTION = 100, NO_INDEX = 700, UNEXPECTED = 65535 };

struct kn_milvus {
    const kn_milvus_url *u;
    kn_grpc *g;
    kn_buf answer;   /* of the last call */
    double patience; /* seconds that a call is made again */
    double lost;     /* when the server was last found gone or busy; 0: never */
};

/* ---- status ---- */

typedef struct status {
    uint64_t old, code;
    int retriable;
    char reason[300];
} status;

static void take_reason(status *s, const kn_pb_field *f)
{
    const size_t n = f->n < sizeof s->reason - 1 ? f->n : sizeof s->reason - 1;
    for (size_t i = 0; i < n; i++)
        s->reason[i] = (char)(f->bytes[i] < 32 || f->bytes[i] == 127 ? ' ' : f->bytes[i]);
    s->reason[n] = 0;
}

/* Status, which is the answer itself or its field 1. */
static ken_status read_status(const kn_buf *answer, int within, status *out)
{
    kn_pb_in r = kn_pb_read(answer->data, answer->len), inner = r;
    kn_pb_field f;
    *out = (status){ 0 };
    if (within) {
        inner = kn_pb_read("", 0);
        while (kn_pb_next(&r, &f))
            if (f.number == 1)
                inner = kn_pb_within(&f);
    }
    while (kn_pb_next(&inner, &f)) {
        if (f.number == 1 && f.wire == KN_PB_VARINT)
            out->old = f.value;
        if (f.number == 2 && f.wire == KN_PB_BYTES)
            take_reason(out, &f);
        if (f.number == 3 && f.wire == KN_PB_VARINT)
            out->code = f.value;
        if (f.number == 4 && f.wire == KN_PB_VARINT)
            out->retriable = f.value != 0;
    }
    return (within && r.bad) || inner.bad ? kn_fail(KEN_E_FORMAT, "the server's answer makes no sense")
                                          : KEN_OK;
}

/* 1 if the server itself is not ready, rather than the request wrong. */
static int may_pass(const kn_milvus *m, const status *s, int tries)
{
    static const unsigned passing[] = {
        1, 2, 3, 4, 8, 103, 401, 402, 500, 501, 502, 503, 602, 901, 902, 903
    };
    if (s->retriable || s->code == NOT_LOADED)
        return 1;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (s->code == passing[i])
            return 1;
    if (s->code != UNEXPECTED && (s->code || s->old != 1))
        return 0;
    /* while it starts, half of it does not find the other half */
    return tries < UNEXPECTED_TRIES || (m->lost > 0 && kn_clock() - m->lost < STARTING_S);
}

/* ---- one call, again and again ---- */

typedef enum where_status { ITSELF, WITHIN } where_status;

/* An optional code that is an answer too, and whether it came. */
typedef struct expected {
    uint64_t code;
    int came;
} expected;

static ken_status once(kn_milvus *m, const char *name, const kn_pb *request, where_status where,
                       double timeout, int tries, int *again, status *s)
{
    char method[METHOD];
    kn_grpc_end end;
    snprintf(method, sizeof method, SERVICE "%s", name);
    *s = (status){ 0 };
    ken_status st =
        kn_grpc_call(m->g, method, request->buf.data, request->buf.len, timeout, &m->answer, &end);
    *again = end.again;
    if (st && end.again)
        m->lost = kn_clock();
    if (st)
        return st;
    st = read_status(&m->answer, where == WITHIN, s);
    if (st || (!s->code && !s->old))
        return st;
    *again = may_pass(m, s, tries);
    return kn_fail(KEN_E_NET, "%s (code %llu)", *s->reason ? s->reason : "refused",
                   (unsigned long long)(s->code ? s->code : s->old));
}

/* Pauses grow to LONGEST_PAUSE; a quarter of each is chance, so that clients do not come in step. */
static double pause_of(int tries, double now)
{
    const double pause = fmin(FIRST_PAUSE * pow(2, tries), LONGEST_PAUSE);
    return pause * (.875 + .25 * (now - floor(now)));
}

static ken_status load(kn_milvus *m, const char *collection);

/* collection: loaded again when the server says that it is not; NULL: not. */
static ken_status ask(kn_milvus *m, const char *name, const kn_pb *request, where_status where,
                      double timeout, const char *collection, expected *e)
{
    const double start = kn_clock();
    status s;
    ken_status st = request->st;
    int again = !st;
    for (int tries = 0; again; tries++) {
        st = once(m, name, request, where, timeout, tries, &again, &s);
        if (st && e && s.code == e->code) {
            e->came = 1;
            return KEN_OK;
        }
        if (!st || !again || kn_clock() - start > m->patience)
            break;
        kn_log(tries ? KEN_LOG_DEBUG : KEN_LOG_INFO, "%s: %s: %s; trying again", m->u->plain, name,
               ken_last_error());
        const double pause = pause_of(tries, kn_clock());
        ken_status slept = kn_wire_sleep(fmin(pause, fmax(m->patience - (kn_clock() - start), .01)));
        if (slept)
            return slept;
        if (s.code == NOT_LOADED && collection && (st = load(m, collection)))
            return st;
    }
    return st ? kn_fail_in(st, "%s: %s", m->u->plain, name) : KEN_OK;
}

static void begin(kn_pb *w)
{
    kn_pb_init(w, REQUEST_MAX);
}

static void write_names(const kn_milvus *m, kn_pb *w, const char *collection)
{
    begin(w);
    if (m->u->database)
        kn_pb_text(w, 2, m->u->database);
    kn_pb_text(w, 3, collection);
}

/* ---- life ---- */

ken_status kn_milvus_connect(kn_milvus **out, const kn_milvus_url *u)
{
    const kn_grpc_options o = { .wire = { u->host, u->port, (int)u->tls, u->ca },
                                .authorization = u->authorization,
                                .database = u->database };
    kn_milvus *m = kn_zalloc(1, sizeof *m);
    kn_pb w;
    if (!m)
        return KEN_E_NOMEM;
    m->u = u;
    m->patience = u->retry < CONNECT_S ? u->retry : CONNECT_S;
    ken_status st = kn_grpc_new(&m->g, &o);
    begin(&w);
    if (!st)
        st = ask(m, "GetVersion", &w, WITHIN, CONNECT_S, NULL, NULL);
    kn_pb_release(&w);
    m->patience = u->retry;
    if (st)
        kn_milvus_free(m);
    else
        *out = m;
    return st;
}

void kn_milvus_free(kn_milvus *m)
{
    if (!m)
        return;
    kn_grpc_free(m->g);
    kn_buf_release(&m->answer);
    kn_free(m);
}

/* ---- collections ---- */

ken_status kn_milvus_has(kn_milvus *m, const char *collection, int *yes)
{
    kn_pb w;
    kn_pb_field f;
    expected none = { NO_COLLECTION, 0 };
    write_names(m, &w, collection);
    ken_status st = ask(m, "HasCollection", &w, WITHIN, CALL_S, NULL, &none);
    kn_pb_release(&w);
    *yes = 0;
    for (kn_pb_in r = kn_pb_read(m->answer.data, m->answer.len); !st && !none.came && kn_pb_next(&r, &f);)
        if (f.number == 2)
            *yes = f.value != 0;
    return st;
}

static ken_status load_state(kn_milvus *m, const char *collection, uint64_t *out)
{
    kn_pb w;
    kn_pb_field f;
    begin(&w);
    kn_pb_text(&w, 2, collection);
    if (m->u->database)
        kn_pb_text(&w, 4, m->u->database);
    ken_status st = ask(m, "GetLoadState", &w, WITHIN, CALL_S, NULL, NULL);
    kn_pb_release(&w);
    *out = 0;
    for (kn_pb_in r = kn_pb_read(m->answer.data, m->answer.len); !st && kn_pb_next(&r, &f);)
        if (f.number == 2 && f.wire == KN_PB_VARINT)
            *out = f.value;
    return st;
}

enum { LOADED = 3 };

static ken_status load(kn_milvus *m, const char *collection)
{
    const double start = kn_clock();
    uint64_t state = 0;
    kn_pb w;
    write_names(m, &w, collection);
    kn_pb_number(&w, 4, m->u->replicas);
    ken_status st = ask(m, "LoadCollection", &w, ITSELF, SLOW_S, NULL, NULL);
    kn_pb_release(&w);
    while (!st) {
        st = load_state(m, collection, &state);
        if (st || state == LOADED)
            break;
        if (kn_clock() - start > fmax(m->patience, LEAST_S))
            return kn_fail(KEN_E_NET, "%s: %s is not loaded in time", m->u->plain, collection);
        st = kn_wire_sleep(.2);
    }
    return st;
}

static ken_status has_index(kn_milvus *m, const char *collection, int *yes)
{
    expected none = { NO_INDEX, 0 };
    kn_pb w;
    kn_pb_field f;
    write_names(m, &w, collection);
    kn_pb_text(&w, 4, "vector");
    ken_status st = ask(m, "DescribeIndex", &w, WITHIN, CALL_S, NULL, &none);
    kn_pb_release(&w);
    *yes = 0;
    for (kn_pb_in r = kn_pb_read(m->answer.data, m->answer.len); !st && !none.came && kn_pb_next(&r, &f);)
        *yes |= f.number == 2;
    return st;
}

static void write_pair(kn_pb *w, const char *key, const char *value)
{
    const size_t at = kn_pb_open(w, 5);
    kn_pb_text(w, 1, key);
    kn_pb_text(w, 2, value);
    kn_pb_close(w, at);
}

static ken_status create_index(kn_milvus *m, const char *collection, const char *index, const char *metric)
{
    char params[80] = "{}";
    kn_pb w;
    if (!strcmp(index, "HNSW"))
        snprintf(params, sizeof params, "{\"M\":%u,\"efConstruction\":%u}", m->u->m, m->u->ef_construction);
    if (!strcmp(index, "IVF_FLAT"))
        snprintf(params, sizeof params, "{\"nlist\":%u}", m->u->nlist);
    write_names(m, &w, collection);
    kn_pb_text(&w, 4, "vector");
    write_pair(&w, "index_type", index);
    write_pair(&w, "metric_type", metric);
    write_pair(&w, "params", params);
    kn_pb_text(&w, 6, "vector");
    ken_status st = ask(m, "CreateIndex", &w, ITSELF, SLOW_S, NULL, NULL);
    kn_pb_release(&w);
    return st;
}

static ken_status create(kn_milvus *m, const char *collection, const kn_mv_field *fields, size_t n)
{
    kn_pb w;
    begin(&w);
    kn_mv_write_create(&w, collection, m->u->database, fields, n, m->u->shards, m->u->consistency);
    ken_status st = ask(m, "CreateCollection", &w, ITSELF, SLOW_S, NULL, NULL);
    kn_pb_release(&w);
    return st;
}

ken_status kn_milvus_create(kn_milvus *m, const char *collection, const kn_mv_field *fields, size_t n,
                            const char *index, const char *metric)
{
    int there = 0, indexed = 0;
    ken_status st = kn_milvus_has(m, collection, &there);
    if (!st && !there)
        st = create(m, collection, fields, n);
    if (!st)
        st = has_index(m, collection, &indexed);
    if (!st && !indexed)
        st = create_index(m, collection, index, metric);
    return st ? st : load(m, collection);
}

ken_status kn_milvus_flush(kn_milvus *m, const char *const *collections, size_t n)
{
    kn_pb w;
    begin(&w);
    if (m->u->database)
        kn_pb_text(&w, 2, m->u->database);
    for (size_t i = 0; i < n; i++)
        kn_pb_text(&w, 3, collections[i]);
    ken_status st = ask(m, "Flush", &w, WITHIN, SLOW_S, NULL, NULL);
    kn_pb_release(&w);
    return st;
}

/* ---- rows ---- */

static size_t bytes_of(const kn_mv_column *columns, size_t n_columns, size_t row)
{
    size_t sum = 0;
    for (size_t i = 0; i < n_columns; i++)
        sum += columns[i].texts ? strlen(columns[i].texts[row]) + 10 : 10 + columns[i].dim * sizeof(float);
    return sum;
}

ken_status kn_milvus_upsert(kn_milvus *m, const char *collection, const kn_mv_column *columns,
                            size_t n_columns, size_t n)
{
    ken_status st = KEN_OK;
    for (size_t from = 0, to; !st && from < n; from = to) {
        size_t bytes = 0;
        for (to = from; to < n && to - from < BATCH_ROWS && bytes < BATCH_BYTES; to++)
            bytes += bytes_of(columns, n_columns, to);
        kn_pb w;
        begin(&w);
        kn_mv_write_upsert(&w, collection, m->u->database, columns, n_columns, from, to - from);
        st = ask(m, "Upsert", &w, WITHIN, SLOW_S, collection, NULL);
        kn_pb_release(&w);
    }
    return st;
}

ken_status kn_milvus_delete(kn_milvus *m, const char *collection, const char *expr)
{
    kn_pb w;
    write_names(m, &w, collection);
    kn_pb_text(&w, 5, expr);
    ken_status st = ask(m, "Delete", &w, WITHIN, CALL_S, collection, NULL);
    kn_pb_release(&w);
    return st;
}

/* What the last call was answered, the caller's from now on. */
static void hand_over(kn_milvus *m, kn_buf *answer)
{
    kn_buf_release(answer);
    *answer = m->answer;
    kn_buf_init(&m->answer, answer->max);
}

ken_status kn_milvus_query(kn_milvus *m, const char *collection, const char *expr, uint32_t limit,
                           kn_mv_result *results, size_t n_results, kn_buf *answer)
{
    kn_pb w;
    begin(&w);
    kn_mv_write_query(&w, m->u, collection, expr, limit, results, n_results);
    ken_status st = ask(m, "Query", &w, WITHIN, SLOW_S, collection, NULL);
    kn_pb_release(&w);
    if (st)
        return st;
    hand_over(m, answer);
    st = kn_mv_read_query(answer->data, answer->len, results, n_results);
    return st ? kn_fail_in(st, "%s: Query", m->u->plain) : KEN_OK;
}

ken_status kn_milvus_count(kn_milvus *m, const char *collection, const char *expr, uint64_t *out)
{
    kn_mv_result count = { .name = "count(*)", .type = KN_MV_LONG };
    kn_buf answer = { 0 };
    ken_status st = kn_milvus_query(m, collection, expr, 0, &count, 1, &answer);
    if (!st && count.n != 1)
        st = kn_fail(KEN_E_FORMAT, "%s: a count of %zu numbers", m->u->plain, count.n);
    if (!st)
        *out = (uint64_t)count.longs[0];
    kn_mv_results_release(&count, 1);
    kn_buf_release(&answer);
    return st;
}

ken_status kn_milvus_search(kn_milvus *m, const kn_mv_search *s, ken_hit *hits, size_t *found)
{
    kn_pb w;
    begin(&w);
    kn_mv_write_search(&w, m->u, s);
    ken_status st = ask(m, "Search", &w, WITHIN, CALL_S, s->collection, NULL);
    kn_pb_release(&w);
    if (st)
        return st;
    st = kn_mv_read_search(m->answer.data, m->answer.len, s, hits, found);
    return st ? kn_fail_in(st, "%s: Search", m->u->plain) : KEN_OK;
}

#endif
