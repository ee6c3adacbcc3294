/* read.c - what a path holds: one file, the shards of an index, or a hub's folder. */
#include "tools/convert/read.h"

#include "base/alloc.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_INDEX = 64 << 20, MAX_SHARDS = 4096, TAR_MAGIC = 257 };

/* ---- kinds ---- */

/* A pickle that begins with torch's magic number, 0x1950a86a20f9469cfc6c as a LONG1. */
static int is_legacy(const unsigned char *p, size_t len)
{
    static const unsigned char magic[] = { 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                           0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };
    return len > 2 + sizeof magic && p[0] == 0x80 && !memcmp(p + 2, magic, sizeof magic);
}

static int is_safetensors(const unsigned char *p, size_t len)
{
    uint64_t n = 0;
    if (len < 10)
        return 0;
    memcpy(&n, p, sizeof n);
    return n >= 2 && n <= len - 8 && p[8] == '{';
}

static const char *known_stranger(const unsigned char *p, size_t len)
{
    if (len > TAR_MAGIC + 5 && !memcmp(p + TAR_MAGIC, "ustar", 5))
        return "a tar archive, as torch wrote before 0.2: load and save it with a newer torch";
    if (len > 4 && !memcmp(p, "GGUF", 4))
        return "a GGUF file";
    if (len > 8 && !memcmp(p, "\x89HDF\r\n\x1a\n", 8))
        return "an HDF5 file";
    if (len > 2 && p[0] == 0x1f && p[1] == 0x8b)
        return "a gzip file: unpack it first";
    if (len > 2 && p[0] == 0x80 && p[1] <= 5)
        return "a pickle, but not one that torch.save made";
    return NULL;
}

ken_status cv_read_bytes(cv_set *s, const void *bytes, size_t len, const char *file)
{
    const unsigned char *p = bytes;
    if (len > 4 && (!memcmp(p, "PK\3\4", 4) || !memcmp(p, "PK\5\6", 4)))
        return cv_read_zip(s, bytes, len, file);
    if (is_legacy(p, len))
        return cv_read_legacy(s, bytes, len, file);
    if (is_safetensors(p, len))
        return cv_read_safetensors(s, bytes, len, file);
    const char *what = known_stranger(p, len);
    if (what)
        return kn_fail(KEN_E_UNSUPPORTED, "%s", what);
    return kn_fail(KEN_E_FORMAT, "not a checkpoint: neither safetensors, nor torch's, nor npz");
}

/* ---- safetensors ---- */

static void close_weights(void *p)
{
    kn_weights_close(p);
}

ken_status cv_read_safetensors(cv_set *s, const void *bytes, size_t len, const char *file)
{
    kn_weights *w = NULL;
    ken_status st = kn_weights_from_memory(&w, bytes, len);
    if (!st)
        st = cv_set_keep(s, w, close_weights);
    for (size_t i = 0; !st && i < kn_weights_len(w); i++) {
        const kn_tensor *from = kn_weights_at(w, i);
        cv_tensor t = {
            .dtype = from->dtype, .rank = from->rank, .data = from->data, .file = file
        };
        memcpy(t.shape, from->shape, sizeof t.shape);
        cv_contiguous(&t);
        st = cv_set_add(s, from->name, &t);
    }
    return st;
}

/* ---- files ---- */

static void close_map(void *p)
{
    kn_map_close(p);
    kn_free(p);
}

static ken_status read_file(cv_set *s, const char *path)
{
    kn_map *map = kn_zalloc(1, sizeof *map);
    if (!map)
        return KEN_E_NOMEM;
    ken_status st = kn_map_open(map, path);
    if (st) {
        kn_free(map);
        return kn_fail_in(st, "%s", path);
    }
    st = cv_set_keep(s, map, close_map);
    char *file = st ? NULL : kn_strdup(path);
    if (!st)
        st = file ? cv_set_keep(s, file, kn_free) : KEN_E_NOMEM;
    if (!st && !map->len)
        st = kn_fail(KEN_E_FORMAT, "an empty file");
    if (!st)
        st = cv_read_bytes(s, map->data, map->len, file);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

/* ---- shards ---- */

/* A shard is a file beside its index, and nothing else. */
static ken_status check_shard(const char *name)
{
    if (!*name || strchr(name, '/') || strchr(name, '\\') || !strcmp(name, "..") ||
        !strcmp(name, "."))
        return kn_fail(KEN_E_FORMAT, "shard \"%.100s\": not the name of a file beside the index",
                       name);
    return KEN_OK;
}

static char *beside(const char *path, const char *name)
{
    const char *last = strrchr(path, '/');
    char *dir = last ? kn_strndup(path, (size_t)(last - path) + (last == path)) : kn_strdup(".");
    char *out = dir ? kn_path_join(dir, name) : NULL;
    kn_free(dir);
    return out;
}

static ken_status read_shards(cv_set *s, const char *path, const cJSON *map)
{
    const char *done[MAX_SHARDS];
    size_t n = 0;
    const cJSON *j;
    cJSON_ArrayForEach(j, map)
    {
        size_t i = 0;
        if (!cJSON_IsString(j))
            return kn_fail(KEN_E_FORMAT, "weight_map: %.100s has no file", j->string);
        while (i < n && strcmp(done[i], j->valuestring))
            i++;
        if (i < n)
            continue;
        if (n == MAX_SHARDS)
            return kn_fail(KEN_E_LIMIT, "more than %d shards", MAX_SHARDS);
        ken_status st = check_shard(j->valuestring);
        char *file = st ? NULL : beside(path, j->valuestring);
        if (!st)
            st = file ? read_file(s, file) : KEN_E_NOMEM;
        kn_free(file);
        if (st)
            return st;
        done[n++] = j->valuestring;
    }
    return KEN_OK;
}

static ken_status read_index(cv_set *s, const char *path)
{
    unsigned char *text = NULL;
    size_t len;
    ken_status st = kn_read_file(&text, &len, path, MAX_INDEX);
    if (st)
        return st;
    cJSON *j = cJSON_ParseWithLength((const char *)text, len);
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(j, "weight_map");
    if (!cJSON_IsObject(map) || !map->child)
        st = kn_fail(KEN_E_FORMAT, "no \"weight_map\" in it");
    else
        st = read_shards(s, path, map);
    cJSON_Delete(j);
    kn_free(text);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

/* ---- folders ---- */

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static ken_status read_path(cv_set *s, const char *path)
{
    const size_t n = strlen(path);
    return n > 11 && !strcmp(path + n - 11, ".index.json") ? read_index(s, path)
                                                           : read_file(s, path);
}

/* The names that Hugging Face's and open_clip's own loaders look for, the safest first. */
static ken_status read_folder(cv_set *s, const char *dir)
{
    static const char *const names[] = {
        "model.safetensors",
        "model.safetensors.index.json",
        "open_clip_model.safetensors",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "open_clip_pytorch_model.bin",
        "open_clip_model.safetensors.index.json",
        "open_clip_pytorch_model.bin.index.json",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = kn_path_join(dir, names[i]);
        if (!path)
            return KEN_E_NOMEM;
        const int there = is_file(path);
        ken_status st = there ? read_path(s, path) : KEN_OK;
        kn_free(path);
        if (there)
            return st;
    }
    return kn_fail(KEN_E_NOTFOUND,
                   "%s: no model.safetensors, pytorch_model.bin or open_clip_* in it", dir);
}

ken_status cv_read(cv_set *s, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return read_folder(s, path);
    return read_path(s, path);
}
