/*
 * The journal takes records all or nothing, keeps its caps, reads on.
 * modules: slack-reader/journal.c slack-reader/journal_folder.c slack-reader/journal_scan.c slack-reader/journal_recovery.c slack-reader/journal_cursor.c tests/unit/journal_case.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "journal_case.h"
#include "memory.h"
#include "record.h"

#define DAY "2026-11-22.ndjson"
#define MIB (1024 * 1024)

static mode_t
get_mode(struct journal_case *it, const char *name)
{
	struct stat status;
	char path[160];

	snprintf(path, sizeof path, "%s/%s", it->folder, name);
	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode & 0777;
}

static int
remove_file(struct journal_case *it, const char *name)
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s", it->folder, name);
	return unlink(path);
}

static const char *
seqs_of_file(struct journal_case *it, const char *name, struct buffer *seqs)
{
	size_t length;
	const char *bytes = journal_case_get(it, name, &length);

	assert_non_null(bytes);
	seqs->length = 0;
	journal_case_list_seqs(bytes, length, seqs);
	return seqs->data;
}

static void
begins_empty_and_private(void **state)
{
	struct journal_case *it = *state;
	mode_t before = umask(0);

	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 0);
	journal_case_seek(it, 0);
	assert_false(journal_has_more(it->journal));
	assert_int_equal(journal_commit(it->journal), 0);
	assert_string_equal(journal_case_list(it), "");
	assert_int_equal(journal_case_commit(it, 1, 3, 100), 0);
	assert_int_equal(get_mode(it, "."), 0700);
	assert_int_equal(get_mode(it, "lock"), 0600);
	assert_int_equal(get_mode(it, DAY), 0600);
	assert_string_equal(journal_case_read_seqs(it), "1 2 3 ");
	assert_int_equal(journal_last_seq(it->journal), 3);
	umask(before);
}

static void
forgets_what_was_not_committed(void **state)
{
	struct journal_case *it = *state;

	journal_case_open(it);
	journal_case_seek(it, 0);
	journal_append(it->journal, 1, "{\"seq\":1}\n", 10);
	assert_false(journal_has_more(it->journal));
	assert_int_equal(journal_last_seq(it->journal), 0);
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 0);
}

static void
is_refused_to_a_second_process(void **state)
{
	struct journal_case *it = *state;

	journal_case_open(it);
	assert_int_equal(journal_case_open_elsewhere(it), EX_TEMPFAIL);
	assert_non_null(strstr(it->reports.data, "stop it, or choose"));
	journal_case_close(it);
	assert_int_equal(journal_case_open_elsewhere(it), 0);
}

static void
exits_where_the_folder_cannot_be_used(void **state)
{
	struct journal_case *it = *state;
	int fd = open(it->folder, O_WRONLY | O_CREAT, 0600);
	char path[120];

	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(journal_case_open_elsewhere(it), EX_CONFIG);
	unlink(it->folder);
	snprintf(path, sizeof path, "%s/no/such", it->folder);
	it->settings.folder = path;
	assert_int_equal(journal_case_open_elsewhere(it), EX_CONFIG);
	it->settings.folder = it->folder;
}

/* --- days -----------------------------------------------------------------*/

static void
begins_a_file_with_each_day_in_UTC(void **state)
{
	struct journal_case *it = *state;
	struct buffer seqs = { 0 };

	setenv("TZ", "Pacific/Kiritimati", 1);
	tzset();
	journal_case_set_clock("2026-12-31T23:59:59.999999Z");
	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_int_equal(journal_case_commit(it, 1, 2, 100), 0);
	journal_case_set_clock("2027-01-01T00:00:00Z");
	assert_int_equal(journal_case_commit(it, 3, 3, 100), 0);
	assert_string_equal(journal_case_list(it),
	    "2026-12-31.ndjson 2027-01-01.ndjson ");
	assert_string_equal(seqs_of_file(it, "2026-12-31.ndjson", &seqs),
	    "1 2 ");
	assert_string_equal(journal_case_read_seqs(it), "1 2 3 ");
	unsetenv("TZ");
	tzset();
	buffer_free(&seqs);
}

