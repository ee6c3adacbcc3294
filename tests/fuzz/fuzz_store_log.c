/*
 * fuzz_store_log.c - a log of records that is hostile, or damaged: replaying it must refuse or give
 * records that can all be listed.
 *
 * Frames carry checksums that no fuzzer guesses, so the input's first byte says what the rest is:
 * a whole log, or a payload that is sealed here.
 */
#include "tests/fuzz/fuzz.h"
#include "base/alloc.h"
#include "store/journal.h"

static int read_item(const kn_item *item, void *cookie)
{
    *(size_t *)cookie += strlen(item->path) + strlen(item->kind) + strlen(item->hash)
                         + (item->object ? strlen(item->object) : 0);
    return 0;
}

static int read_reject(const kn_reject *r, void *cookie)
{
    *(size_t *)cookie += strlen(r->path) + strlen(r->why);
    return 0;
}

static int read_dead(uint32_t segment, uint32_t slot, void *cookie)
{
    *(size_t *)cookie += segment + slot;
    return 0;
}

static void use(kn_memory *m)
{
    static const kn_select which[] = { { .by = KN_AFTER },
                                       { .by = KN_HIDDEN },
                                       { .by = KN_UNDER, .text = "/" },
                                       { .by = KN_BY_ID, .number = 1 },
                                       { .by = KN_BY_INODE, .number = 1 },
                                       { .by = KN_BY_PATH, .text = "/a" } };
    size_t sum = 0;
    kn_counts counts;
    for (size_t i = 0; i < sizeof which / sizeof *which; i++)
        (void)!kn_memory_items(m, &which[i], read_item, &sum);
    kn_memory_rejects(m, read_reject, &sum);
    kn_memory_dead(m, read_dead, &sum);
    (void)!kn_memory_counts(m, &counts);
}

static void replay(const unsigned char *bytes, size_t len)
{
    kn_memory *m;
    uint64_t at = 0, generation = 0;
    if (kn_memory_new(&m))
        return;
    if (!kn_journal_replay(m, bytes, len, &at, &generation)) {
        use(m);
        if (at > len)
            abort();
    }
    kn_memory_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const int sealed = data[0] & 1;
    const size_t front = sealed ? KN_JOURNAL_HEADER + KN_FRAME_HEADER : 0, n = size - 1;
    unsigned char *copy = malloc(front + n ? front + n : 1);
    if (!copy)
        return 0;
    memcpy(copy + front, data + 1, n);
    if (sealed) {
        kn_journal_header(copy);
        kn_journal_seal(copy + KN_JOURNAL_HEADER, n);
    }
    replay(copy, front + n);
    free(copy);
    return 0;
}
