#include "download.h"

#include <curl/curl.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "kept.h"
#include "memory.h"
#include "transfer.h"

#define REDIRECTS_MAX 3
#define ATTEMPTS_MAX 5
#define FIRST_PAUSE_MS 250
#define PAUSE_MAX_MS 60000
#define ROOM_PAUSE_MS 1000	/* between two looks for room on the disk */
#define RENEWALS_MAX 3

/* Slack looks for malware before it serves a file. */
#define YOUNG_S (5 * 60)

enum download_state {
	DOWNLOAD_QUEUED,
	DOWNLOAD_RUNNING,
	DOWNLOAD_PAUSING,
};

struct download {
	struct downloads *downloads;
	struct download *next;
	struct want *wants;	/* the first one says what is expected */
	enum download_state state;
	bool has_started;
	int64_t resume_ms;
	int attempts;		/* this one and those before */
	bool lacks_room;	/* on the disk, when it was tried last */
	unsigned renewals;	/* of clocks, when there was room again */
	int64_t missed_bytes;	/* more than there was room for then, or 0 */

	/* both checked against the hosts; redirect_url is NULL before one */
	char *url;
	char *redirect_url;
	int redirects;

	struct transfer transfer;	/* the request at hand */

	/* what came when its length was not the announced one, or "" */
	char odd_name[SPOOL_NAME_BYTES];
};

struct downloads {
	struct download_settings settings;
	struct download *first;		/* in the order they were asked for */
	struct download **last;
	size_t queued;
	size_t running;
	bool has_told_of_login;
	bool is_short_of_room;	/* said so, no room since */

	CURLM *multi;			/* NULL before the first start */
	struct curl_slist *headers;
	CURL **idle;			/* handles at rest, parallel at most */
	size_t idle_count;
	int signal_fd;
};

struct downloads *
downloads_new(const struct download_settings *settings)
{
	struct downloads *downloads = xcalloc(1, sizeof *downloads);

	downloads->settings = *settings;
	downloads->last = &downloads->first;
	downloads->signal_fd = -1;
	return downloads;
}

/*
 * The signals that lib/signals holds back wake curl_multi_poll up by a
 * descriptor; signals_poll takes them then.
 */
static int
open_signal_fd(void)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t held, noted;

	sigprocmask(SIG_BLOCK, NULL, &held);
	sigemptyset(&noted);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (sigismember(&held, numbers[i]) == 1)
			sigaddset(&noted, numbers[i]);
	return signalfd(-1, &noted, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
prepare_header(struct downloads *downloads)
{
	char *header = NULL;

	if (downloads->settings.token == NULL)
		return;
	if (asprintf(&header, "Authorization: Bearer %s",
	    downloads->settings.token) == -1)
		err(EX_OSERR, "malloc");
	downloads->headers = curl_slist_append(NULL, header);
	if (downloads->headers == NULL)
		err(EX_OSERR, "malloc");
	explicit_bzero(header, strlen(header));
	free(header);
}

/* OpenSSL and libcurl take time and memory: only for those who download. */
static void
prepare_curl(struct downloads *downloads)
{
	long parallel = (long)downloads->settings.parallel;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (downloads->multi = curl_multi_init()) == NULL)
		errx(EX_SOFTWARE, "libcurl cannot be used");
	curl_multi_setopt(downloads->multi, CURLMOPT_MAXCONNECTS, parallel);
	downloads->idle = xcalloc(downloads->settings.parallel,
	    sizeof(CURL *));
	downloads->signal_fd = open_signal_fd();
	prepare_header(downloads);
}

static CURL *
take_handle(struct downloads *downloads)
{
	CURL *easy = downloads->idle_count > 0 ?
	    downloads->idle[--downloads->idle_count] : curl_easy_init();

	if (easy == NULL)
		err(EX_OSERR, "make a handle of libcurl");
	return easy;
}

