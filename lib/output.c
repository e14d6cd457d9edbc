#include "output.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

/* Write a part; a descriptor that somebody made non-blocking is waited for. */
static ssize_t
write_some(const char *bytes, size_t length)
{
	ssize_t count = write(STDOUT_FILENO, bytes, length);

	if (count == -1 && errno == EAGAIN) {
		poll(&(struct pollfd){ STDOUT_FILENO, POLLOUT, 0 }, 1, -1);
		return 0;
	}
	return count == -1 && errno == EINTR ? 0 : count;
}

int
output_flush(struct buffer *buffer)
{
	for (size_t done = 0; done < buffer->length;) {
		ssize_t count = write_some(buffer->data + done,
		    buffer->length - done);

		if (count == -1) {
			if (errno != EPIPE)
				warn("write standard output");
			return -1;
		}
		done += (size_t)count;
	}
	buffer->length = 0;
	if (buffer->capacity > 16 * OUTPUT_BLOCK_BYTES)
		buffer_free(buffer);
	return 0;
}

int
output_failure(int error)
{
	if (error == EPIPE) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGPIPE);
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
	}
	return EX_IOERR;
}

int
output_close(void)
{
	if (close(STDOUT_FILENO) == 0)
		return 0;
	warn("close standard output");
	return -1;
}
