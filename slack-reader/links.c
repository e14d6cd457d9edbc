#include "links.h"

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "buffer.h"
#include "events.h"
#include "link_url.h"
#include "memory.h"
#include "resolver.h"

#define NAME "slack"
#define OPEN_MS 20000		/* name, TCP, TLS and upgrade together */
#define STEP_SECONDS 8		/* each of them, and each address */
#define GOODBYE_MS 1000
#define ADDRESSES_MAX 8
#define WAITING_BYTES_MAX (1024 * 1024)
#define KEPT_BYTES_MAX (64 * 1024)	/* of a buffer between two messages */
#define DESCRIPTORS_MAX 64
#define HEADER_BYTES_MAX 8192
#define RX_BYTES 4096
#define TX_BYTES (LINKS_FRAME_MAX + 64)
#define KEEPALIVE_S 30
#define UNANSWERED_MS 60000	/* TCP gives up what was not confirmed */

struct links {
	struct links_settings settings;
	struct resolver *resolver;
	struct lws_context *context;
	SSL_CTX *tls;
	struct link *first;
	struct link *dropped;	/* to be freed when nobody uses them */
	lws_retry_bo_t no_checks;	/* of its own: ours are better */
};

enum link_state {
	LINK_LOOKUP,		/* of the name */
	LINK_CONNECTING,
	LINK_OPEN,
	LINK_CLOSING,		/* goodbye waits for what is to be written */
	LINK_LEAVING,		/* and is said: the answer is awaited */
	LINK_GONE,		/* to be told */
};

struct link {
	struct links *links;
	struct link *next;
	struct link_url url;
	const struct link_events *events;
	void *arg;
	enum link_state state;

	struct lookup *lookup;
	char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
	size_t address_count;
	size_t address;		/* the next one to be tried */
	struct lws *connection;	/* NULL where there is none */
	bool has_reached;	/* TCP is connected: the address is good */

	int64_t silent_ms;	/* until it was gone */

	struct timer deadline;
	struct timer soon;	/* not from within a call of libwebsockets */
	char reason[224];
	int http_status;

	struct buffer message;	/* what came of it */
	bool has_told_binary;

	struct buffer waiting;	/* frames: a length of 4 bytes, and text */
	size_t sent;		/* so many bytes of it */
	bool wants_ping;
};

static void
explain(struct link *link, const char *reason)
{
	if (link->reason[0] == '\0')
		snprintf(link->reason, sizeof link->reason, "%s: %.100s",
		    link->url.host, reason);
}

/* libwebsockets does not tell of pings: the kernel knows when bytes came. */
static int64_t
measure_silence_ms(const struct link *link)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof info;

	if (link->state < LINK_OPEN ||
	    getsockopt(lws_get_socket_fd(link->connection), IPPROTO_TCP,
	    TCP_INFO, &info, &length) == -1)
		return 0;
	return info.tcpi_last_data_recv;
}

/* From now on the connection knows no link. */
static void
part(struct link *link)
{
	link->silent_ms = measure_silence_ms(link);
	lws_set_opaque_user_data(link->connection, NULL);
	link->connection = NULL;
}

/* The same, and it ends. */
static void
cut_off(struct link *link)
{
	struct lws *connection = link->connection;

	if (connection == NULL)
		return;
	part(link);
	lws_set_timeout(connection, PENDING_TIMEOUT_USER_REASON_BASE,
	    LWS_TO_KILL_ASYNC);
}

/* It has come to its end: tell that when nobody is busy with it. */
static void
end(struct link *link, const char *reason)
{
	explain(link, reason);
	cut_off(link);
	if (link->lookup != NULL)
		resolver_cancel(link->lookup);
	link->lookup = NULL;
	timers_cancel(link->links->settings.timers, &link->deadline);
	link->state = LINK_GONE;
	timers_set(link->links->settings.timers, &link->soon, 0);
}

