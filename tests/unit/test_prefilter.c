/*
 * What the prefilter leaves out can't match: held against PCRE2 by itself over
 * thousands of expressions and texts, made by dice that fall the same each time.
 *
 * modules: scanner/matcher.c scanner/places.c scanner/prefilter.c scanner/patterns.c
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../scanner/matcher.h"
#include "../../scanner/patterns.h"
#include "../../scanner/prefilter.h"
#include "buffer.h"
#include "memory.h"

#define COUNT(array) (sizeof (array) / sizeof (array)[0])
#define ROUNDS 30
#define PATTERNS 150
#define TEXTS 100

#define KELVIN "\xe2\x84\xaa"
#define LONG_S "\xc5\xbf"
#define TAN "\xe7\xab\xaf"

struct dice {
	uint64_t state;
};

static size_t
roll(struct dice *dice, size_t sides)
{
	dice->state = dice->state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (size_t)(dice->state >> 33) % sides;
}

#define PICK(dice, list) (list)[roll((dice), COUNT(list))]

/* --- expressions and texts --------------------------------------------------*/

static void append_choice(struct dice *dice, struct buffer *out, int depth);

static void
append_repeat(struct dice *dice, struct buffer *out)
{
	static const char *const repeats[] = { "?", "*", "+", "{0}", "{1}",
	    "{2}", "{0,2}", "{1,}", "+?", "*+", "{,2}" };

	if (roll(dice, 6) == 0)
		buffer_append_string(out, PICK(dice, repeats));
}

