/* memory.h - the records in memory, for the file store: what its log says, replayed. */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include "store/store.h"

typedef struct kn_memory kn_memory;

KEN_CALL ken_status kn_memory_new(kn_memory **out);
void kn_memory_free(kn_memory *m);

/* The verbs of store.h, without durability.  After a failed change the contents are unspecified:
 * replay into a new one. */
KEN_CALL ken_status kn_memory_put(kn_memory *m, const kn_item *item);
/* The parts of an item that is there; 0 if it is not. */
int kn_memory_put_parts(kn_memory *m, uint64_t id, uint32_t segment, uint32_t slot, uint32_t parts);
void kn_memory_drop(kn_memory *m, uint64_t id);
KEN_CALL ken_status kn_memory_put_segment(kn_memory *m, const kn_segment_record *row);
void kn_memory_drop_segment(kn_memory *m, uint32_t number);
KEN_CALL ken_status kn_memory_put_dead(kn_memory *m, uint32_t segment, uint32_t slot);
KEN_CALL ken_status kn_memory_put_reject(kn_memory *m, const kn_reject *r);
void kn_memory_drop_reject(kn_memory *m, const char *path);
KEN_CALL ken_status kn_memory_set_text(kn_memory *m, const char *key, const char *value);

KEN_CALL ken_status kn_memory_items(kn_memory *m, const kn_select *which, kn_item_fn fn,
                                    void *cookie);
void kn_memory_segments(const kn_memory *m, kn_segment_fn fn, void *cookie);
void kn_memory_dead(kn_memory *m, kn_slot_fn fn, void *cookie);
void kn_memory_rejects(const kn_memory *m, kn_reject_fn fn, void *cookie);
const kn_reject *kn_memory_reject(const kn_memory *m, const char *path); /* or NULL */
const char *kn_memory_text(const kn_memory *m, const char *key);         /* or NULL */
typedef int (*kn_text_fn)(const char *key, const char *value, void *cookie);
void kn_memory_texts(const kn_memory *m, kn_text_fn fn, void *cookie);
KEN_CALL ken_status kn_memory_counts(kn_memory *m, kn_counts *out);

#endif
