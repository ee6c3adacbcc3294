/* line.c - a small editor for one line: the terminal is raw while it is typed and never otherwise. */
#include "cli/line.h"

#include "cli/mem.h"
#include "ken.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <utf8proc.h>

enum { MOST = 4096, NARROWEST = 8, ESCAPE_MS = 50 };
enum { UP = 256, DOWN, LEFT, RIGHT, HOME, END, DELETE, NOTHING, GONE };

typedef struct editor {
    const char *prompt;
    char text[MOST + 8];
    size_t len, at; /* bytes; the cursor stands before text[at] */
    cli_lines *before;
    size_t place; /* in `before`; n: the line that is being typed */
    char *typed;  /* which is kept here meanwhile */
} editor;

/* ---- characters ---- */

static size_t next(const editor *e, size_t i)
{
    do
        i++;
    while (i < e->len && (e->text[i] & 0xc0) == 0x80);
    return i < e->len ? i : e->len;
}

static size_t previous(const editor *e, size_t i)
{
    do
        i--;
    while (i && (e->text[i] & 0xc0) == 0x80);
    return i;
}

static size_t cells(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &c);
        n += used > 0 ? (size_t)utf8proc_charwidth(c) : 1;
        i += used > 0 ? (size_t)used : 1;
    }
    return n;
}

/* ---- showing ---- */

static size_t terminal_width(void)
{
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > NARROWEST ? w.ws_col : 80;
}

/* As much as fits in one row, the cursor in it. */
static void show(const editor *e)
{
    const size_t used = cells(e->prompt, strlen(e->prompt)), width = terminal_width();
    const size_t room = width > used + NARROWEST ? width - used - 1 : NARROWEST;
    size_t from = 0, to = e->len;
    while (cells(e->text + from, e->at - from) > room)
        from = next(e, from);
    while (to > e->at && cells(e->text + from, to - from) > room)
        to = previous(e, to);
    printf("\r%s%.*s\033[K", e->prompt, (int)(to - from), e->text + from);
    const size_t back = cells(e->text + e->at, to - e->at);
    if (back)
        printf("\033[%zuD", back);
    fflush(stdout);
}

/* ---- keys ---- */

static int byte(int ms)
{
    unsigned char c;
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    ssize_t n;
    if (ms >= 0 && poll(&p, 1, ms) <= 0)
        return NOTHING;
    do
        n = read(STDIN_FILENO, &c, 1);
    while (n < 0 && errno == EINTR && !ken_interrupted()); /* then the terminal is set back, too */
    return n == 1 ? c : GONE;
}

/* Behind an escape: "[A", "OA", "[3~", "[1;5C"; what is not known is read to its end and forgotten. */
static int escape(void)
{
    const int kind = byte(ESCAPE_MS);
    int c, number = 0;
    if (kind != '[' && kind != 'O')
        return NOTHING;
    while ((c = byte(ESCAPE_MS)) < 0x40)
        number = c >= '0' && c <= '9' && number < 100 ? 10 * number + c - '0' : number;
    switch (c) {
    case 'A': return UP;
    case 'B': return DOWN;
    case 'C': return RIGHT;
    case 'D': return LEFT;
    case 'H': return HOME;
    case 'F': return END;
    case '~': return number == 3 ? DELETE : number == 1 || number == 7 ? HOME
                                        : number == 4 || number == 8   ? END
                                                                       : NOTHING;
    default: return NOTHING;
    }
}

static int key(void)
{
    const int c = byte(-1);
    switch (c) {
    case 'A' - 64: return HOME;
    case 'B' - 64: return LEFT;
    case 'E' - 64: return END;
    case 'F' - 64: return RIGHT;
    case 'P' - 64: return UP;
    case 'N' - 64: return DOWN;
    case 27: return escape();
    default: return c;
    }
}

/* ---- changes ---- */

static void cut(editor *e, size_t from, size_t to)
{
    memmove(e->text + from, e->text + to, e->len - to);
    e->len -= to - from;
    e->at = from;
}

