#include "requests.h"

#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

static void
add_unless_ignored(sigset_t *set, int number)
{
	struct sigaction now;

	if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
		sigaddset(set, number);
}

int
requests_open(void)
{
	sigset_t taken;
	int fd;

	sigemptyset(&taken);
	sigaddset(&taken, SIGCHLD);
	sigaddset(&taken, SIGUSR1);
	sigaddset(&taken, SIGHUP);
	add_unless_ignored(&taken, SIGTERM);
	add_unless_ignored(&taken, SIGINT);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* EFBIG is told like a full disk */
	sigprocmask(SIG_BLOCK, &taken, NULL);
	fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd == -1)
		err(EX_OSERR, "wait for signals");
	return fd;
}

int
requests_next(int fd)
{
	struct signalfd_siginfo request;

	return read(fd, &request, sizeof request) == (ssize_t)sizeof request
	    ? (int)request.ssi_signo : 0;
}

void
requests_die(int number)
{
	sigset_t none;

	signal(number, SIG_DFL);
	raise(number);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	abort();
}
