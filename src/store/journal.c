/* journal.c - operations to bytes and back.  The log is untrusted: every length is checked. */
#include "store/journal.h"

#include "base/error.h"
#include "base/hash.h"

#include <string.h>

static const char MAGIC[8] = "KENLOG1\n";
static const uint32_t FRAME = 0x4d52464b; /* "KFRM" */

/* In files: numbers never change. */
enum {
    OP_PUT = 1,
    OP_DROP,
    OP_SEGMENT,
    OP_DROP_SEGMENT,
    OP_DEAD,
    OP_REJECT,
    OP_DROP_REJECT,
    OP_TEXT,
    OP_GENERATION,
    OP_PARTS /* behind the put of the item: since version 2 */
};

/* ---- writing ---- */

static ken_status add_op(kn_buf *b, unsigned char op)
{
    return kn_buf_add(b, &op, 1);
}

static ken_status add_number(kn_buf *b, uint64_t n)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> 8 * i);
    return kn_buf_add(b, bytes, sizeof bytes);
}

/* Length + 1, so that 0 is NULL. */
static ken_status add_string(kn_buf *b, const char *s)
{
    const size_t n = s ? strlen(s) : 0;
    ken_status st = add_number(b, s ? n + 1 : 0);
    return st ? st : kn_buf_add(b, s ? s : "", n);
}

static ken_status add_numbers(kn_buf *b, unsigned char op, const uint64_t *list, size_t n)
{
    ken_status st = op ? add_op(b, op) : KEN_OK;
    for (size_t i = 0; !st && i < n; i++)
        st = add_number(b, list[i]);
    return st;
}

static ken_status add_strings(kn_buf *b, unsigned char op, const char *const *list, size_t n)
{
    ken_status st = op ? add_op(b, op) : KEN_OK;
    for (size_t i = 0; !st && i < n; i++)
        st = add_string(b, list[i]);
    return st;
}

ken_status kn_journal_put(kn_buf *b, const kn_item *item)
{
    const uint64_t numbers[] = { item->id,
                                 item->width,
                                 item->height,
                                 item->bytes,
                                 item->inode,
                                 item->device,
                                 (uint64_t)item->mtime_ns,
                                 (uint64_t)item->added_ns,
                                 item->segment,
                                 item->slot,
                                 item->hidden != 0 };
    const char *const strings[] = { item->path, item->object, item->meta, item->kind, item->hash };
    const uint64_t parts[] = { item->id, item->part_segment, item->part_slot, item->parts };
    ken_status st = add_numbers(b, OP_PUT, numbers, sizeof numbers / sizeof *numbers);
    if (!st)
        st = add_strings(b, 0, strings, sizeof strings / sizeof *strings);
    return st || !item->parts ? st : add_numbers(b, OP_PARTS, parts, 4);
}

ken_status kn_journal_drop(kn_buf *b, uint64_t id)
{
    return add_numbers(b, OP_DROP, &id, 1);
}

ken_status kn_journal_put_segment(kn_buf *b, const kn_segment_record *row)
{
    const uint64_t numbers[] = { row->number, row->rows, row->state };
    return add_numbers(b, OP_SEGMENT, numbers, 3);
}

ken_status kn_journal_drop_segment(kn_buf *b, uint32_t number)
{
    const uint64_t n = number;
    return add_numbers(b, OP_DROP_SEGMENT, &n, 1);
}

ken_status kn_journal_put_dead(kn_buf *b, uint32_t segment, uint32_t slot)
{
    const uint64_t numbers[] = { segment, slot };
    return add_numbers(b, OP_DEAD, numbers, 2);
}

ken_status kn_journal_put_reject(kn_buf *b, const kn_reject *r)
{
    const uint64_t numbers[] = { r->bytes, r->inode, (uint64_t)r->mtime_ns, r->skipped != 0 };
    const char *const strings[] = { r->path, r->why };
    ken_status st = add_numbers(b, OP_REJECT, numbers, 4);
    return st ? st : add_strings(b, 0, strings, 2);
}

ken_status kn_journal_drop_reject(kn_buf *b, const char *path)
{
    return add_strings(b, OP_DROP_REJECT, &path, 1);
}

ken_status kn_journal_set_text(kn_buf *b, const char *key, const char *value)
{
    const char *const strings[] = { key, value };
    return add_strings(b, OP_TEXT, strings, 2);
}

ken_status kn_journal_generation(kn_buf *b, uint64_t generation)
{
    return add_numbers(b, OP_GENERATION, &generation, 1);
}

/* ---- frames ---- */

static void put_u32(unsigned char *p, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(n >> 8 * i);
}

