/* error.h - how every module reports failure. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "ken.h"

/* Record why, and return st so that callers can `return kn_fail(...)`.
 * Called once, where the cause is known; callers above only pass st up, or
 * add what they were doing with kn_fail_in(). */
ken_status kn_fail(ken_status st, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Prefix the recorded reason with "what: " and return st unchanged. */
ken_status kn_fail_in(ken_status st, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), cold));

/* The status that an errno stands for, with strerror's words as the reason: KEN_E_NOTFOUND for
 * ENOENT and ENOTDIR, KEN_E_NOMEM for ENOMEM, else KEN_E_IO. */
ken_status kn_fail_errno(int err);

#endif
