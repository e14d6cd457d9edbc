/*
 * A journal that a crash has left is sound again, and has what was promised.
 * modules: slack-reader/journal.c slack-reader/journal_folder.c slack-reader/journal_scan.c slack-reader/journal_recovery.c slack-reader/journal_cursor.c tests/unit/journal_case.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../slack-reader/journal_recovery.h"
#include "journal_case.h"
#include "memory.h"

#define DAY "2026-11-22.ndjson"
#define MIB (1024 * 1024)

static void
assert_content(struct journal_case *it, const char *name, const char *bytes,
    size_t length)
{
	size_t found;
	const char *content = journal_case_get(it, name, &found);

	assert_non_null(content);
	assert_int_equal(found, length);
	assert_memory_equal(content, bytes, length);
}

static void
remove_torn(struct journal_case *it)
{
	char path[120];

	snprintf(path, sizeof path, "%s/torn", it->folder);
	unlink(path);
}

/* The journal works: it takes a record and gives all. */
static void
assert_goes_on(struct journal_case *it, int64_t last)
{
	struct buffer expected = { 0 };

	assert_int_equal(journal_last_seq(it->journal), last);
	journal_case_seek(it, 0);
	assert_int_equal(journal_case_commit(it, last + 1, last + 1, 100), 0);
	for (int64_t seq = 1; seq <= last + 1; seq++)
		buffer_printf(&expected, "%d ", (int)seq);
	assert_string_equal(journal_case_read_seqs(it),
	    buffer_string(&expected));
	buffer_free(&expected);
}

/* Four lines; what is left when it is cut anywhere in the last two. */
static void
cut_everywhere(struct journal_case *it, size_t zeroes)
{
	struct buffer lines = { 0 };
	size_t ends[5] = { 0 };

	for (int i = 1; i <= 4; i++) {
		journal_case_line(&lines, i, 120);
		ends[i] = lines.length;
	}
	for (size_t cut = ends[2]; cut <= ends[4]; cut++) {
		struct buffer torn = { 0 };
		int last = cut == ends[4] ? 4 : cut >= ends[3] ? 3 : 2;

		buffer_append(&torn, lines.data, cut);
		memset(buffer_reserve(&torn, zeroes + 1), 0, zeroes + 1);
		torn.length += zeroes;
		journal_case_close(it);
		journal_case_put(it, "torn", "", 0);
		journal_case_put(it, DAY, torn.data, torn.length);
		journal_case_open(it);
		assert_content(it, DAY, lines.data, ends[last]);

		bool is_torn = torn.length > ends[last];
		if (is_torn)
			buffer_append(&torn, "\n", 1);
		assert_content(it, "torn", torn.data + ends[last],
		    torn.length - ends[last]);
		assert_int_equal(is_torn, strstr(it->reports.data,
		    "damaged bytes at offset") != NULL);
		assert_goes_on(it, last);
		buffer_free(&torn);
	}
	buffer_free(&lines);
}

static void
is_sound_after_a_cut_at_any_byte(void **state)
{
	cut_everywhere(*state, 0);
}

static void
is_sound_after_a_cut_that_left_NUL_bytes(void **state)
{
	cut_everywhere(*state, 37);
}

static void
sets_damaged_last_lines_aside(void **state)
{
	static const char *const tails[] = {
		"{\"type\":\"message\",\"text\":\"no seq\"}\n",
		"{\"seq\":3,\"text\":\"\xff\xfe\"}\n",
		"{\"seq\":\"3\"}\n{\"seq\":0}\n",
		"\n\n\n",
		"{\"seq\":3\n}",
		"{\"seq\":3}",	/* whole, but who knows what followed */
	};
	struct journal_case *it = *state;
	struct buffer lines = { 0 };

	journal_case_line(&lines, 1, 100);
	journal_case_line(&lines, 2, 100);
	size_t sound = lines.length;
	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		lines.length = sound;
		buffer_append_string(&lines, tails[i]);
		journal_case_close(it);
		journal_case_put(it, DAY, lines.data, lines.length);
		journal_case_put(it, "torn", "", 0);
		journal_case_open(it);
		if (lines.data[lines.length - 1] != '\n')
			buffer_append(&lines, "\n", 1);
		assert_content(it, DAY, lines.data, sound);
		assert_content(it, "torn", lines.data + sound,
		    lines.length - sound);
		assert_goes_on(it, 2);
	}
	buffer_free(&lines);
}

