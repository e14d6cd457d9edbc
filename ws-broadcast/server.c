#include "server.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "assets.h"
#include "auth.h"
#include "clock.h"
#include "connections.h"
#include "downstream.h"
#include "events.h"
#include "feed.h"
#include "health.h"
#include "http.h"
#include "intake.h"
#include "memory.h"
#include "metrics.h"
#include "outbox_view.h"
#include "output.h"
#include "posts.h"
#include "record.h"
#include "ring.h"
#include "routes.h"
#include "signals.h"
#include "timers.h"
#include "tls.h"
#include "totals.h"
#include "viewers.h"

#define LINGER_SECONDS 2	/* for viewers to get the rest */
#define ACCEPTS_MAX 32		/* in one turn of the loop */
#define AWAITED_MAX 200		/* viewers whose turn takes next to no time */
#define LEAVING_VIEWERS 16	/* while others come in their place */
#define SPARE_DESCRIPTORS 32	/* for everything else */

struct server {
	const struct server_options *options;
	struct assets *assets;
	struct auth *auth;
	struct totals *totals;
	struct ring *ring;
	struct downstream *downstream;
	struct feed *feed;
	struct intake *intake;
	struct viewers *viewers;
	struct outbox_view *outbox;
	struct metrics *metrics;
	struct health *health;
	struct posts *posts;
	struct site site;
	struct connections *connections;	/* WebSockets */
	struct http *http;
	struct tls *tls;	/* NULL: plain HTTP */

	int set;
	struct timers *timers;
	struct event input;
	struct event output;
	struct event signals;
	struct event listener;

	bool may_read;		/* input would not make us wait */
	bool is_output_broken;
	bool is_answer_due;	/* when viewers had their turn */
	bool is_drained;	/* all input was passed on */
	bool is_dismissed;	/* viewers are being closed */
};

static void
take_connection(void *arg, int fd, const struct sockaddr_storage *peer)
{
	const struct server *server = arg;

	http_take(server->http, fd, peer);
}

static bool
begin_request(struct http_connection *connection,
    const struct http_request *request, size_t *body_max, void *arg)
{
	const struct server *server = arg;

	return routes_begin(&server->site, connection, request, body_max);
}

static void
complete_request(struct http_connection *connection,
    const struct http_request *request, void *arg)
{
	const struct server *server = arg;

	routes_complete(&server->site, connection, request);
}

static bool
judge_upgrade(struct http_connection *connection,
    const struct http_request *request, void *arg)
{
	const struct server *server = arg;

	return routes_upgrade(&server->site, connection, request);
}

static void
count_refusal(unsigned status, void *arg)
{
	const struct server *server = arg;

	metrics_count_request(server->metrics, "", status);
}

static void
adopt_viewer(int fd, const char *bytes, size_t length, void *arg)
{
	const struct server *server = arg;

	connections_take(server->connections, fd, bytes, length);
}

static void
accept_connections(void *arg)
{
	struct server *server = arg;

	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage peer;
		int fd = listener_accept(server->listener.fd, &peer);

		if (fd == -1)
			break;
		if (server->tls != NULL)
			tls_accept(server->tls, fd, &peer);
		else
			take_connection(server, fd, &peer);
	}
}

static void
note_input(void *arg)
{
	struct server *server = arg;

	server->may_read = true;
}

/* Nothing waits to be written: then it is broken, nobody reads it any more. */
static void
note_output(void *arg)
{
	struct server *server = arg;

	server->is_output_broken |= downstream_is_empty(server->downstream);
}

static void
note_signals(void *arg)
{
	const struct server *server = arg;

	signals_check();
	if (signals_take_reload() && server->tls != NULL)
		tls_reload(server->tls);
}

/* Input only while there is room, output only while there is something. */
static void
watch_records(struct server *server)
{
	if (intake_wants_input(server->intake))
		events_watch(server->set, &server->input, EPOLLIN);
	else
		events_ignore(server->set, &server->input);
	if (!server->is_drained)
		events_watch(server->set, &server->output,
		    downstream_is_empty(server->downstream) ||
		    server->is_answer_due ? 0 : EPOLLOUT);
	server->may_read = server->input.is_always_ready;
}

static void
open_events(struct server *server, struct listen_address *address)
{
	server->set = events_open();
	server->timers = timers_new(server->set);
	server->input = (struct event){ .fd = STDIN_FILENO,
	    .ready = note_input, .arg = server };
	server->output = (struct event){ .fd = STDOUT_FILENO,
	    .ready = note_output, .arg = server };
	server->signals = (struct event){ .fd = signals_descriptor(),
	    .ready = note_signals, .arg = server };
	server->listener = (struct event){ .fd = listener_open(address),
	    .ready = accept_connections, .arg = server };
	events_watch(server->set, &server->signals, EPOLLIN);
	events_watch(server->set, &server->listener, EPOLLIN);
	watch_records(server);
}

