#include "inbox_client.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "backoff.h"
#include "events.h"
#include "line_reader.h"
#include "memory.h"
#include "record.h"

#define ANSWER_BYTES_MAX 65536
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MOST_MS 5000

struct entry {
	struct entry *next;
	const char *line;
	size_t length;
	void (*done)(const char *error, void *arg);
	void *arg;
	bool is_in_doubt;	/* an earlier connection may have taken it */
};

struct inbox_client {
	const char *path;
	int set;
	struct timers *timers;
	struct timer again;
	struct backoff backoff;
	struct event event;		/* fd -1 while not connected */
	struct line_reader *reader;
	struct record *answer;
	struct entry *first;		/* the oldest without an answer */
	struct entry **last;
	size_t count;
	size_t bytes;
	struct entry *unsent;		/* the first not sent to the end */
	size_t sent;			/* bytes of it, its LF counted */
	bool is_in_trouble;		/* said so, no answer since */
};

static void connect_inbox(void *arg);
static void serve(void *arg);

struct inbox_client *
inbox_client_new(const char *path, int set, struct timers *timers)
{
	static const char *const none[] = { NULL };
	struct inbox_client *client = xcalloc(1, sizeof *client);

	client->path = path;
	client->set = set;
	client->timers = timers;
	client->again = (struct timer){ .due = connect_inbox, .arg = client };
	client->backoff = (struct backoff){ .first_ms = BACKOFF_FIRST_MS,
	    .most_ms = BACKOFF_MOST_MS };
	client->event = (struct event){ .fd = -1, .ready = serve,
	    .arg = client };
	client->answer = record_new("inbox", none);
	client->last = &client->first;
	return client;
}

/* What was sent to the end and has no answer may have been taken. */
static void
note_doubt(struct inbox_client *client)
{
	for (struct entry *entry = client->first; entry != client->unsent;
	    entry = entry->next)
		entry->is_in_doubt = true;
}

/* Close the connection; all that has no answer is unsent again. */
static void
disconnect(struct inbox_client *client)
{
	if (client->event.fd != -1) {
		events_ignore(client->set, &client->event);
		close(client->event.fd);
		line_reader_free(client->reader);
	}
	client->event = (struct event){ .fd = -1, .ready = serve,
	    .arg = client };
	client->reader = NULL;
	client->unsent = client->first;
	client->sent = 0;
}

void
inbox_client_free(struct inbox_client *client)
{
	if (client == NULL)
		return;
	disconnect(client);
	timers_cancel(client->timers, &client->again);
	while (client->first != NULL) {
		struct entry *next = client->first->next;

		free(client->first);
		client->first = next;
	}
	record_free(client->answer);
	free(client);
}

