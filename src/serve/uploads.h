/*
 * uploads.h - pictures that are sent and kept.
 *
 * What is kept is the PNG of the pixels that the decoder gave, under a name made of its own bytes.  The
 * sender's file itself is never written and never decoded by this process, and what it held beside the
 * picture (a place, a camera) is gone; so is its name.
 *
 * Two may send the same picture: then they share its file and its record.  So a parcel holds s->sending as a
 * reader until its records are there, and a request that removes a record and its file does so as a writer:
 * no file goes between another's look and its record.  A parcel holds it for as long as its pictures are
 * decoded and read by the model; so that those who remove do not wait for ever behind one parcel after
 * another, a writer that waits goes before readers that come later.
 */
#ifndef SERVE_UPLOADS_H
#define SERVE_UPLOADS_H

#include "serve/server.h"

/* What s->sending is made by. */
void kn_sending_init(pthread_rwlock_t *lock);
/* Writes it, durably; *path (kn_free) is where.  *fresh: it was not there before. */
KEN_CALL ken_status kn_upload_keep(const ken_server *s, const ken_image *img, char **path, int *fresh);
/* Whether the file of this path was written here. */
int kn_upload_is(const ken_server *s, const char *path);
/* Removes it, if it was; s->sending is held as a writer. */
void kn_upload_drop(const ken_server *s, const char *path);

/* The pictures of one request.  If one can't be decoded, none is kept.  If the library refuses one of several
 * later, the request fails with its reason; the others that it has recorded by then stay. */
enum { KN_PARCEL = 32 };
typedef struct kn_parcel {
    kn_call *c;
    char *paths[KN_PARCEL]; /* kn_free */
    int fresh[KN_PARCEL];   /* written by this request, and good for nothing so far */
    size_t n;
    char why[300]; /* the library refused one: the first reason */
} kn_parcel;

/* Keeps the parts of a form, or the "images" of JSON: 0, or -1 with the answer given, also where there is
 * none. Release it after either: what it has written for nothing goes, unless another has recorded it
 * meanwhile. */
int kn_parcel_take(kn_parcel *p, kn_call *c);
void kn_parcel_refused(kn_parcel *p, const char *why);
/* The request has made something of them: they stay. */
void kn_parcel_served(kn_parcel *p);
void kn_parcel_release(kn_parcel *p);

#endif
