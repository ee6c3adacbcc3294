/* cmd_tokens.c - what the text network sees of a text. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"

#include <stdio.h>

/* A row of ids: printed, or added to `all`. */
static ken_status one(const ken_model *m, const char *text, int32_t *ids, cJSON *all)
{
    size_t n = 0;
    ken_status st = ken_model_tokens(m, text, ids, &n);
    if (!st && all) {
        cJSON *row = cJSON_CreateArray();
        for (size_t i = 0; i < n; i++)
            cJSON_AddItemToArray(row, cJSON_CreateNumber(ids[i]));
        cJSON_AddItemToArray(all, row);
    } else if (!st) {
        for (size_t i = 0; i < n; i++)
            printf("%s%d", i ? " " : "", ids[i]);
        putchar('\n');
    }
    return st;
}

static int run(const cli_args *a)
{
    cli_model m;
    cli_mode mode = cli_out_mode();
    if (!a->n)
        return cli_misuse("no text");
    int code = cli_open_text_model(&m);
    if (code)
        return code;
    int32_t *ids = cli_mem_new(ken_model_get_info(m.model)->context, sizeof *ids);
    cJSON *all = mode == OUT_JSON ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; !code && i < a->n; i++) {
        cJSON *line = mode == OUT_JSONL ? cJSON_CreateArray() : NULL;
        ken_status st = one(m.model, a->operands[i].text, ids, line ? line : all);
        if (st)
            code = cli_complain(st, ABOUT_MODEL, NULL);
        if (line && !st)
            cli_json_say_line(cJSON_DetachItemFromArray(line, 0));
        cJSON_Delete(line);
    }
    if (all && !code)
        cli_json_say_line(all);
    else
        cJSON_Delete(all);
    cli_mem_free(ids);
    cli_close_model(&m);
    return code;
}

const cli_cmd cli_cmd_tokens = {
    .name = "tokens",
    .args = "STR...",
    .summary = "the ids that the text network sees",
    .about = "Start and end included, unpadded, cut to the model's longest text; a line a text.",
    .examples = "ken tokens -m clip-b32 \"a red apple\"\t49406 320 736 3055 49407\n"
                "ken tokens -m clip-b32 --json \"a\" \"b\"\t[[...],[...]]\n",
    .run = run,
};
