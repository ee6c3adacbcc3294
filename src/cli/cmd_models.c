/* cmd_models.c - which models are there, whether one is whole, and getting more. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/models_get.h"
#include "cli/out.h"
#include "ken.h"

#include <stdio.h>
#include <string.h>

typedef struct listing {
    cli_mode mode;
    cli_table table;
    cJSON *all;
    size_t found, broken;
} listing;

static cJSON *to_json(const ken_model_info *i)
{
    cJSON *o = cJSON_CreateObject(), *input = cJSON_CreateArray();
    cli_json_text(o, "name", i->name);
    cli_json_path(o, "path", i->path);
    cli_json_text(o, "arch", i->arch);
    cJSON_AddNumberToObject(o, "dim", i->dim);
    cJSON_AddItemToArray(input, cJSON_CreateNumber(i->input[0]));
    cJSON_AddItemToArray(input, cJSON_CreateNumber(i->input[1]));
    cJSON_AddItemToObject(o, "input", input);
    cJSON_AddBoolToObject(o, "text", i->has_texts);
    cli_json_text(o, "tokenizer", i->tokenizer);
    cJSON_AddNumberToObject(o, "bytes", (double)i->bytes);
    cli_json_text(o, "dtype", i->dtype);
    cli_json_text(o, "licence", i->licence);
    cli_json_text(o, "fingerprint", i->fingerprint);
    return o;
}

static void to_row(cli_table *t, const ken_model_info *i)
{
    cli_table_cell(t, "%s", i->name);
    cli_table_cell(t, "%s", i->arch);
    cli_table_cell(t, "%u", i->dim);
    cli_table_cell(t, "%ux%u", i->input[0], i->input[1]);
    cli_table_cell(t, "%s", *i->tokenizer ? i->tokenizer : "-");
    cli_table_cell(t, "%.1f MB", (double)i->bytes / 1e6);
    cli_table_cell(t, "%s", i->dtype);
    cli_table_cell(t, "%s", *i->licence ? i->licence : "-");
    cli_table_cell(t, "%.12s", i->fingerprint);
}

static void to_csv(const ken_model_info *i)
{
    cli_csv_field(i->name, ',');
    cli_csv_field(i->path, ',');
    cli_csv_field(i->arch, ',');
    printf("%u,%u,%u,%s,%s,%llu,%s,", i->dim, i->input[0], i->input[1],
           i->has_texts ? "true" : "false", i->tokenizer, (unsigned long long)i->bytes, i->dtype);
    cli_csv_field(i->licence, ',');
    printf("%s\n", i->fingerprint);
}

static int one(const char *path, const ken_model_info *info, void *cookie)
{
    listing *l = cookie;
    if (!info) {
        cli_tell(path, ken_last_error());
        l->broken++;
        return 0;
    }
    l->found++;
    if (l->mode == OUT_JSON)
        cJSON_AddItemToArray(l->all, to_json(info));
    else if (l->mode == OUT_JSONL)
        cli_json_say_line(to_json(info));
    else if (l->mode == OUT_CSV)
        to_csv(info);
    else
        to_row(&l->table, info);
    return ken_interrupted();
}

static int list(void)
{
    static const char *const columns[] = { "name",   "arch",   ">dim",    ">input",     "tokenizer",
                                           ">bytes", "stored", "licence", "fingerprint" };
    listing l = { .mode = cli_out_mode(), .table = CLI_TABLE(columns) };
    l.all = l.mode == OUT_JSON ? cJSON_CreateArray() : NULL;
    if (l.mode == OUT_CSV)
        puts("name,path,arch,dim,height,width,text,tokenizer,bytes,dtype,licence,fingerprint");
    ken_status st = ken_models_list(cli_opt(OPT_MODELS), one, &l);
    cli_table_end(&l.table);
    if (l.all)
        cli_json_say(l.all);
    if (st)
        return cli_complain(st, ABOUT_MODEL, NULL);
    if (!l.found && !l.broken)
        cli_note("no models yet; `ken models get` or `ken-convert` makes one");
    return l.broken ? CLI_EXIT_SOME : l.found ? 0 : CLI_EXIT_NONE;
}

typedef struct wanted {
    const char *name;
    char *path;
} wanted;

static int is_wanted(const char *path, const ken_model_info *info, void *cookie)
{
    wanted *w = cookie;
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t len = strlen(w->name);
    if (info ? strcmp(info->name, w->name)
             : strncmp(file, w->name, len) || strcmp(file + len, ".safetensors"))
        return 0;
    w->path = cli_mem_text(path);
    return 1;
}

static int check(const char *name)
{
    wanted w = { name, NULL };
    int code = 0;
    ken_status st =
        strchr(name, '/') ? KEN_OK : ken_models_list(cli_opt(OPT_MODELS), is_wanted, &w);
    if (!w.path)
        w.path = cli_mem_text(name);
    if (!st)
        st = ken_model_check(w.path);
    if (st)
        code = cli_complain(st, ABOUT_MODEL, name);
    else if (cli_out_is_json())
        printf("{\"ok\":true}\n");
    else
        printf("%s: ok\n", name);
    cli_mem_free(w.path);
    return code;
}

static int run(const cli_args *a)
{
    const int is_get = a->n && !strcmp(a->operands[0].text, "get");
    if (a->n > (is_get ? 2u : 0u))
        return cli_misuse("models takes no argument %s", a->operands[is_get ? 2 : 0].text);
    if (is_get)
        return cli_models_get(a->n == 2 ? a->operands[1].text : NULL);
    return cli_opt(OPT_MODELS_CHECK) ? check(cli_opt(OPT_MODELS_CHECK)) : list();
}

const cli_cmd cli_cmd_models = {
    .name = "models",
    .args = "[get [NAME]]",
    .summary = "the models found, --check one, or get a publisher's",
    .about =
        "Looks into --models, $KEN_MODELS, $XDG_DATA_HOME/ken/models, the installed ones and,\n"
        "in a build tree, weights/.\n"
        "get fetches a publisher's file into the first of these, compares its SHA-256, and makes a\n"
        "model of it with ken-convert.  Cut off, it goes on where it was.  Without NAME it lists what\n"
        "can be had; a table of your own has lines NAME SHA256 LICENCE URL [ARGUMENT of ken-convert...].",
    .examples = "ken models --json\tname, architecture, size, licence of each\n"
                "ken models --check clip-b32\tread all of it and verify its checksum\n"
                "ken models get\twhat publishers have\n"
                "ken models get ViT-B-32::openai\tfetch and convert it\n"
                "ken models get ViT-B-32::openai --from http://mirror.lan/models\tfrom a mirror\n",
    .run = run,
};