/* For HTTP, besides the viewers: two may have as much as one address may. */
static size_t
count_http_connections(const struct server_options *options)
{
	return 2 * options->per_address;
}

static size_t
count_connections(const struct server_options *options)
{
	return options->viewers + LEAVING_VIEWERS +
	    count_http_connections(options);
}

/* Returns how many there are in the end, as many as wanted if possible. */
static rlim_t
get_descriptors(rlim_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return wanted;
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = wanted < limit.rlim_max ? wanted
		    : limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur;
}

/* As many connections as there are descriptors for. */
static size_t
limit_connections(const struct server_options *options)
{
	bool is_tls = options->tls_context != NULL;
	size_t wanted = count_connections(options);
	size_t each = is_tls ? 1 + TLS_DESCRIPTORS_EACH : 1;
	size_t spare = SPARE_DESCRIPTORS + (is_tls ? TLS_DESCRIPTORS_SPARE : 0);
	size_t got = get_descriptors(wanted * each + spare);
	size_t most = SPARE_DESCRIPTORS;

	if (got >= wanted * each + spare)
		return wanted;
	if (got > SPARE_DESCRIPTORS * each + spare)
		most = (got - spare) / each;
	warnx("room for %zu connections only, see ulimit -n", most);
	return most;
}

static struct tls *
open_tls(struct server *server, size_t most)
{
	const struct tls_options options = {
		.set = server->set,
		.timers = server->timers,
		.files = server->options->tls,
		.context = server->options->tls_context,
		.most = most,
		.take = take_connection,
		.arg = server,
	};

	return tls_new(&options);
}

/* The others are for WebSockets. */
static size_t
share_of_http(const struct server_options *options, size_t most)
{
	size_t wanted = count_http_connections(options);

	return most >= count_connections(options) || most / 2 > wanted
	    ? wanted : most / 2;
}

static struct http *
open_http(struct server *server, size_t most)
{
	const struct http_options options = {
		.set = server->set,
		.timers = server->timers,
		.most = share_of_http(server->options, most),
		.most_of_network = server->options->per_address,
		.handlers = {
			.begin = begin_request,
			.complete = complete_request,
			.upgrade = judge_upgrade,
			.refused = count_refusal,
			.adopt = adopt_viewer,
			.arg = server,
		},
	};

	return http_new(&options);
}

static struct connections *
open_connections(const struct server *server, size_t most)
{
	const struct connections_options options = {
		.viewers = server->viewers,
		.most = most - share_of_http(server->options, most),
		.ping_seconds = server->options->ping_seconds,
		.events = server->set,
	};

	return connections_new(&options);
}

static struct viewers *
open_viewers(const struct server *server)
{
	const struct server_options *options = server->options;
	const struct viewers_options viewers = {
		.run = options->run,
		.bounded = options->backlog,
		.history = options->history,
		.held_bytes_max = options->backlog_bytes + RECORD_BYTES_MAX,
		.ping_seconds = options->ping_seconds,
	};

	return viewers_new(&viewers, server->ring, server->totals);
}

static struct health *
open_health(const struct server *server)
{
	return health_new(&(struct health_options){
		.running = server->options->running,
		.outbox = server->outbox,
		.totals = server->totals,
		.ring = server->ring,
		.timers = server->timers,
	});
}

static struct posts *
open_posts(const struct server *server)
{
	return posts_new(&(struct posts_options){
		.inbox = server->options->inbox,
		.origins = server->options->origins,
		.outbox = server->outbox,
		.metrics = server->metrics,
		.set = server->set,
		.timers = server->timers,
	});
}

/* What the routes tell of and hand on to. */
static void
open_interface(struct server *server)
{
	server->outbox = outbox_view_new(server->options->outbox);
	server->metrics = metrics_new();
	server->health = open_health(server);
	server->posts = open_posts(server);
}

static void
fill_site(struct server *server)
{
	server->site = (struct site){
		.assets = server->assets,
		.auth = server->auth,
		.challenge = server->options->challenge,
		.origins = server->options->origins,
		.totals = server->totals,
		.ring = server->ring,
		.viewers = server->viewers,
		.viewers_max = server->options->viewers,
		.outbox = server->outbox,
		.subscriptions = server->options->subscriptions,
		.metrics = server->metrics,
		.health = server->health,
		.posts = server->posts,
		.started = time(NULL),
	};
}

struct server *
server_new(struct server_options *options,
    const struct credentials *credentials)
{
	struct server *server = xcalloc(1, sizeof *server);
	size_t most = limit_connections(options);

	server->options = options;
	server->ring = ring_new(options->backlog, options->backlog_bytes,
	    options->is_counted);
	server->downstream = downstream_new();
	server->feed = feed_new(server->ring, server->downstream,
	    options->is_counted);
	server->intake = intake_new(feed_taker(server->feed));
	server->assets = assets_load(options->www);
	server->totals = totals_new(options->totals);
	server->viewers = open_viewers(server);
	if (credentials->user != NULL)
		server->auth = auth_new(credentials->user,
		    credentials->password);
	signals_catch();
	open_events(server, &options->address);
	open_interface(server);
	fill_site(server);
	server->connections = open_connections(server, most);
	server->http = open_http(server, most);
	if (options->tls_context != NULL)
		server->tls = open_tls(server, most);
	return server;
}

