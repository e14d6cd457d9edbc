/*
 * What can be counted about us and the pipeline, for Prometheus: its text
 * format, version 0.0.4. Labels have words of ours only, none that a person
 * or a service made up.
 */
#ifndef WS_BROADCAST_METRICS_H
#define WS_BROADCAST_METRICS_H

#include <stdint.h>
#include <time.h>

#include "buffer.h"
#include "outbox_view.h"
#include "courier.h"
#include "ring.h"
#include "running.h"
#include "totals.h"
#include "viewers.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* A request was answered. route is a word that stays where it is. */
void metrics_count_request(struct metrics *metrics, const char *route,
    unsigned status);

/* So long it took until a POSTed message was answered. */
void metrics_time_post(struct metrics *metrics, int64_t us);

/* Where the rest comes from; NULL where there is none. */
struct metrics_sources {
	const struct ring *ring;
	const struct viewers *viewers;
	struct totals *totals;
	const struct courier *courier;
	struct outbox_view *outbox;
	const struct running *running;
	time_t started;
};

/* Append them all. */
void metrics_print(const struct metrics *metrics,
    const struct metrics_sources *sources, struct buffer *out);

#endif
