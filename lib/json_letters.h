/* Letters that hide in the \u escapes of JSON. */
#ifndef LIB_JSON_LETTERS_H
#define LIB_JSON_LETTERS_H

#include <stddef.h>

#include "buffer.h"

/*
 * Append JSON as it stands, but letters beyond ASCII as UTF-8 where they came
 * as \u escapes, so that a pattern finds them. json must be valid.
 */
void json_letters_undo(struct buffer *text, const char *json, size_t length);

#endif
