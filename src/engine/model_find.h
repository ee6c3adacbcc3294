/*
 * model_find.h - where model files lie.
 */
#ifndef ENGINE_MODEL_FIND_H
#define ENGINE_MODEL_FIND_H

#include "ken.h"

/* fn(folder, cookie) for each folder to search, in order: dirs (':' between; may be NULL), $KEN_MODELS,
 * $XDG_DATA_HOME/ken/models, PREFIX/share/ken/models, weights/ of the build tree that the program
 * lies in; one that exists is told once, by its first name.  KEN_OK when all were told; else what fn
 * returned. */
typedef ken_status (*kn_folder_fn)(const char *folder, void *cookie);
KEN_CALL ken_status kn_model_folders(const char *dirs, kn_folder_fn fn, void *cookie);

/* The file of a name or path, kn_free it.  KEN_E_MODEL says where it was looked for. */
KEN_CALL ken_status kn_model_find(char **out, const char *name_or_path, const char *dirs);

#endif