static void
keeps_the_torn_ends_of_several_crashes(void **state)
{
	struct journal_case *it = *state;
	struct stat status;
	char path[120];

	journal_case_put(it, DAY, "one", 3);
	journal_case_open(it);
	journal_case_close(it);
	journal_case_put(it, DAY, "two\nthree", 9);
	journal_case_open(it);
	assert_content(it, "torn", "one\ntwo\nthree\n", 14);
	assert_content(it, DAY, "", 0);
	snprintf(path, sizeof path, "%s/torn", it->folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_goes_on(it, 0);
}

/* What was torn before gives way, a huge tail is kept by its head. */
static void
bounds_what_it_sets_aside(void **state)
{
	struct journal_case *it = *state;
	size_t length = 20 * MIB, found;
	char *bytes = xcalloc(1, length);
	const char *torn;

	journal_case_put(it, DAY, "before", 6);
	journal_case_open(it);
	journal_case_close(it);
	bytes[0] = 'a';
	journal_case_put(it, DAY, bytes, 10 * MIB);
	journal_case_open(it);
	journal_case_close(it);
	torn = journal_case_get(it, "torn", &found);
	assert_int_equal(found, 7 + 10 * MIB + 1);
	assert_memory_equal(torn, "before\na", 8);

	bytes[0] = 'b';
	journal_case_put(it, DAY, bytes, 10 * MIB);
	journal_case_open(it);
	journal_case_close(it);
	torn = journal_case_get(it, "torn", &found);
	assert_int_equal(found, JOURNAL_TORN_BYTES);
	assert_int_equal(torn[found - 10 * MIB - 1], 'b');

	bytes[0] = 'c';
	journal_case_put(it, DAY, bytes, length);
	journal_case_open(it);
	torn = journal_case_get(it, "torn", &found);
	assert_int_equal(found, JOURNAL_TORN_BYTES);
	assert_int_equal(torn[0], 'c');
	assert_non_null(strstr(it->reports.data, "their first 16 MiB"));
	assert_content(it, DAY, "", 0);
	free(bytes);
}

/* Somebody put a recording there: it is no crash that did this. */
static void
leaves_a_file_full_of_other_lines_alone(void **state)
{
	struct journal_case *it = *state;
	struct buffer lines = { 0 };

	while (lines.length < 17 * MIB) {
		buffer_append_string(&lines, "{\"text\":\"");
		memset(buffer_reserve(&lines, 1000), 'x', 1000);
		lines.length += 1000;
		buffer_append_string(&lines, "\"}\n");
	}
	size_t whole = lines.length;
	buffer_append_string(&lines, "{\"te");
	journal_case_put(it, DAY, lines.data, lines.length);
	journal_case_open(it);
	assert_content(it, "torn", "{\"te\n", 5);
	assert_content(it, DAY, lines.data, whole);
	assert_int_equal(journal_last_seq(it->journal), 0);
	buffer_free(&lines);
}

static void
finds_a_last_record_of_full_length(void **state)
{
	struct journal_case *it = *state;
	struct buffer lines = { 0 };

	journal_case_line(&lines, 1, 100);
	journal_case_line(&lines, 2, RECORD_BYTES_MAX);
	size_t sound = lines.length;
	memset(buffer_reserve(&lines, 100000), 0, 100000);
	lines.length += 100000;
	journal_case_put(it, DAY, lines.data, lines.length);
	it->settings.bytes_max = 64 * MIB;
	journal_case_open(it);
	assert_content(it, DAY, lines.data, sound);
	assert_goes_on(it, 2);
	buffer_free(&lines);
}

static void
leaves_damage_in_the_middle_where_it_is(void **state)
{
	struct journal_case *it = *state;
	struct buffer lines = { 0 }, out = { 0 };

	journal_case_line(&lines, 7, 100);
	buffer_append_string(&lines, "no record\n");
	buffer_append(&lines, "\0\0\0\0\n", 5);
	journal_case_line(&lines, 9, 100);
	journal_case_line(&lines, 8, 100);
	journal_case_put(it, DAY, lines.data, lines.length);
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 9);
	assert_string_equal(it->recalled.data, "7 9 8 ");
	assert_non_null(strstr(it->reports.data, "2 damaged lines"));
	assert_string_equal(journal_case_list(it), DAY " ");

	journal_case_seek(it, 0);
	while (journal_read(it->journal, &out, 20))
		continue;
	assert_int_equal(out.length, lines.length);
	assert_memory_equal(out.data, lines.data, lines.length);
	buffer_free(&out);
	buffer_free(&lines);
}

