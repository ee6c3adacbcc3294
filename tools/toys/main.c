/*
 * main.c - ken-toys: photographs and captions of toys that do not exist, and what a test on them needs.
 *
 * Exit status: 0 done · 2 wrong use, or the output cannot be written · 130 interrupted.
 */
#include "tools/toys/toys_tool.h"

#include "base/error.h"
#include "base/parallel.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_VIEWS = 100000, MOST_SIDE = 2048 };

static const char help[] =
    "usage: ken-toys render --ids A:B [--views N] [--mode MODE] [options] -o DIR\n"
    "       ken-toys sheet --ids A:B [--size N] [--seed N] -o FILE.png\n"
    "       ken-toys montage --gallery LIST [--size N] -o FILE.png\n"
    "       ken-toys captions --ids A:B [--captions N] [--wrong] [--apart-from C:D]\n"
    "       ken-toys ceiling --ids A:B [--captions N]\n"
    "       ken-toys histogram --gallery LIST --queries LIST\n"
    "       ken-toys pairs --gallery LIST --queries LIST [--gallery-vectors G.npy --query-vectors "
    "Q.npy]\n"
    "\n"
    "Photographs of toys, made by computing.  A toy is a number: the same number is the same toy "
    "for\n"
    "ever.  Numbers from 0 are for training, from 1,000,000 for validation, from 1,100,000 for "
    "tests,\n"
    "from 1,200,000 for toys that nothing has seen.\n"
    "\n"
    "render      pictures DIR/ID/MODE-VIEW.png, list.csv, captions.jsonl and truth.jsonl\n"
    "sheet       each toy in every mode, in one picture\n"
    "montage     the pictures of a list in one, a label a row; a label ending in + or - gets a frame\n"
    "captions    what can be said of them, English and Chinese, as JSON lines\n"
    "ceiling     how often someone who knows all that a caption says finds the toy among the "
    "others\n"
    "histogram   how often a colour histogram (4 x 4 x 4) finds the label of a query\n"
    "pairs       how often a query is nearer to itself than to its twin, by vectors of ken embed "
    "-o,\n"
    "            or by colour histograms\n"
    "\n"
    "      --ids A:B        toys A up to, not including, B\n"
    "      --views N        pictures of each (1)\n"
    "      --first-view N   number of the first (0)\n"
    "      --mode MODE      clean, full, head, part, occluded, light or mixed (mixed)\n"
    "      --twins          each toy also as ID-twin, which differs in one attribute\n"
    "      --size N         side in pixels (96)\n"
    "      --seed N         other pictures of the same toys (1)\n"
    "      --captions N     captions of each picture, or toy (1)\n"
    "      --masks          also MODE-VIEW-mask.png, white where the toy is\n"
    "      --format FORMAT  png (default) or jpg\n"
    "      --apart-from C:D one caption of each toy, of which two things or more are wrong of every toy\n"
    "                       C up to, not including, D; none of a toy that has no such caption\n"
    "      --wrong          captions with one thing wrong, which says marks by '!'\n"
    "      --threads N\n"
    "      --json           ceiling, histogram, pairs: as JSON\n"
    "  -o, --output PATH\n"
    "  -q, --quiet          no progress\n"
    "  -h, --help\n"
    "      --version\n"
    "\n"
    "examples:\n"
    "  ken-toys render --ids 0:100 --views 10 -o toys\n"
    "  ken-toys render --ids 1100000:1101000 --mode clean --size 128 -o gallery\n"
    "  ken-toys sheet --ids 0:8 -o sheet.png\n"
    "\n"
    "exit status: 0 done, 2 wrong use or the output cannot be written, 130 interrupted\n";

int tt_fail(ken_status st)
{
    fprintf(stderr, "ken-toys: %s\n",
            st == KEN_E_CANCELED ? "interrupted; run it again to have all" : ken_last_error());
    return st == KEN_E_CANCELED ? TT_INTERRUPTED : TT_WRONG_USE;
}

int tt_progress(const ken_progress *p, void *cookie)
{
    (void)cookie;
    if (p->left >= 0)
        fprintf(stderr, "\r\033[K%s  %llu/%llu %s  %.0f/s  %.0f s left", p->stage,
                (unsigned long long)p->done, (unsigned long long)p->total, p->unit, p->rate,
                p->left);
    if (p->done == p->total)
        fputs("\r\033[K", stderr);
    fflush(stderr);
    return 0;
}

