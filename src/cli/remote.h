/* remote.h - an encoder elsewhere: `ken serve --encoder-only`, which --encoder names. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "ken.h"

#include <stddef.h>

/* --encoder is an address, "unix:PATH" or "http://HOST[:PORT]". */
int cli_remote_wanted(void);
/* Vectors (n, dim) of texts, or of pictures where texts is NULL, as model m makes them: a server that has
 * another one refuses.  0, or the exit status with the reason printed: 5 for another model, 6 where nobody
 * answers. */
int cli_remote_encode(const ken_model_info *m, const char *const *texts, const ken_image *const *images,
                      size_t n, float *vectors);

#endif
