#include "resolver.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "events.h"
#include "memory.h"

#define STACK_BYTES (256 * 1024)	/* the usual 8 MiB are too much */

/* What the threads share with us; who leaves last releases it. */
struct exchange {
	pthread_mutex_t mutex;
	int fd;			/* readable when something is done */
	struct lookup *done;
	size_t users;		/* we, and the threads */
};

struct resolver {
	int set;
	struct event event;
	struct exchange *exchange;
};

/* It is the thread's until it lies in `done`, but for found and arg. */
struct lookup {
	struct exchange *exchange;
	struct lookup *next;
	char *host;
	struct addrinfo *addresses;
	int error;		/* of getaddrinfo */
	int error_number;	/* errno, where that says so */

	/* ours alone; found is NULL after it was cancelled */
	void (*found)(const struct addrinfo *addresses, const char *reason,
	    void *arg);
	void *arg;
};

static void
free_lookup(struct lookup *lookup)
{
	if (lookup->addresses != NULL)
		freeaddrinfo(lookup->addresses);
	free(lookup->host);
	free(lookup);
}

/* Leave the exchange, whose mutex is held. */
static void
leave_exchange(struct exchange *exchange)
{
	bool is_last = --exchange->users == 0;

	pthread_mutex_unlock(&exchange->mutex);
	if (!is_last)
		return;
	while (exchange->done != NULL) {
		struct lookup *lookup = exchange->done;

		exchange->done = lookup->next;
		free_lookup(lookup);
	}
	close(exchange->fd);
	pthread_mutex_destroy(&exchange->mutex);
	free(exchange);
}

static void *
look_up(void *arg)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct lookup *lookup = arg;
	struct exchange *exchange = lookup->exchange;
	const uint64_t one = 1;

	lookup->error = getaddrinfo(lookup->host, NULL, &hints,
	    &lookup->addresses);
	lookup->error_number = errno;
	pthread_mutex_lock(&exchange->mutex);
	lookup->next = exchange->done;
	exchange->done = lookup;
	if (write(exchange->fd, &one, sizeof one) != sizeof one)
		warn("hand over the addresses of a name");
	leave_exchange(exchange);
	return NULL;
}

static void
tell(const struct lookup *lookup)
{
	const char *reason = NULL;

	if (lookup->error == EAI_SYSTEM)
		reason = strerror(lookup->error_number);
	else if (lookup->error != 0)
		reason = gai_strerror(lookup->error);
	if (lookup->found != NULL)
		lookup->found(lookup->error == 0 ? lookup->addresses : NULL,
		    reason, lookup->arg);
}

/* What is called may cancel others that are done, or free the resolver. */
static void
hand_over(void *arg)
{
	struct resolver *resolver = arg;
	struct exchange *exchange = resolver->exchange;
	struct lookup *lookup;
	uint64_t count;

	pthread_mutex_lock(&exchange->mutex);
	lookup = exchange->done;
	if (lookup != NULL)
		exchange->done = lookup->next;
	if (exchange->done == NULL &&
	    read(exchange->fd, &count, sizeof count) == -1 && errno != EAGAIN)
		err(EX_OSERR, "read an event");
	pthread_mutex_unlock(&exchange->mutex);
	if (lookup == NULL)
		return;
	tell(lookup);
	free_lookup(lookup);
}

struct resolver *
resolver_new(int set)
{
	struct resolver *resolver = xcalloc(1, sizeof *resolver);
	struct exchange *exchange = xcalloc(1, sizeof *exchange);

	exchange->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (exchange->fd == -1)
		err(EX_OSERR, "make an event");
	exchange->users = 1;
	pthread_mutex_init(&exchange->mutex, NULL);
	resolver->set = set;
	resolver->exchange = exchange;
	resolver->event = (struct event){ .fd = exchange->fd,
	    .ready = hand_over, .arg = resolver };
	events_watch(set, &resolver->event, EPOLLIN);
	return resolver;
}

void
resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	events_ignore(resolver->set, &resolver->event);
	pthread_mutex_lock(&resolver->exchange->mutex);
	leave_exchange(resolver->exchange);
	free(resolver);
}

/* Signals are for the main thread. Returns 0 or an errno. */
static int
start_thread(struct lookup *lookup)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	error = pthread_create(&thread, &attributes, look_up, lookup);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct lookup *
resolver_find(struct resolver *resolver, const char *host,
    void (*found)(const struct addrinfo *addresses, const char *reason,
    void *arg), void *arg)
{
	struct exchange *exchange = resolver->exchange;
	struct lookup *lookup = xcalloc(1, sizeof *lookup);

	*lookup = (struct lookup){ .exchange = exchange,
	    .host = xstrdup(host), .found = found, .arg = arg };
	pthread_mutex_lock(&exchange->mutex);
	exchange->users++;
	pthread_mutex_unlock(&exchange->mutex);

	int error = start_thread(lookup);
	if (error != 0) {
		errno = error;
		err(EX_OSERR, "start a thread to look up a name");
	}
	return lookup;
}

void
resolver_cancel(struct lookup *lookup)
{
	lookup->found = NULL;
}
