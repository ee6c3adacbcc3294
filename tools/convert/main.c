/*
 * main.c - ken-convert: checkpoints in, model files out.
 *
 * Exit status: 0 done · 2 wrong use, or the output cannot be written · 5 the input is unreadable,
 * hostile or unknown · 130 interrupted.
 */
#include "tools/convert/read.h"
#include "tools/convert/report.h"
#include "tools/convert/repack.h"

#include "base/error.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <signal.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DONE = 0, WRONG_USE = 2, BAD_INPUT = 5, INTERRUPTED = 130, MAX_SIZE = 1024 };

typedef struct args {
    cv_options o;
    const char *out;
    int json, quiet;
    char **in;
    int n;
} args;

static const char help[] =
    "usage: ken-convert IN… -o OUT.safetensors [options]\n"
    "\n"
    "Makes a ken model of a publisher's checkpoint.  IN is a file (safetensors, torch zip or "
    "legacy\n"
    "pickle, TorchScript, npz), an *.index.json with its shards beside it, or a folder as model "
    "hubs have\n"
    "them; config.json, open_clip_config.json, preprocessor_config.json and the tokenizer's file "
    "beside it\n"
    "are read.  Nothing in a checkpoint is ever executed.\n"
    "\n"
    "networks: torchvision ResNets, CIFAR ResNets, CLIP by OpenAI, open_clip and Hugging Face (ViT "
    "and\n"
    "ModifiedResNet), Chinese-CLIP by OFA and Hugging Face\n"
    "\n"
    "  -o, --output FILE      the model file\n"
    "      --dtype TYPE       stored type of the matrices: f32 (default), f16, bf16; int8, of a model\n"
    "                         that `ken train` or --trainable made\n"
    "      --arch NAME        settles what names and shapes leave open (ken models lists names)\n"
    "      --activation ACT   quickgelu or gelu, where no configuration says which\n"
    "      --tokenizer FILE   bpe_simple_vocab_16e6.txt.gz, merges.txt or vocab.txt\n"
    "      --size N           side of the pictures; positions are interpolated as the publisher "
    "does\n"
    "      --labels FILE      keep the trained head of a ResNet; a name of a class a line\n"
    "      --trainable        fold nothing: for ken train\n"
    "      --licence TEXT     noted in the file, as are\n"
    "      --source TEXT      where the weights come from, and\n"
    "      --name TEXT        a name\n"
    "      --json             what was done, as JSON\n"
    "  -q, --quiet            say nothing but errors\n"
    "  -h, --help\n"
    "      --version\n"
    "\n"
    "examples:\n"
    "  ken-convert resnet50-0676ba61.pth -o resnet50.safetensors --dtype bf16\n"
    "  ken-convert ViT-B-32.pt --tokenizer bpe_simple_vocab_16e6.txt.gz -o vit-b-32.safetensors\n"
    "  ken-convert open_clip_pytorch_model.bin --activation gelu -o laion.safetensors\n"
    "  ken-convert chinese-clip-vit-base-patch16/ -o chinese.safetensors\n"
    "\n"
    "exit status: 0 done, 2 wrong use or the output cannot be written, 5 the input is unreadable,\n"
    "hostile or unknown\n";

static int fail(int status)
{
    fprintf(stderr, "ken-convert: %s\n", ken_last_error());
    return status;
}

static int misuse(const char *what, const char *value)
{
    fprintf(stderr, "ken-convert: %s%s%s\nTry 'ken-convert --help'.\n", what, value ? " " : "",
            value ? value : "");
    return WRONG_USE;
}

/* ---- arguments ---- */

enum {
    DTYPE = 256,
    ARCH,
    ACTIVATION,
    TOKENIZER,
    SIZE,
    LABELS,
    TRAINABLE,
    LICENCE,
    SOURCE,
    NAME,
    JSON,
    VERSION
};

static const struct option longs[] = {
    { "output", required_argument, NULL, 'o' },
    { "dtype", required_argument, NULL, DTYPE },
    { "arch", required_argument, NULL, ARCH },
    { "activation", required_argument, NULL, ACTIVATION },
    { "tokenizer", required_argument, NULL, TOKENIZER },
    { "size", required_argument, NULL, SIZE },
    { "labels", required_argument, NULL, LABELS },
    { "trainable", no_argument, NULL, TRAINABLE },
    { "licence", required_argument, NULL, LICENCE },
    { "license", required_argument, NULL, LICENCE },
    { "source", required_argument, NULL, SOURCE },
    { "name", required_argument, NULL, NAME },
    { "json", no_argument, NULL, JSON },
    { "quiet", no_argument, NULL, 'q' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, VERSION },
    { NULL, 0, NULL, 0 },
};

static int set_dtype(cv_options *o, const char *s)
{
    if (!strcmp(s, "int8")) {
        o->int8 = 1;
        o->type = KN_BF16;
        return DONE;
    }
    if (strcmp(s, "f32") != 0 && strcmp(s, "f16") != 0 && strcmp(s, "bf16") != 0)
        return misuse("--dtype is f32, f16, bf16 or int8, not", s);
    o->type = s[0] == 'b' ? KN_BF16 : s[1] == '1' ? KN_F16 : KN_F32;
    return DONE;
}

static int set_act(cv_options *o, const char *s)
{
    if (strcmp(s, "quickgelu") != 0 && strcmp(s, "gelu") != 0)
        return misuse("--activation is quickgelu or gelu, not", s);
    o->has_act = 1;
    o->act = *s == 'q' ? KN_ACT_QUICKGELU : KN_ACT_GELU;
    return DONE;
}

