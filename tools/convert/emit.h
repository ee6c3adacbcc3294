/* emit.h - a plan carried out: the model file. */
#ifndef CONVERT_EMIT_H
#define CONVERT_EMIT_H

#include "tools/convert/plan.h"

/* Shape and type of an item as it will be stored. */
kn_dtype cv_item_dtype(const cv_plan *p, const cv_item *item);
uint32_t cv_item_shape(const cv_plan *p, const cv_item *item, uint64_t shape[KN_MAX_RANK]);

/* Whether a failure was the output's: the input is then without blame. */
typedef struct cv_emitted {
    int output_failed;
    uint64_t bytes; /* of the file's tensors */
} cv_emitted;

/* Writes the file in one step; nothing is left after a failure.  Memory beside the mapping: sixteen
 * rows, and one tensor where the checkpoint has it compressed.  KEN_E_CANCELED after
 * ken_interrupt(). */
KEN_CALL ken_status cv_emit(const cv_plan *p, cv_set *set, const char *path, cv_emitted *out);

#endif
