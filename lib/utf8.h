/* UTF-8 as RFC 3629 has it: no surrogates, nothing overlong, up to U+10FFFF. */
#ifndef LIB_UTF8_H
#define LIB_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Length of the character that starts at bytes, 1 to 4, or 0 where the bytes
 * are no UTF-8 or end within the character. length is at least 1.
 */
size_t utf8_character(const char *bytes, size_t length);

bool utf8_is_valid(const char *bytes, size_t length);

/*
 * The largest position up to `at` that does not split a character; bytes[at]
 * must be readable.
 */
size_t utf8_floor(const char *bytes, size_t at);

/*
 * Bytes of the control that stands at the start of the string and turns the
 * direction of what follows, such as U+202E; 0 where none does.
 */
size_t utf8_direction(const char *text);

#endif