/* Take it out of use; who calls us may still look at it. */
static void
discard(struct link *link)
{
	struct links *links = link->links;
	struct link **place = &links->first;

	while (*place != link)
		place = &(*place)->next;
	*place = link->next;
	link->next = links->dropped;
	links->dropped = link;
	timers_cancel(links->settings.timers, &link->deadline);
	timers_cancel(links->settings.timers, &link->soon);
	if (link->lookup != NULL)
		resolver_cancel(link->lookup);
	link->lookup = NULL;
	cut_off(link);
}

static void
free_dropped(struct links *links)
{
	while (links->dropped != NULL) {
		struct link *link = links->dropped;

		links->dropped = link->next;
		link_url_clear(&link->url);
		buffer_free(&link->message);
		buffer_free(&link->waiting);
		free(link);
	}
}

/* --- connecting -----------------------------------------------------------*/

static void
connect_to(struct link *link, const char *address)
{
	struct links *links = link->links;
	const struct lws_client_connect_info info = {
		.context = links->context,
		.address = address,
		.port = link->url.port,
		.path = link->url.path,
		.host = link->url.authority,
		.ssl_connection = (link->url.is_secure ? LCCSCF_USE_SSL : 0) |
		    LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
		.alpn = "http/1.1",
		.local_protocol_name = NAME,
		.retry_and_idle_policy = &links->no_checks,
		.opaque_user_data = link,
		.pwsi = &link->connection,
	};

	link->state = LINK_CONNECTING;
	link->has_reached = false;
	if (lws_client_connect_via_info(&info) == NULL) {
		link->connection = NULL;
		if (!link->soon.is_set)
			timers_set(links->settings.timers, &link->soon, 0);
	}
}

/* The next address, or none is left. */
static void
go_on(void *arg)
{
	struct link *link = arg;

	if (link->state == LINK_GONE) {
		link->events->closed(link, link->reason, link->http_status,
		    link->arg);
		discard(link);
		return;
	}
	if (link->address < link->address_count) {
		link->reason[0] = '\0';
		connect_to(link, link->addresses[link->address++]);
	} else {
		end(link, "cannot be reached");
	}
}

static void
give_up(void *arg)
{
	struct link *link = arg;

	end(link, link->state >= LINK_CLOSING ? "closed by us"
	    : "no answer in time");
}

static void
add_address(struct link *link, const struct sockaddr *address)
{
	const void *bytes;

	if (link->address_count == ADDRESSES_MAX)
		return;
	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)address)->sin6_addr;
	else
		return;
	if (inet_ntop(address->sa_family, bytes,
	    link->addresses[link->address_count], INET6_ADDRSTRLEN) != NULL)
		link->address_count++;
}

static void
take_addresses(const struct addrinfo *addresses, const char *reason, void *arg)
{
	struct link *link = arg;

	link->lookup = NULL;
	for (; addresses != NULL; addresses = addresses->ai_next)
		add_address(link, addresses->ai_addr);
	if (link->address_count > 0)
		go_on(link);
	else
		end(link, reason != NULL ? reason : "has no address");
}

struct link *
links_connect(struct links *links, const char *url,
    const struct link_events *events, void *arg)
{
	struct link *link = xcalloc(1, sizeof *link);

	if (link_url_parse(&link->url, url) == -1) {
		free(link);
		return NULL;
	}
	link->links = links;
	link->events = events;
	link->arg = arg;
	link->next = links->first;
	links->first = link;
	link->deadline = (struct timer){ .due = give_up, .arg = link };
	link->soon = (struct timer){ .due = go_on, .arg = link };
	timers_set(links->settings.timers, &link->deadline, OPEN_MS);
	link->lookup = resolver_find(links->resolver, link->url.host,
	    take_addresses, link);
	return link;
}

/* --- what libwebsockets calls ---------------------------------------------*/

/* What libwebsockets calls with. */
struct call {
	struct link *link;
	struct lws *connection;
	char *bytes;
	size_t length;
	const void *user;
};

static int
handle_reached(const struct call *call)
{
	call->link->has_reached = true;
	return 0;
}

