/* spec.c - reading the factory string, part by part between the commas. */
#include "index/spec.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { AUTO_GRAPH = 20000 }; /* rows from which a graph beats the exact cascade */

static const char *const metric_names[] = { "ip", "l2", "cosine" };

ken_status kn_metric_parse(kn_metric *out, const char *name)
{
    if (!name)
        name = "cosine";
    if (!strcmp(name, "dot"))
        name = "ip";
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, metric_names[i])) {
            *out = (kn_metric)i;
            return KEN_OK;
        }
    return kn_fail(KEN_E_INVALID, "metric \"%s\": one of cosine, l2, ip", name);
}

const char *kn_metric_name(kn_metric m)
{
    return metric_names[m];
}

/* A word and a number behind it: 1 and the rest of the text, or 0. */
static int word_number(const char **s, const char *word, uint32_t *n)
{
    const size_t len = strlen(word);
    const char *p = *s + len;
    uint32_t x = 0;
    if (strncasecmp(*s, word, len) || *p < '0' || *p > '9')
        return 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if ((x = x * 10 + (uint32_t)(*p - '0')) > 1u << 24)
            return 0;
    *n = x;
    *s = p;
    return 1;
}

/* A word alone, with a comma or the end behind it. */
static int word_alone(const char **s, const char *word)
{
    const size_t len = strlen(word);
    if (strncasecmp(*s, word, len) || ((*s)[len] && (*s)[len] != ','))
        return 0;
    *s += len;
    return 1;
}

static int comma(const char **s)
{
    return **s == ',' ? (*s)++, 1 : 0;
}

/* What the lists hold. */
static int parse_codes(const char **s, kn_spec *p)
{
    if (word_alone(s, "Flat"))
        return 1;
    if (!word_number(s, "PQ", &p->pq) || !p->pq)
        return 0;
    p->bits = 8;
    if (word_alone(s, "x4fs"))
        p->bits = 4;
    else
        word_alone(s, "x8");
    if (comma(s)) {
        if (!word_alone(s, "RFlat"))
            return 0;
        p->refine = 1;
    }
    return 1;
}

static int parse_any(const char **s, kn_spec *p, size_t n)
{
    if (word_alone(s, "auto")) {
        p->kind = n < AUTO_GRAPH ? KN_KIND_FLAT : KN_KIND_HNSW;
        p->m = p->kind == KN_KIND_HNSW ? 16 : 0;
        return 1;
    }
    if (word_alone(s, "Flat"))
        return 1;
    if (word_alone(s, "HNSW") || word_number(s, "HNSW", &p->m)) {
        p->kind = KN_KIND_HNSW;
        p->m = p->m ? p->m : 16;
        return !comma(s) || word_alone(s, "Flat");
    }
    p->kind = KN_KIND_IVF;
    if (word_number(s, "OPQ", &p->opq) && (!p->opq || !comma(s)))
        return 0;
    return word_number(s, "IVF", &p->lists) && p->lists && comma(s) && parse_codes(s, p);
}

static void print(kn_spec *p)
{
    size_t n = 0;
    if (p->kind == KN_KIND_FLAT)
        snprintf(p->text, sizeof p->text, "Flat");
    if (p->kind == KN_KIND_HNSW)
        snprintf(p->text, sizeof p->text, "HNSW%u", p->m);
    if (p->kind != KN_KIND_IVF)
        return;
    if (p->opq)
        n += (size_t)snprintf(p->text, sizeof p->text, "OPQ%u,", p->opq);
    n += (size_t)snprintf(p->text + n, sizeof p->text - n, "IVF%u,", p->lists);
    if (p->pq)
        snprintf(p->text + n, sizeof p->text - n, "PQ%u%s%s", p->pq, p->bits == 4 ? "x4fs" : "",
                 p->refine ? ",RFlat" : "");
    else
        snprintf(p->text + n, sizeof p->text - n, "Flat");
}

ken_status kn_spec_parse(kn_spec *out, const char *text, size_t n, uint32_t dim, kn_metric metric)
{
    kn_spec p = { 0 };
    const char *s = text;
    (void)metric;
    if (!parse_any(&s, &p, n) || *s)
        return kn_fail(KEN_E_INVALID,
                       "index \"%s\": not understood at \"%s\"; Flat, HNSW16, IVF1024,Flat, "
                       "IVF1024,PQ64, IVF1024,PQ128x4fs,RFlat, OPQ64,IVF1024,PQ64 or auto",
                       text, s);
    if (p.kind == KN_KIND_HNSW && (p.m < 2 || p.m > 64))
        return kn_fail(KEN_E_INVALID, "index \"%s\": HNSW takes 2 to 64 links", text);
    if ((p.pq && dim % p.pq) || (p.opq && dim % p.opq))
        return kn_fail(KEN_E_INVALID, "index \"%s\": dimension %u is no multiple of %u", text, dim,
                       p.pq && dim % p.pq ? p.pq : p.opq);
    print(&p);
    *out = p;
    return KEN_OK;
}
