#include "http_client.h"

#include <curl/curl.h>
#include <dirent.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "events.h"
#include "memory.h"

#define CONNECT_MS_MAX 10000
#define HEADER_BYTES_MAX (64 * 1024)
#define RECEIVE_BYTES 8192
#define IDLE_CONNECTIONS_MAX 2L
#define IDLE_MS 60000	/* then all of libcurl's memory is given back */
#define FAILURES_MAX 3	/* in a row, then all is made anew */
#define CERTIFICATES "/etc/ssl/certs"

/* A socket of libcurl's. */
struct watched {
	struct http_client *client;
	struct event event;
};

struct http_client {
	int set;
	struct timers *timers;
	const char *ca_file;
	const char *ca_folder;

	CURLM *multi;		/* NULL when nothing is under way */
	struct timer timeout;	/* libcurl's own */
	struct timer idle;
	struct http_exchange *exchanges;
	unsigned failures;	/* in a row */
	bool is_initialised;
};

/* Why we ended an answer ourselves. */
enum limit {
	LIMIT_KEPT,
	LIMIT_OF_BODY,
	LIMIT_OF_HEADERS,
};

struct http_exchange {
	struct http_client *client;
	struct http_exchange *next, *previous;
	CURL *easy;
	struct curl_slist *headers;
	char *copy;		/* of the request's body, or NULL */
	const char *body;
	size_t body_length;
	size_t body_sent;
	struct buffer answer;
	size_t answer_max;
	size_t header_bytes;
	enum limit limit;
	char reason[CURL_ERROR_SIZE];
	void (*done)(const struct http_answer *answer, void *arg);
	void *arg;
};

/* Is a certificate found there by its hash (c_rehash)? */
static bool
has_hashed_certificates(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	bool is_found = false;

	if (folder == NULL)
		return false;
	while (!is_found && (entry = readdir(folder)) != NULL)
		is_found = strspn(entry->d_name, "0123456789abcdef") == 8 &&
		    strcmp(entry->d_name + 8, ".0") == 0;
	closedir(folder);
	return is_found;
}

static const char *
get_environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/*
 * To read the bundle of all certificates takes a MiB; in a folder only the one
 * that is needed is read.
 */
static void
find_certificates(struct http_client *client)
{
	const char *folder = get_environment("SSL_CERT_DIR");

	if (folder == NULL)
		folder = CERTIFICATES;
	if (client->ca_file == NULL)
		client->ca_file = get_environment("CURL_CA_BUNDLE");
	if (client->ca_file == NULL)
		client->ca_file = get_environment("SSL_CERT_FILE");
	if (client->ca_file == NULL && has_hashed_certificates(folder))
		client->ca_folder = folder;
}

static void call_timeout(void *arg);
static void close_idle(void *arg);

struct http_client *
http_client_new(int set, struct timers *timers, const char *ca_file)
{
	struct http_client *client = xcalloc(1, sizeof *client);

	client->set = set;
	client->timers = timers;
	client->ca_file = ca_file;
	client->timeout = (struct timer){ .due = call_timeout, .arg = client };
	client->idle = (struct timer){ .due = close_idle, .arg = client };
	find_certificates(client);
	return client;
}

/* Connections, names and TLS sessions are forgotten. */
static void
close_multi(struct http_client *client)
{
	if (client->multi != NULL)
		curl_multi_cleanup(client->multi);
	client->multi = NULL;
	timers_cancel(client->timers, &client->timeout);
	timers_cancel(client->timers, &client->idle);
}

static void
close_idle(void *arg)
{
	struct http_client *client = arg;

	if (client->exchanges == NULL)
		close_multi(client);
}

void
http_client_free(struct http_client *client)
{
	if (client == NULL)
		return;
	while (client->exchanges != NULL)
		http_client_cancel(client->exchanges);
	close_multi(client);
	if (client->is_initialised)
		curl_global_cleanup();
	free(client);
}

