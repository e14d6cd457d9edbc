#include "file_scan.h"

#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "archive_kind.h"
#include "buffer.h"
#include "content.h"
#include "mapped_file.h"
#include "memory.h"
#include "utf16.h"
#include "utf8.h"

#define CHUNK_BYTES 65536
#define NAME_BYTES_MAX 200		/* of an entry, in `where` */
#define REASON_BYTES_MAX 120
#define MIB (1024 * 1024)

struct file_scan {
	struct file_options options;
	struct text_scan *text;
	struct findings *findings;

	uint64_t bytes_left;	/* to unpack, of the record at hand */

	/* of the file at hand */
	struct buffer where;
	uint64_t entries_left;
	bool is_over;		/* a limit was hit: leave all its archives */

	struct utf16 utf16;
	struct buffer converted;
	char chunk[CHUNK_BYTES];
};

/* An archive that is being unpacked, the entry at hand, and how deep it is. */
struct layer {
	struct archive *archive;
	unsigned depth;
	bool is_compressed;	/* one file without a name of its own */
};

static void scan_bytes(struct file_scan *scan, const char *bytes,
    size_t length, unsigned depth);

struct file_scan *
file_scan_new(const struct file_options *options, struct text_scan *text)
{
	struct file_scan *scan = xcalloc(1, sizeof *scan);

	scan->options = *options;
	scan->text = text;
	return scan;
}

void
file_scan_free(struct file_scan *scan)
{
	if (scan == NULL)
		return;
	buffer_free(&scan->where);
	buffer_free(&scan->converted);
	free(scan);
}

/* The place that a limit is reported for, if it is still going to be. */
static size_t
keep_where(struct file_scan *scan)
{
	return findings_are_full(scan->findings) ? 0
	    : findings_string(scan->findings, scan->where.data,
	    scan->where.length);
}

static void
add_limit(struct file_scan *scan, const char *reason)
{
	findings_add_limit(scan->findings, NULL, keep_where(scan), "%s",
	    reason);
}

/* libarchive's reason may quote the archive: nothing but printable text. */
static void
add_archive_error(struct file_scan *scan, struct archive *archive)
{
	const char *reason = archive_error_string(archive);
	char cleaned[REASON_BYTES_MAX + 1];
	size_t length = 0;

	if (reason == NULL)
		reason = "unreadable";
	for (; reason[length] != '\0' && length < REASON_BYTES_MAX; length++)
		cleaned[length] = (unsigned char)reason[length] < 0x20 ||
		    (unsigned char)reason[length] > 0x7e ? ' '
		    : reason[length];
	cleaned[length] = '\0';
	findings_add_limit(scan->findings, NULL, keep_where(scan),
	    "archive: %s", cleaned);
}

static void
add_size_limit(struct file_scan *scan)
{
	uint64_t bytes = scan->options.archive_bytes;

	findings_add_limit(scan->findings, NULL, keep_where(scan),
	    "archive larger than %" PRIu64 " %s unpacked",
	    bytes % MIB == 0 ? bytes / MIB : bytes,
	    bytes % MIB == 0 ? "MiB" : "bytes");
	scan->is_over = true;
}

static bool
is_wanted(const struct file_scan *scan, enum content content)
{
	return content != CONTENT_BINARY || scan->options.binary;
}

static void
open_text(struct file_scan *scan, enum content content)
{
	scan->utf16 = (struct utf16){
		.is_big_endian = content == CONTENT_UTF16_BE
	};
	text_scan_open(scan->text, IN_FILES, scan->where.data,
	    scan->where.length);
}

static void
feed_text(struct file_scan *scan, enum content content, const char *bytes,
    size_t length)
{
	if (content == CONTENT_TEXT || content == CONTENT_BINARY) {
		text_scan_feed(scan->text, bytes, length);
		return;
	}
	scan->converted.length = 0;
	utf16_decode(&scan->utf16, bytes, length, &scan->converted);
	text_scan_feed(scan->text, scan->converted.data,
	    scan->converted.length);
}

static void
close_text(struct file_scan *scan)
{
	scan->converted.length = 0;
	utf16_end(&scan->utf16, &scan->converted);
	text_scan_feed(scan->text, scan->converted.data,
	    scan->converted.length);
	text_scan_close(scan->text);
}

