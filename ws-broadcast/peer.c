#include "peer.h"

#include <netinet/in.h>
#include <stddef.h>

uint64_t
peer_network(const struct sockaddr_storage *peer)
{
	const struct sockaddr_in *inet = (const void *)peer;
	const struct sockaddr_in6 *inet6 = (const void *)peer;
	const unsigned char *bytes = inet6->sin6_addr.s6_addr;
	uint64_t network = 0;

	if (peer->ss_family == AF_INET)
		return ntohl(inet->sin_addr.s_addr);
	if (IN6_IS_ADDR_V4MAPPED(&inet6->sin6_addr))
		bytes += 8;
	for (size_t i = 0; i < sizeof network; i++)
		network = network << 8 | bytes[i];
	return network;
}
