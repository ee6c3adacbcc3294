/* clean.h - what CLIP does to a text before it is cut into tokens. */
#ifndef TEXT_CLEAN_H
#define TEXT_CLEAN_H

#include "text/unicode.h"

/* All in place. */

/* OpenAI's basic_clean, whitespace_clean and lower().  KEN_E_LIMIT: the text was made so that
 * cleaning it takes for ever. */
KEN_CALL ken_status kn_clean_clip(kn_points *p);

/* ftfy.fix_text with its defaults, but for fix_encoding. */
KEN_CALL ken_status kn_fix_text(kn_points *p);

/* HTML's character references, once: as Python's html.unescape does, and as ftfy does. */
void kn_unescape(kn_points *p);
void kn_unescape_careful(kn_points *p);

#endif
