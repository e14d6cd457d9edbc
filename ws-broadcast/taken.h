/* The ids of messages that were taken lately: of those the outbox may not know
 * yet. */
#ifndef WS_BROADCAST_TAKEN_H
#define WS_BROADCAST_TAKEN_H

#include <stdint.h>

#include "uuid.h"

#define TAKEN_MAX 16384

struct taken;

struct taken *taken_new(void);
void taken_free(struct taken *taken);

/* The oldest one makes room. */
void taken_add(struct taken *taken, const struct uuid *id, int64_t us);

/* When that was taken, in microseconds since 1970; 0: it was not, lately. */
int64_t taken_find(const struct taken *taken, const struct uuid *id);

#endif
