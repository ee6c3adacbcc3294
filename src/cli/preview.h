/* preview.h - pictures on the terminal. */
#ifndef CLI_PREVIEW_H
#define CLI_PREVIEW_H

/* --preview asks for them and there is a terminal to show them; 0 in a pipe, in JSON and the like. */
int cli_preview_wanted(void);
/* The picture of a file, some ten rows high.  One that cannot be read, and a 3-D model, is passed over. */
void cli_preview_show(const char *path);

#endif
