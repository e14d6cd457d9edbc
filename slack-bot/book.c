#include "book.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "draft.h"
#include "memory.h"

struct book {
	const char *path;
	struct subscriptions table;
	int64_t seq;		/* of the record at hand, or 0 */
	struct buffer changes;	/* of it, but for the closing bracket */
	struct buffer answer;
	size_t mutes;		/* lines in the table, ended ones too */
	bool is_dirty;

	/* for book_commit */
	struct buffer prepared;
	bool is_told;		/* that it can't be written */
};

/* --- opening ----------------------------------------------------------------*/

/* A copy beside it: what is not understood shall not be lost. */
static int
keep_damaged(const char *path)
{
	struct buffer beside = { 0 };
	struct draft *draft;
	char bytes[65536];
	FILE *file = fopen(path, "re");
	size_t count;
	int status;

	if (file == NULL)
		return -1;
	buffer_printf(&beside, "%s.bad", path);
	draft = draft_new(buffer_string(&beside));
	while ((count = fread(bytes, 1, sizeof bytes, file)) > 0)
		draft_write(draft, bytes, count);
	fclose(file);
	status = draft_finish(draft, true);
	if (status == 0)
		warnx("%s: what is damaged is left out; it is kept as it was"
		    " in %s", path, buffer_string(&beside));
	buffer_free(&beside);
	return status;
}

static void
count_mutes(struct book *book)
{
	book->mutes = 0;
	for (size_t i = 0; i < book->table.count; i++)
		book->mutes += book->table.lines[i]->kind ==
		    SUBSCRIPTION_MUTE;
}

static int
read_file(struct book *book)
{
	size_t bad;

	if (!draft_may_replace(book->path) ||
	    subscriptions_read(&book->table, book->path, &bad) == -1 ||
	    (bad > 0 && keep_damaged(book->path) == -1))
		return -1;
	book->is_dirty = bad > 0;
	count_mutes(book);
	return 0;
}

struct book *
book_new(const char *path)
{
	struct book *book = xcalloc(1, sizeof *book);
	int error;

	book->path = path;
	if (path == NULL || read_file(book) == 0)
		return book;
	error = errno;
	warn("%s", path);
	book_free(book);
	errno = error;
	return NULL;
}

void
book_free(struct book *book)
{
	if (book == NULL)
		return;
	subscriptions_free(&book->table);
	buffer_free(&book->changes);
	buffer_free(&book->answer);
	buffer_free(&book->prepared);
	free(book);
}

/* --- looking ----------------------------------------------------------------*/

void
book_begin(struct book *book, int64_t seq)
{
	book->seq = seq;
	book->changes.length = 0;
}

/* A record without a seq is behind all that stands. */
static int64_t
find_from(const struct book *book)
{
	return book->seq != 0 ? book->seq
	    : subscriptions_next_from(&book->table);
}

const struct subscription *
book_next(struct book *book, size_t *at, enum subscription_kind kind,
    const char *user)
{
	while (*at < book->table.count) {
		const struct subscription *line = book->table.lines[(*at)++];

		if (line->kind == kind &&
		    (user == NULL || strcmp(line->user, user) == 0) &&
		    subscription_in_force(line, book->seq))
			return line;
	}
	return NULL;
}

const struct subscription *
book_find(struct book *book, enum subscription_kind kind, const char *user,
    const char *term)
{
	const struct subscription *line;
	size_t at = 0;

	while ((line = book_next(book, &at, kind, user)) != NULL)
		if (term == NULL || strcmp(line->term, term) == 0)
			break;
	return line;
}

size_t
book_count(struct book *book, enum subscription_kind kind, const char *user)
{
	size_t count = 0, at = 0;

	while (book_next(book, &at, kind, user) != NULL)
		count++;
	return count;
}

bool
book_has_mute_until(const struct book *book, int64_t time_s)
{
	for (size_t i = 0; book->mutes > 0 && i < book->table.count; i++) {
		const struct subscription *line = book->table.lines[i];

		if (line->kind == SUBSCRIPTION_MUTE && line->until_s != 0 &&
		    line->until_s <= time_s &&
		    subscription_in_force(line, book->seq))
			return true;
	}
	return false;
}

/* --- changing ---------------------------------------------------------------*/

/* A change that was noted is not noted again: a mute ends but once. */
static void
note_change(struct book *book, const struct subscription *line)
{
	struct buffer text = { 0 }, json = { 0 };

	subscription_print(line, &text);
	buffer_append_json(&json, text.data, text.length);
	if (memmem(buffer_string(&book->changes), book->changes.length,
	    json.data, json.length) == NULL) {
		buffer_append(&book->changes,
		    book->changes.length == 0 ? "[" : ",", 1);
		buffer_append(&book->changes, json.data, json.length);
	}
	buffer_free(&text);
	buffer_free(&json);
}

/*
 * Given a record once more, it is the same line, and nothing changes. Whoever
 * asks has seen to it that the line can stand in a file.
 */
static void
take(struct book *book, const struct subscription *line)
{
	struct subscription *copy = subscription_copy(line);

	if (copy == NULL)
		errx(EX_SOFTWARE, "a line for the subscriptions is none");
	if (line->kind != SUBSCRIPTION_JOB)
		note_change(book, line);
	if (subscriptions_take(&book->table, copy) != NULL)
		book->is_dirty = true;
	if (book->seq > book->table.seq)
		book->table.seq = book->seq;
	if (line->kind == SUBSCRIPTION_MUTE)
		count_mutes(book);
}

void
book_add(struct book *book, struct subscription line)
{
	line.from = find_from(book);
	line.to = 0;
	take(book, &line);
}

void
book_end(struct book *book, const struct subscription *line)
{
	struct subscription ended = *line;

	ended.to = find_from(book);
	take(book, &ended);
}

void
book_remove(struct book *book, const struct subscription *line)
{
	subscriptions_remove(&book->table, line);
	book->is_dirty = true;
}

const struct buffer *
book_changes(struct book *book)
{
	struct buffer *answer = &book->answer;

	if (book->changes.length == 0)
		return NULL;
	answer->length = 0;
	buffer_append(answer, book->changes.data, book->changes.length);
	buffer_append(answer, "]", 1);
	return answer;
}

void
book_save(struct book *book)
{
	book->is_dirty = true;
}

bool
book_prepare(struct book *book)
{
	if (!book->is_dirty || book->path == NULL)
		return false;
	subscriptions_tidy(&book->table);
	count_mutes(book);
	book->prepared.length = 0;
	subscriptions_print(&book->table, &book->prepared);
	book->is_dirty = false;
	return true;
}

int
book_commit(struct book *book)
{
	struct draft *draft = draft_new(book->path);

	draft_write(draft, book->prepared.data, book->prepared.length);
	if (draft_finish(draft, true) == 0) {
		if (book->is_told)
			warnx("%s: can be written again", book->path);
		book->is_told = false;
		return 0;
	}
	if (!book->is_told)
		warn("%s: answers wait", book->path);
	book->is_told = true;
	return -1;
}