static int misuse(const char *what, const char *value)
{
    fprintf(stderr, "ken-toys: %s%s%s\nTry 'ken-toys --help'.\n", what, value ? " " : "",
            value ? value : "");
    return TT_WRONG_USE;
}

/* ---- arguments ---- */

enum {
    IDS = 256,
    APART_FROM,
    VIEWS,
    FIRST_VIEW,
    MODE,
    TWINS,
    SIZE,
    SEED,
    CAPTIONS,
    MASKS,
    FORMAT,
    WRONG,
    THREADS,
    JSON,
    GALLERY,
    QUERIES,
    GALLERY_VECTORS,
    QUERY_VECTORS,
    VERSION
};

static const struct option longs[] = {
    { "ids", required_argument, NULL, IDS },
    { "apart-from", required_argument, NULL, APART_FROM },
    { "views", required_argument, NULL, VIEWS },
    { "first-view", required_argument, NULL, FIRST_VIEW },
    { "mode", required_argument, NULL, MODE },
    { "twins", no_argument, NULL, TWINS },
    { "size", required_argument, NULL, SIZE },
    { "seed", required_argument, NULL, SEED },
    { "captions", required_argument, NULL, CAPTIONS },
    { "masks", no_argument, NULL, MASKS },
    { "format", required_argument, NULL, FORMAT },
    { "wrong", no_argument, NULL, WRONG },
    { "threads", required_argument, NULL, THREADS },
    { "json", no_argument, NULL, JSON },
    { "gallery", required_argument, NULL, GALLERY },
    { "queries", required_argument, NULL, QUERIES },
    { "gallery-vectors", required_argument, NULL, GALLERY_VECTORS },
    { "query-vectors", required_argument, NULL, QUERY_VECTORS },
    { "output", required_argument, NULL, 'o' },
    { "quiet", no_argument, NULL, 'q' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, VERSION },
    { NULL, 0, NULL, 0 },
};

/* A number from least to most that ends where `stop` (or the text) does. */
static int number(uint64_t *out, const char *s, char stop, uint64_t least, uint64_t most)
{
    char *end = NULL;
    const unsigned long long n = strtoull(s, &end, 10);
    if (end == s || *s == '-' || (*end && *end != stop) || n < least || n > most)
        return -1;
    *out = n;
    return 0;
}

static int set_ids(uint64_t *first, uint64_t *end, const char *s)
{
    const char *colon = strchr(s, ':');
    if (!colon || number(first, s, ':', 0, UINT64_MAX / 2) || number(end, colon + 1, 0, 0, UINT64_MAX / 2) ||
        *end <= *first)
        return misuse("toys are A:B, from A up to, not including, B; not", s);
    return TT_DONE;
}

static int set_number(uint32_t *out, const char *s, uint32_t least, uint32_t most, const char *what)
{
    uint64_t n;
    if (number(&n, s, 0, least, most))
        return misuse(what, s);
    *out = (uint32_t)n;
    return TT_DONE;
}

static int set_mode(tt_args *a, const char *s)
{
    return kn_toy_mode_named(&a->mode, s) ? misuse(ken_last_error(), NULL) : TT_DONE;
}

static int set_format(tt_args *a, const char *s)
{
    if (strcmp(s, "png") != 0 && strcmp(s, "jpg") != 0)
        return misuse("--format is png or jpg, not", s);
    a->jpeg = *s == 'j';
    return TT_DONE;
}

