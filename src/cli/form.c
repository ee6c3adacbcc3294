/* form.c - bodies of requests. */
#include "cli/form.h"

#include "cli/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static void add(cli_form *f, const void *bytes, size_t n)
{
    if (f->len + n > f->cap) {
        f->cap = (f->len + n) * 3 / 2 + 256;
        f->bytes = cli_mem_grow(f->bytes, f->cap, 1);
    }
    memcpy(f->bytes + f->len, bytes, n);
    f->len += n;
}

static void add_text(cli_form *f, const char *s)
{
    add(f, s, strlen(s));
}

static void begin_part(cli_form *f, const char *name, const char *more)
{
    char *head = cli_mem_textf("%s--%s\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n",
                               f->len ? "\r\n" : "", f->edge, name, more);
    add_text(f, head);
    cli_mem_free(head);
}

static void add_json(cli_form *f, const char *name, const cJSON *v)
{
    char *text = cJSON_PrintUnformatted(v);
    if (name)
        begin_part(f, name, "");
    add_text(f, text ? text : "");
    cJSON_free(text);
}

void cli_form_start(cli_form *f, const cJSON *body, const char *field, int is_form)
{
    uint64_t r[2] = { 0, 0 };
    const cJSON *member;
    *f = (cli_form){ .type = "application/json" };
    if (is_form) {
        (void)!getrandom(r, sizeof r, 0); /* that no picture has such bytes is all that is needed */
        snprintf(f->edge, sizeof f->edge, "%016" PRIx64 "%016" PRIx64, r[0], r[1]);
        snprintf(f->type, sizeof f->type, "multipart/form-data; boundary=%s", f->edge);
    }
    if (!is_form || field)
        add_json(f, is_form ? field : NULL, body);
    else
        cJSON_ArrayForEach (member, body)
            add_json(f, member->string, member);
}

void cli_form_picture(cli_form *f, int i, const ken_image *img)
{
    char name[24];
    const uint32_t w = ken_image_width(img), h = ken_image_height(img);
    snprintf(name, sizeof name, i < 0 ? "image" : "f%d", i);
    begin_part(f, name, "; filename=\"p.ppm\"");
    char *head = cli_mem_textf("P6 %" PRIu32 " %" PRIu32 " 255\n", w, h);
    add_text(f, head);
    cli_mem_free(head);
    for (uint32_t y = 0; y < h; y++)
        add(f, ken_image_row(img, y), (size_t)w * 3);
}

void cli_form_end(cli_form *f)
{
    if (!*f->edge)
        return;
    add_text(f, "\r\n--");
    add_text(f, f->edge);
    add_text(f, "--\r\n");
}

const char *cli_form_type(const cli_form *f)
{
    return f->type;
}

void cli_form_free(cli_form *f)
{
    cli_mem_free(f->bytes);
    *f = (cli_form){ 0 };
}
