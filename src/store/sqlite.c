/*
 * sqlite.c - the records in SQLite: WAL, synchronous=FULL, one connection.
 *
 * WAL lets readers go on while the one writer commits; FULL makes a commit durable when it returns.
 * Paths and names of objects are BLOBs, because file names are bytes.  Statements are prepared at
 * their first use: a cold search needs few of them.
 *
 * The schema's number is PRAGMA user_version; migrations[] brings an older file up to date.
 */
#include "store/sqlite.h"

#ifdef KEN_SQLITE

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "store/vfs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { APPLICATION = 0x4b454e31 /* "KEN1" */, BUSY_MS = 10000 };

static const char *const migrations[] = {
    /* 1 */
    "CREATE TABLE text(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE segment(number INTEGER PRIMARY KEY, rows INTEGER NOT NULL,"
    "  pending INTEGER NOT NULL) STRICT;"
    "CREATE TABLE item(id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, object BLOB, meta TEXT,"
    "  kind TEXT NOT NULL, hash TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL, inode INTEGER NOT NULL, device INTEGER NOT NULL,"
    "  mtime_ns INTEGER NOT NULL, added_ns INTEGER NOT NULL, segment INTEGER, slot INTEGER,"
    "  hidden INTEGER NOT NULL) STRICT;"
    "CREATE INDEX item_hash ON item(hash);"
    "CREATE INDEX item_inode ON item(inode);"
    "CREATE INDEX item_object ON item(object) WHERE object IS NOT NULL;"
    "CREATE UNIQUE INDEX item_slot ON item(segment, slot) WHERE segment IS NOT NULL;"
    "CREATE INDEX item_hidden ON item(id) WHERE hidden = 1;"
    "CREATE TABLE dead(segment INTEGER NOT NULL, slot INTEGER NOT NULL,"
    "  PRIMARY KEY(segment, slot)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE reject(path BLOB PRIMARY KEY, why TEXT NOT NULL, bytes INTEGER NOT NULL,"
    "  inode INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, skipped INTEGER NOT NULL)"
    "  STRICT, WITHOUT ROWID;"
    "INSERT INTO text VALUES('generation', '0');",
    /* 2 */
    "ALTER TABLE item ADD COLUMN part_segment INTEGER;"
    "ALTER TABLE item ADD COLUMN part_slot INTEGER;"
    "ALTER TABLE item ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX item_parts ON item(part_segment, part_slot, parts)"
    "  WHERE part_segment IS NOT NULL;"
    "CREATE INDEX item_partless ON item(id) WHERE parts > 0 AND part_segment IS NULL;",
};
enum { SCHEMA = sizeof migrations / sizeof *migrations };

#define COLUMNS                                                                                    \
    "SELECT id, path, object, meta, kind, hash, width, height, bytes, inode, device, mtime_ns,"    \
    " added_ns, segment, slot, hidden, part_segment, part_slot, parts FROM item "
#define BY_ID " ORDER BY id LIMIT ?9"

