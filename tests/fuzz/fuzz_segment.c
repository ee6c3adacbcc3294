/*
 * fuzz_segment.c - a file of vectors that is hostile, or damaged.
 *
 * Opening it must refuse or give rows that can all be read; the number of rows, which the store says,
 * is taken from the input's first two bytes.  Their highest bit asks for a header whose checksum is
 * right, which no fuzzer guesses.
 */
#include "tests/fuzz/fuzz.h"
#include "base/hash.h"
#include "store/segment.h"

enum { CHECK_AT = 72 }; /* in the header */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kn_segment s;
    volatile unsigned sum = 0;
    if (size < 2)
        return 0;
    const uint32_t rows = data[0] | (uint32_t)(data[1] & 0x7f) << 8;
    unsigned char *copy = fuzz_copy(data + 2, size - 2);
    if (!copy)
        return 0;
    if (data[1] & 0x80 && size - 2 >= CHECK_AT + sizeof(uint64_t)) {
        const uint64_t check = kn_hash64(copy, CHECK_AT);
        memcpy(copy + CHECK_AT, &check, sizeof check);
    }
    if (!kn_segment_from_memory(&s, copy, size - 2, rows)) {
        for (uint32_t i = 0; i < s.rows; i++) {
            sum += (unsigned)kn_segment_intact(&s, i) + (unsigned)kn_segment_id(&s, i);
            sum += ((const unsigned char *)kn_segment_row(&s, i))[s.row_bytes - 1];
        }
        const void *block;
        const unsigned char *entries;
        size_t n;
        for (uint32_t b = 0; (n = kn_segment_block(&s, b, &block, &entries)) > 0; b++)
            sum += entries[n * KN_ENTRY_BYTES - 1];
    }
    free(copy);
    return 0;
}
