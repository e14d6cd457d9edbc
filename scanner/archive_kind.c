#include "archive_kind.h"

#include <archive.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TAR_HEADER_BYTES 512
#define TAR_SUM 148		/* where the checksum stands in a tar header */
#define TAR_SUM_BYTES 8
#define CPIO_HEADER_BYTES 76

static bool
starts_with(const char *head, size_t length, const char *magic, size_t size)
{
	return length >= size && memcmp(head, magic, size) == 0;
}

static bool
is_gzip(const char *head, size_t length)
{
	return starts_with(head, length, "\x1f\x8b\x08", 3);
}

static bool
is_zip(const char *head, size_t length)
{
	return starts_with(head, length, "PK\x03\x04", 4) ||
	    starts_with(head, length, "PK\x05\x06", 4) ||
	    starts_with(head, length, "PK00PK\x03\x04", 8);
}

static bool
is_bzip2(const char *head, size_t length)
{
	return length >= 10 && memcmp(head, "BZh", 3) == 0 &&
	    head[3] >= '1' && head[3] <= '9' &&
	    (memcmp(head + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
	    memcmp(head + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static bool
is_xz(const char *head, size_t length)
{
	return starts_with(head, length, "\xfd" "7zXZ\0", 6);
}

static bool
is_zstd(const char *head, size_t length)
{
	return starts_with(head, length, "\x28\xb5\x2f\xfd", 4);
}

static bool
is_lz4(const char *head, size_t length)
{
	return starts_with(head, length, "\x04\x22\x4d\x18", 4);
}

static bool
is_lzip(const char *head, size_t length)
{
	return starts_with(head, length, "LZIP\x01", 5);
}

static bool
is_compress(const char *head, size_t length)
{
	return starts_with(head, length, "\x1f\x9d", 2);
}

static bool
is_7zip(const char *head, size_t length)
{
	return starts_with(head, length, "7z\xbc\xaf\x27\x1c", 6);
}

/* The sum of the header's bytes, those of the sum itself taken as blanks. */
static bool
is_tar(const char *head, size_t length)
{
	unsigned long sum = 0;
	char field[TAR_SUM_BYTES + 1] = "", *end;

	if (length < TAR_HEADER_BYTES || head[0] == '\0')
		return false;
	for (size_t i = 0; i < TAR_HEADER_BYTES; i++)
		sum += i >= TAR_SUM && i < TAR_SUM + TAR_SUM_BYTES
		    ? ' ' : (unsigned char)head[i];
	memcpy(field, head + TAR_SUM, TAR_SUM_BYTES);
	return strtoul(field, &end, 8) == sum && end > field;
}

static bool
is_cpio(const char *head, size_t length)
{
	if (length < CPIO_HEADER_BYTES ||
	    (memcmp(head, "070701", 6) != 0 && memcmp(head, "070702", 6) != 0 &&
	    memcmp(head, "070707", 6) != 0))
		return false;
	for (size_t i = 6; i < CPIO_HEADER_BYTES; i++)
		if (!isxdigit((unsigned char)head[i]))
			return false;
	return true;
}

static bool
is_rar(const char *head, size_t length)
{
	return starts_with(head, length, "Rar!\x1a\x07", 6);
}

static bool
is_cab(const char *head, size_t length)
{
	return starts_with(head, length, "MSCF\0\0\0\0", 8);
}

/*
 * Zip is read as a stream, by its local headers: reading its directory first
 * takes memory that the archive's author decides, and its entries may overlap.
 * The readers of rar and cab have a long list of faults behind them.
 */
static const struct archive_kind kinds[] = {
	{ "gzip", is_gzip, NULL, archive_read_support_filter_gzip },
	{ "zip", is_zip, archive_read_support_format_zip_streamable, NULL },
	{ "bzip2", is_bzip2, NULL, archive_read_support_filter_bzip2 },
	{ "xz", is_xz, NULL, archive_read_support_filter_xz },
	{ "zstd", is_zstd, NULL, archive_read_support_filter_zstd },
	{ "lz4", is_lz4, NULL, archive_read_support_filter_lz4 },
	{ "lzip", is_lzip, NULL, archive_read_support_filter_lzip },
	{ "compress", is_compress, NULL, archive_read_support_filter_compress },
	{ "7zip", is_7zip, archive_read_support_format_7zip, NULL },
	{ "tar", is_tar, archive_read_support_format_tar, NULL },
	{ "cpio", is_cpio, archive_read_support_format_cpio, NULL },
	{ "rar", is_rar, NULL, NULL },
	{ "cab", is_cab, NULL, NULL },
};

const struct archive_kind *
archive_kind_find(const char *head, size_t length)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].fits(head, length))
			return &kinds[i];
	return NULL;
}
