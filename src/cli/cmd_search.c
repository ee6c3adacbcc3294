/* cmd_search.c - find pictures. */
#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"
#include "cli/preview.h"
#include "cli/query.h"
#include "cli/resident.h"
#include "cli/shell.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_HITS = 1000000, MAX_BATCH_FILE = 1 << 28, BATCH = 64, FACETS = 50 };

typedef struct answer {
    const cli_query *query;
    ken_hit *hits;
    ken_record *records; /* of the hits, or NULL: they are the collection's to give */
    size_t found;
    ken_search_times times;
    cJSON *facets; /* --facets with one JSON object */
    cJSON *added; /* --explain-query with one JSON object: [{"text" or "path", "weight"}] */
} answer;

static int min_is_auto(void)
{
    return cli_opt(OPT_MIN_HIT) && !strcmp(cli_opt(OPT_MIN_HIT), "auto");
}

static ken_search_options search_options(void)
{
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    o.k = (uint32_t)cli_opt_whole(OPT_NUMBER);
    o.min_auto = min_is_auto();
    o.min_score = o.min_auto || !cli_opt(OPT_MIN_HIT) ? 0 : strtof(cli_opt(OPT_MIN_HIT), NULL);
    o.has_min_raw = cli_opt(OPT_MIN_RAW) != NULL;
    o.min_raw = (float)cli_opt_real(OPT_MIN_RAW);
    o.hidden = cli_opt_on(OPT_HIDDEN);
    o.where = cli_opt(OPT_WHERE);
    o.group = cli_opt(OPT_GROUP);
    o.expand = cli_opt(OPT_EXPAND);
    o.spaces = cli_opt(OPT_SPACES);
    o.fusion = cli_opt(OPT_FUSION);
    o.exact = cli_opt_on(OPT_EXACT);
    o.ef = (uint32_t)cli_opt_whole(OPT_ANN_EF);
    o.verify = cli_opt_whole(OPT_VERIFY) ? (int)cli_opt_whole(OPT_VERIFY) : -1;
    return o;
}

/* What --expand adds: a text, or a picture by its path. */
static void note_added(const char *what, float weight, void *cookie)
{
    cJSON *added = cookie, *o = added ? cJSON_CreateObject() : NULL;
    if (!added) {
        cli_note("added to the query: %.3f × %s", (double)weight, what);
        return;
    }
    cli_json_path(o, *what == '/' ? "path" : "text", what);
    cli_json_real(o, "weight", (double)weight, 6);
    cJSON_AddItemToArray(added, o);
}

/* ---- one hit in each form ---- */

static cJSON *hit_json(const ken_hit *h, size_t rank, const ken_record *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "rank", (double)rank);
    cli_json_id(o, "id", h->id);
    cli_json_real(o, "score", (double)h->score, 6);
    cli_json_real(o, "raw", (double)h->raw, 6);
    cli_json_path(o, "path", r->path);
    cli_json_text(o, "object", r->object);
    cJSON *meta = r->meta ? cJSON_Parse(r->meta) : NULL;
    const cJSON *told = cJSON_GetObjectItemCaseSensitive(meta, "description");
    if (cJSON_IsString(told))
        cli_json_text(o, "description", told->valuestring);
    cJSON_Delete(meta);
    return o;
}

static void hit_csv(const ken_hit *h, size_t rank, const ken_record *r)
{
    printf("%zu,%llu,%.6g,%.6g,", rank, (unsigned long long)h->id, (double)h->score,
           (double)h->raw);
    cli_csv_field(r->path, ',');
    cli_csv_field(r->object ? r->object : "", '\n');
}

static void hit_row(cli_table *t, const ken_hit *h, size_t rank, const ken_record *r)
{
    char *shown = cli_path_shown(r->path);
    if (cli_out_mode() == OUT_TABLE) {
        cli_table_cell(t, "%zu", rank);
        cli_table_cell(t, "%.3f", (double)h->score);
        cli_table_cell(t, "%s", shown);
        cli_table_link(t, r->path);
        cli_table_cell(t, "%s", r->object ? r->object : "");
    } else {
        cli_table_cell(t, "%.4f", (double)h->score);
        cli_table_cell(t, "%s", shown);
    }
    cli_mem_free(shown);
}

