#include "posts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth.h"
#include "buffer.h"
#include "clock.h"
#include "memory.h"
#include "post_body.h"
#include "taken.h"
#include "uuid.h"

#define JSON "application/json"
#define KEY_HEADER "Idempotency-Key"
#define KEY_BYTES_MAX 255
#define ID_BYTES_MAX 128
#define SOON "1"	/* seconds until it is worth to ask again */
#define LATER "5"

struct posts {
	struct posts_options options;
	struct courier *courier;	/* NULL: nobody takes them */
	struct taken *taken;
};

/* A message that waits for the inbox's answer, as its sender does for ours. */
struct post {
	struct posts *posts;
	struct http_connection *connection;
	struct parcel *parcel;
	struct uuid id;
	struct buffer answer;	/* for when it is taken */
	int64_t began_us;
};

/* What is answered instead, and after how many seconds to try again. */
struct refusal {
	unsigned status;
	const char *text;
	const char *retry_after;	/* or NULL */
};

struct posts *
posts_new(const struct posts_options *options)
{
	struct posts *posts = xcalloc(1, sizeof *posts);

	posts->options = *options;
	posts->taken = taken_new();
	if (options->inbox != NULL)
		posts->courier = courier_new(options->inbox, options->set,
		    options->timers);
	return posts;
}

void
posts_free(struct posts *posts)
{
	if (posts == NULL)
		return;
	courier_free(posts->courier);
	taken_free(posts->taken);
	free(posts);
}

const struct courier *
posts_courier(const struct posts *posts)
{
	return posts->courier;
}

/* --- answers -------------------------------------------------------------*/

static void
send_json(struct posts *posts, struct http_connection *connection,
    const char *route, unsigned status, const struct buffer *json,
    const char *retry_after)
{
	struct http_answer answer = {
		.status = status, .type = JSON, .body = json->data,
		.length = json->length,
		.headers = { { "Cache-Control", "no-store" } },
	};

	if (retry_after != NULL)
		answer.headers[1] = (struct http_header){ "Retry-After",
		    retry_after };
	metrics_count_request(posts->options.metrics, route, status);
	http_answer(connection, &answer);
}

/* {"msg":TEXT}, with more members in front of the brace where there are any. */
static void
send_refusal(struct posts *posts, struct http_connection *connection,
    const char *route, const struct refusal *refusal, const char *more)
{
	struct buffer json = { 0 };

	buffer_append_string(&json, "{\"msg\":");
	buffer_append_json(&json, refusal->text, strlen(refusal->text));
	buffer_append_string(&json, more);
	buffer_append_string(&json, "}");
	send_json(posts, connection, route, refusal->status, &json,
	    refusal->retry_after);
	buffer_free(&json);
}

static void
refuse(struct posts *posts, struct http_connection *connection,
    struct refusal refusal)
{
	send_refusal(posts, connection, POSTS_PATH, &refusal, "");
}

static void
refuse_body(struct posts *posts, struct http_connection *connection,
    unsigned status, const char *reason)
{
	struct refusal refusal = { status, status == 400 ? "Malformed JSON"
	    : "Unprocessable request body", NULL };
	struct buffer more = { 0 };

	buffer_append_string(&more, ",\"reason\":");
	buffer_append_json(&more, reason, strlen(reason));
	send_refusal(posts, connection, POSTS_PATH, &refusal,
	    buffer_string(&more));
	buffer_free(&more);
}

/* --- the head ------------------------------------------------------------*/

/* application/json or application/WORD+json, with parameters or not. */
static bool
is_json(const char *type)
{
	size_t length, word;

	if (type == NULL || strncasecmp(type, "application/", 12) != 0)
		return false;
	word = strcspn(type + 12, "; \t,");
	length = 12 + word;
	if (type[length + strspn(type + length, " \t")] == ',')
		return false;
	if (word == 4)
		return strncasecmp(type + 12, "json", 4) == 0;
	return word > 5 && strncasecmp(type + length - 5, "+json", 5) == 0;
}

static bool
is_key(const char *key)
{
	size_t length = strlen(key);

	for (size_t i = 0; i < length; i++)
		if (key[i] <= ' ' || key[i] > '~')
			return false;
	return length > 0 && length <= KEY_BYTES_MAX;
}

/* Why the body need not come; status 0: it may. */
static struct refusal
judge_head(const struct posts *posts, const struct http_request *head)
{
	const char *key = http_request_header(head, KEY_HEADER);

	if (!auth_origin_fits(http_request_header(head, "Origin"),
	    http_request_header(head, "Host"), posts->options.origins))
		return (struct refusal){ 403, "Not from that origin", NULL };
	if (!is_json(http_request_header(head, "Content-Type")))
		return (struct refusal){ 415, "Expected a body of the type "
		    JSON, NULL };
	if (key != NULL && !is_key(key))
		return (struct refusal){ 400, KEY_HEADER ": expected up to 255"
		    " visible ASCII characters", NULL };
	if (posts->courier == NULL)
		return (struct refusal){ 503, "Nothing takes messages here:"
		    " ws-broadcast runs without --inbox", NULL };
	return (struct refusal){ 0 };
}

