/*
 * chaos.so: makes a healthy kernel behave as an unhealthy one may, for
 * LD_PRELOAD. CHAOS names a file of 1024 bytes, laid out as struct chaos,
 * which is mapped and may be changed while processes run. Without it, or in
 * a program that the file does not name, nothing is changed at all: a shell,
 * setpriv or sed that inherits LD_PRELOAD works as ever.
 *
 *	at  size  struct.pack "<"
 *	 0   4    I  magic           0x4f414843, "CHAO"
 *	 4   4    I  generation      add 1 after `programs` or `seed` changed
 *	 8   8    Q  seed            of the dice, with the process number
 *	16   4    I  short_ppm       chance in a million that a call on a pipe
 *	                             or stream socket moves fewer bytes
 *	20   4    I  short_file_ppm  the same on a file
 *	24   4    I  eintr_ppm       that a call which may block is interrupted
 *	28   4    I  disk_error      errno of a full disk (28 is ENOSPC), or 0
 *	32   8    q  clock_us        added to the time of day
 *	40   8    q  disk_room       bytes that files may still grow by; counted
 *	                             down where disk_error is set, up where a
 *	                             file is removed or cut; statvfs tells it
 *	48   4    I  disk_what       1 growing, 2 making files and folders,
 *	                             4 fsync: what fails, a sum
 *	52   4    I  (unused)
 *	56   8    Q  shorts          what was done so far, in all processes
 *	64   8    Q  eintrs
 *	72   8    Q  disk_faults
 *	80   8    Q  clock_reads     of a time that was not the true one
 *	88   8    Q  processes       that were ever told to take part
 *	96 416    s  programs        names, a blank between two
 *	512 512   s  folder          absolute, no links: where the disk is full
 *
 * What it does is legal. Not shortened: requests below 64 bytes, datagrams,
 * eventfd and its kin, what a pipe takes whole (PIPE_BUF), nor what is written
 * first on a socket that was connected, whose buffer is empty (libwebsockets
 * counts on that: it forgets the rest of its request). Not interrupted:
 * what cannot block (O_NONBLOCK, MSG_DONTWAIT, WNOHANG). CLOCK_MONOTONIC is
 * true; times of files are, too, so that they do not follow `clock_us`.
 * Not reached: stdio (fopen, fread, fwrite, warnx), getaddrinfo, and what
 * else glibc does inside.
 */
#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x4f414843
#define SHORT_LEAST 64
#define VECTORS_MAX 16		/* calls with more are left alone */
#define SOCKETS_MAX 1024	/* that are known to be fresh */
#define DISK_GROWS 1
#define DISK_MAKES 2
#define DISK_SYNCS 4

struct chaos {
	uint32_t magic, generation;
	uint64_t seed;
	uint32_t short_ppm, short_file_ppm, eintr_ppm, disk_error;
	int64_t clock_us, disk_room;
	uint32_t disk_what, unused;
	uint64_t shorts, eintrs, disk_faults, clock_reads, processes;
	char programs[416];
	char folder[512];
};

_Static_assert(offsetof(struct chaos, programs) == 96 &&
    sizeof(struct chaos) == 1024, "the layout is what is written above");

/* The process's state; a library that is preloaded has nobody to hold it. */
static struct {
	struct chaos *chaos;	/* NULL: nothing is to be done, ever */
	char name[64];		/* of the program */
	uint32_t generation;	/* for which is_meant was found, plus 1 */
	bool is_meant;
	bool was_counted;
	uint64_t threads;
	char is_fresh[SOCKETS_MAX];	/* connected, nothing written yet */
} process;

static __thread struct {
	uint64_t state;
	uint32_t generation;	/* for which it was seeded, plus 1 */
} dice;

/* The function that would have been called without us. */
#define NEXT(name)							\
	static __typeof__(name) *next;					\
	if (next == NULL)						\
		next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* --- whether, and the dice ------------------------------------------------*/

static void
reseed(void)
{
	dice.generation = 0;
}

