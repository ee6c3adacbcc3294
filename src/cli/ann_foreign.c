/* ann_foreign.c - ken ann import, ken ann export: files of faiss and hnswlib. */
#include "cli/ann.h"
#include "cli/out.h"
#include "cli/progress.h"

int cli_ann_import(const cli_args *a)
{
    const char *out = cli_opt(OPT_ANN_OUTPUT);
    ken_index *ix = NULL;
    if (a->n != 2 || !out)
        return cli_misuse("ann import takes a file of faiss or hnswlib and -o INDEX");
    const char *path = a->operands[1].text;
    ken_index_options o = cli_ann_options(0, NULL);
    if (cli_opt_layer(OPT_ANN_METRIC) <= LAYER_BUILT_IN)
        o.metric = NULL; /* the file's own */
    const double start = cli_now();
    ken_status st = ken_index_import(&ix, path, &o);
    int bad = st ? cli_complain(st, ABOUT_INPUT, path) : 0;
    if (!bad) {
        st = ken_index_save(ix, out);
        bad = st ? cli_ann_complain(st, out) : 0;
    }
    cli_progress_hide();
    if (!bad)
        cli_ann_say(ix, out, cli_now() - start);
    ken_index_free(ix);
    return bad;
}

int cli_ann_export(const cli_args *a)
{
    const char *out = cli_opt(OPT_ANN_OUTPUT), *to = cli_opt(OPT_ANN_TO);
    ken_index *ix = NULL;
    if (a->n != 2 || !out || !to)
        return cli_misuse("ann export takes an index, --to faiss or hnswlib, and -o FILE");
    const char *path = a->operands[1].text;
    const double start = cli_now();
    int bad = cli_ann_open(&ix, path, 0);
    if (!bad) {
        const ken_status st = ken_index_export(ix, to, out);
        bad = st == KEN_E_UNSUPPORTED ? cli_complain(st, ABOUT_INPUT, path)
              : st                    ? cli_ann_complain(st, path)
                                      : 0;
    }
    if (!bad)
        cli_ann_say(ix, out, cli_now() - start);
    ken_index_free(ix);
    return bad;
}
