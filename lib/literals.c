/*
 * The hunt follows the expression's parentheses. Literals in a row are a
 * candidate of the branch they stand in; so are the candidates of a group's
 * branches together, one of each, where the group is there at least once. The
 * best candidate of each branch counts, and in the end those of the outermost
 * branches. Whatever is not understood is left out, or ends the hunt.
 */
#include "literals.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "regex.h"
#include "utf8.h"

#define CASELESS "(?i)"
#define DEPTH_MAX 101		/* PCRE2 is told to take 100 */
#define SPECIALS_MAX 2		/* in a literal; twice the literals for each */
#define WORTH_ENOUGH 32		/* fewer literals count for more than more worth */

/* What is K and S as well where case does not count. */
#define KELVIN_SIGN "\xe2\x84\xaa"
#define LONG_S "\xc5\xbf"

/* So many bytes of the hunt's from there on. */
struct span {
	uint16_t start;
	uint16_t length;
	uint16_t specials;	/* among them */
};

/* Literals one of which must be there. None: not known. */
struct choice {
	struct span spans[LITERALS_MAX];
	unsigned count;
	unsigned literals;	/* that the spans stand for */
	unsigned worth;		/* of the worst: the larger the rarer */
};

/* A group that is open, or the whole expression. */
struct frame {
	struct choice branch;	/* the best one of the branch at hand */
	struct choice group;	/* those of the branches before, together */
	bool is_known;		/* all of them have one */
	bool is_around;		/* a look around: proves nothing here */
};

struct literal_hunt {
	const char *expression;
	bool is_caseless;
	bool is_over;		/* without a result */
	struct frame frames[DEPTH_MAX];
	size_t depth;

	char bytes[REGEX_BYTES_MAX];	/* all literals */
	size_t length;
	size_t run;		/* where the one at hand begins */
	size_t run_end;		/* its end in the expression */
};

static bool
is_capital(char byte)
{
	return byte >= 'A' && byte <= 'Z';
}

static char
fold(char byte)
{
	return is_capital(byte) ? (char)(byte | 0x20) : byte;
}

/* How rare a byte is in texts, as a rule: about the bits it tells. */
static unsigned
weigh_byte(char byte)
{
	static const char common[] = " etaoinsrhldcumfpgwybv,.k_-:/x";
	const char *found = memchr(common, byte, sizeof common - 1);

	if (found != NULL)
		return 3 + (unsigned)(found - common) / 5;
	if ((byte & 0x80) != 0)
		return (byte & 0x40) == 0 ? 6 : 2;
	return 10;
}

/* Is there what makes the items mean something else than they say? */
static bool
has_options(const char *expression)
{
	for (const char *at = expression; (at = strchr(at, '(')) != NULL; at++)
		if (at[1] == '*' || (at[1] == '?' &&
		    (strchr(":=!<>|'P", at[2]) == NULL ||
		    (at[2] == 'P' && at[3] != '<'))))
			return true;
	return strstr(expression, "\\Q") != NULL ||
	    strstr(expression, "\\E") != NULL;
}

static void
open_frame(struct literal_hunt *hunt, bool is_around)
{
	struct frame *frame = &hunt->frames[hunt->depth];

	frame->branch.count = 0;
	frame->group.count = 0;
	frame->group.literals = 0;
	frame->is_known = true;
	frame->is_around = is_around;
}

struct literal_hunt *
literal_hunt_new(const char *expression)
{
	struct literal_hunt *hunt = xmalloc(sizeof *hunt);

	hunt->expression = expression;
	hunt->is_caseless = strncmp(expression, CASELESS,
	    strlen(CASELESS)) == 0;
	hunt->is_over = has_options(expression +
	    (hunt->is_caseless ? strlen(CASELESS) : 0));
	hunt->depth = 0;
	hunt->length = 0;
	hunt->run = 0;
	hunt->run_end = 0;
	open_frame(hunt, false);
	return hunt;
}

static bool
is_better(const struct choice *choice, const struct choice *than)
{
	unsigned worth = choice->worth, other = than->worth;

	if (worth > WORTH_ENOUGH)
		worth = WORTH_ENOUGH;
	if (other > WORTH_ENOUGH)
		other = WORTH_ENOUGH;
	if (worth + than->literals != other + choice->literals)
		return worth + than->literals > other + choice->literals;
	return choice->worth > than->worth;
}