__attribute__((constructor)) static void
prepare(int argc, char *argv[])
{
	const char *path = getenv("CHAOS"), *name = argc > 0 ? argv[0] : "";
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	struct stat file;
	void *map;

	if (fd == -1)
		return;
	if (strrchr(name, '/') != NULL)
		name = strrchr(name, '/') + 1;
	snprintf(process.name, sizeof process.name, "%s", name);
	if (fstat(fd, &file) == 0 &&
	    file.st_size >= (off_t)sizeof(struct chaos)) {
		map = mmap(NULL, sizeof(struct chaos), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
		if (map != MAP_FAILED &&
		    ((struct chaos *)map)->magic == MAGIC) {
			pthread_atfork(NULL, NULL, reseed);
			process.chaos = map;
		}
	}
	close(fd);
}

static bool
has_word(const char *words, size_t size, const char *word)
{
	size_t length = strlen(word);
	const char *end = words + strnlen(words, size);

	while (words < end) {
		const char *blank = memchr(words, ' ', (size_t)(end - words));
		size_t width = (size_t)((blank != NULL ? blank : end) - words);

		if (width == length && memcmp(words, word, length) == 0)
			return true;
		words += width + 1;
	}
	return false;
}

/* The file, where this program is one of those that it names, or NULL. */
static struct chaos *
find_chaos(void)
{
	struct chaos *chaos = process.chaos;
	uint32_t generation;

	if (chaos == NULL)
		return NULL;
	generation = __atomic_load_n(&chaos->generation, __ATOMIC_ACQUIRE) + 1;
	if (generation != __atomic_load_n(&process.generation,
	    __ATOMIC_ACQUIRE)) {
		process.is_meant = has_word(chaos->programs,
		    sizeof chaos->programs, process.name);
		__atomic_store_n(&process.generation, generation,
		    __ATOMIC_RELEASE);
		if (process.is_meant && !process.was_counted) {
			process.was_counted = true;
			__atomic_fetch_add(&chaos->processes, 1,
			    __ATOMIC_RELAXED);
		}
	}
	return process.is_meant ? chaos : NULL;
}

/* splitmix64, of Sebastiano Vigna */
static uint64_t
roll(struct chaos *chaos)
{
	uint64_t z;

	if (dice.generation != process.generation) {
		dice.generation = process.generation;
		dice.state = chaos->seed * 1000003 + (uint64_t)getpid() * 8191 +
		    __atomic_fetch_add(&process.threads, 1, __ATOMIC_RELAXED);
	}
	z = dice.state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static bool
is_hit(struct chaos *chaos, uint32_t ppm)
{
	return ppm > 0 && roll(chaos) % 1000000 < ppm;
}

static void
count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* --- interruptions --------------------------------------------------------*/

static bool
interrupt(struct chaos *chaos)
{
	count(&chaos->eintrs);
	errno = EINTR;
	return true;
}

/* Do the dice say so? It sets errno, and the caller returns -1. */
static bool
interrupts(void)
{
	struct chaos *chaos = find_chaos();

	return chaos != NULL && is_hit(chaos, chaos->eintr_ppm) &&
	    interrupt(chaos);
}

static bool
may_block(int fd)
{
	struct stat file;
	int error = errno, flags = fcntl(fd, F_GETFL);
	bool is_slow = flags != -1 && (flags & O_NONBLOCK) == 0 &&
	    fstat(fd, &file) == 0 &&
	    (S_ISFIFO(file.st_mode) || S_ISSOCK(file.st_mode));

	errno = error;
	return is_slow;
}

/* As interrupts, where the descriptor can be waited for. */
static bool
interrupts_on(int fd)
{
	struct chaos *chaos = find_chaos();

	return chaos != NULL && is_hit(chaos, chaos->eintr_ppm) &&
	    may_block(fd) && interrupt(chaos);
}

/* --- fewer bytes ----------------------------------------------------------*/

enum direction { READS, WRITES };

static bool
is_first_write(int fd)
{
	return fd >= 0 && fd < SOCKETS_MAX && __atomic_exchange_n(
	    &process.is_fresh[fd], 0, __ATOMIC_RELAXED) != 0;
}

/* The chance for this descriptor, 0 for what must not be divided. */
static uint32_t
find_chance(const struct chaos *chaos, int fd, size_t length,
    enum direction direction)
{
	struct stat file;
	int type = 0;
	socklen_t size = sizeof type;

	if (fstat(fd, &file) == -1)
		return 0;
	if (S_ISREG(file.st_mode))
		return chaos->short_file_ppm;
	if (S_ISFIFO(file.st_mode))
		return direction == WRITES && length <= PIPE_BUF ? 0
		    : chaos->short_ppm;
	if (S_ISSOCK(file.st_mode) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type,
	    &size) == 0 && type == SOCK_STREAM)
		return chaos->short_ppm;
	return 0;
}

/* How many of the bytes are to be moved. */
static size_t
shorten(int fd, size_t length, enum direction direction)
{
	struct chaos *chaos = find_chaos();
	int error = errno;
	uint32_t chance;

	if (chaos == NULL || (direction == WRITES && is_first_write(fd)))
		return length;
	if (length < SHORT_LEAST ||
	    (chaos->short_ppm == 0 && chaos->short_file_ppm == 0))
		return length;
	chance = find_chance(chaos, fd, length, direction);
	errno = error;
	if (!is_hit(chaos, chance))
		return length;
	count(&chaos->shorts);
	switch (roll(chaos) % 4) {
	case 0:
		return 1;
	case 1:
		return length - 1;
	default:
		return 1 + roll(chaos) % (length - 1);
	}
}

/* --- a full disk ----------------------------------------------------------*/

static bool
is_below(const struct chaos *chaos, const char *path)
{
	size_t length = strnlen(chaos->folder, sizeof chaos->folder);

	return length > 0 && strncmp(path, chaos->folder, length) == 0 &&
	    (path[length] == '/' || path[length] == '\0');
}

/* Is the open file below the folder whose disk is full? */
static bool
is_in_folder(const struct chaos *chaos, int fd)
{
	char path[PATH_MAX], link[32];
	ssize_t length;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof path - 1);
	if (length <= 0)
		return false;
	path[length] = '\0';
	return is_below(chaos, path);
}