static const char *const sql[KN_SQL_STATEMENTS] = {
    [KN_SQL_ITEM_BY_ID] = COLUMNS "WHERE id = ?1" BY_ID,
    [KN_SQL_ITEM_BY_PATH] = COLUMNS "WHERE path = ?1" BY_ID,
    [KN_SQL_ITEM_BY_HASH] = COLUMNS "WHERE hash = ?1" BY_ID,
    [KN_SQL_ITEM_BY_INODE] = COLUMNS "WHERE inode = ?1" BY_ID,
    [KN_SQL_ITEM_UNDER] =
        COLUMNS "WHERE path = ?1 OR (path > ?2 AND path < ?3) ORDER BY path LIMIT ?9",
    [KN_SQL_ITEM_AFTER] = COLUMNS "WHERE id > ?1" BY_ID,
    [KN_SQL_ITEM_HIDDEN] = COLUMNS "WHERE hidden = 1" BY_ID,
    [KN_SQL_ITEM_OF_OBJECT] = COLUMNS "WHERE object = ?1" BY_ID,
    [KN_SQL_ITEM_LABELLED] = COLUMNS "WHERE object IS NOT NULL ORDER BY object, id LIMIT ?9",
    [KN_SQL_ITEM_PARTLESS] =
        COLUMNS "WHERE parts > 0 AND part_segment IS NULL AND id > ?1" BY_ID,
    [KN_SQL_BEGIN_READ] = "BEGIN",
    [KN_SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [KN_SQL_COMMIT] = "COMMIT",
    [KN_SQL_NEXT_GENERATION] =
        "UPDATE text SET value = CAST(value AS INTEGER) + 1 WHERE key = 'generation'",
    [KN_SQL_SEGMENTS] = "SELECT number, rows, pending FROM segment ORDER BY number",
    [KN_SQL_DEAD] = "SELECT segment, slot FROM dead ORDER BY segment, slot",
    [KN_SQL_REJECT] =
        "SELECT path, why, bytes, inode, mtime_ns, skipped FROM reject WHERE path = ?1",
    [KN_SQL_TEXT] = "SELECT value FROM text WHERE key = ?1",
    [KN_SQL_COUNTS] =
        "SELECT (SELECT count(*) FROM item), (SELECT count(*) FROM item WHERE hidden = 1),"
        " (SELECT count(DISTINCT object) FROM item WHERE object IS NOT NULL),"
        " (SELECT count(*) FROM item WHERE segment IS NOT NULL)"
        " + (SELECT coalesce(sum(parts), 0) FROM item WHERE part_segment IS NOT NULL),"
        " (SELECT count(*) FROM dead), (SELECT count(*) FROM item WHERE object IS NOT NULL)",
    [KN_SQL_PUT_ITEM] =
        "INSERT INTO item VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,"
        " ?17,?18,?19)"
        " ON CONFLICT(id) DO UPDATE SET path = ?2, object = ?3, meta = ?4, kind = ?5,"
        " hash = ?6, width = ?7, height = ?8, bytes = ?9, inode = ?10, device = ?11,"
        " mtime_ns = ?12, added_ns = ?13, segment = ?14, slot = ?15, hidden = ?16,"
        " part_segment = ?17, part_slot = ?18, parts = ?19",
    [KN_SQL_DROP_ITEM] = "DELETE FROM item WHERE id = ?1",
    [KN_SQL_PUT_SEGMENT] = ("INSERT INTO segment VALUES(?1, ?2, ?3)"
                            " ON CONFLICT(number) DO UPDATE SET rows = ?2, pending = ?3"),
    [KN_SQL_DROP_SEGMENT] = "DELETE FROM segment WHERE number = ?1",
    [KN_SQL_DROP_SEGMENT_DEAD] = "DELETE FROM dead WHERE segment = ?1",
    [KN_SQL_PUT_DEAD] = "INSERT INTO dead VALUES(?1, ?2) ON CONFLICT DO NOTHING",
    [KN_SQL_PUT_REJECT] = "INSERT OR REPLACE INTO reject VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [KN_SQL_DROP_REJECT] = "DELETE FROM reject WHERE path = ?1",
    [KN_SQL_SET_TEXT] = "INSERT OR REPLACE INTO text VALUES(?1, ?2)",
};

static ken_status status_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return KEN_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return KEN_E_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return KEN_E_CORRUPT;
    case SQLITE_CONSTRAINT:
        return KEN_E_EXISTS;
    case SQLITE_INTERRUPT:
        return KEN_E_CANCELED;
    default:
        return KEN_E_IO;
    }
}

