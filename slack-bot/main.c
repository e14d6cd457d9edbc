/*
 * slack-bot: answers what people say to it in Slack, and adds the answer to
 * the record; who subscribed to what stands in the book.
 *
 *	bot		is the record for us, and which command is it?
 *	commands	all of them, and the short ones
 *	forward, mute	what goes to whom, and when not
 *	wish, trial	what is asked for, and whether it can be borne
 *	test, gif	answers that take time: jobs
 *	job, owed	a job done, and the thread that does it
 *	journal_day, spooled, scanner_run
 *			what test looks through, and by what
 *	status		how the other programs are
 *	book		the subscriptions and their file
 *	words, quotes	what people type, what we say
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "bot.h"
#include "commands.h"
#include "memory.h"
#include "owed.h"
#include "program.h"
#include "record_loop.h"
#include "secret.h"
#include "signals.h"

#define GIPHY_URL "https://api.giphy.com/v1/gifs/search"

enum {
	OPT_SEED = 0x100,
	OPT_USER_MAX,
	OPT_TOTAL_MAX,
	OPT_STATS,
	OPT_RUNNING,
	OPT_SCANNER,
	OPT_DASHBOARD
};

static const struct program_option option_list[] = {
	{ "subscriptions", 's', "FILE", "who subscribed to what, kept there" },
	{ "bot-id", 'b', "ID", "our user id, where records do not tell it" },
	{ "quotes", 'q', "FILE", "sayings, one a line" },
	{ "inbox", 'i', "SOCKET", "hand in there what takes time to answer" },
	{ "journal", 'j', "DIR", "what `test` looks through" },
	{ "spool", 'p', "DIR", "where the files of records are" },
	{ "stats", OPT_STATS, "FILE", "what `list` and `status` tell" },
	{ "running", OPT_RUNNING, "DIR", "the same, of other programs" },
	{ "scanner", OPT_SCANNER, "PROGRAM", "for `test` (beside this one)" },
	{ "dashboard", OPT_DASHBOARD, "URL", "what `status` links to" },
	{ "seed", OPT_SEED, "N", "of what is chosen at random (1)" },
	{ "user-max", OPT_USER_MAX, "N", "forwards of a user (100)" },
	{ "total-max", OPT_TOTAL_MAX, "N", "forwards of all users (2000)" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "slack-bot",
	.synopsis = "[--subscriptions FILE] [--bot-id ID] [--quotes FILE]"
	    " [--inbox SOCKET] [--journal DIR] [--spool DIR] [--stats FILE]"
	    " [--running DIR] [--scanner PROGRAM] [--dashboard URL] [--seed N]"
	    " [--user-max N] [--total-max N]",
	.purpose = "Answer what people say to the bot: add the answer to the"
	    " record, and what changes in their subscriptions.",
	.example = "slack-bot --bot-id U0ULTRON01 < day.ndjson |"
	    " jq .command.reply",
	.options = option_list,
};

struct options {
	struct bot_settings bot;
	const char *subscriptions;
	const char *user;
	const char *quotes;
	const char *inbox;
};

/* All that there is between the options and the end. */
struct slack_bot {
	struct bot bot;
	const char *quotes;
	struct owed *owed;
};

static size_t
take_count(const char *name)
{
	return (size_t)program_count(&program, name, optarg, 1, 100000);
}

static void
take_option(struct options *options, int key)
{
	struct bot_settings *bot = &options->bot;

	switch (key) {
	case 's': options->subscriptions = optarg; break;
	case 'b': options->user = optarg; break;
	case 'q': options->quotes = optarg; break;
	case 'i': options->inbox = optarg; break;
	case 'j': bot->journal = optarg; break;
	case 'p': bot->spool = optarg; break;
	case OPT_STATS: bot->stats = optarg; break;
	case OPT_RUNNING: bot->running = optarg; break;
	case OPT_SCANNER: bot->scanner = optarg; break;
	case OPT_DASHBOARD:
		bot->dashboard = program_url(&program, "dashboard", optarg);
		break;
	case OPT_SEED:
		bot->seed = (uint64_t)program_count(&program, "seed", optarg,
		    0, INT64_MAX);
		break;
	case OPT_USER_MAX: bot->user_max = take_count("user-max"); break;
	case OPT_TOTAL_MAX: bot->total_max = take_count("total-max"); break;
	}
}

