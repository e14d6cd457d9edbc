/* gif: a picture that Giphy finds (developers.giphy.com/docs/api). */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "events.h"
#include "http_client.h"
#include "job.h"
#include "record.h"
#include "url.h"
#include "utf8.h"
#include "words.h"

#define DEADLINE_MS 10000
#define ANSWER_BYTES_MAX (4 * 1024 * 1024)
#define QUERY_BYTES_MAX 50	/* Giphy takes no more */
#define TYPED_BYTES_MAX 1000	/* of it, with markup */
#define DEFAULT_CATEGORY "random"

/* An answer, once it is there. */
struct fetch {
	bool is_done;
	const char *category;
	uint64_t number;
	struct buffer *reply;
};

/* A line of the book holds neither much nor control characters. */
static void
append_category(struct buffer *out, const char *text)
{
	struct buffer typed = { 0 };
	size_t length = strcspn(text, "\r\n");

	words_undo(&typed, text, length < TYPED_BYTES_MAX ? length
	    : utf8_floor(text, TYPED_BYTES_MAX));
	buffer_string(&typed);
	length = typed.length < QUERY_BYTES_MAX ? typed.length
	    : utf8_floor(typed.data, QUERY_BYTES_MAX);
	if (utf8_is_valid(typed.data, length))
		for (size_t i = 0; i < length; i++)
			buffer_append(out, (unsigned char)typed.data[i] < ' '
			    ? " " : typed.data + i, 1);
	while (out->data[out->length - 1] == ' ')
		out->length--;
	buffer_free(&typed);
}

void
gif_answer(struct request *request)
{
	struct buffer words = { 0 };

	if (request->settings->giphy_key == NULL) {
		request_greet(request);
		buffer_append_string(&request->reply, "`gif` is off: whoever"
		    " runs me has not set GIPHY_API_KEY.");
		return;
	}
	buffer_printf(&words, "gif %" PRIu64 " ", request_dice(request, 4));
	append_category(&words, request->rest);
	request_defer(request, buffer_string(&words));
	buffer_free(&words);
}

/* An address that can stand in a message; NULL where it is none. */
static const char *
find_url(const cJSON *data, uint64_t number)
{
	int count = data == NULL ? 0 : cJSON_GetArraySize(data);
	const char *url = count == 0 ? NULL : json_string(cJSON_GetArrayItem(
	    data, (int)(number % (uint64_t)count)), "url");

	return url != NULL && strncmp(url, "https://", 8) == 0 &&
	    strlen(url) <= 500 && strpbrk(url, "<>| \t\r\n\"`") == NULL
	    ? url : NULL;
}

static void
take_gifs(struct fetch *fetch, const struct http_answer *answer)
{
	struct record *json = record_new("gif", (const char *const[]){ NULL });
	const cJSON *data = NULL;
	const char *url;

	if (record_parse(json, answer->body, answer->length) == 0)
		data = record_array(json, "data");
	url = find_url(data, fetch->number);

	if (url != NULL) {
		buffer_append_string(fetch->reply, "I have selected a gif of ");
		words_quote(fetch->reply, fetch->category);
		buffer_printf(fetch->reply, ": %s", url);
	} else if (data != NULL && cJSON_GetArraySize(data) == 0) {
		buffer_append_string(fetch->reply, "Giphy knows no gif of ");
		words_quote(fetch->reply, fetch->category);
		buffer_append_string(fetch->reply, ".");
	} else {
		buffer_append_string(fetch->reply, "no gif: Giphy answered"
		    " something that I do not understand.");
	}
	record_free(json);
}

static const char *
explain(long status)
{
	switch (status) {
	case 401:
	case 403: return "it does not like the key it was given";
	case 414: return "that is too long for it";
	case 429: return "it was asked too often, try again in an hour";
	default: return "it is not well";
	}
}

static void
take_answer(const struct http_answer *answer, void *arg)
{
	struct fetch *fetch = arg;

	fetch->is_done = true;
	if (answer->status == 200)
		take_gifs(fetch, answer);
	else if (answer->status != 0)
		buffer_printf(fetch->reply, "no gif: Error %ld from Giphy, %s.",
		    answer->status, explain(answer->status));
	else
		buffer_printf(fetch->reply, "no gif: Giphy can not be"
		    " reached: %s.", answer->reason);
}

static void
await_answer(struct fetch *fetch, const char *url)
{
	int set = events_open();
	struct timers *timers = timers_new(set);
	struct http_client *client = http_client_new(set, timers, NULL);

	http_client_send(client, &(struct http_request){
		.url = url, .timeout_ms = DEADLINE_MS,
		.answer_max = ANSWER_BYTES_MAX }, take_answer, fetch);
	while (!fetch->is_done)
		events_wait(set, -1);
	http_client_free(client);
	timers_free(timers);
	close(set);
}

void
gif_do(const struct bot_settings *settings, const char *words,
    struct buffer *reply)
{
	struct buffer url = { 0 };
	char number[24];
	struct fetch fetch = { .reply = reply };

	fetch.category = job_field(words, number, sizeof number);
	fetch.number = strtoull(number, NULL, 10);
	if (*fetch.category == '\0')
		fetch.category = DEFAULT_CATEGORY;
	if (settings->giphy_key == NULL) {
		buffer_append_string(reply, "`gif` is off now.");
		return;
	}
	buffer_printf(&url, "%s?api_key=%s&limit=50&rating=g&lang=en&q=",
	    settings->giphy_url, settings->giphy_key);
	url_append_encoded(&url, fetch.category, strlen(fetch.category));
	await_answer(&fetch, buffer_string(&url));
	buffer_free(&url);
}