static ken_status failed(sqlite3 *db, int rc)
{
    const int own = db && sqlite3_extended_errcode(db) == rc; /* else rc did not come from db */
    return kn_fail(status_of(rc), "%s", own ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

static ken_status exec(sqlite3 *db, const char *text)
{
    int rc = sqlite3_exec(db, text, NULL, NULL, NULL);
    return rc ? failed(db, rc) : KEN_OK;
}

/* ---- statements ----
 * rc goes through: after a failure every further call leaves it, and kn_sqlite_finish() reports it. */

sqlite3_stmt *kn_sqlite_get(kn_sqlite *s, kn_statement which, int *rc)
{
    if (!s->ready[which])
        *rc = sqlite3_prepare_v3(s->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &s->ready[which],
                                 NULL);
    return s->ready[which];
}

int kn_sqlite_step(sqlite3_stmt *q, int rc)
{
    return rc == SQLITE_OK || rc == SQLITE_ROW ? sqlite3_step(q) : rc;
}

ken_status kn_sqlite_finish(kn_sqlite *s, sqlite3_stmt *q, int rc)
{
    ken_status st = KEN_OK;
    if (rc != SQLITE_DONE && rc != SQLITE_ROW && rc != SQLITE_OK)
        st = failed(s->db, rc);
    if (q) {
        sqlite3_reset(q);
        sqlite3_clear_bindings(q);
    }
    return st;
}

static ken_status run(kn_store *store, kn_statement which)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *q = kn_sqlite_get(kn_sqlite_of(store), which, &rc);
    return kn_sqlite_finish(kn_sqlite_of(store), q, kn_sqlite_step(q, rc));
}

/* ---- opening ---- */

static ken_status pragma_number(sqlite3 *db, const char *text, int *out)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &q, NULL);
    if (!rc)
        rc = sqlite3_step(q);
    ken_status st = rc == SQLITE_ROW ? KEN_OK : failed(db, rc);
    if (!st)
        *out = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return st;
}

/* The number is read again inside: another process may have been quicker. */
static ken_status migrate(sqlite3 *db)
{
    char number[80];
    int from = 0;
    ken_status st = exec(db, "BEGIN IMMEDIATE");
    if (!st)
        st = pragma_number(db, "PRAGMA user_version", &from);
    for (int i = from; !st && i < SCHEMA; i++)
        st = exec(db, migrations[i]);
    snprintf(number, sizeof number, "PRAGMA user_version = %d; PRAGMA application_id = %d", SCHEMA,
             APPLICATION);
    if (!st)
        st = exec(db, number);
    if (!st)
        return exec(db, "COMMIT");
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static ken_status check_schema(sqlite3 *db, kn_store_mode mode)
{
    int have = 0;
    ken_status st = pragma_number(db, "PRAGMA user_version", &have);
    if (st)
        return st;
    if (have > SCHEMA)
        return kn_fail(KEN_E_VERSION, "schema %d, this ken knows up to %d: use a newer one", have,
                       (int)SCHEMA);
    if (have == SCHEMA)
        return KEN_OK;
    if (mode == KN_STORE_READ || (have == 0 && mode != KN_STORE_CREATE))
        return have ? kn_fail(KEN_E_VERSION,
                              "schema %d must be brought up to date: open it for "
                              "writing once",
                              have)
                    : kn_fail(KEN_E_NOTFOUND, "it was never finished");
    st = exec(db, "PRAGMA journal_mode = WAL");
    return st ? st : migrate(db);
}

/* "file:…?immutable=1" for a folder that cannot be written and has no WAL to read: SQLite then
 * asks for no shared memory beside the file.  NULL: out of memory. */
static char *immutable_uri(const char *path)
{
    const char *tail = "?immutable=1";
    char *uri = kn_alloc(strlen(path) * 3 + 32, 1), *p = uri;
    if (!uri)
        return NULL;
    p += snprintf(p, 8, "file:");
    for (; *path; path++)
        p += strchr("%?#", *path) ? snprintf(p, 4, "%%%02x", (unsigned char)*path)
                                  : snprintf(p, 2, "%c", *path);
    memcpy(p, tail, strlen(tail) + 1);
    return uri;
}

static int open_file(sqlite3 **db, const char *path, const char *dir, kn_store_mode mode)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (mode == KN_STORE_CREATE)
        flags |= SQLITE_OPEN_CREATE;
    if (mode != KN_STORE_READ || access(dir, W_OK) == 0)
        return sqlite3_open_v2(path, db, flags, NULL);
    char *uri = immutable_uri(path);
    int rc = uri ? sqlite3_open_v2(
                       uri, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL)
                 : SQLITE_NOMEM;
    kn_free(uri);
    return rc;
}

/* Only the last writer folds the WAL into the file: a reader must not pay for it. */
static ken_status set_up(sqlite3 *db, kn_store_mode mode)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_MS);
    if (mode == KN_STORE_READ) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        return KEN_OK;
    }
    return exec(db, "PRAGMA synchronous = FULL");
}