static void
goes_on_with_the_newest_file_where_the_clock_jumps_back(void **state)
{
	struct journal_case *it = *state;

	journal_case_open(it);
	assert_int_equal(journal_case_commit(it, 1, 1, 100), 0);
	journal_case_set_clock("1970-01-01T00:00:00Z");
	assert_int_equal(journal_case_commit(it, 2, 2, 100), 0);
	journal_case_open(it);
	assert_int_equal(journal_case_commit(it, 3, 3, 100), 0);
	it->settings.bytes_max = 1200;
	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_int_equal(journal_case_commit(it, 4, 4, 100), 0);
	assert_string_equal(journal_case_list(it),
	    "2026-11-22.2.ndjson " DAY " ");
	assert_string_equal(journal_case_read_seqs(it), "1 2 3 4 ");
}

static void
reads_the_parts_of_a_day_in_the_order_of_numbers(void **state)
{
	struct journal_case *it = *state;
	struct buffer lines = { 0 };

	for (int part = 1; part <= 12; part++) {
		char name[40] = DAY;

		if (part > 1)
			snprintf(name, sizeof name, "2026-11-22.%d.ndjson",
			    part);
		lines.length = 0;
		journal_case_line(&lines, part, 500);
		journal_case_put(it, name, lines.data, lines.length);
	}
	journal_case_put(it, "2026-11-22.10.ndjson.gz", "", 0);
	journal_case_put(it, DAY ".gz", "", 0);
	it->settings.bytes_max = 7000;
	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_int_equal(journal_last_seq(it->journal), 12);
	assert_int_equal(journal_case_commit(it, 13, 13, 1000), 0);
	assert_string_equal(journal_case_read_seqs(it),
	    "1 2 3 4 5 6 7 8 9 10 11 12 13 ");
	assert_int_equal(journal_case_commit(it, 14, 14, 1000), 0);
	assert_non_null(strstr(journal_case_list(it), "2026-11-22.13.ndjson"));
	assert_null(strstr(journal_case_list(it), DAY " "));
	assert_non_null(strstr(journal_case_list(it), "2026-11-22.10.ndjson"));
	buffer_free(&lines);
}

/* --- caps -----------------------------------------------------------------*/

static void
keeps_the_size_cap_at_every_moment(void **state)
{
	struct journal_case *it = *state;
	int64_t removed = 0;

	it->settings.bytes_max = 20000;
	journal_case_open(it);
	journal_case_seek(it, 0);
	for (int64_t seq = 1; seq <= 400; seq += 2) {
		assert_int_equal(journal_case_commit(it, seq, seq + 1, 300),
		    0);
		assert_true(journal_case_bytes(it) <= 20000);
		journal_case_read(it, 65536);
		removed += seq > 100 && journal_case_bytes(it) < 14000;
	}
	assert_int_equal(removed, 0);	/* it makes use of what it may */
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 400);
}

static void
never_removes_what_is_not_read(void **state)
{
	struct journal_case *it = *state;
	struct buffer expected = { 0 }, some = { 0 };
	int64_t seq = 0;
	int result;

	it->settings.bytes_max = 20000;
	it->settings.age_max_s = 0;
	journal_case_open(it);
	for (int i = 0; i < 5; i++)	/* not even before it is sought */
		assert_int_equal(journal_case_commit(it, seq + 1, seq + 10,
		    200), 0), seq += 10;
	journal_case_seek(it, 0);
	journal_case_set_clock("2027-11-22T10:00:00Z");
	journal_expire(it->journal);
	while ((result = journal_case_commit(it, seq + 1, seq + 10, 200)) == 0)
		seq += 10;
	assert_int_equal(errno, EFBIG);
	assert_int_equal(journal_last_seq(it->journal), seq);
	assert_true(journal_case_bytes(it) > 16000);
	assert_true(journal_case_bytes(it) <= 20000);

	/* Some is read: as much can be written. */
	while (some.length < 6000)
		assert_true(journal_read(it->journal, &some, 1000));
	assert_int_equal(journal_case_commit(it, seq + 1, seq + 10, 200), 0);
	seq += 10;
	assert_true(journal_case_bytes(it) <= 20000);
	for (int64_t i = 1; i <= seq; i++)
		buffer_printf(&expected, "%d ", (int)i);
	buffer_append_string(&some, journal_case_read(it, 1000));
	buffer_string(&some);
	it->recalled.length = 0;
	journal_case_list_seqs(some.data, some.length, &it->recalled);
	assert_string_equal(it->recalled.data, buffer_string(&expected));
	buffer_free(&some);
	buffer_free(&expected);
}