static uint64_t get_number(const unsigned char *p, int bytes)
{
    uint64_t n = 0;
    for (int i = bytes; i-- > 0;)
        n = n << 8 | p[i];
    return n;
}

void kn_journal_header(unsigned char out[KN_JOURNAL_HEADER])
{
    memset(out, 0, KN_JOURNAL_HEADER);
    memcpy(out, MAGIC, sizeof MAGIC);
    put_u32(out + 8, KN_JOURNAL_VERSION);
}

/* The length is covered too: a torn one must not look like a short frame. */
static uint64_t frame_check(const unsigned char *frame, size_t payload)
{
    return kn_hash64(frame + KN_FRAME_HEADER, payload) ^ ((uint64_t)payload * 0x9e3779b97f4a7c15u);
}

void kn_journal_seal(unsigned char *frame, size_t payload)
{
    const uint64_t check = frame_check(frame, payload);
    put_u32(frame, FRAME);
    put_u32(frame + 4, (uint32_t)payload);
    put_u32(frame + 8, (uint32_t)check);
    put_u32(frame + 12, (uint32_t)(check >> 32));
}

/* The payload's length of the whole frame at p, or -1. */
static int64_t frame_at(const unsigned char *p, size_t len)
{
    if (len < KN_FRAME_HEADER || get_number(p, 4) != FRAME)
        return -1;
    const uint64_t payload = get_number(p + 4, 4);
    if (payload > len - KN_FRAME_HEADER || get_number(p + 8, 8) != frame_check(p, payload))
        return -1;
    return (int64_t)payload;
}

static int frame_behind(const unsigned char *p, size_t len)
{
    for (size_t i = 1; i + KN_FRAME_HEADER <= len; i++) {
        const unsigned char *next = memchr(p + i, FRAME & 0xff, len - i);
        if (!next)
            return 0;
        i = (size_t)(next - p);
        if (frame_at(next, len - i) >= 0)
            return 1;
    }
    return 0;
}

/* ---- reading ---- */

typedef struct reader {
    const unsigned char *p;
    size_t left;
    int bad;
    kn_buf strings; /* those of one operation, each with its NUL */
} reader;

static uint64_t take_number(reader *r)
{
    if (r->left < 8) {
        r->bad = 1;
        return 0;
    }
    uint64_t n = get_number(r->p, 8);
    r->p += 8;
    r->left -= 8;
    return n;
}

static void take_numbers(reader *r, uint64_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = take_number(r);
}

/* n strings; they live until the next call.  A required one that is missing is bad. */
static ken_status take_strings(reader *r, char **out, size_t n)
{
    size_t at[8];
    r->strings.len = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t size = take_number(r);
        at[i] = SIZE_MAX;
        if (!size)
            continue;
        if (size - 1 > r->left || memchr(r->p, 0, (size_t)size - 1)) {
            r->bad = 1;
            break;
        }
        at[i] = r->strings.len;
        ken_status st = kn_buf_add(&r->strings, r->p, (size_t)size - 1);
        if (!st)
            st = kn_buf_add(&r->strings, "", 1);
        if (st)
            return st;
        r->p += size - 1;
        r->left -= (size_t)size - 1;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = r->bad || at[i] == SIZE_MAX ? NULL : r->strings.data + at[i];
    return KEN_OK;
}

static ken_status bad_op(void)
{
    return kn_fail(KEN_E_CORRUPT, "an operation does not make sense");
}

static ken_status replay_put(kn_memory *m, reader *r)
{
    uint64_t n[11];
    char *s[5];
    take_numbers(r, n, 11);
    ken_status st = take_strings(r, s, 5);
    if (st)
        return st;
    if (r->bad || !n[0] || !s[0] || !s[3] || !s[4] || strlen(s[4]) > 32)
        return bad_op();
    kn_item item = { .id = n[0],
                     .width = (uint32_t)n[1],
                     .height = (uint32_t)n[2],
                     .bytes = n[3],
                     .inode = n[4],
                     .device = n[5],
                     .mtime_ns = (int64_t)n[6],
                     .added_ns = (int64_t)n[7],
                     .segment = (uint32_t)n[8],
                     .slot = (uint32_t)n[9],
                     .hidden = n[10] != 0,
                     .path = s[0],
                     .object = s[1],
                     .meta = s[2],
                     .kind = s[3] };
    memcpy(item.hash, s[4], strlen(s[4]) + 1);
    return kn_memory_put(m, &item);
}

