/*
 * fuzz_index.c - an index's file that is hostile, or damaged, and a log's.
 *
 * What opens must bear a search, with and without a filter, and the check, whatever its sections hold.
 * The input's first byte asks for a header whose checksum is right (1), which no fuzzer guesses, or says
 * that the rest is a log (2).
 */
#include "tests/fuzz/fuzz.h"
#include "base/hash.h"
#include "index/index.h"
#include "index/log.h"

#include <stdio.h>
#include <unistd.h>

enum { CHECK_AT = 2048, K = 5, MOST_DIM = 512 };

static void search(kn_index *ix)
{
    static const float queries[2 * MOST_DIM] = { 1, -2, 3 };
    const uint64_t only[] = { 0, 1, 2, 3, 1000000 };
    const kn_find p = { .k = K };
    kn_near near[2 * K];
    size_t found[2];
    kn_index_info info;
    kn_index_get_info(ix, &info);
    if (info.dim > MOST_DIM)
        return;
    (void)!kn_index_search(ix, queries, 2, &p, NULL, 0, 1, near, found);
    (void)!kn_index_search(ix, queries, 2, &p, only, 5, 1, near, found);
}

typedef struct seen {
    uint32_t dim;
    volatile float sum;
} seen;

static ken_status take(kn_index_log_op op, const uint64_t *ids, const float *rows, size_t n,
                       void *cookie)
{
    seen *s = cookie;
    for (size_t i = 0; i < n; i++)
        s->sum += (float)ids[i] + (op == KN_LOG_PUT ? rows[(i + 1) * s->dim - 1] : 0);
    return KEN_OK;
}

/* Number and dimension are those that the log itself names. */
static void try_log(const uint8_t *data, size_t size)
{
    char path[64];
    uint64_t number = 0;
    seen s = { .dim = 1 };
    if (size >= 24) {
        memcpy(&s.dim, data + 12, sizeof s.dim);
        memcpy(&number, data + 16, sizeof number);
    }
    s.dim = s.dim && s.dim < MOST_DIM ? s.dim : 1;
    snprintf(path, sizeof path, "/tmp/ken-fuzz-log-%ld", (long)getpid());
    FILE *f = fopen(path, "wb");
    if (f && fwrite(data, 1, size, f) == size && fclose(f) == 0)
        (void)!kn_index_log_replay(path, number, s.dim, take, &s);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kn_index_file f = { 0 };
    kn_index *ix = NULL;
    if (size < 2)
        return 0;
    if (data[0] & 2) {
        try_log(data + 1, size - 1);
        return 0;
    }
    unsigned char *copy = NULL;
    if (posix_memalign((void **)&copy, 64, size - 1) != 0)
        return 0;
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1 && size - 1 >= CHECK_AT + sizeof(uint64_t)) {
        const uint64_t check = kn_hash64(copy, CHECK_AT);
        memcpy(copy + CHECK_AT, &check, sizeof check);
    }
    if (!kn_index_file_from_memory(&f, copy, size - 1) && !kn_index_from_file(&ix, &f)) {
        search(ix);
        (void)!kn_index_check(ix, NULL, NULL);
    }
    kn_index_free(ix);
    kn_index_file_close(&f);
    free(copy);
    return 0;
}
