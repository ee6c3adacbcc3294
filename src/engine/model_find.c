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

/* Who is told, and the folders that were. */
typedef struct telling {
    kn_folder_fn fn;
    void *cookie;
    kn_buf told; /* of struct folder_id */
} telling;

typedef struct folder_id {
    dev_t device;
    ino_t inode;
} folder_id;

static ken_status tell(telling *t, const char *folder)
{
    struct stat info;
    folder_id id = { 0 };
    if (stat(folder, &info) != 0)
        return t->fn(folder, t->cookie);
    id.device = info.st_dev;
    id.inode = info.st_ino;
    for (size_t at = 0; at < t->told.len; at += sizeof id)
        if (!memcmp(t->told.data + at, &id, sizeof id))
            return KEN_OK;
    const ken_status st = kn_buf_add(&t->told, &id, sizeof id);
    return st ? st : t->fn(folder, t->cookie);
}

/* Each part of a list with ':' between. */
static ken_status tell_list(telling *t, const char *dirs)
{
    ken_status st = KEN_OK;
    while (dirs && *dirs && !st) {
        const size_t n = strcspn(dirs, ":");
        char *one = kn_strndup(dirs, n);
        if (!one)
            return KEN_E_NOMEM;
        if (n)
            st = tell(t, one);
        kn_free(one);
        dirs += n + (dirs[n] == ':');
    }
    return st;
}

static ken_status tell_data_home(telling *t)
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
        st = tell(t, b.data);
    kn_buf_release(&b);
    return st;
}

/* A program in a build tree lies a few folders below the one that holds src/ken.h. */
static ken_status tell_build_tree(telling *t)
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
        return tell(t, path);
    }
    return KEN_OK;
}

ken_status kn_model_folders(const char *dirs, kn_folder_fn fn, void *cookie)
{
    const char *env = getenv("KEN_MODELS"); /* what the program hands over as dirs, if nothing else is said */
    telling t = { .fn = fn, .cookie = cookie };
    kn_buf_init(&t.told, LONGEST);
    ken_status st = tell_list(&t, dirs);
    if (!st && env && (!dirs || strcmp(dirs, env)))
        st = tell_list(&t, env);
    if (!st)
        st = tell_data_home(&t);
    if (!st)
        st = tell(&t, KEN_PREFIX "/share/ken/models");
    if (!st)
        st = tell_build_tree(&t);
    kn_buf_release(&t.told);
    return st;
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
