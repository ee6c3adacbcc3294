/*
 * sqlite_rows.c - reading and writing the rows of sqlite.c's tables.
 */
#include "store/sqlite.h"

#ifdef KEN_SQLITE

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static void bind_int(sqlite3_stmt *q, int at, uint64_t value, int *rc)
{
    if (!*rc)
        *rc = sqlite3_bind_int64(q, at, (sqlite3_int64)value);
}

static void bind_text(sqlite3_stmt *q, int at, const char *text, int *rc)
{
    if (!*rc && text)
        *rc = sqlite3_bind_text(q, at, text, -1, SQLITE_STATIC);
}

static void bind_bytes(sqlite3_stmt *q, int at, const char *bytes, int *rc)
{
    if (!*rc && bytes)
        *rc = sqlite3_bind_blob64(q, at, bytes, strlen(bytes), SQLITE_STATIC);
}

/* Run a statement with two numbers; those it does not have are not bound. */
static ken_status run_with(kn_store *store, kn_statement which, int n, uint64_t a, uint64_t b)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), which, &rc);
    bind_int(q, 1, a, &rc);
    if (n > 1)
        bind_int(q, 2, b, &rc);
    return kn_sqlite_finish(kn_sqlite_of(store), q, kn_sqlite_step(q, rc));
}

/* ---- reading ---- */

/* Also of a BLOB: SQLite hands out the same bytes with a NUL behind them. */
static char *text_at(sqlite3_stmt *q, int column)
{
    return (char *)(uintptr_t)sqlite3_column_text(q, column);
}

static uint64_t number_at(sqlite3_stmt *q, int column)
{
    return (uint64_t)sqlite3_column_int64(q, column);
}

static void read_item(kn_item *item, sqlite3_stmt *q)
{
    *item = (kn_item){ .id = number_at(q, 0),
                       .path = text_at(q, 1),
                       .object = text_at(q, 2),
                       .meta = text_at(q, 3),
                       .kind = text_at(q, 4),
                       .width = (uint32_t)number_at(q, 6),
                       .height = (uint32_t)number_at(q, 7),
                       .bytes = number_at(q, 8),
                       .inode = number_at(q, 9),
                       .device = number_at(q, 10),
                       .mtime_ns = sqlite3_column_int64(q, 11),
                       .added_ns = sqlite3_column_int64(q, 12),
                       .segment = (uint32_t)number_at(q, 13),
                       .slot = (uint32_t)number_at(q, 14),
                       .hidden = sqlite3_column_int(q, 15),
                       .part_segment = (uint32_t)number_at(q, 16),
                       .part_slot = (uint32_t)number_at(q, 17),
                       .parts = (uint32_t)number_at(q, 18) };
    const char *hash = text_at(q, 5);
    snprintf(item->hash, sizeof item->hash, "%s", hash ? hash : "");
}

/* All that lies under dir sorts into (dir + '/', dir + '0'): '0' follows '/'.  One block holds both
 * ends; NULL: out of memory. */
static char *range_of(const char *dir, char **high)
{
    size_t n = strlen(dir);
    while (n && dir[n - 1] == '/')
        n--;
    char *low = kn_alloc(2 * (n + 2), 1);
    if (!low)
        return NULL;
    *high = low + n + 2;
    memcpy(low, dir, n);
    memcpy(*high, dir, n);
    memcpy(low + n, "/", 2);
    memcpy(*high + n, "0", 2);
    return low;
}

static void bind_select(sqlite3_stmt *q, const kn_select *which, const char *low, const char *high,
                        int *rc)
{
    if (which->by == KN_BY_PATH || which->by == KN_UNDER || which->by == KN_OF_OBJECT)
        bind_bytes(q, 1, which->text, rc);
    else if (which->by == KN_BY_HASH)
        bind_text(q, 1, which->text, rc);
    else if (which->by != KN_HIDDEN && which->by != KN_LABELLED)
        bind_int(q, 1, which->number, rc);
    bind_bytes(q, 2, low, rc);
    bind_bytes(q, 3, high, rc);
    bind_int(q, 9, which->limit ? which->limit : (uint64_t)-1, rc);
}