bool
posts_begin(struct posts *posts, struct http_connection *connection,
    const struct http_request *head, size_t *body_max)
{
	struct refusal refusal = judge_head(posts, head);

	*body_max = POST_BODY_BYTES_MAX;
	if (refusal.status != 0)
		refuse(posts, connection, refusal);
	return refusal.status == 0;
}

/* --- the body ------------------------------------------------------------*/

static void
free_post(struct post *post)
{
	buffer_free(&post->answer);
	free(post);
}

/* The client left before the answer. */
static void
leave(void *arg)
{
	struct post *post = arg;

	courier_leave(post->parcel);
	free_post(post);
}

static void
answer_taken(struct post *post)
{
	struct posts *posts = post->posts;

	taken_add(posts->taken, &post->id, clock_now_us());
	send_json(posts, post->connection, POSTS_PATH, 200, &post->answer,
	    NULL);
}

/* The id lets its sender ask what became of it. */
static void
answer_trouble(struct post *post, enum courier_end end)
{
	static const struct refusal refusals[] = {
		[COURIER_AWAY] = { 503, "The message cannot be stored now: try"
		    " again later", LATER },
		[COURIER_UNSURE] = { 503, "The message may have been stored:"
		    " repeat it with the same " KEY_HEADER, LATER },
		[COURIER_REFUSED] = { 500, "The message cannot be stored",
		    NULL },
	};
	char more[sizeof ",\"id\":\"\"" + UUID_TEXT_BYTES];
	char id[UUID_TEXT_BYTES];

	uuid_format(&post->id, id);
	snprintf(more, sizeof more, ",\"id\":\"%s\"", id);
	send_refusal(post->posts, post->connection, POSTS_PATH,
	    &refusals[end], more);
}

static void
finish(enum courier_end end, void *arg)
{
	struct post *post = arg;

	metrics_time_post(post->posts->options.metrics,
	    clock_steady_us() - post->began_us);
	if (end == COURIER_TAKEN)
		answer_taken(post);
	else
		answer_trouble(post, end);
	free_post(post);
}

/* The same key with the same body is the same message. */
static struct uuid
choose_id(const struct http_request *request)
{
	const char *key = http_request_header(request, KEY_HEADER);

	return key == NULL ? uuid_random() :
	    uuid_derive(key, request->body, request->body_length);
}

static void
hand_in(struct post *post, const struct post_body *body)
{
	struct posts *posts = post->posts;
	struct buffer line = { 0 };
	char id[UUID_TEXT_BYTES];

	uuid_format(&post->id, id);
	post_body_print_record(body, id, &line);
	post->parcel = courier_send(posts->courier, &line, finish, post);
	if (post->parcel == NULL) {
		refuse(posts, post->connection, (struct refusal){ 503,
		    "Too many messages wait to be stored: try again later",
		    SOON });
		buffer_free(&line);
		free_post(post);
		return;
	}
	post_body_print_answer(body, id, &post->answer);
	http_defer(post->connection, leave, post);
}

void
posts_complete(struct posts *posts, struct http_connection *connection,
    const struct http_request *request)
{
	struct post_body body;
	unsigned status = post_body_read(&body, request->body,
	    request->body_length);
	struct post *post;

	if (status != 0) {
		refuse_body(posts, connection, status, body.reason);
		return;
	}
	post = xcalloc(1, sizeof *post);
	*post = (struct post){ .posts = posts, .connection = connection,
	    .id = choose_id(request), .began_us = clock_steady_us() };
	hand_in(post, &body);
}

/* --- what became of it ---------------------------------------------------*/

/* It was taken, and the outbox does not know it yet. */
static bool
find_taken(const struct posts *posts, const struct uuid *uuid,
    const char *id, struct buffer *json)
{
	int64_t us = taken_find(posts->taken, uuid);
	char when[CLOCK_TEXT_BYTES];

	if (us == 0)
		return false;
	clock_format(us, when);
	buffer_printf(json, "{\"id\":\"%s\",\"status\":\"queued\","
	    "\"queued\":\"%s\"}", id, when);
	return true;
}

static unsigned
find_message(struct posts *posts, const char *id, struct buffer *json)
{
	char text[UUID_TEXT_BYTES];
	struct uuid uuid;
	bool is_ours = uuid_parse(id, &uuid) == 0;
	int found;

	if (is_ours) {
		uuid_format(&uuid, text);
		id = text;
	}
	if (*id == '\0' || strlen(id) > ID_BYTES_MAX)
		return 404;
	found = outbox_view_find(posts->options.outbox, id, json);
	if (found == -1)
		return 503;
	return found == 1 || (is_ours && find_taken(posts, &uuid, id, json))
	    ? 200 : 404;
}

void
posts_find(struct posts *posts, struct http_connection *connection,
    const char *id)
{
	struct buffer json = { 0 };
	unsigned status = find_message(posts, id, &json);

	if (status == 200)
		send_json(posts, connection, POSTS_MESSAGES_PATH, status,
		    &json, NULL);
	else if (status == 404)
		send_refusal(posts, connection, POSTS_MESSAGES_PATH,
		    &(struct refusal){ 404, "No message has this id, or it is"
		    " too long ago", NULL }, "");
	else
		send_refusal(posts, connection, POSTS_MESSAGES_PATH,
		    &(struct refusal){ 503, "The outbox cannot be read now:"
		    " try again later", SOON }, "");
	buffer_free(&json);
}
