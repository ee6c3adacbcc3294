/*
 * fuzz_protobuf.c - what a server, or somebody in between, answers: any bytes, read as rows, hits and an
 * item's record; and a store's address.
 *
 * The first byte says which; what is read must lie within the input.
 */
#include "base/alloc.h"
#include "store/milvus.h"
#include "tests/fuzz/fuzz.h"

/* Every field, and fields of fields, as far as they are messages. */
static void walk(kn_pb_in r, int depth)
{
    kn_pb_field f;
    volatile uint64_t sum = 0;
    while (kn_pb_next(&r, &f)) {
        sum += f.value;
        if (f.wire == KN_PB_BYTES && f.n)
            sum += f.bytes[0] + f.bytes[f.n - 1];
        if (f.wire == KN_PB_BYTES && depth)
            walk(kn_pb_within(&f), depth - 1);
    }
}

#ifdef KEN_MILVUS
static void rows(const void *data, size_t n)
{
    volatile unsigned sum = 0;
    kn_mv_result r[] = { { .name = "id", .type = KN_MV_LONG },
                         { .name = "path", .type = KN_MV_TEXT },
                         { .name = "meta", .type = KN_MV_JSON },
                         { .name = "vector", .type = KN_MV_VECTOR } };
    if (kn_mv_read_query(data, n, r, 4))
        return;
    for (size_t i = 0; i < r[0].n; i++) {
        sum += (unsigned)r[0].longs[i] + (r[1].texts[i].n ? (unsigned char)r[1].texts[i].bytes[0] : 0);
        sum += r[3].floats[(i + 1) * r[3].dim * sizeof(float) - 1];
    }
    kn_mv_results_release(r, 4);
}

static void hits(const void *data, size_t n)
{
    const float vectors[2] = { 1, 0 };
    const kn_mv_search s = { "toys", "", "IP", "FLAT", vectors, 2, 1, 4, 0 };
    ken_hit list[8];
    size_t found[2];
    if (!kn_mv_read_search(data, n, &s, list, found) && (found[0] > 4 || found[1] > 4))
        abort();
}

static void record(const void *data, size_t n)
{
    const kn_mv_text path = { "/a", 2 }, none = { "", 0 }, kind = { "image", 5 }, text = { data, n };
    kn_item item;
    if (!kn_remote_item(&item, 7, 0, &path, &none, &kind, &text)) {
        char *again = NULL;
        if (!*item.path || !kn_remote_record(&again, &item))
            kn_free(again);
        kn_item_release(&item);
    }
}

static void address(const void *data, size_t n)
{
    kn_milvus_url u;
    char *text = kn_strndup(data, n);
    if (text && !kn_milvus_url_parse(&u, text))
        kn_milvus_url_release(&u);
    kn_free(text);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    unsigned char *copy = fuzz_copy(data + 1, size - 1);
    if (!copy)
        return 0;
    walk(kn_pb_read(copy, size - 1), 6);
#ifdef KEN_MILVUS
    void (*const readers[])(const void *, size_t) = { hits, rows, record, address };
    readers[data[0] % 4](copy, size - 1);
#endif
    free(copy);
    return 0;
}
