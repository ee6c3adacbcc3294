/* tls.c - see tls.h. */
#include "store/tls.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"
#include "base/symbol.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

static struct library {
    void *ssl, *crypto;
    const SSL_METHOD *(*method)(void);
    SSL_CTX *(*context_new)(const SSL_METHOD *);
    void (*context_free)(SSL_CTX *);
    long (*context_ctrl)(SSL_CTX *, int, long, void *);
    int (*default_paths)(SSL_CTX *);
    int (*load_ca)(SSL_CTX *, const char *, const char *);
    void (*set_verify)(SSL_CTX *, int, SSL_verify_cb);
    int (*set_alpn)(SSL_CTX *, const unsigned char *, unsigned);
    SSL *(*session_new)(SSL_CTX *);
    void (*session_free)(SSL *);
    long (*session_ctrl)(SSL *, int, long, void *);
    int (*set_host)(SSL *, const char *);
    X509_VERIFY_PARAM *(*param)(SSL *);
    int (*set_ip)(X509_VERIFY_PARAM *, const char *);
    void (*set_bio)(SSL *, BIO *, BIO *);
    int (*connect)(SSL *);
    int (*read)(SSL *, void *, int);
    int (*write)(SSL *, const void *, int);
    int (*error)(const SSL *, int);
    long (*verified)(const SSL *);
    void (*alpn)(const SSL *, const unsigned char **, unsigned *);
    BIO *(*bio_new)(const BIO_METHOD *);
    const BIO_METHOD *(*bio_mem)(void);
    int (*bio_read)(BIO *, void *, int);
    int (*bio_write)(BIO *, const void *, int);
    const char *(*verify_text)(long);
    unsigned long (*err_get)(void);
    void (*err_text)(unsigned long, char *, size_t);
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int find_ssl(void *s)
{
    return kn_symbol(s, &lib.method, "TLS_client_method") &&
           kn_symbol(s, &lib.context_new, "SSL_CTX_new") &&
           kn_symbol(s, &lib.context_free, "SSL_CTX_free") &&
           kn_symbol(s, &lib.context_ctrl, "SSL_CTX_ctrl") &&
           kn_symbol(s, &lib.default_paths, "SSL_CTX_set_default_verify_paths") &&
           kn_symbol(s, &lib.load_ca, "SSL_CTX_load_verify_locations") &&
           kn_symbol(s, &lib.set_verify, "SSL_CTX_set_verify") &&
           kn_symbol(s, &lib.set_alpn, "SSL_CTX_set_alpn_protos") &&
           kn_symbol(s, &lib.session_new, "SSL_new") && kn_symbol(s, &lib.session_free, "SSL_free") &&
           kn_symbol(s, &lib.session_ctrl, "SSL_ctrl") && kn_symbol(s, &lib.set_host, "SSL_set1_host") &&
           kn_symbol(s, &lib.param, "SSL_get0_param") && kn_symbol(s, &lib.set_bio, "SSL_set_bio") &&
           kn_symbol(s, &lib.connect, "SSL_connect") && kn_symbol(s, &lib.read, "SSL_read") &&
           kn_symbol(s, &lib.write, "SSL_write") && kn_symbol(s, &lib.error, "SSL_get_error") &&
           kn_symbol(s, &lib.verified, "SSL_get_verify_result") &&
           kn_symbol(s, &lib.alpn, "SSL_get0_alpn_selected");
}

static int find_crypto(void *c)
{
    return kn_symbol(c, &lib.set_ip, "X509_VERIFY_PARAM_set1_ip_asc") &&
           kn_symbol(c, &lib.bio_new, "BIO_new") && kn_symbol(c, &lib.bio_mem, "BIO_s_mem") &&
           kn_symbol(c, &lib.bio_read, "BIO_read") && kn_symbol(c, &lib.bio_write, "BIO_write") &&
           kn_symbol(c, &lib.verify_text, "X509_verify_cert_error_string") &&
           kn_symbol(c, &lib.err_get, "ERR_get_error") &&
           kn_symbol(c, &lib.err_text, "ERR_error_string_n");
}

static void load(void)
{
    lib.crypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    lib.ssl = lib.crypto ? dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL) : NULL;
    if (lib.ssl && (!find_ssl(lib.ssl) || !find_crypto(lib.crypto)))
        lib.ssl = NULL;
}

struct kn_tls {
    SSL_CTX *context;
    SSL *session;
    BIO *in, *out; /* the session's own */
};

