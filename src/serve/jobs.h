/* jobs.h - long work that a request begins and others ask after: scans of folders. */
#ifndef SERVE_JOBS_H
#define SERVE_JOBS_H

#include "base/buf.h"
#include "serve/http.h"

#include <cjson/cJSON.h>

typedef struct kn_jobs kn_jobs;

enum { KN_JOB_ID = 24, KN_JOB_KEY = 64 };

KEN_CALL ken_status kn_jobs_new(kn_jobs **out, ken *db);
/* Scan n paths, (kn_free) theirs taken over also on failure.  key: a second request with the same one, not
 * empty, gets the first one's job.  KEN_E_BUSY if too many are running.  id holds KN_JOB_ID bytes. */
KEN_CALL ken_status kn_jobs_scan(kn_jobs *j, char **paths, size_t n, const char *key, char *id);
/* {"id","state","stage",…}; NULL: there is none of that id. */
cJSON *kn_jobs_json(kn_jobs *j, const char *id);
/* All that are remembered, the oldest first. */
cJSON *kn_jobs_list(kn_jobs *j);
/* Ask it to stop, or forget a finished one; 0, or -1: there is none. */
int kn_jobs_cancel(kn_jobs *j, const char *id);
/* Server-sent events "progress" and at last "done", whose data is kn_jobs_json(); NULL: there is none. */
kn_stream *kn_jobs_events(kn_jobs *j, const char *id);
/* Ask all to stop and wait for them; streams end.  jobs_free once no stream is left. */
void kn_jobs_stop(kn_jobs *j);
void kn_jobs_free(kn_jobs *j);

#endif
