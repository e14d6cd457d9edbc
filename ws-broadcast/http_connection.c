#include "http_connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "http_print.h"
#include "memory.h"

#define TURNS_MAX 16		/* requests answered in one turn of the loop */
#define KEPT_BYTES 4096		/* that a buffer keeps between two requests */

static void serve(void *arg);

/* --- begin and end --------------------------------------------------------*/

/* Look for the end of a head in what was read. */
static void
look_for_head(struct http_connection *connection)
{
	if (connection->head_length == 0)
		connection->head_length = http_head_measure(
		    connection->in.data, connection->in.length,
		    &connection->seen);
}

/* Is there a head to look at, a good one or not? */
static bool
has_request(const struct http_connection *connection)
{
	return connection->state == READING_HEAD &&
	    (connection->head_length != 0 ||
	    connection->in.length > HTTP_HEAD_BYTES_MAX);
}

/* One that came already waits for room to write its answer. */
static void
await_request(struct http_connection *connection, int64_t ms)
{
	connection->state = READING_HEAD;
	connection->seen = 0;
	connection->head_length = 0;
	look_for_head(connection);
	connection->since_ms = clock_steady_ms();
	connection->deadline_ms = connection->since_ms +
	    (has_request(connection) ? HTTP_WRITE_MS : ms);
}

void
http_connection_add(struct http *http, int fd, struct crowd *crowd)
{
	struct http_connection *connection = xcalloc(1, sizeof *connection);
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	connection->http = http;
	connection->crowd = crowd;
	connection->event = (struct event){ .fd = fd, .ready = serve,
	    .arg = connection };
	await_request(connection, HTTP_HEAD_MS);
	LIST_INSERT_HEAD(&http->connections, connection, entry);
	http->count++;
	serve(connection);
}

static void
leave_crowd(struct crowd *crowd)
{
	if (--crowd->count > 0)
		return;
	LIST_REMOVE(crowd, entry);
	free(crowd);
}

static void
clear_body(struct http_connection *connection)
{
	connection->http->body_bytes -= connection->body.length;
	buffer_free(&connection->body);
}

/* The socket stays open. */
static void
forget(struct http_connection *connection)
{
	struct http *http = connection->http;

	events_ignore(http->options.set, &connection->event);
	LIST_REMOVE(connection, entry);
	http->count--;
	leave_crowd(connection->crowd);
	clear_body(connection);
	buffer_free(&connection->in);
	buffer_free(&connection->lines);
	buffer_free(&connection->out);
	free(connection);
}

void
http_connection_drop(struct http_connection *connection)
{
	int fd = connection->event.fd;

	if (connection->state == DEFERRED)
		connection->gone(connection->arg);
	forget(connection);
	close(fd);
}

bool
http_connection_is_waiting(const struct http_connection *connection)
{
	return (connection->state == READING_HEAD &&
	    !has_request(connection)) || connection->state == READING_BODY ||
	    connection->state == LINGERING;
}

/* --- answers --------------------------------------------------------------*/

/* Memory that a large request took is given back. */
static void
clear(struct buffer *buffer)
{
	if (buffer->capacity > KEPT_BYTES)
		buffer_free(buffer);
	buffer->length = 0;
}

static void
begin_writing(struct http_connection *connection)
{
	size_t length = connection->out.length + connection->rest_length;

	connection->state = WRITING;
	connection->since_ms = clock_steady_ms();
	connection->deadline_ms = connection->since_ms + HTTP_WRITE_MS +
	    (int64_t)length / HTTP_WRITE_BYTES_EACH_MS;
}

static void
print_answer(struct http_connection *connection,
    const struct http_answer *answer)
{
	bool has_body = answer->status != 304 && answer->length > 0 &&
	    !connection->is_head_only;

	connection->out.length = connection->sent = 0;
	connection->rest_length = 0;
	http_print_head(&connection->out, answer, connection->is_last);
	if (has_body && answer->is_lasting) {
		connection->rest = answer->body;
		connection->rest_length = answer->length;
	} else if (has_body) {
		buffer_append(&connection->out, answer->body, answer->length);
	}
}

static void
refuse(struct http_connection *connection, unsigned status)
{
	const struct http_handlers *handlers =
	    &connection->http->options.handlers;
	struct http_answer answer = {
		.status = status, .type = "text/plain; charset=utf-8",
		.headers = { { "cache-control", "no-store" } },
	};
	struct buffer text = { 0 };

	if (status == 503)
		answer.headers[1] = (struct http_header){ "retry-after", "5" };
	buffer_printf(&text, "%u %s\n", status, http_print_reason(status));
	answer.body = text.data;
	answer.length = text.length;
	connection->is_last = true;
	handlers->refused(status, handlers->arg);
	http_answer(connection, &answer);
	buffer_free(&text);
}

