/*
 * slack-reader: turns what Slack says into records, the first stage of the
 * pipeline. It follows a workspace (live.h) or reads recordings (replay.h),
 * and leaves by itself when TERM or INT asks for it.
 */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "channel_list.h"
#include "clock.h"
#include "live.h"
#include "program.h"
#include "replay.h"
#include "secret.h"
#include "signals.h"
#include "slack_api.h"
#include "socket_mode.h"

#define SPEED_LEAST 0.1
#define SPEED_MOST 1e6
#define GAP_LEAST_S 0.001
#define GAP_MOST_S 1e8
#define JOURNAL_LEAST (64 << 20)	/* a group of records must fit in */
#define JOURNAL_MOST (INT64_C(1) << 50)
#define DAY_S (24 * 3600)
#define AGE_MOST_S (INT64_C(3650) * DAY_S)
#define PING_LEAST_S 0.1
#define PING_MOST_S 60

enum {
	KEY_REPLAY = 'r',
	KEY_SPEED = 's',
	KEY_LOOP = 'l',
	KEY_LIMIT = 'n',
	KEY_MAX_GAP = 256,
	KEY_BURST,
	KEY_FIRST_SEQ,
	KEY_CLOCK,
	KEY_AFTER,
	KEY_STATUS,
	KEY_STATE,		/* from here on: live only */
	KEY_INBOX,
	KEY_CONNECTIONS,
	KEY_JOURNAL_BYTES,
	KEY_JOURNAL_AGE,
	KEY_BACKFILL_AGE,
	KEY_PING,
	KEY_CA_FILE,
	KEY_CHECK
};

static const struct program program = {
	.name = "slack-reader",
	.synopsis = "--state DIR [--inbox SOCKET] [--connections N]"
	    " [--after SEQ]\n"
	    "    [--status FILE] [--journal-bytes SIZE] [--journal-age SECONDS]\n"
	    "    [--backfill-age SECONDS] [--ping SECONDS]"
	    " [--ca-file FILE] [--check]\n"
	    "slack-reader --replay FILE|FOLDER|- [--speed FACTOR|max] [--loop]\n"
	    "    [--max-gap SECONDS] [--burst N] [--limit N] [--first-seq N]\n"
	    "    [--after SEQ] [--clock TIME] [--status FILE]",
	.purpose = "Turns what Slack says, now or in a recording, into records,"
	    " one a line.",
	.example = "slack-reader --replay day.ndjson --speed 60 |"
	    " scanner --patterns p",
	.options = (const struct program_option[]){
		{ "state", KEY_STATE, "DIR",
		    "follow Slack; journal and names are kept in DIR" },
		{ "inbox", KEY_INBOX, "SOCKET",
		    "a Unix socket where others hand in records" },
		{ "connections", KEY_CONNECTIONS, "N",
		    "WebSocket connections to Slack (2)" },
		{ "journal-bytes", KEY_JOURNAL_BYTES, "SIZE",
		    "the oldest goes beyond that (2GiB)" },
		{ "journal-age", KEY_JOURNAL_AGE, "SECONDS",
		    "the same by age (30 days)" },
		{ "backfill-age", KEY_BACKFILL_AGE, "SECONDS",
		    "fetch what was missed up to that ago (7 days)" },
		{ "ping", KEY_PING, "SECONDS",
		    "between pings; dead after 2.4 times that (25)" },
		{ "ca-file", KEY_CA_FILE, "FILE",
		    "trust these certificates, not the system's" },
		{ "check", KEY_CHECK, NULL,
		    "look at the configuration and leave" },
		{ "replay", KEY_REPLAY, "FILE",
		    "a file, an export's folder, or - (standard input)" },
		{ "speed", KEY_SPEED, "FACTOR",
		    "times the recorded speed, or max (1)" },
		{ "max-gap", KEY_MAX_GAP, "SECONDS",
		    "never wait longer than this (no limit)" },
		{ "burst", KEY_BURST, "N",
		    "play the first N messages at once (0)" },
		{ "loop", KEY_LOOP, NULL, "begin again at the end, for ever" },
		{ "limit", KEY_LIMIT, "N", "stop after N records" },
		{ "first-seq", KEY_FIRST_SEQ, "N",
		    "the seq of the first record (1)" },
		{ "after", KEY_AFTER, "SEQ",
		    "go on behind the record with this seq" },
		{ "clock", KEY_CLOCK, "TIME",
		    "what `received` says (the time of day)" },
		{ "status", KEY_STATUS, "FILE",
		    "tell there how it is: connected, journal, seq" },
		{ 0 }
	},
};

