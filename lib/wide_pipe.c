#include "wide_pipe.h"

#include <fcntl.h>

#define PIPE_BYTES (1024 * 1024)

void
widen_pipe(int fd)
{
	fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}
