#include "passage.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

void
passage_start(struct passage *passage, int64_t passed)
{
	struct stat output;

	passage->is_pipe = fstat(STDOUT_FILENO, &output) == 0 &&
	    S_ISFIFO(output.st_mode);
	passage->answered = passage->next = passage->written = passed;
	passage->taken = passage->passed = passed;
}

void
passage_answer(struct passage *passage, int64_t seq)
{
	if (seq > passage->answered)
		passage->answered = seq;
}

static bool
is_pipe_empty(void)
{
	int unread;

	return ioctl(STDOUT_FILENO, FIONREAD, &unread) == 0 && unread == 0;
}

static void
look(struct passage *passage)
{
	if (!passage->is_pipe) {
		passage->passed = passage->written;
		return;
	}
	/* An empty pipe into which nothing was written teaches nothing new. */
	if (passage->written == passage->taken || !is_pipe_empty())
		return;
	passage->passed = passage->taken;
	passage->taken = passage->written;
}

void
passage_look_before(struct passage *passage)
{
	passage->written = passage->next;
	passage->next = passage->answered;
	look(passage);
}

void
passage_look_after(struct passage *passage)
{
	passage->written = passage->next = passage->answered;
	look(passage);
}

void
passage_end(struct passage *passage)
{
	if (!passage->is_pipe)
		passage->passed = passage->answered;
}