static int set_size(cv_options *o, const char *s)
{
    char *end = NULL;
    const long n = strtol(s, &end, 10);
    if (end == s || *end || n < 1 || n > MAX_SIZE)
        return misuse("--size is a number of pixels from 1 to 1024, not", s);
    o->size = (uint32_t)n;
    return DONE;
}

/* DONE, or the exit status of a wrong value; -1 after --help and --version. */
static int set_option(args *a, int c)
{
    switch (c) {
    case 'o':
        a->out = optarg;
        return DONE;
    case 'q':
        a->quiet = 1;
        return DONE;
    case DTYPE:
        return set_dtype(&a->o, optarg);
    case ARCH:
        a->o.arch = optarg;
        return DONE;
    case ACTIVATION:
        return set_act(&a->o, optarg);
    case TOKENIZER:
        a->o.tokenizer = optarg;
        return DONE;
    case SIZE:
        return set_size(&a->o, optarg);
    case LABELS:
        a->o.labels = optarg;
        return DONE;
    case TRAINABLE:
        a->o.trainable = 1;
        return DONE;
    case LICENCE:
        a->o.licence = optarg;
        return DONE;
    case SOURCE:
        a->o.source = optarg;
        return DONE;
    case NAME:
        a->o.name = optarg;
        return DONE;
    case JSON:
        a->json = 1;
        return DONE;
    case 'h':
        fputs(help, stdout);
        return -1;
    case VERSION:
        printf("ken-convert %s\n", ken_version());
        return -1;
    default:
        fputs("Try 'ken-convert --help'.\n", stderr);
        return WRONG_USE;
    }
}

static int check_args(const args *a)
{
    struct stat in, out;
    if (!a->n)
        return misuse("which checkpoint?", NULL);
    if (!a->out)
        return misuse("where to? -o OUT.safetensors", NULL);
    for (int i = 0; i < a->n; i++)
        if (stat(a->in[i], &in) == 0 && stat(a->out, &out) == 0 && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino)
            return misuse("the output is an input:", a->out);
    return DONE;
}

static int parse(args *a, int argc, char **argv)
{
    int c, status = DONE;
    while (status == DONE && (c = getopt_long(argc, argv, "o:qh", longs, NULL)) != -1)
        status = set_option(a, c);
    if (status != DONE)
        return status;
    a->in = argv + optind;
    a->n = argc - optind;
    return check_args(a);
}

/* ---- the work ---- */

static int report(const args *a, const cv_plan *p, uint64_t bytes)
{
    ken_status st = KEN_OK;
    if (p->config.has_text && !p->tokenizer_from && !a->quiet)
        fputs("ken-convert: no tokenizer beside the checkpoint: the model will refuse texts; "
              "--tokenizer FILE\n",
              stderr);
    if (a->json)
        st = cv_report_json(p, a->out, bytes);
    else if (!a->quiet)
        st = cv_report_table(p, a->out, bytes);
    return st ? fail(WRONG_USE) : DONE;
}

static int exit_status(ken_status st)
{
    if (st == KEN_E_CANCELED)
        return INTERRUPTED;
    return st == KEN_E_INVALID || st == KEN_E_NOMEM ? WRONG_USE : BAD_INPUT;
}

static int convert(const args *a, cv_set *set)
{
    cv_side side = { 0 };
    cv_plan plan = { 0 };
    cv_emitted done = { 0 };
    ken_status st = KEN_OK;
    for (int i = 0; !st && i < a->n; i++)
        st = cv_read(set, a->in[i]);
    if (!st)
        st = cv_side_open(&side, a->in[0]);
    if (!st)
        st = cv_plan_make(&plan, set, &side, &a->o);
    if (!st)
        st = cv_emit(&plan, set, a->out, &done);
    int status = st ? fail(done.output_failed && st != KEN_E_CANCELED ? WRONG_USE : exit_status(st))
                    : report(a, &plan, done.bytes);
    cv_plan_release(&plan);
    cv_side_close(&side);
    return status;
}

static void say_repacked(const char *path, uint64_t bytes)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "output", path);
    cJSON_AddNumberToObject(j, "bytes", (double)bytes);
    char *text = cJSON_PrintUnformatted(j);
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(j);
}

/* A model of our own, as training leaves it. */
static int repack(const args *a)
{
    uint64_t bytes = 0;
    const ken_status st = cv_repack(a->in[0], a->out, &a->o, &bytes);
    if (st)
        return fail(exit_status(st));
    if (a->json)
        say_repacked(a->out, bytes);
    else if (!a->quiet)
        printf("%s: %" PRIu64 " bytes, folded and packed\n", a->out, bytes);
    return DONE;
}

static void interrupt(int signal)
{
    (void)signal;
    ken_interrupt();
}

int main(int argc, char **argv)
{
    args a = { .o = { .type = KN_F32 } };
    cv_set set = { 0 };
    const struct sigaction stop = { .sa_handler = interrupt, .sa_flags = SA_RESTART };
    int status = parse(&a, argc, argv);
    if (status != DONE)
        return status < 0 ? DONE : status;
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    if (a.n == 1 && !a.o.trainable && cv_is_ours(a.in[0]))
        status = repack(&a);
    else if (a.o.int8)
        status = misuse("--dtype int8 takes a model that `ken train` or ken-convert --trainable made, not",
                        a.in[0]);
    else
        status = convert(&a, &set);
    cv_set_release(&set);
    return status;
}
