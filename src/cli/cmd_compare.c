/* cmd_compare.c - how alike two things are: pictures, words, 3-D models. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/side.h"

#include <math.h>
#include <stdio.h>

enum { VIEW_SIDE = 512 };

typedef struct likeness {
    float score, raw;
    size_t view[2]; /* which vectors agree best */
    int aligned;    /* --align: score is the agreement */
    ken_alignment alignment;
} likeness;

static likeness compare(const cli_model *m, const cli_side *s)
{
    likeness best = { .raw = cli_sides_best(m, s, best.view) };
    const int texts = (s[0].text != NULL) + (s[1].text != NULL);
    best.score = texts == 2   ? (best.raw > 0 ? best.raw : 0)
                 : texts == 1 ? ken_model_score(m->model, "text-image", best.raw)
                              : ken_model_score(m->model, "image-image", best.raw);
    return best;
}

static const char *view_name(const cli_side *s, const likeness *l, int i)
{
    return s[i].mesh ? ken_mesh_view_name((uint32_t)l->view[i]) : NULL;
}

static void alignment_json(cJSON *o, const ken_alignment *a)
{
    cJSON *eye = cJSON_AddArrayToObject(o, "eye"), *up = cJSON_AddArrayToObject(o, "up");
    for (int i = 0; i < 3; i++) {
        cJSON_AddItemToArray(eye, cJSON_CreateNumber(round((double)a->eye[i] * 1e4) / 1e4));
        cJSON_AddItemToArray(up, cJSON_CreateNumber(round((double)a->up[i] * 1e4) / 1e4));
    }
    cli_json_real(o, "outline", (double)a->outline, 6);
}

static void say(const cli_model *m, const cli_side *s, const likeness *l)
{
    const char *name = ken_model_get_info(m->model)->name;
    const char *view[2] = { view_name(s, l, 0), view_name(s, l, 1) };
    cli_mode mode = cli_out_mode();
    if (cli_out_is_json()) {
        cJSON *o = cJSON_CreateObject();
        cli_json_real(o, "score", (double)l->score, 6);
        cli_json_real(o, "raw", (double)l->raw, 6);
        cli_json_text(o, "model", name);
        if (view[0] || view[1]) {
            cJSON *views = cJSON_CreateArray();
            for (int i = 0; i < 2; i++)
                cJSON_AddItemToArray(views,
                                     view[i] ? cJSON_CreateString(view[i]) : cJSON_CreateNull());
            cJSON_AddItemToObject(o, "views", views);
        }
        if (l->aligned)
            alignment_json(o, &l->alignment);
        cli_json_say(o);
    } else if (mode == OUT_CSV) {
        printf("score,raw,model\n%.6g,%.6g,", (double)l->score, (double)l->raw);
        cli_csv_field(name, '\n');
    } else {
        printf("%.4f", (double)l->score);
        for (int i = 0; i < 2 && !l->aligned; i++)
            if (view[i])
                printf("\t%s", view[i]);
        putchar('\n');
    }
}

/* Of the second that is a model, else of the first. */
static int write_view(const cli_side *s, const likeness *l, const char *path)
{
    const int i = s[1].mesh ? 1 : 0;
    ken_image *img = NULL;
    ken_status st = l->aligned
                        ? ken_mesh_view_aligned(&img, s[i].mesh, &l->alignment, VIEW_SIDE)
                        : ken_mesh_view(&img, s[i].mesh, (uint32_t)l->view[i], VIEW_SIDE);
    if (!st)
        st = ken_image_save(img, path, 0);
    ken_image_free(img);
    return st ? cli_complain(st, ABOUT_INPUT, path) : 0;
}

/* One is a picture, the other a model. */
static int align(const cli_side *s, likeness *l)
{
    const int i = s[1].mesh ? 1 : 0;
    l->alignment = (ken_alignment)KEN_ALIGNMENT_INIT;
    ken_status st = ken_mesh_align(s[i].mesh, s[1 - i].image, &l->alignment);
    if (st)
        return cli_complain(st, ABOUT_INPUT, NULL);
    l->aligned = 1;
    l->score = l->alignment.agreement;
    return 0;
}

static int answer(const cli_model *m, const cli_side *s)
{
    likeness l = compare(m, s);
    const char *path = cli_opt(OPT_VIEW);
    int code = cli_opt_on(OPT_ALIGN) ? align(s, &l) : 0;
    if (!code && path)
        code = write_view(s, &l, path);
    if (code)
        return code;
    say(m, s, &l);
    return (cli_opt(OPT_MIN) && (double)l.score < cli_opt_real(OPT_MIN))
                   || (cli_opt(OPT_MIN_RAW) && (double)l.raw < cli_opt_real(OPT_MIN_RAW))
               ? CLI_EXIT_NONE
               : 0;
}

static int run(const cli_args *a)
{
    cli_model m = { 0 };
    cli_side s[2] = { { 0 }, { 0 } };
    if (a->n != 2)
        return cli_misuse("compare takes two of: a picture, text:WORDS, a 3-D model");
    const char *x = a->operands[0].text, *y = a->operands[1].text;
    if (cli_opt(OPT_VIEW) && !cli_mesh_of(x) && !cli_mesh_of(y))
        return cli_misuse("--view needs a 3-D model to look at");
    if (cli_opt_on(OPT_ALIGN) && (!cli_mesh_of(x) == !cli_mesh_of(y) || cli_text_of(x) || cli_text_of(y)))
        return cli_misuse("--align takes a picture and a 3-D model");
    int code = cli_sides_open(&m, x, y, s);
    code = code ? code : answer(&m, s);
    cli_sides_close(&m, s);
    return code;
}

const cli_cmd cli_cmd_compare = {
    .name = "compare",
    .args = "A B",
    .summary = "how alike two pictures, words or 3-D models are",
    .about = "Prints a score from 0 to 1.  With --min the status is 1 below it.  A 3-D model (.stl, .obj,\n"
             ".ply) is looked at from twelve sides; the one that agrees best counts, and is named.\n\n"
             "--align asks more of a picture and a model: it finds out from where the picture was taken,\n"
             "and the score is how much of it the model explains from there, in the light that suits it\n"
             "best: 1 less what is missing, added or bent.  It needs one thing of one colour before a plain\n"
             "background, and some seconds.",
    .examples = "ken compare a.jpg b.jpg\t0.8731\n"
                "ken compare a.jpg \"text:a red apple\"\ta picture and words\n"
                "ken compare made.jpg design.stl --min 0.9\ta check in a script\n"
                "ken compare made.jpg design.stl --view seen.png\tthe side that agrees best\n"
                "ken compare made.jpg design.stl --align --min .98\tis it made as designed?\n",
    .run = run,
};
