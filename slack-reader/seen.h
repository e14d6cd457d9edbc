/*
 * What has come in before: event ids and (channel, ts) of messages, for at
 * least an hour. Keys are kept as 64-bit fingerprints under a random key, in
 * two generations: the older one goes when the younger has lasted its time or
 * is full. A key takes 16 to 32 bytes, and half as much again for the moment in
 * which a generation grows; with `most` a power of two, both take 32 * most.
 */
#ifndef SLACK_READER_SEEN_H
#define SLACK_READER_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen;

/* Remember for span_s at least, or the last `most` keys where more come in. */
struct seen *seen_new(int64_t span_s, size_t most);
void seen_free(struct seen *seen);

/*
 * Note a key made of two strings (the second may be empty) at a time of the
 * caller's clock. Returns whether it was there before.
 */
bool seen_note(struct seen *seen, const char *first, const char *second,
    int64_t now_s);

/* The same without noting it. */
bool seen_has(const struct seen *seen, const char *first, const char *second);

/* Forget a key that was noted: it did not come in after all. */
void seen_forget(struct seen *seen, const char *first, const char *second);

#endif