static void
append_group(struct dice *dice, struct buffer *out, int depth)
{
	static const char *const kinds[] = { "(", "(", "(?:", "(?:", "(?>",
	    "(?|", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?P<n>", "(?-i:" };

	buffer_append_string(out, PICK(dice, kinds));
	append_choice(dice, out, depth - 1);
	buffer_append_string(out, ")");
	append_repeat(dice, out);
}

static void
append_piece(struct dice *dice, struct buffer *out, int depth)
{
	static const char *const words[] = { "ab", "ba", "a", "b", "sk", "Ks",
	    "s", "k", "K", KELVIN, LONG_S, TAN, "aKb", "\xc3\xa9", "\xc3\x89",
	    "\\.", "\\-", "a b", "01", "(", "x" };
	static const char *const others[] = { ".", "\\d", "\\w", "[ks]", "[^a]",
	    "[a(?|b]", "\\b", "^", "$", "\\K", "\\1", "\\x41", "\\p{Lu}", "\\r",
	    "\\n", "(?i)", "(?#ab)", "\\Qab\\E", "\\E", "\\R", "\\S", "(?1)",
	    "(?(1)ab|ba)", "(*ACCEPT)", "\\A", "\\z" };
	size_t kind = roll(dice, 10);

	if (kind == 0 && depth > 0) {
		append_group(dice, out, depth);
	} else if (kind < 8) {
		buffer_append_string(out, PICK(dice, words));
		append_repeat(dice, out);
	} else {
		buffer_append_string(out, PICK(dice, others));
		append_repeat(dice, out);
	}
}

static void
append_choice(struct dice *dice, struct buffer *out, int depth)
{
	do {
		for (size_t i = roll(dice, 5); i > 0; i--)
			append_piece(dice, out, depth);
		if (depth > 0 && roll(dice, 3) == 0)
			append_group(dice, out, depth);
	} while (roll(dice, 4) == 0 &&
	    (buffer_append_string(out, "|"), true));
}

static void
append_expression(struct dice *dice, struct buffer *out)
{
	out->length = 0;
	if (roll(dice, 2) == 0)
		buffer_append_string(out, "(?i)");
	append_choice(dice, out, 3);
}

static void
append_text(struct dice *dice, struct buffer *out)
{
	static const char *const pieces[] = { "a", "b", "ab", "ba", "A", "B",
	    "sk", "SK", "k", "s", KELVIN, LONG_S, "K" LONG_S, TAN, "\xc3\xa9",
	    "\xc3\x89", ".", "-", " ", "a b", "0", "1", "(", "x", "\r", "\n",
	    "\r\n", "\xff", "\xc3", "aKb", "AkB" };

	out->length = 0;
	for (size_t i = roll(dice, 40); i > 0; i--)
		buffer_append_string(out, PICK(dice, pieces));
}

/* --- PCRE2 by itself --------------------------------------------------------*/

struct plain {
	pcre2_code *code;
	pcre2_match_data *data;
};

/* With callouts that nobody answers: they change what it makes of `^\\n`. */
static struct plain
compile_plain(const char *expression)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	struct plain plain;
	PCRE2_SIZE at;
	int error;

	pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
	plain.code = pcre2_compile((PCRE2_SPTR)expression, strlen(expression),
	    PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_MULTILINE |
	    PCRE2_AUTO_CALLOUT, &error, &at, context);
	plain.data = pcre2_match_data_create(1, NULL);
	pcre2_jit_compile(plain.code, PCRE2_JIT_COMPLETE);
	pcre2_compile_context_free(context);
	return plain;
}

static void
free_plain(struct plain plain)
{
	pcre2_match_data_free(plain.data);
	pcre2_code_free(plain.code);
}

/* --- the differential test --------------------------------------------------*/

struct round {
	struct dice *dice;
	struct serials serials;
	struct pattern *patterns[PATTERNS];
	struct plain plains[PATTERNS];
	struct pattern_set *set;
	struct matcher *matcher;
	struct places others;
	struct places found;
	size_t hits;
	size_t misses;		/* that the literals told */
};

static void
fill_round(struct round *round)
{
	struct buffer expression = { 0 };
	struct regex_error error;

	for (size_t i = 0; i < PATTERNS;) {
		append_expression(round->dice, &expression);
		round->patterns[i] = pattern_new("x",
		    buffer_string(&expression), &round->serials, &error);
		if (round->patterns[i] == NULL)
			continue;
		round->plains[i++] = compile_plain(expression.data);
	}
	buffer_free(&expression);
	round->set = patterns_none();
	patterns_follow(round->set, round->patterns, PATTERNS);
	round->matcher = matcher_new(round->set);
	assert_int_equal(matcher_compile(round->matcher), 0);
	assert_int_equal(matcher_bind(round->matcher, round->set,
	    &round->others), 0);
}

static void
empty_round(struct round *round)
{
	for (size_t i = 0; i < PATTERNS; i++) {
		pattern_free(round->patterns[i]);
		free_plain(round->plains[i]);
	}
	patterns_free(round->set);
	matcher_free(round->matcher);
	places_free(&round->others);
	places_free(&round->found);
}

/* What PCRE2 finds is a candidate, and found by the meter's search, too. */
static void
compare(struct round *round, size_t place, const char *text, size_t length)
{
	const struct regex *regex = round->patterns[place]->regex;
	const struct plain *plain = &round->plains[place];
	const PCRE2_SIZE *found = pcre2_get_ovector_pointer(plain->data);
	size_t start, end;
	bool may_match = places_has(&round->found, place);
	enum regex_result result = regex_find(regex, text, length, 0, &start,
	    &end);
	int count = pcre2_match(plain->code, (PCRE2_SPTR)text, length, 0, 0,
	    plain->data, NULL);

	assert_int_equal(may_match, literals_allow(regex_literals(regex), text,
	    length));
	round->misses += !may_match;
	if (count == PCRE2_ERROR_NOMATCH)
		assert_int_not_equal(result, REGEX_HIT);
	if (count < 0)
		return;
	round->hits++;
	assert_true(may_match);
	assert_int_equal(result, REGEX_HIT);
	assert_int_equal(start, found[0]);
	assert_int_equal(end, found[1]);
}

static void
play_round(struct round *round)
{
	struct buffer text = { 0 };

	fill_round(round);
	for (size_t i = 0; i < TEXTS; i++) {
		append_text(round->dice, &text);
		char *copy = xmalloc(text.length + 1);

		memcpy(copy, buffer_string(&text), text.length);
		places_copy(&round->found, &round->others);
		assert_int_equal(matcher_find(round->matcher, copy,
		    text.length, &round->found), 0);
		for (size_t j = 0; j < PATTERNS; j++)
			compare(round, j, copy, text.length);
		free(copy);
	}
	buffer_free(&text);
	empty_round(round);
}

static void
leaves_out_nothing_that_matches(void **state)
{
	struct dice dice = { 20261123 };
	size_t hits = 0, misses = 0;

	(void)state;
	for (size_t i = 0; i < ROUNDS; i++) {
		struct round round = { .dice = &dice };

		play_round(&round);
		hits += round.hits;
		misses += round.misses;
	}
	/* the dice must make something worth the name of a test */
	assert_in_range(hits, ROUNDS * PATTERNS * TEXTS / 20, SIZE_MAX);
	assert_in_range(misses, ROUNDS * PATTERNS * TEXTS / 10, SIZE_MAX);
}

/* --- changes ----------------------------------------------------------------*/

#define MANY 2000

struct crowd {
	struct serials serials;
	struct pattern *patterns[MANY];
	struct pattern_set *set;
	struct places found;
};

static struct crowd *
make_crowd(void)
{
	struct crowd *crowd = xcalloc(1, sizeof *crowd);
	struct regex_error error;
	char expression[32];

	for (size_t i = 0; i < MANY; i++) {
		snprintf(expression, sizeof expression, "%snumber<%zu>",
		    i % 3 == 0 ? "(?i)" : "", i);
		crowd->patterns[i] = pattern_new(expression, expression,
		    &crowd->serials, &error);
		assert_non_null(crowd->patterns[i]);
	}
	crowd->set = patterns_none();
	return crowd;
}

static void
free_crowd(struct crowd *crowd)
{
	patterns_free(crowd->set);
	for (size_t i = 0; i < MANY; i++)
		pattern_free(crowd->patterns[i]);
	places_free(&crowd->found);
	free(crowd);
}

/* Have the set be those from first on. */
static void
change(struct crowd *crowd, struct prefilter *prefilter, size_t first,
    size_t count)
{
	patterns_follow(crowd->set, crowd->patterns + first, count);
	prefilter_update(prefilter, crowd->set);
}

/* How many may match in a text that only the place-th does? */
static size_t
count_candidates(struct crowd *crowd, struct prefilter *prefilter,
    size_t place)
{
	char text[64];
	size_t count = 0;

	snprintf(text, sizeof text, "it has the %s",
	    crowd->set->patterns[place]->name + strspn(
	    crowd->set->patterns[place]->name, "(?i)"));
	prefilter_find(prefilter, text, strlen(text), &crowd->found);
	for (size_t i = places_next(&crowd->found, 0); i != PLACES_END;
	    i = places_next(&crowd->found, i + 1)) {
		assert_in_range(i, 0, crowd->set->count - 1);
		count++;
	}
	assert_true(places_has(&crowd->found, place));
	return count;
}

static void
await_matcher(struct crowd *crowd, struct prefilter *prefilter)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	for (int i = 0; i < 4000; i++) {
		if (count_candidates(crowd, prefilter,
		    crowd->set->count / 2) == 1)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("the matcher does not come");
}

static void
takes_over_when_it_is_ready(void **state)
{
	struct crowd *crowd = make_crowd();
	struct prefilter *prefilter = prefilter_new();

	(void)state;
	change(crowd, prefilter, 0, MANY);
	count_candidates(crowd, prefilter, 0);
	await_matcher(crowd, prefilter);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(count_candidates(crowd, prefilter, i), 1);
	prefilter_free(prefilter);
	free_crowd(crowd);
}

/* Places shift with each change, and none waits for a matcher. */
static void
knows_each_change_at_once(void **state)
{
	struct crowd *crowd = make_crowd();
	struct prefilter *prefilter = prefilter_new();

	(void)state;
	for (size_t i = 0; i < MANY / 2; i++) {
		change(crowd, prefilter, i, MANY / 2);
		count_candidates(crowd, prefilter, MANY / 2 - 1);
		count_candidates(crowd, prefilter, i % 7);
	}
	await_matcher(crowd, prefilter);
	change(crowd, prefilter, MANY / 2, MANY / 2);
	await_matcher(crowd, prefilter);
	change(crowd, prefilter, MANY - 30, 3);
	count_candidates(crowd, prefilter, 2);
	change(crowd, prefilter, 0, 0);
	prefilter_find(prefilter, "x", 1, &crowd->found);
	assert_int_equal(places_next(&crowd->found, 0), PLACES_END);
	change(crowd, prefilter, 0, MANY);
	await_matcher(crowd, prefilter);
	prefilter_free(prefilter);
	free_crowd(crowd);
}

static void
ends_amid_its_work(void **state)
{
	struct crowd *crowd = make_crowd();

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		struct prefilter *prefilter = prefilter_new();
		const struct timespec pause = { .tv_nsec = (long)i * 300000 };

		change(crowd, prefilter, 0, 300);
		nanosleep(&pause, NULL);
		prefilter_free(prefilter);
	}
	prefilter_free(NULL);
	free_crowd(crowd);
}

