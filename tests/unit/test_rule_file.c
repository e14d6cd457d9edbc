/* Rules are cut out of lines people typed, and every bad line is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buffer.h"
#include "rule_file.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What a file gave: its rules, one a line, and its complaints. */
struct outcome {
	struct buffer rules;
	struct buffer complaints;
	int status;
};

/* Note `number: first@column second@column rest@column`; "bad" is refused. */
static int
note_rule(const struct rule_line *line, void *arg)
{
	struct buffer *rules = arg;

	buffer_printf(rules, "%zu: %s@%zu %s@%zu %s@%zu\n", line->number,
	    line->first, line->first_column, line->second, line->second_column,
	    line->rest, line->rest_column);
	if (strcmp(line->first, "bad") != 0)
		return 0;
	rule_line_complain(
	    line, line->second_column, "no such place: %s", line->second);
	return -1;
}

static void
read_back(int fd, struct buffer *text)
{
	char block[4096];
	ssize_t count;

	lseek(fd, 0, SEEK_SET);
	while ((count = read(fd, block, sizeof block)) > 0)
		buffer_append(text, block, (size_t)count);
	close(fd);
	buffer_string(text);
}

/* Read the path with standard error going into the outcome. */
static struct outcome
read_path(const char *path)
{
	struct outcome outcome = { 0 };
	int complaints = memfd_create("complaints", MFD_CLOEXEC);
	int standard_error = dup(STDERR_FILENO);

	dup2(complaints, STDERR_FILENO);
	outcome.status = rule_file_read(path, note_rule, &outcome.rules);
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	read_back(complaints, &outcome.complaints);
	buffer_string(&outcome.rules);
	return outcome;
}

static struct outcome
read_content(const char *content, size_t length)
{
	int fd = memfd_create("rules", MFD_CLOEXEC);
	char path[64];

	assert_int_equal(write(fd, content, length), length);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct outcome outcome = read_path(path);
	close(fd);
	return outcome;
}

static void
free_outcome(struct outcome *outcome)
{
	buffer_free(&outcome->rules);
	buffer_free(&outcome->complaints);
}

static void
cuts_a_line_into_two_words_and_the_rest(void **state)
{
	static const struct {
		const char *content, *rules;
	} cases[] = {
		{ "", "" },
		{ "\n\n", "" },
		{ " \t \n", "" },
		{ "# comment\n  # comment\n\t#\n#", "" },
		{ "a b c\n", "1: a@1 b@3 c@5\n" },
		{ "a b c", "1: a@1 b@3 c@5\n" },
		{ "\n# x\na b c\n\nd e f\n",
		    "3: a@1 b@3 c@5\n5: d@1 e@3 f@5\n" },
		{ "  a   text,files  (?i)fatal exception  \t\n",
		    "1: a@3 text,files@7 (?i)fatal exception@19\n" },
		{ "\ta\tb\tc d\te\n", "1: a@2 b@4 c d\te@6\n" },
		{ "a b c\r\nd e f\r\n\r\n# x\r\n",
		    "1: a@1 b@3 c@5\n2: d@1 e@3 f@5\n" },
		{ "a b #c\n", "1: a@1 b@3 #c@5\n" },
		{ "a # c\n", "1: a@1 #@3 c@5\n" },
		{ "a b \\s+#\\ \n", "1: a@1 b@3 \\s+#\\@5\n" },
		{ "\xc3\xa9 b \xe2\x9c\x93\n",
		    "1: \xc3\xa9@1 b@4 \xe2\x9c\x93@6\n" },
		{ "a b .\na b .\n", "1: a@1 b@3 .@5\n2: a@1 b@3 .@5\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct outcome outcome =
		    read_content(cases[i].content, strlen(cases[i].content));

		assert_string_equal(outcome.rules.data, cases[i].rules);
		assert_string_equal(outcome.complaints.data, "");
		assert_int_equal(outcome.status, 0);
		free_outcome(&outcome);
	}
}

/* Exactly one complaint, at that place and with that in it. */
static void
check_complaint(
    const char *content, size_t length, const char *place, const char *reason)
{
	struct outcome outcome = read_content(content, length);
	const char *text = outcome.complaints.data;

	assert_int_equal(outcome.status, -1);
	if (strstr(text, place) == NULL || strstr(text, reason) == NULL ||
	    strchr(text, '\n') != text + outcome.complaints.length - 1)
		fail_msg("'%.100s' is answered by '%s'", content, text);
	free_outcome(&outcome);
}

static void
complains_where_a_rule_is_not_complete(void **state)
{
	(void)state;
	check_complaint("a\n", 2, ":1:2: ", "expected two words");
	check_complaint("\n  a  \n", 7, ":2:4: ", "expected two words");
	check_complaint("a b\n", 4, ":1:4: ", "expected two words");
	check_complaint("a b", 3, ":1:4: ", "expected two words");
	check_complaint("a b  \r\n", 7, ":1:4: ", "expected two words");
	check_complaint("ok b c\nbad x c\n", 15, ":2:5: ", "no such place: x");
}

static void
complains_of_bytes_that_are_no_text(void **state)
{
	(void)state;
	check_complaint("a b \xff\n", 6, ":1:1: ", "not UTF-8 text");
	check_complaint("a b c\n\xc0\x80 b c\n", 13, ":2:1: ", "not UTF-8");
	check_complaint("a b \xed\xa0\x80\n", 8, ":1:1: ", "not UTF-8 text");
	check_complaint("# comment \xe9\n", 12, ":1:1: ", "not UTF-8 text");
	check_complaint("a b c\0d\n", 8, ":1:1: ", "not UTF-8 text");
	check_complaint("\0a b c\n", 7, ":1:1: ", "not UTF-8 text");
	check_complaint("\xff\xfe"
			"a\0 \0b\0",
	    8, ":1:1: ", "not UTF-8 text");
}

static void
complains_of_NUL_bytes_at_the_end_of_a_line(void **state)
{
	(void)state;
	check_complaint("a b c\0\n", 7, ":1:1: ", "not UTF-8 text");
	check_complaint("a b c\n\0\0\0", 9, ":2:1: ", "not UTF-8 text");
}

static void
complains_of_a_line_over_64_KiB(void **state)
{
	size_t length = 3 * RULE_LINE_BYTES_MAX;
	char *content = malloc(length);

	(void)state;
	memset(content, 'x', length);
	memcpy(content, "a b ", 4);
	check_complaint(content, length, ":1:1: ", "line over 64 KiB");
	content[RULE_LINE_BYTES_MAX + 1] = '\n';
	check_complaint(
	    content, RULE_LINE_BYTES_MAX + 2, ":1:1: ", "line over 64 KiB");

	content[RULE_LINE_BYTES_MAX] = '\n';
	struct outcome outcome = read_content(content, RULE_LINE_BYTES_MAX + 1);
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.complaints.data, "");
	free_outcome(&outcome);
	free(content);
}