static bool
is_file_below(const struct chaos *chaos, int fd, struct stat *file)
{
	return fstat(fd, file) == 0 && S_ISREG(file->st_mode) &&
	    is_in_folder(chaos, fd);
}

/* As find_chaos, where the disk fails in that way. */
static struct chaos *
find_full_disk(uint32_t what)
{
	struct chaos *chaos = find_chaos();

	return chaos != NULL && chaos->disk_error != 0 &&
	    (chaos->disk_what & what) != 0 ? chaos : NULL;
}

/* Take up to that much of the room that is left; returns how much. */
static int64_t
take_room(struct chaos *chaos, int64_t wanted)
{
	int64_t room = __atomic_load_n(&chaos->disk_room, __ATOMIC_RELAXED);
	int64_t taken;

	do {
		taken = room < 0 ? 0 : room < wanted ? room : wanted;
	} while (!__atomic_compare_exchange_n(&chaos->disk_room, &room,
	    room - taken, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return taken;
}

static int
fail_disk(struct chaos *chaos)
{
	count(&chaos->disk_faults);
	errno = (int)chaos->disk_error;
	return -1;
}

static int64_t
find_place(int fd, const struct stat *file, int64_t offset)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags != -1 && (flags & O_APPEND) != 0)
		return file->st_size;
	return offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR);
}

/*
 * How many of the bytes the disk takes at the offset (-1: where the file is);
 * -1 with errno set for none.
 */
