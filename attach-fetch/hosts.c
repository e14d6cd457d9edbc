#include "hosts.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "memory.h"

#define NAME_BYTES 256		/* a DNS name has 253 characters at most */

struct host {
	struct host *next;
	const char *scheme;
	char name[NAME_BYTES];	/* with a dot in front: all below it, too */
	char port[6];
};

struct hosts {
	struct host *first;
};

/* What counts of an URL. */
struct target {
	char *scheme;
	char *name;
	char *port;
	char *user;
};

struct hosts *
hosts_new(void)
{
	return xcalloc(1, sizeof(struct hosts));
}

void
hosts_free(struct hosts *hosts)
{
	if (hosts == NULL)
		return;
	while (hosts->first != NULL) {
		struct host *next = hosts->first->next;

		free(hosts->first);
		hosts->first = next;
	}
	free(hosts);
}

static bool
is_port(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= 5 &&
	    strspn(text, "0123456789") == length &&
	    atoi(text) > 0 && atoi(text) <= 65535;
}

static bool
is_host_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < NAME_BYTES && strcmp(name, ".") != 0 &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == length;
}

static int
add_host(struct hosts *hosts, const char *scheme, const char *name,
    const char *port)
{
	if (!is_host_name(name) || !is_port(port))
		return -1;

	struct host *host = xcalloc(1, sizeof *host);
	host->scheme = scheme;
	snprintf(host->name, sizeof host->name, "%s", name);
	snprintf(host->port, sizeof host->port, "%s", port);
	host->next = hosts->first;
	hosts->first = host;
	return 0;
}

static int
add_list(struct hosts *hosts, const char *scheme, const char *default_port,
    const char *list)
{
	char *copy = xstrdup(list), *rest = copy, *name;
	int status = 0;

	while (status == 0 && (name = strsep(&rest, ",")) != NULL) {
		char *colon = strchr(name, ':');

		if (colon != NULL)
			*colon = '\0';
		status = add_host(hosts, scheme, name,
		    colon != NULL ? colon + 1 : default_port);
	}
	free(copy);
	return status;
}

int
hosts_add(struct hosts *hosts, const char *list)
{
	return add_list(hosts, "https", "443", list);
}

int
hosts_add_insecure(struct hosts *hosts, const char *list)
{
	return add_list(hosts, "http", "80", list);
}

static bool
is_name_of(const struct host *host, const char *name)
{
	size_t length = strlen(name), suffix = strlen(host->name);

	if (host->name[0] != '.')
		return strcasecmp(name, host->name) == 0;
	return strcasecmp(name, host->name + 1) == 0 || (length > suffix &&
	    strcasecmp(name + length - suffix, host->name) == 0);
}

static bool
is_allowed(const struct hosts *hosts, const struct target *target)
{
	for (const struct host *host = hosts->first; host != NULL;
	    host = host->next)
		if (strcmp(host->scheme, target->scheme) == 0 &&
		    strcmp(host->port, target->port) == 0 &&
		    is_name_of(host, target->name))
			return true;
	return false;
}

static void
check_target(const struct hosts *hosts, const struct target *target,
    char *reason, size_t reason_size)
{
	if (target->scheme == NULL || target->name == NULL ||
	    target->port == NULL)
		snprintf(reason, reason_size, "not a usable URL");
	else if (target->user != NULL)
		snprintf(reason, reason_size, "URL with a user name");
	else if (!is_allowed(hosts, target))
		snprintf(reason, reason_size,
		    "%s://%.64s:%s is not in the list of allowed hosts",
		    target->scheme, target->name, target->port);
}

static void
read_target(CURLU *url, struct target *target)
{
	curl_url_get(url, CURLUPART_SCHEME, &target->scheme, 0);
	curl_url_get(url, CURLUPART_HOST, &target->name, 0);
	curl_url_get(url, CURLUPART_PORT, &target->port, CURLU_DEFAULT_PORT);
	curl_url_get(url, CURLUPART_USER, &target->user, 0);
}

static void
release_target(struct target *target)
{
	curl_free(target->scheme);
	curl_free(target->name);
	curl_free(target->port);
	curl_free(target->user);
}

/*
 * The request is made with the text that comes out here, so that what was
 * checked and what is connected to cannot be two readings of one URL.
 */
char *
hosts_check(const struct hosts *hosts, const char *url, char *reason,
    size_t reason_size)
{
	struct target target = { 0 };
	char *text = NULL, *checked = NULL;
	CURLU *parsed = curl_url();

	reason[0] = '\0';
	if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url,
	    CURLU_URLENCODE) == CURLUE_OK) {
		curl_url_set(parsed, CURLUPART_FRAGMENT, NULL, 0);
		read_target(parsed, &target);
	}
	check_target(hosts, &target, reason, reason_size);
	if (reason[0] == '\0' && curl_url_get(parsed, CURLUPART_URL, &text,
	    0) == CURLUE_OK)
		checked = xstrdup(text);
	curl_free(text);
	release_target(&target);
	curl_url_cleanup(parsed);
	return checked;
}