/* What was asked for: one of the two. */
struct choice {
	struct replay_options replay;
	struct stamp stamp;
	struct live_options live;
	int replay_key;		/* an option for replays only, or 0 */
	int live_key;
	bool is_check;
};

static double
parse_speed(const char *text)
{
	if (strcmp(text, "max") == 0)
		return 0;
	return program_seconds(&program, "speed", text, SPEED_LEAST,
	    SPEED_MOST);
}

static int64_t
parse_clock(const char *text)
{
	int64_t time_us;

	if (clock_parse(text, &time_us) == -1 || time_us < 0)
		program_usage(&program, "--clock: expected a time since 1970"
		    " such as 2026-11-22T10:00:00Z: %s", text);
	return time_us;
}

static void
take_replay_option(int key, struct choice *choice)
{
	struct replay_options *options = &choice->replay;

	choice->replay_key = key;
	switch (key) {
	case KEY_REPLAY:
		options->path = optarg;
		break;
	case KEY_SPEED:
		options->rhythm.factor = parse_speed(optarg);
		break;
	case KEY_MAX_GAP:
		options->rhythm.gap_max_s = program_seconds(&program,
		    "max-gap", optarg, GAP_LEAST_S, GAP_MOST_S);
		break;
	case KEY_BURST:
		options->rhythm.burst = program_count(&program, "burst",
		    optarg, 0, INT64_MAX);
		break;
	case KEY_LOOP:
		options->loop = true;
		break;
	case KEY_LIMIT:
		options->limit = program_count(&program, "limit", optarg, 1,
		    INT64_MAX);
		break;
	case KEY_FIRST_SEQ:
		choice->stamp.next_seq = program_count(&program, "first-seq",
		    optarg, 1, INT64_MAX / 2);
		break;
	case KEY_CLOCK:
		choice->stamp.clock_us = parse_clock(optarg);
		break;
	}
}

static int64_t
parse_age(const char *option)
{
	return (int64_t)program_seconds(&program, option, optarg, 1,
	    (double)AGE_MOST_S);
}

static void
take_live_option(int key, struct choice *choice)
{
	struct live_options *options = &choice->live;

	choice->live_key = key;
	switch (key) {
	case KEY_STATE:
		options->state = optarg;
		break;
	case KEY_INBOX:
		options->inbox = optarg;
		break;
	case KEY_CONNECTIONS:
		options->connections = (size_t)program_count(&program,
		    "connections", optarg, 1, SOCKET_MODE_CONNECTIONS_MAX);
		break;
	case KEY_JOURNAL_BYTES:
		options->journal_bytes = program_bytes(&program,
		    "journal-bytes", optarg, JOURNAL_LEAST, JOURNAL_MOST);
		break;
	case KEY_JOURNAL_AGE:
		options->journal_age_s = parse_age("journal-age");
		break;
	case KEY_BACKFILL_AGE:
		options->backfill_age_s = parse_age("backfill-age");
		break;
	case KEY_PING:
		options->ping_ms = (int64_t)(1000 * program_seconds(&program,
		    "ping", optarg, PING_LEAST_S, PING_MOST_S));
		break;
	case KEY_CA_FILE:
		options->ca_file = optarg;
		break;
	case KEY_CHECK:
		choice->is_check = true;
		break;
	}
}

