#include "watch.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "term.h"

static int
compare_strings(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

int
watch_compare(const struct subscription *a, const struct subscription *b)
{
	int order = strcmp(a->term, b->term);

	if (order == 0)
		order = compare_strings(a->in, b->in);
	if (order == 0)
		order = (int)a->where - (int)b->where;
	return order != 0 ? order : compare_strings(a->class, b->class);
}

static struct pattern *
compile(const struct subscription *line, struct serials *serials)
{
	char *expression = term_expression(line->term);
	struct regex_error error;
	struct pattern *pattern = pattern_new(line->term, expression, serials,
	    &error);

	free(expression);
	if (pattern == NULL)
		warnx("subscription %" PRId64 " of %s: %s", line->from,
		    line->user, error.reason);
	return pattern;
}

struct watch *
watch_new(const struct subscription *line, struct serials *serials)
{
	static const unsigned parts[] = {
		[SUBSCRIPTION_ANYWHERE] = IN_ANY,
		[SUBSCRIPTION_TEXT] = IN_TEXT | IN_ATTACHMENT | IN_PAYLOAD,
		[SUBSCRIPTION_FILES] = IN_FILES,
	};
	struct watch *watch = xcalloc(1, sizeof *watch);

	watch->key = subscription_copy(line);
	watch->told = -1;
	watch->pattern = compile(line, serials);
	if (watch->pattern != NULL) {
		watch->pattern->parts = parts[line->where];
		watch->pattern->watch = watch;
	}
	return watch;
}

void
watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	pattern_free(watch->pattern);
	free(watch->key);
	free(watch->members);
	free(watch);
}

void
watch_gather(struct watch *watch, struct subscription *const *lines,
    size_t count)
{
	struct member *members = xrealloc(watch->members,
	    count * sizeof *members);
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (kept == 0 ||
		    strcmp(members[kept - 1].user, lines[i]->user) != 0)
			members[kept++] = (struct member){ lines[i]->user,
			    lines[i]->from };
	watch->members = members;
	watch->member_count = kept;
}

/* The record behind which the last of its members came. */
static int64_t
find_newest(const struct watch *watch)
{
	int64_t newest = 0;

	for (size_t i = 0; i < watch->member_count; i++)
		if (watch->members[i].from > newest)
			newest = watch->members[i].from;
	return newest;
}

bool
watch_is_untold(const struct watch *watch)
{
	return watch->is_quarantined && find_newest(watch) > watch->told;
}

void
watch_tell(struct watch *watch)
{
	watch->told = find_newest(watch);
}

static bool
is_user(const struct member *member, const char *user)
{
	return user != NULL && strcmp(member->user, user) == 0;
}

bool
watch_has_others(const struct watch *watch, const char *user)
{
	return watch->member_count > 1 || (watch->member_count == 1 &&
	    !is_user(&watch->members[0], user));
}

void
watch_append_members(const struct watch *watch, const char *user,
    int64_t behind, struct buffer *json)
{
	buffer_append_string(json, "\"pattern\":");
	buffer_append_json(json, watch->key->term, strlen(watch->key->term));
	buffer_append_string(json, ",\"for\":{");
	for (size_t i = 0; i < watch->member_count; i++) {
		const struct member *member = &watch->members[i];

		if (is_user(member, user) || member->from <= behind)
			continue;
		buffer_append_json(json, member->user, strlen(member->user));
		buffer_printf(json, ":%" PRId64 ",", member->from);
	}
	if (json->data[json->length - 1] == ',')
		json->length--;
	buffer_append(json, "}", 1);
}