static struct options
parse_options(int argc, char *argv[])
{
	struct options options = { .bot = { .seed = 1, .user_max = 100,
	    .total_max = 2000 } };
	const char *user = getenv("ULTRONEX_BOT_ID");
	int key;

	if (user != NULL && *user != '\0')
		options.user = user;
	while ((key = program_option(&program, argc, argv)) != -1)
		take_option(&options, key);
	program_no_arguments(&program, argc, argv);
	options.bot.defers = options.inbox != NULL;
	return options;
}

/* An empty one is none. The caller frees it. */
static char *
read_secret(const char *name)
{
	char *secret = secret_get(name);

	if (secret == NULL || *secret != '\0')
		return secret;
	free(secret);
	return NULL;
}

static void
read_environment(struct bot_settings *settings)
{
	const char *url = getenv("GIPHY_API_URL");

	settings->secret = read_secret("SECRET_WEAPON");
	if (settings->secret != NULL && commands_find(settings->secret,
	    strlen(settings->secret)) != NULL)
		errx(EX_CONFIG, "SECRET_WEAPON: that is a command for all");
	settings->giphy_key = read_secret("GIPHY_API_KEY");
	settings->giphy_url = url != NULL && *url != '\0' ? url : GIPHY_URL;
	if (settings->giphy_key != NULL &&
	    settings->giphy_key[strspn(settings->giphy_key,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	    "-_")] != '\0')
		errx(EX_CONFIG, "GIPHY_API_KEY: expected letters and digits");
}

/* scanner as it stands beside this program; the caller frees it. */
static char *
find_scanner(void)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	struct buffer beside = { 0 };

	if (length == -1)
		return xstrdup("scanner");
	path[length] = '\0';
	buffer_printf(&beside, "%s/scanner", dirname(path));
	buffer_string(&beside);
	return beside.data;
}

static void
handle_record(struct record *record, void *arg)
{
	struct slack_bot *slack_bot = arg;

	bot_answer(&slack_bot->bot, record);
}

/* The file of quotes may have been edited. */
static void
reload(void *arg)
{
	struct slack_bot *slack_bot = arg;
	struct quotes *quotes = quotes_new(slack_bot->quotes);

	if (quotes == NULL) {
		warnx("keeping the quotes read before");
		return;
	}
	quotes_free(slack_bot->bot.quotes);
	slack_bot->bot.quotes = quotes;
}

/* What the answers say is on disk before they leave. */
static bool
prepare(void *arg)
{
	struct slack_bot *slack_bot = arg;

	if (slack_bot->owed != NULL)
		owed_update(slack_bot->owed);
	return book_prepare(slack_bot->bot.book);
}

static int
commit(void *arg)
{
	struct slack_bot *slack_bot = arg;

	return book_commit(slack_bot->bot.book);
}

/* At once, whatever the other thread is doing. */
static void
leave(int status)
{
	if (signals_want_stop())
		signals_die();
	_exit(status);
}

static int
run(struct options *options)
{
	static const char *const own[] = { RECORD_COMMAND,
	    RECORD_SUBSCRIPTIONS, NULL };
	static const struct filter filter = { .name = "slack-bot", .own = own,
	    .handle = handle_record, .reload = reload, .commit = commit,
	    .prepare = prepare };
	struct book *book = book_new(options->subscriptions);
	int error = errno;
	struct slack_bot slack_bot = { .quotes = options->quotes, .bot = {
		.settings = &options->bot, .user = options->user, .book = book,
		.quotes = quotes_new(options->quotes),
	} };
	int status = slack_bot.bot.book == NULL ? program_failure(error)
	    : EX_CONFIG;

	if (slack_bot.bot.book != NULL && slack_bot.bot.quotes != NULL) {
		signals_catch();	/* for the thread, too */
		if (options->inbox != NULL)
			slack_bot.owed = owed_new(&options->bot,
			    slack_bot.bot.book, options->inbox);
		status = record_loop(&filter, &slack_bot);
		if (!owed_free(slack_bot.owed))
			leave(status);
	}
	quotes_free(slack_bot.bot.quotes);
	book_free(slack_bot.bot.book);
	return status;
}

int
main(int argc, char *argv[])
{
	struct options options = parse_options(argc, argv);
	char *beside = find_scanner();
	int status;

	if (options.bot.scanner == NULL)
		options.bot.scanner = beside;
	read_environment(&options.bot);
	status = run(&options);
	free(beside);
	free((char *)options.bot.secret);
	free((char *)options.bot.giphy_key);
	if (signals_want_stop())
		signals_die();
	return status;
}
