#include "scanner_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

#define LAST_MS 10000		/* for what is in the pipe when all is fed */
#define REPORT_BYTES_MAX 65536

extern char **environ;

static int
spawn(const char *path, const char *const *words, int input, int output)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	error = posix_spawn(&pid, path, &actions, NULL,
	    (char *const *)(uintptr_t)words, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error == 0 ? pid : -1;
}

static void
close_end(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

int
scanner_run_start(struct scanner_run *run, const char *path,
    const char *expression, const char *places, const char *spool,
    int64_t timeout_ms)
{
	const char *const words[] = { path, "--test", expression, "--where",
	    places, spool != NULL ? "--spool" : NULL, spool, NULL };
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };

	*run = (struct scanner_run){ .pid = -1,
	    .end_ms = clock_steady_ms() + timeout_ms };
	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
	    fcntl(in[1], F_SETFL, O_NONBLOCK) == 0)
		run->pid = spawn(path, words, in[0], out[1]);
	close_end(&in[0]);
	close_end(&out[1]);
	run->input = in[1];
	run->output = out[0];
	if (run->pid != -1)
		return 0;
	close_end(&run->input);
	close_end(&run->output);
	return -1;
}

/* Returns false where that does not come up to end_ms. */
static bool
await(int fd, short events, int64_t end_ms)
{
	struct pollfd descriptor = { fd, events, 0 };
	int64_t left_ms;

	do {
		left_ms = end_ms - clock_steady_ms();
		if (left_ms <= 0)
			return false;
	} while (poll(&descriptor, 1, (int)left_ms) == -1 && errno == EINTR);
	return descriptor.revents != 0;
}

bool
scanner_run_goes_on(struct scanner_run *run)
{
	run->is_late = run->is_late || clock_steady_ms() >= run->end_ms;
	return !run->is_late;
}

bool
scanner_run_feed(struct scanner_run *run, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count;

		if (!await(run->input, POLLOUT, run->end_ms))
			return scanner_run_goes_on(run);
		count = write(run->input, bytes, length);
		if (count == -1 && errno != EINTR && errno != EAGAIN)
			return false;
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
	}
	return true;
}

/* Returns 0, or -1 where its end does not come in time. */
static int
read_report(struct scanner_run *run, struct buffer *report)
{
	int64_t end_ms = clock_steady_ms() + LAST_MS;
	char bytes[4096];
	ssize_t count;

	while (await(run->output, POLLIN, end_ms)) {
		count = read(run->output, bytes, sizeof bytes);
		if (count == 0 || (count == -1 && errno != EINTR))
			return (int)count;
		if (count > 0 && report->length < REPORT_BYTES_MAX)
			buffer_append(report, bytes, (size_t)count);
	}
	return -1;
}

int
scanner_run_finish(struct scanner_run *run, struct buffer *report)
{
	int status;

	close_end(&run->input);
	if (read_report(run, report) == -1)
		kill(run->pid, SIGKILL);
	close_end(&run->output);
	while (waitpid(run->pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	/* 1: nothing was found */
	return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? 0 : -1;
}
