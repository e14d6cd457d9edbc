#include "scan.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "message_text.h"
#include "text_scan.h"

struct scan {
	struct text_scan *text;
	struct file_scan *files;	/* NULL: not looked through */
	struct buffer collected;
};

/* A part of the record that is text. */
struct part {
	unsigned part;
	const char *where;
	bool (*collect)(struct record *record, struct buffer *text);
};

struct scan *
scan_new(const struct file_options *options, size_t max_matches,
    struct prefilter *prefilter)
{
	struct scan *scan = xcalloc(1, sizeof *scan);

	scan->text = text_scan_new(max_matches, prefilter);
	if (options->spool != NULL)
		scan->files = file_scan_new(options, scan->text);
	return scan;
}

void
scan_free(struct scan *scan)
{
	if (scan == NULL)
		return;
	file_scan_free(scan->files);
	text_scan_free(scan->text);
	buffer_free(&scan->collected);
	free(scan);
}

static void
scan_part(struct scan *scan, const struct part *part, struct record *record,
    struct findings *findings)
{
	scan->collected.length = 0;
	bool is_whole = part->collect(record, &scan->collected);
	if (!is_whole)
		findings_add_limit(findings, NULL, findings_string(findings,
		    part->where, strlen(part->where)),
		    "too long or nested too deep, not all of it was searched");
	if (scan->collected.length == 0)
		return;
	text_scan_open(scan->text, part->part, part->where,
	    strlen(part->where));
	text_scan_whole(scan->text, scan->collected.data,
	    scan->collected.length);
	text_scan_close(scan->text);
}

/* The array, or NULL; one too large to be looked into is not passed over. */
static const cJSON *
find_fetched(struct record *record, struct findings *findings)
{
	const char *bytes;
	size_t length;

	if (record_get(record, RECORD_FETCHED) == NULL &&
	    record_raw(record, RECORD_FETCHED, &bytes, &length))
		findings_add_limit(findings, NULL, findings_string(findings,
		    "files", strlen("files")),
		    "too many values to be looked at");
	return record_array(record, RECORD_FETCHED);
}

static void
scan_files(struct scan *scan, struct record *record, struct occasion *occasion,
    struct findings *findings)
{
	const cJSON *file;
	size_t count = 0;

	file_scan_begin(scan->files);
	cJSON_ArrayForEach(file, find_fetched(record, findings)) {
		const char *status = json_string(file, "status");
		const char *path = json_string(file, "path");
		const char *id = json_string(file, "file");

		if (status == NULL || strcmp(status, "ok") != 0 || path == NULL)
			continue;
		if (count++ == SCAN_FILES_MAX) {
			findings_add_limit(findings, NULL, findings_string(
			    findings, "files", strlen("files")),
			    "more than %d files", SCAN_FILES_MAX);
			return;
		}
		occasion_open_file(occasion, id != NULL ? id : "?");
		file_scan_spooled(scan->files, id != NULL ? id : "?", path,
		    findings);
	}
}

void
scan_record(struct scan *scan, const struct pattern_set *set,
    struct record *record, struct occasion *occasion,
    struct findings *findings)
{
	static const struct part parts[] = {
		{ IN_TEXT, "text", message_text },
		{ IN_ATTACHMENT, "attachment", message_attachments },
		{ IN_PAYLOAD, "payload", message_payload },
	};

	findings_clear(findings);
	text_scan_begin(scan->text, set, occasion, findings);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if ((set->parts & parts[i].part) != 0)
			scan_part(scan, &parts[i], record, findings);
	if ((set->parts & IN_FILES) != 0 && scan->files != NULL)
		scan_files(scan, record, occasion, findings);
}
