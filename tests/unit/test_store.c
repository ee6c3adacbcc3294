/* test_store.c - both kinds of store keep what they are told, and nothing else. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "store/lock.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const kinds[] = {
    "file:",
#ifdef KEN_SQLITE
    "sqlite:",
#endif
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static char dir[] = "/tmp/ken-store-XXXXXX";

static void in_folder(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static kn_store *open_store(int kind, kn_store_mode mode)
{
    kn_store *s = NULL;
    OK(kn_store_open(&s, kinds[kind], dir, mode));
    return s;
}

static kn_item item_of(uint64_t id, const char *path)
{
    kn_item item = { .id = id,
                     .path = (char *)(uintptr_t)path,
                     .kind = (char *)(uintptr_t)"image",
                     .width = 640,
                     .height = 480,
                     .bytes = 1000 + id,
                     .inode = UINT64_MAX - id,
                     .device = 7,
                     .mtime_ns = -5,
                     .added_ns = 1700000000000000000,
                     .segment = 1,
                     .slot = (uint32_t)id };
    snprintf(item.hash, sizeof item.hash, "%032llx", (unsigned long long)id * 77);
    return item;
}

static void put(kn_store *s, uint64_t id, const char *path)
{
    kn_item item = item_of(id, path);
    OK(s->v->begin(s, 1));
    OK(kn_store_put(s, &item));
    OK(s->v->end(s, 1));
}

/* Ids in the order they are told, as text: "1 2 3 ". */
static int note_id(const kn_item *item, void *cookie)
{
    char *text = cookie;
    sprintf(text + strlen(text), "%llu ", (unsigned long long)item->id);
    return 0;
}

static const char *ids(kn_store *s, kn_select which)
{
    static char text[4096];
    *text = 0;
    OK(s->v->items(s, &which, note_id, text));
    return text;
}

START_TEST(an_item_comes_back_as_it_was)
{
    in_folder();
    kn_store *s = open_store(_i, KN_STORE_CREATE);
    kn_item item = item_of(3, "/photos/caf\xe9 \xff.jpg"), got;
    item.object = (char *)(uintptr_t)"b\xe4r";
    item.meta = (char *)(uintptr_t)"{\"description\":\"a bear\"}";
    item.hidden = 1;
    OK(s->v->begin(s, 1));
    OK(kn_store_put(s, &item));
    OK(s->v->set_text(s, "model", "clip"));
    OK(s->v->end(s, 1));
    for (int again = 0; again < 2; again++) {
        OK(kn_store_get(s, &(kn_select){ .by = KN_BY_PATH, .text = item.path }, &got));
        ck_assert_uint_eq(got.id, 3);
        ck_assert_str_eq(got.path, item.path);
        ck_assert_str_eq(got.object, item.object);
        ck_assert_str_eq(got.meta, item.meta);
        ck_assert_str_eq(got.kind, "image");
        ck_assert_str_eq(got.hash, item.hash);
        ck_assert(got.width == 640 && got.height == 480 && got.bytes == item.bytes);
        ck_assert(got.inode == item.inode && got.device == 7 && got.mtime_ns == -5);
        ck_assert(got.added_ns == item.added_ns && got.segment == 1 && got.slot == 3 && got.hidden);
        kn_item_release(&got);
        char *text = NULL;
        OK(s->v->text(s, "model", &text));
        ck_assert_str_eq(text, "clip");
        kn_free(text);
        OK(s->v->text(s, "no such key", &text));
        ck_assert_ptr_null(text);
        kn_store_close(s);
        s = open_store(_i, KN_STORE_READ);
    }
    kn_store_close(s);
    remove_folder();
}
END_TEST

START_TEST(selections)
{
    in_folder();
    kn_store *s = open_store(_i, KN_STORE_CREATE);
    put(s, 5, "/a/b/1");
    put(s, 2, "/a/b");
    put(s, 9, "/a/bc/1");
    put(s, 7, "/a/b/0/x");
    put(s, 1, "/z");
    kn_item item = item_of(7, "/a/b/0/x");
    item.hidden = 1;
    OK(s->v->begin(s, 1));
    OK(kn_store_put(s, &item));
    OK(s->v->end(s, 1));
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_AFTER }), "1 2 5 7 9 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_AFTER, .number = 2, .limit = 2 }), "5 7 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_UNDER, .text = "/a/b" }), "2 7 5 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_UNDER, .text = "/" }), "2 7 5 9 1 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_HIDDEN }), "7 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_BY_ID, .number = 3 }), "");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_BY_INODE, .number = UINT64_MAX - 9 }), "9 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_BY_HASH, .text = item.hash }), "7 ");
    kn_store_close(s);
    remove_folder();
}
END_TEST