/* Take the candidate if it is better than the branch's best so far. */
static void
offer(struct literal_hunt *hunt, const struct choice *choice)
{
	struct choice *best = &hunt->frames[hunt->depth].branch;

	if (best->count == 0 || is_better(choice, best))
		*best = *choice;
}

/* Is it a letter with more than two cases? */
static bool
is_special(const struct literal_hunt *hunt, char byte)
{
	return hunt->is_caseless && (byte == 'k' || byte == 's');
}

static bool
is_too_long(struct span span)
{
	size_t room = (strlen(KELVIN_SIGN) - 1) * span.specials;

	return span.specials > SPECIALS_MAX ||
	    span.length + room > LITERAL_BYTES_MAX;
}

/* Offer the best piece of the literals in a row, which end here. */
static void
end_run(struct literal_hunt *hunt)
{
	struct span span = { .start = (uint16_t)hunt->run };
	unsigned worth = 0;

	for (size_t i = hunt->run; i < hunt->length; i++) {
		worth += weigh_byte(hunt->bytes[i]);
		span.specials += is_special(hunt, hunt->bytes[i]);
		for (span.length++; is_too_long(span); span.length--) {
			char first = hunt->bytes[span.start++];

			worth -= weigh_byte(first);
			span.specials -= is_special(hunt, first);
		}
		if (span.length >= 2)
			offer(hunt, &(struct choice){
			    .spans = { span }, .count = 1, .worth = worth,
			    .literals = 1u << span.specials,
			});
	}
	hunt->run = hunt->length;
}

static void
end_branch(struct literal_hunt *hunt)
{
	struct frame *frame = &hunt->frames[hunt->depth];
	struct choice *branch = &frame->branch, *group = &frame->group;

	end_run(hunt);
	if (branch->count == 0 ||
	    group->literals + branch->literals > LITERALS_MAX)
		frame->is_known = false;
	if (frame->is_known) {
		memcpy(group->spans + group->count, branch->spans,
		    branch->count * sizeof *branch->spans);
		if (group->count == 0 || branch->worth < group->worth)
			group->worth = branch->worth;
		group->count += branch->count;
		group->literals += branch->literals;
	}
	branch->count = 0;
}

static void
open_group(struct literal_hunt *hunt, const char *item, size_t length)
{
	bool is_around = length >= 3 && item[1] == '?' &&
	    (strchr("=!", item[2]) != NULL || (length >= 4 &&
	    item[2] == '<' && strchr("=!", item[3]) != NULL));

	end_run(hunt);
	if (hunt->depth + 1 == DEPTH_MAX) {
		hunt->is_over = true;
		return;
	}
	hunt->depth++;
	open_frame(hunt, is_around);
}

/* Is a group there at least once, by what follows its parenthesis? */
static bool
is_needed(const char *repeat, size_t length)
{
	return length == 0 || repeat[0] == '+' ||
	    (repeat[0] == '{' && strtoul(repeat + 1, NULL, 10) > 0);
}

static void
close_group(struct literal_hunt *hunt, const char *item, size_t length)
{
	const struct frame *frame = &hunt->frames[hunt->depth];

	end_branch(hunt);
	if (hunt->depth == 0) {
		hunt->is_over = true;
		return;
	}
	hunt->depth--;
	if (frame->is_known && !frame->is_around &&
	    is_needed(item + 1, length - 1))
		offer(hunt, &frame->group);
}

/* Are all its cases known? Those of ASCII are, and that kanji have none. */
static bool
is_tame(const char *character, size_t length)
{
	return length == 1 || (length == 3 &&
	    (unsigned char)character[0] >= 0xe3 &&	/* U+3000 on */
	    (unsigned char)character[0] <= 0xe9);	/* to U+9FFF */
}

/* The bytes an item stands for when it is one plain character, or NULL. */
static const char *
find_character(const char *item, size_t *length)
{
	if (*length == 2 && item[0] == '\\' &&
	    strchr(".^$|()[]{}*+?\\/-", item[1]) != NULL) {
		*length = 1;
		return item + 1;
	}
	if (utf8_character(item, *length) != *length ||
	    strchr(".^$|()[]{}*+?\\", item[0]) != NULL)
		return NULL;
	return item;
}

