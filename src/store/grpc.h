/*
 * grpc.h - calls of gRPC: one request, one answer, over one HTTP/2 connection that is kept.
 *
 * The connection is made at the first call and made again when it is lost.  HTTP/2 is libnghttp2, loaded
 * at the first connection.  One thread at a time.
 *
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
#ifndef STORE_GRPC_H
#define STORE_GRPC_H

#include "base/buf.h"
#include "store/wire.h"

typedef struct kn_grpc kn_grpc;

typedef struct kn_grpc_options {
    kn_wire_options wire;      /* copied, with its strings */
    const char *authorization; /* the header's value, or NULL */
    const char *database;      /* header "dbname", or NULL */
    size_t max_answer;         /* bytes; 0: 256 MB */
} kn_grpc_options;

KEN_CALL ken_status kn_grpc_new(kn_grpc **out, const kn_grpc_options *o);
void kn_grpc_free(kn_grpc *g);

/* What became of a call, beside its status. */
typedef struct kn_grpc_end {
    int again; /* 1: the same call may succeed later: no connection, or it was lost, or the server is busy */
    int code;  /* grpc-status, or -1 if there was none */
} kn_grpc_end;

/* One try: method is "/package.Service/Name", the answer's message goes into *answer, which is emptied
 * first.  timeout in seconds, also for connecting.  KEN_E_NET says what went wrong; KEN_E_FORMAT for an
 * answer that is none; KEN_E_LIMIT, KEN_E_CANCELED, KEN_E_NOMEM; KEN_E_UNSUPPORTED without libnghttp2. */
KEN_CALL ken_status kn_grpc_call(kn_grpc *g, const char *method, const void *request, size_t n,
                                 double timeout, kn_buf *answer, kn_grpc_end *end);

#endif
