#include "seen.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

#include "memory.h"

#define CAPACITY_LEAST 1024

/* Fingerprints in open addressing; 0 is an empty place. */
struct generation {
	uint64_t *places;
	size_t capacity;	/* a power of two, at least twice the count */
	size_t count;
	int64_t since_s;
};

struct seen {
	int64_t span_s;
	size_t most;
	uint64_t key[2];
	struct generation young;
	struct generation old;
};

struct seen *
seen_new(int64_t span_s, size_t most)
{
	struct seen *seen = xcalloc(1, sizeof *seen);

	seen->span_s = span_s;
	seen->most = most;
	if (getrandom(seen->key, sizeof seen->key, 0) != sizeof seen->key)
		err(EX_OSERR, "get a random key");
	return seen;
}

void
seen_free(struct seen *seen)
{
	if (seen == NULL)
		return;
	free(seen->young.places);
	free(seen->old.places);
	free(seen);
}

static uint64_t
rotate(uint64_t word, int bits)
{
	return word << bits | word >> (64 - bits);
}

/* SipHash (Aumasson and Bernstein, 2012): strangers choose what is hashed. */
static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void
sip_take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

static void
sip_start(uint64_t v[4], const uint64_t key[2])
{
	v[0] = key[0] ^ UINT64_C(0x736f6d6570736575);
	v[1] = key[1] ^ UINT64_C(0x646f72616e646f6d);
	v[2] = key[0] ^ UINT64_C(0x6c7967656e657261);
	v[3] = key[1] ^ UINT64_C(0x7465646279746573);
}

/* Its length, then its bytes in words: no two pairs of strings are alike. */
static void
sip_string(uint64_t v[4], const char *text)
{
	size_t left = strlen(text);
	uint64_t word;

	sip_take(v, left);
	for (; left >= 8; left -= 8, text += 8) {
		memcpy(&word, text, 8);
		sip_take(v, word);
	}
	word = 0;
	memcpy(&word, text, left);
	sip_take(v, word);
}

static uint64_t
find_fingerprint(const struct seen *seen, const char *first,
    const char *second)
{
	uint64_t v[4], fingerprint;

	sip_start(v, seen->key);
	sip_string(v, first);
	sip_string(v, second);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	fingerprint = v[0] ^ v[1] ^ v[2] ^ v[3];
	return fingerprint != 0 ? fingerprint : 1;
}

/* Where the fingerprint stands, or the empty place where it would. */
static size_t
find_place(const struct generation *generation, uint64_t fingerprint)
{
	size_t mask = generation->capacity - 1;
	size_t at = (size_t)fingerprint & mask;

	while (generation->places[at] != 0 &&
	    generation->places[at] != fingerprint)
		at = (at + 1) & mask;
	return at;
}

static bool
has(const struct generation *generation, uint64_t fingerprint)
{
	return generation->capacity > 0 && generation->places[
	    find_place(generation, fingerprint)] == fingerprint;
}

static void
grow(struct generation *generation)
{
	struct generation larger = {
		.capacity = generation->capacity > 0 ?
		    generation->capacity * 2 : CAPACITY_LEAST,
		.count = generation->count,
		.since_s = generation->since_s,
	};

	larger.places = xcalloc(larger.capacity, sizeof *larger.places);
	for (size_t i = 0; i < generation->capacity; i++)
		if (generation->places[i] != 0)
			larger.places[find_place(&larger,
			    generation->places[i])] = generation->places[i];
	free(generation->places);
	*generation = larger;
}

static void
add(struct generation *generation, uint64_t fingerprint)
{
	if ((generation->count + 1) * 2 > generation->capacity)
		grow(generation);
	generation->places[find_place(generation, fingerprint)] = fingerprint;
	generation->count++;
}

/* Take it out; those behind it move up, so that they are still found. */
static void
take_out(struct generation *generation, uint64_t fingerprint)
{
	size_t mask = generation->capacity - 1, at;

	if (!has(generation, fingerprint))
		return;
	at = find_place(generation, fingerprint);
	generation->places[at] = 0;
	generation->count--;
	for (at = (at + 1) & mask; generation->places[at] != 0;
	    at = (at + 1) & mask) {
		uint64_t moved = generation->places[at];

		generation->places[at] = 0;
		generation->places[find_place(generation, moved)] = moved;
	}
}

static void
change_generation(struct seen *seen, int64_t now_s)
{
	if (seen->young.count > 0 && seen->young.count < seen->most &&
	    now_s - seen->young.since_s < seen->span_s)
		return;
	if (seen->young.count == 0) {
		seen->young.since_s = now_s;
		return;
	}
	free(seen->old.places);
	seen->old = seen->young;
	seen->young = (struct generation){ .since_s = now_s };
}

bool
seen_has(const struct seen *seen, const char *first, const char *second)
{
	uint64_t fingerprint = find_fingerprint(seen, first, second);

	return has(&seen->young, fingerprint) || has(&seen->old, fingerprint);
}

bool
seen_note(struct seen *seen, const char *first, const char *second,
    int64_t now_s)
{
	uint64_t fingerprint = find_fingerprint(seen, first, second);

	change_generation(seen, now_s);
	if (has(&seen->young, fingerprint) || has(&seen->old, fingerprint))
		return true;
	add(&seen->young, fingerprint);
	return false;
}

void
seen_forget(struct seen *seen, const char *first, const char *second)
{
	uint64_t fingerprint = find_fingerprint(seen, first, second);

	take_out(&seen->young, fingerprint);
	take_out(&seen->old, fingerprint);
}