static void hit_path(const ken_record *r)
{
    char *shown = cli_path_shown(r->path), *link = cli_opt_on(OPT_NULL) ? NULL : cli_link_to(r->path);
    cli_link_print(shown, link);
    putchar(cli_opt_on(OPT_NULL) ? 0 : '\n');
    cli_mem_free(shown);
    cli_mem_free(link);
}

/* ---- the answer ---- */

static void times_json(cJSON *o, const ken_search_times *t)
{
    cJSON *ms = cJSON_CreateObject();
    cli_json_real(ms, "encode", t->encode * 1e3, 5);
    cli_json_real(ms, "search", t->search * 1e3, 5);
    cli_json_real(ms, "total", t->total * 1e3, 5);
    cJSON_AddItemToObject(o, "took_ms", ms);
}

static void say_hit(cli_mode mode, cJSON *hits, cli_table *t, const ken_hit *h, size_t rank,
                    const ken_record *r)
{
    if (cli_opt_on(OPT_NULL) || cli_opt_on(OPT_LIST_ONLY))
        hit_path(r);
    else if (hits)
        cJSON_AddItemToArray(hits, hit_json(h, rank, r));
    else if (mode == OUT_JSONL)
        cli_json_say_line(hit_json(h, rank, r));
    else if (mode == OUT_CSV)
        hit_csv(h, rank, r);
    else
        hit_row(t, h, rank, r);
}

/* A hit's record; KEN_E_NOTFOUND: removed since by another process. */
static ken_status record_of(ken *db, const answer *a, size_t i, ken_record **own, const ken_record **r)
{
    *own = NULL;
    if (a->records) {
        *r = &a->records[i];
        return KEN_OK;
    }
    const ken_status st = ken_get(db, a->hits[i].id, own);
    *r = *own;
    return st;
}

/* The pictures of the hits, each under its rank. */
static void show_pictures(ken *db, const answer *a)
{
    size_t rank = 0;
    for (size_t i = 0; i < a->found && !ken_interrupted(); i++) {
        ken_record *own;
        const ken_record *r;
        if (!record_of(db, a, i, &own, &r)) {
            printf("%zu\n", ++rank);
            cli_preview_show(r->path);
        }
        ken_record_free(own);
    }
}

/* `whole`: one JSON object with the query and the times; else a hit a line in --jsonl. */
static int say_answer(ken *db, const answer *a, cli_mode mode, int whole)
{
    static const char *const columns[] = { ">rank", ">score", "~path", "object" };
    static const char *const plain[] = { "score", "path" };
    cli_table t = CLI_TABLE(columns);
    if (mode == OUT_PLAIN)
        t = (cli_table)CLI_TABLE(plain);
    cJSON *hits = whole ? cJSON_CreateArray() : NULL;
    if (mode == OUT_CSV && !hits)
        puts("rank,id,score,raw,path,object");
    int code = 0;
    size_t rank = 0;
    for (size_t i = 0; !code && i < a->found; i++) {
        ken_record *own;
        const ken_record *r;
        ken_status st = record_of(db, a, i, &own, &r);
        if (st == KEN_E_NOTFOUND)
            continue;
        if (st)
            code = cli_complain(st, ABOUT_COLLECTION, NULL);
        else
            say_hit(mode, hits, &t, &a->hits[i], ++rank, r);
        ken_record_free(own);
    }
    cli_table_end(&t);
    if (!code && cli_preview_wanted())
        show_pictures(db, a);
    if (hits) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddItemToObject(o, "query", cli_query_json(a->query));
        if (a->facets)
            cJSON_AddItemToObject(o, "facets", cJSON_Duplicate(a->facets, 1));
        if (a->added)
            cJSON_AddItemToObject(o, "added", cJSON_Duplicate(a->added, 1));
        cJSON_AddItemToObject(o, "hits", hits);
        times_json(o, &a->times);
        mode == OUT_JSON ? cli_json_say(o) : cli_json_say_line(o);
    }
    return code ? code : rank ? 0 : CLI_EXIT_NONE;
}

/* ---- facets ---- */

