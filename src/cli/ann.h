/* ann.h - what the parts of `ken ann` share. */
#ifndef CLI_ANN_H
#define CLI_ANN_H

#include "cli/cmd.h"
#include "ken.h"

uint32_t cli_ann_threads(void); /* --threads, else one per processor */
/* From --metric, --threads and --seed. */
ken_index_options cli_ann_options(size_t dim, const char *kind);
/* 0, or the exit status with the reason printed. */
int cli_ann_open(ken_index **out, const char *path, int write);
int cli_ann_complain(ken_status st, const char *path);

/* What a command made: {"kind","metric","n","dim","seconds","bytes",…}; path: the file it wrote. */
void cli_ann_say(const ken_index *ix, const char *path, double seconds);

int cli_ann_search(const cli_args *a);
int cli_ann_import(const cli_args *a);
int cli_ann_export(const cli_args *a);
int cli_ann_truth(const cli_args *a);

#endif
