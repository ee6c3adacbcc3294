/* list.c - reads LISTs. */
#include "cli/list.h"

#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/mem.h"
#include "cli/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_LIST = 1 << 30 };

/* The field at *at, unquoted in place and terminated; *at is at what ended it, *end says which. */
static char *field(char **at, char *end)
{
    char *start = *at, *from = start, *to = start;
    if (*from != '"') {
        from += strcspn(from, ",\r\n");
        to = from;
    } else {
        for (from++; *from && (*from != '"' || from[1] == '"'); *to++ = *from++)
            from += *from == '"'; /* "" is one quote */
        if (*from != '"')
            return NULL;
        from++;
        from += strcspn(from, ",\r\n");
    }
    *end = *from;
    *at = from;
    *to = 0;
    return start;
}

int cli_csv_record(char **at, char **fields, int most)
{
    int n = 0;
    for (;;) {
        char end, *f = field(at, &end);
        if (!f)
            return -1;
        if (n < most)
            fields[n] = f;
        n++;
        *at += end != 0;
        if (end == '\r' && **at == '\n')
            (*at)++;
        if (end != ',')
            return n;
    }
}

static void add(cli_list *l, char *path, char *label)
{
    l->paths = cli_mem_room(l->paths, l->n, &l->path_cap, sizeof *l->paths);
    l->labels = cli_mem_room(l->labels, l->n, &l->label_cap, sizeof *l->labels);
    l->paths[l->n] = path;
    l->labels[l->n++] = label;
}

static int read_csv(cli_list *l, const char *path, const char *root)
{
    size_t len, line = 0;
    int bad = 0;
    char *text = cli_read_file(path, MAX_LIST, &len), *folder = cli_path_folder(path);
    if (!text)
        bad = cli_error("%s: %s", path, strerror(errno));
    for (char *at = text; !bad && at < text + len;) {
        char *f[2];
        int n = cli_csv_record(&at, f, 2);
        line++;
        if (n == 1 && !*f[0])
            continue; /* an empty line */
        if (n != 2 || !*f[0])
            bad = cli_error("%s: record %zu: expected path,label", path, line);
        else if (line > 1 || strcmp(f[0], "path") || strcmp(f[1], "label"))
            add(l, *f[0] == '/' ? cli_mem_text(f[0]) : cli_path_in(root ? root : folder, f[0]),
                cli_mem_text(f[1]));
    }
    cli_mem_free(text);
    cli_mem_free(folder);
    return bad;
}

/* dir/LABEL/...: the label is the first folder below dir. */
static int read_folders(cli_list *l, const char *dir)
{
    cli_inputs in = { 0 };
    cli_operand o = { dir, OPT_COUNT };
    cli_args a = { .operands = &o, .n = 1 };
    int bad = cli_inputs_collect(&in, &a);
    for (size_t i = 0; !bad && i < in.n; i++) {
        const char *below = in.list[i].name + in.list[i].root_len;
        below += strspn(below, "/");
        size_t len = strcspn(below, "/");
        if (below[len]) /* not a file of dir itself */
            add(l, cli_mem_text(in.list[i].name), cli_mem_textn(below, len));
    }
    if (!bad && in.unreadable)
        bad = CLI_EXIT_WRONG;
    cli_inputs_free(&in);
    return bad;
}

static int add_archived(const char *path, const char *label, void *cookie)
{
    add(cookie, cli_mem_text(path), cli_mem_text(label));
    return 0;
}

static int is_zip(const char *path)
{
    const size_t len = strlen(path);
    return len > 4 && !strcasecmp(path + len - 4, ".zip");
}

static int read_zip(cli_list *l, const char *path)
{
    ken_status st = ken_archive_each(path, add_archived, l);
    return st ? cli_complain(st, ABOUT_INPUT, NULL) : 0;
}

void cli_list_join(cli_list *a, cli_list *b)
{
    for (size_t i = 0; i < b->n; i++)
        add(a, b->paths[i], b->labels[i]);
    b->n = 0;
    cli_list_free(b);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void cli_list_exclude(cli_list *a, const cli_list *b)
{
    char **labels = cli_mem_new(b->n, sizeof *labels);
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++)
        labels[i] = b->labels[i];
    qsort(labels, b->n, sizeof *labels, by_text);
    for (size_t i = 0; i < a->n; i++) {
        if (bsearch(&a->labels[i], labels, b->n, sizeof *labels, by_text)) {
            cli_mem_free(a->paths[i]);
            cli_mem_free(a->labels[i]);
            continue;
        }
        a->paths[kept] = a->paths[i];
        a->labels[kept++] = a->labels[i];
    }
    a->n = kept;
    cli_mem_free(labels);
}

int cli_list_read(cli_list *l, const char *path, const char *root)
{
    *l = (cli_list){ 0 };
    int bad = cli_path_is_dir(path) ? read_folders(l, path)
              : is_zip(path)        ? read_zip(l, path)
                                    : read_csv(l, path, root);
    if (!bad && !l->n)
        bad = cli_error("%s: no labelled pictures", path);
    return bad;
}

void cli_list_free(cli_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        cli_mem_free(l->paths[i]);
        cli_mem_free(l->labels[i]);
    }
    cli_mem_free(l->paths);
    cli_mem_free(l->labels);
    *l = (cli_list){ 0 };
}

ken_labelled cli_list_view(const cli_list *l)
{
    return (ken_labelled){ (const char *const *)l->paths, (const char *const *)l->labels, l->n };
}
