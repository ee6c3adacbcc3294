/* cmd_embed.c - pictures and texts to unit vectors.
 *
 * Inputs go through in chunks: decode on all threads, encode the pictures as one batch and the
 * texts as another, then hand the rows on in the order of the inputs. */
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/npy.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"
#include "cli/progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 32 };

typedef struct embed {
    cli_model m;
    ken_decode_options decode;
    cli_inputs in;
    size_t dim;
    float *vectors; /* (CHUNK, dim), row i of the chunk's input i */
    float *packed;  /* (CHUNK, dim), of pictures or of texts alone */
    cli_npy npy;    /* of -o */
    FILE *names;
    char **tree; /* of --out-dir: the file of each input, NULL for texts */
    size_t done, failed, passed_over;
} embed;

/* ---- one .npy a picture ---- */

/* Below the tree as below the folder it was found in, the ending replaced unless `full`. */
static char *leaf(const cli_input *in, const char *tree, int full)
{
    const char *below = in->found ? in->name + in->root_len : cli_path_name(in->name);
    const char *dot = strrchr(cli_path_name(below), '.');
    while (*below == '/')
        below++;
    size_t len =
        dot && dot != cli_path_name(below) && !full ? (size_t)(dot - below) : strlen(below);
    char *stem = cli_mem_textn(below, len), *name = cli_mem_textf("%s.npy", stem);
    char *path = cli_path_in(tree, name);
    cli_mem_free(stem);
    cli_mem_free(name);
    return path;
}

static int find_twin(char *const *paths, size_t n, const char *path)
{
    for (size_t i = n; i-- > 0 && n - i < 4096;) /* files of one stem are neighbours in a folder */
        if (paths[i] && !strcmp(paths[i], path))
            return 1;
    return 0;
}

/* a.jpg and a.png would meet in a.npy: the second becomes a.png.npy. */
static void plan_tree(embed *e, const char *tree)
{
    e->tree = cli_mem_new(e->in.n, sizeof *e->tree);
    for (size_t i = 0; i < e->in.n; i++) {
        const cli_input *in = &e->in.list[i];
        if (in->is_text || !strcmp(in->name, "@-"))
            continue;
        e->tree[i] = leaf(in, tree, 0);
        if (find_twin(e->tree, i, e->tree[i])) {
            cli_mem_free(e->tree[i]);
            e->tree[i] = leaf(in, tree, 1);
        }
    }
}

static int write_leaf(const char *path, const float *row, size_t dim)
{
    if (cli_path_make_folders(path, 0777) || cli_npy_write(path, row, &dim, 1))
        return cli_error("%s: %s", path, strerror(errno));
    return 0;
}

/* ---- rows out ---- */

static void say_row(const cli_input *in, const float *row, size_t dim)
{
    cJSON *o = cJSON_CreateObject(), *v = cJSON_CreateArray();
    if (in->is_text)
        cli_json_text(o, "input", in->name);
    else
        cli_json_path(o, "input", in->name);
    cJSON_AddStringToObject(o, "kind", in->is_text ? "text" : "image");
    cJSON_AddNumberToObject(o, "dim", (double)dim);
    for (size_t i = 0; i < dim; i++)
        cJSON_AddItemToArray(v, cli_json_number((double)row[i], 9));
    cJSON_AddItemToObject(o, "vector", v);
    cli_json_say_line(o);
}

static int emit(embed *e, size_t i, const float *row)
{
    const cli_input *in = &e->in.list[i];
    int bad = 0;
    if (e->npy.f && cli_npy_rows(&e->npy, row, 1))
        return cli_error("%s: %s", cli_opt(OPT_OUTPUT), strerror(errno));
    if (e->names && fprintf(e->names, "%s%s\n", in->is_text ? "text:" : "", in->name) < 0)
        return cli_error("%s: %s", cli_opt(OPT_NAMES), strerror(errno));
    if (e->tree && e->tree[i])
        bad = write_leaf(e->tree[i], row, e->dim);
    if (!e->npy.f && !e->tree)
        say_row(in, row, e->dim);
    return bad;
}

static void tell_failure(embed *e, const cli_input *in)
{
    if (in->found && in->status == KEN_E_UNSUPPORTED) {
        e->passed_over++;
        return;
    }
    cli_tell(in->name, in->why);
    e->failed++;
}

static int emit_chunk(embed *e, size_t from, size_t to)
{
    int bad = 0;
    for (size_t i = from; !bad && i < to; i++) {
        if (e->in.list[i].status)
            tell_failure(e, &e->in.list[i]);
        else
            bad = emit(e, i, e->vectors + (i - from) * e->dim);
    }
    return bad;
}

/* ---- encoding ---- */

/* n texts, or pictures where texts is NULL, into e->packed. */
static int encode(embed *e, const char *const *texts, const ken_image *const *imgs, size_t n)
{
    if (!n)
        return 0;
    const ken_status st = texts ? ken_model_embed_texts(e->m.model, texts, n, e->packed)
                                : ken_model_embed(e->m.model, imgs, n, e->packed);
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
}

static int encode_images(embed *e, size_t from, size_t to)
{
    const ken_image *imgs[CHUNK];
    size_t at[CHUNK], n = 0;
    for (size_t i = from; i < to; i++) {
        if (e->in.list[i].image) {
            at[n] = i - from;
            imgs[n++] = e->in.list[i].image;
        }
    }
    const int code = encode(e, NULL, imgs, n);
    for (size_t i = 0; !code && i < n; i++)
        memcpy(e->vectors + at[i] * e->dim, e->packed + i * e->dim, e->dim * sizeof(float));
    return code;
}

