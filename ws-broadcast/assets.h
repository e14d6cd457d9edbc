/* The files of the dashboard, read once: nothing else can be asked for. */
#ifndef WS_BROADCAST_ASSETS_H
#define WS_BROADCAST_ASSETS_H

#include <stddef.h>

struct asset {
	char *name;
	const char *type;
	char *content;
	size_t length;
	char etag[20];		/* with its quotes */
};

struct assets;

/*
 * Read the files in the folder whose kind a browser needs; index.html must be
 * one of them. Exits EX_CONFIG where the folder cannot be read.
 */
struct assets *assets_load(const char *folder);
void assets_free(struct assets *assets);

/* The file of that name, or NULL. */
const struct asset *assets_find(const struct assets *assets, const char *name);

#endif
