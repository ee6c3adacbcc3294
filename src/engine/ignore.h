/*
 * ignore.h - .kenignore: which files and folders a scan passes over.
 *
 * Lines as in git's .gitignore (gitignore(5)): blank ones and those that begin with # say nothing; ! takes
 * a file back in; a / at the end means folders alone; one at the start or in the middle ties the pattern to
 * the file's own folder, else it holds at any depth; * ? [] stop at a /, and a part ** stands for any
 * number of folders; a backslash makes the next character ordinary, trailing blanks need one.  The last
 * line that fits decides, those of deeper folders after all of higher ones.  What lies in a folder that is
 * passed over cannot be taken back in.  [:classes:] are not known.
 */
#ifndef ENGINE_IGNORE_H
#define ENGINE_IGNORE_H

#include "ken.h"

#define KN_IGNORE_FILE ".kenignore"

/* The rules on the way to where a walk is; {0} to begin with.  One thread at a time. */
typedef struct kn_ignore {
    char *dir; /* the deepest folder whose rules are loaded; levels[n - 1].len bytes */
    struct kn_ignore_level *levels;
    size_t n, cap;
} kn_ignore;

/* Whether the rules of root and of the folders between it and path speak against path itself; the folders
 * above it are taken to be walked.  root is absolute and a folder, path below it; neither ends in '/'. */
KEN_CALL ken_status kn_ignored(kn_ignore *g, const char *root, const char *path, int is_dir, int *ignored);
/* The same of path or any folder between root and it. */
KEN_CALL ken_status kn_ignored_below(kn_ignore *g, const char *root, const char *path, int *ignored);
void kn_ignore_release(kn_ignore *g);

#endif
