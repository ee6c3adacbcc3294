/* log.h - lines for the logger that the program has set; silence without one. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "ken.h"

void kn_log(ken_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