static void
link_exchange(struct http_client *client, struct http_exchange *exchange)
{
	exchange->client = client;
	exchange->next = client->exchanges;
	if (exchange->next != NULL)
		exchange->next->previous = exchange;
	client->exchanges = exchange;
}

static void
unlink_exchange(struct http_exchange *exchange)
{
	if (exchange->previous != NULL)
		exchange->previous->next = exchange->next;
	else
		exchange->client->exchanges = exchange->next;
	if (exchange->next != NULL)
		exchange->next->previous = exchange->previous;
}

/* Take the exchange out of everything but memory. */
static void
end_exchange(struct http_exchange *exchange)
{
	curl_multi_remove_handle(exchange->client->multi, exchange->easy);
	unlink_exchange(exchange);
	if (exchange->client->exchanges == NULL)
		timers_set(exchange->client->timers, &exchange->client->idle,
		    IDLE_MS);
}

static void
free_exchange(struct http_exchange *exchange)
{
	curl_easy_cleanup(exchange->easy);
	curl_slist_free_all(exchange->headers);
	buffer_free(&exchange->answer);
	free(exchange->copy);
	free(exchange);
}

void
http_client_cancel(struct http_exchange *exchange)
{
	end_exchange(exchange);
	free_exchange(exchange);
}

/* The value of a header of the answer, or NULL. */
static const char *
find_header(const struct http_exchange *exchange, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(exchange->easy, name, 0, CURLH_HEADER, -1,
	    &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

static void
explain(struct http_exchange *exchange, CURLcode code)
{
	char *reason = exchange->reason;

	if (exchange->limit == LIMIT_OF_HEADERS)
		snprintf(reason, sizeof exchange->reason,
		    "more than %d KiB of headers", HEADER_BYTES_MAX >> 10);
	else if (exchange->limit == LIMIT_OF_BODY ||
	    code == CURLE_FILESIZE_EXCEEDED)
		snprintf(reason, sizeof exchange->reason,
		    "an answer of more than %zu bytes", exchange->answer_max);
	else if (code == CURLE_SEND_FAIL_REWIND)
		snprintf(reason, sizeof exchange->reason,
		    "the connection was closed before an answer came");
	else if (*reason == '\0')
		snprintf(reason, sizeof exchange->reason, "%s",
		    curl_easy_strerror(code != CURLE_OK ? code :
		    CURLE_GOT_NOTHING));
	for (; *reason != '\0'; reason++)
		if ((unsigned char)*reason < ' ' || *reason == 0x7f)
			*reason = '?';
}

static int64_t
read_retry_after_s(const struct http_exchange *exchange)
{
	curl_off_t after_s = 0;

	if (find_header(exchange, "Retry-After") == NULL)
		return -1;
	curl_easy_getinfo(exchange->easy, CURLINFO_RETRY_AFTER, &after_s);
	return after_s > 0 ? after_s : 0;
}

static void
fill_answer(struct http_exchange *exchange, CURLcode code,
    struct http_answer *answer)
{
	long sent_bytes = 0;

	*answer = (struct http_answer){ .body = "", .retry_after_s = -1 };
	curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
	answer->was_sent = sent_bytes > 0;
	if (code == CURLE_OK)
		curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE,
		    &answer->status);
	if (answer->status == 0) {
		explain(exchange, code);
		answer->reason = exchange->reason;
		answer->is_too_long = exchange->limit == LIMIT_OF_BODY ||
		    code == CURLE_FILESIZE_EXCEEDED;
		return;
	}
	answer->body = buffer_string(&exchange->answer);
	answer->length = exchange->answer.length;
	answer->retry_after_s = read_retry_after_s(exchange);
	answer->scopes = find_header(exchange, "x-oauth-scopes");
}

static void
finish(struct http_exchange *exchange, CURLcode code)
{
	struct http_client *client = exchange->client;
	struct http_answer answer;

	end_exchange(exchange);
	client->failures = code == CURLE_OK ? 0 : client->failures + 1;
	fill_answer(exchange, code, &answer);
	exchange->done(&answer, exchange->arg);
	free_exchange(exchange);
}

/* Answer who asked, when libcurl has come to an end with their requests. */
static void
finish_all(struct http_client *client)
{
	const CURLMsg *message;
	int left;

	while (client->multi != NULL &&
	    (message = curl_multi_info_read(client->multi, &left)) != NULL) {
		struct http_exchange *exchange;

		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
		    &exchange);
		finish(exchange, code);
	}
	if (client->exchanges == NULL && client->failures >= FAILURES_MAX)
		close_multi(client);
}

