/* notes.c - reads LIST.json. */
#include "cli/notes.h"

#include "cli/json.h"
#include "cli/mem.h"
#include "cli/paths.h"
#include "cli/say.h"

#include <errno.h>
#include <string.h>

enum { MAX_LIST = 1 << 30 };

static char *own(char *cjson_text)
{
    char *copy = cli_mem_text(cjson_text);
    cJSON_free(cjson_text);
    return copy;
}

/* meta is consumed. */
static void add(cli_notes *l, const char *folder, const char *path, const char *object, cJSON *meta)
{
    l->list = cli_mem_room(l->list, l->n, &l->cap, sizeof *l->list);
    l->list[l->n++] = (ken_note){
        .path = *path == '/' ? cli_mem_text(path) : cli_path_in(folder, path),
        .object = cli_mem_text(object),
        .meta = meta->child ? own(cJSON_PrintUnformatted(meta)) : NULL,
    };
    cJSON_Delete(meta);
}

/* {"a.jpg": "two parrots"} */
static int read_map(cli_notes *l, const char *folder, const cJSON *map)
{
    for (const cJSON *e = map->child; e; e = e->next) {
        if (!cJSON_IsString(e) || !*e->string)
            return -1;
        cJSON *meta = cJSON_CreateObject();
        cJSON_AddStringToObject(meta, "description", e->valuestring);
        add(l, folder, e->string, NULL, meta);
    }
    return 0;
}

/* [{"path": "a.jpg", "object": "parrot", "description": "two parrots", ...}] */
static int read_array(cli_notes *l, const char *folder, cJSON *array)
{
    for (cJSON *e = array->child; e; e = e->next) {
        cJSON *path = cJSON_DetachItemFromObjectCaseSensitive(e, "path");
        cJSON *object = cJSON_DetachItemFromObjectCaseSensitive(e, "object");
        int good = cJSON_IsObject(e) && cJSON_IsString(path) && *path->valuestring;
        if (good)
            add(l, folder, path->valuestring, cJSON_IsString(object) ? object->valuestring : NULL,
                cJSON_Duplicate(e, 1));
        cJSON_Delete(path);
        cJSON_Delete(object);
        if (!good)
            return -1;
    }
    return 0;
}

int cli_notes_read(cli_notes *l, const char *file)
{
    size_t len;
    char *text = cli_read_file(file, MAX_LIST, &len);
    if (!text)
        return cli_error("%s: %s", file, strerror(errno));
    cJSON *all = cJSON_ParseWithLength(text, len);
    char *folder = cli_path_folder(file);
    int bad = 0;
    if (!all)
        bad = cli_error("%s: not JSON", file);
    else if (cJSON_IsArray(all) ? read_array(l, folder, all)
                                : !cJSON_IsObject(all) || read_map(l, folder, all))
        bad = cli_error(
            "%s: expected {\"path\": \"description\", ...} or a list of {\"path\": ...}", file);
    cli_mem_free(folder);
    cJSON_Delete(all);
    cli_mem_free(text);
    return bad;
}

void cli_notes_free(cli_notes *l)
{
    for (size_t i = 0; i < l->n; i++) {
        cli_mem_free((char *)(uintptr_t)l->list[i].path);
        cli_mem_free((char *)(uintptr_t)l->list[i].object);
        cli_mem_free((char *)(uintptr_t)l->list[i].meta);
    }
    cli_mem_free(l->list);
    *l = (cli_notes){ 0 };
}
