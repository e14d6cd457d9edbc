/* The hosts that files may come from and that may see the token. */
#ifndef ATTACH_FETCH_HOSTS_H
#define ATTACH_FETCH_HOSTS_H

#include <stddef.h>

/* Slack's file hosts and all hosts below them. */
#define HOSTS_OF_SLACK ".slack.com,.slack-files.com,.slack-edge.com"

struct hosts;

struct hosts *hosts_new(void);
void hosts_free(struct hosts *hosts);

/*
 * Add a list such as `files.example.com,.example.org,10.0.0.1:8443`: a name, or
 * with a dot in front a name and all below it; port 443 where none is given.
 * Returns 0, or -1 where the list is not of that form.
 */
int hosts_add(struct hosts *hosts, const char *list);

/* The same for plain http (port 80 where none is given): for tests. */
int hosts_add_insecure(struct hosts *hosts, const char *list);

/*
 * Check where an URL leads. Returns it in the form that is to be requested,
 * which the caller frees, or NULL with the reason, which names the host only.
 */
char *hosts_check(const struct hosts *hosts, const char *url, char *reason,
    size_t reason_size);

#endif
