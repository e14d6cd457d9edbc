#include "summary.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define ROWS_MAX 15
#define NAME_WIDTH 28

struct row {
	const char *name;
	int64_t count;
};

struct rows {
	struct row list[TALLY_NAMES_MAX + 1];
	size_t count;
};

static void
add_row(const char *name, int64_t count, void *arg)
{
	struct rows *rows = arg;

	rows->list[rows->count++] = (struct row){ name, count };
}

static int
compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return a->count < b->count ? 1 : a->count > b->count ? -1 : 0;
}

/* Would a terminal do something instead of showing it? C0, C1, bidi marks. */
static bool
is_command(const char *character, size_t width)
{
	const unsigned char *at = (const unsigned char *)character;

	if (width == 1)
		return at[0] < 0x20 || at[0] == 0x7f;
	if (width == 2)
		return at[0] == 0xc2 && at[1] < 0xa0;
	return width == 3 && at[0] == 0xe2 &&
	    ((at[1] == 0x80 && (at[2] == 0x8e || at[2] == 0x8f ||
	    (at[2] >= 0xaa && at[2] <= 0xae))) ||
	    (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9));
}

/* Names are strangers' words: what is no print on a terminal becomes '?'. */
static void
print_name(const char *name, FILE *stream)
{
	int columns = 0;
	size_t left = strlen(name);

	for (; left > 0 && columns < NAME_WIDTH; columns++) {
		size_t width = utf8_character(name, left);

		if (width == 0 || is_command(name, width))
			fputc('?', stream);
		else
			fwrite(name, 1, width, stream);
		width = width > 0 ? width : 1;
		name += width;
		left -= width;
	}
	fprintf(stream, "%*s", NAME_WIDTH - columns, "");
}

static void
print_row(const char *name, int64_t count, FILE *stream)
{
	fputs("  ", stream);
	print_name(name, stream);
	fprintf(stream, " %10" PRId64 "\n", count);
}

static void
print_tally(const char *heading, const struct tally *tally, FILE *stream)
{
	struct rows rows = { .count = 0 };

	tally_visit(tally, add_row, &rows);
	if (rows.count == 0)
		return;
	qsort(rows.list, rows.count, sizeof rows.list[0], compare_rows);
	fprintf(stream, "%s\n", heading);
	for (size_t i = 0; i < rows.count && i < ROWS_MAX; i++)
		print_row(rows.list[i].name, rows.list[i].count, stream);
	if (rows.count > ROWS_MAX)
		fprintf(stream, "  and %zu more\n", rows.count - ROWS_MAX);
}

static void
print_latency(const struct latency *latency, FILE *stream)
{
	if (latency->count == 0)
		return;
	fprintf(stream, "time in the pipeline, ms\n"
	    "  p50 %.3f   p99 %.3f   max %.3f\n",
	    (double)latency_quantile(latency, 0.50) / 1000,
	    (double)latency_quantile(latency, 0.99) / 1000,
	    (double)latency->max_us / 1000);
}

void
summary_print(const struct counters *counters, double seconds, FILE *stream)
{
	fputs("records\n", stream);
	print_row("all", counters->records, stream);
	print_row("messages", counters->messages, stream);
	print_row("with an error", counters->errors, stream);
	print_row("bytes of text and files", counters->bytes_scanned, stream);
	if (seconds > 0)
		fprintf(stream, "  %-*s %10.0f\n", NAME_WIDTH, "per second",
		    (double)counters->records / seconds);
	print_tally("classes", counters->classes, stream);
	print_tally("types", counters->types, stream);
	print_tally("channels", counters->channels, stream);
	print_tally("patterns", counters->patterns, stream);
	print_tally("attachments", counters->attachments, stream);
	print_tally("deliveries", counters->deliveries, stream);
	print_tally("errors on the way to Slack", counters->external, stream);
	print_latency(&counters->latency, stream);
}