static int note_dead(uint32_t segment, uint32_t slot, void *cookie)
{
    char *text = cookie;
    sprintf(text + strlen(text), "%u:%u ", segment, slot);
    return 0;
}

static int note_segment(const kn_segment_record *row, void *cookie)
{
    char *text = cookie;
    sprintf(text + strlen(text), "%u=%u%s ", row->number, row->rows, row->state ? "?" : "");
    return 0;
}

START_TEST(slots_that_an_item_leaves_are_dead)
{
    char text[200] = "";
    in_folder();
    kn_store *s = open_store(_i, KN_STORE_CREATE);
    put(s, 1, "/1");
    put(s, 2, "/2");
    put(s, 3, "/3");
    kn_item item = item_of(2, "/2");
    item.slot = 40;
    OK(s->v->begin(s, 1));
    OK(s->v->put_segment(s, &(kn_segment_record){ 2, 9, 1 }));
    OK(s->v->put_segment(s, &(kn_segment_record){ 1, 41, 0 }));
    OK(kn_store_put(s, &item));
    OK(kn_store_put(s, &item));
    OK(kn_store_drop(s, 1));
    OK(kn_store_drop(s, 1000));
    OK(s->v->put_dead(s, 2, 4));
    OK(s->v->end(s, 1));
    OK(s->v->dead(s, note_dead, text));
    ck_assert_str_eq(text, "1:1 1:2 2:4 ");
    kn_counts c = { 0 };
    OK(s->v->counts(s, &c));
    ck_assert(c.items == 2 && c.vectors == 2 && c.dead == 3 && c.objects == 0 && c.hidden == 0);
    *text = 0;
    OK(s->v->segments(s, note_segment, text));
    ck_assert_str_eq(text, "1=41 2=9? ");
    OK(s->v->begin(s, 1));
    OK(s->v->drop_segment(s, 1));
    OK(s->v->end(s, 1));
    *text = 0;
    OK(s->v->segments(s, note_segment, text));
    OK(s->v->dead(s, note_dead, text));
    ck_assert_str_eq(text, "2=9? 2:4 ");
    kn_store_close(s);
    remove_folder();
}
END_TEST

static int note_parts(const kn_item *item, void *cookie)
{
    char *text = cookie;
    sprintf(text + strlen(text), "%llu=%u:%u+%u ", (unsigned long long)item->id, item->part_segment,
            item->part_slot, item->parts);
    return 0;
}

static void put_of(kn_store *s, uint64_t id, const char *path, const char *object, uint32_t slot,
                   uint32_t parts)
{
    kn_item item = item_of(id, path);
    item.object = (char *)(uintptr_t)object;
    item.part_segment = parts ? 3 : 0;
    item.part_slot = slot;
    item.parts = parts;
    OK(s->v->begin(s, 1));
    OK(kn_store_put(s, &item));
    OK(s->v->end(s, 1));
}

START_TEST(objects_and_parts)
{
    char text[400] = "";
    const kn_select all = { .by = KN_AFTER };
    kn_counts c = { 0 };
    in_folder();
    kn_store *s = open_store(_i, KN_STORE_CREATE);
    put_of(s, 4, "/4", "bear", 0, 2);
    put_of(s, 6, "/6", "ant", 2, 2);
    put_of(s, 2, "/2", NULL, 0, 0);
    put_of(s, 9, "/9", "bear", 4, 3);
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_OF_OBJECT, .text = "bear" }), "4 9 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_OF_OBJECT, .text = "bea" }), "");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_LABELLED }), "6 4 9 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_LABELLED, .limit = 2 }), "6 4 ");
    OK(s->v->counts(s, &c));
    ck_assert(c.items == 4 && c.objects == 2 && c.labelled == 3 && c.vectors == 4 + 7);
    put_of(s, 4, "/4", "bear", 0, 2);  /* nothing changes */
    put_of(s, 6, "/6", "ant", 7, 2);   /* its parts are made anew */
    put_of(s, 9, "/9", "cow", 0, 0);   /* it has none any more */
    kn_item wants = item_of(2, "/2");
    wants.parts = 5;
    OK(s->v->begin(s, 1));
    OK(kn_store_put(s, &wants));
    OK(s->v->end(s, 1));
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_PARTLESS }), "2 ");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_PARTLESS, .number = 2 }), "");
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_OF_OBJECT, .text = "bear" }), "4 ");
    OK(s->v->begin(s, 1));
    OK(kn_store_drop(s, 4));
    OK(s->v->put_segment(s, &(kn_segment_record){ 3, 9, KN_SEGMENT_PARTS }));
    OK(s->v->end(s, 1));
    for (int again = 0; again < 2; again++) {
        *text = 0;
        OK(s->v->items(s, &all, note_parts, text));
        OK(s->v->dead(s, note_dead, text));
        ck_assert_str_eq(text, "2=0:0+5 6=3:7+2 9=0:0+0 1:4 3:0 3:1 3:2 3:3 3:4 3:5 3:6 ");
        kn_store_close(s);
        s = open_store(_i, KN_STORE_WRITE);
    }
    kn_store_close(s);
    remove_folder();
}
END_TEST

