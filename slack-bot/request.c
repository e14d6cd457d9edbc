#include "request.h"

#include "job.h"
#include "words.h"

#define JOBS_MAX 16		/* that may be owed */
#define USER_JOBS_MAX 4		/* to one user: each may take a minute */

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t
mix(uint64_t number)
{
	number += UINT64_C(0x9e3779b97f4a7c15);
	number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
	return number ^ (number >> 31);
}

uint64_t
request_dice(const struct request *request, uint64_t salt)
{
	return mix(mix(mix(request->settings->seed) +
	    (uint64_t)request->seq) + salt);
}

void
request_greet(struct request *request)
{
	buffer_printf(&request->reply, "<@%s>! ", request->user);
}

void
request_refuse(struct request *request, const char *verb, const char *term,
    const char *reason)
{
	struct buffer *reply = &request->reply;

	request_greet(request);
	buffer_printf(reply, "I can not %s ", verb);
	if (*term != '\0')
		words_quote(reply, term);
	else
		buffer_append_string(reply, "that");
	buffer_printf(reply, ": %s.", reason);
}

void
request_defer(struct request *request, const char *words)
{
	struct book *book = request->book;

	if (!request->settings->defers) {
		request_greet(request);
		job_do(request->settings, words, &request->reply);
		return;
	}
	if (book_count(book, SUBSCRIPTION_JOB, request->user) >=
	    USER_JOBS_MAX) {
		request_greet(request);
		buffer_append_string(&request->reply, "I am busy with what"
		    " you asked before. Ask me again when I have answered.");
		return;
	}
	if (book_count(book, SUBSCRIPTION_JOB, NULL) >= JOBS_MAX) {
		request_greet(request);
		buffer_append_string(&request->reply, "I am busy with what"
		    " others asked. Ask me again in a minute.");
		return;
	}
	book_add(book, (struct subscription){ .kind = SUBSCRIPTION_JOB,
	    .user = request->user, .channel = request->channel,
	    .thread = request->thread, .words = words });
	request->is_later = true;
}