static ssize_t
fit(int fd, size_t length, int64_t offset)
{
	struct chaos *chaos = find_full_disk(DISK_GROWS);
	int error = errno;
	struct stat file;
	int64_t end, grows, taken;

	if (chaos == NULL || length == 0)
		return (ssize_t)length;
	if (!is_file_below(chaos, fd, &file)) {
		errno = error;
		return (ssize_t)length;
	}
	errno = error;
	end = find_place(fd, &file, offset) + (int64_t)length;
	grows = end > file.st_size ? end - file.st_size : 0;
	if (grows > (int64_t)length)
		grows = (int64_t)length;
	taken = take_room(chaos, grows);
	if (taken == grows)
		return (ssize_t)length;
	if ((int64_t)length - grows + taken == 0)
		return fail_disk(chaos);
	count(&chaos->disk_faults);
	return (ssize_t)((int64_t)length - grows + taken);
}

/* Is there no room to let the file grow to that size? Sets errno. */
static bool
denies_size(int fd, int64_t size)
{
	struct chaos *chaos = find_full_disk(DISK_GROWS);
	int error = errno;
	struct stat file;
	int64_t grows, taken;

	if (chaos == NULL)
		return false;
	if (!is_file_below(chaos, fd, &file) || size <= file.st_size) {
		errno = error;
		return false;
	}
	grows = size - file.st_size;
	taken = take_room(chaos, grows);
	if (taken == grows)
		return false;
	__atomic_fetch_add(&chaos->disk_room, taken, __ATOMIC_RELAXED);
	fail_disk(chaos);
	return true;
}

static bool
denies_sync(int fd)
{
	struct chaos *chaos = find_full_disk(DISK_SYNCS);
	int error = errno;
	struct stat file;

	if (chaos != NULL && is_file_below(chaos, fd, &file)) {
		fail_disk(chaos);
		return true;
	}
	errno = error;
	return false;
}

/* The folder that a name is in, without links; false where there is none. */
static bool
find_folder(int folder, const char *name, char *path)
{
	char copy[PATH_MAX], link[PATH_MAX];
	char *slash;

	if (strlen(name) >= sizeof copy)
		return false;
	strcpy(copy, name);
	slash = strrchr(copy, '/');
	if (slash != NULL)
		slash[1] = '\0';
	if (name[0] == '/')
		snprintf(link, sizeof link, "%s", copy);
	else if (folder == AT_FDCWD)
		snprintf(link, sizeof link, "./%.4000s",
		    slash != NULL ? copy : "");
	else
		snprintf(link, sizeof link, "/proc/self/fd/%d/%.4000s", folder,
		    slash != NULL ? copy : "");
	return realpath(link, path) != NULL;
}

/* Would it make something new in the full folder? Sets errno. */
static bool
denies_new(int folder, const char *name)
{
	struct chaos *chaos = find_full_disk(DISK_MAKES);
	char path[PATH_MAX];
	int error = errno;

	if (chaos != NULL &&
	    faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == -1 &&
	    find_folder(folder, name, path) && is_below(chaos, path)) {
		fail_disk(chaos);
		return true;
	}
	errno = error;
	return false;
}

/* What a file takes up that is going to be removed, replaced or cut. */
static int64_t
weigh(int folder, const char *name)
{
	struct chaos *chaos = find_full_disk(DISK_GROWS);
	char path[PATH_MAX];
	struct stat file;
	int error = errno;
	int64_t bytes = 0;

	if (chaos != NULL &&
	    fstatat(folder, name, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(file.st_mode) && file.st_nlink == 1 &&
	    find_folder(folder, name, path) && is_below(chaos, path))
		bytes = file.st_size;
	errno = error;
	return bytes;
}

/* The room is given back where the call has gone well; returns its status. */
static int
give_back(int status, int64_t bytes)
{
	if (status != -1 && bytes > 0)
		__atomic_fetch_add(&process.chaos->disk_room, bytes,
		    __ATOMIC_RELAXED);
	return status;
}

/* --- moving bytes ---------------------------------------------------------*/

ssize_t
read(int fd, void *bytes, size_t length)
{
	NEXT(read);

	if (interrupts_on(fd))
		return -1;
	return next(fd, bytes, shorten(fd, length, READS));
}

ssize_t
pread(int fd, void *bytes, size_t length, off_t offset)
{
	NEXT(pread);

	return next(fd, bytes, shorten(fd, length, READS), offset);
}

ssize_t
write(int fd, const void *bytes, size_t length)
{
	ssize_t fitting;

	NEXT(write);

	if (interrupts_on(fd))
		return -1;
	fitting = fit(fd, shorten(fd, length, WRITES), -1);
	return fitting == -1 ? -1 : next(fd, bytes, (size_t)fitting);
}

ssize_t
pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	ssize_t fitting = fit(fd, shorten(fd, length, WRITES), offset);

	NEXT(pwrite);

	return fitting == -1 ? -1 : next(fd, bytes, (size_t)fitting, offset);
}

