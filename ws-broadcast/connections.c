#include "connections.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"

#define HEADER_BYTES_MAX 8192
#define REQUEST_SECONDS 20
#define RX_BYTES 256		/* viewers have nothing to say */
#define TX_BYTES 65536		/* 0 would cut what is sent to RX_BYTES */
#define NAME "ultron"

struct connections {
	struct connections_options options;
	struct viewers *viewers;
	struct lws_context *context;
	struct lws_vhost *vhost;
	lws_retry_bo_t liveness;
	lws_sorted_usec_list_t tick;	/* each second while somebody watches */
	lws_sorted_usec_list_t clock;
	size_t count;
	bool is_ticking;
	bool is_time_over;
	int64_t viewing_us;
};

/* What libwebsockets calls with. The viewer lies in the connection. */
struct call {
	struct connections *connections;
	struct lws *connection;
	struct viewer *viewer;
	size_t length;
};

static void
tick(lws_sorted_usec_list_t *sul)
{
	struct connections *connections = lws_container_of(sul,
	    struct connections, tick);

	viewers_tick(connections->viewers);
	connections->is_ticking = viewers_count(connections->viewers) > 0;
	if (connections->is_ticking)
		lws_sul_schedule(connections->context, 0, sul, tick,
		    LWS_US_PER_SEC);
}

static int
handle_established(const struct call *call)
{
	struct connections *connections = call->connections;
	struct lws *connection = call->connection;
	char after[64], run[128], from[64];
	const struct viewer_wish wish = {
		lws_get_urlarg_by_name(connection, "after=", after,
		    sizeof after),
		lws_get_urlarg_by_name(connection, "run=", run, sizeof run),
		lws_get_urlarg_by_name(connection, "from=", from, sizeof from),
	};

	viewers_add(connections->viewers, call->viewer, connection, &wish);
	if (!connections->is_ticking)
		lws_sul_schedule(connections->context, 0, &connections->tick,
		    tick, LWS_US_PER_SEC);
	connections->is_ticking = true;
	return 0;
}

static int
handle_writeable(const struct call *call)
{
	int64_t begin = clock_steady_us();
	int status = viewers_write(call->connections->viewers,
	    call->viewer);

	call->connections->viewing_us += clock_steady_us() - begin;
	return status;
}

static int
handle_receive(const struct call *call)
{
	return viewers_hear(call->viewer, call->length);
}

/* Only what was judged before comes here: a WebSocket, or nothing. */
static int
handle_http(const struct call *call)
{
	(void)call;
	return -1;
}

/* CONNECT would make the connection a bare one: no. */
static int
handle_raw(const struct call *call)
{
	(void)call;
	return -1;
}

static int
handle_create(const struct call *call)
{
	call->connections->count++;
	return 0;
}

/* A connection is gone, of whatever kind it was when it ended. */
static int
handle_destroy(const struct call *call)
{
	call->connections->count--;
	if (call->viewer != NULL)
		viewers_remove(call->connections->viewers, call->viewer);
	return 0;
}

static const struct {
	enum lws_callback_reasons reason;
	int (*handle)(const struct call *call);
} handlers[] = {
	{ LWS_CALLBACK_SERVER_WRITEABLE, handle_writeable },
	{ LWS_CALLBACK_RECEIVE, handle_receive },
	{ LWS_CALLBACK_ESTABLISHED, handle_established },
	{ LWS_CALLBACK_HTTP, handle_http },
	{ LWS_CALLBACK_RAW_ADOPT, handle_raw },
	{ LWS_CALLBACK_RAW_RX, handle_raw },
	{ LWS_CALLBACK_WSI_CREATE, handle_create },
	{ LWS_CALLBACK_WSI_DESTROY, handle_destroy },
};

/* What is not in the table needs nothing to be done, such as our events. */
static int
dispatch(struct lws *connection, enum lws_callback_reasons reason, void *user,
    void *in, size_t length)
{
	const struct call call = {
		lws_context_user(lws_get_context(connection)), connection,
		user, length,
	};

	(void)in;
	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
		if (handlers[i].reason == reason)
			return handlers[i].handle(&call);
	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = NAME, .callback = dispatch,
	    .per_session_data_size = sizeof(struct viewer),
	    .rx_buffer_size = RX_BYTES, .tx_packet_size = TX_BYTES },
	{ .name = NULL },
};

static void
create_context(struct connections *connections)
{
	unsigned seconds = connections->options.ping_seconds;
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = NAME,
		.protocols = protocols,
		.retry_and_idle_policy = &connections->liveness,
		.timeout_secs = REQUEST_SECONDS,
		.max_http_header_data = HEADER_BYTES_MAX,
		.user = connections,
	};

	connections->liveness.secs_since_valid_ping = (uint16_t)seconds;
	connections->liveness.secs_since_valid_hangup = (uint16_t)(3 * seconds);
	connections->context = lws_create_context(&info);
	if (connections->context == NULL)
		errx(EX_SOFTWARE, "libwebsockets does not start");
	connections->vhost = lws_get_vhost_by_name(connections->context, NAME);
}

/* Readable events end the wait of libwebsockets; that is all it does. */
static void
adopt_events(struct connections *connections)
{
	lws_sock_file_fd_type events = {
		.filefd = connections->options.events,
	};

	if (lws_adopt_descriptor_vhost(connections->vhost,
	    LWS_ADOPT_RAW_FILE_DESC, events, NAME, NULL) == NULL)
		errx(EX_SOFTWARE, "libwebsockets does not take our events");
}

static void
log_line(int level, const char *line)
{
	(void)level;
	warnx("%.*s", (int)strcspn(line, "\n"), line);
}

struct connections *
connections_new(const struct connections_options *options)
{
	struct connections *connections = xcalloc(1, sizeof *connections);

	connections->options = *options;
	connections->viewers = options->viewers;

	/* what goes wrong later is some client's doing: no word on that */
	lws_set_log_level(LLL_ERR, log_line);
	create_context(connections);
	adopt_events(connections);
	lws_set_log_level(0, NULL);
	return connections;
}

void
connections_free(struct connections *connections)
{
	if (connections == NULL)
		return;
	lws_context_destroy(connections->context);
	free(connections);
}

void
connections_take(struct connections *connections, int fd, const char *bytes,
    size_t length)
{
	if (connections->count < connections->options.most)
		lws_adopt_socket_vhost_readbuf(connections->vhost, fd, bytes,
		    length);
	else
		close(fd);
}

int
connections_serve(struct connections *connections, bool is_waiting)
{
	/* below zero: do not wait; else: as long as it takes */
	return lws_service(connections->context, is_waiting ? 0 : -1) < 0 ? -1
	    : 0;
}

static void
end_clock(lws_sorted_usec_list_t *sul)
{
	struct connections *connections = lws_container_of(sul,
	    struct connections, clock);

	connections->is_time_over = true;
}

void
connections_set_clock(struct connections *connections, int seconds)
{
	lws_sul_schedule(connections->context, 0, &connections->clock,
	    end_clock, seconds * LWS_US_PER_SEC);
}

bool
connections_is_time_over(const struct connections *connections)
{
	return connections->is_time_over;
}

int64_t
connections_take_time_us(struct connections *connections)
{
	int64_t spent = connections->viewing_us;

	connections->viewing_us = 0;
	return spent;
}
