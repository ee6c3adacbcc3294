/* remote.c - see remote.h. */
#include "engine/remote.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>

ken_status kn_remote_search(ken *k, const kn_store_query *q, kn_near *near, size_t *found)
{
    ken_hit *hits = kn_alloc(q->nq, q->k * sizeof *hits);
    size_t *counts = kn_alloc(q->nq, sizeof *counts);
    ken_status st = hits && counts ? KEN_OK : KEN_E_NOMEM;
    *found = 0;
    if (!st) {
        pthread_mutex_lock(&k->lock);
        st = k->store->v->search(k->store, q, hits, counts);
        pthread_mutex_unlock(&k->lock);
    }
    for (size_t i = 0; !st && i < q->nq; i++)
        for (size_t j = 0; j < counts[i]; j++)
            near[(*found)++] = (kn_near){ hits[i * q->k + j].id, hits[i * q->k + j].raw };
    kn_free(hits);
    kn_free(counts);
    return st;
}

ken_status kn_remote_vector(ken *k, uint64_t id, uint32_t dim, float *out)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    kn_item item = { 0 };
    uint64_t own = 0;
    pthread_mutex_lock(&k->lock);
    ken_status st = kn_store_get(k->store, &which, &item);
    if (!st && !item.segment)
        st = kn_fail(KEN_E_NOTFOUND, "item %" PRIu64 " has no vector", id);
    if (!st)
        st = kn_store_number(k->store, KN_KEY_DIM, &own);
    if (!st && dim && dim != own)
        st = kn_fail(KEN_E_MODEL, "the collection has another model by now: open it again");
    if (!st)
        st = k->store->v->vectors(k->store, KN_WHOLES, &id, NULL, 1, (uint32_t)own, out);
    pthread_mutex_unlock(&k->lock);
    kn_item_release(&item);
    return st;
}

ken_status kn_remote_settle(ken *k)
{
    kn_store *store = k->store;
    if (!store->v->settle)
        return KEN_OK;
    pthread_mutex_lock(&k->lock);
    const ken_status st = store->v->settle(store);
    pthread_mutex_unlock(&k->lock);
    if (st == KEN_E_NET)
        kn_log(KEN_LOG_WARN, "all is stored, but the server does not settle it: %s", ken_last_error());
    return st == KEN_E_NET ? KEN_OK : st;
}
