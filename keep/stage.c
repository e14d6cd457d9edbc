#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "wide_pipe.h"

/* The three pipes of a start: to the stage, from it, and why exec failed. */
struct pipes {
	int input[2];
	int output[2];
	int failure[2];
};

static void
close_pair(const int pair[2])
{
	if (pair[0] != -1)
		close(pair[0]);
	if (pair[1] != -1)
		close(pair[1]);
}

static int
open_pipes(struct pipes *pipes)
{
	*pipes = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(pipes->input, O_CLOEXEC) == 0 &&
	    pipe2(pipes->output, O_CLOEXEC) == 0 &&
	    pipe2(pipes->failure, O_CLOEXEC) == 0)
		return 0;

	int error = errno;
	close_pair(pipes->input);
	close_pair(pipes->output);
	errno = error;
	return -1;
}

/* Signals as anybody expects them who did not write us. */
static void
restore_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
become_stage(char *const *command, const struct pipes *pipes, pid_t parent)
{
	int error;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);	/* it died before it could take us along */
	if (dup2(pipes->input[0], STDIN_FILENO) != -1 &&
	    dup2(pipes->output[1], STDOUT_FILENO) != -1) {
		restore_signals();
		execvp(command[0], command);
	}
	error = errno;
	if (write(pipes->failure[1], &error, sizeof error) == -1)
		_exit(126);
	_exit(127);
}

/* Wait until the command runs; returns 0, or why it does not. */
static int
await_exec(int failure)
{
	int error = 0;
	ssize_t count;

	do
		count = read(failure, &error, sizeof error);
	while (count == -1 && errno == EINTR);
	return count == (ssize_t)sizeof error ? error : 0;
}

static void
keep_our_ends(struct stage *stage, const struct pipes *pipes)
{
	close(pipes->input[0]);
	close(pipes->output[1]);
	stage->input = pipes->input[1];
	stage->output = pipes->output[0];
	fcntl(stage->input, F_SETFL, O_NONBLOCK);
	fcntl(stage->output, F_SETFL, O_NONBLOCK);
	widen_pipe(stage->input);
	widen_pipe(stage->output);
}

int
stage_start(struct stage *stage)
{
	struct pipes pipes;
	pid_t parent = getpid();
	int error;

	stage->starts++;
	if (open_pipes(&pipes) == -1)
		return -1;
	stage->pid = fork();
	if (stage->pid == 0)
		become_stage(stage->command, &pipes, parent);
	error = stage->pid == -1 ? errno : 0;
	close(pipes.failure[1]);
	if (error == 0)
		error = await_exec(pipes.failure[0]);
	close(pipes.failure[0]);
	if (error == 0) {
		keep_our_ends(stage, &pipes);
		stage->since_us = clock_now_us();
		return 0;
	}
	close_pair(pipes.input);
	close_pair(pipes.output);
	if (stage->pid > 0)
		waitpid(stage->pid, NULL, 0);
	stage->pid = 0;
	errno = error;
	return -1;
}

static void
close_once(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void
stage_close_input(struct stage *stage)
{
	close_once(&stage->input);
}

void
stage_close_output(struct stage *stage)
{
	close_once(&stage->output);
}

void
stage_signal(const struct stage *stage, int number)
{
	if (stage->pid > 0)
		kill(stage->pid, number);
}

void
stage_kill(const struct stage *stage)
{
	if (stage->pid > 0)
		kill(-stage->pid, SIGKILL);
	stage_signal(stage, SIGKILL);
}

bool
stage_reap(struct stage *stage)
{
	siginfo_t end = { 0 };

	if (stage->pid <= 0 || waitid(P_PID, (id_t)stage->pid, &end,
	    WEXITED | WNOHANG | WNOWAIT) == -1 || end.si_pid == 0)
		return false;
	kill(-stage->pid, SIGKILL);	/* while the number is surely ours */
	waitpid(stage->pid, &stage->status, 0);
	stage->pid = 0;
	return true;
}

int
stage_exit_status(const struct stage *stage)
{
	return WIFSIGNALED(stage->status) ? 128 + WTERMSIG(stage->status)
	    : WEXITSTATUS(stage->status);
}

void
stage_describe_end(const struct stage *stage, char *text)
{
	int number = WTERMSIG(stage->status);

	if (WIFSIGNALED(stage->status))
		snprintf(text, STAGE_END_BYTES, "was killed by signal %d (%s)",
		    number, strsignal(number));
	else
		snprintf(text, STAGE_END_BYTES, "ended with status %d",
		    WEXITSTATUS(stage->status));
}
