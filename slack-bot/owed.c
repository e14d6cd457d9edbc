#include "owed.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "events.h"
#include "inbox_client.h"
#include "job.h"
#include "memory.h"
#include "record.h"

#define AGAIN_MS 1000		/* while the inbox takes nothing more */
#define LOWEST_PRIORITY 19

/* A job, which the book has under the same seq and user. */
struct task {
	TAILQ_ENTRY(task) entry;
	struct owed *owed;
	struct subscription *line;
	struct buffer record;
	struct timer again;
	bool is_done;
};

TAILQ_HEAD(tasks, task);

struct owed {
	const struct bot_settings *settings;
	struct book *book;
	const char *inbox;
	pthread_t thread;
	int wake;			/* tells the thread of news */

	/* of both threads */
	pthread_mutex_t lock;
	struct tasks tasks;
	bool is_over;
	bool is_working;

	/* of the thread that works */
	int set;
	struct timers *timers;
	struct inbox_client *client;
	struct event news;
};

/* --- the thread -------------------------------------------------------------*/

static void
append_member(struct buffer *out, const char *name, const char *value)
{
	buffer_printf(out, ",\"%s\":", name);
	buffer_append_json(out, value, strlen(value));
}

static void
word_reply(struct task *task)
{
	const struct subscription *line = task->line;
	struct buffer reply = { 0 }, name = { 0 };
	struct buffer *out = &task->record;

	buffer_printf(&reply, "<@%s>! ", line->user);
	job_do(task->owed->settings, line->words, &reply);
	buffer_append(&name, line->words, strcspn(line->words, " "));
	buffer_printf(out, "{\"type\":\"reply\",\"id\":\"reply/%" PRId64
	    "\",\"of\":%" PRId64, line->from, line->from);
	append_member(out, "name", buffer_string(&name));
	append_member(out, RECORD_USER, line->user);
	append_member(out, "to", line->channel);
	if (line->thread != NULL)
		append_member(out, RECORD_THREAD_TS, line->thread);
	append_member(out, RECORD_TEXT, buffer_string(&reply));
	buffer_append_string(out, "}");
	buffer_free(&reply);
	buffer_free(&name);
}

static void
note_done(const char *error, void *arg)
{
	struct task *task = arg;

	if (error != NULL)
		warnx("inbox: an answer is refused: %s", error);
	pthread_mutex_lock(&task->owed->lock);
	task->is_done = true;
	pthread_mutex_unlock(&task->owed->lock);
}

static void
hand_in(void *arg)
{
	struct task *task = arg;
	struct owed *owed = task->owed;

	if (!inbox_client_send(owed->client, task->record.data,
	    task->record.length, note_done, task))
		timers_set(owed->timers, &task->again, AGAIN_MS);
}

/* The first one that nobody has worked on, or NULL. */
static struct task *
find_task(struct owed *owed)
{
	struct task *task;

	pthread_mutex_lock(&owed->lock);
	TAILQ_FOREACH(task, &owed->tasks, entry)
		if (task->record.length == 0)
			break;
	if (owed->is_over)
		task = NULL;
	owed->is_working = task != NULL;
	pthread_mutex_unlock(&owed->lock);
	return task;
}

static void
take_news(void *arg)
{
	struct owed *owed = arg;
	uint64_t count;

	if (read(owed->wake, &count, sizeof count) == -1 && errno != EAGAIN &&
	    errno != EINTR)
		err(EX_OSERR, "eventfd");
}

static bool
is_over(struct owed *owed)
{
	bool is;

	pthread_mutex_lock(&owed->lock);
	is = owed->is_over;
	pthread_mutex_unlock(&owed->lock);
	return is;
}

/* The stream goes first where there is one processor for all. */
static void
step_back(void)
{
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), LOWEST_PRIORITY) == -1)
		warn("setpriority");
}

static void *
work(void *arg)
{
	struct owed *owed = arg;
	struct task *task;

	step_back();
	while (!is_over(owed)) {
		while ((task = find_task(owed)) != NULL) {
			word_reply(task);
			hand_in(task);
		}
		events_wait(owed->set, -1);
	}
	return NULL;
}

/* --- the stream -------------------------------------------------------------*/