static size_t
add_up(const struct iovec *vectors, size_t number)
{
	size_t length = 0;

	for (size_t i = 0; i < number; i++)
		length += vectors[i].iov_len;
	return length;
}

/* Copy so many bytes' worth of the vectors; returns how many vectors. */
static size_t
cut(struct iovec *out, const struct iovec *vectors, size_t length)
{
	size_t number = 0;

	do {
		out[number] = vectors[number];
		if (out[number].iov_len > length)
			out[number].iov_len = length;
		length -= out[number].iov_len;
		number++;
	} while (length > 0);
	return number;
}

ssize_t
readv(int fd, const struct iovec *vectors, int number)
{
	struct iovec fewer[VECTORS_MAX];
	size_t length, wanted;

	NEXT(readv);

	if (interrupts_on(fd))
		return -1;
	if (number <= 0 || number > VECTORS_MAX)
		return next(fd, vectors, number);
	length = add_up(vectors, (size_t)number);
	wanted = shorten(fd, length, READS);
	if (wanted == length)
		return next(fd, vectors, number);
	return next(fd, fewer, (int)cut(fewer, vectors, wanted));
}

ssize_t
writev(int fd, const struct iovec *vectors, int number)
{
	struct iovec fewer[VECTORS_MAX];
	size_t length;
	ssize_t wanted;

	NEXT(writev);

	if (interrupts_on(fd))
		return -1;
	if (number <= 0 || number > VECTORS_MAX)
		return next(fd, vectors, number);
	length = add_up(vectors, (size_t)number);
	wanted = fit(fd, shorten(fd, length, WRITES), -1);
	if (wanted == -1 || (size_t)wanted == length)
		return wanted == -1 ? -1 : next(fd, vectors, number);
	return next(fd, fewer, (int)cut(fewer, vectors, (size_t)wanted));
}

static bool
is_divisible(int flags)
{
	return (flags & (MSG_WAITALL | MSG_TRUNC | MSG_OOB)) == 0;
}

static bool
interrupts_socket(int fd, int flags)
{
	return (flags & MSG_DONTWAIT) == 0 && interrupts_on(fd);
}

ssize_t
recv(int fd, void *bytes, size_t length, int flags)
{
	NEXT(recv);

	if (interrupts_socket(fd, flags))
		return -1;
	if (is_divisible(flags))
		length = shorten(fd, length, READS);
	return next(fd, bytes, length, flags);
}

ssize_t
send(int fd, const void *bytes, size_t length, int flags)
{
	NEXT(send);

	if (interrupts_socket(fd, flags))
		return -1;
	return next(fd, bytes, shorten(fd, length, WRITES), flags);
}

ssize_t
recvfrom(int fd, void *restrict bytes, size_t length, int flags,
    __SOCKADDR_ARG address, socklen_t *restrict size)
{
	NEXT(recvfrom);

	if (interrupts_socket(fd, flags))
		return -1;
	if (is_divisible(flags))
		length = shorten(fd, length, READS);
	return next(fd, bytes, length, flags, address, size);
}

ssize_t
sendto(int fd, const void *bytes, size_t length, int flags,
    __CONST_SOCKADDR_ARG address, socklen_t size)
{
	NEXT(sendto);

	if (interrupts_socket(fd, flags))
		return -1;
	return next(fd, bytes, shorten(fd, length, WRITES), flags, address,
	    size);
}

