#include "routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "memory.h"

#define SOCKET_PATH "/ultronex/ws/slack"
#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"
#define HEADER_BYTES 2048

struct request {
	const struct site *site;
	struct lws *connection;
	const char *path;
	const char *below;	/* what the path has behind that of the route */
};

static const struct http_header no_store = { "cache-control:", "no-store" };

static int
send_text(const struct request *request, unsigned status, const char *text,
    struct http_header header)
{
	const struct http_answer answer = {
		.status = status, .type = TEXT, .body = text,
		.length = strlen(text), .headers = { no_store, header },
	};

	return http_send(request->connection, &answer);
}

static int
send_asset(const struct request *request, const struct asset *asset,
    unsigned status)
{
	const struct http_answer answer = {
		.status = status, .type = asset->type, .body = asset->content,
		.length = asset->length,
		.headers = { { "cache-control:", "no-cache" },
		    { "etag:", asset->etag } },
	};

	return http_send(request->connection, &answer);
}

static int
answer_not_found(const struct request *request)
{
	const struct asset *page = assets_find(request->site->assets,
	    "404.html");

	if (page == NULL)
		return send_text(request, HTTP_STATUS_NOT_FOUND,
		    "Nothing here.\n", (struct http_header){ NULL, NULL });
	return send_asset(request, page, HTTP_STATUS_NOT_FOUND);
}

/* Send a file, unless the browser has it already. */
static int
answer_asset(const struct request *request, const char *name)
{
	const struct asset *asset = assets_find(request->site->assets, name);
	char value[HEADER_BYTES];
	const char *known = http_header(request->connection,
	    WSI_TOKEN_HTTP_IF_NONE_MATCH, value, sizeof value);

	if (asset == NULL)
		return answer_not_found(request);
	if (known == NULL || strstr(known, asset->etag) == NULL)
		return send_asset(request, asset, HTTP_STATUS_OK);

	const struct http_answer unchanged = {
		.status = HTTP_STATUS_NOT_MODIFIED,
		.headers = { { "etag:", asset->etag } },
	};
	return http_send(request->connection, &unchanged);
}

static int
answer_root(const struct request *request)
{
	return send_text(request, HTTP_STATUS_FOUND, "",
	    (struct http_header){ "location:", "/ultronex/stream" });
}

static int
answer_stream(const struct request *request)
{
	return answer_asset(request, "index.html");
}

static int
answer_static(const struct request *request)
{
	return answer_asset(request, request->below);
}

static int
answer_favicon(const struct request *request)
{
	return answer_asset(request, "favicon.svg");
}

static int
send_json(const struct request *request, const char *json, size_t length)
{
	const struct http_answer answer = {
		.status = HTTP_STATUS_OK, .type = JSON, .body = json,
		.length = length, .headers = { no_store },
	};

	return http_send(request->connection, &answer);
}

