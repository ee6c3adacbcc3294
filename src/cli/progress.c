/* progress.c - a bar for people, JSON lines for programs.
 *
 *     encode  [=========>          ]  4,812/10,000 images  61.3/s  1:25 left
 *
 * The bar is redrawn in place and leaves nothing behind. */
#include "cli/progress.h"

#include "cli/json.h"
#include "cli/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static int drawn; /* the bar is on the screen */

double cli_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void cli_progress_hide(void)
{
    if (drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        drawn = 0;
    }
}

static int width(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static size_t write_time(char *to, size_t cap, double seconds)
{
    unsigned long s = (unsigned long)(seconds + 0.5);
    int n = s >= 3600 ? snprintf(to, cap, "%lu:%02lu:%02lu left", s / 3600, s / 60 % 60, s % 60)
                      : snprintf(to, cap, "%lu:%02lu left", s / 60, s % 60);
    return n > 0 ? (size_t)n : 0;
}

/* The part right of the bar. */
static void write_counts(char *to, size_t cap, const ken_progress *p)
{
    const int bytes = !strcmp(p->unit, "bytes"); /* people read millions of them */
    const double done = (double)p->done / 1e6, total = (double)p->total / 1e6;
    size_t n = 0;
    if (bytes && p->total)
        n += (size_t)snprintf(to, cap, "%.1f/%.1f MB", done, total);
    else if (bytes)
        n += (size_t)snprintf(to, cap, "%.1f MB", done);
    else if (p->total)
        n += (size_t)snprintf(to, cap, "%llu/%llu %s", (unsigned long long)p->done,
                              (unsigned long long)p->total, p->unit);
    else
        n += (size_t)snprintf(to, cap, "%llu %s", (unsigned long long)p->done, p->unit);
    if (bytes && p->rate > 0)
        n += (size_t)snprintf(to + n, cap - n, "  %.1f MB/s", p->rate / 1e6);
    else if (p->rate > 0 && n < cap)
        n += (size_t)snprintf(to + n, cap - n, p->rate < 100 ? "  %.1f/s" : "  %.0f/s", p->rate);
    if (p->left >= 0 && n + 2 < cap) {
        memcpy(to + n, "  ", 3);
        write_time(to + n + 2, cap - n - 2, p->left);
    }
}

static int draw(const ken_progress *p, void *cookie)
{
    (void)cookie;
    char counts[160], bar[64] = "";
    write_counts(counts, sizeof counts, p);
    int room = width() - (int)strlen(p->stage) - (int)strlen(counts) - 8;
    if (p->total && room >= 6) {
        int cells = room > 40 ? 40 : room;
        int full = (int)((double)cells * (double)p->done / (double)p->total);
        full = full > cells ? cells : full;
        memset(bar, '=', (size_t)full);
        memset(bar + full, ' ', (size_t)(cells - full));
        if (full < cells)
            bar[full] = '>';
        bar[cells] = 0;
    }
    fprintf(stderr, *bar ? "\r%s  [%s]  %s\033[K" : "\r%s%s  %s\033[K", p->stage, bar, counts);
    fflush(stderr);
    drawn = 1;
    return ken_interrupted();
}

static int tell_json(const ken_progress *p, void *cookie)
{
    (void)cookie;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "stage", p->stage);
    cJSON_AddStringToObject(o, "unit", p->unit);
    cJSON_AddNumberToObject(o, "done", (double)p->done);
    cJSON_AddNumberToObject(o, "total", (double)p->total);
    cli_json_real(o, "seconds", p->seconds, 6);
    cli_json_real(o, "rate", p->rate, 6);
    if (p->left >= 0)
        cli_json_real(o, "left", p->left, 6);
    else
        cJSON_AddNullToObject(o, "left");
    if (p->item)
        cli_json_path(o, "item", p->item);
    char *text = cJSON_PrintUnformatted(o);
    if (text)
        fprintf(stderr, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(o);
    return ken_interrupted();
}

ken_progress_fn cli_progress(void)
{
    const char *how = cli_opt(OPT_PROGRESS), *term = getenv("TERM");
    if (!strcmp(how, "json"))
        return tell_json;
    if (!strcmp(how, "none") || cli_opt_on(OPT_QUIET))
        return NULL;
    if (!strcmp(how, "bar"))
        return draw;
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") ? draw : NULL;
}

void cli_steps_start(cli_steps *s, const char *stage, const char *unit, uint64_t total)
{
    *s = (cli_steps){ stage, unit, total, cli_now(), 0 };
}

void cli_steps_tell(cli_steps *s, uint64_t done, const char *item)
{
    ken_progress_fn fn = cli_progress();
    double now = cli_now(), spent = now - s->start;
    if (!fn || (now - s->told < 0.1 && done != s->total))
        return;
    s->told = now;
    double rate = spent > 0 ? (double)done / spent : 0;
    ken_progress p = { s->stage, s->unit, done, s->total, spent, rate, -1, item };
    if (rate > 0 && s->total >= done)
        p.left = (double)(s->total - done) / rate;
    fn(&p, NULL);
}