typedef struct facets {
    cJSON *all; /* {"key": [{"value", "count"}, …]}, or NULL: for people */
    size_t n;   /* of this key */
    char *key;
} facets;

static int note_facet(const char *key, const char *value, uint64_t count, void *cookie)
{
    facets *f = cookie;
    const int fresh = !f->key || strcmp(f->key, key);
    if (fresh) {
        cli_mem_free(f->key);
        f->key = cli_mem_text(key);
        f->n = 0;
    }
    if (f->all) {
        cJSON *o = cJSON_CreateObject();
        cli_json_path(o, "value", value);
        cJSON_AddNumberToObject(o, "count", (double)count);
        if (fresh)
            cJSON_AddArrayToObject(f->all, key);
        cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(f->all, key), o);
    } else {
        fprintf(stderr, "%s\t%llu\t%s\n", key, (unsigned long long)count, value);
    }
    return ++f->n == FACETS;
}

/* Of all that the filter lets through, whatever was found; *out for JSON. */
static int count_facets(ken *db, cJSON **out)
{
    facets f = { .all = out ? cJSON_CreateObject() : NULL };
    const char *keys = cli_opt(OPT_FACETS);
    ken_status st = KEN_OK;
    if (keys)
        st = ken_facets(db, keys, cli_opt(OPT_WHERE), cli_opt_on(OPT_HIDDEN), note_facet, &f);
    cli_mem_free(f.key);
    if (out && keys && !st)
        *out = f.all;
    else
        cJSON_Delete(f.all);
    return st ? cli_complain(st, st == KEN_E_INVALID ? ABOUT_INPUT : ABOUT_COLLECTION, NULL) : 0;
}

/* A term that failed in the search itself: an unknown id is wrong use, not a broken collection. */
static int search_failed(ken_status st)
{
    int about_query = st == KEN_E_NOTFOUND || st == KEN_E_UNSUPPORTED;
    return cli_complain(st, about_query ? ABOUT_INPUT : ABOUT_COLLECTION, NULL);
}

static void warn_of(const char *text, const char *model)
{
    cli_note("\"%s\": much of this is outside what model %s was trained on; a publisher's "
             "model knows more (ken-convert makes one of a checkpoint, see `ken-convert --help`)",
             text, model);
}

/* Words that the model has never met find something, but not what was meant. */
static void warn_of_strange_words(ken *db, const cli_query *q)
{
    const ken_model *m = NULL;
    double share = 0;
    for (size_t i = 0; i < q->n; i++) {
        const char *text = q->terms[i].text;
        if (text && !ken_get_model(db, &m) && !ken_model_strange(m, text, &share) && share >= KEN_STRANGE)
            warn_of(text, ken_model_get_info(m)->name);
    }
}

static int search(ken *db, const cli_query *q, int whole)
{
    ken_search_options o = search_options();
    answer a = { .query = q, .hits = cli_mem_new(o.k, sizeof(ken_hit)) };
    cli_mode mode = cli_out_mode();
    if (cli_opt_on(OPT_EXPLAIN_QUERY)) {
        a.added = whole || mode == OUT_JSON ? cJSON_CreateArray() : NULL;
        o.added = note_added;
        o.cookie = a.added;
    }
    ken_status st = ken_search(db, q->terms, q->n, &o, a.hits, &a.found, &a.times);
    if (!st)
        warn_of_strange_words(db, q);
    int code = st ? search_failed(st) : count_facets(db, whole || mode == OUT_JSON ? &a.facets : NULL);
    if (!code)
        code = say_answer(db, &a, mode, whole || mode == OUT_JSON);
    cJSON_Delete(a.facets);
    cJSON_Delete(a.added);
    cli_mem_free(a.hits);
    return code;
}

/* By the resident process: the exit status, or -1. */
static int search_there(const cli_query *q)
{
    const ken_search_options o = search_options();
    cli_answer there;
    if (cli_opt_on(OPT_EXPLAIN_QUERY) || cli_opt(OPT_FACETS) || cli_ask_search(q, &o, &there))
        return -1;
    for (size_t i = 0; i < there.n_strange; i++)
        warn_of(there.strange[i], there.model ? there.model : "");
    const answer a = { .query = q, .hits = there.hits, .records = there.records, .found = there.n,
                       .times = there.times };
    const int code = say_answer(NULL, &a, cli_out_mode(), cli_out_mode() == OUT_JSON);
    cli_answer_free(&there);
    return code;
}