ken_status kn_sqlite_items(kn_store *store, const kn_select *which, kn_item_fn fn, void *cookie)
{
    int rc = SQLITE_OK, stop = 0;
    char *low = NULL, *high = NULL;
    if (which->by == KN_UNDER && !(low = range_of(which->text, &high)))
        return KEN_E_NOMEM;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), (kn_statement)which->by, &rc);
    bind_select(q, which, low, high, &rc);
    while (!stop && (rc = kn_sqlite_step(q, rc)) == SQLITE_ROW) {
        kn_item item;
        read_item(&item, q);
        if (!item.path || !item.kind) {
            rc = SQLITE_NOMEM;
            break;
        }
        stop = fn(&item, cookie);
    }
    ken_status st = kn_sqlite_finish(kn_sqlite_of(store), q, rc);
    kn_free(low);
    return st;
}

ken_status kn_sqlite_segments(kn_store *store, kn_segment_fn fn, void *cookie)
{
    int rc = SQLITE_OK, stop = 0;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_SEGMENTS, &rc);
    while (!stop && (rc = kn_sqlite_step(q, rc)) == SQLITE_ROW) {
        const kn_segment_record row = { (uint32_t)number_at(q, 0), (uint32_t)number_at(q, 1),
                                        (unsigned)sqlite3_column_int(q, 2) };
        stop = fn(&row, cookie);
    }
    return kn_sqlite_finish(kn_sqlite_of(store), q, rc);
}

ken_status kn_sqlite_dead(kn_store *store, kn_slot_fn fn, void *cookie)
{
    int rc = SQLITE_OK, stop = 0;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_DEAD, &rc);
    while (!stop && (rc = kn_sqlite_step(q, rc)) == SQLITE_ROW)
        stop = fn((uint32_t)number_at(q, 0), (uint32_t)number_at(q, 1), cookie);
    return kn_sqlite_finish(kn_sqlite_of(store), q, rc);
}

ken_status kn_sqlite_reject(kn_store *store, const char *path, kn_reject_fn fn, void *cookie)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_REJECT, &rc);
    bind_bytes(q, 1, path, &rc);
    if ((rc = kn_sqlite_step(q, rc)) == SQLITE_ROW) {
        const kn_reject r = { .path = text_at(q, 0),
                              .why = text_at(q, 1),
                              .bytes = number_at(q, 2),
                              .inode = number_at(q, 3),
                              .mtime_ns = sqlite3_column_int64(q, 4),
                              .skipped = sqlite3_column_int(q, 5) };
        if (r.path && r.why)
            (void)fn(&r, cookie);
        else
            rc = SQLITE_NOMEM;
    }
    return kn_sqlite_finish(kn_sqlite_of(store), q, rc);
}

ken_status kn_sqlite_text(kn_store *store, const char *key, char **out)
{
    int rc = SQLITE_OK;
    char *copy = NULL;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_TEXT, &rc);
    bind_text(q, 1, key, &rc);
    if ((rc = kn_sqlite_step(q, rc)) == SQLITE_ROW) {
        const char *value = text_at(q, 0);
        copy = value ? kn_strdup(value) : NULL;
        if (!copy)
            rc = SQLITE_NOMEM;
    }
    ken_status st = kn_sqlite_finish(kn_sqlite_of(store), q, rc);
    if (!st)
        *out = copy;
    return st;
}

ken_status kn_sqlite_counts(kn_store *store, kn_counts *out)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_COUNTS, &rc);
    if ((rc = kn_sqlite_step(q, rc)) == SQLITE_ROW)
        *out = (kn_counts){ number_at(q, 0), number_at(q, 1), number_at(q, 2), number_at(q, 3),
                            number_at(q, 4), number_at(q, 5) };
    return kn_sqlite_finish(kn_sqlite_of(store), q, rc);
}

