/* webp.c - WebP through libwebp; of an animation, nothing. */
#include "image/decode.h"

#ifdef KEN_WEBP
#include "base/alloc.h"
#include "base/error.h"

#include <webp/decode.h>

static ken_status features(WebPBitstreamFeatures *f, const kn_source *s)
{
    if (WebPGetFeatures(s->bytes, s->len, f) != VP8_STATUS_OK)
        return kn_fail(KEN_E_FORMAT, "the header is broken or cut");
    if (f->has_animation)
        return kn_fail(KEN_E_UNSUPPORTED, "animated pictures are not supported");
    return kn_check_size(s, (uint64_t)f->width, (uint64_t)f->height);
}

ken_status kn_size_webp(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    WebPBitstreamFeatures f;
    ken_status st = features(&f, s);
    if (st)
        return st;
    *width = (uint32_t)f.width;
    *height = (uint32_t)f.height;
    *orientation = kn_webp_orientation(s->bytes, s->len);
    return KEN_OK;
}

ken_status kn_decode_webp(ken_image **out, const kn_source *s, int *orientation)
{
    uint32_t w, h;
    ken_image *img = NULL;
    ken_status st = kn_size_webp(&w, &h, s, orientation);
    if (!st && s->opts.has_background) {
        uint8_t *rgba = kn_alloc_aligned((size_t)w * h, 4);
        if (!rgba)
            return KEN_E_NOMEM;
        if (WebPDecodeRGBAInto(s->bytes, s->len, rgba, (size_t)w * h * 4, (int)(4 * w)))
            st = kn_image_from_rgba(out, rgba, w, h, &s->opts);
        else
            st = kn_fail(KEN_E_FORMAT, "broken or truncated");
        kn_free(rgba);
        return st;
    }
    if (!st)
        st = kn_image_new(&img, w, h);
    if (!st && !WebPDecodeRGBInto(s->bytes, s->len, img->pixels, img->stride * h, (int)img->stride))
        st = kn_fail(KEN_E_FORMAT, "broken or truncated");
    if (st)
        ken_image_free(img);
    else
        *out = img;
    return st;
}
#endif