/* End the request at hand, and what it brought unless somebody took it. */
static void
end_transfer(struct download *download)
{
	struct downloads *downloads = download->downloads;
	CURL *easy = download->transfer.easy;

	if (easy != NULL) {
		curl_multi_remove_handle(downloads->multi, easy);
		curl_easy_reset(easy);
		downloads->idle[downloads->idle_count++] = easy;
		downloads->running--;
	}
	transfer_clear(&download->transfer);
}

static void
enter_queue(struct download *download)
{
	download->state = DOWNLOAD_QUEUED;
	download->downloads->queued++;
}

/* Take a download out of the list and free it. */
static void
remove_download(struct download *download)
{
	struct downloads *downloads = download->downloads;
	struct download **link = &downloads->first;

	end_transfer(download);
	if (download->state == DOWNLOAD_QUEUED)
		downloads->queued--;
	while (*link != download)
		link = &(*link)->next;
	*link = download->next;
	if (downloads->last == &download->next)
		downloads->last = link;
	free(download->redirect_url);
	free(download->url);
	free(download);
}

void
downloads_free(struct downloads *downloads)
{
	if (downloads == NULL)
		return;
	while (downloads->first != NULL)
		remove_download(downloads->first);
	while (downloads->idle_count > 0)
		curl_easy_cleanup(downloads->idle[--downloads->idle_count]);
	free(downloads->idle);
	curl_slist_free_all(downloads->headers);
	if (downloads->multi != NULL) {
		curl_multi_cleanup(downloads->multi);
		curl_global_cleanup();
	}
	if (downloads->signal_fd != -1)
		close(downloads->signal_fd);
	free(downloads);
}

/* Also what is expected of it is the same, so one check of it is for both. */
static bool
is_same_file(const struct want *one, const struct want *other)
{
	return one->id != NULL && strcmp(one->id, other->id) == 0 &&
	    one->url != NULL && strcmp(one->url, other->url) == 0 &&
	    one->size == other->size && one->is_html == other->is_html &&
	    one->may_change == other->may_change;
}

/* A download under way of the very same file, not only of its id. */
static struct download *
find_same(const struct downloads *downloads, const struct want *want)
{
	struct download *download;

	if (want->id == NULL || !spool_is_id(want->id))
		return NULL;
	for (download = downloads->first; download != NULL;
	    download = download->next)
		if (is_same_file(download->wants, want))
			break;
	return download;
}

static struct download *
append_download(struct downloads *downloads, char *url)
{
	struct download *download = xcalloc(1, sizeof *download);

	download->downloads = downloads;
	download->url = url;
	download->attempts = 1;
	*downloads->last = download;
	downloads->last = &download->next;
	enter_queue(download);
	return download;
}

static void
join(struct download *download, struct want *want)
{
	struct want **last = &download->wants;

	while (*last != NULL)
		last = &(*last)->next;
	*last = want;
	want->download = download;
	if (download->has_started)
		want_start_clock(want,
		    download->downloads->settings.deadline_ms);
}

/* The URL as it may be fetched, which the caller frees, or NULL: denied. */
static char *
check_url(const struct downloads *downloads, struct want *want)
{
	char reason[WANT_REASON_BYTES];
	char *url = hosts_check(downloads->settings.hosts, want->url, reason,
	    sizeof reason);

	if (url == NULL)
		want_settle(want, WANT_DENIED, "%s", reason);
	return url;
}

void
downloads_add(struct downloads *downloads, struct want *want)
{
	struct download *download = find_same(downloads, want);
	char *url;

	if (download == NULL) {
		url = check_url(downloads, want);
		if (url == NULL)
			return;
		download = append_download(downloads, url);
	}
	join(download, want);
}

bool
downloads_allow(const struct downloads *downloads, struct want *want)
{
	char *url = check_url(downloads, want);

	free(url);
	return url != NULL;
}

void
downloads_give_up(struct want *want)
{
	struct download *download = want->download;
	struct want **link = &download->wants;

	while (*link != want)
		link = &(*link)->next;
	*link = want->next;
	want->download = NULL;
	if (download->wants == NULL)
		remove_download(download);
}