static void
end_request(struct http_connection *connection)
{
	clear_body(connection);
	clear(&connection->out);
	clear(&connection->lines);
	if (connection->in.length == 0)
		clear(&connection->in);
	connection->rest_length = connection->sent = 0;
	if (connection->is_last) {
		shutdown(connection->event.fd, SHUT_WR);
		buffer_free(&connection->in);
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
		struct msghdr message = { .msg_iov = parts,
		    .msg_iovlen = connection->rest_length > 0 ? 2 : 1 };
		ssize_t count = sendmsg(connection->event.fd, &message,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (count == -1 && errno == EINTR)
			continue;
		if (count == -1)
			return errno == EAGAIN;
		connection->sent += (size_t)count;
	}
	end_request(connection);
	return true;
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
		.body = connection->body.length > 0
		    ? buffer_string(&connection->body) : "",
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
	clear_body(connection);
}

/* Such a client waits for this before it sends the body (RFC 9110, 10.1.1). */
static void
say_continue(struct http_connection *connection)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (connection->head.expects_continue && !connection->is_read_whole &&
	    connection->in.length == 0)
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

/*
 * The request in the plainest form there is: whatever else was in it need not
 * be understood a second time, in another way perhaps.
 */
static void
print_handshake(struct buffer *out, const struct http_request *request)
{
	static const char *const needed[] = { "Host", "Sec-WebSocket-Key",
	    "Sec-WebSocket-Version" };

	buffer_printf(out, "GET %s?%s HTTP/1.1\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\n", request->path, request->query);
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
		const char *value = http_request_header(request, needed[i]);

		if (value != NULL)
			buffer_printf(out, "%s: %s\r\n", needed[i], value);
	}
	buffer_append_string(out, "\r\n");
}

/* The socket is somebody else's from here on. */
static void
hand_over(struct http_connection *connection,
    const struct http_request *request)
{
	const struct http_handlers *handlers =
	    &connection->http->options.handlers;
	int fd = connection->event.fd;
	struct buffer bytes = { 0 };

	print_handshake(&bytes, request);
	buffer_append(&bytes, connection->in.data, connection->in.length);
	forget(connection);
	handlers->adopt(fd, bytes.data, bytes.length, handlers->arg);
	buffer_free(&bytes);
}

/* Returns false where the connection is not ours any more. */
static bool
begin_request(struct http_connection *connection)
{
	const struct http_handlers *handlers =
	    &connection->http->options.handlers;
	struct http_request request = make_request(connection);
	size_t body_max = 0;

	connection->is_read_whole = !connection->head.is_chunked &&
	    connection->head.length == 0;
	connection->is_head_only = strcmp(request.method, "HEAD") == 0;
	if (connection->head.wants_websocket && connection->is_read_whole) {
		connection->is_last = true;
		if (!handlers->upgrade(connection, &request, handlers->arg))
			return true;
		hand_over(connection, &request);
		return false;
	}
	if (handlers->begin(connection, &request, &body_max, handlers->arg))
		begin_body(connection, body_max);
	return true;
}

/* Returns 0, or the status to refuse it with. */
static unsigned
parse_head(struct http_connection *connection)
{
	struct buffer *in = &connection->in, *lines = &connection->lines;
	long length = connection->head_length;

	if (length == -1)
		return 400;
	if (length == 0 || length > HTTP_HEAD_BYTES_MAX)
		return http_head_judge_length(in->data, HTTP_HEAD_BYTES_MAX);
	lines->length = 0;
	buffer_append(lines, in->data, (size_t)length);
	buffer_string(lines);
	buffer_consume(in, (size_t)length);
	return http_head_parse(&connection->head, lines->data, (size_t)length);
}

/* Returns false where the connection is not ours any more. */
static bool
take_head(struct http_connection *connection)
{
	unsigned status;

	connection->head = (struct http_head){ .method = "" };
	connection->is_head_only = false;
	connection->is_read_whole = false;
	status = parse_head(connection);
	if (status == 0)
		return begin_request(connection);
	refuse(connection, status);
	return true;
}

static void
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
	    (int64_t)connection->body.length / HTTP_BODY_BYTES_EACH_MS;
	if (status == 0 && http->body_bytes > HTTP_BODIES_BYTES_MAX)
		status = 503;
	if (status != 0)
		refuse(connection, status);
	else if (connection->framing.is_done)
		complete(connection);
}

/* --- one turn -------------------------------------------------------------*/

