/* remote.h - an encoder elsewhere: `ken serve --encoder-only`, which --encoder names. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "ken.h"

#include <stddef.h>

/* --encoder is an address, "unix:PATH" or "http://HOST[:PORT]". */
int cli_remote_wanted(void);
/* A ken_encode_fn, for ken_model_options.  KEN_E_MODEL: the server has another model; KEN_E_NET: nobody
 * answers, or something else than vectors. */
KEN_CALL ken_status cli_remote_encode(const ken_model_info *m, const char *const *texts,
                                      const ken_image *const *fitted, size_t n, float *vectors,
                                      void *cookie);

#endif