/* What is wrong with a certificate is told nowhere else. */
static int
handle_certificate(const struct call *call)
{
	int is_good = (int)call->length;

	if (!is_good)
		explain(call->link, X509_verify_cert_error_string(
		    X509_STORE_CTX_get_error((X509_STORE_CTX *)call->user)));
	return 0;
}

static int
handle_answer(const struct call *call)
{
	unsigned status = lws_http_client_http_response(call->connection);
	char reason[64];

	if (status == 101)
		return 0;
	call->link->http_status = (int)status;
	snprintf(reason, sizeof reason, "the upgrade was refused (HTTP %u)",
	    status);
	explain(call->link, reason);
	return -1;
}

static int
handle_failure(const struct call *call)
{
	struct link *link = call->link;
	char reason[100];

	lws_set_opaque_user_data(call->connection, NULL);
	link->connection = NULL;
	if (!link->has_reached) {
		timers_set(link->links->settings.timers, &link->soon, 0);
		return 0;
	}
	snprintf(reason, sizeof reason, "%.*s", call->bytes == NULL ? 0
	    : (int)strcspn(call->bytes, "\r\n"),
	    call->bytes == NULL ? "" : call->bytes);
	end(link, reason[0] == '\0' ? "the connection broke" : reason);
	return 0;
}

static void
set_options(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S / 3 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED_MS },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
	};

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (setsockopt(fd, options[i].level, options[i].name,
		    &options[i].value, sizeof options[i].value) == -1)
			warn("set an option of a connection");
}

static int
handle_established(const struct call *call)
{
	struct link *link = call->link;

	set_options(lws_get_socket_fd(call->connection));
	timers_cancel(link->links->settings.timers, &link->deadline);
	link->state = LINK_OPEN;
	link->events->opened(link, link->arg);
	return 0;
}

static void
tell_binary(struct link *link)
{
	if (!link->has_told_binary)
		warnx("%s sends messages that are not text: passed over",
		    link->url.host);
	link->has_told_binary = true;
}

/* A message comes in pieces, of frames and of parts of frames. */
static int
handle_receive(const struct call *call)
{
	struct link *link = call->link;
	struct buffer *message = &link->message;
	bool is_last = lws_is_final_fragment(call->connection);
	const char *text = call->bytes;
	size_t length = call->length;

	if (link->state != LINK_OPEN)
		return 0;
	if (lws_frame_is_binary(call->connection)) {
		tell_binary(link);
		return 0;
	}
	if (length > LINKS_MESSAGE_MAX - message->length) {
		/* To refuse it here would have libwebsockets read on into a
		 * buffer that it no longer empties. */
		end(link, "sent a message of more than 16 MiB");
		return 0;
	}
	if (!is_last || message->length > 0) {
		buffer_append(message, call->bytes, call->length);
		text = message->data;
		length = message->length;
	}
	if (!is_last)
		return 0;
	link->events->received(link, text, length, link->arg);
	message->length = 0;
	if (message->capacity > KEPT_BYTES_MAX)
		buffer_free(message);
	return 0;
}

static int
write_frame(struct lws *connection, const char *text, size_t length,
    enum lws_write_protocol kind)
{
	unsigned char frame[LWS_PRE + LINKS_FRAME_MAX];

	memcpy(frame + LWS_PRE, text, length);
	return lws_write(connection, frame + LWS_PRE, length, kind) < 0 ? -1
	    : 0;
}

/* Returns 0, or -1 where the connection is broken. */
static int
write_waiting(struct link *link)
{
	struct buffer *waiting = &link->waiting;

	while (link->sent < waiting->length &&
	    !lws_send_pipe_choked(link->connection)) {
		const char *frame = waiting->data + link->sent;
		uint32_t length;

		memcpy(&length, frame, sizeof length);
		if (write_frame(link->connection, frame + sizeof length,
		    length, LWS_WRITE_TEXT) == -1)
			return -1;
		link->sent += sizeof length + length;
	}
	if (link->sent == waiting->length || link->sent > KEPT_BYTES_MAX) {
		buffer_consume(waiting, link->sent);
		link->sent = 0;
	}
	return 0;
}

