/* input.h - pictures and texts named on the command line. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "cli/cmd.h"
#include "ken.h"

enum { CLI_MAX_FILE = 1 << 30 }; /* bytes of a picture on standard input */

typedef struct cli_input {
    char *name; /* path, text, or "@-" */
    int is_text;
    int found;        /* 1: met in a folder, so that what is no picture is passed over */
    size_t root_len;  /* bytes of name that are the folder it was found in */
    ken_image *image; /* between cli_inputs_decode() and cli_inputs_drop() */
    ken_mesh *mesh;   /* likewise, of a 3-D model, and image is NULL */
    ken_status status;
    char *why; /* of a failure */
} cli_input;

typedef struct cli_inputs {
    cli_input *list;
    size_t n, cap;
    int meshes;     /* 1, set by the caller: 3-D models are read too */
    int unreadable; /* folders that could not be read, each told */
} cli_inputs;

/* *in is zeroed before, but for `meshes`.  Every operand in order: --text, a file, @FILE, @- or a folder,
 * whose files follow in the order of their bytes.  0, or the exit status. */
int cli_inputs_collect(cli_inputs *in, const cli_args *a);
void cli_inputs_free(cli_inputs *in);

/* Decode pictures [from, to) on several threads, stopping early when they take much memory; fills
 * image, or status and why.  Returns the end of what was decoded, > from. */
size_t cli_inputs_decode(cli_inputs *in, size_t from, size_t to, const ken_decode_options *d);
/* Free their pictures. */
void cli_inputs_drop(cli_inputs *in, size_t from, size_t to);

/* A picture of a command's own: PATH, @PATH, or @- for the bytes on standard input. */
ken_status cli_image_read(ken_image **out, const char *name, const ken_decode_options *d)
    __attribute__((warn_unused_result));

#endif