static void put(editor *e, int c)
{
    if (e->len >= MOST)
        return;
    memmove(e->text + e->at + 1, e->text + e->at, e->len - e->at);
    e->text[e->at++] = (char)c;
    e->len++;
}

static void take(editor *e, const char *line)
{
    e->len = strlen(line) < MOST ? strlen(line) : MOST;
    memcpy(e->text, line, e->len);
    e->at = e->len;
}

static void walk(editor *e, int up)
{
    if (up ? !e->place : e->place == e->before->n)
        return;
    if (e->place == e->before->n) {
        cli_mem_free(e->typed);
        e->typed = cli_mem_textn(e->text, e->len);
    }
    e->place += up ? (size_t)-1 : 1;
    take(e, e->place == e->before->n ? e->typed : e->before->list[e->place]);
}

static void cut_word(editor *e)
{
    size_t from = e->at;
    while (from && e->text[from - 1] == ' ')
        from--;
    while (from && e->text[from - 1] != ' ')
        from--;
    cut(e, from, e->at);
}

static void move(editor *e, int k)
{
    switch (k) {
    case LEFT: e->at = e->at ? previous(e, e->at) : 0; break;
    case RIGHT: e->at = e->at < e->len ? next(e, e->at) : e->len; break;
    case HOME: e->at = 0; break;
    case END: e->at = e->len; break;
    default: walk(e, k == UP); break;
    }
}

/* 1: the line is done, -1: there are no more. */
static int press(editor *e, int k)
{
    switch (k) {
    case '\r':
    case '\n': return 1;
    case GONE: return -1;
    case 'D' - 64:
        if (!e->len)
            return -1; /* else as Delete */
        /* fall through */
    case DELETE:
        if (e->at < e->len)
            cut(e, e->at, next(e, e->at));
        break;
    case 8:
    case 127:
        if (e->at)
            cut(e, previous(e, e->at), e->at);
        break;
    case 'C' - 64: cut(e, 0, e->len); break;
    case 'U' - 64: cut(e, 0, e->at); break;
    case 'K' - 64: e->len = e->at; break;
    case 'W' - 64: cut_word(e); break;
    case 'L' - 64: fputs("\033[H\033[2J", stdout); break;
    default:
        if (k >= UP && k <= END)
            move(e, k);
        else if (k >= ' ' && k < 256)
            put(e, k);
    }
    return 0;
}

/* ---- a line ---- */

static char *plain(const char *prompt)
{
    char *line = NULL;
    size_t cap = 0;
    fputs(prompt, stdout);
    fflush(stdout);
    const ssize_t n = getline(&line, &cap, stdin);
    if (n < 0) {
        cli_mem_free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

static void remember(cli_lines *l, const char *line)
{
    if (!*line || (l->n && !strcmp(l->list[l->n - 1], line)))
        return;
    l->list = cli_mem_room(l->list, l->n, &l->cap, sizeof *l->list);
    l->list[l->n++] = cli_mem_text(line);
}

static char *edit(const char *prompt, cli_lines *before)
{
    editor e = { .prompt = prompt, .before = before, .place = before->n };
    int done = 0;
    while (!done) {
        show(&e);
        done = press(&e, key());
    }
    e.at = e.len;
    show(&e);
    fputs("\r\n", stdout);
    fflush(stdout);
    cli_mem_free(e.typed);
    return done > 0 ? cli_mem_textn(e.text, e.len) : NULL;
}

char *cli_line_read(const char *prompt, cli_lines *before)
{
    struct termios was, raw;
    if (tcgetattr(STDIN_FILENO, &was) != 0)
        return plain(prompt);
    raw = was;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0)
        return plain(prompt);
    char *line = edit(prompt, before);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &was);
    if (line)
        remember(before, line);
    return line;
}

void cli_lines_free(cli_lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        cli_mem_free(l->list[i]);
    cli_mem_free(l->list);
    *l = (cli_lines){ 0 };
}
