/* One HTTP request for a file, and what its answer means. */
#ifndef ATTACH_FETCH_TRANSFER_H
#define ATTACH_FETCH_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "login_page.h"
#include "spool.h"
#include "want.h"

/* What is asked for. All is borrowed while the transfer runs. */
struct transfer_order {
	const char *url;	/* checked against the hosts */
	struct curl_slist *headers;
	const char *ca_file;	/* or NULL */
	struct spool *spool;
	int64_t bytes_max;
	bool is_html;		/* a page of HTML is what is to be expected */
	bool is_young;		/* Slack may not serve it yet */
};

/* Why we ended an answer ourselves. */
enum transfer_stop {
	TRANSFER_GOES_ON,
	TRANSFER_IS_LOGIN_PAGE,
	TRANSFER_IS_TOO_LARGE,
	TRANSFER_HAS_NO_SPOOL,
	TRANSFER_IS_ALL_HEADERS,
};

/* All zero between two requests. */
struct transfer {
	struct transfer_order order;
	CURL *easy;
	struct spool_file *file;
	struct login_page page;
	int64_t ignored_bytes;
	size_t header_bytes;
	enum transfer_stop stop;
	int spool_error;
};

enum transfer_result {
	TRANSFER_FILE,		/* complete, in transfer->file */
	TRANSFER_REDIRECT,
	TRANSFER_LOGIN_PAGE,
	TRANSFER_RETRY,		/* it may go better later, else it failed */
	TRANSFER_NO_ROOM,	/* the disk is full */
	TRANSFER_FINAL,		/* what became of the file is `status` */
};

struct transfer_answer {
	enum transfer_result result;
	const char *target;	/* of a redirect; belongs to the handle */
	int64_t pause_ms;	/* what the server asks for before a retry */
	enum want_status status;
	char reason[WANT_REASON_BYTES];
};

/* Prepare the handle, which is borrowed until transfer_clear. */
void transfer_prepare(struct transfer *transfer, CURL *easy,
    const struct transfer_order *order);

/* libcurl is done with the request: say what that means. */
void transfer_judge(struct transfer *transfer, CURLcode code,
    struct transfer_answer *answer);

/* Forget the request, and a file that nobody took. */
void transfer_clear(struct transfer *transfer);

#endif
