/*
 * test_serve.c - the server's readers, and a server under requests that are none: broken heads and bodies,
 * lengths that lie, clients that stop in the middle.  Afterwards it must answer as before.
 */
#include "tests/test.h"

#ifdef KEN_HTTP
#include "base/alloc.h"
#include "base/base64.h"
#include "base/rand.h"
#include "base/sha256.h"
#include "serve/keys.h"
#include "serve/multipart.h"
#include "serve/server.h"
#include "serve/shape.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

/* ---- readers ---- */

static void digest(char hex[65], const char *text)
{
    uint8_t d[KN_SHA256_BYTES];
    kn_sha256(d, text, strlen(text));
    for (int i = 0; i < KN_SHA256_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", d[i]);
}

/* RFC 4648, section 10. */
START_TEST(base64_is_rfc)
{
    static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
    static const char *const broken[] = { "Z", "Zg", "Zg=", "Zg==Zg==", "Z===", "Zm9v\n", "Zm 9", "=Zg=", "\xc3\xa4" "aa" };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t n = 0;
        int bad;
        char *text = kn_base64(pairs[i][0], strlen(pairs[i][0]));
        unsigned char *bytes = kn_unbase64(pairs[i][1], &n, &bad);
        ck_assert_str_eq(text, pairs[i][1]);
        ck_assert_uint_eq(n, strlen(pairs[i][0]));
        ck_assert_int_eq(memcmp(bytes, pairs[i][0], n), 0);
        kn_free(text);
        kn_free(bytes);
    }
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        size_t n;
        int bad;
        ck_assert_msg(!kn_unbase64(broken[i], &n, &bad) && bad, "%s", broken[i]);
    }
}
END_TEST

static const char form_type[] = "multipart/form-data; boundary=\"x y\"";
static const char form_body[] = "--x y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
                                "--x y\r\ncontent-disposition:form-data; filename=\"name=b\"; name=\"b\"\r\n"
                                "Content-Type: image/png\r\n\r\n\r\n--x\r\n\r\n--x y\r\n"
                                "Content-Disposition: form-data; name=c\r\n\r\n\r\n--x y--\r\n";

START_TEST(forms_are_cut_up)
{
    kn_form f;
    OK(kn_form_parse(&f, form_type, form_body, sizeof form_body - 1));
    ck_assert_uint_eq(f.n, 3);
    ck_assert_str_eq(f.parts[0].name, "a");
    ck_assert_uint_eq(f.parts[0].len, 3);
    ck_assert_str_eq(f.parts[1].name, "b");
    ck_assert_uint_eq(f.parts[1].len, 7); /* CRLF --x CRLF: what only begins as a boundary is contents */
    ck_assert_uint_eq(f.parts[2].len, 0);
}
END_TEST

/* Cut at every byte, and with every byte changed: it reads, or says why not; the sanitizers watch. */
START_TEST(broken_forms_are_refused)
{
    kn_form f;
    for (size_t n = 0; n < sizeof form_body - 5; n++) {
        char *exact = kn_alloc(n + 1, 1);
        memcpy(exact, form_body, n);
        ck_assert_msg(kn_form_parse(&f, form_type, exact, n) == KEN_E_FORMAT, "cut at %zu", n);
        kn_free(exact);
    }
    for (size_t i = 0; i + 1 < sizeof form_body; i++) {
        char copy[sizeof form_body];
        memcpy(copy, form_body, sizeof copy);
        copy[i] ^= 0x15;
        if (!kn_form_parse(&f, form_type, copy, sizeof copy - 1))
            for (size_t k = 0; k < f.n; k++)
                ck_assert(f.parts[k].bytes >= copy && f.parts[k].bytes + f.parts[k].len <= copy + sizeof copy);
    }
}
END_TEST

START_TEST(json_is_strict)
{
    static const char *const broken[] = { "", "{", "{}x", "{\"a\":\"\\u0000\"}", "\"\xff\"", "nul", "[1,]" };
    cJSON *v = NULL;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        ck_assert_msg(kn_json_parse(&v, broken[i], strlen(broken[i])) == KEN_E_FORMAT, "%s", broken[i]);
    OK(kn_json_parse(&v, " {\"a\\\\u0000\": 1} \n", 18)); /* a backslash, then letters */
    cJSON_Delete(v);
}
END_TEST

START_TEST(keys_have_scopes)
{
    char path[] = "/tmp/ken-keys-XXXXXX", hex[65];
    kn_keys *k;
    const int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    digest(hex, "one");
    fprintf(f, "# ours\n\nr:read:%s\n", hex);
    digest(hex, "two");
    fprintf(f, "w:write:%s\r\n", hex);
    fclose(f);
    OK(kn_keys_new(&k, "root", path));
    ck_assert_int_eq(kn_keys_scope(k, "one"), KN_READ);
    ck_assert_int_eq(kn_keys_scope(k, "two"), KN_WRITE);
    ck_assert_int_eq(kn_keys_scope(k, "root"), KN_ADMIN);
    ck_assert_int_eq(kn_keys_scope(k, "on"), KN_OPEN);
    ck_assert_int_eq(kn_keys_scope(k, ""), KN_OPEN);
    ck_assert_int_eq(kn_keys_on(k), 1);
    kn_keys_free(k);
    unlink(path);
    OK(kn_keys_new(&k, NULL, NULL));
    ck_assert_int_eq(kn_keys_on(k), 0);
    kn_keys_free(k);
}
END_TEST

