/*
 * repack.h - our own models once more: as training leaves them (rows, nothing folded) to what ships.
 */
#ifndef CONVERT_REPACK_H
#define CONVERT_REPACK_H

#include "nn/weights.h"
#include "tools/convert/plan.h"

/* 1 if the file is a model of ours. */
int cv_is_ours(const char *path);

/* Folds BatchNorm and the attention scales, packs the matrices in o->type and copies the rest;
 * o->licence, source and name replace what the file says.  KEN_E_UNSUPPORTED for a file that is
 * packed already: its numbers were rounded.  *bytes: of the new file. */
KEN_CALL ken_status cv_repack(const char *in, const char *out, const cv_options *o, uint64_t *bytes);

#endif
