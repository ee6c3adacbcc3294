/*
 * heif.c - HEIC and AVIF through libheif, loaded when the first such picture comes: it brings a dozen
 * libraries along, which no other command should wait for.  libheif turns pictures upright itself.
 */
#include "image/decode.h"

#ifdef KEN_HEIF
#include "base/error.h"
#include "base/symbol.h"

#include <dlfcn.h>
#include <pthread.h>

#include <libheif/heif.h>

static struct library {
    void *handle;
    struct heif_context *(*alloc)(void);
    void (*release)(struct heif_context *);
    struct heif_error (*read)(struct heif_context *, const void *, size_t,
                              const struct heif_reading_options *);
    struct heif_error (*primary)(struct heif_context *, struct heif_image_handle **);
    void (*handle_release)(const struct heif_image_handle *);
    int (*width)(const struct heif_image_handle *);
    int (*height)(const struct heif_image_handle *);
    struct heif_error (*decode)(const struct heif_image_handle *, struct heif_image **,
                                enum heif_colorspace, enum heif_chroma,
                                const struct heif_decoding_options *);
    const uint8_t *(*plane)(const struct heif_image *, enum heif_channel, int *);
    int (*plane_width)(const struct heif_image *, enum heif_channel);
    int (*plane_height)(const struct heif_image *, enum heif_channel);
    void (*image_release)(const struct heif_image *);
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    lib.handle = dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib.handle)
        return;
    const int all = kn_symbol(lib.handle, &lib.alloc, "heif_context_alloc") &&
                    kn_symbol(lib.handle, &lib.release, "heif_context_free") &&
                    kn_symbol(lib.handle, &lib.read, "heif_context_read_from_memory_without_copy") &&
                    kn_symbol(lib.handle, &lib.primary, "heif_context_get_primary_image_handle") &&
                    kn_symbol(lib.handle, &lib.handle_release, "heif_image_handle_release") &&
                    kn_symbol(lib.handle, &lib.width, "heif_image_handle_get_width") &&
                    kn_symbol(lib.handle, &lib.height, "heif_image_handle_get_height") &&
                    kn_symbol(lib.handle, &lib.decode, "heif_decode_image") &&
                    kn_symbol(lib.handle, &lib.plane, "heif_image_get_plane_readonly") &&
                    kn_symbol(lib.handle, &lib.plane_width, "heif_image_get_width") &&
                    kn_symbol(lib.handle, &lib.plane_height, "heif_image_get_height") &&
                    kn_symbol(lib.handle, &lib.image_release, "heif_image_release");
    if (!all) {
        dlclose(lib.handle);
        lib.handle = NULL;
    }
}

static ken_status failed(struct heif_error e)
{
    return kn_fail(e.code == heif_error_Unsupported_filetype ||
                           e.code == heif_error_Unsupported_feature
                       ? KEN_E_UNSUPPORTED
                       : KEN_E_FORMAT,
                   "%s", e.message ? e.message : "broken");
}

typedef struct opened {
    struct heif_context *context;
    struct heif_image_handle *handle;
} opened;

static void close_file(opened *o)
{
    if (o->handle)
        lib.handle_release(o->handle);
    if (o->context)
        lib.release(o->context);
}

static ken_status open_file(opened *o, const kn_source *s)
{
    pthread_once(&once, load);
    if (!lib.handle)
        return kn_fail(KEN_E_UNSUPPORTED,
                       "HEIC and AVIF need libheif (libheif.so.1), which is not installed");
    o->context = lib.alloc();
    if (!o->context)
        return kn_fail(KEN_E_NOMEM, "out of memory");
    struct heif_error e = lib.read(o->context, s->bytes, s->len, NULL);
    if (e.code == heif_error_Ok)
        e = lib.primary(o->context, &o->handle);
    if (e.code != heif_error_Ok)
        return failed(e);
    return kn_check_size(s, (uint64_t)lib.width(o->handle), (uint64_t)lib.height(o->handle));
}

ken_status kn_size_heif(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    opened o = { 0 };
    ken_status st = open_file(&o, s);
    *orientation = 1;
    if (!st) {
        *width = (uint32_t)lib.width(o.handle);
        *height = (uint32_t)lib.height(o.handle);
    }
    close_file(&o);
    return st;
}

static ken_status copy(ken_image **out, const struct heif_image *img, uint32_t w, uint32_t h,
                       const kn_source *s)
{
    int stride = 0;
    const uint8_t *p = lib.plane(img, heif_channel_interleaved, &stride);
    const enum heif_channel all = heif_channel_interleaved;
    if (!p || stride < (int)(4 * w) || lib.plane_width(img, all) != (int)w ||
        lib.plane_height(img, all) != (int)h)
        return kn_fail(KEN_E_FORMAT, "the pixels are not of the size that the header says");
    ken_status st = kn_image_new(out, w, h);
    for (uint32_t y = 0; !st && y < h; y++)
        kn_flatten((*out)->pixels + y * (*out)->stride, p + (size_t)y * (size_t)stride, w,
                   &s->opts);
    return st;
}

ken_status kn_decode_heif(ken_image **out, const kn_source *s, int *orientation)
{
    opened o = { 0 };
    struct heif_image *img = NULL;
    ken_status st = open_file(&o, s);
    *orientation = 1;
    if (!st) {
        const struct heif_error e =
            lib.decode(o.handle, &img, heif_colorspace_RGB, heif_chroma_interleaved_RGBA, NULL);
        st = e.code == heif_error_Ok ? KEN_OK : failed(e);
    }
    if (!st)
        st = copy(out, img, (uint32_t)lib.width(o.handle), (uint32_t)lib.height(o.handle), s);
    if (img)
        lib.image_release(img);
    close_file(&o);
    return st;
}
#endif