/* The first of OpenSSL's reasons; the rest are forgotten. */
static ken_status failed(const char *what)
{
    char text[160] = "";
    unsigned long e = lib.err_get();
    if (e)
        lib.err_text(e, text, sizeof text);
    while (lib.err_get())
        continue;
    return kn_fail(KEN_E_NET, "TLS: %s%s%s", what, *text ? ": " : "", text);
}

/* ---- life ---- */

static int is_address(const char *name)
{
    return strchr(name, ':') || name[strspn(name, "0123456789.")] == 0;
}

static ken_status set_name(kn_tls *t, const char *name)
{
    if (is_address(name))
        return lib.set_ip(lib.param(t->session), name) ? KEN_OK : failed("the server's address");
    char *copy = kn_strdup(name); /* SSL_ctrl takes no const */
    if (!copy)
        return KEN_E_NOMEM;
    const int good =
        lib.session_ctrl(t->session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, copy) > 0 &&
        lib.set_host(t->session, name) > 0;
    kn_free(copy);
    return good ? KEN_OK : failed("the server's name");
}

static ken_status set_up(kn_tls *t, const char *name, const char *ca)
{
    static const unsigned char h2[] = "\x02h2";
    if (!(t->context = lib.context_new(lib.method())))
        return failed("no context");
    if (lib.context_ctrl(t->context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL) != 1)
        return failed("version");
    if (ca ? !lib.load_ca(t->context, ca, NULL) : !lib.default_paths(t->context))
        return failed(ca ? ca : "the system's certificates");
    lib.set_verify(t->context, SSL_VERIFY_PEER, NULL);
    if (lib.set_alpn(t->context, h2, 3)) /* 0 is good here */
        return failed("ALPN");
    if (!(t->session = lib.session_new(t->context)))
        return failed("no session");
    t->in = lib.bio_new(lib.bio_mem());
    t->out = lib.bio_new(lib.bio_mem());
    lib.set_bio(t->session, t->in, t->out);
    return t->in && t->out ? set_name(t, name) : KEN_E_NOMEM;
}

ken_status kn_tls_new(kn_tls **out, const char *name, const char *ca)
{
    pthread_once(&once, load);
    if (!lib.ssl)
        return kn_fail(KEN_E_UNSUPPORTED, "TLS needs OpenSSL 3 (libssl.so.3), which is not installed");
    kn_tls *t = kn_zalloc(1, sizeof *t);
    ken_status st = t ? set_up(t, name, ca) : KEN_E_NOMEM;
    if (st)
        kn_tls_free(t);
    else
        *out = t;
    return st;
}

void kn_tls_free(kn_tls *t)
{
    if (!t)
        return;
    if (t->session)
        lib.session_free(t->session);
    if (t->context)
        lib.context_free(t->context);
    kn_free(t);
}

/* ---- the socket's side ---- */

ken_status kn_tls_feed(kn_tls *t, const void *bytes, size_t n)
{
    return lib.bio_write(t->in, bytes, (int)n) == (int)n ? KEN_OK : failed("out of memory");
}

size_t kn_tls_drain(kn_tls *t, void *bytes, size_t cap)
{
    const int got = lib.bio_read(t->out, bytes, (int)cap);
    return got > 0 ? (size_t)got : 0;
}

/* ---- our side ---- */

ken_status kn_tls_shake(kn_tls *t, int *done)
{
    const unsigned char *alpn = NULL;
    unsigned n = 0;
    const int rc = lib.connect(t->session);
    *done = rc == 1;
    if (rc != 1) {
        const int why = lib.error(t->session, rc);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
            return KEN_OK;
        const long verified = lib.verified(t->session);
        return failed(verified ? lib.verify_text(verified) : "no agreement");
    }
    lib.alpn(t->session, &alpn, &n);
    return n == 2 && !memcmp(alpn, "h2", 2) ? KEN_OK
                                            : kn_fail(KEN_E_NET, "TLS: the server speaks no HTTP/2");
}

ken_status kn_tls_write(kn_tls *t, const void *bytes, size_t n)
{
    return lib.write(t->session, bytes, (int)n) == (int)n ? KEN_OK : failed("cannot write");
}

ken_status kn_tls_read(kn_tls *t, void *bytes, size_t cap, size_t *n, int *end)
{
    const int got = lib.read(t->session, bytes, (int)cap);
    *n = got > 0 ? (size_t)got : 0;
    *end = 0;
    if (got > 0)
        return KEN_OK;
    const int why = lib.error(t->session, got);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return KEN_OK;
    *end = why == SSL_ERROR_ZERO_RETURN;
    return *end ? KEN_OK : failed("cannot read");
}

#endif
