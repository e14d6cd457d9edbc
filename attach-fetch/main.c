/*
 * attach-fetch: downloads the files that records refer to into the spool and
 * adds to each record `fetched`, what became of them; answers in the order of
 * the input.
 *
 *	fetcher		the loop: lines in, downloads, lines out
 *	pending		a record that waits for its files
 *	want		one of these files, and what became of it
 *	late		files that their record did not wait for, by the inbox
 *	owed		the list of them that outlives us
 *	file_bytes	a file object as it came
 *	lookup		what files.info says of a file
 *	download	several at once, retries, redirects
 *	transfer	one HTTP request, and what its answer means
 *	login_page	how Slack says that authorisation is missing
 *	hosts		where the token may go
 *	spool		files by hash, bounded
 *	blob_index	what is in the spool, by hash and by age
 *	recent		what the stages behind have yet to read
 */
#include <err.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "fetcher.h"
#include "hosts.h"
#include "kept.h"
#include "program.h"
#include "secret.h"
#include "signals.h"
#include "slack_api.h"
#include "spool.h"

#define MIB (INT64_C(1024) * 1024)
#define DAY_S (24 * 60 * 60)

static const struct program_option option_list[] = {
	{ "spool", 's', "DIR", "where the files are put (needed)" },
	{ "offline", 'o', NULL, "no network: files come from the spool only" },
	{ "max-bytes", 'm', "BYTES", "largest file that is taken (32MiB)" },
	{ "deadline", 'd', "SECONDS", "how long a record waits for files (5)" },
	{ "parallel", 'p', "N", "downloads at once (8)" },
	{ "inbox", 'i', "SOCKET", "hand in late files there, not give up" },
	{ "late-deadline", 'l', "SECONDS", "how much later they may be (600)" },
	{ "spool-bytes", 'b', "BYTES", "largest size of the spool (1GiB)" },
	{ "spool-age", 'a', "DAYS", "how long unused files stay (7)" },
	{ "hosts", 'H', "LIST", "more hosts that get the token, by https" },
	{ "ca-file", 'c', "FILE", "trust these authorities, not the system's" },
	{ "insecure-hosts", 'I', "LIST", "for tests: the same by plain http" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "attach-fetch",
	.synopsis = "--spool DIR [--offline] [--max-bytes BYTES]\n"
	    "           [--deadline SECONDS] [--parallel N]"
	    " [--spool-bytes BYTES]\n"
	    "           [--spool-age DAYS] [--hosts LIST] [--ca-file FILE]\n"
	    "           [--insecure-hosts LIST] [--inbox SOCKET]\n"
	    "           [--late-deadline SECONDS]",
	.purpose = "Download the files that Slack messages refer to into a"
	    " spool; add to each\nrecord what became of them.",
	.example = "attach-fetch --spool spool --offline < day.ndjson |"
	    " jq -c .fetched",
	.options = option_list,
};

struct options {
	const char *spool;
	struct spool_limits limits;
	struct hosts *hosts;
	const char *ca_file;
	bool is_offline;
	int64_t bytes_max;
	double deadline_s;
	int64_t parallel;
	const char *inbox;
	double late_deadline_s;
};

static void
take_hosts(int status, const char *option)
{
	if (status == -1)
		program_usage(&program, "--%s: expected hosts with commas"
		    " between them: %s", option, optarg);
}

static void
take_option(struct options *options, int key)
{
	switch (key) {
	case 's':
		options->spool = optarg;
		break;
	case 'o':
		options->is_offline = true;
		break;
	case 'm':
		options->bytes_max = program_bytes(&program, "max-bytes",
		    optarg, 1, 1024 * 1024 * MIB);
		break;
	case 'd':
		options->deadline_s = program_seconds(&program, "deadline",
		    optarg, 0.001, DAY_S);
		break;
	case 'p':
		options->parallel = program_count(&program, "parallel", optarg,
		    1, 256);
		break;
	case 'i':
		options->inbox = optarg;
		break;
	case 'l':
		options->late_deadline_s = program_seconds(&program,
		    "late-deadline", optarg, 0.001, DAY_S);
		break;
	case 'b':
		options->limits.bytes = program_bytes(&program, "spool-bytes",
		    optarg, 1, 1024 * 1024 * MIB);
		break;
	case 'a':
		options->limits.age_s = (int64_t)(DAY_S * program_seconds(
		    &program, "spool-age", optarg, 1.0 / DAY_S, 36500));
		break;
	case 'H':
		take_hosts(hosts_add(options->hosts, optarg), "hosts");
		break;
	case 'c':
		options->ca_file = optarg;
		break;
	case 'I':
		take_hosts(hosts_add_insecure(options->hosts, optarg),
		    "insecure-hosts");
		break;
	}
}

static struct options
parse_options(int argc, char *argv[])
{
	struct options options = {
		.limits = { .bytes = 1024 * MIB, .age_s = 7 * DAY_S },
		.hosts = hosts_new(),
		.bytes_max = 32 * MIB,
		.deadline_s = 5,
		.parallel = 8,
		.late_deadline_s = 600,
	};
	int key;

	hosts_add(options.hosts, HOSTS_OF_SLACK);
	while ((key = program_option(&program, argc, argv)) != -1)
		take_option(&options, key);
	program_no_arguments(&program, argc, argv);
	if (options.spool == NULL)
		program_usage(&program, "--spool DIR is needed");
	if (options.bytes_max > options.limits.bytes)
		options.bytes_max = options.limits.bytes;
	return options;
}

/* Where files.info is asked: NULL for Slack itself. */
static const char *
read_api_url(void)
{
	const char *url = getenv("SLACK_API_URL");
	const char *complaint;

	if (url == NULL || *url == '\0')
		return NULL;
	complaint = slack_api_complain(url);
	if (complaint != NULL)
		errx(EX_CONFIG, "SLACK_API_URL: %s", complaint);
	return url;
}

static struct spool *
open_spool(const struct options *options)
{
	return options->is_offline ? spool_open_read_only(options->spool)
	    : spool_open(options->spool, &options->limits);
}

/* Under keep nothing may take so long that it looks hung. */
static int64_t
shorten(int64_t deadline_ms)
{
	int64_t patience_ms = kept_patience_ms();

	return deadline_ms < patience_ms ? deadline_ms : patience_ms;
}

int
main(int argc, char *argv[])
{
	struct options options = parse_options(argc, argv);
	char *token = options.is_offline ? NULL
	    : secret_get_token("SLACK_BOT_TOKEN", "SLACK_BOT_ULTRON");
	struct fetcher_settings settings = {
		.hosts = options.hosts,
		.spool = open_spool(&options),
		.token = token,
		.ca_file = options.ca_file,
		.is_offline = options.is_offline,
		.bytes_max = options.bytes_max,
		.deadline_ms = shorten((int64_t)(options.deadline_s * 1000)),
		.parallel = (size_t)options.parallel,
		.inbox = options.inbox,
		.late_deadline_ms = (int64_t)(options.late_deadline_s * 1000),
		.api_url = options.is_offline ? NULL : read_api_url(),
	};

	int status = fetcher_run(&settings);
	spool_free(settings.spool);
	hosts_free(options.hosts);
	free(token);
	if (signals_want_stop())
		signals_die();
	return status;
}