static void
removes_what_is_too_old_but_the_newest(void **state)
{
	struct journal_case *it = *state;
	char day[32];

	it->settings.age_max_s = 2 * 86400;
	journal_case_open(it);
	journal_case_seek(it, INT64_MAX);
	for (int i = 1; i <= 9; i++) {
		snprintf(day, sizeof day, "2026-11-0%dT23:00:00Z", i);
		journal_case_set_clock(day);
		assert_int_equal(journal_case_commit(it, i, i, 100), 0);
		journal_case_read(it, 65536);
	}
	assert_string_equal(journal_case_list(it), "2026-11-07.ndjson"
	    " 2026-11-08.ndjson 2026-11-09.ndjson ");
	journal_case_set_clock("2026-11-10T00:00:00Z");
	journal_expire(it->journal);
	assert_string_equal(journal_case_list(it),
	    "2026-11-08.ndjson 2026-11-09.ndjson ");
	journal_case_set_clock("2027-11-10T00:00:00Z");
	journal_expire(it->journal);
	assert_string_equal(journal_case_list(it), "2026-11-09.ndjson ");
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 9);
}

static void
refuses_a_group_that_is_larger_than_all(void **state)
{
	struct journal_case *it = *state;

	it->settings.bytes_max = 10000;
	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_int_equal(journal_case_commit(it, 1, 1, 10001), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(journal_case_bytes(it), 0);
	assert_int_equal(journal_case_commit(it, 1, 1, 9000), 0);
	assert_string_equal(journal_case_read_seqs(it), "1 ");
	assert_int_equal(journal_case_commit(it, 2, 2, 9000), 0);
	assert_string_equal(journal_case_read_seqs(it), "2 ");
	assert_true(journal_case_bytes(it) <= 10000);
}

static void
shrinks_to_a_smaller_cap(void **state)
{
	struct journal_case *it = *state;

	journal_case_open(it);
	assert_int_equal(journal_case_commit(it, 1, 100, 1000), 0);
	it->settings.bytes_max = 10000;
	journal_case_open(it);
	journal_case_seek(it, 100);
	journal_expire(it->journal);
	assert_int_equal(journal_case_commit(it, 101, 101, 1000), 0);
	assert_true(journal_case_bytes(it) <= 10000);
	journal_case_open(it);
	journal_case_seek(it, 1);
	assert_non_null(strstr(it->reports.data, "records 2 to 100 were asked"
	    " for and are no longer there"));
	assert_string_equal(journal_case_read_seqs(it), "101 ");
}

static void
leaves_what_is_not_its_own(void **state)
{
	static const char *const names[] = {
		"2026-11-01.ndjson.gz", "2026-11-01.1.ndjson",
		"2026-11-01.02.ndjson", "2026-13-01.ndjson",
		"2026-02-30.ndjson", "2026-11-1.ndjson", "x2026-11-01.ndjson",
		"2026-11-01.2.ndjson~", "2026-11-01.-2.ndjson", "notes",
	};
	struct journal_case *it = *state;
	char path[160];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		journal_case_put(it, names[i], "{\"seq\":99}\n", 11);
	snprintf(path, sizeof path, "%s/2026-11-20.ndjson", it->folder);
	assert_int_equal(symlink("/dev/null", path), 0);
	snprintf(path, sizeof path, "%s/" DAY, it->folder);
	assert_int_equal(mkdir(path, 0700), 0);

	it->settings.age_max_s = 1;
	it->settings.bytes_max = 3000;
	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_int_equal(journal_last_seq(it->journal), 0);
	for (int64_t seq = 1; seq <= 50; seq++) {
		assert_int_equal(journal_case_commit(it, seq, seq, 300), 0);
		journal_case_read(it, 65536);
	}
	journal_expire(it->journal);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_non_null(strstr(journal_case_list(it), names[i]));
	assert_non_null(strstr(journal_case_list(it), "2026-11-20.ndjson "));
	assert_non_null(strstr(journal_case_list(it), DAY " "));
	assert_null(strstr(journal_case_list(it), "2026-11-22.2.ndjson"));
}

/* --- failures -------------------------------------------------------------*/

static void
set_file_limit(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
takes_a_write_that_was_cut_short_back(void **state)
{
	struct journal_case *it = *state;
	int result, error;

	signal(SIGXFSZ, SIG_IGN);
	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_int_equal(journal_case_commit(it, 1, 5, 100), 0);
	set_file_limit(950);
	result = journal_case_commit(it, 6, 10, 100);
	error = errno;
	set_file_limit(RLIM_INFINITY);
	assert_int_equal(result, -1);
	assert_int_equal(error, EDQUOT);
	assert_int_equal(journal_case_bytes(it), 500);
	assert_int_equal(journal_last_seq(it->journal), 5);
	assert_int_equal(journal_case_commit(it, 6, 8, 100), 0);
	assert_string_equal(journal_case_read_seqs(it), "1 2 3 4 5 6 7 8 ");
	journal_case_open(it);
	assert_int_equal(it->reports.length, 0);
}

/* In a process that has a small disk for itself; 0 where all is well. */
static int
fill_disk(struct journal_case *it, const char *folder)
{
	struct buffer content = { 0 };
	int64_t seq = 0;
	int refused = 0;

	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", folder, "tmpfs", 0, "size=64k") == -1)
		return 77;
	it->journal = journal_open(&it->settings);
	journal_seek(it->journal, 0);
	for (int round = 0; round < 40; round++) {
		if (journal_case_commit(it, seq + 1, seq + 7, 700) == 0)
			seq += 7;
		else if (errno == ENOSPC)
			refused++;
		else
			return 2;
	}
	if (refused == 0 || seq == 0 || journal_last_seq(it->journal) != seq)
		return 3;
	while (journal_read(it->journal, &content, 1000))
		continue;
	if (content.length != (size_t)seq * 700)
		return 4;
	journal_free(it->journal);
	it->journal = journal_open(&it->settings);
	return journal_last_seq(it->journal) == seq ? 0 : 5;
}

static void
takes_nothing_of_a_group_when_the_disk_is_full(void **state)
{
	struct journal_case *it = *state;
	char folder[64];
	int status;

	strcpy(folder, it->folder);
	*strrchr(folder, '/') = '\0';
	pid_t child = fork();
	if (child == 0)
		_exit(fill_disk(it, folder));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void
begins_a_new_file_where_somebody_changed_the_newest(void **state)
{
	struct journal_case *it = *state;
	struct buffer seqs = { 0 };

	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_int_equal(journal_case_commit(it, 1, 2, 100), 0);
	assert_string_equal(journal_case_read_seqs(it), "1 2 ");
	assert_int_equal(remove_file(it, DAY), 0);
	it->reports.length = 0;
	assert_int_equal(journal_case_commit(it, 3, 3, 100), 0);
	assert_non_null(strstr(it->reports.data, "somebody changed"));
	assert_string_equal(seqs_of_file(it, "2026-11-22.2.ndjson", &seqs),
	    "3 ");
	journal_case_put(it, "2026-11-22.2.ndjson", "mine\n", 5);
	assert_int_equal(journal_case_commit(it, 4, 5, 100), 0);
	assert_string_equal(seqs_of_file(it, "2026-11-22.3.ndjson", &seqs),
	    "4 5 ");
	assert_string_equal(seqs_of_file(it, "2026-11-22.2.ndjson", &seqs),
	    "? ");
	journal_case_open(it);
	assert_int_equal(journal_last_seq(it->journal), 5);
	buffer_free(&seqs);
}

/* --- reading on -----------------------------------------------------------*/

/* Records 10, 20 … 90, three to each of three days. */
static void
fill_three_days(struct journal_case *it)
{
	struct buffer lines = { 0 };
	char name[40];

	for (int day = 1; day <= 3; day++) {
		lines.length = 0;
		for (int i = 0; i < 3; i++)
			journal_case_line(&lines, (day * 3 - 2 + i) * 10, 100);
		snprintf(name, sizeof name, "2026-11-0%d.ndjson", day);
		journal_case_put(it, name, lines.data, lines.length);
	}
	buffer_free(&lines);
}

static void
reads_on_behind_any_seq(void **state)
{
	struct journal_case *it = *state;
	struct buffer expected = { 0 };

	fill_three_days(it);
	journal_case_open(it);
	for (int64_t after = 0; after <= 100; after++) {
		expected.length = 0;
		for (int64_t seq = 10; seq <= 90; seq += 10)
			if (seq > after)
				buffer_printf(&expected, "%d ", (int)seq);
		journal_case_seek(it, after);
		assert_string_equal(journal_case_read_seqs(it),
		    buffer_string(&expected));
	}
	journal_case_seek(it, INT64_MAX);
	assert_int_equal(journal_case_commit(it, 100, 101, 100), 0);
	assert_string_equal(journal_case_read_seqs(it), "100 101 ");
	buffer_free(&expected);
}

static void
is_not_confused_by_damage_and_doubles(void **state)
{
	struct journal_case *it = *state;
	struct buffer lines = { 0 };

	journal_case_put(it, "2026-11-01.ndjson", "no record\n", 10);
	journal_case_line(&lines, 1, 100);
	journal_case_line(&lines, 2, 100);
	buffer_append_string(&lines, "damaged\n");
	journal_case_line(&lines, 3, 100);
	journal_case_line(&lines, 2, 100);
	journal_case_line(&lines, 4, 100);
	buffer_append_string(&lines, "no end");
	journal_case_put(it, "2026-11-02.ndjson", lines.data, lines.length);
	journal_case_put(it, "2026-11-03.ndjson", "", 0);
	journal_case_put(it, "2026-11-04.ndjson", "\n\n", 2);
	lines.length = 0;
	journal_case_line(&lines, 5, 100);
	journal_case_put(it, "2026-11-05.ndjson", lines.data, lines.length);

	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_string_equal(journal_case_read_seqs(it),
	    "? 1 2 ? 3 2 4 ? ? ? 5 ");
	journal_case_seek(it, 1);
	assert_string_equal(journal_case_read_seqs(it), "2 ? 3 2 4 ? ? ? 5 ");
	journal_case_seek(it, 2);
	assert_string_equal(journal_case_read_seqs(it), "? 3 2 4 ? ? ? 5 ");
	journal_case_seek(it, 3);
	assert_string_equal(journal_case_read_seqs(it), "4 ? ? ? 5 ");
	journal_case_seek(it, 4);
	assert_string_equal(journal_case_read_seqs(it), "? ? ? 5 ");
	buffer_free(&lines);
}

static void
reads_whole_lines_in_any_steps(void **state)
{
	static const size_t steps[] = { 1, 50, 99, 100, 101, 250, 1 << 20 };
	struct journal_case *it = *state;
	struct buffer all = { 0 }, some = { 0 };

	fill_three_days(it);
	journal_case_open(it);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		all.length = 0;
		journal_case_seek(it, 0);
		some.length = 0;
		while (journal_read(it->journal, &some, steps[i])) {
			assert_int_equal(some.data[some.length - 1], '\n');
			assert_true(some.length <= steps[i] ||
			    some.length == 100);
			buffer_append(&all, some.data, some.length);
			some.length = 0;
		}
		assert_int_equal(all.length, 900);
	}
	buffer_free(&some);
	buffer_free(&all);
}

static void
reads_long_lines_alone_and_overlong_ones_by_their_beginning(void **state)
{
	struct journal_case *it = *state;
	struct buffer lines = { 0 }, out = { 0 };
	char *waste = xmalloc(40 * MIB);

	memset(waste, 'w', 40 * MIB);
	journal_case_line(&lines, 1, 100);
	journal_case_line(&lines, 2, RECORD_BYTES_MAX);
	journal_case_line(&lines, 3, 100);
	buffer_append(&lines, waste, 40 * MIB);
	buffer_append(&lines, "\n", 1);
	journal_case_line(&lines, 4, 100);
	buffer_append(&lines, waste, 40 * MIB);	/* and no LF */
	journal_case_put(it, "2026-11-01.ndjson", lines.data, lines.length);
	journal_case_put(it, "2026-11-02.ndjson", lines.data, 100);
	it->settings.bytes_max = 1 << 30;
	journal_case_open(it);
	journal_case_seek(it, 0);
	assert_string_equal(journal_case_read_seqs(it), "1 2 3 ? 4 ? 1 ");
	journal_case_seek(it, 0);
	for (int i = 0; journal_read(it->journal, &out, 65536); i++) {
		assert_true(out.length < RECORD_BYTES_MAX + 200000);
		assert_int_equal(out.data[out.length - 1], '\n');
		assert_true(i < 7);
		out.length = 0;
	}
	free(waste);
	buffer_free(&out);
	buffer_free(&lines);
}

static void
goes_on_where_a_file_was_removed_by_hand(void **state)
{
	struct journal_case *it = *state;

	fill_three_days(it);
	journal_case_open(it);
	journal_case_seek(it, 10);
	assert_int_equal(remove_file(it, "2026-11-02.ndjson"), 0);
	assert_string_equal(journal_case_read_seqs(it), "20 30 70 80 90 ");
	assert_non_null(strstr(it->reports.data, "2026-11-02.ndjson at offset"
	    " 0: No such file"));
	journal_case_put(it, "2026-11-03.ndjson", "", 0);
	journal_case_seek(it, 10);
	assert_string_equal(journal_case_read_seqs(it), "20 30 ");
	assert_non_null(strstr(it->reports.data, "somebody made it shorter"));
}

int
main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, journal_case_setup, \
	journal_case_teardown)
	static const struct CMUnitTest tests[] = {
		CASE(begins_empty_and_private),
		CASE(forgets_what_was_not_committed),
		CASE(is_refused_to_a_second_process),
		CASE(exits_where_the_folder_cannot_be_used),
		CASE(begins_a_file_with_each_day_in_UTC),
		CASE(goes_on_with_the_newest_file_where_the_clock_jumps_back),
		CASE(reads_the_parts_of_a_day_in_the_order_of_numbers),
		CASE(keeps_the_size_cap_at_every_moment),
		CASE(never_removes_what_is_not_read),
		CASE(removes_what_is_too_old_but_the_newest),
		CASE(refuses_a_group_that_is_larger_than_all),
		CASE(shrinks_to_a_smaller_cap),
		CASE(leaves_what_is_not_its_own),
		CASE(takes_a_write_that_was_cut_short_back),
		CASE(takes_nothing_of_a_group_when_the_disk_is_full),
		CASE(begins_a_new_file_where_somebody_changed_the_newest),
		CASE(reads_on_behind_any_seq),
		CASE(is_not_confused_by_damage_and_doubles),
		CASE(reads_whole_lines_in_any_steps),
		CASE(
		    reads_long_lines_alone_and_overlong_ones_by_their_beginning),
		CASE(goes_on_where_a_file_was_removed_by_hand),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
