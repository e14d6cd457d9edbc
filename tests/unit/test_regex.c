/* Expressions: what is taken, what is found, and that no search goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "regex.h"

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

static void
says_what_is_wrong_and_where(void **state)
{
	static const struct {
		const char *expression;
		const char *reason;
		size_t at;
	} cases[] = {
		{ "forward (", "missing closing parenthesis", 9 },
		{ "a{2,1}", "numbers out of order in {} quantifier", 5 },
		{ "\\C", "using \\C is disabled by the application", 2 },
		{ "ab\\X", "\\X is not taken", 2 },
		{ "(*sr:\\w+)", "script runs are not taken", 0 },
		{ "(*atomic_script_run:\\w+)", "script runs are not taken", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct regex_error error = { "", 0 };

		assert_null(regex_new(cases[i].expression, &error));
		assert_string_equal(error.reason, cases[i].reason);
		assert_int_equal(error.at, cases[i].at);
	}
	regex_free(NULL);
}

static void
bounds_length_and_lookbehind(void **state)
{
	char *expression = xmalloc(REGEX_BYTES_MAX + 2);
	struct regex_error error;

	(void)state;
	memset(expression, 'a', REGEX_BYTES_MAX + 1);
	expression[REGEX_BYTES_MAX + 1] = '\0';
	assert_null(regex_new(expression, &error));
	expression[REGEX_BYTES_MAX] = '\0';
	struct regex *regex = regex_new(expression, &error);
	assert_non_null(regex);
	regex_free(regex);
	free(expression);

	assert_null(regex_new("(?<=.{256})a", &error));
	regex = regex_new("(?<=.{255})a", &error);
	assert_non_null(regex);
	regex_free(regex);
}

/* A copy of just that size, so that a sanitizer sees a byte too far. */
static enum regex_result
find(const char *expression, const char *subject, size_t length, size_t *start,
    size_t *end)
{
	struct regex_error error;
	struct regex *regex = regex_new(expression, &error);
	char *copy = xmalloc(length);

	assert_non_null(regex);
	memcpy(copy, subject, length);
	enum regex_result result = regex_find(regex, copy, length, 0, start,
	    end);
	regex_free(regex);
	free(copy);
	return result;
}

static void
finds(void **state)
{
	static const struct {
		const char *expression;
		const char *subject;
		int start;	/* -1: nowhere */
		int end;
	} cases[] = {
		{ "b+", "abbc", 1, 3 }, { "x", "abbc", -1, 0 },
		{ "(?i)ERR", "an Error", 3, 6 }, { "(?i)É", "é", 0, 2 },
		{ "^two$", "one\ntwo\nthree", 4, 7 },
		{ "^two$", "one\r\ntwo\r\nthree", 5, 8 },
		{ "one.two", "one\ntwo", -1, 0 },
		{ "(?s)one.two", "one\ntwo", 0, 7 },
		{ "端.", "x端末", 1, 7 }, { "b", "\xff\xfe" "b", 2, 3 },
		{ ".", "\xff", -1, 0 }, { "a\\z", "aa", 1, 2 },
		{ "(*NO_JIT)b+", "abbc", 1, 3 },
		{ "(?(?=a)ab|c)", "xab", 1, 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t start = 0, end = 0;
		enum regex_result result = find(cases[i].expression,
		    cases[i].subject, strlen(cases[i].subject), &start, &end);

		assert_int_equal(result, cases[i].start == -1 ? REGEX_MISS
		    : REGEX_HIT);
		if (result == REGEX_HIT) {
			assert_int_equal(start, cases[i].start);
			assert_int_equal(end, cases[i].end);
		}
	}
}

/* The look for a literal first must not change what is found. */
static void
finds_the_same_with_a_literal(void **state)
{
	static const struct {
		const char *expression;
		const char *hit;
		const char *miss;
	} cases[] = {
		{ "\\w+Exception", "NullException", "NullExceptio" },
		{ "\\w+Exception|oops", "oops", "oop" },
		{ "\\d*(?i)Error", "ERROR", "ERRO" },
		{ "(?i:x)error", "Xerror", "XERROR" },
		{ "\\w+ab?", "xa", "x" }, { "\\w+ab{0}", "xa", "x" },
		{ ".a\\.b", "xa.b", "xacb" }, { ".\\Qab\\E*", "xa", "x" },
		{ ".(?:yes|no)maybe", "xnomaybe", "xnomayb" },
		{ ".(ab)?cd", "xcd", "xc" }, { ".参加*", "x参", "x" },
		{ "(?x). a b # c", "xab", "xa b" },
		{ ".a(*ACCEPT)bc", "xa", "x" }, { ".ab(?#c)d", "xabd", "xab" },
		{ ".(?(DEFINE)(?<n>ab))(?&n)cd", "xabcd", "xcd" },
		{ ".{2}Exxx", "aEExxx", "EExxx" },
		{ ".*ExExx", "ExExExx", "ExExE" },
	};
	size_t start, end;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(find(cases[i].expression, cases[i].hit,
		    strlen(cases[i].hit), &start, &end), REGEX_HIT);
		assert_int_equal(find(cases[i].expression, cases[i].miss,
		    strlen(cases[i].miss), &start, &end), REGEX_MISS);
	}
}

