/* fuzz_npz.c - any bytes as one entry of an npz: the first byte says whether it is deflated. */
#include "tests/fuzz/fuzz_read.h"

#include "base/alloc.h"
#include "base/inflate.h"
#include "tools/convert/npz.h"

static ken_status read_entry(cv_set *s, const void *bytes, size_t len, const char *file)
{
    static char name[] = "w.npy";
    static kn_zip_entry e;
    static kn_zip z;
    const unsigned char *p = bytes;
    if (!len)
        return KEN_OK;
    e = (kn_zip_entry){
        .name = name, .data = p + 1, .stored = len - 1, .size = len - 1, .deflated = p[0] & 1
    };
    z = (kn_zip){ .list = &e, .len = 1 };
    if (e.deflated) { /* the sizes as an honest directory would give them */
        unsigned char *out = NULL;
        size_t n = 0;
        if (kn_inflate(&out, &n, e.data, (size_t)e.stored, 1 << 20))
            return KEN_E_FORMAT;
        e.size = n;
        e.crc = kn_crc32(out, n);
        kn_free(out);
    }
    return cv_read_npz(s, &z, file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_read(read_entry, data, len);
}
