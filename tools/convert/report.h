/* report.h - what was done with a checkpoint, for people and for programs. */
#ifndef CONVERT_REPORT_H
#define CONVERT_REPORT_H

#include "tools/convert/emit.h"

/* To standard output.  KEN_E_IO, KEN_E_NOMEM. */
KEN_CALL ken_status cv_report_table(const cv_plan *p, const char *out, uint64_t bytes);
KEN_CALL ken_status cv_report_json(const cv_plan *p, const char *out, uint64_t bytes);

#endif
