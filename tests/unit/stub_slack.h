/* A Web API that answers as a test says, in the test's own event loop. */
#ifndef TESTS_STUB_SLACK_H
#define TESTS_STUB_SLACK_H

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/buffer.h"
#include "../../lib/slack_api.h"
#include "../../lib/timers.h"

struct stub_slack;

struct stub_answer {
	int status;		/* 200 at first */
	const char *headers;	/* each with its CRLF, "" at first */
	struct buffer body;
	bool is_withheld;	/* the call is never answered */
};

/* The parts that a module under test needs, on one event set. */
struct stub_parts {
	int set;
	struct timers *timers;
	struct slack_api *api;
	struct stub_slack *slack;
};

/* `answer` gets the method and its form-encoded arguments, decoded. */
void stub_open(struct stub_parts *parts, void (*answer)(const char *method,
    const char *arguments, struct stub_answer *answer, void *arg), void *arg);
void stub_close(struct stub_parts *parts);

/* How often the method was called; NULL: any. */
size_t stub_calls(const struct stub_parts *parts, const char *method);

/* Let things happen until `is_over` says so; false: not within 20 s. */
bool stub_run(struct stub_parts *parts, bool (*is_over)(void *arg),
    void *arg);

/* The same for that long. */
void stub_run_ms(struct stub_parts *parts, int ms);

/* Is name=value among the arguments? */
bool stub_has(const char *arguments, const char *name, const char *value);

#endif
