/* Who is at the other end of a connection. */
#ifndef WS_BROADCAST_PEER_H
#define WS_BROADCAST_PEER_H

#include <stdint.h>
#include <sys/socket.h>

/*
 * A number that stands for the peer: an IPv4 address, or the /64 network of an
 * IPv6 one, for whoever has one of its addresses may have all of them.
 */
uint64_t peer_network(const struct sockaddr_storage *peer);

#endif