static void
sees_what_is_before(void **state)
{
	struct regex_error error;
	struct regex *regex = regex_new("(?<=a)b|^b", &error);
	struct regex_search search = { .subject = "abb", .length = 3,
	    .from = 1, .steps = 10000 };

	(void)state;
	assert_int_equal(regex_search(regex, &search), REGEX_HIT);
	assert_int_equal(search.start, 1);
	search.from = 2;
	assert_int_equal(regex_search(regex, &search), REGEX_MISS);
	search.from = 3;
	assert_int_equal(regex_search(regex, &search), REGEX_MISS);
	regex_free(regex);
}

static void
knows_what_matches_everywhere(void **state)
{
	static const struct {
		const char *expression;
		bool matches_empty;
	} cases[] = {
		{ "", true }, { "a*", true }, { "a|", true }, { "\\b", true },
		{ "(?=a)", true }, { "^$", true }, { "a", false },
		{ "a+", false }, { "\\ba", false }, { "(?=a)a", false },
	};
	struct regex_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct regex *regex = regex_new(cases[i].expression, &error);

		assert_non_null(regex);
		assert_int_equal(regex_matches_empty(regex),
		    cases[i].matches_empty);
		regex_free(regex);
	}
}

/* All of these would run for minutes, hours or years. */
static void
gives_up_in_the_same_way_each_time(void **state)
{
	static const char *const expressions[] = {
		"(a+)+[bc]", "(a|a)+[bc]", "a.*[bc].*[cd].*[de]",
		"\\w*[0-9]", "\\w+[@#]", "(\\w+)\\1[0-9]", "(?:a*)*[0-9]",
		"(?=(.*))\\1[0-9]", "(a?){30}(a){30}[bc]",
		"(*NO_JIT)a.*[bc].*[0-9]", "(?:.|\\n)*[0-9]",
	};
	const size_t length = 100000;
	char *subject = xmalloc(length);
	struct regex_error error;

	(void)state;
	memset(subject, 'a', length);
	for (size_t i = 0; i < COUNT(expressions); i++) {
		struct regex *regex = regex_new(expressions[i], &error);
		uint64_t left[2];

		for (int run = 0; run < 2; run++) {
			struct regex_search search = { .subject = subject,
			    .length = length, .steps = 3000000 };

			assert_int_equal(regex_search(regex, &search),
			    REGEX_LIMIT);
			left[run] = search.steps;
		}
		assert_true(left[0] == left[1]);
		regex_free(regex);
	}
	free(subject);
}

static void
counts_down_the_steps(void **state)
{
	struct regex_error error;
	struct regex *regex = regex_new("b", &error);
	struct regex_search search = { .subject = "aab", .length = 3,
	    .steps = 1000 };

	(void)state;
	assert_int_equal(regex_search(regex, &search), REGEX_HIT);
	assert_in_range(search.steps, 800, 999);
	search.steps = 10;
	assert_int_equal(regex_search(regex, &search), REGEX_LIMIT);
	assert_true(regex_allowance(1000) > regex_allowance(0));
	regex_free(regex);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_is_wrong_and_where),
		cmocka_unit_test(bounds_length_and_lookbehind),
		cmocka_unit_test(finds),
		cmocka_unit_test(finds_the_same_with_a_literal),
		cmocka_unit_test(sees_what_is_before),
		cmocka_unit_test(knows_what_matches_everywhere),
		cmocka_unit_test(gives_up_in_the_same_way_each_time),
		cmocka_unit_test(counts_down_the_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
