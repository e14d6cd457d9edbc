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
#include "program.h"
#include "record.h"

#define BACKLOG 64
#define ANSWERS_BYTES_MAX 65536	/* that one client leaves unread */

/* Of a line that has begun any client may have so much in memory; with more
 * of it one at a time goes on, or sixteen half lines would take 256 MiB. */
#define SHARE_BYTES 131072

/* So long may it say nothing within such a line. */
#define STALL_MS 30000

/* When there was no descriptor for one more client, say. */
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
	size_t held;		/* bytes read, not yet taken */
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
	bool is_short;		/* of descriptors: said so */
	struct client *long_one;	/* whose long line is being read */
	struct timer stall;
	struct json_index index;
};

static void accept_clients(void *arg);
static void listen_again(void *arg);
static void drop_stalled(void *arg);

/* --- the socket -----------------------------------------------------------*/

static struct sockaddr_un
make_address(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (path[0] == '\0')
		errx(EX_CONFIG, "inbox: the path is empty");
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
	if (errno != ECONNREFUSED && errno != ENOENT)
		err(program_failure(errno), "inbox %s: ask whether anybody listens", path);
	close(probe);
	if (unlink(path) == -1 && errno != ENOENT)
		err(program_failure(errno), "inbox %s", path);
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
		err(program_failure(errno), "inbox %s", path);
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
	inbox->retry = (struct timer){ .due = listen_again, .arg = inbox };
	inbox->stall = (struct timer){ .due = drop_stalled, .arg = inbox };
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
	if (inbox->count < INBOX_CLIENTS_MAX)
		events_watch(inbox->settings.set, &inbox->listener, EPOLLIN);
	else
		events_ignore(inbox->settings.set, &inbox->listener);
}

static bool
has_room(const struct inbox *inbox)
{
	return inbox->bytes < INBOX_BYTES_MAX;
}

static bool
may_take(const struct client *client)
{
	return has_room(client->inbox) &&
	    client->waiting < INBOX_WAITING_MAX &&
	    client->answers.length < ANSWERS_BYTES_MAX;
}

/* One over the limit, too: its reader gives memory back when it reads on. */
static bool
has_long_line(const struct client *client)
{
	return client->held > SHARE_BYTES;
}

static bool
may_read(const struct client *client)
{
	const struct client *long_one = client->inbox->long_one;

	return !client->has_ended && !client->has_lines && may_take(client) &&
	    (!has_long_line(client) || long_one == NULL ||
	    long_one == client);
}

/* What to wait for: lines while there is room, a reader for the answers. */
static void
watch_client(struct client *client)
{
	uint32_t mask = 0;

	if (may_read(client))
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

static void
watch_clients(struct inbox *inbox)
{
	for (struct client *client = inbox->clients; client != NULL;
	    client = client->next)
		watch_client(client);
}

/* The oldest line that waits is answered; others may have waited for room. */
static void
take_first(struct client *client)
{
	struct inbox *inbox = client->inbox;
	struct verdict *verdict = client->first;
	bool was_full = !has_room(inbox);

	client->first = verdict->next;
	if (client->first == NULL)
		client->last = &client->first;
	client->waiting--;
	inbox->bytes -= verdict->bytes;
	free(verdict->refusal);
	free(verdict);
	if (was_full && has_room(inbox))
		watch_clients(inbox);
}

static void
end_long_line(struct client *client)
{
	struct inbox *inbox = client->inbox;

	if (inbox->long_one != client)
		return;
	timers_cancel(inbox->settings.timers, &inbox->stall);
	inbox->long_one = NULL;
	watch_clients(inbox);
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
	end_long_line(client);
	events_ignore(inbox->settings.set, &client->event);
	close(client->event.fd);
	while (client->first != NULL)
		take_first(client);
	line_reader_free(client->reader);
	buffer_free(&client->answers);
	free(client);
	watch_listener(inbox);
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

/* Why the line can be no record, for the caller to free, or NULL. */
static char *
complain(struct inbox *inbox, const struct line *line)
{
	const struct json_index *index = &inbox->index;
	struct buffer reason = { 0 };
	bool has_brace;

	if (line->total > INBOX_LINE_MAX)
		return xstrdup("the line is longer than 16 MiB less 8 KiB");
	if (line->length == 0)
		return xstrdup("not a JSON object: the line is empty");
	if (json_scan(&inbox->index, line->text, line->length) == 0)
		return NULL;
	has_brace = strcmp(index->reason, "not a JSON object") != 0;
	buffer_printf(&reason, "not a JSON object: %s at byte %zu",
	    has_brace ? index->reason : "expected a brace",
	    index->error_at + 1);
	buffer_append(&reason, "", 1);
	return reason.data;
}

/* The answer to a line may come while it is being taken. */
static void
take_line(struct client *client, const struct line *line)
{
	struct inbox *inbox = client->inbox;
	char *complaint = complain(inbox, line);
	struct verdict *verdict = expect_answer(client);
	struct inbox_line taken = { line->text, line->length,
	    client->number };

	if (complaint != NULL) {
		verdict->refusal = complaint;
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
		client->held -= line.total + 1;
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

/* A long line goes on: no other one does meanwhile. */
static void
go_on_with_long_line(struct client *client)
{
	struct inbox *inbox = client->inbox;

	inbox->long_one = client;
	timers_set(inbox->settings.timers, &inbox->stall, STALL_MS);
}

/* Its memory is given back now: the client may say nothing for days. */
static void
check_long_line(struct client *client)
{
	if (client->inbox->long_one != client || has_long_line(client))
		return;
	if (client->held == 0) {
		line_reader_free(client->reader);
		client->reader = line_reader_new(client->event.fd,
		    RECORD_BYTES_MAX);
	}
	end_long_line(client);
}

static void
drop_stalled(void *arg)
{
	struct inbox *inbox = arg;
	struct client *client = inbox->long_one;

	if (!may_read(client)) {	/* it is we who do not read */
		timers_set(inbox->settings.timers, &inbox->stall, STALL_MS);
		return;
	}
	warnx("inbox: a client stopped within a long line and was closed");
	drop_client(client);
}

/* Read once, where that is wanted. Returns false where it broke. */
static bool
read_lines(struct client *client)
{
	ssize_t count;

	if (!may_read(client))
		return true;
	if (has_long_line(client))
		go_on_with_long_line(client);
	count = line_reader_fill(client->reader);
	if (count == 0)
		client->has_ended = true;
	if (count > 0)
		client->held += (size_t)count;
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
	check_long_line(client);
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
		inbox->is_short = false;
		add_client(inbox, fd);
		watch_listener(inbox);
	} else if (errno != EAGAIN && errno != EINTR &&
	    errno != ECONNABORTED) {
		if (!inbox->is_short)
			warn("inbox: accept a client, trying again");
		inbox->is_short = true;
		events_ignore(inbox->settings.set, &inbox->listener);
		timers_set(inbox->settings.timers, &inbox->retry, RETRY_MS);
	}
}

static void
listen_again(void *arg)
{
	watch_listener(arg);
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
	unlink(inbox->settings.path);	/* first, or it may be another's */
	close(inbox->listener.fd);
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
	if (seq == 0)
		buffer_append_string(&client->answers,
		    "{\"ok\":true,\"repeated\":true}\n");
	else
		buffer_printf(&client->answers,
		    "{\"ok\":true,\"seq\":%lld}\n", (long long)seq);
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
	client->has_ended = true;
	client->has_lines = false;
	pass_answer_on(client);
}
