/*
 * Archives and compressed files, told from their first bytes. libarchive is
 * then asked to read exactly that, so it never takes a text for an archive.
 */
#ifndef SCANNER_ARCHIVE_KIND_H
#define SCANNER_ARCHIVE_KIND_H

#include <stdbool.h>
#include <stddef.h>

#define ARCHIVE_HEAD_BYTES 512		/* that tell the kind */

struct archive;

/*
 * What libarchive is told to support: `format` for an archive, `filter` for a
 * compressed file. Neither: a kind that is not unpacked.
 */
struct archive_kind {
	const char *name;
	bool (*fits)(const char *head, size_t length);
	int (*format)(struct archive *archive);
	int (*filter)(struct archive *archive);
};

/* The kind of archive that starts so, or NULL. */
const struct archive_kind *archive_kind_find(const char *head, size_t length);

#endif
