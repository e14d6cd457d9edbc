#include "http.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "events.h"
#include "http_body.h"
#include "http_head.h"
#include "memory.h"

#define SCRATCH_BYTES 65536	/* read at a time */
#define TURNS_MAX 16		/* requests answered in one turn of the loop */
#define SWEEP_MS 1000		/* between two looks at the deadlines */
#define KEPT_BYTES 4096		/* that a buffer keeps between two requests */

enum state {
	READING_HEAD,
	READING_BODY,
	DEFERRED,
	WRITING,
	LINGERING,	/* answered and half closed, until the client is done */
};

struct http_connection {
	LIST_ENTRY(http_connection) entry;
	struct http *http;
	struct event event;
	struct sockaddr_storage network;	/* of the client */
	enum state state;
	int64_t deadline_ms;
	int64_t since_ms;	/* when it began to wait for its request */
	int64_t body_since_ms;

	struct buffer in;	/* read, not yet taken */
	struct buffer lines;	/* the head, cut into strings */
	struct http_head head;
	struct http_body framing;
	struct buffer body;

	struct buffer out;
	const char *rest;	/* of the answer, behind out, which lasts */
	size_t rest_length;
	size_t sent;		/* of both */

	void (*gone)(void *arg);	/* while it is deferred */
	void *arg;
	bool is_read_whole;	/* the request */
	bool is_last;		/* close it behind the answer */
	bool has_ended;		/* the client will say no more */
	bool is_served;		/* just now: no second time from within */
};

LIST_HEAD(list, http_connection);

struct http {
	struct http_options options;
	struct list connections;
	size_t count;
	size_t body_bytes;	/* of all connections */
	struct timer sweep;
	bool is_ending;
	char scratch[SCRATCH_BYTES];
	time_t date_s;		/* the second of date */
	char date[40];
};

static void serve(void *arg);
static void sweep(void *arg);

/* --- connections ----------------------------------------------------------*/

struct http *
http_new(const struct http_options *options)
{
	struct http *http = xcalloc(1, sizeof *http);

	http->options = *options;
	http->sweep = (struct timer){ .due = sweep, .arg = http };
	LIST_INIT(&http->connections);
	return http;
}

/* The socket stays open. */
static void
forget(struct http_connection *connection)
{
	struct http *http = connection->http;

	events_ignore(http->options.set, &connection->event);
	LIST_REMOVE(connection, entry);
	http->count--;
	http->body_bytes -= connection->body.length;
	buffer_free(&connection->in);
	buffer_free(&connection->lines);
	buffer_free(&connection->body);
	buffer_free(&connection->out);
	free(connection);
}

static void
drop(struct http_connection *connection)
{
	int fd = connection->event.fd;

	if (connection->state == DEFERRED)
		connection->gone(connection->arg);
	forget(connection);
	close(fd);
}

void
http_free(struct http *http)
{
	struct http_connection *connection;

	if (http == NULL)
		return;
	while ((connection = LIST_FIRST(&http->connections)) != NULL)
		drop(connection);
	timers_cancel(http->options.timers, &http->sweep);
	free(http);
}

/* One client may have a /64 network of IPv6 addresses. */
static struct sockaddr_storage
find_network(const struct sockaddr_storage *peer)
{
	struct sockaddr_storage network = { .ss_family = peer->ss_family };

	if (peer->ss_family == AF_INET)
		((struct sockaddr_in *)&network)->sin_addr =
		    ((const struct sockaddr_in *)peer)->sin_addr;
	if (peer->ss_family == AF_INET6)
		memcpy(&((struct sockaddr_in6 *)&network)->sin6_addr,
		    &((const struct sockaddr_in6 *)peer)->sin6_addr,
		    IN6_IS_ADDR_V4MAPPED(
		    &((const struct sockaddr_in6 *)peer)->sin6_addr) ? 16 : 8);
	return network;
}