/* ---- a server ---- */

static ken_server *server;
static ken_model *model;
static int port;

static void start_server(void)
{
    ken_server_options o = KEN_SERVER_OPTIONS_INIT;
    signal(SIGPIPE, SIG_IGN);
    OK(ken_model_random(&model, "cifar-resnet20", 1, NULL));
    o.model = model;
    o.listen = "127.0.0.1:0";
    o.max_body = 1 << 16;
    o.timeout = 2;
    o.shims = 1;
    o.workers = 4;
    OK(ken_server_start(&server, &o));
    port = atoi(strrchr(ken_server_address(server, 0), ':') + 1);
}

static void stop_server(void)
{
    ken_server_stop(server, 5);
    ken_model_close(model);
}

static int dial(void)
{
    const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval limit = { 20, 0 };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* The status of the answer, 0 if none comes within so many milliseconds. */
static int ask(const char *request, size_t n, int patience)
{
    char answer[64] = { 0 };
    int status = 0;
    const int fd = dial();
    struct pollfd p = { fd, POLLIN, 0 };
    if (write(fd, request, n) == (ssize_t)n && poll(&p, 1, patience) > 0
        && read(fd, answer, sizeof answer - 1) > 0)
        sscanf(answer, "HTTP/1.%*d %d", &status);
    close(fd);
    return status;
}

#define GET "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static void check_alive(void)
{
    ck_assert_int_eq(ask(GET, sizeof GET - 1, 20000), 200);
}

static const char *const patterns[] = {
    GET,
    "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 15\r\n"
    "Connection: close\r\n\r\n{\"input\": \"abc\"}",
    "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n{\"inp\r\na\r\nut\": \"abc\"}\r\n0\r\n\r\n",
    "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 65\r\n"
    "Connection: close\r\n\r\n{\"data\": [{\"blob\": \"UDYgMiAyIDI1NQphYmNkZWZnaGlqa2w=\"}, {\"text\":\"a\"}]}",
    "GET /v1/models?a=1&b=%20&c HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer x\r\nRange: bytes=1-\r\n"
    "If-None-Match: \"x\"\r\nConnection: close\r\n\r\n",
    "PUT /v1/limits HTTP/1.0\r\nContent-Length: 70000\r\n\r\nx",
};

/* A request of the patterns, damaged in one to four places. */
static size_t damage(char *out, size_t room, kn_rand *r)
{
    static const char *const junk[] = { "\r\n", "\0", "%00", "%zz", ": ", "Content-Length: -1\r\n", "Host: x\r\n",
                                        "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "\xff\xfe",
                                        "ffffffffffffffff\r\n", "{\"a\":[[[[[[", "HTTP/9.9", "../", "\\u0000", " " };
    const char *p = patterns[kn_rand_below(r, sizeof patterns / sizeof *patterns)];
    size_t n = strlen(p);
    memcpy(out, p, n);
    for (uint32_t k = kn_rand_below(r, 4) + 1; k; k--) {
        const size_t at = kn_rand_below(r, (uint32_t)n + 1);
        const char *j = junk[kn_rand_below(r, sizeof junk / sizeof *junk)];
        const size_t len = *j ? strlen(j) : 1;
        switch (kn_rand_below(r, 5)) {
        case 0: /* a byte becomes another */
            if (at < n)
                out[at] = (char)kn_rand_below(r, 256);
            break;
        case 1: /* something is put in */
            if (n + len < room) {
                memmove(out + at + len, out + at, n - at);
                memcpy(out + at, j, len);
                n += len;
            }
            break;
        case 2: /* the rest is missing */
            n = at;
            break;
        case 3: /* a piece is missing */
            n -= n > at ? (n - at < 7 ? n - at : 7) : 0;
            break;
        default: /* a piece comes over and over: long heads */
            while (at < n && n + (n - at) < room && n < 6000 && n - at > 3) {
                memcpy(out + n, out + at, n - at);
                n += n - at;
            }
            break;
        }
    }
    return n;
}

START_TEST(outlives_malformed_requests)
{
    enum { ROOM = 1 << 15 };
    const int rounds = getenv("QUICK") ? 1500 : 10000;
    char *request = kn_alloc(ROOM, 1);
    kn_rand r = kn_rand_at(7, 0);
    int refused = 0;
    start_server();
    for (int i = 0; i < rounds; i++) {
        const size_t n = damage(request, ROOM, &r);
        const int status = ask(request, n, 30);
        ck_assert_msg(status < 500 || status == 503 || status == 505 || status == 501,
                      "request %d of seed 7: status %d\n%.*s", i, status, (int)n, request);
        refused += status >= 400;
        if (i % 500 == 0)
            check_alive();
    }
    check_alive();
    ck_assert_int_gt(refused, rounds / 8);
    stop_server();
    kn_free(request);
}
END_TEST

/* A client that first sends all of a body that nobody wants, piece by piece, still gets its answer. */
START_TEST(answers_who_goes_on_sending)
{
    static const char piece[1 << 14];
    static const struct {
        const char *type;
        size_t bytes;
        int chunked, status;
    } cases[] = { { "text/plain", 1 << 16, 0, 415 },
                  { "text/plain", 1 << 16, 1, 415 },
                  { "application/json", 1 << 19, 0, 413 },
                  { "application/json", 1 << 19, 1, 413 } };
    start_server();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char length[60], head[200], answer[64] = { 0 };
        int status = 0;
        const int fd = dial(), chunked = cases[i].chunked;
        snprintf(length, sizeof length, chunked ? "Transfer-Encoding: chunked" : "Content-Length: %zu", cases[i].bytes);
        const int n = snprintf(head, sizeof head, "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Type: %s\r\n%s\r\n\r\n", cases[i].type, length);
        ck_assert_int_eq(write(fd, head, (size_t)n), n);
        for (size_t sent = 0; sent < cases[i].bytes; sent += sizeof piece) {
            struct pollfd early = { fd, POLLRDHUP, 0 };
            if (chunked)
                ck_assert_msg(send(fd, "4000\r\n", 6, MSG_NOSIGNAL) == 6, "hung up on after %zu bytes", sent);
            ck_assert_msg(send(fd, piece, sizeof piece, MSG_NOSIGNAL) == sizeof piece,
                          "hung up on after %zu bytes", sent);
            if (chunked)
                ck_assert_msg(send(fd, "\r\n", 2, MSG_NOSIGNAL) == 2, "hung up on after %zu bytes", sent);
            if (!sent) /* time for a server that will not wait for the rest to answer and hang up */
                poll(&early, 1, 200);
        }
        if (chunked)
            ck_assert_int_eq(write(fd, "0\r\n\r\n", 5), 5);
        ck_assert_int_gt(read(fd, answer, sizeof answer - 1), 0);
        sscanf(answer, "HTTP/1.%*d %d", &status);
        ck_assert_int_eq(status, cases[i].status);
        close(fd);
    }
    stop_server();
}
END_TEST

