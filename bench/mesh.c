/* mesh.c - views a second of a model, on one thread.
 *
 *   mesh FILE [SIZE [SECONDS]]      a .stl, .obj or .ply; SIZE pixels a side, 224
 *
 * Prints the triangles, the time to read and to prepare them, and the standard views' rate: by the clock,
 * and by the processor's time that was had, which others on the machine don't take away from. */
#include "base/alloc.h"
#include "base/progress.h"
#include "mesh/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double processor(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static double views_per_second(const kn_shape *s, kn_shot *shot, double seconds, uint8_t *rgb,
                               double *own)
{
    const double start = kn_clock(), had = processor();
    size_t n = 0;
    do {
        kn_shot_view(shot, (uint32_t)(n % KN_VIEWS));
        if (kn_shape_render(s, shot, rgb, NULL))
            return 0;
        n++;
    } while (kn_clock() - start < seconds || n < KN_VIEWS);
    *own = (double)n / (processor() - had);
    return (double)n / (kn_clock() - start);
}

int main(int argc, char **argv)
{
    kn_mesh m = { 0 };
    kn_shape s = { 0 };
    kn_shot shot;
    kn_shot_init(&shot);
    if (argc > 2)
        shot.size = (uint32_t)strtoul(argv[2], NULL, 10);
    const double seconds = argc > 3 ? strtod(argv[3], NULL) : 2, t0 = kn_clock();
    if (argc < 2 || kn_mesh_load(&m, argv[1])) {
        fprintf(stderr, "%s\n", argc < 2 ? "usage: mesh FILE [SIZE [SECONDS]]" : ken_last_error());
        return 2;
    }
    const double t1 = kn_clock();
    uint8_t *rgb = kn_alloc((size_t)shot.size * shot.size, 3);
    if (!rgb || kn_shape_new(&s, &m))
        return 2;
    const double t2 = kn_clock();
    double own = 0;
    const double rate = views_per_second(&s, &shot, seconds, rgb, &own);
    printf("%zu triangles%s, read %.1f ms, prepared %.1f ms; at %u: %.0f views/s, %.0f a second of the "
           "processor\n",
           m.n, s.closed ? "" : " (not closed)", (t1 - t0) * 1e3, (t2 - t1) * 1e3, shot.size, rate, own);
    kn_free(rgb);
    kn_shape_release(&s);
    kn_mesh_release(&m);
    return 0;
}
