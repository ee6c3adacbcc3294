/* sqlite.h - what the two files of the SQLite store share. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "store/store.h"

#ifdef KEN_SQLITE

#include <sqlite3.h>

typedef enum kn_statement {
    /* in the order of kn_select.by */
    KN_SQL_ITEM_BY_ID,
    KN_SQL_ITEM_BY_PATH,
    KN_SQL_ITEM_BY_HASH,
    KN_SQL_ITEM_BY_INODE,
    KN_SQL_ITEM_UNDER,
    KN_SQL_ITEM_AFTER,
    KN_SQL_ITEM_HIDDEN,
    KN_SQL_ITEM_OF_OBJECT,
    KN_SQL_ITEM_LABELLED,
    KN_SQL_ITEM_PARTLESS,
    KN_SQL_BEGIN_READ,
    KN_SQL_BEGIN_WRITE,
    KN_SQL_COMMIT,
    KN_SQL_NEXT_GENERATION,
    KN_SQL_SEGMENTS,
    KN_SQL_DEAD,
    KN_SQL_REJECT,
    KN_SQL_TEXT,
    KN_SQL_COUNTS,
    KN_SQL_PUT_ITEM,
    KN_SQL_DROP_ITEM,
    KN_SQL_PUT_SEGMENT,
    KN_SQL_DROP_SEGMENT,
    KN_SQL_DROP_SEGMENT_DEAD,
    KN_SQL_PUT_DEAD,
    KN_SQL_PUT_REJECT,
    KN_SQL_DROP_REJECT,
    KN_SQL_SET_TEXT,
    KN_SQL_STATEMENTS
} kn_statement;

typedef struct kn_sqlite {
    kn_store base;
    sqlite3 *db;
    sqlite3_stmt *ready[KN_SQL_STATEMENTS];
} kn_sqlite;

static inline kn_sqlite *kn_sqlite_of(kn_store *s)
{
    return (kn_sqlite *)s;
}

/* rc goes through all of these: after a failure every further call leaves it alone, and finish
 * resets the statement (which may be NULL) and reports it. */
sqlite3_stmt *kn_sqlite_get(kn_sqlite *s, kn_statement which, int *rc);
int kn_sqlite_step(sqlite3_stmt *q, int rc);
ken_status kn_sqlite_finish(kn_sqlite *s, sqlite3_stmt *q, int rc);

/* Verbs of store.h. */
ken_status kn_sqlite_items(kn_store *store, const kn_select *which, kn_item_fn fn, void *cookie);
ken_status kn_sqlite_segments(kn_store *store, kn_segment_fn fn, void *cookie);
ken_status kn_sqlite_dead(kn_store *store, kn_slot_fn fn, void *cookie);
ken_status kn_sqlite_reject(kn_store *store, const char *path, kn_reject_fn fn, void *cookie);
ken_status kn_sqlite_text(kn_store *store, const char *key, char **out);
ken_status kn_sqlite_counts(kn_store *store, kn_counts *out);
ken_status kn_sqlite_put(kn_store *store, const kn_item *item);
ken_status kn_sqlite_drop(kn_store *store, uint64_t id);
ken_status kn_sqlite_put_segment(kn_store *store, const kn_segment_record *row);
ken_status kn_sqlite_drop_segment(kn_store *store, uint32_t number);
ken_status kn_sqlite_put_dead(kn_store *store, uint32_t segment, uint32_t slot);
ken_status kn_sqlite_put_reject(kn_store *store, const kn_reject *r);
ken_status kn_sqlite_drop_reject(kn_store *store, const char *path);
ken_status kn_sqlite_set_text(kn_store *store, const char *key, const char *value);

#endif
#endif
