/*
 * slack-send: puts what services want to be said in Slack into the outbox,
 * answers their records, and sends it as fast as Slack allows.
 *
 *	stage		the loop: lines in, the outbox, lines out
 *	orders		what lines ask for, held until that is safe
 *	relay		what a record asks for
 *	reply, forward	what the bot says, and what people subscribed to
 *	compose		how that looks in Slack
 *	markup, pretty	text and JSON as Slack shows them
 *	outbox		messages and what became of them, digests
 *	store		the SQLite file under it
 *	sender		a lane for each channel that has messages
 *	lane		one of them: one post after the other
 *	channels	names of channels and people, and their ids
 *	upload		a file, in three steps
 *	doubt		is a post in Slack, whose answer did not come?
 *	reports		outcomes and troubles, told by the inbox
 *	again		woken by --replay-dead
 *	dry_run		--dry-run: all that, but told only
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "again.h"
#include "dry_run.h"
#include "program.h"
#include "secret.h"
#include "signals.h"
#include "slack_api.h"
#include "stage.h"

#define DAY_S (24 * 60 * 60)
#define REPLAY_DEAD 0x1000
#define DRY_RUN 0x1001

static const struct program_option option_list[] = {
	{ "outbox", 'o', "FILE", "where messages wait (needed)" },
	{ "inbox", 'i', "SOCKET", "tell what became of them there" },
	{ "digest-after", 'd', "SECONDS", "gather what waits longer (60)" },
	{ "dashboard", 'D', "URL", "where digests link to" },
	{ "give-up-after", 'g', "SECONDS", "try no longer than that (86400)" },
	{ "keep-days", 'k', "N", "remember what is through so long (7)" },
	{ "outbox-max", 'm', "N", "messages that may wait (100000)" },
	{ "ca-file", 'c', "FILE", "trust these authorities, not the system's" },
	{ "status", 's', "FILE", "tell there what waits" },
	{ "drain", 'w', NULL, "at end of input wait until all is through" },
	{ "replay-dead", REPLAY_DEAD, NULL, "send again what failed, and exit" },
	{ "dry-run", DRY_RUN, NULL, "print the requests, not the records" },
	{ "check", 'C', NULL, "look at the configuration only" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "slack-send",
	.synopsis = "--outbox FILE [--inbox SOCKET] [--digest-after SECONDS]"
	    " [--dashboard URL] [--give-up-after SECONDS] [--keep-days N]"
	    " [--outbox-max N] [--ca-file FILE] [--status FILE] [--drain]"
	    " [--replay-dead | --check] | --dry-run",
	.purpose = "Send what services want to be said in Slack, from"
	    " api_message records, at the pace that Slack allows; pass all"
	    " records on.",
	.example = "slack-send --outbox outbox.db --drain < day.ndjson",
	.options = option_list,
};

struct options {
	struct stage_settings stage;
	bool replays_dead;
	bool checks;
	bool is_dry;
};

static void
take_option(struct options *options, int key)
{
	struct stage_settings *stage = &options->stage;
	struct outbox_settings *outbox = &stage->outbox;

	switch (key) {
	case 'o': outbox->path = optarg; break;
	case 'i': stage->inbox = optarg; break;
	case 'd':
		outbox->digest_after_s = program_count(&program,
		    "digest-after", optarg, 1, DAY_S);
		break;
	case 'D':
		stage->dashboard = program_url(&program, "dashboard", optarg);
		break;
	case 'g':
		stage->give_up_ms = (int64_t)(1000 * program_seconds(&program,
		    "give-up-after", optarg, 0.001, 365.0 * DAY_S));
		break;
	case 'k':
		outbox->keep_s = DAY_S * program_count(&program, "keep-days",
		    optarg, 1, 3650);
		break;
	case 'm':
		outbox->open_max = program_count(&program, "outbox-max",
		    optarg, 1, 1000000);
		break;
	case 'c': stage->ca_file = optarg; break;
	case 's': stage->status = optarg; break;
	case 'w': stage->drains = true; break;
	case REPLAY_DEAD: options->replays_dead = true; break;
	case DRY_RUN: options->is_dry = true; break;
	case 'C': options->checks = true; break;
	}
}

static void
parse_options(struct options *options, int argc, char *argv[])
{
	int key;

	*options = (struct options){ .stage = {
		.outbox = { .digest_after_s = 60, .open_max = 100000,
		    .bytes_max = OUTBOX_BYTES_MAX, .keep_s = 7 * DAY_S },
		.give_up_ms = DAY_S * 1000,
	} };
	while ((key = program_option(&program, argc, argv)) != -1)
		take_option(options, key);
	program_no_arguments(&program, argc, argv);
	if (options->stage.outbox.path == NULL && !options->is_dry)
		program_usage(&program, "--outbox FILE is needed");
	if (options->replays_dead + options->checks + options->is_dry > 1)
		program_usage(&program, "only one of --replay-dead, --check"
		    " and --dry-run");
}

static bool
may_broadcast(void)
{
	const char *broadcast = getenv("ULTRON_ALLOW_BROADCAST");

	return broadcast != NULL && strcmp(broadcast, "1") == 0;
}

/* Whom to ask, and as whom. The caller frees the token. */
static char *
read_environment(struct stage_settings *stage)
{
	char *token = secret_get_token("SLACK_BOT_TOKEN", "SLACK_BOT_ULTRON");
	const char *url = getenv("SLACK_API_URL"), *complaint;

	stage->token = token;
	stage->may_broadcast = may_broadcast();
	if (url == NULL || *url == '\0')
		return token;
	complaint = slack_api_complain(url);
	if (complaint != NULL)
		errx(EX_CONFIG, "SLACK_API_URL: %s", complaint);
	stage->api_url = url;
	return token;
}

static struct outbox *
open_beside(const struct outbox_settings *settings, int *status)
{
	if (access(settings->path, F_OK) == -1) {
		warn("%s", settings->path);
		*status = errno == ENOENT ? EX_NOINPUT : EX_CONFIG;
		return NULL;
	}
	return outbox_open(settings, status);
}

static int
replay_dead(const struct outbox_settings *settings)
{
	int status = EX_OK;
	struct outbox *outbox = open_beside(settings, &status);
	int64_t count;

	if (outbox == NULL)
		return status;
	count = outbox_replay_dead(outbox);
	outbox_close(outbox);
	if (count == -1)
		return EX_TEMPFAIL;
	warnx("%" PRId64 " messages are to be sent again%s", count,
	    again_touch(settings->path) || count == 0 ? "" :
	    " by the next start");
	return EX_OK;
}

/* An outbox that is there must be one. */
static int
check(const struct outbox_settings *settings)
{
	int status = EX_OK;

	if (access(settings->path, F_OK) == 0)
		outbox_close(outbox_open(settings, &status));
	return status;
}

static int
send_messages(struct stage_settings *settings)
{
	if (settings->token == NULL && settings->drains)
		errx(EX_CONFIG, "SLACK_BOT_TOKEN: not set, and --drain would"
		    " wait for ever");
	settings->outbox.is_ours = true;
	return stage_run(settings);
}

int
main(int argc, char *argv[])
{
	struct options options;
	int status;

	parse_options(&options, argc, argv);
	if (options.is_dry)
		return dry_run(may_broadcast());

	char *token = read_environment(&options.stage);

	if (options.replays_dead)
		status = replay_dead(&options.stage.outbox);
	else if (options.checks)
		status = check(&options.stage.outbox);
	else
		status = send_messages(&options.stage);
	free(token);
	if (signals_want_stop())
		signals_die();
	return status;
}