static void
take_character(struct literal_hunt *hunt, const char *item, size_t length)
{
	size_t position = (size_t)(item - hunt->expression), width = length;
	const char *character = find_character(item, &width);

	if (character == NULL ||
	    (hunt->is_caseless && !is_tame(character, width))) {
		end_run(hunt);
		return;
	}
	if (hunt->run_end != position)
		end_run(hunt);
	for (size_t i = 0; i < width; i++)
		hunt->bytes[hunt->length++] = hunt->is_caseless
		    ? fold(character[i]) : character[i];
	hunt->run_end = position + length;
}

void
literal_hunt_item(struct literal_hunt *hunt, size_t position, size_t length)
{
	const char *item = hunt->expression + position;

	if (hunt->is_over || length == 0 || (hunt->is_caseless &&
	    position == 0))
		return;
	if (item[0] == '(')
		open_group(hunt, item, length);
	else if (item[0] == ')')
		close_group(hunt, item, length);
	else if (item[0] == '|')
		end_branch(hunt);
	else
		take_character(hunt, item, length);
}

static size_t
find_rare(const char *bytes, size_t length)
{
	size_t rare = 0;

	for (size_t i = 1; i < length; i++)
		if (weigh_byte(bytes[i]) >= weigh_byte(bytes[rare]))
			rare = i;
	return rare;
}

/* The span's literal with those of its specials that the bits choose. */
static struct literal
make_literal(const struct literal_hunt *hunt, struct span span, unsigned bits)
{
	struct literal literal = { .length = 0 };

	for (size_t i = span.start; i < (size_t)span.start + span.length; i++) {
		const char *bytes = &hunt->bytes[i];
		size_t length = 1;

		if (is_special(hunt, *bytes)) {
			if ((bits & 1) != 0) {
				bytes = *bytes == 'k' ? KELVIN_SIGN : LONG_S;
				length = strlen(bytes);
			}
			bits >>= 1;
		}
		memcpy(literal.bytes + literal.length, bytes, length);
		literal.length += length;
	}
	literal.rare = find_rare(literal.bytes, literal.length);
	return literal;
}

static void
make_literals(const struct literal_hunt *hunt, const struct choice *choice,
    struct literals *literals)
{
	literals->list = xcalloc(choice->literals, sizeof *literals->list);
	for (size_t i = 0; i < choice->count; i++)
		for (unsigned bits = 0; bits >> choice->spans[i].specials == 0;
		    bits++)
			literals->list[literals->count++] = make_literal(hunt,
			    choice->spans[i], bits);
}

void
literal_hunt_end(struct literal_hunt *hunt, struct literals *literals)
{
	const struct frame *whole = &hunt->frames[0];

	*literals = (struct literals){ .is_caseless = hunt->is_caseless };
	if (!hunt->is_over && hunt->depth == 0) {
		end_branch(hunt);
		if (whole->is_known)
			make_literals(hunt, &whole->group, literals);
	}
	free(hunt);
}

void
literals_free(struct literals *literals)
{
	free(literals->list);
	*literals = (struct literals){ 0 };
}

static const char *
find_byte(const char *at, const char *end, char byte)
{
	return at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;
}

static bool
stands_at(const struct literal *literal, bool is_any_case, const char *text)
{
	if (!is_any_case)
		return memcmp(text, literal->bytes, literal->length) == 0;
	for (size_t i = 0; i < literal->length; i++)
		if (fold(text[i]) != literal->bytes[i])
			return false;
	return true;
}

/* Does the text hold it? By its rarest byte this is faster than memmem. */
static bool
holds(const struct literal *literal, bool is_any_case, const char *text,
    size_t length)
{
	char rare = literal->bytes[literal->rare];
	char capital = is_any_case && rare >= 'a' && rare <= 'z'
	    ? (char)(rare & ~0x20) : rare;

	if (length < literal->length)
		return false;
	const char *first = text + literal->rare;
	const char *end = first + (length - literal->length) + 1;
	const char *one = find_byte(first, end, rare);
	const char *other = capital != rare ? find_byte(first, end, capital)
	    : NULL;
	while (one != NULL || other != NULL) {
		bool is_one = other == NULL || (one != NULL && one < other);
		const char *at = is_one ? one : other;

		if (stands_at(literal, is_any_case, at - literal->rare))
			return true;
		if (is_one)
			one = find_byte(at + 1, end, rare);
		else
			other = find_byte(at + 1, end, capital);
	}
	return false;
}

bool
literals_allow(const struct literals *literals, const char *text,
    size_t length)
{
	for (size_t i = 0; i < literals->count; i++)
		if (holds(&literals->list[i], literals->is_caseless, text,
		    length))
			return true;
	return literals->count == 0;
}