/* A text in memory; only UTF-16 needs to be copied. */
static void
scan_text(struct file_scan *scan, const char *bytes, size_t length)
{
	enum content content = content_find(bytes, length);
	size_t mark = content_mark(bytes, length);

	if (!is_wanted(scan, content))
		return;
	bytes += mark;
	length -= mark;
	open_text(scan, content);
	if (content == CONTENT_TEXT || content == CONTENT_BINARY)
		text_scan_whole(scan->text, bytes, length);
	else
		for (size_t at = 0; at < length; at += CHUNK_BYTES)
			feed_text(scan, content, bytes + at,
			    length - at < CHUNK_BYTES ? length - at
			    : CHUNK_BYTES);
	close_text(scan);
}

/* Read on in the entry until the chunk is full; less at its end only. */
static size_t
read_entry(struct file_scan *scan, struct layer *layer, char *bytes,
    size_t size)
{
	size_t length = 0;
	ssize_t count;

	while (!scan->is_over && length < size) {
		count = archive_read_data(layer->archive, bytes + length,
		    size - length);
		if (count < 0)
			add_archive_error(scan, layer->archive);
		if (count <= 0)
			break;
		if ((uint64_t)count > scan->bytes_left) {
			count = (ssize_t)scan->bytes_left;
			add_size_limit(scan);
		}
		scan->bytes_left -= (uint64_t)count;
		length += (size_t)count;
	}
	return length;
}

/*
 * The entry is a text or binary. What is not wanted is read all the same: if
 * libarchive passed over it, nobody would count what it unpacks.
 */
static void
scan_entry_text(struct file_scan *scan, struct layer *layer, size_t length)
{
	enum content content = content_find(scan->chunk, length);
	size_t mark = content_mark(scan->chunk, length);
	bool wanted = is_wanted(scan, content);

	if (wanted)
		open_text(scan, content);
	while (length > 0) {
		if (wanted)
			feed_text(scan, content, scan->chunk + mark,
			    length - mark);
		mark = 0;
		if (length < CHUNK_BYTES)
			break;
		length = read_entry(scan, layer, scan->chunk, CHUNK_BYTES);
	}
	if (wanted)
		close_text(scan);
}

/* The entry is an archive: unpack it to memory, bounded as all the rest. */
static void
scan_entry_archive(struct file_scan *scan, struct layer *layer, size_t length)
{
	struct buffer inner = { 0 };

	while (length > 0) {
		buffer_append(&inner, scan->chunk, length);
		if (length < CHUNK_BYTES)
			break;
		length = read_entry(scan, layer, scan->chunk, CHUNK_BYTES);
	}
	if (!scan->is_over)
		scan_bytes(scan, inner.data, inner.length, layer->depth);
	buffer_free(&inner);
}

static void
append_name(struct file_scan *scan, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname_utf8(entry);

	if (name == NULL)
		name = archive_entry_pathname(entry);
	if (name == NULL)
		name = "?";
	size_t length = strlen(name);
	if (length > NAME_BYTES_MAX)
		length = utf8_floor(name, NAME_BYTES_MAX);
	buffer_append(&scan->where, "!", 1);
	buffer_append(&scan->where, name, length);
}

static void
scan_entry(struct file_scan *scan, struct layer *layer,
    struct archive_entry *entry)
{
	size_t where = scan->where.length;

	/* libarchive fails on some empty entries */
	if (archive_entry_size_is_set(entry) && archive_entry_size(entry) == 0)
		return;
	if (!layer->is_compressed)
		append_name(scan, entry);
	size_t length = read_entry(scan, layer, scan->chunk, CHUNK_BYTES);
	if (archive_kind_find(scan->chunk, length) != NULL)
		scan_entry_archive(scan, layer, length);
	else
		scan_entry_text(scan, layer, length);
	scan->where.length = where;
}

/* Step to the next entry; false at the end, or where no more can be read. */
static bool
read_header(struct file_scan *scan, struct layer *layer,
    struct archive_entry **entry)
{
	int result = archive_read_next_header(layer->archive, entry);

	if (result == ARCHIVE_EOF || scan->is_over)
		return false;
	if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
		add_archive_error(scan, layer->archive);
		return false;
	}
	if (scan->entries_left == 0) {
		findings_add_limit(scan->findings, NULL, keep_where(scan),
		    "archive has more than %" PRIu64 " entries",
		    scan->options.archive_entries);
		scan->is_over = true;
		return false;
	}
	scan->entries_left--;
	/* headers are unpacked, too, and can be large */
	if ((uint64_t)archive_filter_bytes(layer->archive, 0) / 2 >
	    scan->options.archive_bytes)
		add_size_limit(scan);
	return !scan->is_over;
}

