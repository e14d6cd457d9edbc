#include "routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "memory.h"
#include "track.h"

#define SOCKET_PATH "/ultronex/ws/slack"
#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"
#define BODY_BYTES_MAX 65536	/* that nobody asked for and nobody reads */

struct route;

struct request {
	const struct site *site;
	struct http_connection *connection;
	const struct http_request *http;
	const struct route *route;	/* NULL: none has this path */
	const char *below;	/* what the path has behind that of the route */
};

struct route {
	const char *path;	/* with a slash at its end: and all below */
	bool is_open;		/* to everybody */
	void (*answer)(const struct request *request);
	const char *methods;	/* allowed ones; NULL: GET and HEAD */

	/* As http.h has it, where a body is wanted; NULL: it is not. */
	bool (*begin)(const struct request *request, size_t *body_max);
};

static const struct http_header no_store = { "cache-control", "no-store" };

/* All answers but those of posts.c go this way. */
static void
give(const struct request *request, const struct http_answer *answer)
{
	const struct route *route = request->route;

	metrics_count_request(request->site->metrics,
	    route != NULL ? route->path : "", answer->status);
	http_answer(request->connection, answer);
}

static void
send_text(const struct request *request, unsigned status, const char *text,
    struct http_header header)
{
	const struct http_answer answer = {
		.status = status, .type = TEXT, .body = text,
		.length = strlen(text), .headers = { no_store, header },
	};

	give(request, &answer);
}

static void
send_asset(const struct request *request, const struct asset *asset,
    unsigned status)
{
	const struct http_answer answer = {
		.status = status, .type = asset->type, .body = asset->content,
		.length = asset->length, .is_lasting = true,
		.headers = { { "cache-control", "no-cache" },
		    { "etag", asset->etag } },
	};

	give(request, &answer);
}

static void
answer_not_found(const struct request *request)
{
	const struct asset *page = assets_find(request->site->assets,
	    "404.html");

	if (page == NULL)
		send_text(request, 404, "Nothing here.\n",
		    (struct http_header){ NULL, NULL });
	else
		send_asset(request, page, 404);
}

/* Send a file, unless the browser has it already. */
static void
answer_asset(const struct request *request, const char *name)
{
	const struct asset *asset = assets_find(request->site->assets, name);
	const char *known = http_request_header(request->http,
	    "if-none-match");

	if (asset == NULL) {
		answer_not_found(request);
		return;
	}
	if (known == NULL || strstr(known, asset->etag) == NULL) {
		send_asset(request, asset, 200);
		return;
	}
	give(request, &(struct http_answer){
		.status = 304, .headers = { { "etag", asset->etag } },
	    });
}

static void
answer_root(const struct request *request)
{
	send_text(request, 302, "",
	    (struct http_header){ "location", "/ultronex/stream" });
}

static void
answer_stream(const struct request *request)
{
	answer_asset(request, "index.html");
}

static void
answer_static(const struct request *request)
{
	answer_asset(request, request->below);
}

static void
answer_favicon(const struct request *request)
{
	answer_asset(request, "favicon.svg");
}

static void
send_json(const struct request *request, unsigned status, const char *json,
    size_t length)
{
	const struct http_answer answer = {
		.status = status, .type = JSON, .body = json,
		.length = length, .headers = { no_store },
	};

	give(request, &answer);
}

static void
answer_heartbeat(const struct request *request)
{
	static const char json[] =
	    "{\"msg\":\"I don't have a heart but I am alive!\"}";

	send_json(request, 200, json, strlen(json));
}

/* Without a file of totals there is what we counted ourselves. */
static void
print_own_totals(struct buffer *json, const struct site *site)
{
	char started[sizeof "2026-01-01T00:00:00Z"];
	struct tm utc;

	strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ",
	    gmtime_r(&site->started, &utc));
	buffer_printf(json, "{\"uptime\":\"%s\",\"total_msg_count\":%" PRIu64
	    ",\"replied_msg_count\":0,\"forwarded_msg_count\":0,"
	    "\"total_attachments_downloaded\":0,\"total_messages_slacked\":0,"
	    "\"snapshot\":null}", started, ring_total(site->ring));
}

static void
answer_stats(const struct request *request)
{
	struct totals *totals = request->site->totals;
	struct buffer json = { 0 };
	const char *text;
	size_t length;

	totals_refresh(totals);
	text = totals_text(totals, &length);
	if (text != NULL) {
		send_json(request, 200, text, length);
		return;
	}
	print_own_totals(&json, request->site);
	send_json(request, 200, json.data, json.length);
	buffer_free(&json);
}

