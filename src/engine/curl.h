/* curl.h - one GET over HTTP or HTTPS, by libcurl, which is loaded when the first one is made. */
#ifndef ENGINE_CURL_H
#define ENGINE_CURL_H

#include "ken.h"

typedef struct kn_curl_get {
    const char *url;
    uint64_t from;        /* ask for the bytes from here on … */
    const char *if_range; /* … if this entity tag or date still holds, else for all; used if from > 0 */
    uint32_t timeout;     /* seconds to connect in, and seconds without a byte */
    /* One line of an answer's head, without its end; each redirection has a head of its own. */
    void (*head)(const char *line, void *cookie);
    /* n bytes of the body of an answer that is neither a redirection nor an error. */
    ken_status (*body)(const void *bytes, size_t n, void *cookie);
    /* Asked several times a second whether to go on. */
    ken_status (*tick)(void *cookie);
    void *cookie;
} kn_curl_get;

/* Redirections are followed, ten at most, and never from https to http; certificates are checked.
 * *code: the last answer's status, 0 without one.  What body and tick fail with, KEN_E_NET where the
 * remote end failed or answered 400 and above, KEN_E_UNSUPPORTED where there is no libcurl. */
KEN_CALL ken_status kn_curl(const kn_curl_get *g, long *code);

#endif
