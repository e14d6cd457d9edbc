/*
 * Where the members of a JSON object stand in its bytes. cJSON gives values
 * but no positions, and lets through what RFC 8259 forbids and browsers refuse
 * (control characters in strings, leading zeros); a record is spliced by
 * position and must be readable by everybody.
 */
#ifndef LIB_JSON_SCAN_H
#define LIB_JSON_SCAN_H

#include <stddef.h>

#define JSON_DEPTH_MAX 512
#define JSON_MEMBERS_MAX 65536

/* A member: offsets into the text, the name without its quotes. */
struct json_member {
	size_t name;
	size_t name_end;
	size_t value;
	size_t value_end;
	size_t values;	/* how many there are, nested ones counted */
};

/* What json_scan found. All zero is an empty index; it can be used again. */
struct json_index {
	struct json_member *members;
	size_t count;
	size_t capacity;
	size_t brace;		/* where the object's closing brace stands */
	const char *reason;	/* why the text is no JSON object */
	size_t error_at;	/* and at which byte */
};

/*
 * Check that text is one JSON object in UTF-8, with blanks around it at most,
 * and index its members. Returns 0, or -1 with reason and error_at set.
 */
int json_scan(struct json_index *index, const char *text, size_t length);

/* The last member of that name in the text that was scanned, or NULL. */
const struct json_member *json_index_find(const struct json_index *index,
    const char *text, const char *name);

void json_index_free(struct json_index *index);

#endif