static int note_reject(const kn_reject *r, void *cookie)
{
    sprintf(cookie, "%s %s %d %llu", r->path, r->why, r->skipped, (unsigned long long)r->inode);
    return 0;
}

START_TEST(rejects)
{
    char text[200] = "";
    in_folder();
    kn_store *s = open_store(_i, KN_STORE_CREATE);
    kn_reject r = { (char *)(uintptr_t)"/x", (char *)(uintptr_t)"broken", 5, 6, 7, 0 };
    OK(s->v->begin(s, 1));
    OK(s->v->put_reject(s, &r));
    r.why = (char *)(uintptr_t)"of no kind";
    r.skipped = 1;
    OK(s->v->put_reject(s, &r));
    OK(s->v->end(s, 1));
    OK(s->v->reject(s, "/x", note_reject, text));
    ck_assert_str_eq(text, "/x of no kind 1 6");
    *text = 0;
    OK(s->v->begin(s, 1));
    OK(s->v->drop_reject(s, "/x"));
    OK(s->v->drop_reject(s, "/y"));
    OK(s->v->end(s, 1));
    OK(s->v->reject(s, "/x", note_reject, text));
    ck_assert_str_eq(text, "");
    kn_store_close(s);
    remove_folder();
}
END_TEST

START_TEST(what_is_rolled_back_never_was)
{
    uint64_t before = 0, after = 0;
    in_folder();
    kn_store *s = open_store(_i, KN_STORE_CREATE);
    put(s, 1, "/1");
    OK(s->v->generation(s, &before));
    kn_item item = item_of(2, "/2"), other = item_of(3, "/1");
    OK(s->v->begin(s, 1));
    OK(kn_store_put(s, &item));
    ck_assert_int_eq(kn_store_put(s, &other), KEN_E_EXISTS);
    OK(kn_store_drop(s, 1));
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_AFTER }), "2 ");
    OK(s->v->end(s, 0));
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_AFTER }), "1 ");
    OK(s->v->generation(s, &after));
    ck_assert_uint_eq(before, after);
    put(s, 2, "/2");
    OK(s->v->generation(s, &after));
    ck_assert_uint_eq(after, before + 1);
    OK(s->v->check(s, NULL, NULL));
    kn_store_close(s);
    s = open_store(_i, KN_STORE_READ);
    ck_assert_str_eq(ids(s, (kn_select){ .by = KN_AFTER }), "1 2 ");
    kn_store_close(s);
    remove_folder();
}
END_TEST

START_TEST(a_reader_sees_one_state_and_never_waits)
{
    in_folder();
    kn_store *w = open_store(_i, KN_STORE_CREATE), *r = open_store(_i, KN_STORE_READ);
    put(w, 1, "/1");
    ck_assert_str_eq(ids(r, (kn_select){ .by = KN_AFTER }), "1 ");
    OK(r->v->begin(r, 0));
    ck_assert_str_eq(ids(r, (kn_select){ .by = KN_AFTER }), "1 ");
    put(w, 2, "/2");
    ck_assert_str_eq(ids(r, (kn_select){ .by = KN_AFTER }), "1 ");
    OK(r->v->end(r, 1));
    kn_item item = item_of(3, "/3");
    OK(w->v->begin(w, 1));
    OK(kn_store_put(w, &item));
    ck_assert_str_eq(ids(r, (kn_select){ .by = KN_AFTER }), "1 2 ");
    OK(w->v->end(w, 1));
    ck_assert_str_eq(ids(r, (kn_select){ .by = KN_AFTER }), "1 2 3 ");
    kn_store_close(r);
    kn_store_close(w);
    remove_folder();
}
END_TEST

