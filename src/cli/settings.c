/* settings.c - built-in < /etc/ken/ken.yaml < $XDG_CONFIG_HOME/ken/ken.yaml < .ken/ken.yaml upward
 * from here (or --config) < KEN_* < flags. */
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

const char *const *kn_settings_files(void)
{
    return (const char *const *)files;
}

static void forget_files(void)
{
    for (size_t i = 0; i < n_files; i++)
        kn_mem_free(files[i]);
    memset(files, 0, sizeof files);
    n_files = 0;
}

void kn_settings_free(void)
{
    forget_files();
    kn_options_free(0);
}

typedef struct source {
    const char *file;
    char *folder;
    kn_cmd_id cmd;
} source;

/* One path of a file of settings: ~/ is home, what is relative starts at the file's folder. */
static char *rooted(const char *path, const char *folder)
{
    const char *home = getenv("HOME");
    if (path[0] == '~' && path[1] == '/' && home)
        return kn_path_in(home, path + 2);
    return *path == '/' ? kn_mem_text(path) : kn_path_in(folder, path);
}

static char *rooted_list(const char *list, const char *folder)
{
    char *out = NULL;
    while (*list) {
        size_t len = strcspn(list, ":");
        char *part = kn_mem_textn(list, len), *path = rooted(part, folder);
        char *longer = out ? kn_mem_textf("%s:%s", out, path) : kn_mem_text(path);
        kn_mem_free(part);
        kn_mem_free(path);
        kn_mem_free(out);
        out = longer;
        list += len + (list[len] == ':');
    }
    return out ? out : kn_mem_text("");
}

static char *in_file(kn_opt_id id, const char *value, const char *folder)
{
    int is_file = id == OPT_MODEL && (value[0] == '.' || value[0] == '~');
    if (kn_options[id].type == OPT_LIST)
        return rooted_list(value, folder);
    return kn_options[id].type == OPT_PATH || is_file ? rooted(value, folder) : kn_mem_text(value);
}

/* "search.min" or "db" to an entry; OPT_COUNT if there is none.  *cmd: whose, CMD_COUNT for all. */
static kn_opt_id find_key(const char *key, kn_cmd_id *cmd)
{
    const char *dot = strchr(key, '.');
    *cmd = CMD_COUNT;
    if (dot) {
        char *name = kn_mem_textn(key, (size_t)(dot - key));
        *cmd = kn_cmd_find(name);
        kn_mem_free(name);
        if (*cmd == CMD_COUNT)
            return OPT_COUNT;
        key = dot + 1;
    }
    kn_opt_id id = kn_option_find(key, strlen(key), *cmd);
    if (id == OPT_COUNT || kn_options[id].transient ||
        (kn_options[id].commands == KN_EVERY) != (*cmd == CMD_COUNT) || id == OPT_CONFIG)
        return OPT_COUNT;
    return id;
}

static int from_file(const char *key, const char *value, unsigned long line, kn_config_error *err,
                     void *cookie)
{
    const source *s = cookie;
    kn_cmd_id cmd;
    kn_opt_id id = find_key(key, &cmd);
    if (id == OPT_COUNT) {
        snprintf(err->what, sizeof err->what, "unknown key %.100s", key);
        return -1;
    }
    if (cmd != CMD_COUNT && s->cmd != CMD_COUNT && cmd != s->cmd)
        return 0; /* another command's; `ken config` looks at them all */
    char *rooted_value = in_file(id, value, s->folder);
    char *origin = kn_mem_textf("%s:%lu", s->file, line);
    const char *why = kn_option_set(id, rooted_value, LAYER_FILE, origin);
    if (why)
        snprintf(err->what, sizeof err->what, "%.80s: %s%.80s", key,
                 why == kn_options[id].choices ? "expects one of " : "", why);
    kn_mem_free(rooted_value);
    kn_mem_free(origin);
    return why ? -1 : 0;
}

/* A missing file is no error unless it was asked for. */
static int read_file(const char *path, kn_cmd_id cmd, int asked)
{
    size_t len;
    kn_config_error err;
    errno = 0;
    char *bytes = kn_read_file(path, MAX_BYTES, &len);
    if (!bytes && !asked && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!bytes)
        return kn_error("%s: %s", path, strerror(errno));
    files[n_files++] = kn_mem_text(path);
    source s = { path, kn_path_folder(path), cmd };
    int bad = kn_config_parse(bytes, len, from_file, &s, &err);
    if (bad)
        bad = kn_error("%s:%lu: %s", path, err.line, err.what);
    kn_mem_free(s.folder);
    kn_mem_free(bytes);
    return bad;
}

static int read_files(kn_cmd_id cmd)
{
    const char *asked = kn_opt(OPT_CONFIG) ? kn_opt(OPT_CONFIG) : getenv("KEN_CONFIG");
    int bad = read_file("/etc/ken/ken.yaml", cmd, 0);
    char *mine = kn_path_xdg("XDG_CONFIG_HOME", ".config", "ken/ken.yaml");
    if (!bad && mine)
        bad = read_file(mine, cmd, 0);
    kn_mem_free(mine);
    if (!bad && asked && *asked)
        return read_file(asked, cmd, 1);
    char *near = kn_path_upward(".ken/ken.yaml");
    if (!bad && near)
        bad = read_file(near, cmd, 0);
    kn_mem_free(near);
    return bad;
}

/* KEN_NAME, or KEN_COMMAND_NAME. */
static char *variable(kn_opt_id id, kn_cmd_id cmd)
{
    const kn_option *o = &kn_options[id];
    char *name = o->commands == KN_EVERY
                     ? kn_mem_textf("KEN_%s", o->name)
                     : kn_mem_textf("KEN_%s_%s", kn_commands[cmd]->name, o->name);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return name;
}

static int read_variables(kn_cmd_id cmd)
{
    int bad = 0;
    for (int i = 0; !bad && i < OPT_COUNT; i++) {
        kn_opt_id id = (kn_opt_id)i;
        if (kn_options[i].transient || !kn_option_takes(id, cmd))
            continue;
        char *name = variable(id, cmd);
        const char *value = getenv(name);
        const char *why = value && *value ? kn_option_set(id, value, LAYER_VARIABLE, name) : NULL;
        if (why)
            bad = kn_error("%s=%s: %s%s", name, value,
                           why == kn_options[i].choices ? "expects one of " : "", why);
        kn_mem_free(name);
    }
    return bad;
}

int kn_settings_load(kn_cmd_id cmd)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (kn_options[i].initial)
            (void)kn_option_set((kn_opt_id)i, kn_options[i].initial, LAYER_BUILT_IN, "built-in");
    int bad = read_files(cmd);
    return bad ? bad : read_variables(cmd);
}

int kn_settings_reload(kn_cmd_id cmd)
{
    forget_files();
    kn_options_free(1);
    return kn_settings_load(cmd);
}
