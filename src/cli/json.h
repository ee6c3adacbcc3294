/* json.h - what cJSON lacks: paths that are not UTF-8, numbers of chosen length, printing. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

/* A number with so many significant digits; null if it is not finite. */
void cli_json_real(cJSON *to, const char *name, double v, int digits);
cJSON *cli_json_number(double v, int digits);
/* An id, as a decimal string. */
void cli_json_id(cJSON *to, const char *name, uint64_t id);
/* A string, or null for NULL. */
void cli_json_text(cJSON *to, const char *name, const char *s);
/* The bytes as a string, those that are not UTF-8 as U+FFFD; then also NAME_bytes, in hex. */
void cli_json_path(cJSON *to, const char *name, const char *bytes);
/* Nanoseconds since 1970 as "2026-01-31T09:30:00Z". */
void cli_json_time(cJSON *to, const char *name, int64_t ns);

/* Print v on standard output as one line (indented on a terminal with --json), and delete it. */
void cli_json_say(cJSON *v);
/* The same, always one line. */
void cli_json_say_line(cJSON *v);

/* s with each byte that is not part of valid UTF-8, and each control character if `controls`,
 * as U+FFFD; *valid tells if none was. */
char *cli_utf8_clean(const char *s, int controls, int *valid);

#endif
