/* fuzz_mesh.c - any bytes as a model: an error, or triangles that are finite and can be drawn.  The
 * first byte says of which kind. */
#include "tests/fuzz/fuzz.h"
#include "mesh/shape.h"

#include <math.h>

enum { FEW = 2000, SIDE = 12 };

static void draw(const kn_mesh *m, uint32_t view)
{
    uint8_t rgb[SIDE * SIDE * 3], cover[SIDE * SIDE];
    kn_shape s;
    kn_shot shot;
    if (kn_shape_new(&s, m))
        return;
    kn_shot_init(&shot);
    kn_shot_view(&shot, view);
    shot.size = SIDE;
    if (kn_shape_render(&s, &shot, rgb, cover))
        abort();
    kn_shape_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const kinds[] = { "stl", "obj", "ply" };
    uint8_t *copy = len ? fuzz_copy(data + 1, len - 1) : NULL;
    kn_mesh m;
    if (!copy)
        return 0;
    if (!kn_mesh_parse(&m, kinds[data[0] % 3], copy, len - 1)) {
        if (!m.n)
            abort();
        for (size_t i = 0; i < 9 * m.n; i++)
            if (!isfinite(m.corners[i]) || m.corners[i] < m.low[i % 3] || m.corners[i] > m.high[i % 3])
                abort();
        if (!(kn_mesh_area(&m) > 0))
            abort();
        if (m.n < FEW)
            draw(&m, (uint32_t)len);
        kn_mesh_release(&m);
    }
    free(copy);
    return 0;
}
