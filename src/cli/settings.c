/* settings.c - built-in < /etc/ken/ken.yaml < $XDG_CONFIG_HOME/ken/ken.yaml < .ken/ken.yaml upward
 * from here (or --config, a file or a preset) < KEN_* < flags. */
#include "cli/cmd.h"
#include "cli/config.h"
#include "cli/mem.h"
#include "cli/option.h"
#include "cli/paths.h"
#include "cli/say.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 4, MAX_BYTES = 1 << 20 };

static char *files[MAX_FILES + 1];
static size_t n_files;

const char *const *cli_settings_files(void)
{
    return (const char *const *)files;
}

static void forget_files(void)
{
    for (size_t i = 0; i < n_files; i++)
        cli_mem_free(files[i]);
    memset(files, 0, sizeof files);
    n_files = 0;
}

void cli_settings_free(void)
{
    forget_files();
    cli_options_free(0);
}

typedef struct source {
    const char *file;
    char *folder;
    cli_cmd_id cmd;
} source;

/* One path of a file of settings: ~/ is home, what is relative starts at the file's folder. */
static char *rooted(const char *path, const char *folder)
{
    const char *home = getenv("HOME");
    if (path[0] == '~' && path[1] == '/' && home)
        return cli_path_in(home, path + 2);
    return *path == '/' ? cli_mem_text(path) : cli_path_in(folder, path);
}

static char *rooted_list(const char *list, const char *folder)
{
    char *out = NULL;
    while (*list) {
        size_t len = strcspn(list, ":");
        char *part = cli_mem_textn(list, len), *path = rooted(part, folder);
        char *longer = out ? cli_mem_textf("%s:%s", out, path) : cli_mem_text(path);
        cli_mem_free(part);
        cli_mem_free(path);
        cli_mem_free(out);
        out = longer;
        list += len + (list[len] == ':');
    }
    return out ? out : cli_mem_text("");
}

static char *in_file(cli_opt_id id, const char *value, const char *folder)
{
    int is_file = id == OPT_MODEL && (value[0] == '.' || value[0] == '~');
    if (cli_options[id].type == OPT_LIST)
        return rooted_list(value, folder);
    return cli_options[id].type == OPT_PATH || is_file ? rooted(value, folder)
                                                       : cli_mem_text(value);
}

/* "search.min" or "db" to an entry; OPT_COUNT if there is none.  *cmd: whose, CMD_COUNT for all. */
static cli_opt_id find_key(const char *key, cli_cmd_id *cmd)
{
    const char *dot = strchr(key, '.');
    *cmd = CMD_COUNT;
    if (!strcmp(key, "auth.keys_file")) { /* the name that other servers' settings have for it */
        *cmd = CMD_SERVE;
        return OPT_SERVE_KEYS;
    }
    if (dot) {
        char *name = cli_mem_textn(key, (size_t)(dot - key));
        *cmd = cli_cmd_find(name);
        cli_mem_free(name);
        if (*cmd == CMD_COUNT)
            return OPT_COUNT;
        key = dot + 1;
    }
    cli_opt_id id = cli_option_find(key, strlen(key), *cmd);
    if (id == OPT_COUNT || cli_options[id].traits & CLI_FLAG_ONLY ||
        (cli_options[id].commands == CLI_EVERY) != (*cmd == CMD_COUNT) || id == OPT_CONFIG)
        return OPT_COUNT;
    return id;
}

static int from_file(const char *key, const char *value, unsigned long line, cli_config_error *err,
                     void *cookie)
{
    const source *s = cookie;
    cli_cmd_id cmd;
    cli_opt_id id = find_key(key, &cmd);
    if (id == OPT_COUNT) {
        snprintf(err->what, sizeof err->what, "unknown key %.100s", key);
        return -1;
    }
    if (cmd != CMD_COUNT && s->cmd != CMD_COUNT && cmd != s->cmd)
        return 0; /* another command's; `ken config` looks at them all */
    char *rooted_value = in_file(id, value, s->folder);
    char *origin = cli_mem_textf("%s:%lu", s->file, line);
    const char *why = cli_option_set(id, rooted_value, LAYER_FILE, origin);
    if (why)
        snprintf(err->what, sizeof err->what, "%.80s: %s%.80s", key,
                 why == cli_options[id].choices ? "expects one of " : "", why);
    cli_mem_free(rooted_value);
    cli_mem_free(origin);
    return why ? -1 : 0;
}