/* --- too many ---------------------------------------------------------------*/

/* Any of 16 words that nothing else holds. */
static struct pattern *
make_wide(struct serials *serials, size_t number)
{
	struct buffer expression = { 0 };
	struct regex_error error;

	for (size_t i = 0; i < 16; i++)
		buffer_printf(&expression, "%sword%zu-%zu,", i > 0 ? "|" : "",
		    number, i);
	struct pattern *pattern = pattern_new("wide",
	    buffer_string(&expression), serials, &error);
	assert_non_null(pattern);
	assert_int_equal(regex_literals(pattern->regex)->count, 16);
	buffer_free(&expression);
	return pattern;
}

static void
looks_for_no_more_than_it_has_room_for(void **state)
{
	struct crowd *crowd = xcalloc(1, sizeof *crowd);
	struct places others = { 0 };
	size_t count = 1100;

	(void)state;
	for (size_t i = 0; i < count; i++)
		crowd->patterns[i] = make_wide(&crowd->serials, i);
	crowd->set = patterns_none();
	patterns_follow(crowd->set, crowd->patterns, count);
	struct matcher *matcher = matcher_new(crowd->set);
	assert_int_equal(matcher_compile(matcher), 0);

	assert_int_equal(matcher_bind(matcher, crowd->set, &others), 0);
	assert_int_equal(places_next(&others, 0), 1024);
	assert_true(places_has(&others, count - 1));
	places_clear(&others, count);
	assert_int_equal(matcher_find(matcher, "word1023-15,", 12, &others), 0);
	assert_int_equal(places_next(&others, 0), 1023);
	places_free(&others);
	matcher_free(matcher);
	free_crowd(crowd);
}

/* --- places -----------------------------------------------------------------*/

static void
walks_through_places(void **state)
{
	static const size_t limits[] = { 0, 1, 63, 64, 65, 128, 1000 };
	struct places places = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		size_t seen = 0;

		places_fill(&places, limits[i]);
		for (size_t at = places_next(&places, 0); at != PLACES_END;
		    at = places_next(&places, at + 1))
			assert_int_equal(at, seen++);
		assert_int_equal(seen, limits[i]);
		places_clear(&places, limits[i]);
		assert_int_equal(places_next(&places, 0), PLACES_END);
	}
	places_add(&places, 700);
	assert_int_equal(places_next(&places, 700), 700);
	assert_int_equal(places_next(&places, 701), PLACES_END);
	places_free(&places);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_through_places),
		cmocka_unit_test(leaves_out_nothing_that_matches),
		cmocka_unit_test(takes_over_when_it_is_ready),
		cmocka_unit_test(knows_each_change_at_once),
		cmocka_unit_test(ends_amid_its_work),
		cmocka_unit_test(looks_for_no_more_than_it_has_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
