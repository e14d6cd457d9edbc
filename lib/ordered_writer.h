/* Answers that become ready in any order and leave in the order of the lines. */
#ifndef LIB_ORDERED_WRITER_H
#define LIB_ORDERED_WRITER_H

#include "buffer.h"

struct ordered_writer;
struct answer;		/* the place of one line in the queue */

struct ordered_writer *ordered_writer_new(void);
void ordered_writer_free(struct ordered_writer *writer);

/* Take the next place. It belongs to the writer. */
struct answer *ordered_writer_expect(struct ordered_writer *writer);

/*
 * Fill the place: the writer takes the bytes out of `line`, which is empty
 * afterwards. The place is gone from the caller's view.
 */
void ordered_writer_answer(struct answer *answer, struct buffer *line);

/* Append to out all answers that no unanswered line stands before. */
void ordered_writer_collect(struct ordered_writer *writer,
    struct buffer *out);

/* Lines that have no answer yet or wait behind one that has none. */
size_t ordered_writer_waiting(const struct ordered_writer *writer);

#endif