/*
 * Goodbye is said only when nothing is left to be written, or it is lost; and
 * only once: libwebsockets asks again, and a second -1 would end it at once.
 */
static int
handle_writeable(const struct call *call)
{
	struct link *link = call->link;

	if (link->state == LINK_LEAVING)
		return 0;
	if (link->state == LINK_CLOSING && link->waiting.length == 0) {
		link->state = LINK_LEAVING;
		lws_close_reason(call->connection, LWS_CLOSE_STATUS_NORMAL,
		    NULL, 0);
		return -1;
	}
	if (link->wants_ping) {
		link->wants_ping = false;
		if (write_frame(call->connection, NAME, strlen(NAME),
		    LWS_WRITE_PING) == -1)
			return -1;
	}
	if (write_waiting(link) == -1)
		return -1;
	if (link->waiting.length > 0 || link->state == LINK_CLOSING)
		lws_callback_on_writable(call->connection);
	return 0;
}

static int
handle_goodbye(const struct call *call)
{
	const unsigned char *code = (const unsigned char *)call->bytes;
	char reason[64];

	if (call->length >= 2)
		snprintf(reason, sizeof reason, "closed by the other side (%u)",
		    code[0] << 8 | code[1]);
	else
		snprintf(reason, sizeof reason, "closed by the other side");
	explain(call->link, reason);
	return 0;
}

static int
handle_closed(const struct call *call)
{
	struct link *link = call->link;

	part(link);
	end(link, link->state >= LINK_CLOSING ? "closed by us"
	    : "the connection broke");
	return 0;
}

static const struct {
	enum lws_callback_reasons reason;
	int (*handle)(const struct call *call);
} handlers[] = {
	{ LWS_CALLBACK_CLIENT_RECEIVE, handle_receive },
	{ LWS_CALLBACK_CLIENT_WRITEABLE, handle_writeable },
	{ LWS_CALLBACK_CLIENT_ESTABLISHED, handle_established },
	{ LWS_CALLBACK_WS_PEER_INITIATED_CLOSE, handle_goodbye },
	{ LWS_CALLBACK_CLIENT_CLOSED, handle_closed },
	{ LWS_CALLBACK_WSI_CREATE, handle_reached },
	{ LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION,
	    handle_certificate },
	{ LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP, handle_answer },
	{ LWS_CALLBACK_CLIENT_CONNECTION_ERROR, handle_failure },
	{ LWS_CALLBACK_WSI_DESTROY, handle_failure },
};

/* A connection that was cut off has no link, and nothing to say. */
static int
dispatch(struct lws *connection, enum lws_callback_reasons reason, void *user,
    void *in, size_t length)
{
	struct call call = { NULL, connection, in, length, user };

	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
		if (handlers[i].reason != reason)
			continue;
		call.link = lws_get_opaque_user_data(connection);
		return call.link == NULL ? 0 : handlers[i].handle(&call);
	}
	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = NAME, .callback = dispatch,
	    .rx_buffer_size = RX_BYTES, .tx_packet_size = TX_BYTES },
	{ .name = NULL },
};

/* --- the context ----------------------------------------------------------*/

/*
 * The bundle of all authorities would stay in memory as a whole, about 1 MB;
 * in the folder OpenSSL finds the one it needs by the hash of its name.
 */
static void
trust(SSL_CTX *tls, const char *ca_file)
{
	const char *file = ca_file != NULL ? ca_file
	    : getenv(X509_get_default_cert_file_env());
	const char *folder = getenv(X509_get_default_cert_dir_env());

	if (file != NULL && *file != '\0') {
		if (SSL_CTX_load_verify_file(tls, file) != 1)
			errx(EX_CONFIG, "%s: holds no certificates", file);
		return;
	}
	if (folder == NULL || *folder == '\0')
		folder = X509_get_default_cert_dir();
	if (SSL_CTX_load_verify_dir(tls, folder) != 1)
		errx(EX_CONFIG, "%s: not a folder of certificates", folder);
}

