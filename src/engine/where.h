/*
 * where.h - which items of a collection are asked for: an expression over what is known of them.
 *
 *     expr  := and { 'or' and }           and := not { 'and' not }
 *     not   := 'not' not | '(' expr ')' | test
 *     test  := key [op value | ['not'] 'in' '(' value { ',' value } ')']
 *     op    := '=' | '==' | '!=' | '<' | '<=' | '>' | '>=' | '~' | '!~'
 *     value := "quoted" | 'quoted' | a word without spaces, commas and parentheses
 *
 *     path name dir      the file's whole path, last part, folder; a pattern of ~ that does not begin
 *                        with '/' may match the path from behind any '/'
 *     ext                of the name, upper and lower case alike
 *     kind object        texts; `object` alone: it has one
 *     id bytes (size) width (w) height (h)   numbers; 10k, 2.5M, 1G; 64KiB, 1MiB, 1GiB
 *     mtime added        times: 2024, 2024-05, 2024-05-17, 2024-05-17T14:30[:20][Z|+02:00], else local;
 *                        each is the span that it names, so that mtime=2024 is any time of that year
 *     taken              meta.taken where it is a time, else mtime
 *     description        meta.description
 *     tag                meta.tags, any of them
 *     meta.KEY[.KEY]     of the item's own metadata; of a list any element counts; compared as
 *                        numbers where both are, as times where both are, else byte by byte
 *
 * ~ is a pattern of the whole text (base/glob.h): * any bytes, ? one character, [a-z] and [!a-z], \ takes
 * the next one as it is.  What an item lacks is equal to nothing: != and !~ are `not` = and ~.  Words of the
 * language may be written in capitals.
 */
#ifndef ENGINE_WHERE_H
#define ENGINE_WHERE_H

#include "store/store.h"

typedef struct kn_where kn_where; /* immutable */

/* KEN_E_INVALID names the column, counted in characters from 1, and what is expected there. */
KEN_CALL ken_status kn_where_parse(kn_where **out, const char *expr);
int kn_where_match(const kn_where *f, const kn_item *item); /* 1 or 0 */
void kn_where_free(kn_where *f);

/* The span [*from, *to) of a time as above, in nanoseconds since 1970; 0 if text is none. */
int kn_time_span(const char *text, int64_t *from, int64_t *to);

#endif