void
downloads_replace(struct want *want, struct want *another)
{
	struct want **link = &want->download->wants;

	while (*link != want)
		link = &(*link)->next;
	*link = another;
	another->next = want->next;
	another->download = want->download;
	want->download = NULL;
	want->next = NULL;
}

/* Is there no record any more that waits for it? */
static bool
is_late(const struct download *download)
{
	for (const struct want *want = download->wants; want != NULL;
	    want = want->next)
		if (want->late == NULL)
			return false;
	return true;
}

static size_t
count(const struct downloads *downloads, enum download_state state, bool late)
{
	size_t found = 0;

	for (const struct download *download = downloads->first;
	    download != NULL; download = download->next)
		if (download->state == state && is_late(download) == late)
			found++;
	return found;
}

bool
downloads_are_queued(const struct downloads *downloads)
{
	return downloads->queued > 0 &&
	    count(downloads, DOWNLOAD_QUEUED, false) > 0;
}

bool
downloads_are_too_slow_for(const struct want *want)
{
	const struct download *download = want->download;

	return download->state == DOWNLOAD_PAUSING &&
	    download->resume_ms >= *want->deadline_ms;
}

bool
downloads_are_running(const struct downloads *downloads)
{
	return downloads->running > 0;
}

bool
downloads_lack_room_for(const struct want *want)
{
	return want->download != NULL && want->download->lacks_room;
}

bool
downloads_lack_room(const struct downloads *downloads)
{
	for (const struct download *download = downloads->first;
	    download != NULL; download = download->next)
		if (download->lacks_room)
			return true;
	return false;
}

/* Tell all who wait what became of the file; the first one knows. */
static void
settle_all(struct download *download)
{
	const struct download_settings *settings =
	    &download->downloads->settings;
	struct want outcome = *download->wants;
	struct want *want = download->wants, *next;

	download->wants = NULL;
	remove_download(download);
	for (; want != NULL; want = next) {
		next = want->next;
		want->status = outcome.status;
		memcpy(want->reason, outcome.reason, sizeof want->reason);
		spool_hold(&outcome.spooled, &want->spooled);
		want->download = NULL;
		settings->settled(want, settings->arg);
	}
	spool_release(&outcome.spooled);
}