static void
act(struct http_client *client, curl_socket_t socket)
{
	int running;

	curl_multi_socket_action(client->multi, socket, 0, &running);
	finish_all(client);
}

static void
call_timeout(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT);
}

/* libcurl may free `watched` meanwhile, by watch_socket. */
static void
serve_socket(void *arg)
{
	const struct watched *watched = arg;

	act(watched->client, watched->event.fd);
}

static struct watched *
watch_new_socket(struct http_client *client, curl_socket_t socket)
{
	struct watched *watched = xcalloc(1, sizeof *watched);

	watched->client = client;
	watched->event = (struct event){
		.fd = socket,
		.ready = serve_socket,
		.arg = watched,
	};
	curl_multi_assign(client->multi, socket, watched);
	return watched;
}

/* As CURLMOPT_SOCKETFUNCTION. */
static int
watch_socket(CURL *easy, curl_socket_t socket, int what, void *arg,
    void *socket_arg)
{
	struct http_client *client = arg;
	struct watched *watched = socket_arg;
	uint32_t mask = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watched != NULL)
			events_ignore(client->set, &watched->event);
		free(watched);
		return 0;
	}
	if (watched == NULL)
		watched = watch_new_socket(client, socket);
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		mask |= EPOLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		mask |= EPOLLOUT;
	events_watch(client->set, &watched->event, mask);
	return 0;
}

/* As CURLMOPT_TIMERFUNCTION. */
static int
set_timeout(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *client = arg;

	(void)multi;
	if (timeout_ms < 0)
		timers_cancel(client->timers, &client->timeout);
	else
		timers_set(client->timers, &client->timeout, timeout_ms);
	return 0;
}

static void
open_multi(struct http_client *client)
{
	CURLM *multi;

	if (!client->is_initialised &&
	    curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		errx(EX_OSERR, "prepare libcurl");
	client->is_initialised = true;
	multi = curl_multi_init();
	if (multi == NULL)
		errx(EX_OSERR, "prepare libcurl");
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timeout);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	client->multi = multi;
	client->failures = 0;
}

/* As CURLOPT_WRITEFUNCTION. */
static size_t
take_body(char *bytes, size_t one, size_t length, void *arg)
{
	struct http_exchange *exchange = arg;

	(void)one;
	if (length > exchange->answer_max - exchange->answer.length) {
		exchange->limit = LIMIT_OF_BODY;
		return CURL_WRITEFUNC_ERROR;
	}
	buffer_append(&exchange->answer, bytes, length);
	return length;
}

/* As CURLOPT_HEADERFUNCTION; libcurl itself keeps as many as come. */
static size_t
take_header(char *bytes, size_t one, size_t length, void *arg)
{
	struct http_exchange *exchange = arg;

	(void)bytes;
	(void)one;
	exchange->header_bytes += length;
	if (exchange->header_bytes <= HEADER_BYTES_MAX)
		return length;
	exchange->limit = LIMIT_OF_HEADERS;
	return 0;
}