void
server_free(struct server *server)
{
	if (server == NULL)
		return;
	http_free(server->http);
	posts_free(server->posts);
	health_free(server->health);
	connections_free(server->connections);	/* says goodbye by TLS */
	tls_free(server->tls);
	timers_free(server->timers);
	close(server->listener.fd);
	close(server->signals.fd);
	viewers_free(server->viewers);
	metrics_free(server->metrics);
	outbox_view_free(server->outbox);
	totals_free(server->totals);
	assets_free(server->assets);
	auth_free(server->auth);
	intake_free(server->intake);
	feed_free(server->feed);
	downstream_free(server->downstream);
	ring_free(server->ring);
	free(server);
}

/* Returns 0, or an exit status. */
static int
write_answers(struct server *server)
{
	if (server->is_output_broken)
		return output_failure(EPIPE);
	server->is_answer_due = false;
	return downstream_write(server->downstream) == 0 ? EX_OK
	    : output_failure(errno);
}

/* So that our death costs those nothing who keep up. */
static bool
is_turn_of_viewers(const struct server *server)
{
	size_t count = viewers_count(server->viewers);

	return server->is_answer_due && count > 0 && count <= AWAITED_MAX &&
	    !downstream_is_full(server->downstream);
}

/*
 * Take what came in, and pass it on, unless viewers are to have it first.
 * Returns 0, or an exit status.
 */
static int
take_batch(struct server *server)
{
	uint64_t before = ring_total(server->ring);
	int status = EX_OK;

	if (intake_run(server->intake, server->may_read) == -1)
		return EX_IOERR;
	if (ring_total(server->ring) != before) {
		viewers_wake(server->viewers);
		server->is_answer_due = true;
	}
	if (!is_turn_of_viewers(server))
		status = write_answers(server);
	watch_records(server);
	return status;
}

/*
 * Input that flows gets as much time as the viewers took, be they a thousand:
 * they rather miss records than slow down the pipeline.
 */
static int
pass_records(struct server *server)
{
	int64_t end = clock_steady_us() +
	    connections_take_time_us(server->connections);
	int status;

	events_dispatch(server->set);
	status = write_answers(server);
	if (status != EX_OK)
		return status;
	do {
		status = take_batch(server);
		events_dispatch(server->set);
	} while (status == EX_OK && server->may_read &&
	    intake_wants_input(server->intake) && !signals_want_stop() &&
	    clock_steady_us() < end);
	return status;
}

static int
end_output(struct server *server)
{
	server->is_drained = true;
	events_ignore(server->set, &server->output);
	if (signals_want_stop())
		return EX_OK;
	viewers_end(server->viewers);
	return downstream_close(server->downstream) == 0 ? EX_OK : EX_IOERR;
}

static void
dismiss_viewers(struct server *server)
{
	server->is_dismissed = true;
	events_ignore(server->set, &server->listener);
	viewers_dismiss(server->viewers);
	http_end(server->http);
	connections_set_clock(server->connections, LINGER_SECONDS);
}

/* Has the input ended, are we asked to leave? Returns 0 or an exit status. */
static int
look_for_end(struct server *server)
{
	int status = EX_OK;

	if (signals_want_stop())
		intake_stop(server->intake);
	if (!server->is_drained && intake_is_done(server->intake) &&
	    downstream_is_empty(server->downstream))
		status = end_output(server);
	if (server->is_drained && !server->is_dismissed &&
	    (signals_want_stop() || !server->options->stay))
		dismiss_viewers(server);
	return status;
}

/* Have viewers got what there was for them? */
static bool
are_viewers_served(const struct server *server)
{
	return viewers_count(server->viewers) == 0 &&
	    http_is_idle(server->http) &&
	    (server->tls == NULL || tls_is_idle(server->tls));
}

static bool
is_finished(const struct server *server)
{
	return server->is_dismissed &&
	    (connections_is_time_over(server->connections) ||
	    are_viewers_served(server));
}

/* Is there something to do without waiting for anything? */
static bool
has_work(const struct server *server)
{
	return intake_has_work(server->intake) ||
	    (server->input.is_always_ready &&
	    intake_wants_input(server->intake)) ||
	    server->is_answer_due;
}

int
server_run(struct server *server)
{
	int status = EX_OK;

	while (status == EX_OK && !is_finished(server)) {
		if (connections_serve(server->connections,
		    !has_work(server)) == -1)
			return EX_SOFTWARE;
		status = pass_records(server);
		if (status == EX_OK)
			status = look_for_end(server);
	}
	return status;
}
