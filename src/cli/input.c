/* input.c - gathering and decoding what a command line names. */
#include "cli/input.h"

#include "cli/mem.h"
#include "cli/option.h"
#include "cli/paths.h"
#include "cli/say.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 128, MAX_THREADS = 64 };
static const size_t MAX_PIXEL_BYTES = (size_t)512 << 20; /* decoded at once */

static cli_input *add(cli_inputs *in, char *name)
{
    in->list = cli_mem_room(in->list, in->n, &in->cap, sizeof *in->list);
    cli_input *i = &in->list[in->n++];
    *i = (cli_input){ .name = name };
    return i;
}

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_wanted(const cli_inputs *in, const char *path)
{
    return ken_image_named(path) || (in->meshes && ken_mesh_named(path));
}

/* Links are followed to files, not to folders. */
static void walk(cli_inputs *in, const char *dir, size_t root_len, int depth)
{
    struct dirent **list;
    errno = ELOOP;
    int n = depth < MAX_DEPTH ? scandir(dir, &list, not_dots, by_bytes) : -1;
    if (n < 0) {
        cli_error("%s: %s", dir, strerror(errno));
        in->unreadable++;
        return;
    }
    for (int i = 0; i < n; i++) {
        struct stat link, info;
        char *path = cli_path_in(dir, list[i]->d_name);
        if (lstat(path, &link) == 0 && S_ISDIR(link.st_mode)) {
            walk(in, path, root_len, depth + 1);
        } else if (is_wanted(in, path) && stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
            cli_input *one = add(in, path);
            one->found = 1;
            one->root_len = root_len;
            path = NULL;
        }
        cli_mem_free(path);
        cli_mem_free(list[i]);
    }
    cli_mem_free(list);
}

int cli_inputs_collect(cli_inputs *in, const cli_args *a)
{
    int uses_stdin = 0;
    *in = (cli_inputs){ .meshes = in->meshes };
    for (size_t i = 0; i < a->n; i++) {
        const char *text = a->operands[i].text;
        if (a->operands[i].flag == OPT_TEXT_OPERAND) {
            add(in, cli_mem_text(text))->is_text = 1;
        } else if (!strcmp(text, "@-")) {
            if (uses_stdin++)
                return cli_misuse("@- may be given once");
            add(in, cli_mem_text(text));
        } else if (cli_path_is_dir(text)) {
            walk(in, text, strlen(text), 0);
        } else {
            add(in, cli_mem_text(text));
        }
    }
    return 0;
}

void cli_inputs_drop(cli_inputs *in, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        ken_image_free(in->list[i].image);
        ken_mesh_free(in->list[i].mesh);
        in->list[i].image = NULL;
        in->list[i].mesh = NULL;
    }
}

void cli_inputs_free(cli_inputs *in)
{
    cli_inputs_drop(in, 0, in->n);
    for (size_t i = 0; i < in->n; i++) {
        cli_mem_free(in->list[i].name);
        cli_mem_free(in->list[i].why);
    }
    cli_mem_free(in->list);
    *in = (cli_inputs){ 0 };
}

ken_status cli_image_read(ken_image **out, const char *name, const ken_decode_options *d)
{
    if (strcmp(name, "@-"))
        return ken_image_load(out, *name == '@' ? name + 1 : name, d);
    size_t len = 0;
    char *bytes = cli_read_file("-", CLI_MAX_FILE, &len);
    ken_status st = ken_image_decode(out, bytes ? bytes : "", len, d);
    cli_mem_free(bytes);
    return st;
}

enum { MESH_BYTES = 72 }; /* of a triangle in memory */

/* Returns the bytes that it takes. */
static size_t decode_one(cli_input *in, int meshes, const ken_decode_options *d)
{
    if (meshes && ken_mesh_named(in->name)) {
        in->status = ken_mesh_load(&in->mesh, in->name + (*in->name == '@'));
        if (!in->status)
            return ken_mesh_triangles(in->mesh) * MESH_BYTES;
    } else {
        in->status = cli_image_read(&in->image, in->name, d);
        if (!in->status)
            return (size_t)ken_image_width(in->image) * ken_image_height(in->image) * 3;
    }
    in->why = cli_mem_text(ken_last_error());
    return 0;
}

typedef struct crew {
    cli_inputs *in;
    const ken_decode_options *d;
    atomic_size_t next, pixels; /* the next input; bytes decoded so far */
    size_t to;
} crew;

static void *decode(void *arg)
{
    crew *c = arg;
    while (atomic_load(&c->pixels) < MAX_PIXEL_BYTES && !ken_interrupted()) {
        size_t i = atomic_fetch_add(&c->next, 1);
        if (i >= c->to)
            break;
        cli_input *in = &c->in->list[i];
        if (in->is_text)
            continue;
        atomic_fetch_add(&c->pixels, decode_one(in, c->in->meshes, c->d));
    }
    return NULL;
}

static size_t threads_for(size_t n)
{
    long want = cli_opt_whole(OPT_THREADS);
    if (want <= 0)
        want = sysconf(_SC_NPROCESSORS_ONLN);
    size_t t = want > 0 ? (size_t)want : 1;
    t = t > MAX_THREADS ? MAX_THREADS : t;
    return t > n ? n : t;
}

size_t cli_inputs_decode(cli_inputs *in, size_t from, size_t to, const ken_decode_options *d)
{
    crew c = { .in = in, .d = d, .to = to };
    pthread_t threads[MAX_THREADS];
    size_t started = 0, want = threads_for(to - from);
    atomic_init(&c.next, from);
    atomic_init(&c.pixels, 0);
    while (started + 1 < want && pthread_create(&threads[started], NULL, decode, &c) == 0)
        started++;
    decode(&c); /* this thread is one of the crew */
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    size_t end = atomic_load(&c.next);
    return end > to ? to : end;
}
