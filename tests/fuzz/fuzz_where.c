/* fuzz_where.c - any text as a filter, held against an item and against one that lacks everything. */
#include "tests/fuzz/fuzz.h"

#include "base/glob.h"
#include "engine/where.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char path[] = "/home/a/\xe4\xb8\xa4/b.JPG", meta[] = "{\"tags\":[\"x\",2],\"a\":{\"b\":\"2024\"},\"taken\":\"2024\"}";
    const kn_item full = { .id = 1, .path = path, .object = path + 6, .kind = path + 1, .meta = meta,
                           .width = 4, .height = 3, .bytes = 1 << 20, .mtime_ns = 1, .added_ns = -1 };
    const kn_item bare = { .id = 2, .path = path };
    kn_where *w = NULL;
    int64_t from, to;
    char *text = malloc(len + 1);
    if (!text)
        return 0;
    memcpy(text, data, len);
    text[len] = 0;
    if (!kn_where_parse(&w, text)) {
        const int a = kn_where_match(w, &full), b = kn_where_match(w, &bare);
        if (a != (a != 0) || b != (b != 0))
            abort();
        kn_where_free(w);
    }
    if (kn_time_span(text, &from, &to) && from >= to)
        abort();
    const size_t half = strlen(text) / 2;
    if (text[half]) { /* the first half as a pattern of the second */
        char *pattern = malloc(half + 1);
        if (pattern) {
            memcpy(pattern, text, half);
            pattern[half] = 0;
            (void)kn_glob(pattern, text + half);
        }
        free(pattern);
    }
    free(text);
    return 0;
}