/* A browser's WebSocket asks for an upgrade and does not come here. */
static void
answer_socket(const struct request *request)
{
	send_text(request, 426, "This is the address of a WebSocket.\n",
	    (struct http_header){ "upgrade", "websocket" });
}

static void
answer_track(const struct request *request)
{
	static const char sorry[] =
	    "{\"msg\":\"The subscriptions cannot be read\"}";
	struct buffer json = { 0 };

	if (track_append(&json, request->site->subscriptions) == 0)
		send_json(request, 200, json.data, json.length);
	else
		send_json(request, 503, sorry, strlen(sorry));
	buffer_free(&json);
}

static bool
is_empty_object(const char *json)
{
	return json[1 + strspn(json + 1, " \t")] == '}';
}

static void
answer_external(const struct request *request)
{
	static const char none[] = "{\"msg\":\"No errors recorded yet\"}";
	struct totals *totals = request->site->totals;
	struct buffer json = { 0 };
	const char *errors;
	size_t length;

	totals_refresh(totals);
	errors = totals_external(totals, &length);
	if (errors == NULL || is_empty_object(errors)) {
		send_json(request, 200, none, strlen(none));
		return;
	}
	buffer_append_string(&json, "{\"errors\":");
	buffer_append(&json, errors, length);
	buffer_append_string(&json, "}");
	send_json(request, 200, json.data, json.length);
	buffer_free(&json);
}

static bool
begin_post(const struct request *request, size_t *body_max)
{
	return posts_begin(request->site->posts, request->connection,
	    request->http, body_max);
}

static void
answer_post(const struct request *request)
{
	posts_complete(request->site->posts, request->connection,
	    request->http);
}

static void
answer_message(const struct request *request)
{
	posts_find(request->site->posts, request->connection,
	    request->below);
}

static void
answer_metrics(const struct request *request)
{
	const struct site *site = request->site;
	const struct metrics_sources sources = {
		.ring = site->ring, .viewers = site->viewers,
		.totals = site->totals,
		.courier = posts_courier(site->posts),
		.outbox = site->outbox,
		.running = health_running(site->health),
		.started = site->started,
	};
	struct http_answer answer = { .status = 200, .type = METRICS_TYPE,
		.headers = { no_store } };
	struct buffer text = { 0 };

	metrics_print(site->metrics, &sources, &text);
	answer.body = text.data;
	answer.length = text.length;
	give(request, &answer);
	buffer_free(&text);
}

static void
answer_alive(const struct request *request)
{
	static const char json[] = "{\"alive\":true}";

	send_json(request, 200, json, strlen(json));
}

static void
answer_ready(const struct request *request)
{
	struct buffer json = { 0 };
	bool is_ready = health_print(request->site->health, &json);

	send_json(request, is_ready ? 200 : 503, json.data, json.length);
	buffer_free(&json);
}

static const struct route routes[] = {
	{ "/", true, answer_root, NULL, NULL },
	{ "/favicon.ico", true, answer_favicon, NULL, NULL },
	{ "/ultronex/favicon", true, answer_favicon, NULL, NULL },
	{ "/ultronex/heartbeat", true, answer_heartbeat, NULL, NULL },
	{ "/ultronex/stream", false, answer_stream, NULL, NULL },
	{ "/ultronex/static/", false, answer_static, NULL, NULL },
	{ "/ultronex/stats", false, answer_stats, NULL, NULL },
	{ "/ultronex/track", false, answer_track, NULL, NULL },
	{ "/ultronex/external", false, answer_external, NULL, NULL },
	{ POSTS_PATH, false, answer_post, "POST", begin_post },
	{ POSTS_MESSAGES_PATH, false, answer_message, NULL, NULL },
	{ "/metrics", false, answer_metrics, NULL, NULL },
	{ "/livez", true, answer_alive, NULL, NULL },
	{ "/readyz", true, answer_ready, NULL, NULL },
	{ SOCKET_PATH, false, answer_socket, NULL, NULL },
};

/* Does the path belong to the route? Then *below is the rest of it. */
static bool
is_route(const struct route *route, const char *path, const char **below)
{
	size_t length = strlen(route->path);

	if (strncmp(path, route->path, length) != 0)
		return false;
	*below = path + length;
	return **below == '\0' || (length > 1 &&
	    route->path[length - 1] == '/');
}

static void
find_route(struct request *request)
{
	request->route = NULL;
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
		if (is_route(&routes[i], request->http->path,
		    &request->below)) {
			request->route = &routes[i];
			break;
		}
}

static const char *
find_methods(const struct route *route)
{
	return route->methods != NULL ? route->methods : "GET, HEAD";
}