static void
take_option(int key, struct choice *choice)
{
	if (key == KEY_AFTER)
		choice->live.after = choice->replay.after = program_count(
		    &program, "after", optarg, 0, INT64_MAX / 2);
	else if (key == KEY_STATUS)
		choice->live.status = choice->replay.status = optarg;
	else if (key >= KEY_STATE)
		take_live_option(key, choice);
	else
		take_replay_option(key, choice);
}

static void
check_choice(const struct choice *choice)
{
	if (choice->replay.path == NULL && choice->live.state == NULL)
		program_usage(&program, "nothing to read: give --state DIR or"
		    " --replay FILE");
	if (choice->live_key != 0 && choice->replay_key != 0)
		program_usage(&program, "a replay takes no options of the"
		    " live side, nor the other way round");
}

/* The token, or the name it had for UltronEx; it must look like one. */
static char *
get_token(const char *name, const char *other, const char *const *beginnings)
{
	char *token = secret_get(name);

	if (token == NULL && other != NULL)
		token = secret_get(other);
	if (token == NULL || *token == '\0')
		errx(EX_CONFIG, "%s is not set; \"Connect it to Slack\" in the"
		    " README says how to get one", name);
	for (size_t i = 0; beginnings[i] != NULL; i++)
		if (strncmp(token, beginnings[i],
		    strlen(beginnings[i])) == 0 &&
		    strlen(token) > strlen(beginnings[i]) &&
		    token[strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "abcdefghijklmnopqrstuvwxyz0123456789-._")] == '\0')
			return token;
	errx(EX_CONFIG, "%s: expected a token that begins with %s", name,
	    beginnings[0]);
}

static int
follow_slack(struct choice *choice)
{
	static const char *const app[] = { "xapp-", NULL };
	static const char *const bot[] = { "xoxb-", "xoxe.xoxb-", NULL };
	struct live_options *options = &choice->live;
	char *app_token = get_token("SLACK_APP_TOKEN", NULL, app);
	char *bot_token = get_token("SLACK_BOT_TOKEN", "SLACK_BOT_ULTRON",
	    bot);
	const char *complaint;
	int status = EX_OK;

	options->app_token = app_token;
	options->bot_token = bot_token;
	options->api_url = getenv("SLACK_API_URL");
	if (options->api_url != NULL && *options->api_url == '\0')
		options->api_url = NULL;
	if (options->api_url != NULL &&
	    (complaint = slack_api_complain(options->api_url)) != NULL)
		errx(EX_CONFIG, "SLACK_API_URL: %s", complaint);
	if (options->ca_file != NULL && access(options->ca_file, R_OK) == -1)
		err(EX_CONFIG, "--ca-file: %s", options->ca_file);

	struct channel_list *channels = channel_list_new(
	    getenv("SLACK_CHANNEL_LIST"));
	if (channels == NULL)
		exit(EX_CONFIG);
	options->channels = channels;
	if (!choice->is_check)
		status = live_run(options);
	channel_list_free(channels);
	explicit_bzero(app_token, strlen(app_token));
	explicit_bzero(bot_token, strlen(bot_token));
	free(app_token);
	free(bot_token);
	return status;
}

int
main(int argc, char *argv[])
{
	struct choice choice = {
		.replay = { .rhythm.factor = 1, .limit = INT64_MAX },
		.stamp = { .next_seq = 1, .clock_us = -1,
		    .source = "replay" },
		.live = { .connections = 2, .after = -1,
		    .journal_bytes = INT64_C(2) << 30,
		    .journal_age_s = 30 * DAY_S,
		    .backfill_age_s = 7 * DAY_S, .ping_ms = 25000 },
	};
	int key;

	/* Where the parent ignored TERM, it is lost until here. */
	signals_catch();
	while ((key = program_option(&program, argc, argv)) != -1)
		take_option(key, &choice);
	program_no_arguments(&program, argc, argv);
	check_choice(&choice);
	/* What is opened next would take the place of a closed output. */
	if (fcntl(STDOUT_FILENO, F_GETFD) == -1)
		err(EX_IOERR, "standard output");

	if (choice.live.state != NULL)
		return follow_slack(&choice);
	return replay_run(&choice.replay, &choice.stamp);
}
