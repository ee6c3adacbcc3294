/* cmd_compare.c - how alike two pictures, or a picture and words, are. */
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *text_of(const char *operand)
{
    return strncmp(operand, "text:", 5) ? NULL : operand + 5;
}

static int is_mesh(const char *operand)
{
    size_t n = strlen(operand);
    return !strncmp(operand, "stl:", 4) || (n > 4 && !strcasecmp(operand + n - 4, ".stl"));
}

static int embed(const cli_model *m, const char *operand, const ken_decode_options *d,
                 float *vector)
{
    ken_image *img = NULL;
    const char *text = text_of(operand);
    ken_status st;
    if (text) {
        st = ken_model_embed_texts(m->model, &text, 1, vector);
        return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
    }
    st = cli_image_read(&img, operand, d);
    if (st)
        return cli_complain(st, ABOUT_INPUT, operand);
    st = ken_model_embed(m->model, (const ken_image *const *)&img, 1, vector);
    ken_image_free(img);
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
}

static void say(const cli_model *m, float score, float raw)
{
    const char *name = ken_model_get_info(m->model)->name;
    cli_mode mode = cli_out_mode();
    if (mode == OUT_JSON || mode == OUT_JSONL) {
        cJSON *o = cJSON_CreateObject();
        cli_json_real(o, "score", (double)score, 6);
        cli_json_real(o, "raw", (double)raw, 6);
        cli_json_text(o, "model", name);
        cli_json_say(o);
    } else if (mode == OUT_CSV) {
        printf("score,raw,model\n%.6g,%.6g,", (double)score, (double)raw);
        cli_csv_field(name, '\n');
    } else {
        printf("%.4f\n", (double)score);
    }
}

static int compare(const cli_model *m, const char *a, const char *b, const ken_decode_options *d)
{
    size_t dim = ken_model_get_info(m->model)->dim;
    float *v = cli_mem_new(2 * dim, sizeof *v);
    int code = embed(m, a, d, v);
    code = code ? code : embed(m, b, d, v + dim);
    if (!code) {
        double dot = 0;
        for (size_t i = 0; i < dim; i++)
            dot += (double)v[i] * (double)v[dim + i];
        float raw = (float)dot;
        int texts = !!text_of(a) + !!text_of(b);
        float score = texts == 2   ? (raw > 0 ? raw : 0)
                      : texts == 1 ? ken_model_score(m->model, "text-image", raw)
                                   : ken_model_score(m->model, "image-image", raw);
        say(m, score, raw);
        if ((cli_opt(OPT_MIN) && (double)score < cli_opt_real(OPT_MIN)) ||
            (cli_opt(OPT_MIN_RAW) && dot < cli_opt_real(OPT_MIN_RAW)))
            code = CLI_EXIT_NONE;
    }
    cli_mem_free(v);
    return code;
}

static int run(const cli_args *a)
{
    cli_model m;
    ken_decode_options d;
    if (a->n != 2)
        return cli_misuse("compare takes two pictures, or a picture and text:WORDS");
    const char *x = a->operands[0].text, *y = a->operands[1].text;
    if (is_mesh(x) || is_mesh(y))
        return cli_misuse("%s: this build does not read meshes", is_mesh(x) ? x : y);
    int code = cli_decode_options(&d);
    if (!code)
        code = text_of(x) || text_of(y) ? cli_open_text_model(&m) : cli_open_model(&m);
    if (code)
        return code;
    code = compare(&m, x, y, &d);
    cli_close_model(&m);
    return code;
}

const cli_cmd cli_cmd_compare = {
    .name = "compare",
    .args = "A B",
    .summary = "how alike two pictures, or a picture and words, are",
    .about = "Prints a score from 0 to 1.  With --min the status is 1 below it.",
    .examples = "ken compare a.jpg b.jpg\t0.8731\n"
                "ken compare a.jpg \"text:a red apple\"\ta picture and words\n"
                "ken compare made.jpg design.jpg --min 0.9\ta check in a script\n",
    .run = run,
};
