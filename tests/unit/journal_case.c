#include "journal_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"

#define BLOCK_BYTES 65536

static int64_t now_us;	/* of the journal's clock */

static int64_t
read_clock(void)
{
	return now_us;
}

void
journal_case_set_clock(const char *time)
{
	assert_int_equal(clock_parse(time, &now_us), 0);
}

static void
note_recalled(struct record *record, void *arg)
{
	struct journal_case *it = arg;
	int64_t seq = 0;

	record_integer(record, RECORD_SEQ, &seq);
	buffer_printf(&it->recalled, "%" PRId64 " ", seq);
}

int
journal_case_setup(void **state)
{
	struct journal_case *it = xcalloc(1, sizeof *it);

	strcpy(it->folder, "/tmp/test-journal-XXXXXX");
	assert_non_null(mkdtemp(it->folder));
	strcat(it->folder, "/journal");
	it->settings = (struct journal_settings){
		.folder = it->folder,
		.bytes_max = 1 << 20,
		.age_max_s = 30 * 86400,
		.recall_s = 3600,
		.recall = note_recalled,
		.arg = it,
		.now_us = read_clock,
	};
	journal_case_set_clock("2026-11-22T10:00:00Z");
	*state = it;
	return 0;
}

static void
remove_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) == -1)
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

int
journal_case_teardown(void **state)
{
	struct journal_case *it = *state;

	journal_case_close(it);
	remove_all(it->folder);
	*strrchr(it->folder, '/') = '\0';
	rmdir(it->folder);
	buffer_free(&it->reports);
	buffer_free(&it->recalled);
	buffer_free(&it->text);
	buffer_free(&it->seqs);
	buffer_free(&it->names);
	buffer_free(&it->content);
	free(it);
	return 0;
}

/* --- what is said on standard error ---------------------------------------*/

struct capture {
	FILE *file;
	int before;
};

static struct capture
begin_capture(void)
{
	struct capture capture = { tmpfile(), dup(STDERR_FILENO) };

	dup2(fileno(capture.file), STDERR_FILENO);
	return capture;
}

static void
end_capture(struct journal_case *it, struct capture *capture)
{
	char block[4096];
	size_t count;

	dup2(capture->before, STDERR_FILENO);
	close(capture->before);
	rewind(capture->file);
	while ((count = fread(block, 1, sizeof block, capture->file)) > 0)
		buffer_append(&it->reports, block, count);
	buffer_string(&it->reports);
	fclose(capture->file);
}

/* --- the journal ----------------------------------------------------------*/

void
journal_case_open(struct journal_case *it)
{
	struct capture capture = begin_capture();

	journal_case_close(it);
	it->reports.length = 0;
	it->recalled.length = 0;
	it->journal = journal_open(&it->settings);
	end_capture(it, &capture);
	buffer_string(&it->recalled);
}

void
journal_case_close(struct journal_case *it)
{
	journal_free(it->journal);
	it->journal = NULL;
}

int
journal_case_open_elsewhere(struct journal_case *it)
{
	struct capture capture = begin_capture();
	pid_t child = fork();
	int status;

	if (child == 0) {
		journal_open(&it->settings);
		_exit(0);
	}
	waitpid(child, &status, 0);
	it->reports.length = 0;
	end_capture(it, &capture);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void
journal_case_line(struct buffer *out, int64_t seq, size_t length)
{
	size_t start = out->length;
	char received[CLOCK_TEXT_BYTES];

	clock_format(now_us, received);
	buffer_printf(out, "{\"type\":\"message\",\"seq\":%" PRId64
	    ",\"received\":\"%s\",\"text\":\"", seq, received);
	while (out->length - start + 3 < length)
		buffer_append(out, "x", 1);
	buffer_append_string(out, "\"}\n");
}

int
journal_case_commit(struct journal_case *it, int64_t first, int64_t last,
    size_t length)
{
	struct buffer line = { 0 };
	struct capture capture;
	int result, error;

	for (int64_t seq = first; seq <= last; seq++) {
		line.length = 0;
		journal_case_line(&line, seq, length);
		journal_append(it->journal, seq, line.data, line.length);
	}
	buffer_free(&line);
	capture = begin_capture();
	result = journal_commit(it->journal);
	error = errno;
	end_capture(it, &capture);
	errno = error;
	return result;
}

void
journal_case_seek(struct journal_case *it, int64_t after)
{
	struct capture capture = begin_capture();

	journal_seek(it->journal, after);
	end_capture(it, &capture);
}

const char *
journal_case_read(struct journal_case *it, size_t bytes_max)
{
	struct capture capture = begin_capture();

	it->text.length = 0;
	while (journal_read(it->journal, &it->text, bytes_max))
		continue;
	end_capture(it, &capture);
	assert_false(journal_has_more(it->journal));
	return buffer_string(&it->text);
}

void
journal_case_list_seqs(const char *lines, size_t length, struct buffer *out)
{
	struct record *record = record_new("test", (const char *const[]){
	    NULL });
	const char *end = lines + length;

	while (lines < end) {
		const char *feed = memchr(lines, '\n', (size_t)(end - lines));
		int64_t seq;

		assert_non_null(feed);
		if (record_parse(record, lines, (size_t)(feed - lines)) == 0 &&
		    record_integer(record, RECORD_SEQ, &seq))
			buffer_printf(out, "%" PRId64 " ", seq);
		else
			buffer_append_string(out, "? ");
		lines = feed + 1;
	}
	record_free(record);
	buffer_string(out);
}

const char *
journal_case_read_seqs(struct journal_case *it)
{
	journal_case_read(it, BLOCK_BYTES);
	it->seqs.length = 0;
	journal_case_list_seqs(it->text.data, it->text.length, &it->seqs);
	return buffer_string(&it->seqs);
}

/* --- its files ------------------------------------------------------------*/

static int
open_named(const struct journal_case *it, const char *name, int flags)
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s", it->folder, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

void
journal_case_put(struct journal_case *it, const char *name, const char *bytes,
    size_t length)
{
	int fd;

	mkdir(it->folder, 0700);
	fd = open_named(it, name, O_WRONLY | O_CREAT | O_TRUNC);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

const char *
journal_case_get(struct journal_case *it, const char *name, size_t *length)
{
	int fd = open_named(it, name, O_RDONLY);
	ssize_t count;

	it->content.length = 0;
	buffer_string(&it->content);
	*length = 0;
	if (fd == -1)
		return NULL;
	while ((count = read(fd, buffer_reserve(&it->content, BLOCK_BYTES),
	    BLOCK_BYTES)) > 0)
		it->content.length += (size_t)count;
	close(fd);
	*length = it->content.length;
	return buffer_string(&it->content);
}

static int
compare_names(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

static int
is_listed(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0;
}

const char *
journal_case_list(struct journal_case *it)
{
	struct dirent **entries;
	int count = scandir(it->folder, &entries, is_listed, compare_names);

	it->names.length = 0;
	for (int i = 0; i < count; i++) {
		buffer_printf(&it->names, "%s ", entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return buffer_string(&it->names);
}

int64_t
journal_case_bytes(struct journal_case *it)
{
	DIR *dir = opendir(it->folder);
	struct dirent *entry;
	struct stat status;
	int64_t bytes = 0;

	while ((entry = readdir(dir)) != NULL)
		if (strstr(entry->d_name, ".ndjson") != NULL &&
		    fstatat(dirfd(dir), entry->d_name, &status, 0) == 0)
			bytes += status.st_size;
	closedir(dir);
	return bytes;
}
