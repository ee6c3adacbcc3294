/* metrics.h - what Prometheus asks: counts and durations of requests, of encoding and of searches. */
#ifndef SERVE_METRICS_H
#define SERVE_METRICS_H

#include "base/buf.h"
#include "ken.h"

typedef struct kn_metrics kn_metrics;

/* routes: the number of kn_routes[]; one more stands for everything else. */
KEN_CALL ken_status kn_metrics_new(kn_metrics **out, size_t routes);
void kn_metrics_request(kn_metrics *m, size_t route, int status, double seconds);
void kn_metrics_encoded(kn_metrics *m, const char *what, size_t n, double seconds); /* "text", "image" */
void kn_metrics_searched(kn_metrics *m, const ken_search_times *t);
void kn_metrics_free(kn_metrics *m);

/* Requests by route (name, method and path of one by its number), encoding, searches. */
typedef void (*kn_route_name_fn)(size_t route, const char **method, const char **path);
KEN_CALL ken_status kn_metrics_write(kn_metrics *m, kn_route_name_fn name, const char *model, kn_buf *out);
/* Of the process: memory, processor time, open files. */
KEN_CALL ken_status kn_metrics_process(kn_buf *out);

#endif
