#include "rules.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "echo.h"
#include "memory.h"
#include "message_text.h"
#include "regex.h"
#include "rule_file.h"

struct rule;

/* Something of a record that a rule can look at. */
struct aspect {
	const char *what;
	bool (*fits)(const struct rule *rule, struct record *record,
	    struct rules *rules);
};

struct rule {
	const char *class;
	const struct aspect *aspect;
	struct regex *regex;
	bool fits_all;		/* the expression is a single dot */
	char *words;
	size_t line;
};

/* A text of the record at hand, made when a rule first asks for it. */
struct text {
	bool (*make)(struct record *record, struct buffer *bytes);
	struct buffer bytes;
	bool is_made;
	bool is_whole;
};

struct rules {
	struct rule *list;
	size_t count;
	const struct rule *gave_up;	/* could not look at all it wanted */
	struct text message;
	struct text attachments;
	struct text payload;
};

static bool
fits_bytes(const struct rule *rule, struct rules *rules, const char *bytes,
    size_t length)
{
	size_t start, end;
	enum regex_result result = regex_find(rule->regex, bytes, length, 0,
	    &start, &end);

	if (result == REGEX_LIMIT)
		rules->gave_up = rule;
	return result == REGEX_HIT;
}

static bool
fits_string(const struct rule *rule, struct rules *rules, const char *string)
{
	return string != NULL &&
	    fits_bytes(rule, rules, string, strlen(string));
}

static bool
fits_text(const struct rule *rule, struct record *record,
    struct rules *rules, struct text *text)
{
	if (!text->is_made) {
		text->bytes.length = 0;
		text->is_whole = text->make(record, &text->bytes);
		text->is_made = true;
	}
	if (text->bytes.length > 0 && fits_bytes(rule, rules,
	    text->bytes.data, text->bytes.length))
		return true;
	if (!text->is_whole)
		rules->gave_up = rule;
	return false;
}

static bool
fits_message(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	return fits_text(rule, record, rules, &rules->message);
}

static bool
fits_attachments(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	return fits_text(rule, record, rules, &rules->attachments);
}

static bool
fits_payload(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	return fits_text(rule, record, rules, &rules->payload);
}

/* The member that the aspect is named for, where it is a string. */
static bool
fits_member(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	return fits_string(rule, rules,
	    record_string(record, rule->aspect->what));
}

/*
 * The string `name` in any element of the array, which may be NULL. What has a
 * `for` is between Ultron and those who subscribed to it: nobody in chat shall
 * turn the dashboard red for all.
 */
static bool
fits_element(const struct rule *rule, struct rules *rules,
    const cJSON *array, const char *name)
{
	const cJSON *element;

	cJSON_ArrayForEach(element, array)
		if (json_get(element, "for") == NULL &&
		    fits_string(rule, rules, json_string(element, name)))
			return true;
	return false;
}

static bool
fits_pattern(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	return fits_element(rule, rules, record_array(record, RECORD_MATCHES),
	    "pattern");
}

static bool
fits_fetched(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	return fits_element(rule, rules, record_array(record, RECORD_FETCHED),
	    "status");
}

static bool
fits_limit(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	return fits_element(rule, rules, record_array(record, RECORD_LIMITS),
	    "reason");
}

static bool
fits_error(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	return fits_string(rule, rules,
	    json_string(record_get(record, RECORD_ERROR), "reason"));
}

/* What became of a message to Slack. */
static bool
fits_delivery(const struct rule *rule, struct record *record,
    struct rules *rules)
{
	const char *type = record_string(record, RECORD_TYPE);

	return type != NULL && strcmp(type, "delivery") == 0 &&
	    fits_string(rule, rules, record_string(record, "status"));
}

/* What slack-send posted, and Slack tells us of. */
static bool
fits_echo(const struct rule *rule, struct record *record, struct rules *rules)
{
	return fits_string(rule, rules, echo_key(record));
}

static bool
fits_any(const struct rule *rule, struct record *record, struct rules *rules)
{
	return rule->fits_all || fits_message(rule, record, rules) ||
	    fits_string(rule, rules, record_string(record, RECORD_TITLE)) ||
	    fits_attachments(rule, record, rules) ||
	    fits_payload(rule, record, rules);
}

