/* cmd_serve.c - the HTTP API and the page. */
#include "cli/cmd.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

static const double PATIENCE = 30; /* seconds for running requests at the end */

static int numbers_wrong(void)
{
    static const struct {
        cli_opt_id id;
        long least, most;
    } all[] = { { OPT_SERVE_MAX_BODY, 1, 1024 },      { OPT_SERVE_MAX_PIXELS, 1, 268 },
                { OPT_SERVE_QUEUE, 1, 100000 },       { OPT_SERVE_WORKERS, 1, 256 },
                { OPT_SERVE_CONNECTIONS, 1, 100000 }, { OPT_SERVE_TIMEOUT, 1, 3600 } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const long v = cli_opt_whole(all[i].id);
        if (v < all[i].least || v > all[i].most)
            return cli_misuse("--%s %ld: expects %ld to %ld", cli_options[all[i].id].name, v, all[i].least,
                              all[i].most);
    }
    return 0;
}

/* *uploads is cli_mem_free's. */
static int server_options(ken_server_options *o, char **uploads)
{
    *o = (ken_server_options)KEN_SERVER_OPTIONS_INIT;
    const int bad = numbers_wrong();
    if (bad)
        return bad;
    o->listen = cli_opt(OPT_SERVE_LISTEN);
    o->roots = cli_opt(OPT_SERVE_ROOTS);
    o->api_key = cli_opt(OPT_API_KEY);
    o->keys_file = cli_opt(OPT_SERVE_KEYS) && *cli_opt(OPT_SERVE_KEYS) ? cli_opt(OPT_SERVE_KEYS) : NULL;
    o->max_body = (uint64_t)cli_opt_whole(OPT_SERVE_MAX_BODY) << 20;
    o->queue = (uint32_t)cli_opt_whole(OPT_SERVE_QUEUE);
    o->workers = (uint32_t)cli_opt_whole(OPT_SERVE_WORKERS);
    o->connections = (uint32_t)cli_opt_whole(OPT_SERVE_CONNECTIONS);
    o->timeout = (uint32_t)cli_opt_whole(OPT_SERVE_TIMEOUT);
    o->shims = cli_opt_on(OPT_SERVE_SHIMS);
    const int wrong = cli_decode_options(&o->decode);
    o->decode.max_pixels = (uint32_t)cli_opt_whole(OPT_SERVE_MAX_PIXELS) * 1000000;
    if (!wrong && !cli_opt_on(OPT_SERVE_ENCODER_ONLY)) {
        char *dir = cli_collection_dir();
        o->uploads = *uploads = cli_path_in(dir, "uploads");
        cli_mem_free(dir);
    }
    return wrong;
}

/* ---- the log ---- */

/* As they were at the start: other threads log while SIGHUP reads the settings anew. */
static int quiet, verbose;

static void log_line(ken_log_level level, const char *line, void *cookie)
{
    (void)cookie;
    if (!quiet && (level <= KEN_LOG_WARN || verbose))
        fprintf(stderr, "ken: %s\n", line);
}

/* ---- signals ---- */

static sigset_t awaited(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGINT);
    sigaddset(&s, SIGTERM);
    sigaddset(&s, SIGHUP);
    return s;
}

static void reload(ken_server *s)
{
    ken_server_options o;
    char *uploads = NULL;
    int bad = cli_settings_refresh(CMD_SERVE);
    bad = bad ? bad : server_options(&o, &uploads);
    if (!bad && ken_server_reload(s, &o))
        bad = cli_error("%s", ken_last_error());
    cli_note(bad ? "the settings stay as they were" : "keys and limits were read anew");
    cli_mem_free(uploads);
}

/* The folder of the collection as it was at the start. */
typedef struct place {
    char *dir; /* NULL: there is none */
    struct stat was;
} place;

static place here(void)
{
    place p = { 0 };
    if (!cli_opt_on(OPT_SERVE_ENCODER_ONLY))
        p.dir = cli_collection_dir();
    if (p.dir && stat(p.dir, &p.was) != 0)
        p.was.st_ino = 0;
    return p;
}