/* The status of a wrong value; -1 after --help and --version. */
static int set_option(tt_args *a, int c)
{
    switch (c) {
    case IDS:
        return set_ids(&a->first, &a->end, optarg);
    case APART_FROM:
        return set_ids(&a->apart_first, &a->apart_end, optarg);
    case VIEWS:
        return set_number(&a->views, optarg, 1, MOST_VIEWS, "--views is 1 to 100000, not");
    case FIRST_VIEW:
        return set_number(&a->first_view, optarg, 0, UINT32_MAX / 2,
                          "--first-view is a number, not");
    case MODE:
        return set_mode(a, optarg);
    case SIZE:
        return set_number(&a->size, optarg, 8, MOST_SIDE, "--size is 8 to 2048 pixels, not");
    case SEED:
        return number(&a->seed, optarg, 0, 0, UINT64_MAX)
                   ? misuse("--seed is a number, not", optarg)
                   : TT_DONE;
    case CAPTIONS:
        return set_number(&a->captions, optarg, 1, 1000, "--captions is 1 to 1000, not");
    case THREADS:
        return set_number(&a->threads, optarg, 1, 4096, "--threads is 1 to 4096, not");
    case FORMAT:
        return set_format(a, optarg);
    case 'h':
        fputs(help, stdout);
        return -1;
    case VERSION:
        printf("ken-toys %s\n", ken_version());
        return -1;
    default:
        return misuse("", NULL);
    }
}

/* Those that take no value and cannot be wrong. */
static int set_plain(tt_args *a, int c)
{
    int *const flag = c == TWINS   ? &a->twins
                      : c == MASKS ? &a->masks
                      : c == WRONG ? &a->wrong
                      : c == JSON  ? &a->json
                      : c == 'q'   ? &a->quiet
                                   : NULL;
    const char **const text = c == 'o'               ? &a->out
                              : c == GALLERY         ? &a->gallery
                              : c == QUERIES         ? &a->queries
                              : c == GALLERY_VECTORS ? &a->gallery_vectors
                              : c == QUERY_VECTORS   ? &a->query_vectors
                                                     : NULL;
    if (flag)
        *flag = 1;
    if (text)
        *text = optarg;
    return flag || text;
}

typedef struct command {
    const char *name;
    int (*run)(const tt_args *);
    int ids, out, lists; /* what it cannot do without */
} command;

static const command commands[] = {
    { "render", tt_render, 1, 1, 0 },       { "sheet", tt_sheet, 1, 1, 0 },
    { "captions", tt_captions, 1, 0, 0 },   { "ceiling", tt_ceiling, 1, 0, 0 },
    { "histogram", tt_histogram, 0, 0, 1 }, { "pairs", tt_pairs, 0, 0, 1 },
    { "montage", tt_montage, 0, 1, 0 },
};

static int choose(const command **out, int argc, char **argv)
{
    if (optind >= argc)
        return misuse("which command? render, sheet, captions, ceiling, histogram, pairs, montage", NULL);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(argv[optind], commands[i].name))
            *out = &commands[i];
    if (!*out)
        return misuse("no such command:", argv[optind]);
    if (optind + 1 < argc)
        return misuse("what is this?", argv[optind + 1]);
    return TT_DONE;
}

static int check(const command *c, const tt_args *a)
{
    if (c->ids && a->end == 0)
        return misuse("which toys? --ids A:B", NULL);
    if (c->out && !a->out)
        return misuse("where to? -o", NULL);
    if (c->lists && (!a->gallery || !a->queries))
        return misuse("which pictures? --gallery LIST --queries LIST", NULL);
    return TT_DONE;
}

static void interrupt(int signal)
{
    (void)signal;
    ken_interrupt();
}

int main(int argc, char **argv)
{
    tt_args a = { .views = 1, .captions = 1, .size = 96, .seed = 1, .mode = KN_TOY_MIXED };
    const command *cmd = NULL;
    const struct sigaction stop = { .sa_handler = interrupt, .sa_flags = SA_RESTART };
    int c, status = TT_DONE;
    a.threads = kn_processors();
    while (status == TT_DONE && (c = getopt_long(argc, argv, "o:qh", longs, NULL)) != -1)
        if (!set_plain(&a, c))
            status = set_option(&a, c);
    if (status == TT_DONE)
        status = choose(&cmd, argc, argv);
    if (status == TT_DONE)
        status = check(cmd, &a);
    if (status != TT_DONE)
        return status < 0 ? TT_DONE : status;
    a.quiet |= !isatty(STDERR_FILENO);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    status = cmd->run(&a);
    if (fflush(stdout) || ferror(stdout)) {
        fputs("ken-toys: standard output cannot be written\n", stderr);
        status = TT_WRONG_USE;
    }
    return status;
}