/* Ours: that of libwebsockets would trust ../share of the current folder. */
static SSL_CTX *
prepare_tls(const char *ca_file)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (tls == NULL ||
	    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1)
		errx(EX_SOFTWARE, "OpenSSL does not start");
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_RELEASE_BUFFERS);
	trust(tls, ca_file);
	return tls;
}

static void
create_context(struct links *links)
{
	const struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.vhost_name = NAME,
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.provided_client_ssl_ctx = links->tls,
		.http_proxy_address = ":0",	/* none, whatever http_proxy */
		.fd_limit_per_thread = DESCRIPTORS_MAX,
		.max_http_header_data = HEADER_BYTES_MAX,
		.timeout_secs = STEP_SECONDS,
		.connect_timeout_secs = STEP_SECONDS,
		.user = links,
	};

	links->context = lws_create_context(&info);
	if (links->context == NULL)
		errx(EX_SOFTWARE, "libwebsockets does not start");
}

/* Readable events end the wait of libwebsockets; that is all it does. */
static void
adopt_events(struct links *links)
{
	lws_sock_file_fd_type events = {
		.filefd = fcntl(links->settings.set, F_DUPFD_CLOEXEC, 0),
	};
	struct lws_vhost *vhost = lws_get_vhost_by_name(links->context, NAME);

	if (events.filefd == -1)
		err(EX_OSERR, "wait for events");
	if (lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, events,
	    NAME, NULL) == NULL)
		errx(EX_SOFTWARE, "libwebsockets does not take our events");
}

static void
log_line(int level, const char *line)
{
	(void)level;
	warnx("%.*s", (int)strcspn(line, "\n"), line);
}

struct links *
links_new(const struct links_settings *settings)
{
	struct links *links = xcalloc(1, sizeof *links);

	links->settings = *settings;
	links->resolver = resolver_new(settings->set);
	links->tls = prepare_tls(settings->ca_file);

	/* what goes wrong later is told as the reason of a closed link */
	lws_set_log_level(LLL_ERR, log_line);
	create_context(links);
	adopt_events(links);
	lws_set_log_level(0, NULL);
	return links;
}

void
links_free(struct links *links)
{
	if (links == NULL)
		return;
	while (links->first != NULL)
		discard(links->first);
	free_dropped(links);
	resolver_free(links->resolver);
	lws_context_destroy(links->context);
	SSL_CTX_free(links->tls);
	free(links);
}

void
links_serve(struct links *links)
{
	if (lws_service(links->context, 0) < 0)
		errx(EX_SOFTWARE, "libwebsockets gave up");
	events_dispatch(links->settings.set);
	free_dropped(links);
}

/* --- a link ---------------------------------------------------------------*/

const char *
link_host(const struct link *link)
{
	return link->url.host;
}

void
link_send(struct link *link, const char *text, size_t length)
{
	uint32_t frame = (uint32_t)length;

	if (link->state != LINK_OPEN || length > LINKS_FRAME_MAX)
		return;
	if (link->waiting.length - link->sent > WAITING_BYTES_MAX) {
		end(link, "takes no answers");
		return;
	}
	buffer_append(&link->waiting, (const char *)&frame, sizeof frame);
	buffer_append(&link->waiting, text, length);
	lws_callback_on_writable(link->connection);
}

void
link_ping(struct link *link)
{
	if (link->state != LINK_OPEN)
		return;
	link->wants_ping = true;
	lws_callback_on_writable(link->connection);
}

int64_t
link_silent_ms(const struct link *link)
{
	return link->connection != NULL ? measure_silence_ms(link)
	    : link->silent_ms;
}

void
link_close(struct link *link)
{
	if (link->state == LINK_OPEN) {
		link->state = LINK_CLOSING;
		timers_set(link->links->settings.timers, &link->deadline,
		    GOODBYE_MS);
		lws_callback_on_writable(link->connection);
	} else if (link->state < LINK_OPEN) {
		end(link, "closed by us");
	}
}

void
link_drop(struct link *link)
{
	discard(link);
}
