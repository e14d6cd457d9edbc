#include "mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES_MAX 255
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
	"0123456789_.-"

/* What the handler of SIGBUS needs to know; written while none can come. */
static struct {
	char *volatile start;
	volatile size_t length;
	volatile sig_atomic_t shrank;
	uintptr_t page;
} guarded;

/* Put a page of zeros where the file has none; any other fault is fatal. */
static void
mend_page(int signal_number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr & ~(guarded.page - 1);
	uintptr_t start = (uintptr_t)guarded.start;

	(void)context;
	if (start != 0 && at >= start && at - start < guarded.length &&
	    mmap((void *)at, guarded.page, PROT_READ,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
		guarded.shrank = 1;
	else
		signal(signal_number, SIG_DFL);
}

void
mapped_file_guard(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };

	guarded.page = (uintptr_t)sysconf(_SC_PAGESIZE);
	action.sa_sigaction = mend_page;
	sigaction(SIGBUS, &action, NULL);
}

static bool
is_plain_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= NAME_BYTES_MAX && name[0] != '.' &&
	    strspn(name, NAME_BYTES) == length;
}

static int
open_file(const char *directory, const char *name)
{
	int folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, error;

	if (folder == -1)
		return -1;
	fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	error = errno;
	close(folder);
	errno = error;
	return fd;
}

/* Map what the descriptor stands for. Returns why it can't be, or NULL. */
static const char *
map_file(int fd, struct mapped_file *file)
{
	struct stat status;

	if (fstat(fd, &status) == -1)
		return strerror(errno);
	if (!S_ISREG(status.st_mode))
		return "not a plain file";
	if (status.st_size == 0)
		return NULL;
	void *start = mmap(NULL, (size_t)status.st_size, PROT_READ,
	    MAP_PRIVATE, fd, 0);
	if (start == MAP_FAILED)
		return strerror(errno);
	madvise(start, (size_t)status.st_size, MADV_SEQUENTIAL);
	guarded.length = (size_t)status.st_size;
	guarded.shrank = 0;
	guarded.start = start;
	*file = (struct mapped_file){ start, (size_t)status.st_size };
	return NULL;
}

int
mapped_file_open(const char *directory, const char *name,
    struct mapped_file *file, const char **reason)
{
	*file = (struct mapped_file){ 0 };
	if (!is_plain_name(name)) {
		*reason = "not the name of a spool file";
		return -1;
	}
	int fd = open_file(directory, name);
	if (fd == -1) {
		*reason = errno == ELOOP ? "not a plain file"
		    : strerror(errno);
		return -1;
	}
	*reason = map_file(fd, file);
	close(fd);
	return *reason == NULL ? 0 : -1;
}

int
mapped_file_close(struct mapped_file *file)
{
	bool shrank = guarded.shrank != 0;

	if (file->length == 0)
		return 0;
	guarded.start = NULL;
	munmap((void *)(uintptr_t)file->bytes, file->length);
	*file = (struct mapped_file){ 0 };
	return shrank ? -1 : 0;
}
