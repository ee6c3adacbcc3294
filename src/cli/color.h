/* color.h - colours as people write them. */
#ifndef CLI_COLOR_H
#define CLI_COLOR_H

#include <stdint.h>

/* "#rrggbb", "#rgb" or a CSS name.  0, or -1 if it is none of these. */
int cli_color_parse(const char *s, uint8_t rgb[3]);

#endif
