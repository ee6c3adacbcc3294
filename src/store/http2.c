/* http2.c - see http2.h. */
#include "store/http2.h"

#ifdef KEN_MILVUS
#include "base/error.h"
#include "base/symbol.h"

#include <dlfcn.h>
#include <pthread.h>

static kn_http2 lib;
static int loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *h = dlopen("libnghttp2.so.14", RTLD_NOW | RTLD_LOCAL);
    loaded =
        h && kn_symbol(h, &lib.callbacks_new, "nghttp2_session_callbacks_new") &&
        kn_symbol(h, &lib.callbacks_free, "nghttp2_session_callbacks_del") &&
        kn_symbol(h, &lib.on_header, "nghttp2_session_callbacks_set_on_header_callback") &&
        kn_symbol(h, &lib.on_data, "nghttp2_session_callbacks_set_on_data_chunk_recv_callback") &&
        kn_symbol(h, &lib.on_close, "nghttp2_session_callbacks_set_on_stream_close_callback") &&
        kn_symbol(h, &lib.client_new, "nghttp2_session_client_new") &&
        kn_symbol(h, &lib.session_free, "nghttp2_session_del") &&
        kn_symbol(h, &lib.settings, "nghttp2_submit_settings") &&
        kn_symbol(h, &lib.window, "nghttp2_session_set_local_window_size") &&
        kn_symbol(h, &lib.request, "nghttp2_submit_request") &&
        kn_symbol(h, &lib.recv, "nghttp2_session_mem_recv") &&
        kn_symbol(h, &lib.send, "nghttp2_session_mem_send") &&
        kn_symbol(h, &lib.want_read, "nghttp2_session_want_read") &&
        kn_symbol(h, &lib.error_text, "nghttp2_strerror");
}

ken_status kn_http2_get(const kn_http2 **out)
{
    pthread_once(&once, load);
    if (!loaded)
        return kn_fail(KEN_E_UNSUPPORTED,
                       "a remote store needs HTTP/2 (libnghttp2.so.14), which is not installed");
    *out = &lib;
    return KEN_OK;
}

#endif