struct owed *
owed_new(const struct bot_settings *settings, struct book *book,
    const char *inbox)
{
	struct owed *owed = xcalloc(1, sizeof *owed);

	owed->settings = settings;
	owed->book = book;
	owed->inbox = inbox;
	owed->set = events_open();
	owed->timers = timers_new(owed->set);
	owed->client = inbox_client_new(inbox, owed->set, owed->timers);
	owed->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (owed->wake == -1)
		err(EX_OSERR, "eventfd");
	owed->news = (struct event){ .fd = owed->wake, .ready = take_news,
	    .arg = owed };
	events_watch(owed->set, &owed->news, EPOLLIN);
	TAILQ_INIT(&owed->tasks);
	pthread_mutex_init(&owed->lock, NULL);
	errno = pthread_create(&owed->thread, NULL, work, owed);
	if (errno != 0)
		err(EX_OSERR, "pthread_create");
	owed_update(owed);
	return owed;
}

static void
wake(struct owed *owed)
{
	const uint64_t one = 1;

	if (write(owed->wake, &one, sizeof one) == -1 && errno != EAGAIN)
		err(EX_OSERR, "eventfd");
}

static void
free_task(struct owed *owed, struct task *task)
{
	TAILQ_REMOVE(&owed->tasks, task, entry);
	free(task->line);
	buffer_free(&task->record);
	free(task);
}

bool
owed_free(struct owed *owed)
{
	bool is_working;

	if (owed == NULL)
		return true;
	pthread_mutex_lock(&owed->lock);
	owed->is_over = true;
	is_working = owed->is_working;
	pthread_mutex_unlock(&owed->lock);
	if (is_working)
		return false;
	wake(owed);
	pthread_join(owed->thread, NULL);
	inbox_client_free(owed->client);
	events_ignore(owed->set, &owed->news);
	while (!TAILQ_EMPTY(&owed->tasks)) {
		struct task *task = TAILQ_FIRST(&owed->tasks);

		timers_cancel(owed->timers, &task->again);
		free_task(owed, task);
	}
	timers_free(owed->timers);
	close(owed->wake);
	close(owed->set);
	pthread_mutex_destroy(&owed->lock);
	free(owed);
	return true;
}

static bool
is_of(const struct task *task, const struct subscription *line)
{
	return task->line->from == line->from &&
	    strcmp(task->line->user, line->user) == 0;
}

/* Returns whether it is new. */
static bool
take_up(struct owed *owed, const struct subscription *line)
{
	struct task *task;

	TAILQ_FOREACH(task, &owed->tasks, entry)
		if (is_of(task, line))
			return false;
	task = xcalloc(1, sizeof *task);
	task->owed = owed;
	task->line = subscription_copy(line);
	task->again = (struct timer){ .due = hand_in, .arg = task };
	TAILQ_INSERT_TAIL(&owed->tasks, task, entry);
	return true;
}

/* All that stand, whichever record is at hand. Returns whether any is new. */
static bool
take_up_all(struct owed *owed)
{
	const struct subscription *line;
	bool is_any = false;
	size_t at = 0;

	book_begin(owed->book, 0);
	while ((line = book_next(owed->book, &at, SUBSCRIPTION_JOB, NULL)) !=
	    NULL)
		is_any = take_up(owed, line) || is_any;
	return is_any;
}

static void
forget(struct owed *owed, struct task *task)
{
	const struct subscription *line;
	size_t at = 0;

	while ((line = book_next(owed->book, &at, SUBSCRIPTION_JOB, NULL)) !=
	    NULL)
		if (is_of(task, line)) {
			book_remove(owed->book, line);
			break;
		}
	free_task(owed, task);
}

void
owed_update(struct owed *owed)
{
	struct task *task, *next;
	bool is_any;

	pthread_mutex_lock(&owed->lock);
	is_any = take_up_all(owed);
	for (task = TAILQ_FIRST(&owed->tasks); task != NULL; task = next) {
		next = TAILQ_NEXT(task, entry);
		if (task->is_done)
			forget(owed, task);
	}
	pthread_mutex_unlock(&owed->lock);
	if (is_any)
		wake(owed);
}
