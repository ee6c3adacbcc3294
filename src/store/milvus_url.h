/*
 * milvus_url.h - where a remote store is, and how it is made:
 *
 *     milvus://[USER:PASSWORD@|TOKEN@]HOST[:PORT]/[DATABASE/]COLLECTION[?NAME=VALUE&...]
 *
 *     tls=1 ca=FILE                          over TLS, the server's certificate checked
 *     shards=N replicas=N consistency=LEVEL  Strong (default) Session Bounded Eventually
 *     index=KIND metric=NAME                 HNSW (default) AUTOINDEX FLAT IVF_FLAT; COSINE (default) IP
 *     m=N ef_construction=N nlist=N          of the index
 *     ef=N nprobe=N                          of a search
 *     retry=SECONDS                          how long a server that is gone is waited for; default 120
 *
 * Shards, index and metric count when the collection is made; the rest can be chosen anew each time.
 */
#ifndef STORE_MILVUS_URL_H
#define STORE_MILVUS_URL_H

#include "ken.h"

typedef struct kn_milvus_url {
    char *host, *port, *database, *collection; /* database may be NULL */
    char *authorization;                       /* the header's value, or NULL */
    char *plain;                               /* the whole, without who may come in: for people */
    char *ca;                                  /* or NULL */
    const char *index, *metric;                /* as the server calls them */
    unsigned tls, shards, replicas, consistency, m, ef_construction, nlist, ef, nprobe, retry;
} kn_milvus_url;

/* KEN_E_INVALID says what is wrong.  *out is released by the caller, after success only. */
KEN_CALL ken_status kn_milvus_url_parse(kn_milvus_url *out, const char *url);
void kn_milvus_url_release(kn_milvus_url *u);

#endif
