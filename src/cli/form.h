/* form.h - a request's body: JSON, or a form of JSON and pictures (RFC 7578). */
#ifndef CLI_FORM_H
#define CLI_FORM_H

#include "cli/json.h"
#include "ken.h"

typedef struct cli_form {
    char *bytes; /* (len) */
    size_t len, cap;
    char type[96]; /* Content-Type */
    char edge[40]; /* between the parts; "" of plain JSON */
} cli_form;

/* Begin with `body`: as it is, or, of a form, as the part `field`; field NULL: each member as a part. */
void cli_form_start(cli_form *f, const cJSON *body, const char *field, int is_form);
/* A picture's pixels as PPM, which any ken decodes to the same: part "f0", "f1", …; i < 0: "image". */
void cli_form_picture(cli_form *f, int i, const ken_image *img);
void cli_form_end(cli_form *f);
const char *cli_form_type(const cli_form *f);
void cli_form_free(cli_form *f);

#endif
