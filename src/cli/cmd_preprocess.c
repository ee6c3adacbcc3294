/* cmd_preprocess.c - what the network sees of a picture. */
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/mem.h"
#include "cli/npy.h"
#include "cli/open.h"

#include <errno.h>
#include <string.h>

static int write_tensor(const ken_model *m, const ken_image *img, const char *out)
{
    const ken_model_info *info = ken_model_get_info(m);
    size_t shape[3] = { 3, info->input[0], info->input[1] };
    float *values = cli_mem_new(shape[0] * shape[1] * shape[2], sizeof *values);
    int code = 0;
    ken_status st = ken_model_preprocess(m, img, values);
    if (st)
        code = cli_complain(st, ABOUT_MODEL, NULL);
    else if (cli_npy_write(out, values, shape, 3))
        code = cli_error("%s: %s", out, strerror(errno));
    cli_mem_free(values);
    return code;
}

static int run(const cli_args *a)
{
    cli_model m;
    ken_decode_options d;
    ken_image *img = NULL;
    const char *out = cli_opt(OPT_OUTPUT);
    if (a->n != 1 || !out)
        return cli_misuse("preprocess takes one picture and -o OUT.npy");
    int code = cli_decode_options(&d);
    if (code || (code = cli_open_model(&m)))
        return code;
    ken_status st = cli_image_read(&img, a->operands[0].text, &d);
    if (st)
        code = cli_complain(st, ABOUT_INPUT, a->operands[0].text);
    else
        code = write_tensor(m.model, img, out);
    ken_image_free(img);
    cli_close_model(&m);
    return code;
}

const cli_cmd cli_cmd_preprocess = {
    .name = "preprocess",
    .args = "FILE -o OUT.npy",
    .summary = "what the network sees of a picture, as an array",
    .about =
        "float32 of shape (3, height, width): resized, cropped and normalised as the model asks.",
    .examples = "ken preprocess -m clip-b32 a.jpg -o a.npy\tan array of shape (3, 224, 224)\n",
    .run = run,
};
