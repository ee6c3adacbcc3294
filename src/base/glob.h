/* glob.h - patterns of whole texts. */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

/* 1 if all of text fits: * any bytes, ? one character of UTF-8, [a-z] and [!a-z] one of these or of all
 * others; a backslash takes the next one as it is.  Any bytes may be in both. */
int kn_glob(const char *pattern, const char *text);

#endif
