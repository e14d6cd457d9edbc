#include "running.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define LINE_BYTES_MAX 512
#define WORDS_MAX 16
#define SUFFIX ".status"
#define READER "slack-reader"

/* The words of a line, which it is cut into. */
struct words {
	char line[LINE_BYTES_MAX];
	const char *at[WORDS_MAX];
	size_t count;
};

static void
cut_words(struct words *words)
{
	char *rest = words->line, *word;

	words->count = 0;
	while (words->count < WORDS_MAX &&
	    (word = strtok_r(rest, " \t\n", &rest)) != NULL)
		words->at[words->count++] = word;
}

/* The first line of a small file. */
static bool
read_words(int folder, const char *name, struct words *words)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	    O_NOFOLLOW);
	ssize_t count;

	if (fd == -1)
		return false;
	count = read(fd, words->line, sizeof words->line - 1);
	close(fd);
	if (count <= 0)
		return false;
	words->line[count] = '\0';
	words->line[strcspn(words->line, "\n")] = '\0';
	cut_words(words);
	return true;
}

/* A number from 0 on, or -1. */
static int64_t
read_number(const char *word)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(word, &end, 10);
	return errno == 0 && end != word && *end == '\0' && number >= 0
	    ? number : -1;
}

/* One that has ended may still have a number, until it is waited for. */
static bool
is_alive(int64_t pid)
{
	struct pollfd end = { .events = POLLIN };
	bool has_ended;

	if (pid <= 0 || pid > INT_MAX)
		return false;
	end.fd = pidfd_open((pid_t)pid, 0);
	if (end.fd == -1)
		return errno != ESRCH && errno != EINVAL;
	has_ended = poll(&end, 1, 0) == 1;
	close(end.fd);
	return !has_ended;
}

static bool
is_name(const char *word)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t length = strlen(word);

	return length < RUNNING_WORD_BYTES && strspn(word, letters) == length;
}

/* name, process, since when, restarts, lines that wait: keep(1). */
static void
take_stage(struct running *running, const struct words *words)
{
	struct running_stage *stage = &running->stages[running->stage_count];
	int64_t restarts, waiting;

	if (words->count < 5 || !is_name(words->at[0]))
		return;
	restarts = read_number(words->at[3]);
	waiting = read_number(words->at[4]);
	if (restarts == -1 || waiting == -1)
		return;
	*stage = (struct running_stage){
		.is_up = is_alive(read_number(words->at[1])),
		.restarts = restarts, .waiting = waiting,
	};
	strcpy(stage->name, words->at[0]);
	running->stage_count++;
}

/* What stands behind the name and `=` in one of the words, or "". */
static const char *
find_word(const struct words *words, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < words->count; i++)
		if (strncmp(words->at[i], name, length) == 0 &&
		    words->at[i][length] == '=')
			return words->at[i] + length + 1;
	return "";
}

static int64_t
find_number(const struct words *words, const char *name)
{
	int64_t number = read_number(find_word(words, name));

	return number > 0 ? number : 0;
}

static void
take_reader(struct running_reader *reader, const struct words *words)
{
	const char *slack = find_word(words, "slack");

	if (*slack == '\0')
		return;
	reader->is_known = true;
	reader->is_up = is_alive(find_number(words, "pid"));
	snprintf(reader->slack, sizeof reader->slack, "%s", slack);
	snprintf(reader->since, sizeof reader->since, "%s",
	    find_word(words, "since"));
	reader->connections = find_number(words, "connections");
	reader->seq = find_number(words, "seq");
	reader->is_journal_well = strcmp(find_word(words, "journal"),
	    "ok") == 0;
}

static void
read_file(struct running *running, int folder, const char *file)
{
	size_t length = strlen(file);
	struct words words;

	if (length <= strlen(SUFFIX) ||
	    strcmp(file + length - strlen(SUFFIX), SUFFIX) != 0 ||
	    !read_words(folder, file, &words))
		return;
	if (strcmp(file, READER SUFFIX) == 0)
		take_reader(&running->reader, &words);
	else if (running->stage_count < RUNNING_STAGES_MAX)
		take_stage(running, &words);
}

static int
compare_stages(const void *left, const void *right)
{
	const struct running_stage *a = left, *b = right;

	return strcmp(a->name, b->name);
}

void
running_read(struct running *running)
{
	DIR *folder = opendir(running->folder);
	struct dirent *entry;

	running->stage_count = 0;
	running->reader = (struct running_reader){ 0 };
	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL)
		read_file(running, dirfd(folder), entry->d_name);
	closedir(folder);
	qsort(running->stages, running->stage_count, sizeof *running->stages,
	    compare_stages);
}
