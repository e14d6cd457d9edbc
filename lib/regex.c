/*
 * How the cost of a search is bounded. PCRE2's own match limit is no bound: it
 * starts anew at each position of the subject, and compiled by JIT it does not
 * count the backtracking of simple repeats at all (`a.*b.*c` over a long line
 * runs for minutes below any limit). So every expression is compiled with a
 * callout before each of its items. JIT keeps its fast search for a place where
 * a match may start; only from there on a callout, about 7 ns, counts the item
 * and the bytes passed since the one before. What a single item can cost
 * without a callout is charged with it: the least count of a repeat, what a
 * back reference may compare; what can't be charged is refused.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "regex.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "utf8.h"

#define ITEM_STEPS 8
#define CALL_STEPS 64
#define INTERPRETER_WEIGHT 3
#define REPEATS_PER_STEP 4	/* a repeated byte is faster than others */
#define HEAP_KIB 8192
#define PARENTHESES_MAX 100
#define ALLOWANCE_BASE (UINT64_C(2) << 20)
#define ALLOWANCE_PER_BYTE 512

/* What the callouts of one search count. */
struct meter {
	uint64_t left;
	size_t at;
	uint64_t item_steps;
	uint64_t weight;	/* the interpreter is slower than JIT */
	bool has_references;
};

struct regex {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
	struct meter *meter;	/* scratch, as data and context are */
	size_t jit_bytes;	/* 0: JIT can't compile it */
	struct literals literals;
};

/* What the expression consists of, gathered item by item. */
struct survey {
	const char *expression;
	struct literal_hunt *hunt;
	size_t position;	/* of the item looked at last */
	size_t length;
	unsigned long repeat;	/* largest least count of an item */
	const char *refused;
	size_t refused_at;
};

/* How long these two work no callout can tell. */
static bool
is_uncounted(const char *item, size_t length)
{
	return (length >= 2 && memcmp(item, "\\X", 2) == 0) ||
	    (length >= 4 && memcmp(item, "(*", 2) == 0 &&
	    (memmem(item, length, "sr:", 3) != NULL ||
	    memmem(item, length, "script_run:", 11) != NULL));
}

static void
survey_repeat(struct survey *survey, const char *item, size_t length)
{
	const char *brace = memrchr(item, '{', length);

	if (brace == NULL)
		return;
	unsigned long count = strtoul(brace + 1, NULL, 10);
	if (count > survey->repeat && count <= UINT16_MAX)
		survey->repeat = count;
}

/* Called for each item, for those in a repeated group more than once. */
static int
survey_item(pcre2_callout_enumerate_block *block, void *arg)
{
	struct survey *survey = arg;
	const char *item = survey->expression + block->pattern_position;
	size_t length = block->next_item_length;

	if (length == 0 || (block->pattern_position <= survey->position &&
	    survey->length > 0))
		return 0;
	if (is_uncounted(item, length) && survey->refused == NULL) {
		survey->refused = item[0] == '(' ? "script runs are not taken"
		    : "\\X is not taken";
		survey->refused_at = block->pattern_position;
	}
	survey_repeat(survey, item, length);
	literal_hunt_item(survey->hunt, block->pattern_position, length);
	survey->position = block->pattern_position;
	survey->length = length;
	return 0;
}

static int
survey_code(struct regex *regex, const char *expression,
    struct regex_error *error)
{
	struct survey survey = {
		.expression = expression, .hunt = literal_hunt_new(expression)
	};
	uint32_t lookbehind = 0, references = 0;

	pcre2_callout_enumerate(regex->code, survey_item, &survey);
	literal_hunt_end(survey.hunt, &regex->literals);
	pcre2_pattern_info(regex->code, PCRE2_INFO_MAXLOOKBEHIND, &lookbehind);
	pcre2_pattern_info(regex->code, PCRE2_INFO_BACKREFMAX, &references);
	if (lookbehind > REGEX_LOOKBEHIND_MAX)
		survey.refused = "looks behind more than 255 characters";
	regex->meter->item_steps = ITEM_STEPS +
	    survey.repeat / REPEATS_PER_STEP;
	regex->meter->has_references = references > 0;
	if (survey.refused == NULL)
		return 0;
	snprintf(error->reason, sizeof error->reason, "%s", survey.refused);
	error->at = survey.refused_at;
	return -1;
}

static pcre2_code *
compile(const char *expression, struct regex_error *error)
{
	const uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
	    PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	int code_error;

	pcre2_set_max_pattern_length(context, REGEX_BYTES_MAX);
	pcre2_set_parens_nest_limit(context, PARENTHESES_MAX);
	pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)expression,
	    strlen(expression), options, &code_error, &error->at, context);
	pcre2_compile_context_free(context);
	if (code == NULL)
		pcre2_get_error_message(code_error,
		    (PCRE2_UCHAR *)error->reason, sizeof error->reason);
	return code;
}

/* What a back reference may have to compare: the text of a group. */
static uint64_t
count_captured(const pcre2_callout_block *block)
{
	uint64_t bytes = block->capture_top;

	for (uint32_t i = 1; i < block->capture_top; i++) {
		size_t start = block->offset_vector[2 * i];
		size_t end = block->offset_vector[2 * i + 1];

		if (start != PCRE2_UNSET && end != PCRE2_UNSET && end > start)
			bytes += end - start;
	}
	return bytes;
}