/* Hundreds of clients that say nothing or stop in the middle, some for good: others are answered, and in
 * the end the silent ones are hung up on. */
START_TEST(outlives_silent_clients)
{
    enum { CLIENTS = 400 };
    int fds[CLIENTS];
    char c;
    start_server();
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial();
        const char *p = patterns[i % 4];
        const size_t n = i % 3 ? strlen(p) * (size_t)(i % 7) / 8 : 0;
        ck_assert_int_eq(write(fds[i], p, n), (ssize_t)n);
    }
    for (int i = 0; i < 20; i++)
        check_alive();
    for (int i = 0; i < CLIENTS; i++) { /* the limit is 2 s, dial()'s patience 20 s */
        ck_assert_msg(read(fds[i], &c, 1) >= 0 || errno == ECONNRESET, "client %d is still there", i);
        close(fds[i]);
    }
    check_alive();
    stop_server();
}
END_TEST

/* The decoder does what ken_image_decode does, and a broken file is an answer, not an end. */
START_TEST(decodes_elsewhere)
{
    static const char ppm[] = "P6 2 1 255\nabcdef";
    const ken_decode_options o = KEN_DECODE_OPTIONS_INIT;
    kn_decoders *d;
    ken_image *img;
    OK(kn_decoders_start(&d, 2, 1 << 20, &o));
    for (int i = 0; i < 3; i++) {
        OK(kn_decoders_decode(d, ppm, sizeof ppm - 1, &img));
        ck_assert_uint_eq(ken_image_width(img), 2);
        ck_assert_int_eq(memcmp(ken_image_row(img, 0), "abcdef", 6), 0);
        ken_image_free(img);
        ck_assert_int_eq(kn_decoders_decode(d, "P6 2 1 255\nabc", 14, &img), KEN_E_FORMAT);
        ck_assert_int_eq(kn_decoders_decode(d, "x", 1, &img), KEN_E_FORMAT);
    }
    ck_assert_uint_eq(kn_decoders_died(d), 0);
    kn_decoders_stop(d);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, base64_is_rfc);
    tcase_add_test(tc, forms_are_cut_up);
    tcase_add_test(tc, broken_forms_are_refused);
    tcase_add_test(tc, json_is_strict);
    tcase_add_test(tc, keys_have_scopes);
    tcase_add_test(tc, decodes_elsewhere);
    tcase_add_test(tc, outlives_malformed_requests);
    tcase_add_test(tc, answers_who_goes_on_sending);
    tcase_add_test(tc, outlives_silent_clients);
}

int main(void)
{
    return kn_test_main("serve", fill);
}
#else
int main(void)
{
    printf("skipped serve: built without HTTP\n0 passed, 0 failed\n");
    return 0;
}
#endif