static int
answer_heartbeat(const struct request *request)
{
	static const char json[] =
	    "{\"msg\":\"I don't have a heart but I am alive!\"}";

	return send_json(request, json, strlen(json));
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

static int
answer_stats(const struct request *request)
{
	struct totals *totals = request->site->totals;
	struct buffer json = { 0 };
	const char *text;
	size_t length;
	int status;

	totals_refresh(totals);
	text = totals_text(totals, &length);
	if (text != NULL)
		return send_json(request, text, length);
	print_own_totals(&json, request->site);
	status = send_json(request, json.data, json.length);
	buffer_free(&json);
	return status;
}

/* A browser's WebSocket asks for an upgrade and does not come here. */
static int
answer_socket(const struct request *request)
{
	return send_text(request, 426, "This is the address of a WebSocket.\n",
	    (struct http_header){ "upgrade:", "websocket" });
}

/* All routes allow GET and HEAD so far. */
struct route {
	const char *path;	/* with a slash at its end: and all below */
	bool is_open;		/* to everybody */
	int (*answer)(const struct request *request);
};

static const struct route routes[] = {
	{ "/", true, answer_root },
	{ "/favicon.ico", true, answer_favicon },
	{ "/ultronex/favicon", true, answer_favicon },
	{ "/ultronex/heartbeat", true, answer_heartbeat },
	{ "/ultronex/stream", false, answer_stream },
	{ "/ultronex/static/", false, answer_static },
	{ "/ultronex/stats", false, answer_stats },
	{ SOCKET_PATH, false, answer_socket },
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

static const struct route *
find_route(struct request *request)
{
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
		if (is_route(&routes[i], request->path, &request->below))
			return &routes[i];
	return NULL;
}

/* May whoever asks see what is not open to everybody? */
static bool
is_allowed(const struct site *site, struct lws *connection)
{
	char value[HEADER_BYTES];

	if (site->auth == NULL)
		return auth_host_is_local(http_header(connection,
		    WSI_TOKEN_HOST, value, sizeof value));
	return auth_accepts(site->auth, http_header(connection,
	    WSI_TOKEN_HTTP_AUTHORIZATION, value, sizeof value));
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
		return (struct refusal){ HTTP_STATUS_FORBIDDEN,
		    "Only as localhost.\n", { NULL, NULL } };
	return (struct refusal){ HTTP_STATUS_UNAUTHORIZED,
	    "Not without credentials.\n",
	    { "www-authenticate:", site->challenge } };
}

static int
deny(const struct request *request)
{
	struct refusal denial = find_denial(request->site);

	return send_text(request, denial.status, denial.text, denial.header);
}

int
routes_answer(const struct site *site, struct lws *connection)
{
	struct request request = { site, connection, http_path(connection),
	    NULL };
	const struct route *route = find_route(&request);

	if (route == NULL)
		return answer_not_found(&request);
	if (!http_is_get(connection) && !http_is_head(connection))
		return send_text(&request, HTTP_STATUS_METHOD_NOT_ALLOWED,
		    "Only GET and HEAD.\n",
		    (struct http_header){ "allow:", "GET, HEAD" });
	if (!route->is_open && !is_allowed(site, connection))
		return deny(&request);
	return route->answer(&request);
}

static bool
is_at_socket(struct lws *connection)
{
	return http_is_get(connection) &&
	    strcmp(http_path(connection), SOCKET_PATH) == 0;
}

static bool
is_origin_allowed(const struct site *site, struct lws *connection)
{
	char origin[HEADER_BYTES], host[HEADER_BYTES];

	return auth_origin_fits(
	    http_header(connection, WSI_TOKEN_ORIGIN, origin, sizeof origin),
	    http_header(connection, WSI_TOKEN_HOST, host, sizeof host),
	    site->origins);
}

/* RFC 6455, version 13, no subprotocol: we have none to choose from. */
static bool
is_understood(struct lws *connection)
{
	char value[HEADER_BYTES];
	const char *upgrade = http_header(connection, WSI_TOKEN_UPGRADE,
	    value, sizeof value);

	if (upgrade == NULL || strcasecmp(upgrade, "websocket") != 0)
		return false;
	return http_header(connection, WSI_TOKEN_KEY, value,
	    sizeof value) != NULL &&
	    http_header(connection, WSI_TOKEN_PROTOCOL, value,
	    sizeof value) == NULL;
}

static bool
is_version_13(struct lws *connection)
{
	char value[HEADER_BYTES];
	const char *version = http_header(connection, WSI_TOKEN_VERSION,
	    value, sizeof value);

	return version != NULL && strcmp(version, "13") == 0;
}

static struct refusal
judge_upgrade(const struct site *site, struct lws *connection)
{
	if (!is_understood(connection))
		return (struct refusal){ HTTP_STATUS_BAD_REQUEST,
		    "Only a WebSocket without subprotocol.\n",
		    { NULL, NULL } };
	if (!is_at_socket(connection))
		return (struct refusal){ HTTP_STATUS_NOT_FOUND,
		    "No WebSocket here.\n", { NULL, NULL } };
	if (!is_origin_allowed(site, connection))
		return (struct refusal){ HTTP_STATUS_FORBIDDEN,
		    "Not from that origin.\n", { NULL, NULL } };
	if (!is_allowed(site, connection))
		return find_denial(site);
	if (!is_version_13(connection))
		return (struct refusal){ 426, "Only WebSocket version 13.\n",
		    { "sec-websocket-version:", "13" } };
	if (viewers_count(site->viewers) >= site->viewers_max)
		return (struct refusal){ HTTP_STATUS_SERVICE_UNAVAILABLE,
		    "Too many viewers.\n", { "retry-after:", "30" } };
	return (struct refusal){ 0 };
}

int
routes_upgrade(const struct site *site, struct lws *connection)
{
	struct refusal refusal;
	struct http_answer answer;

	/*
	 * libwebsockets 4.1.6 may have refused an unknown kind of upgrade by
	 * itself, and ask all the same, with the headers gone.
	 */
	if (lws_hdr_total_length(connection, WSI_TOKEN_UPGRADE) == 0)
		return -1;
	refusal = judge_upgrade(site, connection);
	if (refusal.status == 0)
		return 0;
	answer = (struct http_answer){
		.status = refusal.status, .type = TEXT, .body = refusal.text,
		.length = strlen(refusal.text),
		.headers = { no_store, refusal.header },
	};
	return http_send(connection, &answer);
}
