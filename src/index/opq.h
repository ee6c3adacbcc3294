/* opq.h - a rotation after which product quantisers lose less (Ge, He, Ke, Sun: "Optimized product
 * quantization", 2013, the non-parametric form). */
#ifndef INDEX_OPQ_H
#define INDEX_OPQ_H

#include "ken.h"

/* rotation (dim, dim), orthogonal to float's precision, for m pieces, from rows (n, dim).  The same
 * bits for any number of threads and at any CPU level. */
KEN_CALL ken_status kn_opq_train(const float *rows, size_t n, size_t dim, size_t m, uint64_t seed,
                                 uint32_t threads, float *rotation);

#endif