/* Is it one of a list with commas and blanks between them? */
static bool
is_method_allowed(const struct route *route, const char *method)
{
	const char *methods = find_methods(route);
	size_t length = strlen(method);

	for (const char *at = methods; at != NULL; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, method, length) == 0 &&
		    strchr(", ", at[length]) != NULL)
			return true;
	}
	return false;
}

/* May whoever asks see what is not open to everybody? */
static bool
is_allowed(const struct site *site, const struct http_request *request)
{
	if (site->auth == NULL)
		return auth_host_is_local(http_request_header(request,
		    "host"));
	return auth_accepts(site->auth, http_request_header(request,
	    "authorization"));
}

/* Why something is refused; status 0: it is not. */
struct refusal {
	unsigned status;
	const char *text;
	struct http_header header;
};

static struct refusal
find_denial(const struct site *site)
{
	if (site->auth == NULL)
		return (struct refusal){ 403, "Only as localhost.\n",
		    { NULL, NULL } };
	return (struct refusal){ 401, "Not without credentials.\n",
	    { "www-authenticate", site->challenge } };
}

static void
refuse(const struct request *request, struct refusal refusal)
{
	send_text(request, refusal.status, refusal.text, refusal.header);
}

/* Why it is refused by its head alone. */
static struct refusal
judge_head(const struct request *request)
{
	const struct route *route = request->route;

	if (!is_method_allowed(route, request->http->method))
		return (struct refusal){ 405, "Another method, please.\n",
		    { "allow", find_methods(route) } };
	if (!route->is_open && !is_allowed(request->site, request->http))
		return find_denial(request->site);
	return (struct refusal){ 0 };
}

bool
routes_begin(const struct site *site, struct http_connection *connection,
    const struct http_request *http, size_t *body_max)
{
	struct request request = { site, connection, http, NULL, NULL };
	struct refusal refusal;

	find_route(&request);
	if (request.route == NULL) {
		answer_not_found(&request);
		return false;
	}
	refusal = judge_head(&request);
	if (refusal.status != 0) {
		refuse(&request, refusal);
		return false;
	}
	if (request.route->begin != NULL)
		return request.route->begin(&request, body_max);
	*body_max = BODY_BYTES_MAX;
	return true;
}

void
routes_complete(const struct site *site, struct http_connection *connection,
    const struct http_request *http)
{
	struct request request = { site, connection, http, NULL, NULL };

	find_route(&request);
	request.route->answer(&request);
}

static bool
is_origin_allowed(const struct site *site, const struct http_request *http)
{
	return auth_origin_fits(http_request_header(http, "origin"),
	    http_request_header(http, "host"), site->origins);
}

static bool
is_version_13(const struct http_request *http)
{
	const char *version = http_request_header(http,
	    "sec-websocket-version");

	return version != NULL && strcmp(version, "13") == 0;
}

/* 16 bytes in base64 */
static bool
is_websocket_key(const char *key)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	return key != NULL && strlen(key) == 24 &&
	    strspn(key, letters) == 22 && strcmp(key + 22, "==") == 0;
}

/* RFC 6455, version 13, no subprotocol: we have none to choose from. */
static struct refusal
judge_upgrade(const struct site *site, const struct http_request *http)
{
	if (!is_websocket_key(http_request_header(http, "sec-websocket-key")) ||
	    http_request_header(http, "sec-websocket-protocol") != NULL)
		return (struct refusal){ 400,
		    "Only a WebSocket without subprotocol.\n",
		    { NULL, NULL } };
	if (strcmp(http->path, SOCKET_PATH) != 0)
		return (struct refusal){ 404, "No WebSocket here.\n",
		    { NULL, NULL } };
	if (!is_origin_allowed(site, http))
		return (struct refusal){ 403, "Not from that origin.\n",
		    { NULL, NULL } };
	if (!is_allowed(site, http))
		return find_denial(site);
	if (!is_version_13(http))
		return (struct refusal){ 426, "Only WebSocket version 13.\n",
		    { "sec-websocket-version", "13" } };
	if (viewers_count(site->viewers) >= site->viewers_max)
		return (struct refusal){ 503, "Too many viewers.\n",
		    { "retry-after", "30" } };
	return (struct refusal){ 0 };
}

bool
routes_upgrade(const struct site *site, struct http_connection *connection,
    const struct http_request *http)
{
	struct request request = { site, connection, http, NULL, NULL };
	struct refusal refusal = judge_upgrade(site, http);

	find_route(&request);
	if (refusal.status != 0)
		refuse(&request, refusal);
	return refusal.status == 0;
}
