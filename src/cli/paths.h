/* paths.h - names of files: where things are looked for, how they are shown. */
#ifndef CLI_PATHS_H
#define CLI_PATHS_H

#include <stddef.h>

/* All returned names are owned by the caller. */
char *cli_path_in(const char *folder, const char *name);
char *cli_path_folder(const char *path);     /* "." where there is none */
const char *cli_path_name(const char *path); /* the last part; borrowed from path */
/* The nearest existing folder/.../name, from here upward; NULL if there is none. */
char *cli_path_upward(const char *name);
/* $VARIABLE/rest, or $HOME/fallback/rest where that is not set; NULL without a home. */
char *cli_path_xdg(const char *variable, const char *fallback, const char *rest);
/* A path that starts with '/' as seen from here: what is shown to people. */
char *cli_path_shown(const char *path);
int cli_path_is_dir(const char *path);
/* Makes the folders in which path lies, and path itself if it ends in '/'.  0, or -1 with errno. */
int cli_path_make_folders(const char *path, unsigned mode);

/* --cache, else $XDG_CACHE_HOME/ken; NULL if nothing is to be remembered. */
char *cli_cache_dir(void);
/* --db, else the nearest .ken/, else $XDG_DATA_HOME/ken/default. */
char *cli_collection_dir(void);

/* All of a file ("-" is standard input) of at most `most` bytes, with a NUL byte after it.  NULL
 * with errno set (EFBIG if it is larger). */
char *cli_read_file(const char *path, size_t most, size_t *len);

#endif
