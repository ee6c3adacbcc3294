/* query.c - parses query terms. */
#include "cli/query.h"

#include "cli/input.h"
#include "cli/mem.h"
#include "cli/say.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct parser {
    cli_query *q;
    const ken_decode_options *d;
    float sign; /* 0: none was given before this term */
    int uses_stdin;
    int joinable; /* the last term is plain words without a weight */
} parser;

static ken_term *add(cli_query *q, cli_source source, const char *shown, float weight)
{
    if (q->n == q->cap) {
        q->cap = q->cap ? 2 * q->cap : 8;
        q->terms = cli_mem_grow(q->terms, q->cap, sizeof *q->terms);
        q->sources = cli_mem_grow(q->sources, q->cap, sizeof *q->sources);
        q->shown = cli_mem_grow(q->shown, q->cap, sizeof *q->shown);
        q->images = cli_mem_grow(q->images, q->cap, sizeof *q->images);
        q->meshes = cli_mem_grow(q->meshes, q->cap, sizeof *q->meshes);
    }
    q->terms[q->n] = (ken_term){ .weight = weight };
    q->sources[q->n] = source;
    q->shown[q->n] = cli_mem_text(shown);
    q->images[q->n] = NULL;
    q->meshes[q->n] = NULL;
    return &q->terms[q->n++];
}

/* "0.5:rest" to the weight and rest; s itself where no number and colon stand in front. */
static const char *take_weight(const char *s, float *weight)
{
    const char *c = s + (*s == '-' || *s == '+');
    const char *digits = c;
    while (isdigit((unsigned char)*c) || *c == '.')
        c++;
    if (*c != ':' || c == digits)
        return s;
    char *number = cli_mem_textn(s, (size_t)(c - s)), *end;
    *weight = strtof(number, &end);
    int whole = !*end;
    cli_mem_free(number);
    if (!whole) {
        *weight = 1;
        return s;
    }
    return c + 1;
}

static int add_image(parser *p, const char *name, float weight)
{
    if (!strcmp(name, "@-") && p->uses_stdin++)
        return cli_misuse("@- may be given once");
    const char *shown = *name == '@' && name[1] != '-' ? name + 1 : name;
    ken_term *t = add(p->q, SOURCE_IMAGE, shown, weight);
    ken_image **img = &p->q->images[p->q->n - 1];
    ken_status st = cli_image_read(img, name, p->d);
    if (st)
        return cli_complain(st, ABOUT_INPUT, shown);
    t->image = *img;
    return 0;
}

static int add_mesh(parser *p, const char *path, float weight)
{
    ken_term *t = add(p->q, SOURCE_MESH, path, weight);
    ken_mesh **mesh = &p->q->meshes[p->q->n - 1];
    ken_status st = ken_mesh_load(mesh, path);
    if (st)
        return cli_complain(st, ABOUT_INPUT, path);
    t->mesh = *mesh;
    return 0;
}

static int add_id(parser *p, const char *digits, float weight)
{
    char *end;
    errno = 0;
    uint64_t id = strtoull(digits, &end, 10);
    if (!isdigit((unsigned char)*digits) || *end || errno)
        return cli_misuse("id:%s: expects a number", digits);
    ken_term *t = add(p->q, SOURCE_ID, digits, weight);
    t->id = id;
    t->is_id = 1;
    return 0;
}

static void hint_at_file(const char *words)
{
    if (strchr(words, '.') && access(words, R_OK) == 0)
        cli_note("searching for the words \"%s\"; for the picture say ./%s", words, words);
}

static int add_text(parser *p, const char *words, float weight, int plain)
{
    if (!words[strspn(words, " \t\r\n")])
        return cli_misuse("an empty text in the query");
    if (plain)
        hint_at_file(words);
    add(p->q, SOURCE_TEXT, words, weight);
    p->joinable = plain;
    return 0;
}

/* "two" "parrots" are one text, "two parrots". */
static void join(parser *p, const char *words)
{
    char **shown = &p->q->shown[p->q->n - 1];
    char *both = cli_mem_textf("%s %s", *shown, words);
    cli_mem_free(*shown);
    *shown = both;
}