/* Decide what became of the file. The download is gone afterwards. */
static void __attribute__((format(printf, 3, 4)))
settle(struct download *download, enum want_status status, const char *format,
    ...)
{
	char reason[WANT_REASON_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	want_settle(download->wants, status, "%s", reason);
	settle_all(download);
}

/* The reason is Slack's login page; the log hears of it once. */
static void
settle_login_page(struct download *download)
{
	struct downloads *downloads = download->downloads;
	const char *token = downloads->settings.token != NULL ?
	    "the token lacks the scope files:read or was made before the app"
	    " got it" : "no SLACK_BOT_TOKEN is set (scope files:read)";

	if (!downloads->has_told_of_login)
		warnx("download a file: got Slack's login page: %s", token);
	downloads->has_told_of_login = true;
	settle(download, WANT_DENIED, "login page instead of the file: %s",
	    token);
}

static int64_t
find_last_moment(const struct download *download)
{
	int64_t last = 0;

	for (const struct want *want = download->wants; want != NULL;
	    want = want->next)
		if (want_last_moment_ms(want) > last)
			last = want_last_moment_ms(want);
	return last;
}

/* Late files have their time, however often it takes. */
static bool
has_attempts_left(const struct download *download)
{
	if (download->attempts < ATTEMPTS_MAX)
		return true;
	for (const struct want *want = download->wants; want != NULL;
	    want = want->next)
		if (want->late != NULL || want->late_ms > 0)
			return true;
	return false;
}

static int64_t
find_backoff(const struct download *download)
{
	int64_t pause_ms = FIRST_PAUSE_MS;

	for (int i = 1; i < download->attempts && pause_ms < PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	return pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
}

/* End what was begun; the next request is for the first URL. */
static void
rewind_download(struct download *download)
{
	end_transfer(download);
	free(download->redirect_url);
	download->redirect_url = NULL;
	download->redirects = 0;
}

static void
start_over(struct download *download)
{
	rewind_download(download);
	download->attempts++;
}

/* Try once more after a pause, if that is of use to anybody. */
static void
pause_and_retry(struct download *download, int64_t pause_ms,
    const char *reason)
{
	int64_t backoff_ms = find_backoff(download);
	int64_t resume_ms;

	if (pause_ms < backoff_ms)
		pause_ms = backoff_ms;
	resume_ms = clock_steady_ms() + pause_ms;
	if (!has_attempts_left(download) ||
	    resume_ms >= find_last_moment(download)) {
		settle(download, WANT_FAILED, "%s after %d attempt%s", reason,
		    download->attempts, download->attempts == 1 ? "" : "s");
		return;
	}
	start_over(download);
	download->state = DOWNLOAD_PAUSING;
	download->resume_ms = resume_ms;
}

static void
follow_redirect(struct download *download, const char *target)
{
	char reason[WANT_REASON_BYTES], *url;

	if (++download->redirects > REDIRECTS_MAX) {
		settle(download, WANT_FAILED, "more than %d redirects",
		    REDIRECTS_MAX);
		return;
	}
	url = hosts_check(download->downloads->settings.hosts, target, reason,
	    sizeof reason);
	if (url == NULL) {
		settle(download, WANT_DENIED, "redirect: %.160s", reason);
		return;
	}
	end_transfer(download);
	free(download->redirect_url);
	download->redirect_url = url;
	enter_queue(download);
}

/*
 * The length is not what Slack announced. The same content twice is the file;
 * anything else was cut on the way.
 */
static bool
is_odd_length(const struct download *download, const char *name)
{
	const struct want *want = download->wants;

	if (want->size == WANT_SIZE_UNKNOWN || want->may_change ||
	    spool_length(download->transfer.file) == want->size)
		return false;
	return strcmp(download->odd_name, name) != 0;
}

static void
handle_odd_length(struct download *download, const char *name)
{
	const struct want *want = download->wants;

	if (download->odd_name[0] != '\0') {
		settle(download, WANT_FAILED, "%" PRId64 " bytes came instead"
		    " of %" PRId64, spool_length(download->transfer.file),
		    want->size);
		return;
	}
	memcpy(download->odd_name, name, SPOOL_NAME_BYTES);
	start_over(download);
	enter_queue(download);
}

/* How much room it needs, as far as that is known. */
static int64_t
find_needed_bytes(const struct download *download)
{
	const struct want *want = download->wants;

	if (want->size > download->missed_bytes)
		return want->size;
	return download->missed_bytes;
}

static void
pause_for_room(struct download *download)
{
	struct downloads *downloads = download->downloads;

	if (!downloads->is_short_of_room && !kept_is_retry())
		warnx("the disk is full: waiting for room in the spool");
	downloads->is_short_of_room = true;
	download->lacks_room = true;
	download->state = DOWNLOAD_PAUSING;
	download->resume_ms = clock_steady_ms() + ROOM_PAUSE_MS;
}

/* It found the disk full; this is no attempt. */
static void
wait_for_room(struct download *download)
{
	const struct spool_file *file = download->transfer.file;

	if (file != NULL && spool_length(file) >= download->missed_bytes)
		download->missed_bytes = spool_length(file) + 1;
	rewind_download(download);
	pause_for_room(download);
}

/* One was stored: if no other one waits for room, all may run again. */
static void
note_room(struct downloads *downloads)
{
	if (!downloads->is_short_of_room || downloads_lack_room(downloads))
		return;
	warnx("the disk has room for the spool again");
	downloads->is_short_of_room = false;
}

static void
settle_spool_error(struct download *download, int error)
{
	char reason[WANT_REASON_BYTES];

	if (spool_lacks_room(error)) {
		wait_for_room(download);
		return;
	}
	spool_explain(error, reason, sizeof reason);
	settle(download, WANT_FAILED, "%s", reason);
}

static void
keep_file(struct download *download)
{
	struct want *want = download->wants;
	struct spool_file *file = download->transfer.file;
	struct downloads *downloads = download->downloads;
	char name[SPOOL_NAME_BYTES];

	if (spool_finish(file, name) == -1) {
		settle_spool_error(download, errno);
		return;
	}
	if (is_odd_length(download, name)) {
		handle_odd_length(download, name);
		return;
	}
	download->transfer.file = NULL;
	if (spool_keep(file, want->id, &want->spooled) == -1) {
		settle_spool_error(download, errno);
		return;
	}
	settle(download, WANT_OK, "%s", "");
	note_room(downloads);
}

static void
handle_answer(struct download *download, CURLcode code)
{
	struct transfer_answer answer;

	transfer_judge(&download->transfer, code, &answer);
	switch (answer.result) {
	case TRANSFER_FILE:
		keep_file(download);
		break;
	case TRANSFER_REDIRECT:
		follow_redirect(download, answer.target);
		break;
	case TRANSFER_LOGIN_PAGE:
		settle_login_page(download);
		break;
	case TRANSFER_RETRY:
		pause_and_retry(download, answer.pause_ms, answer.reason);
		break;
	case TRANSFER_NO_ROOM:
		wait_for_room(download);
		break;
	case TRANSFER_FINAL:
		settle(download, answer.status, "%s", answer.reason);
		break;
	}
}

static bool
is_young(const struct want *want)
{
	return want->created_s > clock_now_us() / 1000000 - YOUNG_S;
}

static struct transfer_order
make_order(const struct download *download)
{
	const struct downloads *downloads = download->downloads;

	return (struct transfer_order){
		.url = download->redirect_url != NULL ? download->redirect_url
		    : download->url,
		.headers = downloads->headers,
		.ca_file = downloads->settings.ca_file,
		.spool = downloads->settings.spool,
		.bytes_max = downloads->settings.bytes_max,
		.is_html = download->wants->is_html,
		.is_young = is_young(download->wants),
	};
}

static void
start_clocks(struct download *download)
{
	download->has_started = true;
	for (struct want *want = download->wants; want != NULL;
	    want = want->next)
		want_start_clock(want,
		    download->downloads->settings.deadline_ms);
}

/*
 * It waited for room: that does not count. Where the room is taken again each
 * time that must end for those that may be late.
 */
static void
renew_clocks(struct download *download)
{
	int64_t until_ms = clock_steady_ms() +
	    download->downloads->settings.deadline_ms;

	download->renewals++;
	for (struct want *want = download->wants; want != NULL;
	    want = want->next)
		if (want->late == NULL && *want->deadline_ms < until_ms &&
		    (want->late_ms == 0 ||
		    download->renewals <= RENEWALS_MAX))
			*want->deadline_ms = until_ms;
}

static void
start(struct download *download)
{
	struct downloads *downloads = download->downloads;
	struct transfer_order order;
	CURL *easy;

	if (downloads->multi == NULL)
		prepare_curl(downloads);
	start_clocks(download);
	if (download->lacks_room)
		renew_clocks(download);
	easy = take_handle(downloads);
	order = make_order(download);
	transfer_prepare(&download->transfer, easy, &order);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, download);
	downloads->queued--;
	downloads->running++;
	download->lacks_room = false;
	download->state = DOWNLOAD_RUNNING;
	if (curl_multi_add_handle(downloads->multi, easy) != CURLM_OK)
		errx(EX_SOFTWARE, "libcurl refuses a download");
}

/* On a full disk it has to wait, be it for room or for another one's end. */
static bool
may_start(struct download *download)
{
	struct downloads *downloads = download->downloads;

	if (!downloads->is_short_of_room)
		return true;
	if (downloads->running > 0)
		return false;
	if (spool_has_room(downloads->settings.spool,
	    find_needed_bytes(download)))
		return true;
	downloads->queued--;
	start_clocks(download);
	pause_for_room(download);
	return false;
}

static void
end_pauses(struct downloads *downloads)
{
	int64_t now_ms = clock_steady_ms();

	for (struct download *download = downloads->first; download != NULL;
	    download = download->next)
		if (download->state == DOWNLOAD_PAUSING &&
		    download->resume_ms <= now_ms)
			enter_queue(download);
}

/* The last one that became late begins anew when there is a place for it. */
static void
interrupt_late_one(struct downloads *downloads)
{
	struct download *last = NULL;

	for (struct download *download = downloads->first; download != NULL;
	    download = download->next)
		if (download->state == DOWNLOAD_RUNNING && is_late(download))
			last = download;
	rewind_download(last);
	enter_queue(last);
}

static void
make_way(struct downloads *downloads)
{
	size_t parallel = downloads->settings.parallel;
	size_t late = count(downloads, DOWNLOAD_RUNNING, true);
	size_t queued = count(downloads, DOWNLOAD_QUEUED, false);

	for (; late > parallel / 2 && queued > parallel - downloads->running;
	    late--)
		interrupt_late_one(downloads);
}

static void
start_first(struct downloads *downloads, bool late, size_t count_max)
{
	struct download *download = downloads->first;

	for (; download != NULL && count_max > 0 &&
	    downloads->running < downloads->settings.parallel;
	    download = download->next)
		if (download->state == DOWNLOAD_QUEUED &&
		    is_late(download) == late && may_start(download)) {
			start(download);
			count_max--;
		}
}

/* One late file at least, where nobody else wants the place. */
static void
start_queued(struct downloads *downloads)
{
	size_t parallel = downloads->settings.parallel;
	size_t late_max = parallel > 1 ? parallel / 2 : 1, late;

	if (downloads->queued == 0)
		return;
	make_way(downloads);
	start_first(downloads, false, parallel);
	late = count(downloads, DOWNLOAD_RUNNING, true);
	if (late < late_max)
		start_first(downloads, true, late_max - late);
}

/* Handle all answers that are complete; false where there was none. */
static bool
handle_answers(struct downloads *downloads)
{
	bool any = false;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(downloads->multi, &left))) {
		CURLcode code = message->data.result;
		char *download = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		any = true;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
		    &download);
		handle_answer((struct download *)(void *)download, code);
	}
	return any;
}

void
downloads_run(struct downloads *downloads)
{
	int running;

	do {
		end_pauses(downloads);
		start_queued(downloads);
		if (downloads->running == 0)
			return;
		curl_multi_perform(downloads->multi, &running);
	} while (handle_answers(downloads));
}

int64_t
downloads_next_ms(const struct downloads *downloads)
{
	int64_t next = 0;

	for (const struct download *download = downloads->first;
	    download != NULL; download = download->next)
		if (download->state == DOWNLOAD_PAUSING &&
		    (next == 0 || download->resume_ms < next))
			next = download->resume_ms;
	return next;
}

void
downloads_wait(struct downloads *downloads,
    const int fds[DOWNLOADS_WAIT_FDS], int timeout_ms)
{
	struct curl_waitfd extra[1 + DOWNLOADS_WAIT_FDS] = {
		{ downloads->signal_fd, CURL_WAIT_POLLIN, 0 },
	};
	unsigned used = 1;

	for (size_t i = 0; i < DOWNLOADS_WAIT_FDS; i++)
		if (fds[i] != -1)
			extra[used++] = (struct curl_waitfd){
				fds[i], CURL_WAIT_POLLIN, 0 };
	curl_multi_poll(downloads->multi, extra, used, timeout_ms, NULL);
}