static void
finds_the_last_seq_behind_files_without_any(void **state)
{
	struct journal_case *it = *state;
	struct buffer lines = { 0 };

	journal_case_line(&lines, 41, 100);
	journal_case_line(&lines, 42, 100);
	journal_case_put(it, "2026-11-20.ndjson", lines.data, lines.length);
	journal_case_put(it, "2026-11-21.ndjson", "", 0);
	journal_case_put(it, "2026-11-22.ndjson", "", 0);
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 42);

	/* It is kept, however old, until another file tells a seq. */
	journal_case_set_clock("2027-06-01T00:00:00Z");
	journal_case_seek(it, INT64_MAX);
	journal_expire(it->journal);
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 42);
	journal_case_seek(it, INT64_MAX);
	assert_int_equal(journal_case_commit(it, 43, 43, 100), 0);
	assert_string_equal(journal_case_list(it), "2027-06-01.ndjson ");
	buffer_free(&lines);
}

static void
recalls_the_last_hour_across_files(void **state)
{
	struct journal_case *it = *state;

	journal_case_set_clock("2026-11-20T23:59:00Z");
	journal_case_open(it);
	assert_int_equal(journal_case_commit(it, 1, 2, 100), 0);
	journal_case_set_clock("2026-11-21T23:50:00Z");
	assert_int_equal(journal_case_commit(it, 3, 4, 100), 0);
	journal_case_set_clock("2026-11-22T00:10:00Z");
	assert_int_equal(journal_case_commit(it, 5, 6, 100), 0);
	journal_case_set_clock("2026-11-29T10:10:00Z");
	journal_case_open(it);
	assert_string_equal(it->recalled.data, "3 4 5 6 ");
	it->settings.recall_s = 86400 + 3600;
	journal_case_open(it);
	assert_string_equal(it->recalled.data, "1 2 3 4 5 6 ");
	it->settings.recall = NULL;
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 6);
}

/* --- any damage -----------------------------------------------------------*/

static unsigned int
next_random(unsigned int *state, unsigned int below)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % below;
}

/* Cut it, fill a stretch with zeroes, or change single bytes. */
static void
damage(struct buffer *bytes, unsigned int *random)
{
	unsigned int length = (unsigned int)bytes->length;
	unsigned int at = next_random(random, length);

	switch (next_random(random, 3)) {
	case 0:
		bytes->length = at;
		break;
	case 1:
		memset(bytes->data + at, 0, next_random(random, length - at));
		break;
	default:
		bytes->data[at] ^= (char)(1 << next_random(random, 8));
		break;
	}
}

/* Whatever happened: no byte is lost, and the next start finds it sound. */
static void
assert_repairs(struct journal_case *it, const struct buffer *bytes)
{
	struct buffer left = { 0 };
	size_t length, torn;
	const char *content;

	journal_case_put(it, DAY, bytes->data, bytes->length);
	remove_torn(it);
	journal_case_open(it);
	int64_t last = journal_last_seq(it->journal);

	content = journal_case_get(it, DAY, &length);
	buffer_append(&left, content, length);
	content = journal_case_get(it, "torn", &torn);
	buffer_append(&left, content, torn);
	if (left.length > bytes->length)
		left.length--;		/* the LF behind what was torn */
	assert_int_equal(left.length, bytes->length);
	if (left.length > 0)
		assert_memory_equal(left.data, bytes->data, left.length);
	buffer_free(&left);

	journal_case_open(it);
	assert_null(strstr(it->reports.data, "set aside"));
	assert_int_equal(journal_last_seq(it->journal), last);
	journal_case_seek(it, INT64_MAX);
	assert_int_equal(journal_case_commit(it, last + 1, last + 1, 90), 0);
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), last + 1);
	journal_case_close(it);
}

