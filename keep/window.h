/*
 * The lines that have no answer yet. They are fed to the stage whole and stay
 * here until it answers them, so that another one can be given them again.
 */
#ifndef KEEP_WINDOW_H
#define KEEP_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

struct window;

/*
 * Hold so many bytes and the line that passes them; `stage` is borrowed. A
 * line over RECORD_BYTES_MAX becomes the error record that answers it.
 */
struct window *window_new(const char *stage, size_t bytes_max);
void window_free(struct window *window);

/* Is there no room for more input before lines are answered? */
bool window_is_full(const struct window *window);

/* Where input is to be read to, and then how much was read. */
char *window_room(struct window *window, size_t *room);
void window_fill(struct window *window, size_t length);

/*
 * The input has ended. What follows the last LF becomes a line or is thrown
 * away; returns its length.
 */
size_t window_end(struct window *window, bool takes_unfinished);

/*
 * Bytes of whole lines that are to be fed next, and how many of them were. The
 * stage is to have no more than lines_max lines at a time; 0: any number.
 */
const char *window_to_feed(const struct window *window, size_t lines_max,
    size_t *length);
void window_feed(struct window *window, size_t length);

/* Feed all lines again. */
void window_rewind(struct window *window);

/* Has any line been fed, or begun to be, that has no answer? How many? */
bool window_is_waiting(const struct window *window);
size_t window_lines_fed(const struct window *window);

/*
 * So many lines were answered: let them go. Returns how many of them had been
 * fed; where that is less the stage has answered more than it was given.
 */
size_t window_answer(struct window *window, size_t lines);

/* The oldest line, without its LF, or NULL; and let it go unanswered. */
const char *window_head(const struct window *window, size_t *length);
void window_drop_head(struct window *window);

/* How many lines wait for an answer, fed or not. */
size_t window_lines(const struct window *window);

/* How many LF are there? */
size_t count_lines(const char *bytes, size_t length);

#endif
