/* cmd_version.c - the version. */
#include "cli/cmd.h"
#include "ken.h"

#include <stdio.h>

static int version(const cli_args *a)
{
    (void)a;
    printf("ken %s\n", ken_version());
    return 0;
}

const cli_cmd cli_cmd_version = {
    .name = "version",
    .args = "",
    .summary = "the version of this program",
    .examples = "ken version\tken 0.1.0\n",
    .run = version,
};
