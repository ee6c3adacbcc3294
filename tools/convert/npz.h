/* npz.h - numpy's arrays in a zip. */
#ifndef CONVERT_NPZ_H
#define CONVERT_NPZ_H

#include "tools/convert/tensor.h"
#include "base/zip.h"

/* Every NAME.npy as tensor NAME; z must outlive the set.  KEN_E_FORMAT names the entry. */
KEN_CALL ken_status cv_read_npz(cv_set *s, const kn_zip *z, const char *file);

#endif
