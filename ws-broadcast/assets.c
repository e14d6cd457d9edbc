#include "assets.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "memory.h"

#define ASSET_BYTES_MAX (8 * 1024 * 1024)
#define ASSETS_MAX 200

struct assets {
	struct asset list[ASSETS_MAX];
	size_t count;
};

/* The content type for a name, or NULL where browsers have no use for it. */
static const char *
find_type(const char *name)
{
	static const struct {
		const char *suffix;
		const char *type;
	} known[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".json", "application/json" },
		{ ".svg", "image/svg+xml" },
		{ ".ico", "image/x-icon" },
	};
	const char *suffix = strrchr(name, '.');

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (suffix != NULL && suffix != name &&
		    strcmp(suffix, known[i].suffix) == 0)
			return known[i].type;
	return NULL;
}

static void
set_etag(struct asset *asset)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)asset->content, asset->length, hash);
	snprintf(asset->etag, sizeof asset->etag,
	    "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", hash[0], hash[1], hash[2],
	    hash[3], hash[4], hash[5], hash[6], hash[7]);
}

/* Read the open file; a file that shrinks meanwhile is taken as it is now. */
static void
read_content(struct asset *asset, int fd, size_t length)
{
	asset->content = xmalloc(length);
	while (asset->length < length) {
		ssize_t count = read(fd, asset->content + asset->length,
		    length - asset->length);

		if (count == -1)
			err(EX_CONFIG, "read %s", asset->name);
		if (count == 0)
			break;
		asset->length += (size_t)count;
	}
}

static void
load_file(struct assets *assets, int folder, const char *name)
{
	struct asset asset = { .type = find_type(name) };
	struct stat status;

	if (asset.type == NULL)
		return;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &status) == -1)
		err(EX_CONFIG, "read %s", name);
	if (!S_ISREG(status.st_mode)) {
		close(fd);
		return;
	}
	if (assets->count == ASSETS_MAX || status.st_size > ASSET_BYTES_MAX)
		errx(EX_CONFIG, "%s: too big, or too many files beside it",
		    name);
	asset.name = xstrdup(name);
	read_content(&asset, fd, (size_t)status.st_size);
	close(fd);
	set_etag(&asset);
	assets->list[assets->count++] = asset;
}

struct assets *
assets_load(const char *folder)
{
	struct assets *assets = xcalloc(1, sizeof *assets);
	const struct dirent *entry;
	DIR *stream = opendir(folder);

	if (stream == NULL)
		err(EX_CONFIG, "read the dashboard's folder %s", folder);
	while ((entry = readdir(stream)) != NULL)
		load_file(assets, dirfd(stream), entry->d_name);
	closedir(stream);
	if (assets_find(assets, "index.html") == NULL)
		errx(EX_CONFIG, "no dashboard in %s: index.html is missing",
		    folder);
	return assets;
}

void
assets_free(struct assets *assets)
{
	if (assets == NULL)
		return;
	for (size_t i = 0; i < assets->count; i++) {
		free(assets->list[i].name);
		free(assets->list[i].content);
	}
	free(assets);
}

const struct asset *
assets_find(const struct assets *assets, const char *name)
{
	for (size_t i = 0; i < assets->count; i++)
		if (strcmp(assets->list[i].name, name) == 0)
			return &assets->list[i];
	return NULL;
}
