/*
 * toys_tool.h - the commands of ken-toys and what they share.
 *
 * A command returns an exit status: DONE, WRONG_USE (also: the output cannot be written) or INTERRUPTED,
 * having said what is wrong.
 */
#ifndef TOOLS_TOYS_H
#define TOOLS_TOYS_H

#include "base/buf.h"
#include "toys/toys.h"

enum { TT_DONE = 0, TT_WRONG_USE = 2, TT_INTERRUPTED = 130 };

typedef struct tt_args {
    uint64_t first, end; /* ids first .. end - 1 */
    uint64_t apart_first, apart_end; /* toys that captions must not fit; none if equal */
    uint32_t views, first_view, captions, size, threads;
    uint64_t seed;
    kn_toy_mode mode;
    int twins, masks, jpeg, wrong, quiet, json;
    const char *out, *gallery, *queries, *gallery_vectors, *query_vectors;
} tt_args;

int tt_render(const tt_args *a);
int tt_sheet(const tt_args *a);
int tt_captions(const tt_args *a);
int tt_ceiling(const tt_args *a);
int tt_histogram(const tt_args *a);
int tt_pairs(const tt_args *a);
int tt_montage(const tt_args *a);

int tt_fail(ken_status st); /* say ken_last_error() */
int tt_progress(const ken_progress *p, void *cookie);

/* A picture of a toy: which, and what there is to tell. */
typedef struct tt_shot {
    uint64_t id;
    uint32_t number; /* of the view */
    int twin;
    kn_toy toy;
    kn_toy_view view;
    kn_toy_truth truth;
    const char *attribute; /* with --twins: what the two differ in, and the share of each */
    float differs;
    char path[96]; /* below the output folder */
} tt_shot;

/* One line of truth.jsonl, of captions.jsonl. */
KEN_CALL ken_status tt_truth_line(kn_buf *out, const tt_args *a, const tt_shot *s);
KEN_CALL ken_status tt_caption_line(kn_buf *out, const tt_shot *s, uint32_t variant);

#endif
