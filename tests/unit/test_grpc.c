/* test_grpc.c - calls to a server that fails, lies, breaks off and comes back; see fake_http2.h. */
#include "tests/test.h"

#include "base/progress.h"
#include "store/grpc.h"
#include "store/milvus_call.h"

#ifdef KEN_MILVUS
#include "tests/unit/fake_http2.h"

#include <dlfcn.h>
#include <nghttp2/nghttp2.h>

enum { MANY = 4 };
static const char hello[] = "an answer";

typedef struct caller {
    fake_server server;
    kn_grpc *g;
    kn_buf answer;
    kn_grpc_end end;
} caller;

static void begin(caller *c, const fake_step *steps, size_t n)
{
    char port[8];
    *c = (caller){ 0 };
    fake_start(&c->server, steps, n);
    snprintf(port, sizeof port, "%d", c->server.port);
    const kn_grpc_options o = { .wire = { "127.0.0.1", port, 0, NULL },
                                .authorization = "c2VjcmV0",
                                .database = "own",
                                .max_answer = 1 << 20 };
    ck_assert(!kn_grpc_new(&c->g, &o));
}

static ken_status call(caller *c)
{
    return kn_grpc_call(c->g, "/a.B/C", "question", 8, 3, &c->answer, &c->end);
}

static void end(caller *c)
{
    kn_grpc_free(c->g);
    kn_buf_release(&c->answer);
    fake_stop(&c->server);
}

START_TEST(answers_come_over_one_connection)
{
    const fake_step ok = { FAKE_ANSWER, hello, sizeof hello, NULL, NULL },
                    none = { FAKE_ANSWER, "", 0, NULL, NULL };
    const fake_step steps[] = { ok, none, ok };
    caller c;
    begin(&c, steps, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_msg(!call(&c), "%s", ken_last_error());
        ck_assert_uint_eq(c.answer.len, i == 1 ? 0 : sizeof hello);
        ck_assert(i == 1 || !memcmp(c.answer.data, hello, sizeof hello));
        ck_assert_uint_eq(c.server.request_n, 5 + 8);
    }
    ck_assert_uint_eq(c.server.connections, 1);
    end(&c);
}
END_TEST

