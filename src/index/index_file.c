/* index_file.c - an index to its file and back, with the log beside it; see index.h and file.h. */
#include "index/index_state.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

static ken_status write_to(const kn_index *ix, const char *path)
{
    kn_index_writer w;
    kn_index_about about = { .metric = ix->metric,
                             .dim = ix->dim,
                             .n = ix->base.n,
                             .seed = ix->seed };
    snprintf(about.spec, sizeof about.spec, "%s", ix->spec.text);
    ken_status st = kn_index_writer_begin(&w, path);
    if (st)
        return st;
    if (ix->state)
        st = ix->kind->save(ix->state, &w);
    if (!st)
        st = kn_index_writer_put(&w, "asked", ix->asked, strlen(ix->asked));
    if (!st)
        st = kn_index_writer_put(&w, "ids", ix->base.ids, ix->base.n * sizeof *ix->base.ids);
    if (!st && ix->note)
        st = kn_index_writer_put(&w, "note", ix->note, ix->note_bytes);
    if (!st && (ix->base.f32 || !ix->base.n))
        st = kn_index_writer_put(&w, "rows", ix->base.f32,
                                 ix->base.n * ix->dim * sizeof *ix->base.f32);
    if (!st)
        return kn_index_writer_commit(&w, &about);
    kn_index_writer_abort(&w);
    return kn_fail_in(st, "%s", path);
}

static char *log_path(const char *path)
{
    const size_t n = strlen(path) + 5;
    char *log = kn_alloc(n, 1);
    if (log)
        snprintf(log, n, "%s.log", path);
    return log;
}

ken_status kn_index_write(const kn_index *ix, const char *path)
{
    char *log = log_path(path);
    ken_status st = log ? write_to(ix, path) : KEN_E_NOMEM;
    if (!st)
        st = kn_unlink(log);
    kn_free(log);
    return st;
}

ken_status kn_index_save(kn_index *ix, const char *path)
{
    pthread_mutex_lock(&ix->lock);
    const int changed = kn_index_added(ix) || ix->gone;
    pthread_mutex_unlock(&ix->lock);
    if (changed)
        return kn_fail(KEN_E_INVALID, "an index with changes is compacted before it is saved");
    if (ix->log && !strcmp(path, ix->path))
        return kn_fail(KEN_E_INVALID, "%s is open for changes: it is saved as it is", path);
    return kn_index_write(ix, path);
}

static ken_status load_base(kn_index *ix, kn_index_file *f)
{
    const kn_index_about *a = &f->about;
    const void *p = NULL;
    size_t bytes = 0;
    const char *asked = kn_index_file_find(f, "asked", &bytes);
    kn_rows base = { .n = (size_t)a->n, .dim = a->dim, .metric = a->metric, .source = ix->base.source };
    if (!asked || bytes >= sizeof ix->asked)
        return kn_fail(KEN_E_CORRUPT, "section asked is missing or too long");
    memset(ix->asked, 0, sizeof ix->asked);
    memcpy(ix->asked, asked, bytes);
    ken_status st = kn_index_file_get(f, "ids", base.n, sizeof(uint64_t), &p);
    base.ids = p;
    if (!st && kn_index_file_find(f, "rows", &bytes)) {
        st = kn_index_file_get(f, "rows", base.n, base.dim * sizeof(float), &p);
        base.f32 = p;
    } else if (!st && !ix->kind->reconstruct && !(base.source && ix->kind->outside))
        st = kn_fail(KEN_E_CORRUPT, "section rows is missing");
    ix->base = base;
    if (!st && base.n)
        st = ix->kind->open(&ix->state, &ix->base, &ix->spec, f);
    if (st)
        return st;
    ix->file = *f;
    *f = (kn_index_file){ 0 };
    ix->seed = ix->file.about.seed;
    return KEN_OK;
}

