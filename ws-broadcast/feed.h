/* What viewers are shown: each line goes into the ring and on to standard
 * output. */
#ifndef WS_BROADCAST_FEED_H
#define WS_BROADCAST_FEED_H

#include <stdbool.h>

#include "downstream.h"
#include "intake.h"
#include "ring.h"

struct feed;

/*
 * Both are borrowed. With skips_repeats a record whose seq is not above all
 * before is passed on but not shown a second time (law 4: a reader that was
 * started again may send it twice).
 */
struct feed *feed_new(struct ring *ring, struct downstream *downstream,
    bool skips_repeats);
void feed_free(struct feed *feed);

/* Takes the lines of the input; valid as long as feed is. */
struct taker feed_taker(struct feed *feed);

#endif