/* A line end in the value would begin another header: it ends there. */
static void
add_header(struct http_exchange *exchange, const char *name,
    const char *value)
{
	struct buffer header = { 0 };
	struct curl_slist *headers;
	size_t length = 0;

	while ((unsigned char)value[length] >= ' ' && value[length] != 0x7f)
		length++;
	buffer_printf(&header, "%s%.*s", name, (int)length, value);
	headers = curl_slist_append(exchange->headers, buffer_string(&header));
	buffer_free(&header);
	if (headers == NULL)
		errx(EX_OSERR, "allocate memory");
	exchange->headers = headers;
}

static void
set_security(const struct http_client *client, CURL *easy, const char *url)
{
	bool is_https = strncmp(url, "https:", strlen("https:")) == 0;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
	    is_https ? "https" : "http");
	if (!is_https)	/* nobody else is to read it */
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (client->ca_file != NULL) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	} else if (client->ca_folder != NULL) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(easy, CURLOPT_CAPATH, client->ca_folder);
	}
}

/*
 * QUICK_EXIT: to give up on a request whose host is still being looked up must
 * not wait for the name server.
 */
static void
set_limits(const struct http_client *client, CURL *easy,
    const struct http_request *request)
{
	int64_t connect_ms = request->timeout_ms / 2;

	if (connect_ms > CONNECT_MS_MAX)
		connect_ms = CONNECT_MS_MAX;
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(connect_ms > 0 ? connect_ms : 1));
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
	    (curl_off_t)request->answer_max);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_MS / 1000L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	if (client->failures > 0)
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
}

/* As CURLOPT_READFUNCTION. */
static size_t
give_body(char *bytes, size_t one, size_t room, void *arg)
{
	struct http_exchange *exchange = arg;
	size_t length = exchange->body_length - exchange->body_sent;

	room *= one;
	if (length > room)
		length = room;
	memcpy(bytes, exchange->body + exchange->body_sent, length);
	exchange->body_sent += length;
	return length;
}

/*
 * A body that libcurl has to ask for, and cannot ask for again, is what keeps
 * it from sending the request a second time.
 */
static void
set_body(struct http_exchange *exchange, const struct http_request *request)
{
	CURL *easy = exchange->easy;

	exchange->body = request->body;
	exchange->body_length = request->body_length;
	if (!request->is_borrowed) {
		exchange->copy = xmalloc(request->body_length);
		if (request->body_length > 0)
			memcpy(exchange->copy, request->body,
			    request->body_length);
		exchange->body = exchange->copy;
	}
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)request->body_length);
	if (request->is_once) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
		curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
	} else {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->body);
	}
}

static void
set_request(struct http_exchange *exchange, const struct http_request *request)
{
	CURL *easy = exchange->easy;

	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "ultron/" ULTRON_VERSION);
	if (request->token != NULL)
		add_header(exchange, "Authorization: Bearer ", request->token);
	if (request->type != NULL) {
		set_body(exchange, request);
		add_header(exchange, "Content-Type: ", request->type);
		add_header(exchange, "Expect:", "");
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
}

static void
set_callbacks(struct http_exchange *exchange)
{
	CURL *easy = exchange->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->reason);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
}

struct http_exchange *
http_client_send(struct http_client *client,
    const struct http_request *request,
    void (*done)(const struct http_answer *answer, void *arg), void *arg)
{
	struct http_exchange *exchange = xcalloc(1, sizeof *exchange);

	if (client->multi == NULL)
		open_multi(client);
	timers_cancel(client->timers, &client->idle);
	exchange->answer_max = request->answer_max;
	exchange->done = done;
	exchange->arg = arg;
	exchange->easy = curl_easy_init();
	if (exchange->easy == NULL)
		errx(EX_OSERR, "allocate memory");
	set_security(client, exchange->easy, request->url);
	set_limits(client, exchange->easy, request);
	set_request(exchange, request);
	set_callbacks(exchange);
	link_exchange(client, exchange);
	if (curl_multi_add_handle(client->multi, exchange->easy) != CURLM_OK)
		errx(EX_OSERR, "start a request");
	return exchange;
}
