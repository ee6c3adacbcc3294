/*
 * decode.h - pictures of strangers, decoded in processes that can do nothing else.
 *
 * A helper process is forked when the server starts, while there is little to inherit.  It forks the
 * decoders, which give up every system call but reading, writing and memory (seccomp), and have limits
 * on memory; bytes go there and pixels come back over a socket.  A decoder that dies or takes too long
 * is replaced, and its picture refused.
 */
#ifndef SERVE_DECODE_H
#define SERVE_DECODE_H

#include "ken.h"

typedef struct kn_decoders kn_decoders;

/* n decoders, each started when it is first needed.  max_bytes: of a file. */
KEN_CALL ken_status kn_decoders_start(kn_decoders **out, uint32_t n, uint64_t max_bytes,
                                      const ken_decode_options *opts);
/* As ken_image_decode(); waits for a free decoder.  KEN_E_FORMAT also if one dies of it, KEN_E_LIMIT if
 * it takes too long. */
KEN_CALL ken_status kn_decoders_decode(kn_decoders *d, const void *bytes, size_t len, ken_image **out);
uint64_t kn_decoders_died(kn_decoders *d); /* how many since the start */
void kn_decoders_stop(kn_decoders *d);     /* NULL is fine */

/* ---- the processes, for decode.c ---- */

/* What goes before the bytes and the pixels. */
typedef struct kn_decode_ask {
    uint64_t len;
    ken_decode_options opts;
} kn_decode_ask;
typedef struct kn_decode_answer {
    uint32_t status, width, height;
    char why[244];
} kn_decode_answer;

/* What the helper is asked: a decoder on the socket that comes along, or the end of one. */
typedef struct kn_helper_ask {
    int32_t kill; /* a decoder's process, or 0: start one */
} kn_helper_ask;

/* The helper's whole life; `control` is its socket.  Never returns. */
_Noreturn void kn_decode_helper(int control);

#endif