/* ---- writing ---- */

ken_status kn_sqlite_put(kn_store *store, const kn_item *item)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_PUT_ITEM, &rc);
    bind_int(q, 1, item->id, &rc);
    bind_bytes(q, 2, item->path, &rc);
    bind_bytes(q, 3, item->object, &rc);
    bind_text(q, 4, item->meta, &rc);
    bind_text(q, 5, item->kind, &rc);
    bind_text(q, 6, item->hash, &rc);
    bind_int(q, 7, item->width, &rc);
    bind_int(q, 8, item->height, &rc);
    bind_int(q, 9, item->bytes, &rc);
    bind_int(q, 10, item->inode, &rc);
    bind_int(q, 11, item->device, &rc);
    bind_int(q, 12, (uint64_t)item->mtime_ns, &rc);
    bind_int(q, 13, (uint64_t)item->added_ns, &rc);
    if (item->segment) {
        bind_int(q, 14, item->segment, &rc);
        bind_int(q, 15, item->slot, &rc);
    }
    bind_int(q, 16, item->hidden != 0, &rc);
    if (item->part_segment) {
        bind_int(q, 17, item->part_segment, &rc);
        bind_int(q, 18, item->part_slot, &rc);
    }
    bind_int(q, 19, item->parts, &rc);
    return kn_sqlite_finish(kn_sqlite_of(store), q, kn_sqlite_step(q, rc));
}

ken_status kn_sqlite_drop(kn_store *store, uint64_t id)
{
    return run_with(store, KN_SQL_DROP_ITEM, 1, id, 0);
}

ken_status kn_sqlite_put_segment(kn_store *store, const kn_segment_record *row)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_PUT_SEGMENT, &rc);
    bind_int(q, 1, row->number, &rc);
    bind_int(q, 2, row->rows, &rc);
    bind_int(q, 3, row->state, &rc);
    return kn_sqlite_finish(kn_sqlite_of(store), q, kn_sqlite_step(q, rc));
}

ken_status kn_sqlite_drop_segment(kn_store *store, uint32_t number)
{
    ken_status st = run_with(store, KN_SQL_DROP_SEGMENT_DEAD, 1, number, 0);
    return st ? st : run_with(store, KN_SQL_DROP_SEGMENT, 1, number, 0);
}

ken_status kn_sqlite_put_dead(kn_store *store, uint32_t segment, uint32_t slot)
{
    return run_with(store, KN_SQL_PUT_DEAD, 2, segment, slot);
}

ken_status kn_sqlite_put_reject(kn_store *store, const kn_reject *r)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_PUT_REJECT, &rc);
    bind_bytes(q, 1, r->path, &rc);
    bind_text(q, 2, r->why, &rc);
    bind_int(q, 3, r->bytes, &rc);
    bind_int(q, 4, r->inode, &rc);
    bind_int(q, 5, (uint64_t)r->mtime_ns, &rc);
    bind_int(q, 6, r->skipped != 0, &rc);
    return kn_sqlite_finish(kn_sqlite_of(store), q, kn_sqlite_step(q, rc));
}

ken_status kn_sqlite_drop_reject(kn_store *store, const char *path)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_DROP_REJECT, &rc);
    bind_bytes(q, 1, path, &rc);
    return kn_sqlite_finish(kn_sqlite_of(store), q, kn_sqlite_step(q, rc));
}

ken_status kn_sqlite_set_text(kn_store *store, const char *key, const char *value)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), KN_SQL_SET_TEXT, &rc);
    bind_text(q, 1, key, &rc);
    bind_text(q, 2, value, &rc);
    return kn_sqlite_finish(kn_sqlite_of(store), q, kn_sqlite_step(q, rc));
}

#endif
