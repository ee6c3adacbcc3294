/* clean.h - what CLIP's tokenizer does to a text before it splits it. */
#ifndef TEXT_CLEAN_H
#define TEXT_CLEAN_H

#include "text/unicode.h"

/* ftfy's fixes but for the repair of wrongly decoded text, entities twice, white space, lower case. */
KEN_CALL ken_status kn_clean_clip(kn_points *p);

#endif