static void
loses_nothing_by_any_damage(void **state)
{
	struct journal_case *it = *state;
	struct buffer bytes = { 0 };
	unsigned int random = 7;

	for (int round = 0; round < 300; round++) {
		bytes.length = 0;
		for (int64_t seq = 1; seq <= 9; seq++)
			journal_case_line(&bytes, seq, 90 + next_random(&random,
			    round % 50 == 0 ? 40000 : 200));
		do
			damage(&bytes, &random);
		while (bytes.length > 0 && next_random(&random, 2) == 0);
		assert_repairs(it, &bytes);
	}
	buffer_free(&bytes);
}

/* --- kill -9 --------------------------------------------------------------*/

/* Commit groups for ever, and tell the last seq of each. */
static void
commit_for_ever(struct journal_case *it, int out)
{
	int64_t seq;

	it->journal = journal_open(&it->settings);
	seq = journal_last_seq(it->journal);
	journal_seek(it->journal, INT64_MAX);
	for (int64_t group = 1;; group = group % 7 + 1) {
		seq += group;
		if (journal_case_commit(it, seq - group + 1, seq,
		    (size_t)(60 + seq * 37 % 3000)) == -1 ||
		    write(out, &seq, sizeof seq) != sizeof seq)
			_exit(1);
		journal_read(it->journal, &it->reports, 100000);
		it->reports.length = 0;
	}
}

/* Kill it some time after it has told so many; returns the last told. */
static int64_t
run_and_kill(struct journal_case *it, int told, unsigned int later_us)
{
	int ends[2];
	int64_t seq = 0, last = 0;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		commit_for_ever(it, ends[1]);
	}
	close(ends[1]);
	for (int i = 0; i < told; i++)
		assert_int_equal(read(ends[0], &last, sizeof last), sizeof last);
	usleep(later_us);	/* not to wait for anything: to vary the moment */
	kill(child, SIGKILL);
	while (read(ends[0], &seq, sizeof seq) == sizeof seq)
		last = seq;
	close(ends[0]);
	waitpid(child, NULL, 0);
	return last;
}

static void
has_all_that_was_told_before_a_kill(void **state)
{
	struct journal_case *it = *state;
	struct buffer expected = { 0 };
	int64_t known = 0;

	it->settings.bytes_max = 1 << 30;	/* nothing is removed */
	for (unsigned int round = 0; round < 20; round++) {
		int64_t told = run_and_kill(it, 3, round * 397 % 3000);

		journal_case_open(it);
		int64_t last = journal_last_seq(it->journal);
		assert_true(last >= told);
		for (; known < last; known++)
			buffer_printf(&expected, "%d ", (int)known + 1);
		journal_case_seek(it, 0);
		assert_string_equal(journal_case_read_seqs(it),
		    buffer_string(&expected));
		journal_case_close(it);
	}
	buffer_free(&expected);
}

int
main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, journal_case_setup, \
	journal_case_teardown)
	static const struct CMUnitTest tests[] = {
		CASE(is_sound_after_a_cut_at_any_byte),
		CASE(is_sound_after_a_cut_that_left_NUL_bytes),
		CASE(sets_damaged_last_lines_aside),
		CASE(keeps_the_torn_ends_of_several_crashes),
		CASE(bounds_what_it_sets_aside),
		CASE(leaves_a_file_full_of_other_lines_alone),
		CASE(finds_a_last_record_of_full_length),
		CASE(leaves_damage_in_the_middle_where_it_is),
		CASE(finds_the_last_seq_behind_files_without_any),
		CASE(recalls_the_last_hour_across_files),
		CASE(loses_nothing_by_any_damage),
		CASE(has_all_that_was_told_before_a_kill),
	};

	return cmocka_run_group_tests_name("journal recovery", tests, NULL,
	    NULL);
}
