/* paths.c - names of files. */
#include "cli/paths.h"

#include "cli/mem.h"
#include "cli/option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *cli_path_in(const char *folder, const char *name)
{
    size_t n = strlen(folder);
    return cli_mem_textf(n && folder[n - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}

char *cli_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return cli_mem_text(".");
    return slash == path ? cli_mem_text("/") : cli_mem_textn(path, (size_t)(slash - path));
}

const char *cli_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int cli_path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int cli_path_make_folders(const char *path, unsigned mode)
{
    char *part = cli_mem_text(path);
    int bad = 0;
    for (char *slash = part; !bad && (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        bad = mkdir(part, mode) && errno != EEXIST;
        *slash = '/';
    }
    const int err = errno;
    cli_mem_free(part);
    errno = err;
    return bad ? -1 : 0;
}

char *cli_path_upward(const char *name)
{
    char *here = getcwd(NULL, 0), *found = NULL;
    while (here && !found) {
        char *path = cli_path_in(here, name);
        if (access(path, F_OK) == 0)
            found = path;
        else
            cli_mem_free(path);
        char *slash = strrchr(here, '/');
        if (!slash || !slash[1])
            break;
        slash[slash == here] = 0; /* "/a" goes on with "/" */
    }
    cli_mem_free(here);
    return found;
}

char *cli_path_xdg(const char *variable, const char *fallback, const char *rest)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    if (base && *base == '/') /* the specification says to ignore a relative one */
        return cli_path_in(base, rest);
    return home && *home ? cli_mem_textf("%s/%s/%s", home, fallback, rest) : NULL;
}

char *cli_collection_dir(void)
{
    if (cli_opt(OPT_DB))
        return cli_mem_text(cli_opt(OPT_DB));
    char *near = cli_path_upward(".ken");
    if (near)
        return near;
    char *own = cli_path_xdg("XDG_DATA_HOME", ".local/share", "ken/default");
    return own ? own : cli_mem_text(".ken");
}

char *cli_cache_dir(void)
{
    const char *asked = cli_opt(OPT_CACHE);
    if (!cli_opt_whole(OPT_CACHE_SIZE) || (asked && !strcmp(asked, "none")))
        return NULL;
    return asked ? cli_mem_text(asked) : cli_path_xdg("XDG_CACHE_HOME", ".cache", "ken");
}

/* path less the folders it shares with here, "../" for each of here's that is left over. */
char *cli_path_shown(const char *path)
{
    char *here = getcwd(NULL, 0);
    size_t same = 0, i = 0;
    if (!here || *path != '/') {
        cli_mem_free(here);
        return cli_mem_text(path);
    }
    for (; here[i] && here[i] == path[i]; i++)
        if (here[i] == '/')
            same = i; /* the last slash in both */
    if (!here[i] && path[i] == '/')
        same = i;
    const char *rest = here + same;
    size_t ups = 0;
    for (; *rest; rest++)
        ups += *rest == '/' && rest[1];
    cli_mem_free(here);
    if (!same)
        return cli_mem_text(path); /* nothing in common but the root */
    char *up = cli_mem_new(3 * ups + 1, 1);
    for (size_t k = 0; k < ups; k++)
        memcpy(up + 3 * k, "../", 3);
    /* a name that looks like a flag would be read as one by the next program */
    char *shown =
        cli_mem_textf("%s%s%s", up, !ups && path[same + 1] == '-' ? "./" : "", path + same + 1);
    cli_mem_free(up);
    return shown;
}

static char *read_fd(int fd, size_t most, size_t *len)
{
    char *bytes = NULL;
    size_t n = 0, cap = 0;
    for (;;) {
        if (n + 1 >= cap) {
            cap = cap ? cap * 2 : 65536;
            bytes = cli_mem_grow(bytes, cap, 1);
        }
        ssize_t got = read(fd, bytes + n, cap - n - 1);
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        n += got > 0 ? (size_t)got : 0;
        if (got < 0 || n > most) {
            int err = got < 0 ? errno : EFBIG;
            cli_mem_free(bytes);
            errno = err;
            return NULL;
        }
    }
    bytes[n] = 0;
    *len = n;
    return bytes;
}

char *cli_read_file(const char *path, size_t most, size_t *len)
{
    if (!strcmp(path, "-"))
        return read_fd(STDIN_FILENO, most, len);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *bytes = read_fd(fd, most, len);
    int err = errno;
    close(fd);
    errno = err;
    return bytes;
}
