/* replay.c - feed files, or all files below folders, to a fuzz target without a fuzzing engine. */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned long played;

static int play(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)at;
    if (type != FTW_F)
        return 0;
    size_t len = (size_t)info->st_size;
    uint8_t *data = malloc(len ? len : 1);
    FILE *f = fopen(path, "rb");
    int bad = !data || !f || fread(data, 1, len, f) != len;
    if (f)
        fclose(f);
    if (bad) {
        fprintf(stderr, "replay: cannot read %s\n", path);
    } else {
        fprintf(stderr, "%s\n", path); /* the last one named is the one that crashed */
        (void)LLVMFuzzerTestOneInput(data, len);
        played++;
    }
    free(data);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc && !bad; i++)
        bad = nftw(argv[i], play, 16, FTW_PHYS) != 0;
    if (!played)
        fprintf(stderr, "replay: no input\n");
    printf("%lu passed, %d failed\n", played, bad || !played);
    return bad || !played;
}
