/* cmd_doctor.c - what this build and this machine offer, and what is wrong. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"

#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct findings {
    cJSON *libraries, *problems; /* arrays of strings */
    size_t models;
} findings;

static int on_library(struct dl_phdr_info *info, size_t size, void *cookie)
{
    (void)size;
    const char *name = cli_path_name(info->dlpi_name);
    if (*name && strncmp(name, "linux-vdso", 10))
        cJSON_AddItemToArray(cookie, cJSON_CreateString(name));
    return 0;
}

static void problem(findings *f, const char *fmt, const char *what)
{
    char *text = cli_mem_textf(fmt, what);
    int valid;
    char *clean = cli_utf8_clean(text, 1, &valid);
    cJSON_AddItemToArray(f->problems, cJSON_CreateString(clean));
    cli_mem_free(clean);
    cli_mem_free(text);
}

static int on_model(const char *path, const ken_model_info *info, void *cookie)
{
    findings *f = cookie;
    f->models += info != NULL;
    if (!info) {
        char *both = cli_mem_textf("%s: %s", path, ken_last_error());
        problem(f, "model %s", both);
        cli_mem_free(both);
    }
    return 0;
}

static void look_at_models(findings *f)
{
    if (ken_models_list(cli_opt(OPT_MODELS), on_model, f))
        problem(f, "models: %s", ken_last_error());
    else if (!f->models)
        problem(f, "%s", "no model is installed; `ken-convert` makes one from a checkpoint");
}

static void look_at_collection(findings *f)
{
    ken *db = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    o.read_only = 1;
    o.store = cli_opt(OPT_STORE);
    o.models = cli_model_options();
    char *dir = cli_collection_dir();
    ken_status st = ken_open(&db, dir, &o);
    const ken_model *m;
    if (st == KEN_E_NOTFOUND && !cli_opt(OPT_DB))
        st = KEN_OK; /* none was made yet */
    else if (st)
        problem(f, "collection: %s", ken_last_error());
    else if (ken_get_model(db, &m))
        problem(f, "collection: %s", ken_last_error());
    ken_close(db);
    cli_mem_free(dir);
}

/* A capped level is the most common reason of a slow ken. */
static void look_at_level(findings *f)
{
    const char *levels = ken_cpu_levels(), *last = strrchr(levels, ' ');
    if (strcmp(last ? last + 1 : levels, ken_cpu_level()))
        problem(f, "KEN_CPU keeps this machine at level %s", ken_cpu_level());
}

static uint32_t threads(void)
{
    long n = cli_opt_whole(OPT_THREADS);
    return (uint32_t)(n > 0 ? n : sysconf(_SC_NPROCESSORS_ONLN));
}

static void split_words(cJSON *to, const char *name, const char *words)
{
    cJSON *list = cJSON_CreateArray();
    while (*words) {
        size_t len = strcspn(words, " ");
        char *word = cli_mem_textn(words, len);
        if (len)
            cJSON_AddItemToArray(list, cJSON_CreateString(word));
        cli_mem_free(word);
        words += len + (words[len] == ' ');
    }
    cJSON_AddItemToObject(to, name, list);
}

static void say_json(findings *f)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "version", ken_version());
    split_words(o, "features", ken_features());
    split_words(o, "levels", ken_cpu_levels());
    cJSON_AddStringToObject(o, "level", ken_cpu_level());
    cJSON_AddNumberToObject(o, "threads", threads());
    cJSON_AddItemToObject(o, "libraries", f->libraries);
    cJSON_AddItemToObject(o, "problems", f->problems);
    cli_json_say(o);
}

static void say_text(const findings *f)
{
    const cJSON *item;
    printf("version    %s\nfeatures   %s\n", ken_version(), ken_features());
    printf("levels     %s; in force: %s\n", ken_cpu_levels(), ken_cpu_level());
    printf("threads    %u\nlibraries ", threads());
    cJSON_ArrayForEach(item, f->libraries) printf(" %s", item->valuestring);
    printf("\nsettings  ");
    for (const char *const *file = cli_settings_files(); *file; file++)
        printf(" %s", *file);
    printf("%s\nmodels     %zu\n", *cli_settings_files() ? "" : " no files", f->models);
    cJSON_ArrayForEach(item, f->problems) printf("problem    %s\n", item->valuestring);
    if (!cJSON_GetArraySize(f->problems))
        puts("no problems");
}

static int run(const cli_args *a)
{
    findings f = { cJSON_CreateArray(), cJSON_CreateArray(), 0 };
    (void)a;
    look_at_level(&f);
    look_at_models(&f);
    look_at_collection(&f);
    dl_iterate_phdr(on_library, f.libraries);
    if (cli_out_is_json()) {
        say_json(&f);
        return 0;
    }
    say_text(&f);
    cJSON_Delete(f.libraries);
    cJSON_Delete(f.problems);
    return 0;
}

const cli_cmd cli_cmd_doctor = {
    .name = "doctor",
    .args = "",
    .summary = "what this build and machine offer, and what is wrong",
    .examples = "ken doctor --json\tfor a bug report\n",
    .run = run,
};
