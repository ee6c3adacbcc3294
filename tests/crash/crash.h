/* crash.h - for the tests that break collections: what one holds, as text, to compare. */
#ifndef CRASH_H
#define CRASH_H

#include "tests/fake_encoder.h"
#include "tests/test.h"

#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

/* Each test runs with every kind of store that is built in. */
static const char *const stores[] = {
    "file:",
#ifdef KEN_SQLITE
    "sqlite:",
#endif
};
enum { STORES = sizeof stores / sizeof *stores };

static char top[40];

static inline void shell(const char *command)
{
    ck_assert_msg(system(command) == 0, "%s", command);
}

static inline void enter_folder(void)
{
    /* in memory where possible: thousands of syncs take minutes on a disk */
    snprintf(top, sizeof top, "%s/ken-crash-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
}

static inline void leave_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "cd / && rm -rf %s", top);
    shell(command);
}

static inline void make_picture(const char *path, uint64_t seed)
{
    unsigned char bytes[2000];
    FILE *f = fopen(path, "wb");
    const size_t n = fake_picture(bytes, 12, 9, seed);
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

typedef struct dump {
    ken *k;
    char *text;
    size_t len, cap;
} dump;

static inline int dump_record(const ken_record *r, void *cookie)
{
    dump *d = cookie;
    float v[2048] = { 0 };
    char hash[33];
    ken_status st = ken_vector(d->k, r->id, v);
    kn_hash128_hex(hash, v, sizeof v);
    if (d->cap - d->len < 1000)
        d->text = realloc(d->text, d->cap = d->cap * 2 + 4000);
    d->len += (size_t)sprintf(d->text + d->len, "%llu %s %s %s %s %ux%u %d %lld %s\n",
                              (unsigned long long)r->id, r->path, r->object ? r->object : "-",
                              r->meta ? r->meta : "-", r->hash, r->width, r->height, r->hidden,
                              (long long)r->mtime_ns, st ? "none" : hash);
    return 0;
}

static inline int dump_object(const ken_object *o, void *cookie)
{
    dump *d = cookie;
    if (d->cap - d->len < 1000)
        d->text = realloc(d->text, d->cap = d->cap * 2 + 4000);
    d->len += (size_t)sprintf(d->text + d->len, "object %.500s: %llu, %llu\n", o->name,
                              (unsigned long long)o->references, (unsigned long long)o->vectors);
    return 0;
}

/* Every record with its vector's hash, in the order of ids, then every object; free it. */
static inline char *dump_of(ken *k)
{
    dump d = { .k = k, .text = calloc(1, 1) };
    OK(ken_each(k, dump_record, &d));
    OK(ken_object_each(k, dump_object, &d));
    return d.text;
}

static inline void print_problem(const char *where, const char *what, void *cookie)
{
    (void)cookie;
    printf("%s: %s\n", where, what);
    fflush(stdout);
}

#endif