/* A missing file is no error unless it was asked for. */
static int read_file(const char *path, cli_cmd_id cmd, int asked)
{
    size_t len;
    cli_config_error err;
    errno = 0;
    char *bytes = cli_read_file(path, MAX_BYTES, &len);
    if (!bytes && !asked && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!bytes)
        return cli_error("%s: %s", path, strerror(errno));
    files[n_files++] = cli_mem_text(path);
    source s = { path, cli_path_folder(path), cmd };
    int bad = cli_config_parse(bytes, len, from_file, &s, &err);
    if (bad)
        bad = cli_error("%s:%lu: %s", path, err.line, err.what);
    cli_mem_free(s.folder);
    cli_mem_free(bytes);
    return bad;
}

/* Settings that go together, by a name in place of a file's. */
typedef struct preset {
    const char *name, *yaml;
} preset;
static const preset presets[] = {
    { "dev", /* to try things out on one's own machine */
      "verbose: true\n"
      "serve:\n"
      "  listen: 127.0.0.1:8787\n"
      "  shims: true\n"
      "  timeout: 300\n" },
    { "prod", /* a service for others: behind keys, on every address, nothing read but what was indexed below
                 its own folder */
      "color: never\n"
      "progress: none\n"
      "wait: 5\n"
      "offline: true\n"
      "serve:\n"
      "  listen: 0.0.0.0:8787\n"
      "  keys-file: /etc/ken/keys\n"
      "  roots: /var/lib/ken\n"
      "  max-body: 16\n"
      "  max-pixels: 25\n" },
};

static int read_preset(const preset *p, cli_cmd_id cmd)
{
    cli_config_error err;
    files[n_files] = cli_mem_textf("preset %s", p->name);
    source s = { files[n_files++], cli_mem_text("/"), cmd };
    int bad = cli_config_parse(p->yaml, strlen(p->yaml), from_file, &s, &err);
    if (bad)
        bad = cli_error("preset %s:%lu: %s", p->name, err.line, err.what);
    cli_mem_free(s.folder);
    return bad;
}

/* What --config names. */
static int read_asked(const char *name, cli_cmd_id cmd)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (!strcmp(name, presets[i].name))
            return read_preset(&presets[i], cmd);
    return read_file(name, cmd, 1);
}

static int read_files(cli_cmd_id cmd)
{
    const char *asked = cli_opt(OPT_CONFIG) ? cli_opt(OPT_CONFIG) : getenv("KEN_CONFIG");
    int bad = read_file("/etc/ken/ken.yaml", cmd, 0);
    char *mine = cli_path_xdg("XDG_CONFIG_HOME", ".config", "ken/ken.yaml");
    if (!bad && mine)
        bad = read_file(mine, cmd, 0);
    cli_mem_free(mine);
    if (!bad && asked && *asked)
        return read_asked(asked, cmd);
    char *near = cli_path_upward(".ken/ken.yaml");
    if (!bad && near)
        bad = read_file(near, cmd, 0);
    cli_mem_free(near);
    return bad;
}

/* KEN_NAME, or KEN_COMMAND_NAME. */
static char *variable(cli_opt_id id, cli_cmd_id cmd)
{
    const cli_option *o = &cli_options[id];
    char *name = o->commands == CLI_EVERY
                     ? cli_mem_textf("KEN_%s", o->name)
                     : cli_mem_textf("KEN_%s_%s", cli_commands[cmd]->name, o->name);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return name;
}

static int read_variables(cli_cmd_id cmd)
{
    int bad = 0;
    for (int i = 0; !bad && i < OPT_COUNT; i++) {
        cli_opt_id id = (cli_opt_id)i;
        if (cli_options[i].traits & CLI_FLAG_ONLY || !cli_option_takes(id, cmd))
            continue;
        char *name = variable(id, cmd);
        const char *value = getenv(name);
        const char *why = value && *value ? cli_option_set(id, value, LAYER_VARIABLE, name) : NULL;
        if (why)
            bad = cli_error("%s=%s: %s%s", name, value,
                            why == cli_options[i].choices ? "expects one of " : "", why);
        cli_mem_free(name);
    }
    return bad;
}

int cli_settings_load(cli_cmd_id cmd)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (cli_options[i].initial)
            (void)cli_option_set((cli_opt_id)i, cli_options[i].initial, LAYER_BUILT_IN, "built-in");
    int bad = read_files(cmd);
    return bad ? bad : read_variables(cmd);
}

int cli_settings_reload(cli_cmd_id cmd)
{
    forget_files();
    cli_options_free(1);
    return cli_settings_load(cmd);
}

int cli_settings_refresh(cli_cmd_id cmd)
{
    forget_files();
    cli_options_keep_flags();
    return cli_settings_load(cmd);
}