static bool
is_same_network(const struct sockaddr_storage *a,
    const struct sockaddr_storage *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static bool
is_waiting(const struct http_connection *connection)
{
	return connection->state == READING_HEAD ||
	    connection->state == READING_BODY ||
	    connection->state == LINGERING;
}

/*
 * Who has waited longest for a whole request, of one network or of all (NULL);
 * *count is how many connections there are of it.
 */
static struct http_connection *
find_longest(const struct http *http, const struct sockaddr_storage *network,
    size_t *count)
{
	struct http_connection *longest = NULL, *connection;

	*count = 0;
	LIST_FOREACH(connection, &http->connections, entry) {
		if (network != NULL &&
		    !is_same_network(&connection->network, network))
			continue;
		++*count;
		if (is_waiting(connection) && (longest == NULL ||
		    connection->since_ms < longest->since_ms))
			longest = connection;
	}
	return longest;
}

/* Returns false where nobody gives way. */
static bool
make_room(struct http *http, const struct sockaddr_storage *network)
{
	struct http_connection *longest;
	size_t count;

	longest = find_longest(http, network, &count);
	if (count >= http->options.most_of_address) {
		if (longest == NULL)
			return false;
		drop(longest);
	}
	if (http->count < http->options.most)
		return true;
	longest = find_longest(http, NULL, &count);
	if (longest != NULL)
		drop(longest);
	return longest != NULL;
}

static void
await_request(struct http_connection *connection, int64_t ms)
{
	connection->state = READING_HEAD;
	connection->since_ms = clock_steady_ms();
	connection->deadline_ms = connection->since_ms + ms;
}

void
http_take(struct http *http, int fd, const struct sockaddr_storage *peer)
{
	struct sockaddr_storage network = find_network(peer);
	struct http_connection *connection;
	int on = 1;

	if (http->is_ending || !make_room(http, &network)) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	connection = xcalloc(1, sizeof *connection);
	connection->http = http;
	connection->network = network;
	connection->event = (struct event){ .fd = fd, .ready = serve,
	    .arg = connection };
	await_request(connection, HTTP_HEAD_MS);
	LIST_INSERT_HEAD(&http->connections, connection, entry);
	http->count++;
	events_watch(http->options.set, &connection->event, EPOLLIN);
	if (!http->sweep.is_set)
		timers_set(http->options.timers, &http->sweep, SWEEP_MS);
}

/* --- answers --------------------------------------------------------------*/

static const char *
find_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" }, { 302, "Found" }, { 304, "Not Modified" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 426, "Upgrade Required" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

static const char *
find_date(struct http *http)
{
	time_t now_s = time(NULL);
	struct tm utc;

	if (now_s != http->date_s || http->date[0] == '\0')
		strftime(http->date, sizeof http->date,
		    "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now_s, &utc));
	http->date_s = now_s;
	return http->date;
}

/* What every answer has. */
static const char common_headers[] =
	"content-security-policy: default-src 'none'; script-src 'self';"
	" style-src 'self'; img-src 'self' data:; connect-src 'self';"
	" base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
	"x-content-type-options: nosniff\r\n"
	"referrer-policy: no-referrer\r\n"
	"cross-origin-opener-policy: same-origin\r\n"
	"cross-origin-resource-policy: same-origin\r\n";

static void
print_head(struct http_connection *connection,
    const struct http_answer *answer)
{
	struct buffer *out = &connection->out;

	buffer_printf(out, "HTTP/1.1 %u %s\r\ndate: %s\r\n%s", answer->status,
	    find_reason(answer->status), find_date(connection->http),
	    common_headers);
	if (answer->type != NULL)
		buffer_printf(out, "content-type: %s\r\n", answer->type);
	if (answer->status != 304)
		buffer_printf(out, "content-length: %zu\r\n", answer->length);
	for (const struct http_header *header = answer->headers;
	    header->name != NULL; header++)
		buffer_printf(out, "%s: %s\r\n", header->name, header->value);
	buffer_append_string(out, connection->is_last
	    ? "connection: close\r\n\r\n" : "\r\n");
}

static void
print_answer(struct http_connection *connection,
    const struct http_answer *answer)
{
	bool has_body = answer->status != 304 &&
	    strcmp(connection->head.method, "HEAD") != 0;

	connection->out.length = connection->sent = 0;
	connection->rest_length = 0;
	print_head(connection, answer);
	if (has_body && answer->is_lasting) {
		connection->rest = answer->body;
		connection->rest_length = answer->length;
	} else if (has_body && answer->length > 0) {
		buffer_append(&connection->out, answer->body, answer->length);
	}
}

void
http_answer(struct http_connection *connection,
    const struct http_answer *answer)
{
	bool is_late = connection->state == DEFERRED;

	connection->is_last |= !connection->head.may_stay ||
	    !connection->is_read_whole || connection->http->is_ending;
	print_answer(connection, answer);
	connection->state = WRITING;
	connection->deadline_ms = clock_steady_ms() + HTTP_WRITE_MS;
	if (is_late && !connection->is_served)
		serve(connection);
}

void
http_defer(struct http_connection *connection, void (*gone)(void *arg),
    void *arg)
{
	connection->state = DEFERRED;
	connection->gone = gone;
	connection->arg = arg;
}

static void
refuse(struct http_connection *connection, unsigned status)
{
	struct http_answer answer = {
		.status = status, .type = "text/plain; charset=utf-8",
		.headers = { { "cache-control", "no-store" } },
	};
	struct buffer text = { 0 };

	if (status == 503)
		answer.headers[1] = (struct http_header){ "retry-after", "5" };
	buffer_printf(&text, "%u %s\n", status, find_reason(status));
	answer.body = text.data;
	answer.length = text.length;
	connection->is_last = true;
	http_answer(connection, &answer);
	buffer_free(&text);
}

/* --- reading --------------------------------------------------------------*/

const char *
http_request_header(const struct http_request *request, const char *name)
{
	return http_head_find(request->head, name);
}

static struct http_request
make_request(struct http_connection *connection)
{
	return (struct http_request){
		.method = connection->head.method,
		.path = connection->head.path,
		.query = connection->head.query,
		.body = buffer_string(&connection->body),
		.body_length = connection->body.length,
		.head = &connection->head,
	};
}

static void
complete(struct http_connection *connection)
{
	const struct http_handlers *handlers =
	    &connection->http->options.handlers;
	struct http_request request = make_request(connection);

	connection->is_read_whole = true;
	handlers->complete(connection, &request, handlers->arg);
}

/* Such a client waits for this before it sends the body (RFC 9110, 10.1.1). */
static void
say_continue(struct http_connection *connection)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (connection->head.expects_continue && connection->in.length == 0)
		send(connection->event.fd, line, strlen(line),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
begin_body(struct http_connection *connection, size_t body_max)
{
	const struct http_head *head = &connection->head;

	if (!head->is_chunked && head->length > (int64_t)body_max) {
		refuse(connection, 413);
		return;
	}
	http_body_begin(&connection->framing, head->is_chunked, head->length,
	    body_max);
	connection->state = READING_BODY;
	connection->body_since_ms = clock_steady_ms();
	connection->deadline_ms = connection->body_since_ms + HTTP_BODY_MS;
	say_continue(connection);
}

/* The socket is somebody else's from here on. */
static void
hand_over(struct http_connection *connection)
{
	const struct http_handlers *handlers =
	    &connection->http->options.handlers;
	struct buffer bytes = connection->in;
	int fd = connection->event.fd;

	connection->in = (struct buffer){ 0 };
	forget(connection);
	handlers->adopt(fd, bytes.data, bytes.length, handlers->arg);
	buffer_free(&bytes);
}

/* Returns false where the connection is not ours any more. */
static bool
begin_request(struct http_connection *connection, size_t head_length)
{
	const struct http_handlers *handlers =
	    &connection->http->options.handlers;
	struct http_request request = make_request(connection);
	size_t body_max = 0;

	connection->is_read_whole = !connection->head.is_chunked &&
	    connection->head.length == 0;
	if (connection->head.wants_websocket && connection->is_read_whole) {
		connection->is_last = true;
		if (!handlers->upgrade(connection, &request, handlers->arg))
			return true;
		hand_over(connection);
		return false;
	}
	buffer_consume(&connection->in, head_length);
	if (handlers->begin(connection, &request, &body_max, handlers->arg))
		begin_body(connection, body_max);
	return true;
}

/* Returns false where it needs more bytes, or is not ours any more. */
static bool
take_head(struct http_connection *connection, bool *is_ours)
{
	struct buffer *in = &connection->in, *lines = &connection->lines;
	long length = http_head_measure(in->data, in->length);
	unsigned status;

	if (length == 0 && in->length <= HTTP_HEAD_BYTES_MAX)
		return false;
	connection->head = (struct http_head){ .method = "" };
	if (length <= 0 || length > HTTP_HEAD_BYTES_MAX) {
		refuse(connection, length == -1 ? 400 : 431);
		return true;
	}
	lines->length = 0;
	buffer_append(lines, in->data, (size_t)length);
	buffer_string(lines);
	status = http_head_parse(&connection->head, lines->data,
	    (size_t)length);
	if (status != 0)
		refuse(connection, status);
	else
		*is_ours = begin_request(connection, (size_t)length);
	return *is_ours;
}

/* Each 64 KiB of a body win a second. Returns false where it needs more. */
static bool
take_body(struct http_connection *connection)
{
	struct http *http = connection->http;
	size_t before = connection->body.length, used;
	unsigned status = http_body_take(&connection->framing,
	    connection->in.data, connection->in.length, &used,
	    &connection->body);

	http->body_bytes += connection->body.length - before;
	buffer_consume(&connection->in, used);
	connection->deadline_ms = connection->body_since_ms + HTTP_BODY_MS +
	    (int64_t)connection->body.length / 65;
	if (status == 0 && http->body_bytes > HTTP_BODIES_BYTES_MAX)
		status = 503;
	if (status != 0)
		refuse(connection, status);
	else if (connection->framing.is_done)
		complete(connection);
	else
		return false;
	return true;
}

/* --- one turn -------------------------------------------------------------*/

/* Memory that a large request took is given back. */
static void
clear(struct buffer *buffer)
{
	if (buffer->capacity > KEPT_BYTES)
		buffer_free(buffer);
	buffer->length = 0;
}

static void
end_request(struct http_connection *connection)
{
	connection->http->body_bytes -= connection->body.length;
	clear(&connection->body);
	clear(&connection->out);
	clear(&connection->lines);
	if (connection->in.length == 0)
		clear(&connection->in);
	connection->rest_length = connection->sent = 0;
	if (connection->is_last) {
		shutdown(connection->event.fd, SHUT_WR);
		connection->state = LINGERING;
		connection->since_ms = clock_steady_ms();
		connection->deadline_ms = connection->since_ms +
		    HTTP_LINGER_MS;
	} else {
		await_request(connection, connection->in.length > 0
		    ? HTTP_HEAD_MS : HTTP_IDLE_MS);
	}
}

/* Returns false where the client is gone. */
static bool
write_answer(struct http_connection *connection)
{
	size_t length = connection->out.length;
	size_t all = length + connection->rest_length;

	while (connection->sent < all) {
		size_t in_rest = connection->sent > length
		    ? connection->sent - length : 0;
		size_t in_out = connection->sent - in_rest;
		struct iovec parts[] = {
			{ connection->out.data + in_out, length - in_out },
			{ (char *)connection->rest + in_rest,
			    connection->rest_length - in_rest },
		};
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
		ssize_t count = sendmsg(connection->event.fd, &message,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (count == -1 && errno == EINTR)
			continue;
		if (count == -1)
			return errno == EAGAIN;
		connection->sent += (size_t)count;
		connection->deadline_ms = clock_steady_ms() + HTTP_WRITE_MS;
	}
	end_request(connection);
	return true;
}

/* Read once, where bytes are wanted. Returns false where the client is gone. */
static bool
read_bytes(struct http_connection *connection)
{
	struct http *http = connection->http;
	ssize_t count = recv(connection->event.fd, http->scratch,
	    sizeof http->scratch, MSG_DONTWAIT);

	if (count == -1)
		return errno == EAGAIN || errno == EINTR;
	connection->has_ended = count == 0;
	if (connection->state == LINGERING)
		return count > 0;
	if (connection->state == READING_HEAD && connection->in.length == 0)
		connection->deadline_ms = clock_steady_ms() + HTTP_HEAD_MS;
	buffer_append(&connection->in, http->scratch, (size_t)count);
	return true;
}

/* Take what has come as far as it goes. Returns false where it is not ours. */
static bool
take_bytes(struct http_connection *connection)
{
	bool is_ours = true, goes_on = true;

	for (int turns = 0; goes_on && turns < TURNS_MAX;) {
		switch (connection->state) {
		case READING_HEAD:
			goes_on = connection->in.length > 0 &&
			    take_head(connection, &is_ours);
			break;
		case READING_BODY:
			goes_on = take_body(connection);
			break;
		case WRITING:
			turns++;
			if (!write_answer(connection)) {
				drop(connection);
				return false;
			}
			goes_on = connection->state == READING_HEAD;
			break;
		default:
			goes_on = false;
			break;
		}
	}
	return is_ours;
}

/* Was a next request read that is still to be looked at? */
static bool
has_request(const struct http_connection *connection)
{
	return connection->state == READING_HEAD &&
	    connection->in.length > 0 &&
	    http_head_measure(connection->in.data,
	    connection->in.length) != 0;
}

/* What was read is no event: to be called for it, wait for room. */
static void
watch(struct http_connection *connection)
{
	uint32_t mask = 0;

	if (has_request(connection) || connection->state == WRITING)
		mask = EPOLLOUT;
	else if (is_waiting(connection))
		mask = EPOLLIN;
	events_watch(connection->http->options.set, &connection->event, mask);
}

/* Has the client left amid a request, or between two? */
static bool
is_over(const struct http_connection *connection)
{
	return connection->has_ended && is_waiting(connection) &&
	    !has_request(connection);
}

static void
serve(void *arg)
{
	struct http_connection *connection = arg;

	if (connection->state == DEFERRED) {	/* nothing else is waited for */
		drop(connection);
		return;
	}
	if (is_waiting(connection) && !has_request(connection) &&
	    !read_bytes(connection)) {
		drop(connection);
		return;
	}
	connection->is_served = true;
	if (!take_bytes(connection))
		return;
	connection->is_served = false;
	if (is_over(connection))
		drop(connection);
	else
		watch(connection);
}

/* --- time -----------------------------------------------------------------*/

/* Who was amid a request is told. */
static void
time_out(struct http_connection *connection)
{
	if (connection->state != READING_BODY &&
	    (connection->state != READING_HEAD || connection->in.length == 0)) {
		drop(connection);
		return;
	}
	if (connection->state == READING_HEAD)
		connection->head = (struct http_head){ .method = "" };
	refuse(connection, 408);
	if (write_answer(connection))
		watch(connection);
	else
		drop(connection);
}

static void
sweep(void *arg)
{
	struct http *http = arg;
	int64_t now_ms = clock_steady_ms();
	struct http_connection *connection, *next;

	for (connection = LIST_FIRST(&http->connections); connection != NULL;
	    connection = next) {
		next = LIST_NEXT(connection, entry);
		if (connection->state != DEFERRED &&
		    now_ms >= connection->deadline_ms)
			time_out(connection);
	}
	if (http->count > 0)
		timers_set(http->options.timers, &http->sweep, SWEEP_MS);
}

void
http_end(struct http *http)
{
	struct http_connection *connection, *next;

	http->is_ending = true;
	for (connection = LIST_FIRST(&http->connections); connection != NULL;
	    connection = next) {
		next = LIST_NEXT(connection, entry);
		if (connection->state == READING_HEAD &&
		    connection->in.length == 0)
			drop(connection);
	}
}

bool
http_is_idle(const struct http *http)
{
	const struct http_connection *connection;

	LIST_FOREACH(connection, &http->connections, entry)
		if (connection->state != LINGERING)
			return false;
	return true;
}