/* ---- many queries ---- */

/* Lines that are asked together: their texts and pictures go through the network in one pass. */
typedef struct bunch {
    ken *db;
    cli_query queries[BATCH];
    size_t n, hits, failed;
} bunch;

/* Each line of the file is one term, a text where nothing else is said. */
static int read_line(bunch *b, const char *line, const ken_decode_options *d)
{
    cli_query *q = &b->queries[b->n];
    const int code = cli_query_parse(q, &line, 1, d);
    b->n += !code;
    b->failed += code != 0;
    if (code)
        cli_query_free(q);
    return code > CLI_EXIT_SOME ? code : 0;
}

/* What cannot be encoded is told by its own search. */
static void encode_ahead(bunch *b)
{
    ken_search_options o = search_options();
    ken_term terms[BATCH];
    for (size_t i = 0; i < b->n; i++)
        terms[i] = b->queries[i].terms[0];
    if (ken_search_ahead(b->db, terms, b->n, &o))
        return;
}

static int ask_batch(bunch *b)
{
    int code = 0;
    encode_ahead(b);
    for (size_t i = 0; i < b->n; i++) {
        if (code <= CLI_EXIT_SOME && !ken_interrupted()) {
            code = search(b->db, &b->queries[i], 1);
            b->hits += code == 0;
            b->failed += code == CLI_EXIT_WRONG;
        }
        cli_query_free(&b->queries[i]);
    }
    b->n = 0;
    return code > CLI_EXIT_SOME ? code : 0;
}

static int search_batch(ken *db, const char *file, const ken_decode_options *d)
{
    size_t len;
    bunch b = { .db = db };
    char *lines = cli_read_file(file, MAX_BATCH_FILE, &len);
    if (!lines)
        return cli_error("%s: %s", file, strerror(errno));
    int code = 0;
    for (char *line = lines, *end; !code && line < lines + len && !ken_interrupted(); line = end + 1) {
        end = line + strcspn(line, "\n");
        *end = 0;
        if (end > line && end[-1] == '\r')
            end[-1] = 0;
        if (*line)
            code = read_line(&b, line, d);
        if (!code && b.n == BATCH)
            code = ask_batch(&b);
    }
    const int last = ask_batch(&b);
    cli_mem_free(lines);
    code = code ? code : last;
    if (code)
        return code;
    return ken_interrupted() ? CLI_EXIT_INTERRUPTED
           : b.failed        ? CLI_EXIT_SOME
           : b.hits          ? 0
                             : CLI_EXIT_NONE;
}

/* ---- the command ---- */

static int check_numbers(void)
{
    long n = cli_opt_whole(OPT_NUMBER);
    if (n < 1 || n > MAX_HITS)
        return cli_misuse("--number %ld: expects 1 to %d", n, MAX_HITS);
    const char *min = cli_opt(OPT_MIN_HIT);
    char *end = NULL;
    if (min && !min_is_auto() && (!*min || !isfinite(strtof(min, &end)) || *end))
        return cli_misuse("--min %s: expects a number, or auto", min);
    return 0;
}

static int parse_args(cli_query *q, const cli_args *a, const ken_decode_options *d)
{
    const char **terms = cli_mem_new(a->n, sizeof *terms);
    for (size_t i = 0; i < a->n; i++)
        terms[i] = a->operands[i].text;
    int code = cli_query_parse(q, terms, a->n, d);
    cli_mem_free(terms);
    return code;
}

/* ---- one after the other, at a terminal ---- */

typedef struct session {
    ken *db;
    ken_decode_options decode;
} session;

static int ask_line(const char *const *words, size_t n, void *cookie)
{
    const session *s = cookie;
    cli_query q = { 0 };
    int code = check_numbers();
    code = code ? code : cli_query_parse(&q, words, n, &s->decode);
    code = code ? code : search(s->db, &q, 0);
    if (code == CLI_EXIT_NONE)
        cli_note("nothing found");
    cli_query_free(&q);
    return code;
}

