/* Who subscribed to what, in UltronEx's form. */
#ifndef WS_BROADCAST_TRACK_H
#define WS_BROADCAST_TRACK_H

#include "buffer.h"

/*
 * Append {"TERM":"U1, U2"} of the forwards in the file of subscriptions(5), or
 * {"msg":...} where there are none, no file, or NULL. Returns 0, or -1 with
 * errno set where the file can't be read.
 */
int track_append(struct buffer *json, const char *path);

#endif