/* A message that carries descriptors goes whole. */
static bool
may_cut(const struct msghdr *message)
{
	return message->msg_controllen == 0 && message->msg_iovlen > 0 &&
	    message->msg_iovlen <= VECTORS_MAX;
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct iovec fewer[VECTORS_MAX];
	struct msghdr shorter = *message;
	size_t length, wanted;

	NEXT(sendmsg);

	if (interrupts_socket(fd, flags))
		return -1;
	if (!may_cut(message))
		return next(fd, message, flags);
	length = add_up(message->msg_iov, message->msg_iovlen);
	wanted = shorten(fd, length, WRITES);
	if (wanted == length)
		return next(fd, message, flags);
	shorter.msg_iov = fewer;
	shorter.msg_iovlen = cut(fewer, message->msg_iov, wanted);
	return next(fd, &shorter, flags);
}

ssize_t
recvmsg(int fd, struct msghdr *message, int flags)
{
	struct iovec fewer[VECTORS_MAX], *vectors = message->msg_iov;
	size_t number = message->msg_iovlen, length, wanted;
	ssize_t got;

	NEXT(recvmsg);

	if (interrupts_socket(fd, flags))
		return -1;
	if (!may_cut(message) || !is_divisible(flags))
		return next(fd, message, flags);
	length = add_up(vectors, number);
	wanted = shorten(fd, length, READS);
	if (wanted == length)
		return next(fd, message, flags);
	message->msg_iovlen = cut(fewer, vectors, wanted);
	message->msg_iov = fewer;
	got = next(fd, message, flags);
	message->msg_iov = vectors;
	message->msg_iovlen = number;
	return got;
}

/* --- waiting --------------------------------------------------------------*/

int
poll(struct pollfd *fds, nfds_t number, int timeout_ms)
{
	NEXT(poll);

	return interrupts() ? -1 : next(fds, number, timeout_ms);
}

int
ppoll(struct pollfd *fds, nfds_t number, const struct timespec *timeout,
    const sigset_t *mask)
{
	NEXT(ppoll);

	return interrupts() ? -1 : next(fds, number, timeout, mask);
}

int
select(int number, fd_set *restrict reads, fd_set *restrict writes,
    fd_set *restrict others, struct timeval *restrict timeout)
{
	NEXT(select);

	return interrupts() ? -1 : next(number, reads, writes, others,
	    timeout);
}

/* With 0 ms epoll does not look for signals. */
int
epoll_wait(int set, struct epoll_event *events, int most, int timeout_ms)
{
	NEXT(epoll_wait);

	if (timeout_ms != 0 && interrupts())
		return -1;
	return next(set, events, most, timeout_ms);
}

int
epoll_pwait(int set, struct epoll_event *events, int most, int timeout_ms,
    const sigset_t *mask)
{
	NEXT(epoll_pwait);

	if (timeout_ms != 0 && interrupts())
		return -1;
	return next(set, events, most, timeout_ms, mask);
}

int
connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t size)
{
	NEXT(connect);

	if (interrupts_on(fd))
		return -1;
	if (fd >= 0 && fd < SOCKETS_MAX && find_chaos() != NULL)
		__atomic_store_n(&process.is_fresh[fd], 1, __ATOMIC_RELAXED);
	return next(fd, address, size);
}

int
accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict size)
{
	NEXT(accept);

	return interrupts_on(fd) ? -1 : next(fd, address, size);
}

int
accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict size, int flags)
{
	NEXT(accept4);

	return interrupts_on(fd) ? -1 : next(fd, address, size, flags);
}

int
nanosleep(const struct timespec *wanted, struct timespec *left)
{
	NEXT(nanosleep);

	if (!interrupts())
		return next(wanted, left);
	if (left != NULL)
		*left = *wanted;
	return -1;
}

int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted,
    struct timespec *left)
{
	int error = errno;

	NEXT(clock_nanosleep);

	if (!interrupts())
		return next(clock, flags, wanted, left);
	errno = error;
	if (left != NULL && (flags & TIMER_ABSTIME) == 0)
		*left = *wanted;
	return EINTR;
}

