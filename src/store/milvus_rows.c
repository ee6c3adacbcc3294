/* milvus_rows.c - items as rows of the server's, and back. */
#include "store/milvus.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/digits.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { RECORD_MAX = 65535 /* the server's longest text */ };

void kn_remote_place(uint64_t id, uint32_t *segment, uint32_t *slot)
{
    *segment = (uint32_t)(id >> 32) + 1;
    *slot = (uint32_t)id;
}

/* ---- text ---- */

/* How many bytes at s, which ends with a NUL, are one character of UTF-8; 0: none. */
static size_t character(const char *s)
{
    utf8proc_int32_t c;
    const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &c);
    return n > 0 ? (size_t)n : 0;
}

static int is_text(const char *s)
{
    size_t n;
    while (*s && (n = character(s)))
        s += n;
    return !*s;
}

char *kn_remote_text(const char *bytes)
{
    char *text = kn_strdup(bytes);
    for (char *s = text; s && *s;) {
        const size_t n = character(s);
        if (!n)
            *s = '?';
        s += n ? n : 1;
    }
    return text;
}

/* ---- records ---- */

static int add_number(cJSON *o, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value); /* JSON's own numbers end at 2^53 */
    return cJSON_AddStringToObject(o, name, text) != NULL;
}

static ken_status add_hex(cJSON *o, const char *name, const char *bytes)
{
    if (is_text(bytes))
        return KEN_OK;
    const size_t n = strlen(bytes);
    char *text = kn_alloc(n * 2 + 1, 1);
    if (!text)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        snprintf(text + i * 2, 3, "%02x", (unsigned char)bytes[i]);
    const int added = cJSON_AddStringToObject(o, name, text) != NULL;
    kn_free(text);
    return added ? KEN_OK : KEN_E_NOMEM;
}

static int add_all(cJSON *o, const kn_item *item)
{
    return cJSON_AddStringToObject(o, "hash", item->hash) && cJSON_AddNumberToObject(o, "width", item->width)
           && cJSON_AddNumberToObject(o, "height", item->height)
           && add_number(o, "bytes", (int64_t)item->bytes) && add_number(o, "mtime_ns", item->mtime_ns)
           && add_number(o, "added_ns", item->added_ns) && cJSON_AddNumberToObject(o, "parts", item->parts)
           && cJSON_AddBoolToObject(o, "has_parts", item->part_segment != 0)
           && cJSON_AddBoolToObject(o, "hidden", item->hidden)
           && (!item->meta || cJSON_AddStringToObject(o, "meta", item->meta));
}

ken_status kn_remote_record(char **out, const kn_item *item)
{
    cJSON *o = cJSON_CreateObject();
    ken_status st = o ? add_hex(o, "path_bytes", item->path) : KEN_E_NOMEM;
    if (!st && item->object)
        st = add_hex(o, "object_bytes", item->object);
    if (!st && !add_all(o, item))
        st = KEN_E_NOMEM;
    char *text = st ? NULL : cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    if (!st && !text)
        st = KEN_E_NOMEM;
    if (!st && strlen(text) > RECORD_MAX)
        st = kn_fail(KEN_E_LIMIT,
                     "%s: what is noted of it is longer than %d bytes, the most that Milvus keeps",
                     item->path, (int)RECORD_MAX);
    if (!st && !(*out = kn_strdup(text)))
        st = KEN_E_NOMEM;
    cJSON_free(text);
    return st;
}

/* ---- reading ---- */

static int64_t number_of(const cJSON *o, const char *name)
{
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(e) ? strtoll(e->valuestring, NULL, 10) : 0;
}

static uint32_t small_of(const cJSON *o, const char *name)
{
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(e) && e->valuedouble >= 0 && e->valuedouble <= 4294967295.0
               ? (uint32_t)e->valuedouble
               : 0;
}

static const char *text_of(const cJSON *o, const char *name)
{
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(e) ? e->valuestring : NULL;
}

/* From hex, into *out that is kn_free's in any case. */
static ken_status bytes_of(char **out, const char *hex)
{
    const size_t n = strlen(hex) / 2;
    char *bytes = *out = kn_zalloc(n + 1, 1);
    if (!bytes)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const int high = kn_hex_digit(hex[2 * i]), low = kn_hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0 || !(high | low))
            return kn_fail(KEN_E_FORMAT, "byte %zu of a path or name is no two digits", i);
        bytes[i] = (char)(high * 16 + low);
    }
    return hex[2 * n] ? kn_fail(KEN_E_FORMAT, "an odd digit in a path or name") : KEN_OK;
}

static ken_status take(char **out, const cJSON *o, const char *hex_name, const kn_mv_text *plain)
{
    const char *hex = text_of(o, hex_name);
    if (hex)
        return bytes_of(out, hex);
    *out = kn_strndup(plain->bytes, plain->n);
    return *out ? KEN_OK : KEN_E_NOMEM;
}

static ken_status fill(kn_item *item, const cJSON *o, const kn_mv_text *path, const kn_mv_text *object,
                       const kn_mv_text *kind)
{
    const char *hash = text_of(o, "hash"), *meta = text_of(o, "meta");
    if (!cJSON_IsObject(o) || !hash || strlen(hash) >= sizeof item->hash || !path->n || !kind->n)
        return kn_fail(KEN_E_FORMAT, "row %" PRIu64 " is no item of ken's", item->id);
    memcpy(item->hash, hash, strlen(hash) + 1);
    item->width = small_of(o, "width");
    item->height = small_of(o, "height");
    item->bytes = (uint64_t)number_of(o, "bytes");
    item->mtime_ns = number_of(o, "mtime_ns");
    item->added_ns = number_of(o, "added_ns");
    item->parts = small_of(o, "parts");
    item->hidden = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "hidden"));
    if (item->parts && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "has_parts")))
        kn_remote_place(item->id, &item->part_segment, &item->part_slot);
    item->kind = kn_strndup(kind->bytes, kind->n);
    item->meta = meta ? kn_strdup(meta) : NULL;
    ken_status st = item->kind && (!meta || item->meta) ? KEN_OK : KEN_E_NOMEM;
    if (!st)
        st = take(&item->path, o, "path_bytes", path);
    if (!st && object->n)
        st = take(&item->object, o, "object_bytes", object);
    return st;
}

ken_status kn_remote_item(kn_item *out, int64_t id, int64_t state, const kn_mv_text *path,
                          const kn_mv_text *object, const kn_mv_text *kind, const kn_mv_text *record)
{
    kn_item item = { .id = (uint64_t)id };
    cJSON *o = cJSON_ParseWithLength(record->bytes, record->n);
    if (id > 0 && state != KN_ROW_BARE)
        kn_remote_place(item.id, &item.segment, &item.slot);
    ken_status st = id > 0 ? fill(&item, o, path, object, kind)
                           : kn_fail(KEN_E_FORMAT, "row %" PRId64 " is no item of ken's", id);
    cJSON_Delete(o);
    if (st)
        kn_item_release(&item);
    else
        *out = item;
    return st;
}

#endif
