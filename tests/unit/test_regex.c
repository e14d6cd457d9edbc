/* Expressions: what is taken, what is found, and that no search goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
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
		{ ".(?:ab|cd)+", "xcd", "xc" }, { ".(ab|c)", "xc", "xd" },
		{ ".(ab|cd){0,2}e", "xe", "x" }, { "(?:ab){0}.x", "yx", "y" },
		{ ".(ab|)", "x", "" }, { ".ab|cd", "cd", "ab" },
		{ ".(?!ab|cd)x", "yx", "ab" }, { "(?<=ab).", "abc", "ab" },
		{ "(?<n>ab|cd)e?", "cd", "a" }, { "(?>(ab|cd)x|ef)", "ef", "ab" },
		{ "((ab)?cd|ef(gh)+)", "efgh", "ef" },
		{ "(?i).task", "xTA\xc5\xbf\xe2\x84\xaa", "ask" },
		{ "(?i).kiosks", "xKIO\xc5\xbfKs", "kiosks" },
		{ "(?i)\\w+(ERROR|sink)", "xSIN\xe2\x84\xaa", "xsin" },
		{ "(?i).(ab|(?i)cd)", "xCD", "x" }, { "(?i).a\\.\xc3\xa9", "xA.\xc3\x89", "xa." },
		{ "(?i)\xe7\xab\xaf\xe6\x9c\xab" "a.", "\xe7\xab\xaf\xe6\x9c\xab" "Ab", "a" },
		{ "(?i).*ab{1,2}", "xAB", "xa" }, { "(?i)x+(?-i)ab", "Xab", "xAB" },
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

/* Append the characters from first to last, above ASCII. */
static void
append_characters(struct buffer *text, unsigned first, unsigned last)
{
	for (unsigned c = first; c <= last; c++) {
		const char bytes[] = { (char)(0xf0 | c >> 18),
		    (char)(0x80 | (c >> 12 & 0x3f)),
		    (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f)) };
		const char three[] = { (char)(0xe0 | c >> 12), bytes[2],
		    bytes[3] };
		const char two[] = { (char)(0xc0 | c >> 6), bytes[3] };

		if (c < 0x800)
			buffer_append(text, two, 2);
		else if (c < 0x10000)
			buffer_append(text, three, 3);
		else
			buffer_append(text, bytes, 4);
	}
}

static bool
is_found(const char *expression, const struct buffer *text)
{
	size_t start, end;

	return find(expression, text->data, text->length, &start, &end) ==
	    REGEX_HIT;
}

/* What lib/literals.c takes for granted of Unicode. */
static void
knows_all_cases(void **state)
{
	struct buffer others = { 0 }, kanji = { 0 };

	(void)state;
	append_characters(&others, 0x80, 0x2fff);
	append_characters(&others, 0xa000, 0xd7ff);
	append_characters(&others, 0xe000, 0x10ffff);
	append_characters(&kanji, 0x3000, 0x9fff);

	assert_true(is_found("(?i)k", &others));
	assert_true(is_found("(?i)s", &others));
	assert_false(is_found("(?i)[a-jl-rt-z!-@]", &others));
	assert_false(is_found("(?i)(?![\\x{212a}\\x{17f}])[ks]", &others));
	assert_false(is_found("(?i)[\\x{3000}-\\x{9fff}]", &others));
	assert_false(is_found("(?i)[ -~]", &kanji));
	assert_false(is_found("[\\p{Lu}\\p{Ll}\\p{Lt}]", &kanji));
	buffer_free(&others);
	buffer_free(&kanji);
}

/* What a text must hold one of, `|` between them. */
static void
knows_what_each_match_holds(void **state)
{
	static const struct {
		const char *expression;
		const char *literals;
	} cases[] = {
		{ "stark", "stark" }, { "a b\\.c", "a b.c" }, { "a", "" },
		{ "error|fatal", "error|fatal" }, { "error|.", "" },
		{ "x(ab|cd)?ef", "ef" }, { "(?:ERR|WARN)\\d", "ERR|WARN" },
		{ "\\d+ms", "ms" }, { "(?=ab).", "" }, { "(*UCP)ab", "" },
		{ "(?i)Lag", "lag" }, { "(?i)task", "task|ta\xc5\xbf" "k|"
		    "tas\xe2\x84\xaa|ta\xc5\xbf\xe2\x84\xaa" },
		{ "(?i)sksks", "sk|\xc5\xbfk|s\xe2\x84\xaa|"
		    "\xc5\xbf\xe2\x84\xaa" },
		{ "https://jira\\.example\\.com/browse/ABC-12345",
		    "jira.example.com/browse/ABC-1234" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct regex_error error;
		struct regex *regex = regex_new(cases[i].expression, &error);
		struct buffer text = { 0 };

		assert_non_null(regex);
		const struct literals *literals = regex_literals(regex);
		for (size_t j = 0; j < literals->count; j++)
			buffer_printf(&text, "%s%.*s", j > 0 ? "|" : "",
			    (int)literals->list[j].length,
			    literals->list[j].bytes);
		assert_string_equal(buffer_string(&text), cases[i].literals);
		buffer_free(&text);
		regex_free(regex);
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
		cmocka_unit_test(knows_all_cases),
		cmocka_unit_test(knows_what_each_match_holds),
		cmocka_unit_test(sees_what_is_before),
		cmocka_unit_test(knows_what_matches_everywhere),
		cmocka_unit_test(gives_up_in_the_same_way_each_time),
		cmocka_unit_test(counts_down_the_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