/* Against a plain array, over random changes, some of them rolled back. */
START_TEST(random_changes)
{
    enum { IDS = 40 };
    char path[40], want[1024];
    unsigned x = 1, have[IDS] = { 0 }, then[IDS];
    in_folder();
    kn_store *s = open_store(_i, KN_STORE_CREATE);
    for (int round = 0; round < 200; round++) {
        memcpy(then, have, sizeof have);
        OK(s->v->begin(s, 1));
        for (int i = 0; i < 8; i++) {
            x = x * 1103515245u + 12345u;
            const unsigned id = 1 + (x >> 16) % (IDS - 1);
            if (x >> 30) {
                have[id] = 1 + (x >> 8) % 5;
                snprintf(path, sizeof path, "/%u/%u", have[id], id);
                kn_item item = item_of(id, path);
                item.slot = (uint32_t)(round * 1000 + i);
                OK(kn_store_put(s, &item));
            } else {
                have[id] = 0;
                OK(kn_store_drop(s, id));
            }
        }
        const int keep = x % 3 != 0;
        OK(s->v->end(s, keep));
        if (!keep)
            memcpy(have, then, sizeof have);
        if (round % 50 == 49) {
            kn_store_close(s);
            s = open_store(_i, KN_STORE_WRITE);
        }
        for (unsigned d = 1; d <= 5; d++) {
            unsigned n = 0;
            snprintf(path, sizeof path, "/%u", d);
            kn_select which = { .by = KN_UNDER, .text = path };
            const char *got = ids(s, which);
            for (unsigned id = 1; id < IDS; id++)
                n += have[id] == d;
            for (const char *p = got; *p; p++)
                n -= *p == ' ';
            ck_assert_uint_eq(n, 0);
        }
        *want = 0;
        for (unsigned id = 1; id < IDS; id++)
            if (have[id])
                sprintf(want + strlen(want), "%u ", id);
        ck_assert_str_eq(ids(s, (kn_select){ .by = KN_AFTER }), want);
    }
    OK(s->v->check(s, NULL, NULL));
    kn_store_close(s);
    remove_folder();
}
END_TEST

START_TEST(missing_and_foreign_files)
{
    kn_store *s = NULL;
    in_folder();
    ck_assert_int_eq(kn_store_open(&s, kinds[_i], dir, KN_STORE_READ), KEN_E_NOTFOUND);
    ck_assert_int_eq(kn_store_open(&s, kinds[_i], dir, KN_STORE_WRITE), KEN_E_NOTFOUND);
    ck_assert_int_eq(kn_store_open(&s, "milk:", dir, KN_STORE_READ), KEN_E_UNSUPPORTED);
    char *path = kn_path_join(dir, _i ? "ken.db" : "ken.log");
    char junk[5000];
    memset(junk, 'j', sizeof junk);
    OK(kn_replace_file(path, junk, sizeof junk));
    ck_assert_int_eq(kn_store_open(&s, NULL, dir, KN_STORE_READ), KEN_E_CORRUPT);
    kn_free(path);
    remove_folder();
}
END_TEST

START_TEST(a_newer_store_is_refused)
{
    kn_store *s = open_store((in_folder(), _i), KN_STORE_CREATE);
    kn_store_close(s);
    char *path = kn_path_join(dir, _i ? "ken.db" : "ken.log");
    int fd = open(path, O_RDWR);
    /* the log's version; SQLite's user_version, big-endian at 60 (sqlite.org/fileformat2.html) */
    ck_assert_int_eq(pwrite(fd, _i ? "\0\0\0\x7f" : "\x7f\0\0\0", 4, _i ? 60 : 8), 4);
    close(fd);
    ck_assert_int_eq(kn_store_open(&s, NULL, dir, KN_STORE_WRITE), KEN_E_VERSION);
    kn_free(path);
    remove_folder();
}
END_TEST

/* The log cut at every length gives the commits that are whole; one changed byte before the last
 * frame is an error. */