static int encode_texts(embed *e, size_t from, size_t to)
{
    const char *texts[CHUNK];
    size_t at[CHUNK], n = 0;
    for (size_t i = from; i < to; i++) {
        if (e->in.list[i].is_text) {
            at[n] = i - from;
            texts[n++] = e->in.list[i].name;
        }
    }
    const int code = encode(e, texts, NULL, n);
    for (size_t i = 0; !code && i < n; i++)
        memcpy(e->vectors + at[i] * e->dim, e->packed + i * e->dim, e->dim * sizeof(float));
    return code;
}

static int run_chunks(embed *e)
{
    cli_steps steps;
    int bad = 0;
    cli_steps_start(&steps, "embed", "inputs", e->in.n);
    for (size_t from = 0; !bad && from < e->in.n && !ken_interrupted();) {
        size_t to = from + CHUNK < e->in.n ? from + CHUNK : e->in.n;
        to = cli_inputs_decode(&e->in, from, to, &e->decode);
        bad = encode_images(e, from, to);
        if (!bad)
            bad = encode_texts(e, from, to);
        cli_inputs_drop(&e->in, from, to);
        if (!bad && !ken_interrupted())
            bad = emit_chunk(e, from, to);
        from = to;
        cli_steps_tell(&steps, from, NULL);
    }
    cli_progress_hide();
    return bad ? bad : ken_interrupted() ? CLI_EXIT_INTERRUPTED : 0;
}

/* ---- the command ---- */

static int open_outputs(embed *e)
{
    if (cli_opt(OPT_OUTPUT) && cli_npy_open(&e->npy, cli_opt(OPT_OUTPUT), e->dim))
        return cli_error("%s: %s", cli_opt(OPT_OUTPUT), strerror(errno));
    if (cli_opt(OPT_NAMES) && !(e->names = fopen(cli_opt(OPT_NAMES), "w")))
        return cli_error("%s: %s", cli_opt(OPT_NAMES), strerror(errno));
    if (cli_opt(OPT_OUT_DIR))
        plan_tree(e, cli_opt(OPT_OUT_DIR));
    return 0;
}

/* An interrupted run keeps the rows it has; a failed one leaves no file. */
static int close_outputs(embed *e, int code)
{
    int keep = code == 0 || code == CLI_EXIT_INTERRUPTED;
    if (e->npy.f && !keep)
        cli_npy_cancel(&e->npy);
    else if (e->npy.f && cli_npy_close(&e->npy))
        code = cli_error("%s: %s", cli_opt(OPT_OUTPUT), strerror(errno));
    if (e->names && fclose(e->names))
        code = cli_error("%s: %s", cli_opt(OPT_NAMES), strerror(errno));
    return code;
}

static int has_texts(const cli_inputs *in)
{
    for (size_t i = 0; i < in->n; i++)
        if (in->list[i].is_text)
            return 1;
    return 0;
}

static int open_all(embed *e, const cli_args *a)
{
    int bad = cli_decode_options(&e->decode);
    bad = bad ? bad : cli_inputs_collect(&e->in, a);
    if (!bad)
        bad = has_texts(&e->in) ? cli_open_text_model(&e->m) : cli_open_model(&e->m);
    if (bad)
        return bad;
    e->dim = ken_model_get_info(e->m.model)->dim;
    e->vectors = cli_mem_new(CHUNK * e->dim, sizeof *e->vectors);
    e->packed = cli_mem_new(CHUNK * e->dim, sizeof *e->packed);
    return open_outputs(e);
}

static void release(embed *e)
{
    for (size_t i = 0; e->tree && i < e->in.n; i++)
        cli_mem_free(e->tree[i]);
    cli_mem_free(e->tree);
    cli_mem_free(e->vectors);
    cli_mem_free(e->packed);
    cli_inputs_free(&e->in);
    cli_close_model(&e->m);
}

static int run(const cli_args *a)
{
    embed e = { 0 };
    if (!a->n)
        return cli_misuse("nothing to embed");
    if (cli_out_mode() == OUT_CSV)
        return cli_misuse("embed gives JSON lines or .npy files, no CSV");
    int code = open_all(&e, a);
    if (!code)
        code = run_chunks(&e);
    code = close_outputs(&e, code);
    if (e.passed_over)
        cli_note("%zu files that are no pictures were passed over", e.passed_over);
    if (!code && (e.failed || e.in.unreadable))
        code = CLI_EXIT_SOME;
    release(&e);
    return code;
}

const cli_cmd cli_cmd_embed = {
    .name = "embed",
    .args = "(FILE | DIR | @- | --text STR)...",
    .summary = "unit vectors of pictures and texts",
    .about =
        "One row an input, in their order; @- reads a picture from standard input.  Without -o\n"
        "or --out-dir each row is a JSON line {\"input\",\"kind\",\"dim\",\"vector\"}.\n"
        "An input that fails has no row and makes the status 3.",
    .examples = "ken embed -m clip-b32 a.jpg b.jpg -o v.npy\tan array of shape (2, 512)\n"
                "ken embed photos/ -o v.npy --names v.txt\tand what stands in which row\n"
                "ken embed photos/ --out-dir vectors/\tphotos/x/a.jpg to vectors/x/a.npy\n"
                "ken embed --text \"a red apple\" --jsonl\twords instead of a picture\n",
    .run = run,
};
