/*
 * What people subscribe to, as they type it: `/regex/` and `/regex/i` are
 * regular expressions, anything else is looked for as it stands, but that a
 * straight quote stands for curly ones, too.
 */
#ifndef LIB_TERM_H
#define LIB_TERM_H

#include <stdbool.h>
#include <stddef.h>

#define TERM_BYTES_MAX 200

bool term_is_regex(const char *term);

/* The expression for regex_new; the caller frees it. */
char *term_expression(const char *term);

/*
 * The byte of the term that byte `at` of its expression comes from, to say
 * where a fault is.
 */
size_t term_offset(const char *term, size_t at);

#endif
