#include "recent.h"

#include <stdlib.h>

#include "memory.h"

struct reference {
	struct blob *blob;
	int64_t bytes;
	int64_t added_us;
};

struct recent {
	size_t count_max;
	int64_t bytes_max;
	int64_t bytes;
	size_t first;
	size_t count;
	struct reference references[];	/* a ring */
};

struct recent *
recent_new(size_t count_max, int64_t bytes_max)
{
	struct recent *recent = xcalloc(1, sizeof *recent +
	    count_max * sizeof recent->references[0]);

	recent->count_max = count_max;
	recent->bytes_max = bytes_max;
	return recent;
}

static void
forget_first(struct recent *recent)
{
	const struct reference *first = &recent->references[recent->first];

	recent->bytes -= first->bytes;
	first->blob->pins--;
	recent->first = (recent->first + 1) % recent->count_max;
	recent->count--;
}

void
recent_free(struct recent *recent)
{
	if (recent == NULL)
		return;
	while (recent->count > 0)
		forget_first(recent);
	free(recent);
}

void
recent_add(struct recent *recent, struct blob *blob, int64_t now_us)
{
	if (recent->count == recent->count_max)
		forget_first(recent);

	size_t place = (recent->first + recent->count) % recent->count_max;
	recent->references[place] = (struct reference){
		blob, blob->bytes, now_us };
	recent->count++;
	recent->bytes += blob->bytes;
	while (recent->bytes > recent->bytes_max && recent->count > 1)
		forget_first(recent);
}

void
recent_forget_before(struct recent *recent, int64_t limit_us)
{
	while (recent->count > 0 &&
	    recent->references[recent->first].added_us < limit_us)
		forget_first(recent);
}
