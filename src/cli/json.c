/* json.c - JSON members and lines. */
#include "cli/json.h"

#include "cli/mem.h"
#include "cli/out.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

cJSON *cli_json_number(double v, int digits)
{
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits, v);
    return isfinite(v) ? cJSON_CreateRaw(text) : cJSON_CreateNull();
}

void cli_json_real(cJSON *to, const char *name, double v, int digits)
{
    cJSON_AddItemToObject(to, name, cli_json_number(v, digits));
}

void cli_json_id(cJSON *to, const char *name, uint64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    cJSON_AddStringToObject(to, name, text);
}

char *cli_utf8_clean(const char *s, int controls, int *valid)
{
    static const char mark[] = "\xef\xbf\xbd";
    size_t len = strlen(s), n = 0;
    char *out = cli_mem_new(len * 3 + 1, 1);
    *valid = 1;
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &c);
        int bad = used <= 0 || (controls && (c < 0x20 || (c >= 0x7f && c < 0xa0)));
        *valid &= used > 0;
        size_t step = used > 0 ? (size_t)used : 1;
        memcpy(out + n, bad ? mark : s + i, bad ? 3 : step);
        n += bad ? 3 : step;
        i += step;
    }
    out[n] = 0;
    return out;
}

void cli_json_text(cJSON *to, const char *name, const char *s)
{
    int valid;
    if (!s) {
        cJSON_AddNullToObject(to, name);
        return;
    }
    char *clean = cli_utf8_clean(s, 0, &valid);
    cJSON_AddStringToObject(to, name, clean);
    cli_mem_free(clean);
}

void cli_json_path(cJSON *to, const char *name, const char *bytes)
{
    int valid;
    char *clean = cli_utf8_clean(bytes, 0, &valid);
    cJSON_AddStringToObject(to, name, clean);
    cli_mem_free(clean);
    if (valid)
        return;
    size_t len = strlen(bytes);
    char *hex = cli_mem_new(2 * len + 1, 1);
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    char *member = cli_mem_textf("%s_bytes", name);
    cJSON_AddStringToObject(to, member, hex);
    cli_mem_free(member);
    cli_mem_free(hex);
}

void cli_json_time(cJSON *to, const char *name, int64_t ns)
{
    char text[40];
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        cJSON_AddStringToObject(to, name, text);
    else
        cJSON_AddNullToObject(to, name);
}

static void say(cJSON *v, int indented)
{
    char *text = indented ? cJSON_Print(v) : cJSON_PrintUnformatted(v);
    if (text)
        printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(v);
}

void cli_json_say(cJSON *v)
{
    say(v, cli_out_mode() == OUT_JSON && cli_out_is_terminal());
}

void cli_json_say_line(cJSON *v)
{
    say(v, 0);
}
