#include "link_url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_SECURE 443
#define PORT_PLAIN 80
#define PORT_MAX 65535

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isgraph((unsigned char)*text))
			return false;
	return true;
}

static const char *
skip_scheme(struct link_url *url, const char *text)
{
	url->is_secure = strncasecmp(text, "wss://", 6) == 0;
	url->port = url->is_secure ? PORT_SECURE : PORT_PLAIN;
	if (url->is_secure)
		return text + 6;
	return strncasecmp(text, "ws://", 5) == 0 ? text + 5 : NULL;
}

/* Letters, digits, dots and such; colons in an address of IPv6 only. */
static bool
is_host(const char *host, size_t length, bool is_address)
{
	if (length == 0 || length > LINK_HOST_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)host[i]) &&
		    strchr(is_address ? ":." : "-._", host[i]) == NULL)
			return false;
	return true;
}

/* Returns what stands behind it, or NULL. */
static const char *
take_host(struct link_url *url, const char *text)
{
	bool is_address = *text == '[';
	const char *host = is_address ? text + 1 : text;
	size_t length = strcspn(host, is_address ? "]" : ":/?#");

	if (!is_host(host, length, is_address) ||
	    (is_address && host[length] != ']'))
		return NULL;
	memcpy(url->host, host, length);
	url->host[length] = '\0';
	return host + length + (is_address ? 1 : 0);
}

static const char *
take_port(struct link_url *url, const char *text)
{
	char *end;
	long port;

	if (*text != ':')
		return text;
	if (!isdigit((unsigned char)text[1]))
		return NULL;
	port = strtol(text + 1, &end, 10);
	if (port < 1 || port > PORT_MAX)
		return NULL;
	url->port = (int)port;
	return end;
}

static int
take_path(struct link_url *url, const char *text)
{
	size_t length = strcspn(text, "#");

	if (*text != '\0' && strchr("/?#", *text) == NULL)
		return -1;
	if (length >= LINK_PATH_MAX)
		return -1;
	snprintf(url->path, sizeof url->path, "%s%.*s",
	    *text == '/' ? "" : "/", (int)length, text);
	return 0;
}

static void
write_authority(struct link_url *url)
{
	bool is_address = strchr(url->host, ':') != NULL;
	bool is_usual = url->port == (url->is_secure ? PORT_SECURE
	    : PORT_PLAIN);
	char port[8] = "";

	if (!is_usual)
		snprintf(port, sizeof port, ":%d", url->port);
	snprintf(url->authority, sizeof url->authority, "%s%s%s%s",
	    is_address ? "[" : "", url->host, is_address ? "]" : "", port);
}

int
link_url_parse(struct link_url *url, const char *text)
{
	if (!is_printable(text) ||
	    (text = skip_scheme(url, text)) == NULL ||
	    (text = take_host(url, text)) == NULL ||
	    (text = take_port(url, text)) == NULL ||
	    take_path(url, text) == -1)
		return -1;
	write_authority(url);
	return 0;
}

void
link_url_clear(struct link_url *url)
{
	explicit_bzero(url->path, sizeof url->path);
}
