#include "journal_scan.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "line_reader.h"
#include "memory.h"

struct journal_scan {
	int fd;
	char name[JOURNAL_NAME_BYTES];
	struct line_reader *reader;
	struct record *record;
	int64_t position;	/* behind the last line */
};

struct journal_scan *
journal_scan_new(const struct journal_folder *folder, size_t file,
    struct record *record)
{
	const struct journal_file *from = &folder->files[file];
	int fd = journal_folder_open_file(folder, from->name, O_RDONLY);
	struct journal_scan *scan;

	if (fd == -1)
		return NULL;
	scan = xcalloc(1, sizeof *scan);
	scan->fd = fd;
	memcpy(scan->name, from->name, sizeof scan->name);
	scan->reader = line_reader_new(fd, RECORD_BYTES_MAX);
	scan->record = record;
	return scan;
}

void
journal_scan_free(struct journal_scan *scan)
{
	if (scan == NULL)
		return;
	line_reader_free(scan->reader);
	close(scan->fd);
	free(scan);
}

int64_t
journal_parse_line(struct record *record, const char *text, size_t length)
{
	int64_t seq;

	if (record_parse(record, text, length) == -1 ||
	    !record_integer(record, RECORD_SEQ, &seq) || seq < 1 ||
	    seq > JOURNAL_SEQ_MAX)
		return 0;
	return seq;
}

static void
fill(struct journal_scan *scan)
{
	if (line_reader_fill(scan->reader) == -1 && errno != EINTR)
		err(EX_IOERR, "journal: read %s", scan->name);
}

bool
journal_scan_next(struct journal_scan *scan, struct journal_line *line)
{
	struct line text;

	while (!line_reader_next(scan->reader, &text)) {
		if (line_reader_at_end(scan->reader))
			return false;
		fill(scan);
	}
	line->start = scan->position;
	line->end = line->start + (int64_t)text.total + 1;
	line->seq = text.length < text.total ? 0 :
	    journal_parse_line(scan->record, text.text, text.length);
	scan->position = line->end;
	return true;
}

bool
journal_scan_next_record(struct journal_scan *scan, struct journal_line *line)
{
	while (journal_scan_next(scan, line))
		if (line->seq != 0)
			return true;
	return false;
}
