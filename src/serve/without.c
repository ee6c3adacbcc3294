/* without.c - what builds without HTTP say. */
#include "base/error.h"

ken_status ken_server_start(ken_server **out, const ken_server_options *opts)
{
    (void)out;
    (void)opts;
    return kn_fail(KEN_E_UNSUPPORTED, "this build has no server (HTTP=0)");
}

ken_status ken_server_reload(ken_server *s, const ken_server_options *opts)
{
    (void)s;
    return ken_server_start(NULL, opts);
}

const char *ken_server_address(const ken_server *s, size_t i)
{
    (void)s;
    (void)i;
    return NULL;
}

void ken_server_stop(ken_server *s, double seconds)
{
    (void)s;
    (void)seconds;
}

double ken_server_idle(const ken_server *s)
{
    (void)s;
    return 0;
}
