/* cmd_explain.c - where two pictures agree, or where a picture fits words. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/out.h"
#include "cli/side.h"

#include <stdio.h>

enum { VIEW_SIDE = 512 };

static void add_map(cJSON *o, const char *name, const float *map, size_t n)
{
    cJSON *list = cJSON_AddArrayToObject(o, name);
    for (size_t i = 0; map && i < n; i++)
        cJSON_AddItemToArray(list, cli_json_number((double)map[i], 6));
}

static void add_box(cJSON *o, const char *name, const uint32_t box[4])
{
    cJSON *list = cJSON_AddArrayToObject(o, name);
    for (int i = 0; i < 4 && box[2]; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber(box[i]));
}

static void say_json(const cli_model *m, const ken_explanation *e)
{
    const size_t cells = (size_t)e->grid[0] * e->grid[1];
    cJSON *o = cJSON_CreateObject(), *grid = cJSON_AddArrayToObject(o, "grid");
    for (int i = 0; i < 2; i++)
        cJSON_AddItemToArray(grid, cJSON_CreateNumber(e->grid[i]));
    add_map(o, "a", e->a, cells);
    add_map(o, "b", e->b, cells);
    cli_json_real(o, "score", (double)e->score, 6);
    cli_json_real(o, "raw", (double)e->raw, 6);
    cJSON *regions = cJSON_AddArrayToObject(o, "regions");
    for (size_t i = 0; i < e->n_regions; i++) {
        cJSON *r = cJSON_CreateObject();
        add_box(r, "a", e->regions[i].a);
        add_box(r, "b", e->regions[i].b);
        cli_json_real(r, "share", (double)e->regions[i].share, 4);
        cJSON_AddItemToArray(regions, r);
    }
    cli_json_text(o, "text", e->text);
    cli_json_text(o, "method", e->method);
    cli_json_text(o, "model", ken_model_get_info(m->model)->name);
    cli_json_say(o);
}

static void say_box(const uint32_t box[4])
{
    if (box[2])
        printf("%u,%u,%u,%u", box[0], box[1], box[2], box[3]);
}

/* A line a region: the share, and the boxes as x,y,width,height. */
static void say_csv(const ken_explanation *e)
{
    printf("share,a_x,a_y,a_width,a_height,b_x,b_y,b_width,b_height\n");
    for (size_t i = 0; i < e->n_regions; i++) {
        const uint32_t *const box[2] = { e->regions[i].a, e->regions[i].b };
        printf("%.4g", (double)e->regions[i].share);
        for (int k = 0; k < 2; k++) {
            putchar(',');
            if (box[k][2])
                say_box(box[k]);
            else
                fputs(",,,", stdout);
        }
        putchar('\n');
    }
}

static void say(const cli_model *m, const ken_explanation *e)
{
    const cli_mode mode = cli_out_mode();
    if (cli_out_is_json())
        say_json(m, e);
    else if (mode == OUT_CSV)
        say_csv(e);
    else
        printf("%.4f\t%s\n", (double)e->score, e->text);
}

/* A 3-D model becomes the picture of its best view. */
static int look_at(cli_side *s, size_t view)
{
    const ken_status st = s->mesh ? ken_mesh_view(&s->image, s->mesh, (uint32_t)view, VIEW_SIDE) : KEN_OK;
    return st ? cli_complain(st, ABOUT_INPUT, NULL) : 0;
}

static int write_map(const ken_explanation *e, const ken_term *a, const ken_term *b, const char *path)
{
    ken_image *img = NULL;
    ken_status st = ken_explanation_draw(&img, e, a, b, 0);
    if (!st)
        st = ken_image_save(img, path, 0);
    ken_image_free(img);
    return st ? cli_complain(st, ABOUT_INPUT, path) : 0;
}

static int explain(const cli_model *m, cli_side *s)
{
    ken_explain_options o = KEN_EXPLAIN_OPTIONS_INIT;
    ken_explanation *e = NULL;
    size_t view[2];
    o.method = cli_opt(OPT_EXPLAIN_METHOD);
    o.language = cli_opt(OPT_EXPLAIN_LANGUAGE);
    o.grid = (uint32_t)cli_opt_whole(OPT_EXPLAIN_GRID);
    o.regions = (uint32_t)cli_opt_whole(OPT_EXPLAIN_REGIONS);
    cli_sides_best(m, s, view);
    int code = look_at(&s[0], view[0]);
    code = code ? code : look_at(&s[1], view[1]);
    if (code)
        return code;
    const ken_term a = { .text = s[0].text, .image = s[0].image };
    const ken_term b = { .text = s[1].text, .image = s[1].image };
    const ken_status st = ken_explain(m->model, &a, &b, &o, &e);
    if (st)
        return cli_complain(st, st == KEN_E_UNSUPPORTED ? ABOUT_MODEL : ABOUT_INPUT, NULL);
    const char *path = cli_opt(OPT_EXPLAIN_OUTPUT);
    if (path)
        code = write_map(e, &a, &b, path);
    if (!code)
        say(m, e);
    ken_explanation_free(e);
    return code;
}

static int run(const cli_args *a)
{
    cli_model m = { 0 };
    cli_side s[2] = { { 0 }, { 0 } };
    if (a->n != 2)
        return cli_misuse("explain takes two of: a picture, text:WORDS, a 3-D model");
    const char *x = a->operands[0].text, *y = a->operands[1].text;
    if (cli_text_of(x) && cli_text_of(y))
        return cli_misuse("without a picture there is no place to show");
    int code = cli_sides_open(&m, x, y, s);
    code = code ? code : explain(&m, s);
    cli_sides_close(&m, s);
    return code;
}

const cli_cmd cli_cmd_explain = {
    .name = "explain",
    .args = "A B",
    .summary = "where two pictures agree, or where a picture fits words",
    .about = "Says which regions of A and B carry their score, as a sentence, and with -o as a picture:\n"
             "both side by side, warm where something speaks for the match, blue where it speaks against\n"
             "it, the regions framed.  --json gives the maps, row by row over the whole pictures.  A 3-D\n"
             "model is looked at from the side that agrees best.\n\n"
             "The vector of a residual network is a sum over places, so that the score is exactly a sum\n"
             "over pairs of places (`parts`); `gradcam` asks what the last map's channels have to do with\n"
             "it.  Of a transformer, `relevance` follows the score's gradient through the attention.",
    .examples = "ken explain query.jpg hit.jpg -o why.png\tboth, with what they have in common\n"
                "ken explain \"text:a brown bear\" a.jpg --json\twhere the words fit\n",
    .run = run,
};
