/* A ws:// or wss:// URL in its parts. */
#ifndef SLACK_READER_LINK_URL_H
#define SLACK_READER_LINK_URL_H

#include <stdbool.h>

#define LINK_HOST_MAX 100	/* libwebsockets cuts off longer ones */
#define LINK_PATH_MAX 2000	/* and writes longer ones behind its buffer */

struct link_url {
	bool is_secure;
	int port;
	char host[LINK_HOST_MAX + 1];		/* without brackets */
	char authority[LINK_HOST_MAX + 16];	/* with a port like 8443 */
	char path[LINK_PATH_MAX + 1];		/* and query: a secret */
};

/* Returns 0, or -1 where it is no URL that we would connect to. */
int link_url_parse(struct link_url *url, const char *text);

/* Overwrite the secret. */
void link_url_clear(struct link_url *url);

#endif
