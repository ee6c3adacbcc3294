/* open.c - from flags to handles. */
#include "cli/open.h"

#include "cli/color.h"
#include "cli/mem.h"
#include "cli/option.h"
#include "cli/paths.h"
#include "cli/remote.h"
#include "cli/say.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cli_decode_options(ken_decode_options *d)
{
    const char *color = cli_opt(OPT_BACKGROUND);
    *d = (ken_decode_options)KEN_DECODE_OPTIONS_INIT;
    d->no_orient = (uint8_t)cli_opt_on(OPT_NO_ORIENT);
    if (!color)
        return 0;
    d->has_background = 1;
    return cli_color_parse(color, d->background)
               ? cli_misuse("--background %s: expects #rrggbb or a CSS colour", color)
               : 0;
}

ken_model_options cli_model_options(void)
{
    ken_model_options o = KEN_MODEL_OPTIONS_INIT;
    o.threads = (uint32_t)cli_opt_whole(OPT_THREADS);
    o.device = cli_opt(OPT_DEVICE);
    o.precision = cli_opt(OPT_PRECISION);
    o.dirs = cli_opt(OPT_MODELS);
    o.encode = cli_remote_wanted() ? cli_remote_encode : NULL;
    return o;
}

static int check_encoder(void)
{
    const char *e = cli_opt(OPT_ENCODER);
    if (!strcmp(e, "auto") || !strcmp(e, "none"))
        return 0;
    if (!cli_remote_wanted())
        return cli_misuse("--encoder %s: expects auto, none, http://HOST:PORT or unix:PATH", e);
    if (cli_opt_on(OPT_OFFLINE) && strncmp(e, "unix:", 5) != 0)
        return cli_misuse("--encoder %s, but --offline", e);
    return 0;
}

/* *cache is the caller's to free. */
static int collection_options(ken_options *o, cli_access how, char **cache)
{
    *o = (ken_options)KEN_OPTIONS_INIT;
    o->cache = *cache = cli_cache_dir();
    o->cache_bytes = (uint64_t)cli_opt_whole(OPT_CACHE_SIZE) << 20;
    o->store = cli_opt(OPT_STORE);
    o->model = cli_opt(OPT_MODEL);
    o->models = cli_model_options();
    o->create = how == TO_CREATE || how == TO_INDEX;
    o->space = how == TO_INDEX ? cli_opt(OPT_INDEX_SPACE) : NULL;
    o->read_only = how == TO_READ;
    o->wait = cli_opt_real(OPT_WAIT);
    if (o->wait <= 0)
        o->wait = -1; /* to the library 0 is the default, to the user it is none */
    const int bad = check_encoder();
    return bad ? bad : cli_decode_options(&o->decode);
}

int cli_open_collection(ken **out, cli_access how)
{
    ken_options o;
    char *dir = cli_collection_dir(), *cache;
    int bad = collection_options(&o, how, &cache);
    const ken_status st = bad ? KEN_OK : ken_open(out, dir, &o);
    if (st)
        bad = cli_complain(st, ABOUT_COLLECTION, dir);
    cli_mem_free(cache);
    cli_mem_free(dir);
    return bad;
}

/* Neither --model nor a collection: the model that ships. */
static int usual_model(cli_model *m)
{
    const ken_model_options o = cli_model_options();
    if (!ken_model_open(&m->own, KEN_DEFAULT_MODEL, &o)) {
        m->model = m->own;
        return 0;
    }
    cli_error("no model: there is neither --model nor a collection here, and " KEN_DEFAULT_MODEL
              " is not installed");
    cli_note("`ken models` lists what is installed; `ken-convert` makes one from a checkpoint");
    return CLI_EXIT_MODEL;
}

static int from_collection(cli_model *m)
{
    ken_options o;
    char *dir = cli_collection_dir(), *cache;
    int bad = collection_options(&o, TO_READ, &cache);
    ken_status st = bad ? KEN_OK : ken_open(&m->db, dir, &o);
    if (st && st != KEN_E_NOTFOUND)
        bad = cli_complain(st, ABOUT_COLLECTION, dir);
    cli_mem_free(cache);
    cli_mem_free(dir);
    if (bad)
        return bad;
    if (st)
        return usual_model(m);
    st = ken_get_model(m->db, &m->model);
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : 0;
}

int cli_open_model(cli_model *m)
{
    *m = (cli_model){ 0 };
    const char *name = cli_opt(OPT_MODEL);
    int bad = check_encoder();
    if (bad)
        return bad;
    if (!name) {
        bad = from_collection(m);
    } else {
        ken_model_options o = cli_model_options();
        ken_status st = ken_model_open(&m->own, name, &o);
        if (st)
            bad = cli_complain(st, ABOUT_MODEL, name);
        m->model = m->own;
    }
    if (bad)
        cli_close_model(m);
    return bad;
}

int cli_open_text_model(cli_model *m)
{
    const int bad = cli_open_model(m);
    if (bad || ken_model_get_info(m->model)->has_texts)
        return bad;
    cli_error("%s: this model has no text network", ken_model_get_info(m->model)->name);
    cli_close_model(m);
    return CLI_EXIT_MODEL;
}

void cli_close_model(cli_model *m)
{
    ken_model_close(m->own);
    ken_close(m->db);
    *m = (cli_model){ 0 };
}

ken_status cli_find_item(ken *db, const char *name, uint64_t *id)
{
    const char *digits = strncmp(name, "id:", 3) ? name : name + 3;
    char *end;
    errno = 0;
    *id = strtoull(digits, &end, 10);
    if (isdigit((unsigned char)*digits) && !*end && !errno)
        return KEN_OK;
    return ken_find(db, name, id);
}