/* Open an archive in memory as what it is; the caller frees it in any case. */
static int
open_archive(struct layer *layer, const struct archive_kind *format,
    const struct archive_kind *filter, const char *bytes, size_t length)
{
	layer->archive = archive_read_new();
	if (layer->archive == NULL)
		abort();
	if (filter != NULL && filter->filter(layer->archive) != ARCHIVE_OK)
		return -1;
	if ((format != NULL ? format->format(layer->archive)
	    : archive_read_support_format_raw(layer->archive)) != ARCHIVE_OK)
		return -1;
	layer->is_compressed = format == NULL;
	return archive_read_open_memory(layer->archive, bytes, length) ==
	    ARCHIVE_OK ? 0 : -1;
}

/* What is compressed may be an archive as a whole, as in .tar.gz. */
static const struct archive_kind *
find_format(const struct archive_kind *filter, const char *bytes,
    size_t length)
{
	struct layer layer = { 0 };
	struct archive_entry *entry;
	char head[ARCHIVE_HEAD_BYTES];
	ssize_t count = -1;

	if (open_archive(&layer, NULL, filter, bytes, length) == 0 &&
	    archive_read_next_header(layer.archive, &entry) >= ARCHIVE_WARN)
		count = archive_read_data(layer.archive, head, sizeof head);
	archive_read_free(layer.archive);
	const struct archive_kind *kind = count > 0
	    ? archive_kind_find(head, (size_t)count) : NULL;
	bool is_stream = kind != NULL && kind->format != NULL &&
	    (strcmp(kind->name, "tar") == 0 || strcmp(kind->name, "cpio") == 0);
	return is_stream ? kind : NULL;
}

static void
unpack(struct file_scan *scan, const struct archive_kind *kind,
    const char *bytes, size_t length, unsigned depth)
{
	const struct archive_kind *format = kind, *filter = NULL;
	struct layer layer = { .depth = depth };
	struct archive_entry *entry;

	if (kind->filter != NULL) {
		filter = kind;
		format = find_format(kind, bytes, length);
	}
	if (open_archive(&layer, format, filter, bytes, length) == -1)
		add_archive_error(scan, layer.archive);
	else
		while (read_header(scan, &layer, &entry))
			scan_entry(scan, &layer, entry);
	archive_read_free(layer.archive);
}

/* depth: how many archives these bytes are in. */
static void
scan_bytes(struct file_scan *scan, const char *bytes, size_t length,
    unsigned depth)
{
	const struct archive_kind *kind = archive_kind_find(bytes, length);

	if (kind == NULL)
		scan_text(scan, bytes, length);
	else if (kind->format == NULL && kind->filter == NULL)
		findings_add_limit(scan->findings, NULL, keep_where(scan),
		    "archive: %s is not unpacked", kind->name);
	else if (depth == scan->options.archive_depth)
		findings_add_limit(scan->findings, NULL, keep_where(scan),
		    "archives nested deeper than %u", depth);
	else
		unpack(scan, kind, bytes, length, depth + 1);
}

static void
name_file(struct file_scan *scan, const char *file)
{
	size_t length = strlen(file);

	scan->where.length = 0;
	buffer_append_string(&scan->where, "file:");
	buffer_append(&scan->where, file, length > NAME_BYTES_MAX
	    ? utf8_floor(file, NAME_BYTES_MAX) : length);
}

void
file_scan_begin(struct file_scan *scan)
{
	scan->bytes_left = scan->options.archive_bytes;
}

void
file_scan_spooled(struct file_scan *scan, const char *file, const char *path,
    struct findings *findings)
{
	struct mapped_file spooled;
	const char *reason;

	scan->findings = findings;
	scan->entries_left = scan->options.archive_entries;
	scan->is_over = false;
	name_file(scan, file);
	if (mapped_file_open(scan->options.spool, path, &spooled, &reason) == -1) {
		findings_add_limit(findings, NULL, keep_where(scan),
		    "not read: %s", reason);
		return;
	}
	if (spooled.length > 0)
		scan_bytes(scan, spooled.bytes, spooled.length, 0);
	if (mapped_file_close(&spooled) == -1)
		add_limit(scan, "the file became shorter while it was read");
}
