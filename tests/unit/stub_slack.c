#include "stub_slack.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/clock.h"
#include "../../lib/events.h"
#include "../../lib/memory.h"

#define RUN_MS 20000
#define CALLS_MAX 4096

struct client {
	struct event event;
	struct stub_slack *slack;
	struct client *next;
	struct buffer in;
	struct buffer out;
};

struct stub_slack {
	int set;
	struct event event;
	struct client *clients;
	char url[64];
	char *methods[CALLS_MAX];
	size_t count;
	void (*answer)(const char *method, const char *arguments,
	    struct stub_answer *answer, void *arg);
	void *arg;
};

static void
drop_client(struct client *client)
{
	struct client **link = &client->slack->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	events_ignore(client->slack->set, &client->event);
	close(client->event.fd);
	buffer_free(&client->in);
	buffer_free(&client->out);
	free(client);
}

/* %41 and the like; arguments of tests hold no + */
static void
decode(char *text)
{
	char *out = text;

	for (; *text != '\0'; text++) {
		unsigned byte;

		if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1) {
			*out++ = (char)byte;
			text += 2;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

static void
write_out(struct client *client)
{
	ssize_t count = send(client->event.fd, client->out.data,
	    client->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (count > 0)
		buffer_consume(&client->out, (size_t)count);
	if (client->out.length == 0)
		drop_client(client);
}

static void
answer_call(struct client *client, char *path, char *arguments)
{
	struct stub_slack *slack = client->slack;
	struct stub_answer answer = { .status = 200, .headers = "" };
	char *method = strrchr(path, '/') + 1;

	decode(arguments);
	if (slack->count < CALLS_MAX)
		slack->methods[slack->count++] = xstrdup(method);
	slack->answer(method, arguments, &answer, slack->arg);
	if (!answer.is_withheld) {
		buffer_printf(&client->out, "HTTP/1.1 %d X\r\n"
		    "Content-Length: %zu\r\nConnection: close\r\n%s\r\n",
		    answer.status, answer.body.length, answer.headers);
		buffer_append(&client->out, answer.body.data,
		    answer.body.length);
		events_ignore(slack->set, &client->event);
		events_watch(slack->set, &client->event, EPOLLOUT);
	}
	buffer_free(&answer.body);
}

/* POST /api/METHOD HTTP/1.1, headers, Content-Length bytes */
static void
take_request(struct client *client)
{
	char *text = (char *)buffer_string(&client->in), *end, *length;
	size_t body = 0;

	end = strstr(text, "\r\n\r\n");
	if (end == NULL)
		return;
	length = strcasestr(text, "\r\nContent-Length:");
	if (length != NULL && length < end)
		body = strtoul(length + strlen("\r\nContent-Length:"), NULL,
		    10);
	if (client->in.length - (size_t)(end + 4 - text) < body)
		return;
	*end = '\0';
	*strchr(strchr(text, ' ') + 1, ' ') = '\0';
	answer_call(client, strchr(text, ' ') + 1, end + 4);
}

static void
serve(void *arg)
{
	struct client *client = arg;
	ssize_t count;

	if (client->out.length > 0) {
		write_out(client);
		return;
	}
	count = recv(client->event.fd, buffer_reserve(&client->in, 65536),
	    65536, MSG_DONTWAIT);
	if (count <= 0) {
		drop_client(client);
		return;
	}
	client->in.length += (size_t)count;
	take_request(client);
}

static void
take_client(void *arg)
{
	struct stub_slack *slack = arg;
	struct client *client = xcalloc(1, sizeof *client);
	int fd = accept4(slack->event.fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd == -1)
		err(1, "accept");
	client->slack = slack;
	client->next = slack->clients;
	slack->clients = client;
	client->event = (struct event){ .fd = fd, .ready = serve,
	    .arg = client };
	events_watch(slack->set, &client->event, EPOLLIN);
}

static void
listen_on(struct stub_slack *slack)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&address, length) == -1 ||
	    listen(fd, 16) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) == -1)
		err(1, "listen");
	snprintf(slack->url, sizeof slack->url, "http://127.0.0.1:%u/api/",
	    ntohs(address.sin_port));
	slack->event = (struct event){ .fd = fd, .ready = take_client,
	    .arg = slack };
	events_watch(slack->set, &slack->event, EPOLLIN);
}

void
stub_open(struct stub_parts *parts, void (*answer)(const char *method,
    const char *arguments, struct stub_answer *answer, void *arg), void *arg)
{
	parts->set = events_open();
	parts->timers = timers_new(parts->set);
	parts->slack = xcalloc(1, sizeof *parts->slack);
	parts->slack->set = parts->set;
	parts->slack->answer = answer;
	parts->slack->arg = arg;
	listen_on(parts->slack);
	parts->api = slack_api_new(&(struct slack_api_settings){
		.url = parts->slack->url,
		.set = parts->set,
		.timers = parts->timers,
	    });
}

void
stub_close(struct stub_parts *parts)
{
	slack_api_free(parts->api);
	timers_free(parts->timers);
	while (parts->slack->clients != NULL)
		drop_client(parts->slack->clients);
	events_ignore(parts->set, &parts->slack->event);
	close(parts->slack->event.fd);
	for (size_t i = 0; i < parts->slack->count; i++)
		free(parts->slack->methods[i]);
	free(parts->slack);
	close(parts->set);
}

size_t
stub_calls(const struct stub_parts *parts, const char *method)
{
	size_t count = 0;

	for (size_t i = 0; i < parts->slack->count; i++)
		if (method == NULL ||
		    strcmp(parts->slack->methods[i], method) == 0)
			count++;
	return count;
}

static bool
run(struct stub_parts *parts, bool (*is_over)(void *arg), void *arg, int ms)
{
	int64_t end_ms = clock_steady_ms() + ms, left_ms;

	while (is_over == NULL || !is_over(arg)) {
		left_ms = end_ms - clock_steady_ms();
		if (left_ms <= 0)
			return false;
		poll(&(struct pollfd){ parts->set, POLLIN, 0 }, 1,
		    (int)left_ms);
		events_dispatch(parts->set);
	}
	return true;
}

bool
stub_run(struct stub_parts *parts, bool (*is_over)(void *arg), void *arg)
{
	return run(parts, is_over, arg, RUN_MS);
}

void
stub_run_ms(struct stub_parts *parts, int ms)
{
	run(parts, NULL, NULL, ms);
}

bool
stub_has(const char *arguments, const char *name, const char *value)
{
	size_t name_length = strlen(name), length = strlen(value);

	for (const char *at = arguments; at != NULL;
	    at = strchr(at, '&') != NULL ? strchr(at, '&') + 1 : NULL)
		if (strncmp(at, name, name_length) == 0 &&
		    at[name_length] == '=' &&
		    strncmp(at + name_length + 1, value, length) == 0 &&
		    strchr("&", at[name_length + 1 + length]) != NULL)
			return true;
	return false;
}
