/*
 * scanner: looks for many patterns in the text, payload, attachments and files
 * of records, and adds what it found as `matches` and whom to tell as `notify`.
 */
#include <err.h>
#include <getopt.h>
#include <locale.h>
#include <sysexits.h>

#include "findings.h"
#include "mapped_file.h"
#include "notify.h"
#include "patterns.h"
#include "prefilter.h"
#include "program.h"
#include "record_loop.h"
#include "scan.h"
#include "signals.h"
#include "subscribers.h"
#include "trial.h"

enum {
	OPT_ENTRIES = 0x100,
	OPT_BYTES,
	OPT_DEPTH,
	OPT_BINARY,
	OPT_WHERE,
	OPT_SUBSCRIPTIONS,
	OPT_NO_PREFILTER
};

static const struct program_option option_list[] = {
	{ "patterns", 'p', "FILE", "patterns: name, where, regex a line" },
	{ "subscriptions", OPT_SUBSCRIPTIONS, "FILE",
	    "what people subscribed to, kept by slack-bot" },
	{ "spool", 's', "DIR", "where the files of records are" },
	{ "max-matches", 'm', "N", "kept of a pattern in a record (10)" },
	{ "binary", OPT_BINARY, NULL, "search binary files, too" },
	{ "archive-entries", OPT_ENTRIES, "N", "unpacked of a file (10000)" },
	{ "archive-bytes", OPT_BYTES, "SIZE", "unpacked of a record (64MiB)" },
	{ "archive-depth", OPT_DEPTH, "N", "archives in archives (3)" },
	{ "no-prefilter", OPT_NO_PREFILTER, NULL,
	    "look for each pattern by itself: the same, slower" },
	{ "test", 't', "REGEX", "try REGEX on a recording and report" },
	{ "where", OPT_WHERE, "LIST", "where --test searches (any)" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "scanner",
	.synopsis = "--patterns FILE [--subscriptions FILE] | --test REGEX "
	    "[--where LIST] [--spool DIR] [--max-matches N] [--binary] "
	    "[--archive-entries N] [--archive-bytes SIZE] [--archive-depth N] "
	    "[--no-prefilter]",
	.purpose = "Look for patterns in the text, payload, attachments and "
	    "files of records; add what was found.",
	.example = "scanner --patterns patterns.conf < day.ndjson | "
	    "jq 'select(.matches)'",
	.options = option_list,
};

struct options {
	const char *patterns;
	const char *subscriptions;
	const char *test;
	unsigned where;
	size_t max_matches;
	bool has_prefilter;
	struct file_options files;
};

struct scanner {
	struct options options;
	struct serials serials;
	struct pattern_set *set;
	struct subscribers *subscribers;
	struct prefilter *prefilter;	/* or NULL */
	struct scan *scan;
	struct occasion occasion;
	struct findings findings;
	struct notify notify;
};

static unsigned
parse_where(const char *list)
{
	size_t at;
	unsigned parts = patterns_parts(list, &at);

	if (parts == 0)
		program_usage(&program, "--where: expected text, attachment, "
		    "payload, files or any, joined by commas: %s", list);
	return parts;
}

static void
take_option(struct options *options, int key)
{
	switch (key) {
	case 'p':
		options->patterns = optarg;
		break;
	case OPT_SUBSCRIPTIONS:
		options->subscriptions = optarg;
		break;
	case 's':
		options->files.spool = optarg;
		break;
	case 't':
		options->test = optarg;
		break;
	case OPT_WHERE:
		options->where = parse_where(optarg);
		break;
	case OPT_BINARY:
		options->files.binary = true;
		break;
	case OPT_NO_PREFILTER:
		options->has_prefilter = false;
		break;
	case 'm':
		options->max_matches = (size_t)program_count(&program,
		    "max-matches", optarg, 1, 1000);
		break;
	case OPT_ENTRIES:
		options->files.archive_entries = (uint64_t)program_count(
		    &program, "archive-entries", optarg, 0, 10000000);
		break;
	case OPT_BYTES:
		options->files.archive_bytes = (uint64_t)program_bytes(
		    &program, "archive-bytes", optarg, 0, INT64_C(1) << 40);
		break;
	case OPT_DEPTH:
		options->files.archive_depth = (unsigned)program_count(
		    &program, "archive-depth", optarg, 0, 20);
		break;
	}
}

static struct options
parse_options(int argc, char *argv[])
{
	struct options options = {
		.max_matches = 10,
		.has_prefilter = true,
		.files = {
			.archive_entries = 10000,
			.archive_bytes = 64 * 1024 * 1024,
			.archive_depth = 3,
		},
	};
	int key;

	while ((key = program_option(&program, argc, argv)) != -1)
		take_option(&options, key);
	program_no_arguments(&program, argc, argv);
	if (options.patterns == NULL && options.subscriptions == NULL &&
	    options.test == NULL)
		program_usage(&program, "--patterns FILE, --subscriptions FILE "
		    "or --test REGEX is needed");
	if (options.test != NULL && (options.patterns != NULL ||
	    options.subscriptions != NULL))
		program_usage(&program, "--test goes without --patterns and "
		    "--subscriptions");
	if (options.where != 0 && options.test == NULL)
		program_usage(&program, "--where goes with --test");
	return options;
}

/* The pattern of --test; wrong use where it is no regular expression. */
static struct pattern_set *
take_test(struct scanner *scanner)
{
	const struct options *options = &scanner->options;
	struct regex_error error;
	struct pattern *pattern = pattern_new("test", options->test,
	    &scanner->serials, &error);

	if (pattern == NULL)
		program_usage(&program, "--test: column %zu: %s", error.at + 1,
		    error.reason);
	if (options->where != 0)
		pattern->parts = options->where;
	return patterns_single(pattern);
}

static void
handle_record(struct record *record, void *arg)
{
	struct scanner *scanner = arg;
	struct findings *findings = &scanner->findings;
	struct occasion *occasion = &scanner->occasion;
	int64_t seq;

	if (!record_integer(record, RECORD_SEQ, &seq) || seq < 0)
		seq = 0;
	if (subscribers_sync(scanner->subscribers, seq, scanner->set))
		prefilter_update(scanner->prefilter, scanner->set);
	occasion_begin(occasion, record);
	scan_record(scanner->scan, scanner->set, record, occasion, findings);
	findings_write(findings, occasion->author, record);
	notify_write(&scanner->notify, scanner->subscribers, findings,
	    occasion, record);
	subscribers_take(scanner->subscribers, record, seq);
}

/* The patterns of the file; none where only subscriptions are wanted. */
static struct pattern_set *
load_patterns(struct scanner *scanner)
{
	return scanner->options.patterns == NULL ? patterns_none()
	    : patterns_load(scanner->options.patterns, &scanner->serials);
}

static int
load_subscriptions(struct scanner *scanner)
{
	return scanner->options.subscriptions == NULL ? 0
	    : subscribers_read(scanner->subscribers,
	    scanner->options.subscriptions);
}

static void
reload(void *arg)
{
	struct scanner *scanner = arg;
	struct pattern_set *set = load_patterns(scanner);

	if (load_subscriptions(scanner) == -1)
		warnx("keeping the subscriptions read before");
	if (set == NULL) {
		warnx("keeping the patterns read before");
		return;
	}
	subscribers_follow(scanner->subscribers, set);
	patterns_free(scanner->set);
	scanner->set = set;
	prefilter_update(scanner->prefilter, set);
}

/* Read what there is to look for. Returns an exit status. */
static int
prepare(struct scanner *scanner)
{
	const struct options *options = &scanner->options;

	scanner->subscribers = subscribers_new(&scanner->serials);
	if (options->has_prefilter)
		scanner->prefilter = prefilter_new();
	scanner->scan = scan_new(&options->files, options->max_matches,
	    scanner->prefilter);
	scanner->set = options->test != NULL ? take_test(scanner)
	    : load_patterns(scanner);
	if (scanner->set == NULL)
		return EX_CONFIG;
	prefilter_update(scanner->prefilter, scanner->set);
	return load_subscriptions(scanner) == -1 ? EX_IOERR : EX_OK;
}

static void
release(struct scanner *scanner)
{
	scan_free(scanner->scan);
	prefilter_free(scanner->prefilter);
	findings_free(&scanner->findings);
	notify_free(&scanner->notify);
	occasion_free(&scanner->occasion);
	patterns_free(scanner->set);
	subscribers_free(scanner->subscribers);
}

static int
run(struct scanner *scanner)
{
	static const char *const own[] = { RECORD_MATCHES, RECORD_LIMITS,
	    RECORD_NOTIFY, RECORD_HELD, RECORD_QUARANTINE, NULL };
	static const struct filter filter = {
		.name = "scanner", .own = own, .handle = handle_record,
		.reload = reload,
	};

	return scanner->options.test != NULL
	    ? trial_run(scanner->scan, scanner->set)
	    : record_loop(&filter, scanner);
}

int
main(int argc, char *argv[])
{
	struct scanner scanner = { .options = parse_options(argc, argv) };

	/* libarchive gives names in this charset, whatever ours is outside */
	setlocale(LC_CTYPE, "C.UTF-8");
	mapped_file_guard();
	int status = prepare(&scanner);
	if (status == EX_OK)
		status = run(&scanner);
	release(&scanner);
	if (signals_want_stop())
		signals_die();
	return status;
}