static void
watch(struct inbox_client *client)
{
	events_watch(client->set, &client->event,
	    client->unsent != NULL ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void
try_later(struct inbox_client *client)
{
	note_doubt(client);
	disconnect(client);
	if (client->first != NULL)
		timers_set(client->timers, &client->again,
		    backoff_next_ms(&client->backoff));
}

static int
open_connection(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&address,
	    sizeof address) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static void
connect_inbox(void *arg)
{
	struct inbox_client *client = arg;
	int fd = open_connection(client->path);

	if (fd == -1) {
		if (!client->is_in_trouble)
			warn("inbox %s, trying again", client->path);
		client->is_in_trouble = true;
		try_later(client);
		return;
	}
	timers_cancel(client->timers, &client->again);
	client->event.fd = fd;
	client->reader = line_reader_new(fd, ANSWER_BYTES_MAX);
	client->unsent = client->first;
	client->sent = 0;
	watch(client);
}

/* Returns false where the connection broke. */
static bool
send_entries(struct inbox_client *client)
{
	while (client->unsent != NULL) {
		struct entry *entry = client->unsent;
		struct iovec parts[] = {
			{ (char *)entry->line + client->sent,
			    entry->length - client->sent },
			{ (char *)"\n", 1 },
		};
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
		ssize_t count = sendmsg(client->event.fd, &message,
		    MSG_NOSIGNAL);

		if (count == -1 && errno == EINTR)
			continue;
		if (count == -1)
			return errno == EAGAIN;
		client->sent += (size_t)count;
		if (client->sent > entry->length) {
			client->unsent = entry->next;
			client->sent = 0;
		}
	}
	return true;
}

/* The caller frees it. */
static struct entry *
take_out(struct inbox_client *client, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->next;
	if (client->last == &entry->next)
		client->last = link;
	if (client->unsent == entry)
		client->unsent = entry->next;
	client->count--;
	client->bytes -= entry->length;
	return entry;
}

/* The journal cannot be written now: not an answer, but a reason to wait. */
static bool
is_to_be_repeated(struct inbox_client *client)
{
	return cJSON_IsTrue(record_get(client->answer, "retry"));
}

/* {"ok":true,...} or {"ok":false,"error":"..."}, to a line that was sent */
static bool
is_answer(struct inbox_client *client, const struct line *line)
{
	const cJSON *ok;

	if (client->first == NULL || client->first == client->unsent ||
	    record_parse(client->answer, line->text, line->length) == -1)
		return false;
	ok = record_get(client->answer, "ok");
	return cJSON_IsTrue(ok) || (cJSON_IsFalse(ok) &&
	    record_string(client->answer, RECORD_ERROR) != NULL);
}

/* Returns false where the line is none, or is to be repeated. */
static bool
take_answer(struct inbox_client *client, const struct line *line)
{
	struct entry *entry;
	bool is_durable;

	if (!is_answer(client, line)) {
		if (!client->is_in_trouble)
			warnx("inbox %s: an answer that is none, trying again",
			    client->path);
		client->is_in_trouble = true;
		return false;
	}
	is_durable = cJSON_IsTrue(record_get(client->answer, "ok"));
	if (!is_durable && is_to_be_repeated(client)) {
		client->unsent = client->first;	/* nothing behind is taken */
		return false;
	}
	client->is_in_trouble = false;
	client->backoff.failures = 0;
	entry = take_out(client, &client->first);
	entry->done(is_durable ? NULL :
	    record_string(client->answer, RECORD_ERROR), entry->arg);
	free(entry);
	return true;
}

/* Returns false where the connection is over. */
static bool
take_answers(struct inbox_client *client)
{
	ssize_t count = line_reader_fill(client->reader);
	struct line line;

	if (count == 0 || (count == -1 && errno != EAGAIN && errno != EINTR))
		return false;
	while (line_reader_next(client->reader, &line))
		if (!take_answer(client, &line))
			return false;
	return true;
}

static void
serve(void *arg)
{
	struct inbox_client *client = arg;

	if (take_answers(client) && send_entries(client))
		watch(client);
	else
		try_later(client);
}

bool
inbox_client_send(struct inbox_client *client, const char *line,
    size_t length, void (*done)(const char *error, void *arg), void *arg)
{
	struct entry *entry;

	if (client->count >= INBOX_CLIENT_WAITING_MAX ||
	    client->bytes + length > INBOX_CLIENT_BYTES_MAX)
		return false;
	entry = xcalloc(1, sizeof *entry);
	*entry = (struct entry){ .line = line, .length = length,
	    .done = done, .arg = arg };
	*client->last = entry;
	client->last = &entry->next;
	client->count++;
	client->bytes += length;
	if (client->unsent == NULL)
		client->unsent = entry;
	if (client->event.fd != -1)
		watch(client);
	else if (!client->again.is_set)
		timers_set(client->timers, &client->again, 0);
	return true;
}

/* Where the entry hangs, if nobody else can have it nor a part of it. */
static struct entry **
find_withdrawable(struct inbox_client *client, const void *arg)
{
	struct entry **link = &client->first;
	bool is_sent = true;

	for (; *link != NULL; link = &(*link)->next) {
		is_sent = is_sent && *link != client->unsent;
		if ((*link)->arg == arg)
			break;
	}
	if (*link == NULL || is_sent || (*link)->is_in_doubt ||
	    (*link == client->unsent && client->sent > 0))
		return NULL;
	return link;
}

bool
inbox_client_withdraw(struct inbox_client *client, const void *arg)
{
	struct entry **link = find_withdrawable(client, arg);

	if (link == NULL)
		return false;
	free(take_out(client, link));
	if (client->event.fd != -1)
		watch(client);
	else if (client->first == NULL)
		timers_cancel(client->timers, &client->again);
	return true;
}

bool
inbox_client_is_up(struct inbox_client *client)
{
	if (client->event.fd == -1)
		connect_inbox(client);
	return client->event.fd != -1;
}
