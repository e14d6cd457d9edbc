/* The elements of a JSON array as they stand in its bytes. */
#ifndef SLACK_READER_JSON_ITEMS_H
#define SLACK_READER_JSON_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

/* Set the first two to an array that json_scan has accepted, `at` to 0. */
struct json_items {
	const char *text;
	size_t length;
	size_t at;
};

/* Returns false behind the last element. */
bool json_items_next(struct json_items *items, const char **item,
    size_t *length);

#endif
