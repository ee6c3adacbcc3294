/* zip_inflate.c - unpacking a deflated entry, bounded by the size that its header promised. */
#include "tools/convert/zip.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/inflate.h"

ken_status cv_zip_inflate(const cv_zip_entry *e, unsigned char **out)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    ken_status st = kn_inflate(&bytes, &n, e->data, (size_t)e->stored, (size_t)e->size);
    if (!st && (n != e->size || kn_crc32(bytes, n) != e->crc))
        st = kn_fail(KEN_E_FORMAT, "size or checksum is not what the directory says");
    if (st) {
        kn_free(bytes);
        return kn_fail_in(st, "entry %.100s", e->name);
    }
    *out = bytes;
    return KEN_OK;
}