static void store_close(kn_store *store)
{
    kn_sqlite *s = kn_sqlite_of(store);
    for (size_t i = 0; i < KN_SQL_STATEMENTS; i++)
        sqlite3_finalize(s->ready[i]);
    sqlite3_close(s->db);
    kn_free(s);
}

static ken_status store_open(kn_store **out, const char *url, const char *dir, kn_store_mode mode)
{
    (void)url; /* "sqlite:" says it all */
#ifdef KEN_FAULTS
    kn_vfs_from_environment();
#endif
    kn_sqlite *s = kn_zalloc(1, sizeof *s);
    char *path = kn_path_join(dir, kn_store_sqlite.file);
    ken_status st = s && path ? KEN_OK : KEN_E_NOMEM;
    int there = path && access(path, F_OK) == 0;
    if (!st && mode != KN_STORE_CREATE && !there)
        st = kn_fail(KEN_E_NOTFOUND, "no such file");
    if (!st) {
        s->base.v = &kn_store_sqlite;
        int rc = open_file(&s->db, path, dir, mode);
        st = rc ? failed(s->db, rc) : set_up(s->db, mode);
    }
    if (!st)
        st = check_schema(s->db, mode);
    if (!st && mode == KN_STORE_CREATE && !there)
        st = kn_sync_dir(dir); /* SQLite syncs the file, not its name */
    kn_free(path);
    if (!st)
        *out = &s->base;
    else if (s)
        store_close(&s->base);
    return st;
}

/* ---- transactions ---- */

static ken_status store_begin(kn_store *store, int write)
{
    return run(store, write ? KN_SQL_BEGIN_WRITE : KN_SQL_BEGIN_READ);
}

static ken_status store_end(kn_store *store, int commit)
{
    sqlite3 *db = kn_sqlite_of(store)->db;
    ken_status st = KEN_OK;
    if (commit && sqlite3_txn_state(db, "main") == SQLITE_TXN_WRITE)
        st = run(store, KN_SQL_NEXT_GENERATION);
    if (commit && !st)
        st = run(store, KN_SQL_COMMIT);
    if ((!commit || st) && !sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static ken_status store_generation(kn_store *store, uint64_t *out)
{
    return kn_store_number(store, "generation", out);
}

/* ---- checking ---- */

typedef struct report {
    ken_problem_fn fn;
    void *cookie;
    int found;
} report;

static int tell_line(void *cookie, int n, char **values, char **names)
{
    report *r = cookie;
    (void)names;
    if (n < 1 || !values[0] || !strcmp(values[0], "ok"))
        return 0;
    r->found = 1;
    if (r->fn)
        r->fn(kn_store_sqlite.file, values[0], r->cookie);
    return 0;
}

static ken_status store_check(kn_store *store, ken_problem_fn fn, void *cookie)
{
    report r = { fn, cookie, 0 };
    sqlite3 *db = kn_sqlite_of(store)->db;
    int rc = sqlite3_exec(db, "PRAGMA integrity_check", tell_line, &r, NULL);
    if (rc)
        return failed(db, rc);
    return r.found ? kn_fail(KEN_E_CORRUPT, "%s: the integrity check failed", kn_store_sqlite.file)
                   : KEN_OK;
}

const kn_store_verbs kn_store_sqlite = {
    .name = "sqlite",
    .file = "ken.db",
    .open = store_open,
    .close = store_close,
    .begin = store_begin,
    .end = store_end,
    .generation = store_generation,
    .items = kn_sqlite_items,
    .segments = kn_sqlite_segments,
    .dead = kn_sqlite_dead,
    .reject = kn_sqlite_reject,
    .text = kn_sqlite_text,
    .counts = kn_sqlite_counts,
    .put = kn_sqlite_put,
    .drop = kn_sqlite_drop,
    .put_segment = kn_sqlite_put_segment,
    .drop_segment = kn_sqlite_drop_segment,
    .put_dead = kn_sqlite_put_dead,
    .put_reject = kn_sqlite_put_reject,
    .drop_reject = kn_sqlite_drop_reject,
    .set_text = kn_sqlite_set_text,
    .check = store_check,
};

#endif
