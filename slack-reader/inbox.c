#include "inbox.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "buffer.h"
#include "events.h"
#include "json_scan.h"
#include "line_reader.h"
#include "memory.h"
#include "record.h"

#define BACKLOG 64
#define ANSWERS_BYTES_MAX 65536	/* that one client leaves unread */

/* When there was no descriptor for one more client. */
#define RETRY_MS 1000

/* The place of an answer; a refusal may stand behind others that wait. */
struct verdict {
	struct verdict *next;
	char *refusal;		/* NULL: its answer is still to come */
	size_t bytes;		/* of the line that waits for it */
};

struct client {
	struct client *next;
	struct inbox *inbox;
	uint64_t number;
	struct event event;
	struct line_reader *reader;
	struct buffer answers;
	struct verdict *first;	/* of the lines without an answer */
	struct verdict **last;
	size_t waiting;
	bool has_ended;		/* it will say no more */
	bool has_lines;		/* read, not yet taken */
};

struct inbox {
	struct inbox_settings settings;
	struct event listener;
	struct client *clients;
	size_t count;
	uint64_t next_number;
	size_t bytes;		/* of all lines that wait for an answer */
	struct timer retry;
	struct json_index index;
	bool is_paused;
};

static void accept_clients(void *arg);

/* --- the socket -----------------------------------------------------------*/

static struct sockaddr_un
make_address(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof address.sun_path)
		errx(EX_CONFIG, "inbox %s: the path is too long, %zu bytes at"
		    " most", path, sizeof address.sun_path - 1);
	strcpy(address.sun_path, path);
	return address;
}

static int
make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);

	if (fd == -1)
		err(EX_OSERR, "make a socket");
	return fd;
}

/* A socket that a dead process left is removed; nothing else is. */
static void
remove_stale(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat status;
	int probe;

	if (lstat(path, &status) == -1)
		return;
	if (!S_ISSOCK(status.st_mode))
		errx(EX_CONFIG, "inbox %s: something else is there", path);
	probe = make_socket();
	if (connect(probe, (const struct sockaddr *)address,
	    sizeof *address) == 0 || errno == EAGAIN)
		errx(EX_TEMPFAIL, "inbox %s: another process listens there",
		    path);
	close(probe);
	if (unlink(path) == -1)
		err(EX_CONFIG, "inbox %s", path);
}

static int
open_listener(const char *path)
{
	struct sockaddr_un address = make_address(path);
	mode_t before;
	int fd, status;

	remove_stale(&address);
	fd = make_socket();
	before = umask(0177);
	status = bind(fd, (const struct sockaddr *)&address, sizeof address);
	umask(before);
	if (status == -1 || listen(fd, BACKLOG) == -1)
		err(EX_CONFIG, "inbox %s", path);
	return fd;
}

struct inbox *
inbox_open(const struct inbox_settings *settings)
{
	struct inbox *inbox = xcalloc(1, sizeof *inbox);

	inbox->settings = *settings;
	inbox->listener = (struct event){
		.fd = open_listener(settings->path),
		.ready = accept_clients,
		.arg = inbox,
	};
	inbox->retry = (struct timer){ .due = accept_clients, .arg = inbox };
	events_watch(settings->set, &inbox->listener, EPOLLIN);
	return inbox;
}

/* --- clients --------------------------------------------------------------*/

static struct client *
find_client(struct inbox *inbox, uint64_t number)
{
	struct client *client = inbox->clients;

	while (client != NULL && client->number != number)
		client = client->next;
	return client;
}

static void
watch_listener(struct inbox *inbox)
{
	if (inbox->count < INBOX_CLIENTS_MAX && !inbox->is_paused)
		events_watch(inbox->settings.set, &inbox->listener, EPOLLIN);
	else
		events_ignore(inbox->settings.set, &inbox->listener);
}

/* The oldest line that waits has its answer. */
static void
take_first(struct client *client)
{
	struct verdict *verdict = client->first;

	client->first = verdict->next;
	if (client->first == NULL)
		client->last = &client->first;
	client->waiting--;
	client->inbox->bytes -= verdict->bytes;
	free(verdict->refusal);
	free(verdict);
}

static void
drop_client(struct client *client)
{
	struct inbox *inbox = client->inbox;
	struct client **link = &inbox->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	inbox->count--;
	events_ignore(inbox->settings.set, &client->event);
	close(client->event.fd);
	while (client->first != NULL)
		take_first(client);
	line_reader_free(client->reader);
	buffer_free(&client->answers);
	free(client);
	watch_listener(inbox);
}

static bool
may_take(const struct client *client)
{
	return !client->inbox->is_paused &&
	    client->waiting < INBOX_WAITING_MAX &&
	    client->inbox->bytes < INBOX_BYTES_MAX &&
	    client->answers.length < ANSWERS_BYTES_MAX;
}

/* What to wait for: lines while there is room, a reader for the answers. */
static void
watch_client(struct client *client)
{
	uint32_t mask = 0;

	if (!client->has_ended && !client->has_lines && may_take(client))
		mask |= EPOLLIN;
	if (client->answers.length > 0 ||
	    (client->has_lines && may_take(client)))
		mask |= EPOLLOUT;
	/* Who has hung up would be told again and again. */
	if (mask == 0)
		events_ignore(client->inbox->settings.set, &client->event);
	else
		events_watch(client->inbox->settings.set, &client->event,
		    mask);
}

/* Answers go in the order of the lines: a refusal may have to wait. */
static void
append_refusal(struct buffer *out, const char *reason, bool may_pass)
{
	buffer_append_string(out, "{\"ok\":false,\"error\":");
	buffer_append_json(out, reason, strlen(reason));
	buffer_append_string(out, may_pass ? ",\"retry\":true}\n" : "}\n");
}