START_TEST(a_torn_log)
{
    unsigned char *bytes;
    size_t len, last = 0;
    int most = 0;
    in_folder();
    kn_store *s = open_store(0, KN_STORE_CREATE);
    char *path = kn_path_join(dir, "ken.log");
    for (int i = 1; i <= 3; i++) {
        OK(kn_read_file(&bytes, &last, path, 1 << 20));
        kn_free(bytes);
        char name[8];
        snprintf(name, sizeof name, "/%d", i);
        put(s, (uint64_t)i, name);
    }
    kn_store_close(s);
    OK(kn_read_file(&bytes, &len, path, 1 << 20));
    for (size_t n = 16; n <= len; n++) {
        OK(kn_replace_file(path, bytes, n));
        s = open_store(0, KN_STORE_WRITE);
        int have = (int)strlen(ids(s, (kn_select){ .by = KN_AFTER })) / 2;
        ck_assert_int_ge(have, most);
        ck_assert_int_le(have, most + 1);
        most = have;
        if (n % 16 == 0) { /* and goes on from there */
            put(s, 9, "/9");
            kn_store_close(s);
            s = open_store(0, KN_STORE_READ);
            ck_assert_int_eq((int)strlen(ids(s, (kn_select){ .by = KN_AFTER })) / 2, have + 1);
        }
        kn_store_close(s);
    }
    ck_assert_int_eq(most, 3);
    for (size_t i = 16; i < last; i += 3) {
        bytes[i] ^= 0x40;
        OK(kn_replace_file(path, bytes, len));
        ck_assert_int_eq(kn_store_open(&s, NULL, dir, KN_STORE_READ), KEN_E_CORRUPT);
        bytes[i] ^= 0x40;
    }
    kn_free(bytes);
    kn_free(path);
    remove_folder();
}
END_TEST

START_TEST(a_long_log_is_compacted)
{
    struct stat info;
    char meta[1001];
    memset(meta, 'm', 1000);
    meta[1000] = 0;
    in_folder();
    kn_store *w = open_store(0, KN_STORE_CREATE), *r = open_store(0, KN_STORE_READ);
    kn_item item = item_of(1, "/1");
    item.meta = meta;
    uint64_t before = 0, after = 0;
    for (int i = 0; i < 3000; i++) {
        OK(w->v->begin(w, 1));
        OK(kn_store_put(w, &item));
        OK(w->v->set_text(w, "k", i % 2 ? "odd" : "even"));
        OK(w->v->end(w, 1));
        if (i == 1000)
            OK(r->v->generation(r, &before));
    }
    char *path = kn_path_join(dir, "ken.log");
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_lt((int)info.st_size, 2 << 20);
    OK(r->v->generation(r, &after));
    ck_assert_uint_eq(after, before + 1999);
    ck_assert_str_eq(ids(r, (kn_select){ .by = KN_AFTER }), "1 ");
    OK(r->v->check(r, NULL, NULL));
    kn_store_close(r);
    kn_store_close(w);
    kn_free(path);
    remove_folder();
}
END_TEST

START_TEST(the_lock_names_its_holder)
{
    kn_lock a = { -1 }, b = { -1 };
    char want[40];
    in_folder();
    OK(kn_lock_take(&a, dir, 0));
    ck_assert_int_eq(kn_lock_take(&b, dir, 0.1), KEN_E_BUSY);
    snprintf(want, sizeof want, "process %ld on ", (long)getpid());
    ck_assert_msg(strstr(ken_last_error(), want) != NULL, "%s", ken_last_error());
    kn_lock_release(&a);
    OK(kn_lock_take(&b, dir, 0));
    kn_lock_release(&b);
    pid_t child = fork();
    if (!child) { /* dies holding it */
        ck_assert_int_eq(kn_lock_take(&b, dir, 0), KEN_OK);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    OK(kn_lock_take(&a, dir, 0));
    kn_lock_release(&a);
    remove_folder();
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_loop_test(tc, an_item_comes_back_as_it_was, 0, KINDS);
    tcase_add_loop_test(tc, selections, 0, KINDS);
    tcase_add_loop_test(tc, slots_that_an_item_leaves_are_dead, 0, KINDS);
    tcase_add_loop_test(tc, objects_and_parts, 0, KINDS);
    tcase_add_loop_test(tc, rejects, 0, KINDS);
    tcase_add_loop_test(tc, what_is_rolled_back_never_was, 0, KINDS);
    tcase_add_loop_test(tc, a_reader_sees_one_state_and_never_waits, 0, KINDS);
    tcase_add_loop_test(tc, random_changes, 0, KINDS);
    tcase_add_loop_test(tc, missing_and_foreign_files, 0, KINDS);
    tcase_add_loop_test(tc, a_newer_store_is_refused, 0, KINDS);
    tcase_add_test(tc, a_torn_log);
    tcase_add_test(tc, a_long_log_is_compacted);
    tcase_add_test(tc, the_lock_names_its_holder);
}

int main(void)
{
    return kn_test_main("store", fill);
}
