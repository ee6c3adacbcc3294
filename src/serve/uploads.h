/*
 * uploads.h - pictures that are sent and kept.
 *
 * What is kept is the PNG of the pixels that the decoder gave, under a name made of its own bytes.  The
 * sender's file itself is never written and never decoded by this process, and what it held beside the
 * picture (a place, a camera) is gone; so is its name.
 */
#ifndef SERVE_UPLOADS_H
#define SERVE_UPLOADS_H

#include "serve/server.h"

/* Writes it, durably; *path (kn_free) is where.  *fresh: it was not there before. */
KEN_CALL ken_status kn_upload_keep(const ken_server *s, const ken_image *img, char **path, int *fresh);
/* Whether the file of this path was written here. */
int kn_upload_is(const ken_server *s, const char *path);
/* Removes it, if it was. */
void kn_upload_drop(const ken_server *s, const char *path);

#endif
