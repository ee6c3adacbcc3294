/*
 * parallel.h - the only place that knows how loops are spread over threads.
 *
 * A small pool of our own (-DKEN_PTHREAD, the default) or OpenMP; the same static
 * split in both.  Results must not depend on it: each piece writes its own part.
 */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include "ken.h"

/* Work on items begin .. end-1, as worker `worker` of 0 .. threads-1. */
typedef ken_status (*kn_loop_fn)(size_t begin, size_t end, uint32_t worker, void *cookie);

/* Split 0..n-1 into at most `threads` consecutive pieces whose borders are multiples of `grain`
 * (>= 1) and run fn on each; returns when all are done.  The first failing piece, in order, gives
 * the status and the reason.  Inside a piece, further loops run on that thread alone. */
KEN_CALL ken_status kn_parallel(size_t n, size_t grain, uint32_t threads, kn_loop_fn fn,
                                void *cookie);

/* Processors this process may use (sched_getaffinity and the cgroup's quota), at least 1. */
uint32_t kn_processors(void);

#endif