static ken_status replay_reject(kn_memory *m, reader *r)
{
    uint64_t n[4];
    char *s[2];
    take_numbers(r, n, 4);
    ken_status st = take_strings(r, s, 2);
    if (st)
        return st;
    if (r->bad || !s[0] || !s[1])
        return bad_op();
    const kn_reject reject = { s[0], s[1], n[0], n[1], (int64_t)n[2], n[3] != 0 };
    return kn_memory_put_reject(m, &reject);
}

static ken_status replay_strings(kn_memory *m, reader *r, int op)
{
    char *s[2] = { NULL, NULL };
    ken_status st = take_strings(r, s, op == OP_TEXT ? 2 : 1);
    if (st)
        return st;
    if (r->bad || !s[0] || (op == OP_TEXT && !s[1]))
        return bad_op();
    if (op == OP_TEXT)
        return kn_memory_set_text(m, s[0], s[1]);
    kn_memory_drop_reject(m, s[0]);
    return KEN_OK;
}

static ken_status replay_numbers(kn_memory *m, reader *r, int op, uint64_t *generation)
{
    uint64_t n[4] = { 0 };
    take_numbers(r, n, op == OP_PARTS ? 4 : op == OP_SEGMENT ? 3 : op == OP_DEAD ? 2 : 1);
    if (r->bad || (op == OP_SEGMENT && n[2] > KN_SEGMENT_VIEWS))
        return bad_op();
    if (op == OP_PARTS)
        return kn_memory_put_parts(m, n[0], (uint32_t)n[1], (uint32_t)n[2], (uint32_t)n[3])
                   ? KEN_OK
                   : bad_op();
    if (op == OP_SEGMENT) {
        const kn_segment_record row = { (uint32_t)n[0], (uint32_t)n[1], (unsigned)n[2] };
        return kn_memory_put_segment(m, &row);
    }
    if (op == OP_DEAD)
        return kn_memory_put_dead(m, (uint32_t)n[0], (uint32_t)n[1]);
    if (op == OP_DROP)
        kn_memory_drop(m, n[0]);
    else if (op == OP_DROP_SEGMENT)
        kn_memory_drop_segment(m, (uint32_t)n[0]);
    else
        *generation = n[0];
    return KEN_OK;
}

static ken_status replay_frame(kn_memory *m, const unsigned char *payload, size_t len,
                               uint64_t *generation)
{
    reader r = { .p = payload, .left = len };
    ken_status st = KEN_OK;
    kn_buf_init(&r.strings, KN_FRAME_MAX);
    ++*generation;
    while (!st && r.left) {
        const int op = *r.p++;
        r.left--;
        if (op == OP_PUT)
            st = replay_put(m, &r);
        else if (op == OP_REJECT)
            st = replay_reject(m, &r);
        else if (op == OP_TEXT || op == OP_DROP_REJECT)
            st = replay_strings(m, &r, op);
        else if (op >= OP_DROP && op <= OP_PARTS)
            st = replay_numbers(m, &r, op, generation);
        else
            st = bad_op();
    }
    kn_buf_release(&r.strings);
    return st;
}

static ken_status check_header(const unsigned char *bytes)
{
    if (memcmp(bytes, MAGIC, sizeof MAGIC) != 0)
        return kn_fail(KEN_E_CORRUPT, "not a log of records");
    if (get_number(bytes + 8, 4) > KN_JOURNAL_VERSION)
        return kn_fail(KEN_E_VERSION, "version %u, this ken reads up to %d",
                       (unsigned)get_number(bytes + 8, 4), KN_JOURNAL_VERSION);
    return KEN_OK;
}

ken_status kn_journal_replay(kn_memory *m, const unsigned char *bytes, size_t len, uint64_t *at,
                             uint64_t *generation)
{
    size_t i = (size_t)*at;
    if (!i) {
        if (len < KN_JOURNAL_HEADER)
            return kn_fail(KEN_E_CORRUPT, "only %zu bytes", len);
        ken_status st = check_header(bytes);
        if (st)
            return st;
        i = KN_JOURNAL_HEADER;
    }
    for (int64_t n; i < len && (n = frame_at(bytes + i, len - i)) >= 0;) {
        ken_status st = replay_frame(m, bytes + i + KN_FRAME_HEADER, (size_t)n, generation);
        if (st)
            return st == KEN_E_CORRUPT ? kn_fail_in(st, "frame at %zu", i) : st;
        i += KN_FRAME_HEADER + (size_t)n;
    }
    if (i < len && frame_behind(bytes + i, len - i))
        return kn_fail(KEN_E_CORRUPT, "frame at %zu: wrong checksum", i);
    *at = i;
    return KEN_OK;
}