pid_t
waitpid(pid_t child, int *status, int options)
{
	NEXT(waitpid);

	if ((options & WNOHANG) == 0 && interrupts())
		return -1;
	return next(child, status, options);
}

int
waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	NEXT(waitid);

	if ((options & WNOHANG) == 0 && interrupts())
		return -1;
	return next(type, id, info, options);
}

int
flock(int fd, int operation)
{
	NEXT(flock);

	if ((operation & (LOCK_NB | LOCK_UN)) == 0 && interrupts())
		return -1;
	return next(fd, operation);
}

/* --- files ----------------------------------------------------------------*/

static bool
interrupts_fifo(int folder, const char *path, int flags)
{
	struct chaos *chaos = find_chaos();
	int error = errno;
	struct stat file;
	bool is_fifo;

	if (chaos == NULL || chaos->eintr_ppm == 0 ||
	    (flags & O_NONBLOCK) != 0)
		return false;
	is_fifo = fstatat(folder, path, &file, 0) == 0 &&
	    S_ISFIFO(file.st_mode);
	errno = error;
	return is_fifo && interrupts();
}

static bool
denies_open(int folder, const char *path, int flags)
{
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		char beside[PATH_MAX];

		snprintf(beside, sizeof beside, "%s/?", path);
		return denies_new(folder, beside);
	}
	if ((flags & O_CREAT) != 0 && denies_new(folder, path))
		return true;
	return interrupts_fifo(folder, path, flags);
}

static bool
takes_mode(int flags)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

int
openat(int folder, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;
	int64_t cut_off;

	NEXT(openat);

	va_start(arguments, flags);
	mode = takes_mode(flags) ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	if (denies_open(folder, path, flags))
		return -1;
	cut_off = (flags & O_TRUNC) != 0 ? weigh(folder, path) : 0;
	return give_back(next(folder, path, flags, mode), cut_off);
}

int
open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;
	int64_t cut_off;

	NEXT(open);

	va_start(arguments, flags);
	mode = takes_mode(flags) ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	if (denies_open(AT_FDCWD, path, flags))
		return -1;
	cut_off = (flags & O_TRUNC) != 0 ? weigh(AT_FDCWD, path) : 0;
	return give_back(next(path, flags, mode), cut_off);
}

