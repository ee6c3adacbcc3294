/* side.c - see side.h. */
#include "cli/side.h"

#include "cli/input.h"
#include "cli/mem.h"

#include <string.h>

const char *cli_mesh_of(const char *operand)
{
    if (!strncmp(operand, "stl:", 4))
        return operand + 4;
    return ken_mesh_named(operand) ? operand + (*operand == '@') : NULL;
}

const char *cli_text_of(const char *operand)
{
    return strncmp(operand, "text:", 5) ? NULL : operand + 5;
}

static int read_mesh(const cli_model *m, const char *path, cli_side *s)
{
    ken_status st = ken_mesh_load(&s->mesh, path);
    if (st)
        return cli_complain(st, ABOUT_INPUT, path);
    st = ken_model_embed_mesh(m->model, s->mesh, s->vectors);
    s->n = ken_mesh_views();
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
}

static int read_side(const cli_model *m, const char *operand, const ken_decode_options *d, cli_side *s)
{
    ken_status st;
    s->vectors = cli_mem_new(ken_mesh_views() * ken_model_get_info(m->model)->dim,
                             sizeof *s->vectors);
    s->n = 1;
    s->text = cli_text_of(operand);
    if (s->text) {
        st = ken_model_embed_texts(m->model, &s->text, 1, s->vectors);
        return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
    }
    if (cli_mesh_of(operand))
        return read_mesh(m, cli_mesh_of(operand), s);
    st = cli_image_read(&s->image, operand, d);
    if (st)
        return cli_complain(st, ABOUT_INPUT, operand);
    st = ken_model_embed(m->model, (const ken_image *const *)&s->image, 1, s->vectors);
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
}

int cli_sides_open(cli_model *m, const char *a, const char *b, cli_side s[2])
{
    ken_decode_options d;
    int code = cli_decode_options(&d);
    if (!code)
        code = cli_text_of(a) || cli_text_of(b) ? cli_open_text_model(m) : cli_open_model(m);
    code = code ? code : read_side(m, a, &d, &s[0]);
    return code ? code : read_side(m, b, &d, &s[1]);
}

void cli_sides_close(cli_model *m, cli_side s[2])
{
    for (int i = 0; i < 2; i++) {
        ken_mesh_free(s[i].mesh);
        ken_image_free(s[i].image);
        cli_mem_free(s[i].vectors);
    }
    cli_close_model(m);
}

float cli_sides_best(const cli_model *m, const cli_side *s, size_t which[2])
{
    const size_t dim = ken_model_get_info(m->model)->dim;
    float best = -2;
    for (size_t i = 0; i < s[0].n; i++)
        for (size_t j = 0; j < s[1].n; j++) {
            double dot = 0;
            for (size_t d = 0; d < dim; d++)
                dot += (double)s[0].vectors[i * dim + d] * (double)s[1].vectors[j * dim + d];
            if ((float)dot > best) {
                best = (float)dot;
                which[0] = i;
                which[1] = j;
            }
        }
    return best;
}