static int
count_item(pcre2_callout_block *block, void *arg)
{
	struct meter *meter = arg;
	uint64_t steps = meter->item_steps;

	if (block->current_position > meter->at)
		steps += block->current_position - meter->at;
	meter->at = block->current_position;
	if (meter->has_references)
		steps += count_captured(block);
	steps *= meter->weight;
	if (steps > meter->left) {
		meter->left = 0;
		return PCRE2_ERROR_CALLOUT;
	}
	meter->left -= steps;
	return 0;
}

struct regex *
regex_new(const char *expression, struct regex_error *error)
{
	struct regex *regex = xcalloc(1, sizeof *regex);

	regex->meter = xcalloc(1, sizeof *regex->meter);
	regex->code = compile(expression, error);
	if (regex->code == NULL ||
	    survey_code(regex, expression, error) == -1) {
		regex_free(regex);
		return NULL;
	}
	pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
	pcre2_pattern_info(regex->code, PCRE2_INFO_JITSIZE,
	    &regex->jit_bytes);
	regex->data = pcre2_match_data_create(1, NULL);
	regex->context = pcre2_match_context_create(NULL);
	if (regex->data == NULL || regex->context == NULL)
		abort();
	pcre2_set_heap_limit(regex->context, HEAP_KIB);
	pcre2_set_callout(regex->context, count_item, regex->meter);
	return regex;
}

void
regex_free(struct regex *regex)
{
	if (regex == NULL)
		return;
	pcre2_match_context_free(regex->context);
	pcre2_match_data_free(regex->data);
	pcre2_code_free(regex->code);
	literals_free(&regex->literals);
	free(regex->meter);
	free(regex);
}

const struct literals *
regex_literals(const struct regex *regex)
{
	return &regex->literals;
}

bool
regex_matches_empty(const struct regex *regex)
{
	uint32_t matches_empty = 0;

	pcre2_pattern_info(regex->code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
	return matches_empty != 0;
}

uint64_t
regex_allowance(size_t length)
{
	return ALLOWANCE_BASE + ALLOWANCE_PER_BYTE * (uint64_t)length;
}

/* Take steps off; false where there are not so many. */
static bool
charge(struct meter *meter, uint64_t steps)
{
	bool is_enough = steps <= meter->left;

	meter->left -= is_enough ? steps : meter->left;
	return is_enough;
}

static int
match(const struct regex *regex, const struct regex_search *search,
    uint32_t options, pcre2_match_data *data)
{
	return pcre2_match(regex->code, (PCRE2_SPTR)search->subject,
	    search->length, search->from, options, data, regex->context);
}

/*
 * Without JIT, or where its stack of 32 KiB was too small. The interpreter
 * looks at the whole subject each time to see that it is UTF-8. Its memory
 * stays in the match data, so they are not kept.
 */
static int
interpret(const struct regex *regex, const struct regex_search *search)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);

	if (data == NULL)
		abort();
	int result = PCRE2_ERROR_CALLOUT;
	regex->meter->at = search->from;
	regex->meter->weight = INTERPRETER_WEIGHT;
	if (charge(regex->meter, search->length - search->from))
		result = match(regex, search, PCRE2_NO_JIT, data);
	if (result >= 0)
		memcpy(pcre2_get_ovector_pointer(regex->data),
		    pcre2_get_ovector_pointer(data), 2 * sizeof(PCRE2_SIZE));
	pcre2_match_data_free(data);
	return result;
}

static int
match_counted(const struct regex *regex, const struct regex_search *search)
{
	int result = PCRE2_ERROR_JIT_STACKLIMIT;

	regex->meter->at = search->from;
	regex->meter->weight = 1;
	if (!charge(regex->meter, CALL_STEPS))
		return PCRE2_ERROR_CALLOUT;
	if (regex->jit_bytes > 0)
		result = match(regex, search, 0, regex->data);
	return result == PCRE2_ERROR_JIT_STACKLIMIT
	    ? interpret(regex, search) : result;
}

enum regex_result
regex_search(const struct regex *regex, struct regex_search *search)
{
	const PCRE2_SIZE *found = pcre2_get_ovector_pointer(regex->data);

	if (!literals_allow(&regex->literals, search->subject + search->from,
	    search->length - search->from))
		return REGEX_MISS;
	regex->meter->left = search->steps;
	int result = match_counted(regex, search);
	search->steps = regex->meter->left;
	if (result == PCRE2_ERROR_NOMATCH)
		return REGEX_MISS;
	if (result < 0)
		return REGEX_LIMIT;
	search->start = found[0];
	search->end = found[1];
	return REGEX_HIT;
}

enum regex_result
regex_find(const struct regex *regex, const char *subject, size_t length,
    size_t from, size_t *start, size_t *end)
{
	struct regex_search search = {
		.subject = subject, .length = length, .from = from,
		.steps = regex_allowance(length),
	};
	enum regex_result result = regex_search(regex, &search);

	*start = search.start;
	*end = search.end;
	return result;
}
