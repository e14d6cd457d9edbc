#include "http.h"

#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "http_connection.h"
#include "memory.h"
#include "peer.h"

#define SWEEP_MS 1000		/* between two looks at the deadlines */

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
			http_connection_time_out(connection);
	}
	if (http->count > 0)
		timers_set(http->options.timers, &http->sweep, SWEEP_MS);
}

struct http *
http_new(const struct http_options *options)
{
	struct http *http = xcalloc(1, sizeof *http);

	http->options = *options;
	http->sweep = (struct timer){ .due = sweep, .arg = http };
	LIST_INIT(&http->connections);
	LIST_INIT(&http->crowds);
	return http;
}

void
http_free(struct http *http)
{
	struct http_connection *connection;

	if (http == NULL)
		return;
	while ((connection = LIST_FIRST(&http->connections)) != NULL)
		http_connection_dismiss(connection);
	timers_cancel(http->options.timers, &http->sweep);
	free(http);
}

static struct crowd *
find_crowd(const struct http *http, uint64_t network)
{
	struct crowd *crowd;

	LIST_FOREACH(crowd, &http->crowds, entry)
		if (crowd->network == network)
			break;
	return crowd;
}

static struct crowd *
join_crowd(struct http *http, uint64_t network)
{
	struct crowd *crowd = find_crowd(http, network);

	if (crowd == NULL) {
		crowd = xcalloc(1, sizeof *crowd);
		crowd->network = network;
		LIST_INSERT_HEAD(&http->crowds, crowd, entry);
	}
	crowd->count++;
	return crowd;
}

/* Rather from a large crowd, and who waits rather than who takes an answer. */
static bool
gives_way_before(const struct http_connection *a,
    const struct http_connection *b)
{
	if (a->crowd->count != b->crowd->count)
		return a->crowd->count > b->crowd->count;
	if (http_connection_is_waiting(a) != http_connection_is_waiting(b))
		return http_connection_is_waiting(a);
	return a->since_ms < b->since_ms;
}

/* Close a connection, of that crowd or (NULL) of any. False: none can be. */
static bool
make_way(struct http *http, const struct crowd *crowd)
{
	struct http_connection *victim = NULL, *connection;

	LIST_FOREACH(connection, &http->connections, entry)
		if ((crowd == NULL || connection->crowd == crowd) &&
		    connection->state != DEFERRED && (victim == NULL ||
		    gives_way_before(connection, victim)))
			victim = connection;
	if (victim != NULL)
		http_connection_drop(victim);
	return victim != NULL;
}

static bool
make_room(struct http *http, uint64_t network)
{
	struct crowd *crowd = find_crowd(http, network);

	if (crowd != NULL && crowd->count >= http->options.most_of_network)
		return make_way(http, crowd);
	return http->count < http->options.most || make_way(http, NULL);
}

/* All have a request under way. What is said may get lost with the close. */
static void
turn_away(int fd)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
	    "content-length: 0\r\nretry-after: 1\r\n"
	    "connection: close\r\n\r\n";

	send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	close(fd);
}

void
http_take(struct http *http, int fd, const struct sockaddr_storage *peer)
{
	uint64_t network = peer_network(peer);

	if (http->is_ending || !make_room(http, network)) {
		turn_away(fd);
		return;
	}
	http_connection_add(http, fd, join_crowd(http, network));
	if (!http->sweep.is_set)
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
			http_connection_drop(connection);
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