static int is_path(const char *s)
{
    return *s == '/' || *s == '@' || !strncmp(s, "./", 2) || !strncmp(s, "../", 3);
}

static int term(parser *p, const char *arg)
{
    float weight = 1;
    const char *s = take_weight(arg, &weight);
    int was_joinable = p->joinable && p->sign == 0;
    if (s != arg && weight == 0)
        return cli_misuse("%s: a weight of 0 leaves nothing", arg);
    weight *= p->sign < 0 ? -1 : 1;
    p->sign = 0;
    p->joinable = 0;
    if (!strncmp(s, "text:", 5))
        return add_text(p, s + 5, weight, 0);
    if (is_path(s) && ken_mesh_named(s))
        return add_mesh(p, s + (*s == '@'), weight);
    if (is_path(s))
        return add_image(p, s, weight);
    if (!strncmp(s, "id:", 3))
        return add_id(p, s + 3, weight);
    if (!strncmp(s, "+id:", 4) || !strncmp(s, "-id:", 4))
        return add_id(p, s + 4, *s == '-' ? -weight : weight);
    if (!strncmp(s, "obj:", 4)) {
        if (!s[4])
            return cli_misuse("obj: expects the name of an object");
        add(p->q, SOURCE_OBJECT, s + 4, weight);
        return 0;
    }
    if (!strncmp(s, "stl:", 4))
        return s[4] ? add_mesh(p, s + 4, weight) : cli_misuse("stl: expects a file");
    if (was_joinable && s == arg) {
        join(p, s);
        p->joinable = 1;
        return 0;
    }
    return add_text(p, s, weight, s == arg);
}

static void link_texts(cli_query *q)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->sources[i] == SOURCE_TEXT)
            q->terms[i].text = q->shown[i];
        else if (q->sources[i] == SOURCE_OBJECT)
            q->terms[i].object = q->shown[i];
}

int cli_query_parse(cli_query *q, const char *const *args, size_t n, const ken_decode_options *d)
{
    parser p = { .q = q, .d = d };
    int bad = 0;
    *q = (cli_query){ 0 };
    for (size_t i = 0; !bad && i < n; i++) {
        int is_sign = !strcmp(args[i], "+") || !strcmp(args[i], "-");
        if (is_sign && p.sign != 0)
            bad = cli_misuse("two signs in a row in the query");
        else if (is_sign)
            p.sign = *args[i] == '-' ? -1 : 1;
        else
            bad = term(&p, args[i]);
    }
    if (!bad && p.sign != 0)
        bad = cli_misuse("a sign with nothing after it in the query");
    if (!bad && !q->n)
        bad = cli_misuse("an empty query");
    link_texts(q);
    if (bad)
        cli_query_free(q);
    return bad;
}

void cli_query_free(cli_query *q)
{
    for (size_t i = 0; i < q->n; i++) {
        cli_mem_free(q->shown[i]);
        ken_image_free(q->images[i]);
        ken_mesh_free(q->meshes[i]);
    }
    cli_mem_free(q->terms);
    cli_mem_free(q->sources);
    cli_mem_free(q->shown);
    cli_mem_free(q->images);
    cli_mem_free(q->meshes);
    *q = (cli_query){ 0 };
}

cJSON *cli_query_json(const cli_query *q)
{
    cJSON *all = cJSON_CreateArray();
    for (size_t i = 0; i < q->n; i++) {
        cJSON *o = cJSON_CreateObject();
        if (q->sources[i] == SOURCE_TEXT)
            cli_json_text(o, "text", q->shown[i]);
        else if (q->sources[i] == SOURCE_IMAGE)
            cli_json_path(o, "image", q->shown[i]);
        else if (q->sources[i] == SOURCE_OBJECT)
            cli_json_path(o, "object", q->shown[i]);
        else if (q->sources[i] == SOURCE_MESH)
            cli_json_path(o, "stl", q->shown[i]);
        else
            cli_json_text(o, "id", q->shown[i]);
        cli_json_real(o, "weight", (double)q->terms[i].weight, 6);
        cJSON_AddItemToArray(all, o);
    }
    return all;
}
