/*
 * pictures.h - the bytes of pictures by path, also of those inside a zip: "DIR/FILE.zip/ENTRY".
 */
#ifndef ENGINE_PICTURES_H
#define ENGINE_PICTURES_H

#include "base/zip.h"

#include <pthread.h>

typedef struct kn_pictures {
    pthread_mutex_t lock;
    struct kn_opened *zips; /* every archive that was met, open until the end */
} kn_pictures;

void kn_pictures_init(kn_pictures *p);
void kn_pictures_release(kn_pictures *p);
/* kn_free the bytes.  Any number of threads at the same time. */
KEN_CALL ken_status kn_pictures_read(kn_pictures *p, const char *path, unsigned char **bytes,
                                     size_t *len);

#endif