/* Not much more than is wanted now. */
static size_t
find_wanted(const struct http_connection *connection)
{
	size_t wanted = HTTP_READ_BYTES;

	if (connection->state == READING_HEAD)
		wanted = HTTP_READ_BYTES - connection->in.length;
	if (connection->state == READING_BODY)
		wanted = http_body_wanted(&connection->framing);
	return wanted < HTTP_READ_BYTES ? wanted : HTTP_READ_BYTES;
}

/* Read once. Returns false where the client is gone. */
static bool
read_bytes(struct http_connection *connection)
{
	struct http *http = connection->http;
	ssize_t count = recv(connection->event.fd, http->scratch,
	    find_wanted(connection), MSG_DONTWAIT);

	if (count == -1)
		return errno == EAGAIN || errno == EINTR;
	connection->has_ended = count == 0;
	if (connection->state == LINGERING)
		return count > 0;
	if (connection->state == READING_HEAD && connection->in.length == 0)
		connection->deadline_ms = clock_steady_ms() + HTTP_HEAD_MS;
	buffer_append(&connection->in, http->scratch, (size_t)count);
	if (connection->state == READING_HEAD)
		look_for_head(connection);
	return true;
}

/* Is there something to do without anything new? */
static bool
has_work(const struct http_connection *connection)
{
	return connection->state == WRITING || has_request(connection) ||
	    (connection->state == READING_BODY && (connection->in.length > 0 ||
	    connection->framing.is_done));
}

enum end { OURS, GONE, HANDED_OVER };

/* Take what has come as far as it goes. */
static enum end
take_bytes(struct http_connection *connection)
{
	int turns = 0;

	while (has_work(connection) && turns < TURNS_MAX) {
		if (connection->state == READING_BODY) {
			take_body(connection);
		} else if (connection->state == READING_HEAD) {
			if (!take_head(connection))
				return HANDED_OVER;
		} else {
			turns++;
			if (!write_answer(connection))
				return GONE;
			if (connection->state == WRITING)
				break;
		}
	}
	return OURS;
}

/* What was read is no event: to be called for it, wait for room to write. */
static void
watch(struct http_connection *connection)
{
	uint32_t mask = 0;

	if (has_work(connection))
		mask = EPOLLOUT;
	else if (http_connection_is_waiting(connection))
		mask = EPOLLIN;
	events_watch(connection->http->options.set, &connection->event, mask);
}

/* Behind each turn: drop it, or wait for what comes next. */
static void
settle(struct http_connection *connection, enum end end)
{
	bool is_over = connection->has_ended && !has_work(connection) &&
	    http_connection_is_waiting(connection);

	if (end == GONE || (end == OURS && is_over))
		http_connection_drop(connection);
	else if (end == OURS)
		watch(connection);
}

static void
serve(void *arg)
{
	struct http_connection *connection = arg;
	enum end end;

	if (connection->state == DEFERRED || (!has_work(connection) &&
	    !read_bytes(connection))) {
		http_connection_drop(connection);
		return;
	}
	connection->is_served = true;
	end = take_bytes(connection);
	if (end == HANDED_OVER)
		return;
	connection->is_served = false;
	settle(connection, end);
}

void
http_answer(struct http_connection *connection,
    const struct http_answer *answer)
{
	bool is_late = connection->state == DEFERRED;

	connection->is_last |= !connection->head.may_stay ||
	    !connection->is_read_whole || connection->http->is_ending;
	print_answer(connection, answer);
	begin_writing(connection);
	if (is_late && !connection->is_served)
		settle(connection, write_answer(connection) ? OURS : GONE);
}

void
http_defer(struct http_connection *connection, void (*gone)(void *arg),
    void *arg)
{
	connection->state = DEFERRED;
	connection->gone = gone;
	connection->arg = arg;
}

/* --- from outside ----------------------------------------------------------*/

/* Who was amid a request is told. */
void
http_connection_time_out(struct http_connection *connection)
{
	bool is_amid = http_connection_is_waiting(connection) &&
	    (connection->state == READING_BODY || connection->in.length > 0);

	if (!is_amid) {
		http_connection_drop(connection);
		return;
	}
	if (connection->state == READING_HEAD)
		connection->is_head_only = false;
	refuse(connection, 408);
	settle(connection, write_answer(connection) ? OURS : GONE);
}

/* Whoever waits for a deferred answer is told that none will come. */
void
http_connection_dismiss(struct http_connection *connection)
{
	if (connection->state == DEFERRED) {
		connection->gone(connection->arg);
		connection->state = WRITING;
		refuse(connection, 503);
		write_answer(connection);
	}
	http_connection_drop(connection);
}