static const struct aspect aspects[] = {
	{ "text", fits_message },
	{ "attachment", fits_attachments },
	{ "payload", fits_payload },
	{ RECORD_TITLE, fits_member },
	{ RECORD_CHANNEL, fits_member },
	{ RECORD_USER, fits_member },
	{ RECORD_TYPE, fits_member },
	{ "pattern", fits_pattern },
	{ "fetched", fits_fetched },
	{ "limit", fits_limit },
	{ RECORD_ERROR, fits_error },
	{ "delivery", fits_delivery },
	{ "echo", fits_echo },
	{ "any", fits_any },
	{ NULL, NULL },
};

static const char *
find_class(const char *word)
{
	static const char *const classes[] = { "success", "warning", "danger" };

	for (size_t i = 0; i < 3; i++)
		if (strcmp(word, classes[i]) == 0)
			return classes[i];
	return NULL;
}

static const struct aspect *
find_aspect(const char *word)
{
	for (const struct aspect *aspect = aspects; aspect->what != NULL;
	    aspect++)
		if (strcmp(word, aspect->what) == 0)
			return aspect;
	return NULL;
}

static char *
join_words(const struct rule_line *line)
{
	struct buffer words = { 0 };

	buffer_printf(&words, "%s %s %s", line->first, line->second,
	    line->rest);
	buffer_string(&words);
	return words.data;
}

static int
take_rule(const struct rule_line *line, void *arg)
{
	struct rules *rules = arg;
	struct regex_error error;
	struct rule rule = {
		.class = find_class(line->first),
		.aspect = find_aspect(line->second),
		.fits_all = strcmp(line->rest, ".") == 0,
		.line = line->number,
	};

	if (rule.class == NULL)
		rule_line_complain(line, line->first_column,
		    "expected success, warning or danger: %s", line->first);
	if (rule.aspect == NULL)
		rule_line_complain(line, line->second_column,
		    "expected text, attachment, payload, title, channel, user,"
		    " type, pattern, fetched, limit, error, delivery, echo or"
		    " any: %s",
		    line->second);
	rule.regex = regex_new(line->rest, &error);
	if (rule.regex == NULL)
		rule_line_complain(line, line->rest_column + error.at, "%s",
		    error.reason);
	if (rule.class == NULL || rule.aspect == NULL || rule.regex == NULL) {
		regex_free(rule.regex);
		return -1;
	}
	rule.words = join_words(line);
	rules->list = xrealloc(rules->list,
	    (rules->count + 1) * sizeof *rules->list);
	rules->list[rules->count++] = rule;
	return 0;
}

struct rules *
rules_load(const char *path)
{
	struct rules *rules = xcalloc(1, sizeof *rules);

	rules->message.make = message_text;
	rules->attachments.make = message_attachments;
	rules->payload.make = message_payload;
	if (rule_file_read(path, take_rule, rules) == 0)
		return rules;
	rules_free(rules);
	return NULL;
}

void
rules_free(struct rules *rules)
{
	if (rules == NULL)
		return;
	for (size_t i = 0; i < rules->count; i++) {
		regex_free(rules->list[i].regex);
		free(rules->list[i].words);
	}
	free(rules->list);
	buffer_free(&rules->message.bytes);
	buffer_free(&rules->attachments.bytes);
	buffer_free(&rules->payload.bytes);
	free(rules);
}

static struct verdict
make_verdict(const char *class, const struct rule *rule)
{
	return (struct verdict){ class, rule->words, rule->line };
}

/* A success is one only if every rule before it could look at all. */
static struct verdict
give_up(const struct rule *rule, struct record *record)
{
	record_fail(record, "rule in line %zu gave up: too costly or too much"
	    " text", rule->line);
	return make_verdict("warning", rule);
}

struct verdict
rules_apply(struct rules *rules, struct record *record)
{
	struct verdict verdict = { "success", "no rule fitted", 0 };

	rules->message.is_made = false;
	rules->attachments.is_made = false;
	rules->payload.is_made = false;
	rules->gave_up = NULL;
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->list[i];

		if (rule->aspect->fits(rule, record, rules)) {
			verdict = make_verdict(rule->class, rule);
			break;
		}
	}
	if (rules->gave_up != NULL && strcmp(verdict.class, "success") == 0)
		return give_up(rules->gave_up, record);
	return verdict;
}