/* Takes the file over if it succeeds. */
static ken_status from_file(kn_index **out, kn_index_file *f, const kn_source *source)
{
    kn_index *ix = NULL;
    ken_status st = kn_index_new(&ix, f->about.spec, f->about.dim, f->about.metric);
    if (!st) {
        ix->base.source = source;
        st = load_base(ix, f);
    }
    if (!st)
        st = kn_index_get_ready(ix);
    if (st == KEN_E_INVALID) /* the header's, not the caller's */
        st = KEN_E_CORRUPT;
    if (st) {
        kn_index_free(ix);
        return st;
    }
    kn_index_publish(ix);
    *out = ix;
    return KEN_OK;
}

ken_status kn_index_from_file(kn_index **out, kn_index_file *f)
{
    return from_file(out, f, NULL);
}

ken_status kn_index_open_over(kn_index **out, const char *path, const kn_source *source)
{
    kn_index_file f = { 0 };
    ken_status st = kn_index_file_open(&f, path);
    if (!st && (st = from_file(out, &f, source)) != KEN_OK)
        kn_fail_in(st, "%s", path);
    kn_index_file_close(&f);
    return st;
}

ken_status kn_index_set_note(kn_index *ix, const void *bytes, size_t n)
{
    unsigned char *copy = kn_alloc(n ? n : 1, 1);
    if (!copy)
        return KEN_E_NOMEM;
    memcpy(copy, bytes, n);
    kn_free(ix->note);
    ix->note = copy;
    ix->note_bytes = n;
    return KEN_OK;
}

const void *kn_index_note(const kn_index *ix, size_t *n)
{
    *n = ix->note_bytes;
    return ix->note ? ix->note : ix->file.map.data ? kn_index_file_find(&ix->file, "note", n) : NULL;
}

ken_status kn_index_check_note(const kn_index *ix)
{
    return ix->file.map.data ? kn_index_file_check_section(&ix->file, "note") : KEN_OK;
}

ken_status kn_index_still_the_same(const kn_index *ix)
{
    kn_index_file f = { 0 };
    ken_status st = kn_index_file_open(&f, ix->path);
    if (!st && f.check != ix->file.check)
        st = kn_fail(KEN_E_BUSY, "%s: replaced since it was opened; open it again", ix->path);
    kn_index_file_close(&f);
    return st;
}

static ken_status take_in(kn_index_log_op op, const uint64_t *ids, const float *rows, size_t n,
                          void *cookie)
{
    kn_index *ix = cookie;
    if (op == KN_LOG_REMOVE)
        return kn_index_remove(ix, ids, n, NULL);
    const ken_status st = kn_index_check_vectors(rows, n, ix->dim, "a row of the log");
    return st || !n ? st : kn_index_change(ix, ids, rows, n, 1, NULL); /* prepared when they were logged */
}

ken_status kn_index_open(kn_index **out, const char *path, int write)
{
    kn_index_file f = { 0 };
    kn_index *ix = NULL;
    char *log = log_path(path);
    ken_status st = log ? kn_index_file_open(&f, path) : KEN_E_NOMEM;
    if (!st && (st = kn_index_from_file(&ix, &f)) != KEN_OK)
        kn_fail_in(st, "%s", path);
    if (!st && !(ix->path = kn_strdup(path)))
        st = KEN_E_NOMEM;
    if (!st && write) {
        kn_index_log *l = NULL;
        st = kn_index_log_open(&l, log, ix->file.check, ix->dim);
        if (!st && (st = kn_index_still_the_same(ix)) != KEN_OK)
            kn_index_log_close(l);
        else if (!st)
            ix->log = l;
    }
    if (!st) {
        kn_index_log *l = ix->log; /* what is read from the log is not written to it */
        ix->log = NULL;
        st = kn_index_log_replay(log, ix->file.check, ix->dim, take_in, ix);
        ix->log = l;
    }
    if (!st && write)
        kn_index_link_if_due(ix); /* rows that came out of the log */
    kn_free(log);
    kn_index_file_close(&f);
    if (st)
        kn_index_free(ix);
    else
        *out = ix;
    return st;
}