static void
pass_refusals_on(struct client *client)
{
	while (client->first != NULL && client->first->refusal != NULL) {
		append_refusal(&client->answers, client->first->refusal,
		    false);
		take_first(client);
	}
}

static struct verdict *
expect_answer(struct client *client)
{
	struct verdict *verdict = xcalloc(1, sizeof *verdict);

	*client->last = verdict;
	client->last = &verdict->next;
	client->waiting++;
	return verdict;
}

/* Why the line can be no record, or NULL. */
static const char *
complain(struct inbox *inbox, const struct line *line)
{
	if (line->length < line->total)
		return "the line is longer than 16 MiB";
	if (line->length == 0)
		return "the line is empty";
	if (json_scan(&inbox->index, line->text, line->length) == -1)
		return inbox->index.reason;
	return NULL;
}

/* The answer to a line may come while it is being taken. */
static void
take_line(struct client *client, const struct line *line)
{
	struct inbox *inbox = client->inbox;
	const char *complaint = complain(inbox, line);
	struct verdict *verdict = expect_answer(client);
	struct inbox_line taken = { line->text, line->length,
	    client->number };

	if (complaint != NULL) {
		verdict->refusal = xstrdup(complaint);
		pass_refusals_on(client);
	} else {
		verdict->bytes = line->length;
		inbox->bytes += line->length;
		inbox->settings.take(&taken, inbox->settings.arg);
	}
}

static void
take_lines(struct client *client)
{
	struct line line;

	client->has_lines = true;
	while (may_take(client)) {
		client->has_lines = line_reader_next(client->reader, &line);
		if (!client->has_lines)
			break;
		take_line(client, &line);
	}
}

/* Returns false where the client is gone. */
static bool
write_answers(struct client *client)
{
	struct buffer *answers = &client->answers;
	ssize_t count;

	while (answers->length > 0) {
		count = send(client->event.fd, answers->data, answers->length,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (count == -1 && errno == EINTR)
			continue;
		if (count == -1)
			return errno == EAGAIN;
		buffer_consume(answers, (size_t)count);
	}
	return true;
}

static bool
is_done(const struct client *client)
{
	return client->has_ended && !client->has_lines &&
	    client->waiting == 0 && client->answers.length == 0;
}

/* Read once, where that is wanted. Returns false where it broke. */
static bool
read_lines(struct client *client)
{
	ssize_t count;

	if (client->has_ended || client->has_lines || !may_take(client))
		return true;
	count = line_reader_fill(client->reader);
	if (count == 0)
		client->has_ended = true;
	return count != -1 || errno == EAGAIN || errno == EINTR;
}

static void
serve_client(void *arg)
{
	struct client *client = arg;
	bool is_well = read_lines(client);

	/* What follows the last LF when a client leaves was cut off. */
	if (is_well && !client->has_ended)
		take_lines(client);
	if (!is_well || !write_answers(client) || is_done(client))
		drop_client(client);
	else
		watch_client(client);
}

static void
add_client(struct inbox *inbox, int fd)
{
	struct client *client = xcalloc(1, sizeof *client);

	client->inbox = inbox;
	client->number = ++inbox->next_number;
	client->event = (struct event){ .fd = fd, .ready = serve_client,
	    .arg = client };
	client->reader = line_reader_new(fd, RECORD_BYTES_MAX);
	client->last = &client->first;
	client->next = inbox->clients;
	inbox->clients = client;
	inbox->count++;
	watch_client(client);
}

/* Those beyond the limit wait where the kernel keeps them. */
static void
accept_clients(void *arg)
{
	struct inbox *inbox = arg;
	int fd = accept4(inbox->listener.fd, NULL, NULL,
	    SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd != -1) {
		add_client(inbox, fd);
		watch_listener(inbox);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		events_ignore(inbox->settings.set, &inbox->listener);
		timers_set(inbox->settings.timers, &inbox->retry, RETRY_MS);
	} else {
		watch_listener(inbox);
	}
}

void
inbox_free(struct inbox *inbox)
{
	if (inbox == NULL)
		return;
	while (inbox->clients != NULL) {
		write_answers(inbox->clients);
		drop_client(inbox->clients);
	}
	timers_cancel(inbox->settings.timers, &inbox->retry);
	events_ignore(inbox->settings.set, &inbox->listener);
	close(inbox->listener.fd);
	unlink(inbox->settings.path);
	json_index_free(&inbox->index);
	free(inbox);
}

/* --- answers --------------------------------------------------------------*/

/* The answer to the oldest line that waits goes out; so do refusals behind. */
static void
pass_answer_on(struct client *client)
{
	take_first(client);
	pass_refusals_on(client);
	watch_client(client);
}

void
inbox_accept(struct inbox *inbox, uint64_t number, int64_t seq)
{
	struct client *client = inbox != NULL ? find_client(inbox, number)
	    : NULL;

	if (client == NULL || client->first == NULL)
		return;
	buffer_printf(&client->answers, "{\"ok\":true,\"seq\":%lld}\n",
	    (long long)seq);
	pass_answer_on(client);
}

void
inbox_refuse(struct inbox *inbox, uint64_t number, const char *reason)
{
	struct client *client = inbox != NULL ? find_client(inbox, number)
	    : NULL;

	if (client == NULL || client->first == NULL)
		return;
	append_refusal(&client->answers, reason, true);
	pass_answer_on(client);
}

void
inbox_pause(struct inbox *inbox, bool is_paused)
{
	inbox->is_paused = is_paused;
	watch_listener(inbox);
	for (struct client *client = inbox->clients; client != NULL;
	    client = client->next)
		watch_client(client);
}