static int is_gone(const place *p)
{
    struct stat now;
    return p->dir
           && (stat(p->dir, &now) != 0 || now.st_ino != p->was.st_ino || now.st_dev != p->was.st_dev);
}

/* Until a signal says stop, which all threads have blocked; with --idle, until nobody asks any more. */
static void wait_for_end(ken_server *s)
{
    const sigset_t set = awaited();
    const double idle = cli_opt_real(OPT_IDLE);
    const struct timespec tick = { .tv_nsec = 250000000 };
    place p = here();
    for (int over = 0; !over;) {
        const int sig = idle > 0 ? sigtimedwait(&set, NULL, &tick) : sigwaitinfo(&set, NULL);
        if (sig == SIGHUP)
            reload(s);
        else if (sig < 0 && errno == EAGAIN)
            over = ken_server_idle(s) >= idle || is_gone(&p);
        else
            over = sig > 0;
    }
    cli_mem_free(p.dir);
    cli_note("finishing what runs");
    signal(SIGINT, SIG_DFL); /* who asks again doesn't want to wait */
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int serve(const ken_server_options *o)
{
    ken_server *s = NULL;
    const ken_status st = ken_server_start(&s, o);
    if (st)
        return cli_complain(st, st == KEN_E_MODEL ? ABOUT_MODEL : ABOUT_INPUT, NULL);
    for (size_t i = 0; ken_server_address(s, i); i++)
        printf("%s\n", ken_server_address(s, i));
    fflush(stdout);
    wait_for_end(s);
    ken_server_stop(s, PATIENCE);
    return 0;
}

static int run(const cli_args *a)
{
    ken_server_options o;
    cli_model m = { 0 };
    ken *db = NULL;
    char *uploads = NULL;
    const sigset_t set = awaited();
    if (a->n)
        return cli_misuse("serve takes no argument %s", a->operands[0].text);
    quiet = cli_opt_on(OPT_QUIET);
    verbose = cli_opt_on(OPT_VERBOSE);
    ken_set_logger(log_line, NULL);
    int code = server_options(&o, &uploads);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN); /* a client that goes away is none of our ends */
    if (!code && cli_opt_on(OPT_SERVE_ENCODER_ONLY))
        code = cli_open_model(&m);
    else if (!code)
        code = cli_open_collection(&db, cli_opt_on(OPT_SERVE_READ_ONLY) ? TO_READ : TO_WRITE);
    o.collection = db;
    o.model = m.model;
    if (!code)
        code = serve(&o);
    cli_close_model(&m);
    ken_close(db);
    cli_mem_free(uploads);
    return code;
}

const cli_cmd cli_cmd_serve = {
    .name = "serve",
    .args = "",
    .summary = "the HTTP API and the page",
    .about =
        "Prints where it listens, a line an address, and answers until Ctrl-C or SIGTERM; requests that\n"
        "run are finished.  / is the page, /v1/openapi.json says what else there is.  SIGHUP reads the\n"
        "settings' keys and limits anew.\n\n"
        "Anyone who can reach the address may use it, unless keys are set: KEN_API_KEY, or --keys-file\n"
        "with lines name:scope:digest, where scope is read, write or admin and the digest is what\n"
        "`printf %s KEY | sha256sum` prints.  Pictures that are sent are decoded in processes that can\n"
        "do nothing else.\n\n"
        "`ken search` and `ken recognize` start one of their own, read-only and for this user alone, so\n"
        "that the next query finds model and index open: on a terminal, and elsewhere where `encoder: auto`\n"
        "is set.  It listens in $XDG_RUNTIME_DIR/ken or ~/.cache/ken/run and ends when nobody has asked for\n"
        "--idle seconds, or its collection has gone.  --encoder none leaves it alone.",
    .examples = "ken serve\tthe page at http://127.0.0.1:8787\n"
                "ken serve --listen 0.0.0.0:80,unix:/run/ken.sock --keys-file /etc/ken/keys\tfor others\n"
                "ken serve --encoder-only --model ken-small\tembeddings alone\n",
    .run = run,
};
