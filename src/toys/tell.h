/*
 * tell.h - what can be said of a toy and of a photograph of it, and the words for it.
 */
#ifndef TOYS_TELL_H
#define TOYS_TELL_H

#include "toys/toys.h"

/* One thing in two languages, twice: the usual word first.  Where there is only one, both are it. */
typedef struct kn_word {
    const char *en[2], *zh[2];
} kn_word;

/* The words for `what` of this toy: its species, pattern, ears, the kind of what it wears …  NULL for what
 * has no words of its own (KN_TELL_VIEW, KN_TELL_LIGHT) and for a colour, which kn_word_color() knows. */
const kn_word *kn_tell_word(const kn_toy *t, kn_tell what);
const kn_word *kn_word_color(int32_t name);
/* Which of the toy's colours goes with it: an index of kn_toy.name, -1 for none. */
int kn_tell_color(const kn_toy *t, kn_tell what);
/* Whether it can be said.  v may be NULL: nothing of the view then. */
int kn_tell_there(const kn_toy *t, const kn_toy_view *v, kn_tell what);

#endif
