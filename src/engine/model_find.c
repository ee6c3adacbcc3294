/* model_find.c - a name to a file, in the order that ken.h promises. */
#include "engine/model_find.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST = 1 << 16, PARENTS = 5 };
#define ENDING ".safetensors"

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* Each part of a list with ':' between. */
static ken_status tell_list(const char *dirs, kn_folder_fn fn, void *cookie)
{
    ken_status st = KEN_OK;
    while (dirs && *dirs && !st) {
        const size_t n = strcspn(dirs, ":");
        char *one = kn_strndup(dirs, n);
        if (!one)
            return KEN_E_NOMEM;
        if (n)
            st = fn(one, cookie);
        kn_free(one);
        dirs += n + (dirs[n] == ':');
    }
    return st;
}

static ken_status tell_data_home(kn_folder_fn fn, void *cookie)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    kn_buf b;
    ken_status st = KEN_OK;
    kn_buf_init(&b, LONGEST);
    if (xdg && *xdg)
        st = kn_buf_addf(&b, "%s/ken/models", xdg);
    else if (home && *home)
        st = kn_buf_addf(&b, "%s/.local/share/ken/models", home);
    if (!st && b.len)
        st = fn(b.data, cookie);
    kn_buf_release(&b);
    return st;
}

/* A program in a build tree lies a few folders below the one that holds src/ken.h. */
static ken_status tell_build_tree(kn_folder_fn fn, void *cookie)
{
    char at[4096], path[4096 + 16];
    const ssize_t n = readlink("/proc/self/exe", at, sizeof at - 1);
    if (n <= 0)
        return KEN_OK;
    at[n] = 0;
    for (int i = 0; i < PARENTS; i++) {
        char *slash = strrchr(at, '/');
        if (!slash || slash == at)
            return KEN_OK;
        *slash = 0;
        snprintf(path, sizeof path, "%s/src/ken.h", at);
        if (!is_file(path))
            continue;
        snprintf(path, sizeof path, "%s/weights", at);
        return fn(path, cookie);
    }
    return KEN_OK;
}

ken_status kn_model_folders(const char *dirs, kn_folder_fn fn, void *cookie)
{
    const char *env = getenv("KEN_MODELS"); /* what the program hands over as dirs, if nothing else is said */
    ken_status st = tell_list(dirs, fn, cookie);
    if (!st && env && (!dirs || strcmp(dirs, env)))
        st = tell_list(env, fn, cookie);
    if (!st)
        st = tell_data_home(fn, cookie);
    if (!st)
        st = fn(KEN_PREFIX "/share/ken/models", cookie);
    return st ? st : tell_build_tree(fn, cookie);
}

typedef struct search {
    const char *name;
    char *found;
    kn_buf looked;
} search;

static ken_status look_in(const char *folder, void *cookie)
{
    search *s = cookie;
    kn_buf b;
    kn_buf_init(&b, LONGEST);
    ken_status st = kn_buf_addf(&b, "%s/%s" ENDING, folder, s->name);
    if (!st && !s->found && is_file(b.data)) {
        s->found = kn_buf_take(&b);
        st = s->found ? KEN_OK : KEN_E_NOMEM;
    }
    kn_buf_release(&b);
    return st ? st : kn_buf_addf(&s->looked, s->looked.len ? ", %s" : "%s", folder);
}

ken_status kn_model_find(char **out, const char *name, const char *dirs)
{
    search s = { .name = name };
    if (strchr(name, '/') || is_file(name)) {
        *out = kn_strdup(name);
        return *out ? KEN_OK : KEN_E_NOMEM;
    }
    kn_buf_init(&s.looked, LONGEST);
    ken_status st = kn_model_folders(dirs, look_in, &s);
    if (!st && !s.found)
        st = kn_fail(KEN_E_MODEL, "no model \"%s\" (%s" ENDING ") in %s", name, name, s.looked.data);
    if (st)
        kn_free(s.found);
    else
        *out = s.found;
    kn_buf_release(&s.looked);
    return st;
}