int
creat(const char *path, mode_t mode)
{
	return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int
mkdir(const char *path, mode_t mode)
{
	NEXT(mkdir);

	return denies_new(AT_FDCWD, path) ? -1 : next(path, mode);
}

int
mkdirat(int folder, const char *path, mode_t mode)
{
	NEXT(mkdirat);

	return denies_new(folder, path) ? -1 : next(folder, path, mode);
}

int
unlink(const char *path)
{
	int64_t bytes = weigh(AT_FDCWD, path);

	NEXT(unlink);

	return give_back(next(path), bytes);
}

int
unlinkat(int folder, const char *path, int flags)
{
	int64_t bytes = weigh(folder, path);

	NEXT(unlinkat);

	return give_back(next(folder, path, flags), bytes);
}

int
rename(const char *from, const char *to)
{
	int64_t bytes = weigh(AT_FDCWD, to);

	NEXT(rename);

	return give_back(next(from, to), bytes);
}

int
renameat(int old, const char *from, int new, const char *to)
{
	int64_t bytes = weigh(new, to);

	NEXT(renameat);

	return give_back(next(old, from, new, to), bytes);
}

int
ftruncate(int fd, off_t size)
{
	struct chaos *chaos = find_full_disk(DISK_GROWS);
	struct stat file;
	int error = errno;
	int64_t bytes = 0;

	NEXT(ftruncate);

	if (denies_size(fd, size))
		return -1;
	if (chaos != NULL && is_file_below(chaos, fd, &file) &&
	    size < file.st_size)
		bytes = file.st_size - size;
	errno = error;
	return give_back(next(fd, size), bytes);
}

int
posix_fallocate(int fd, off_t offset, off_t length)
{
	int error = errno;

	NEXT(posix_fallocate);

	if (!denies_size(fd, offset + length))
		return next(fd, offset, length);
	int reason = errno;
	errno = error;
	return reason;
}

int
fallocate(int fd, int mode, off_t offset, off_t length)
{
	NEXT(fallocate);

	return mode == 0 && denies_size(fd, offset + length) ? -1
	    : next(fd, mode, offset, length);
}

int
fsync(int fd)
{
	NEXT(fsync);

	return denies_sync(fd) ? -1 : next(fd);
}

int
fdatasync(int fd)
{
	NEXT(fdatasync);

	return denies_sync(fd) ? -1 : next(fd);
}

/* What is told of the room must be what is given. */
static void
tell_room(const struct chaos *chaos, struct statvfs *disk)
{
	int64_t room = __atomic_load_n(&chaos->disk_room, __ATOMIC_RELAXED);
	fsblkcnt_t blocks = room <= 0 ? 0 : (fsblkcnt_t)room / disk->f_frsize;

	if (disk->f_bavail > blocks)
		disk->f_bavail = blocks;
	if (disk->f_bfree > blocks)
		disk->f_bfree = blocks;
}

int
statvfs(const char *restrict path, struct statvfs *restrict disk)
{
	struct chaos *chaos = find_full_disk(DISK_GROWS);
	char whole[PATH_MAX];
	int status;

	NEXT(statvfs);

	status = next(path, disk);
	if (status == 0 && chaos != NULL && realpath(path, whole) != NULL &&
	    is_below(chaos, whole))
		tell_room(chaos, disk);
	return status;
}

int
fstatvfs(int fd, struct statvfs *disk)
{
	struct chaos *chaos = find_full_disk(DISK_GROWS);
	int status;

	NEXT(fstatvfs);

	status = next(fd, disk);
	if (status == 0 && chaos != NULL && is_in_folder(chaos, fd))
		tell_room(chaos, disk);
	return status;
}

/* --- the time of day ------------------------------------------------------*/

static int64_t
find_offset(void)
{
	struct chaos *chaos = find_chaos();

	if (chaos == NULL || chaos->clock_us == 0)
		return 0;
	count(&chaos->clock_reads);
	return chaos->clock_us;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int status;
	int64_t us;

	NEXT(clock_gettime);

	status = next(clock, now);
	if (status == -1 || (clock != CLOCK_REALTIME &&
	    clock != CLOCK_REALTIME_COARSE && clock != CLOCK_TAI))
		return status;
	us = find_offset();
	if (us == 0)
		return status;
	us += (int64_t)now->tv_sec * 1000000 + now->tv_nsec / 1000;
	if (us < 0)
		us = 0;
	now->tv_sec = us / 1000000;
	now->tv_nsec = us % 1000000 * 1000 + now->tv_nsec % 1000;
	return status;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;

	NEXT(gettimeofday);

	if (zone != NULL)
		return next(now, zone);
	clock_gettime(CLOCK_REALTIME, &precise);
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *now)
{
	struct timespec coarse;

	clock_gettime(CLOCK_REALTIME_COARSE, &coarse);
	if (now != NULL)
		*now = coarse.tv_sec;
	return coarse.tv_sec;
}

/* --- the same under the names for large files -----------------------------*/

#define SAME_AS(name) __attribute__((alias(#name)))

int open64(const char *path, int flags, ...) SAME_AS(open);
int openat64(int folder, const char *path, int flags, ...) SAME_AS(openat);
int creat64(const char *path, mode_t mode) SAME_AS(creat);
ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset)
    SAME_AS(pread);
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
    SAME_AS(pwrite);
int ftruncate64(int fd, off64_t size) SAME_AS(ftruncate);
int statvfs64(const char *path, struct statvfs64 *disk)
    __attribute__((alias("statvfs")));
int fstatvfs64(int fd, struct statvfs64 *disk)
    __attribute__((alias("fstatvfs")));
int fallocate64(int fd, int mode, off64_t offset, off64_t length)
    SAME_AS(fallocate);
int posix_fallocate64(int fd, off64_t offset, off64_t length)
    SAME_AS(posix_fallocate);
