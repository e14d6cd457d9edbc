#include "ordered_writer.h"

#include <stdbool.h>
#include <stdlib.h>

#include "memory.h"

struct answer {
	struct answer *next;
	struct buffer line;
	bool is_ready;
};

struct ordered_writer {
	struct answer *first;
	struct answer **last;
	size_t waiting;
};

struct ordered_writer *
ordered_writer_new(void)
{
	struct ordered_writer *writer = xcalloc(1, sizeof *writer);

	writer->last = &writer->first;
	return writer;
}

static void
remove_first(struct ordered_writer *writer)
{
	struct answer *answer = writer->first;

	writer->first = answer->next;
	if (writer->first == NULL)
		writer->last = &writer->first;
	writer->waiting--;
	buffer_free(&answer->line);
	free(answer);
}

void
ordered_writer_free(struct ordered_writer *writer)
{
	if (writer == NULL)
		return;
	while (writer->first != NULL)
		remove_first(writer);
	free(writer);
}

struct answer *
ordered_writer_expect(struct ordered_writer *writer)
{
	struct answer *answer = xcalloc(1, sizeof *answer);

	*writer->last = answer;
	writer->last = &answer->next;
	writer->waiting++;
	return answer;
}

void
ordered_writer_answer(struct answer *answer, struct buffer *line)
{
	answer->line = *line;
	answer->is_ready = true;
	*line = (struct buffer){ 0 };
}

void
ordered_writer_collect(struct ordered_writer *writer, struct buffer *out)
{
	while (writer->first != NULL && writer->first->is_ready) {
		buffer_append(out, writer->first->line.data,
		    writer->first->line.length);
		remove_first(writer);
	}
}

size_t
ordered_writer_waiting(const struct ordered_writer *writer)
{
	return writer->waiting;
}