/* What the request's head says, unpacked by the library itself. */
START_TEST(headers_are_grpcs)
{
    const fake_step ok = { FAKE_ANSWER, hello, sizeof hello, NULL, NULL };
    caller c;
    char all[2048] = "";
    begin(&c, &ok, 1);
    ck_assert(!call(&c));
    end(&c);
    void *h = dlopen("libnghttp2.so.14", RTLD_NOW);
    int (*make)(nghttp2_hd_inflater **);
    ssize_t (*inflate)(nghttp2_hd_inflater *, nghttp2_nv *, int *, const uint8_t *, size_t, int);
    void (*drop)(nghttp2_hd_inflater *);
    *(void **)(void *)&make = dlsym(h, "nghttp2_hd_inflate_new");
    *(void **)(void *)&inflate = dlsym(h, "nghttp2_hd_inflate_hd2");
    *(void **)(void *)&drop = dlsym(h, "nghttp2_hd_inflate_del");
    nghttp2_hd_inflater *in = NULL;
    ck_assert(make && inflate && drop && !make(&in));
    for (size_t at = 0; at < c.server.headers_n;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = inflate(in, &nv, &flags, c.server.headers + at, c.server.headers_n - at, 1);
        ck_assert_int_gt(n, 0);
        at += (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            snprintf(all + strlen(all), sizeof all - strlen(all), "%.*s=%.*s\n", (int)nv.namelen, nv.name,
                     (int)nv.valuelen, nv.value);
    }
    drop(in);
    dlclose(h);
    const char *const wanted[] = { ":method=POST\n",
                                   ":scheme=http\n",
                                   ":path=/a.B/C\n",
                                   "te=trailers\n",
                                   "content-type=application/grpc\n",
                                   "authorization=c2VjcmV0\n",
                                   "dbname=own\n",
                                   "grpc-timeout=3001m\n",
                                   ":authority=127.0.0.1:" };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        ck_assert_msg(strstr(all, wanted[i]) != NULL, "no %s in %s", wanted[i], all);
}
END_TEST

/* Ways to fail, whether the same call may be made again, and what is said. */
static const struct failure {
    fake_step step;
    int again;
    ken_status st;
    const char *says;
} failures[] = {
    { { FAKE_STATUS, NULL, 0, "14", "coming%20up" }, 1, KEN_E_NET, "coming up" },
    { { FAKE_STATUS, NULL, 0, "8", "too much" }, 1, KEN_E_NET, "too much" },
    { { FAKE_STATUS, NULL, 0, "16", "who%0aare%1b[2Jyou%" }, 0, KEN_E_NET, "who are [2Jyou%" },
    { { FAKE_STATUS, NULL, 0, "12", NULL }, 0, KEN_E_NET, "status 12" },
    { { FAKE_STATUS, NULL, 0, "0", NULL }, 0, KEN_E_FORMAT, "cut off" },
    { { FAKE_ANSWER, hello, sizeof hello, "13", "broken" }, 0, KEN_E_NET, "broken" },
    { { FAKE_CUT, hello, sizeof hello, NULL, NULL }, 1, KEN_E_NET, "closed" },
    { { FAKE_LIE, hello, sizeof hello, NULL, NULL }, 0, KEN_E_FORMAT, "2147483647 bytes and has 10" },
    { { FAKE_COMPRESSED, hello, sizeof hello, NULL, NULL }, 0, KEN_E_FORMAT, "compressed" },
    { { FAKE_CLOSE, NULL, 0, NULL, NULL }, 1, KEN_E_NET, "" },
    { { FAKE_GARBAGE, NULL, 0, NULL, NULL }, 1, KEN_E_NET, "" },
    { { FAKE_HTTP1, NULL, 0, NULL, NULL }, 1, KEN_E_NET, "" },
    { { FAKE_LONG_FRAME, hello, sizeof hello, NULL, NULL }, 1, KEN_E_NET, "" },
    { { FAKE_BAD_HEADERS, NULL, 0, NULL, NULL }, 1, KEN_E_NET, "" },
    { { FAKE_HTTP_ERROR, NULL, 0, NULL, NULL }, 1, KEN_E_NET, "502" },
    { { FAKE_RESET, NULL, 0, NULL, NULL }, 1, KEN_E_NET, "broke the call off" },
    { { FAKE_GO_AWAY, NULL, 0, NULL, NULL }, 1, KEN_E_NET, "" },
};
enum { FAILURES = sizeof failures / sizeof *failures };

START_TEST(failures_are_told_and_the_next_call_works)
{
    const struct failure *f = &failures[_i];
    const fake_step ok = { FAKE_ANSWER, hello, sizeof hello, NULL, NULL };
    const fake_step steps[] = { f->step, ok };
    caller c;
    begin(&c, steps, 2);
    const double start = kn_clock();
    ck_assert_int_eq(call(&c), f->st);
    ck_assert_msg(strstr(ken_last_error(), f->says) != NULL, "%s", ken_last_error());
    ck_assert_msg(c.end.again == f->again, "again %d: %s", c.end.again, ken_last_error());
    ck_assert_double_lt(kn_clock() - start, 2.5); /* before the deadline */
    ck_assert_msg(!call(&c), "%s", ken_last_error());
    ck_assert(!memcmp(c.answer.data, hello, sizeof hello));
    end(&c);
}
END_TEST

START_TEST(a_kept_connection_that_was_closed_is_made_again)
{
    const fake_step last = { FAKE_CLOSE_AFTER, hello, sizeof hello, NULL, NULL };
    const fake_step steps[] = { last, last, last };
    caller c;
    begin(&c, steps, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(!call(&c), "%s", ken_last_error());
    ck_assert_uint_eq(c.server.connections, 3);
    end(&c);
}
END_TEST

START_TEST(deadlines_hold)
{
    const fake_step silent = { FAKE_SILENT, NULL, 0, NULL, NULL };
    caller c;
    begin(&c, &silent, 1);
    const double start = kn_clock();
    ck_assert_int_eq(kn_grpc_call(c.g, "/a.B/C", "", 0, .5, &c.answer, &c.end), KEN_E_NET);
    ck_assert(strstr(ken_last_error(), "no answer in time") && c.end.again);
    ck_assert_double_lt(kn_clock() - start, 5);
    end(&c);
}
END_TEST

START_TEST(an_interruption_ends_a_call)
{
    const fake_step silent = { FAKE_SILENT, NULL, 0, NULL, NULL };
    caller c;
    begin(&c, &silent, 1);
    ken_interrupt();
    ck_assert_int_eq(call(&c), KEN_E_CANCELED);
    ck_assert(!c.end.again);
    ken_interrupt_clear();
    end(&c);
}
END_TEST

/* 20 MB there and, refused, 2 MB back: many windows' worth. */
START_TEST(large_messages)
{
    const size_t large = (size_t)20 << 20, too_large = (size_t)2 << 20, fits = (size_t)1 << 20;
    char *bytes = calloc(large, 1);
    const fake_step steps[] = { { FAKE_ANSWER, bytes, fits, NULL, NULL },
                                { FAKE_ANSWER, bytes, too_large, NULL, NULL } };
    caller c;
    begin(&c, steps, 2);
    ck_assert_msg(!kn_grpc_call(c.g, "/a.B/C", bytes, large, 60, &c.answer, &c.end), "%s",
                  ken_last_error());
    ck_assert_uint_eq(c.server.request_n, large + 5);
    ck_assert_uint_eq(c.answer.len, fits);
    ck_assert_int_eq(call(&c), KEN_E_LIMIT);
    ck_assert(!c.end.again);
    end(&c);
    free(bytes);
}
END_TEST

START_TEST(nobody_there)
{
    const kn_grpc_options o = { .wire = { "127.0.0.1", "1", 0, NULL } };
    const kn_grpc_options nameless = { .wire = { "no-such-host.invalid", "1", 0, NULL } };
    const kn_grpc_options tls = { .wire = { "127.0.0.1", "1", 1, "/no/such/ca.pem" } };
    kn_grpc *g = NULL;
    kn_buf answer = { 0 };
    kn_grpc_end e;
    ck_assert(!kn_grpc_new(&g, &o));
    ck_assert_int_eq(kn_grpc_call(g, "/a.B/C", "", 0, 1, &answer, &e), KEN_E_NET);
    ck_assert(strstr(ken_last_error(), "127.0.0.1:1") && e.again);
    kn_grpc_free(g);
    ck_assert(!kn_grpc_new(&g, &nameless));
    ck_assert_int_eq(kn_grpc_call(g, "/a.B/C", "", 0, 1, &answer, &e), KEN_E_NET);
    kn_grpc_free(g);
    ck_assert(!kn_grpc_new(&g, &tls));
    ken_status st = kn_grpc_call(g, "/a.B/C", "", 0, 1, &answer, &e);
    ck_assert(st == KEN_E_NET || st == KEN_E_UNSUPPORTED); /* no OpenSSL */
    ck_assert_msg(st == KEN_E_UNSUPPORTED || strstr(ken_last_error(), "/no/such/ca.pem"), "%s",
                  ken_last_error());
    kn_grpc_free(g);
    kn_buf_release(&answer);
}
END_TEST

/* ---- the same through milvus_call.c ---- */

/* Status{code 101}, {code 1100}, {retriable code 9999} as field 1; BoolResponse{status, true}; LoadState 3 */
static const char version[] = "", not_loaded[] = "\x0a\x02\x18\x65",
                  wrong[] = "\x0a\x0a\x12\x05no id\x18\xcc\x08", passing[] = "\x0a\x05\x18\x8f\x4e\x20\x01",
                  yes[] = "\x10\x01", loaded[] = "\x10\x03";
#define SAYS(text)                                                                                         \
    {                                                                                                      \
        FAKE_ANSWER, text, sizeof text - 1, NULL, NULL                                                     \
    }
static const fake_step gone = { FAKE_CLOSE, NULL, 0, NULL, NULL };

static kn_milvus *connect_to(fake_server *f, kn_milvus_url *u, unsigned retry)
{
    kn_milvus *m = NULL;
    char url[80];
    snprintf(url, sizeof url, "milvus://127.0.0.1:%d/toys?retry=%u", f->port, retry);
    ck_assert(!kn_milvus_url_parse(u, url));
    ck_assert_msg(!kn_milvus_connect(&m, u), "%s", ken_last_error());
    return m;
}

START_TEST(calls_are_made_again)
{
    const fake_step steps[] = {
        SAYS(version), { FAKE_STATUS, NULL, 0, "14", "later" }, gone, SAYS(passing), SAYS(yes)
    };
    fake_server f;
    kn_milvus_url u;
    int there = 0;
    fake_start(&f, steps, 5);
    kn_milvus *m = connect_to(&f, &u, 30);
    ck_assert_msg(!kn_milvus_has(m, "toys", &there), "%s", ken_last_error());
    ck_assert(there && f.requests == 5);
    kn_milvus_free(m);
    kn_milvus_url_release(&u);
    fake_stop(&f);
}
END_TEST

START_TEST(what_is_wrong_is_not_asked_again)
{
    const fake_step steps[] = { SAYS(version), SAYS(wrong) };
    fake_server f;
    kn_milvus_url u;
    fake_start(&f, steps, 2);
    kn_milvus *m = connect_to(&f, &u, 30);
    ck_assert_int_eq(kn_milvus_delete(m, "toys", "id in [1]"), KEN_E_NET);
    ck_assert_msg(strstr(ken_last_error(), "no id (code 1100)") != NULL, "%s", ken_last_error());
    ck_assert_uint_eq(f.requests, 2);
    kn_milvus_free(m);
    kn_milvus_url_release(&u);
    fake_stop(&f);
}
END_TEST

/* A collection that the server has let go of, as after its restart, is loaded and asked again. */
START_TEST(what_is_not_loaded_is_loaded)
{
    const fake_step steps[] = { SAYS(version), SAYS(not_loaded), SAYS(version) /* LoadCollection */,
                                SAYS(loaded), SAYS(version) };
    fake_server f;
    kn_milvus_url u;
    fake_start(&f, steps, 5);
    kn_milvus *m = connect_to(&f, &u, 30);
    ck_assert_msg(!kn_milvus_delete(m, "toys", "id in [1]"), "%s", ken_last_error());
    ck_assert_uint_eq(f.requests, 5);
    kn_milvus_free(m);
    kn_milvus_url_release(&u);
    fake_stop(&f);
}
END_TEST

START_TEST(patience_ends)
{
    const fake_step steps[] = { SAYS(version), gone };
    fake_server f;
    kn_milvus_url u;
    fake_start(&f, steps, 2);
    kn_milvus *m = connect_to(&f, &u, 1);
    const double start = kn_clock();
    ck_assert_int_eq(kn_milvus_delete(m, "toys", "id in [1]"), KEN_E_NET);
    ck_assert(strstr(ken_last_error(), "milvus://127.0.0.1:") && strstr(ken_last_error(), "Delete"));
    ck_assert_double_lt(kn_clock() - start, 20);
    ck_assert_double_gt(kn_clock() - start, .9);
    kn_milvus_free(m);
    kn_milvus_url_release(&u);
    fake_stop(&f);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, answers_come_over_one_connection);
    tcase_add_test(tc, headers_are_grpcs);
    tcase_add_loop_test(tc, failures_are_told_and_the_next_call_works, 0, FAILURES);
    tcase_add_test(tc, a_kept_connection_that_was_closed_is_made_again);
    tcase_add_test(tc, deadlines_hold);
    tcase_add_test(tc, an_interruption_ends_a_call);
    tcase_add_test(tc, large_messages);
    tcase_add_test(tc, nobody_there);
    tcase_add_test(tc, calls_are_made_again);
    tcase_add_test(tc, what_is_wrong_is_not_asked_again);
    tcase_add_test(tc, what_is_not_loaded_is_loaded);
    tcase_add_test(tc, patience_ends);
}
#else
static void fill(TCase *tc)
{
    (void)tc;
    puts("skipped test_grpc: this build has no remote store");
}
#endif

int main(void)
{
    return kn_test_main("grpc", fill);
}
