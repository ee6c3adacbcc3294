/* http2.h - libnghttp2, loaded when it is first asked for: no other command should wait for it. */
#ifndef STORE_HTTP2_H
#define STORE_HTTP2_H

#include "ken.h"

#ifdef KEN_MILVUS
#include <nghttp2/nghttp2.h>

typedef struct kn_http2 {
    int (*callbacks_new)(nghttp2_session_callbacks **);
    void (*callbacks_free)(nghttp2_session_callbacks *);
    void (*on_header)(nghttp2_session_callbacks *, nghttp2_on_header_callback);
    void (*on_data)(nghttp2_session_callbacks *, nghttp2_on_data_chunk_recv_callback);
    void (*on_close)(nghttp2_session_callbacks *, nghttp2_on_stream_close_callback);
    int (*client_new)(nghttp2_session **, const nghttp2_session_callbacks *, void *);
    void (*session_free)(nghttp2_session *);
    int (*settings)(nghttp2_session *, uint8_t, const nghttp2_settings_entry *, size_t);
    int (*window)(nghttp2_session *, uint8_t, int32_t, int32_t);
    int32_t (*request)(nghttp2_session *, const nghttp2_priority_spec *, const nghttp2_nv *, size_t,
                       const nghttp2_data_provider *, void *);
    ssize_t (*recv)(nghttp2_session *, const uint8_t *, size_t);
    ssize_t (*send)(nghttp2_session *, const uint8_t **);
    int (*want_read)(nghttp2_session *);
    const char *(*error_text)(int);
} kn_http2;

/* The library's functions; KEN_E_UNSUPPORTED if it is not installed. */
KEN_CALL ken_status kn_http2_get(const kn_http2 **out);

#endif
#endif
