/*
 * publishers.c - the table of publishers' files.
 *
 * Only what a publisher's own code names with a SHA-256 stands here:
 *   openai/CLIP              clip/clip.py, _MODELS: all 64 digits are a part of the address
 *   mlfoundations/open_clip  src/open_clip/pretrained.py: file names end with the first 8 digits, which
 *                            download_pretrained_from_url() compares; LAION's on other hubs have none
 *   pytorch/vision           torchvision/models/resnet.py, ResNet*_Weights.IMAGENET1K_V1: likewise 8 digits,
 *                            compared by torch.hub.  (V2 is trained for another resize.)
 * and CLIP's vocabulary, clip/bpe_simple_vocab_16e6.txt.gz of openai/CLIP, whose digest keras-cv tells
 * (models/stable_diffusion/clip_tokenizer.py).  Chinese-CLIP's code names addresses without a digest.
 */
#include "cli/publishers.h"

#include "cli/mem.h"
#include "cli/paths.h"
#include "cli/say.h"

#include <errno.h>
#include <string.h>

enum { MAX_TABLE = 1 << 20 };

#define OPENAI(name, digest, file)                                                                 \
    name "::openai " digest " MIT https://openaipublic.azureedge.net/clip/models/" digest "/" file \
         " --tokenizer @clip-bpe\n"
#define OPEN_CLIP(name, digest, file, activation)                                                       \
    name " " digest " MIT https://github.com/mlfoundations/open_clip/releases/download/v0.2-weights/"   \
    file " --tokenizer @clip-bpe --activation " activation "\n"
#define TORCHVISION(name, digest) \
    name "::imagenet1k_v1 " digest " BSD-3-Clause https://download.pytorch.org/models/" name "-" digest \
         ".pth\n"

static const char *const built_in[] = {
    OPENAI("ViT-B-32", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", "ViT-B-32.pt"),
    OPENAI("ViT-B-16", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", "ViT-B-16.pt"),
    OPENAI("ViT-L-14", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", "ViT-L-14.pt"),
    OPENAI("ViT-L-14-336", "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
           "ViT-L-14-336px.pt"),
    OPENAI("RN50", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", "RN50.pt"),
    OPENAI("RN101", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", "RN101.pt"),
    OPENAI("RN50x4", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", "RN50x4.pt"),
    OPENAI("RN50x16", "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa", "RN50x16.pt"),
    OPENAI("RN50x64", "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c", "RN50x64.pt"),
    OPEN_CLIP("ViT-B-32::laion2b_e16", "af8dbd0c", "vit_b_32-laion2b_e16-af8dbd0c.pth", "gelu"),
    OPEN_CLIP("ViT-B-32-quickgelu::laion400m_e31", "d867053b", "vit_b_32-quickgelu-laion400m_e31-d867053b.pt",
              "quickgelu"),
    OPEN_CLIP("ViT-B-32-quickgelu::laion400m_e32", "46683a32", "vit_b_32-quickgelu-laion400m_e32-46683a32.pt",
              "quickgelu"),
    OPEN_CLIP("ViT-B-16::laion400m_e31", "00efa78f", "vit_b_16-laion400m_e31-00efa78f.pt", "gelu"),
    OPEN_CLIP("ViT-B-16::laion400m_e32", "55e67d44", "vit_b_16-laion400m_e32-55e67d44.pt", "gelu"),
    OPEN_CLIP("ViT-L-14::laion400m_e31", "69988bb6", "vit_l_14-laion400m_e31-69988bb6.pt", "gelu"),
    OPEN_CLIP("ViT-L-14::laion400m_e32", "3d133497", "vit_l_14-laion400m_e32-3d133497.pt", "gelu"),
    OPEN_CLIP("RN50-quickgelu::yfcc15m", "455df137", "rn50-quickgelu-yfcc15m-455df137.pt", "quickgelu"),
    OPEN_CLIP("RN50-quickgelu::cc12m", "f000538c", "rn50-quickgelu-cc12m-f000538c.pt", "quickgelu"),
    OPEN_CLIP("RN101-quickgelu::yfcc15m", "3e04b30e", "rn101-quickgelu-yfcc15m-3e04b30e.pt", "quickgelu"),
    TORCHVISION("resnet18", "f37072fd"),
    TORCHVISION("resnet34", "b627a593"),
    TORCHVISION("resnet50", "0676ba61"),
    TORCHVISION("resnet101", "63fe2227"),
    TORCHVISION("resnet152", "394f9c45"),
    ("clip-bpe 924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a MIT"
     " https://raw.githubusercontent.com/openai/CLIP/main/clip/bpe_simple_vocab_16e6.txt.gz\n"),
};

static char *join(const char *const *lines, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += strlen(lines[i]);
    char *text = cli_mem_new(len + 1, 1), *to = text;
    for (size_t i = 0; i < n; i++)
        to = stpcpy(to, lines[i]);
    return text;
}

/* The next word of a line that is cut up in place; NULL at its end. */
static const char *word(char **line)
{
    char *w = *line + strspn(*line, " \t\r"), *end = w + strcspn(w, " \t\r");
    *line = *end ? end + 1 : end;
    *end = 0;
    return *w ? w : NULL;
}

/* NULL, or what is wrong with it. */
static const char *parse(cli_published *p, char *line)
{
    size_t n = 0;
    *p = (cli_published){ .name = word(&line) };
    p->sha256 = word(&line);
    p->licence = word(&line);
    p->url = word(&line);
    if (!p->url)
        return "expects NAME SHA256 LICENCE URL [ARGUMENT...]";
    const size_t digits = strlen(p->sha256);
    if (strchr(p->name, '/') || *p->name == '.' || *p->name == '-')
        return "NAME becomes the name of a file: no /, and no . or - in front";
    if (digits < 8 || digits > 64 || strspn(p->sha256, "0123456789abcdefABCDEF") != digits)
        return "SHA256 is 8 to 64 hex digits";
    for (const char *w; (w = word(&line)); n++) {
        if (n == CLI_PUBLISHED_ARGS)
            return "too many arguments";
        p->args[n] = w;
    }
    return NULL;
}

int cli_publishers_read(cli_publishers *p, const char *file)
{
    const size_t lines = sizeof built_in / sizeof *built_in;
    size_t len, number = 0;
    *p = (cli_publishers){ 0 };
    p->text = file ? cli_read_file(file, MAX_TABLE, &len) : join(built_in, lines);
    if (!p->text)
        return cli_error("%s: %s", file, strerror(errno));
    for (char *line = p->text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        number++;
        line += strspn(line, " \t\r");
        if (!*line || *line == '#')
            continue;
        p->list = cli_mem_room(p->list, p->n, &p->cap, sizeof *p->list);
        const char *why = parse(&p->list[p->n++], line);
        if (why) {
            cli_publishers_free(p);
            return cli_error("%s:%zu: %s", file ? file : "built in", number, why);
        }
    }
    return 0;
}

void cli_publishers_free(cli_publishers *p)
{
    cli_mem_free(p->list);
    cli_mem_free(p->text);
    *p = (cli_publishers){ 0 };
}

const cli_published *cli_publishers_find(const cli_publishers *p, const char *name)
{
    size_t i = 0;
    while (i < p->n && strcmp(p->list[i].name, name))
        i++;
    return i < p->n ? &p->list[i] : NULL;
}

int cli_published_is_model(const cli_published *p)
{
    return strstr(p->name, "::") != NULL;
}