static void
complains_of_a_file_of_too_many_lines(void **state)
{
	size_t length = RULE_LINES_MAX + 10;
	char *content = malloc(length);

	(void)state;
	memset(content, '\n', length);
	check_complaint(content, length, ":100001:1: ", "more than 100000");
	struct outcome outcome = read_content(content, RULE_LINES_MAX);
	assert_int_equal(outcome.status, 0);
	free_outcome(&outcome);
	free(content);
}

static void
reports_all_bad_lines_and_takes_the_good_ones(void **state)
{
	static const char content[] = "a b c\nbad x .\nword\n\xff b c\nd e f\n"
				      "bad y .\n";
	struct outcome outcome = read_content(content, strlen(content));
	size_t lines = 0;

	(void)state;
	assert_int_equal(outcome.status, -1);
	assert_string_equal(outcome.rules.data,
	    "1: a@1 b@3 c@5\n"
	    "2: bad@1 x@5 .@7\n5: d@1 e@3 f@5\n6: bad@1 y@5 .@7\n");
	for (const char *at = outcome.complaints.data; (at = strchr(at, '\n'));
	     at++)
		lines++;
	assert_int_equal(lines, 4);
	assert_non_null(strstr(outcome.complaints.data, ":2:5: "));
	assert_non_null(strstr(outcome.complaints.data, ":3:5: "));
	assert_non_null(strstr(outcome.complaints.data, ":4:1: "));
	assert_non_null(strstr(outcome.complaints.data, ":6:5: "));
	free_outcome(&outcome);
}

static void
names_the_file_that_cannot_be_read(void **state)
{
	static const char *const paths[] = { "/nonexistent/patterns.conf", "/",
		"" };

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct outcome outcome = read_path(paths[i]);

		assert_int_equal(outcome.status, -1);
		assert_string_equal(outcome.rules.data, "");
		assert_non_null(strstr(outcome.complaints.data, paths[i]));
		assert_true(outcome.complaints.length > 0);
		free_outcome(&outcome);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_a_line_into_two_words_and_the_rest),
		cmocka_unit_test(complains_where_a_rule_is_not_complete),
		cmocka_unit_test(complains_of_bytes_that_are_no_text),
		cmocka_unit_test(complains_of_NUL_bytes_at_the_end_of_a_line),
		cmocka_unit_test(complains_of_a_line_over_64_KiB),
		cmocka_unit_test(complains_of_a_file_of_too_many_lines),
		cmocka_unit_test(reports_all_bad_lines_and_takes_the_good_ones),
		cmocka_unit_test(names_the_file_that_cannot_be_read),
	};

	return cmocka_run_group_tests_name("rule_file", tests, NULL, NULL);
}
