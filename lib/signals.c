#include "signals.h"

#include <err.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>

static volatile sig_atomic_t stop_signal;
static volatile sig_atomic_t reload_wanted;

static void
note_signal(int number)
{
	if (number == SIGHUP)
		reload_wanted = 1;
	else
		stop_signal = number;
}

/* The signals that are noted, less those the program was told to ignore. */
static void
fill_noted(sigset_t *set)
{
	struct sigaction now;

	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	if (sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
		sigaddset(set, SIGINT);
}

void
signals_catch(void)
{
	struct sigaction action = { .sa_handler = note_signal };
	sigset_t noted;

	fill_noted(&noted);
	sigprocmask(SIG_BLOCK, &noted, NULL);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&noted, number) == 1)
			sigaction(number, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* EFBIG is told like a full disk */
}

int
signals_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L,
	};
	sigset_t noted, open;

	fill_noted(&noted);
	sigprocmask(SIG_BLOCK, NULL, &open);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&noted, number) == 1)
			sigdelset(&open, number);

	int ready = ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, &open);
	/* With input at hand ppoll leaves a pending signal pending. */
	if (ready > 0)
		signals_check();
	return ready;
}

int
signals_descriptor(void)
{
	sigset_t noted;

	fill_noted(&noted);

	int fd = signalfd(-1, &noted, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd == -1)
		err(EX_OSERR, "wait for signals");
	return fd;
}

void
signals_check(void)
{
	sigset_t noted;
	int number;

	fill_noted(&noted);
	while ((number = sigtimedwait(&noted, NULL,
	    &(struct timespec){ 0, 0 })) > 0)
		note_signal(number);
}

bool
signals_want_stop(void)
{
	return stop_signal != 0;
}

bool
signals_take_reload(void)
{
	bool wanted = reload_wanted != 0;

	reload_wanted = 0;
	return wanted;
}

void
signals_die(void)
{
	sigset_t all;

	signal(stop_signal, SIG_DFL);
	raise(stop_signal);
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	abort();
}
