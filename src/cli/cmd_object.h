/* cmd_object.h - what the files of `ken object` share. */
#ifndef CLI_CMD_OBJECT_H
#define CLI_CMD_OBJECT_H

#include "cli/cmd.h"
#include "cli/json.h"
#include "ken.h"

/* {"object","references","vectors"} */
cJSON *cli_object_json(const ken_object *o);
/* --crops. */
ken_object_options cli_object_options(void);
/* Tell it; the exit status. */
int cli_object_failed(ken_status st);

/* `ken object feed`. */
int cli_object_feed(ken *db, const cli_args *a);

#endif