static int converse(void)
{
    session s = { 0 };
    int code = cli_decode_options(&s.decode);
    code = code ? code : cli_open_collection(&s.db, TO_READ);
    code = code ? code : cli_shell(ask_line, &s);
    ken_close(s.db);
    return ken_interrupted() ? CLI_EXIT_INTERRUPTED : code;
}

static int run(const cli_args *a)
{
    ken *db = NULL;
    cli_query q = { 0 };
    ken_decode_options d;
    const char *batch = cli_opt(OPT_BATCH_FILE);
    if (!a->n && !batch && isatty(STDIN_FILENO) && cli_out_is_terminal())
        return converse();
    if (!a->n == !batch)
        return cli_misuse(batch ? "--batch FILE holds the queries; give no other" : "no query");
    int code = check_numbers();
    code = code ? code : cli_decode_options(&d);
    if (!code && !batch)
        code = parse_args(&q, a, &d); /* what is wrong with the query comes before the rest */
    const int ask = !code && !batch && cli_resident_wanted();
    const int there = ask ? search_there(&q) : -1;
    if (there < 0) {
        code = code ? code : cli_open_collection(&db, TO_READ);
        if (!code)
            code = batch ? search_batch(db, batch, &d) : search(db, &q, 0);
        if (ask && code <= CLI_EXIT_NONE)
            cli_resident_start();
    }
    cli_query_free(&q);
    ken_close(db);
    return there < 0 ? code : there;
}

const cli_cmd cli_cmd_search = {
    .name = "search",
    .args = "[QUERY...]",
    .summary = "find pictures by words, by likeness, or both",
    .about =
        "A query is made of terms.  A term is words, a picture (./a.jpg, /a.jpg, @a.jpg; @- reads\n"
        "it from standard input), a 3-D model (stl:part.stl, ./part.stl; also .obj and .ply), an item\n"
        "(id:7) or an object (obj:bear).  + and - as arguments of\n"
        "their own add and take away the next term; a number and a colon before a term are its\n"
        "weight; after text: nothing is interpreted.  Words that follow each other are one text.\n"
        "+id:7 and -id:9 say what was good and what was not among the hits.\n\n"
        "--where takes tests joined by and, or, not and parentheses: KEY=VALUE, != < <= > >=, ~ for a\n"
        "pattern (* ? []), KEY in (A, B), KEY not in (A).  Keys: path name dir ext kind object id bytes\n"
        "width height mtime added taken description tag meta.KEY; meta, description and tag are what\n"
        "LIST.json told `ken index`.  Values with spaces go into quotes.  2024-05 is all of that month,\n"
        "2MiB a number of bytes; taken is meta.taken, else mtime.\n\n"
        "--spaces asks several models (`ken index --space NAME --model M` adds one) and fuses what they\n"
        "find: score is then the fused one, 1 what is first everywhere, and --min is held against it.\n\n"
        "--min auto leaves out what has nothing to do with the query, all if need be: of words, what\n"
        "does not come near enough, and what a text with one word exchanged would suit better.\n\n"
        "On a terminal a table, in a pipe score<TAB>path.  Status 1 if nothing is found.\n\n"
        "On a terminal and without a query it asks for one after the other; :help says what else.",
    .examples = "ken search two parrots on a branch\tby words\n"
                "ken \"two parrots on a branch\"\tthe same\n"
                "ken search ./mug.jpg\tits like\n"
                "ken search stl:part.stl\tpictures and models like it, from any side\n"
                "ken search ./mug.jpg + \"in red\" - \"0.5:logo\"\tadd and take away\n"
                "ken search \"text:16:9 monitor\"\twords that look like a weight\n"
                "ken search -l receipts -0 | xargs -0 cp -t out\tfor other programs\n"
                "ken search mug +id:7 -id:9\tmore like item 7, less like item 9\n"
                "ken search dog --where 'taken>=2024 and ext in (jpg,heic)'\tof those alone\n"
                "ken search\tone query after the other, on a terminal\n"
                "ken search --batch queries.txt\ta query a line, a JSON line each\n",
    .run = run,
};
