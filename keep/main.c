/*
 * keep: runs one stage of a pipeline and starts it again when it dies, without
 * losing a line: what the stage has not answered it is given once more.
 */
#include <ctype.h>
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "dead_letters.h"
#include "keeper.h"
#include "program.h"

#define MIB INT64_C(1048576)

enum { BYTES = 'b', BEGIN_LINE = 'B', DEAD_LETTERS = 'd', HANG = 'h',
	NAME = 'n', STATUS = 's', WHOLE_LINES = 'l', WINDOW = 'w' };

static const struct program_option option_list[] = {
	{ "name", NAME, "NAME", "of the stage (default: that of COMMAND)" },
	{ "window", WINDOW, "BYTES", "of unanswered lines held (4MiB)" },
	{ "hang", HANG, "SECONDS", "for an answer before it is killed (60)" },
	{ "dead-letters", DEAD_LETTERS, "FILE", "lines the stage dies of" },
	{ "dead-letter-bytes", BYTES, "BYTES", "at most there (64MiB)" },
	{ "status", STATUS, "FILE", "pid, since, restarts, lines waiting" },
	{ "begin-line", BEGIN_LINE, NULL, "write an LF first" },
	{ "whole-lines", WHOLE_LINES, NULL, "leave an unfinished end out" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "keep",
	.synopsis = "[--name NAME] [--window BYTES] [--hang SECONDS]"
	    " [--dead-letters FILE] [--dead-letter-bytes BYTES]"
	    " [--status FILE] [--begin-line] [--whole-lines]"
	    " -- COMMAND [ARGUMENT ...]",
	.purpose = "Run a stage that answers each line with one, and start it"
	    " again when it dies, with the lines that it has not answered.",
	.example = "keep --name scanner -- scanner < day.ndjson",
	.options = option_list,
};

static const char *
find_name(const char *command)
{
	const char *slash = strrchr(command, '/');

	return slash == NULL ? command : slash + 1;
}

static void
take_option(struct keeper_options *options, int key)
{
	switch (key) {
	case NAME: options->name = optarg; break;
	case WINDOW:
		options->window_bytes = (size_t)program_bytes(&program,
		    "window", optarg, 1, 1024 * MIB);
		break;
	case HANG:
		options->hang_ms = (int64_t)(1000 * program_seconds(&program,
		    "hang", optarg, 0, 86400));
		break;
	case DEAD_LETTERS: options->dead_letters = optarg; break;
	case BYTES:
		options->dead_letter_bytes = program_bytes(&program,
		    "dead-letter-bytes", optarg, DEAD_LETTERS_BYTES_LEAST,
		    1024 * 1024 * MIB);
		break;
	case STATUS: options->status_path = optarg; break;
	case BEGIN_LINE: options->begins_line = true; break;
	case WHOLE_LINES: options->drops_unfinished = true; break;
	default: break;
	}
}

/* It is a field of the status file, and a word of the log. */
static void
check_name(const char *name)
{
	if (name != NULL && *name == '\0')
		program_usage(&program, "--name: may not be empty");
	for (; name != NULL && *name != '\0'; name++)
		if (iscntrl((unsigned char)*name))
			program_usage(&program,
			    "--name: no control characters, please");
}

static struct keeper_options
parse_options(int argc, char *argv[])
{
	struct keeper_options options = {
		.window_bytes = 4 * MIB,
		.hang_ms = 60000,
		.dead_letter_bytes = 64 * MIB,
	};
	int key;

	while ((key = program_option(&program, argc, argv)) != -1)
		take_option(&options, key);
	if (optind == argc)
		program_usage(&program, "a command is needed behind --");
	options.command = argv + optind;
	check_name(options.name);
	if (options.name == NULL)
		options.name = find_name(argv[optind]);
	return options;
}

/* What is closed would be taken by the next pipe that is opened. */
static void
check_descriptors(void)
{
	if (fcntl(STDERR_FILENO, F_GETFD) == -1)
		exit(EX_IOERR);	/* nobody would hear why it does not work */
	if (fcntl(STDIN_FILENO, F_GETFD) == -1)
		err(EX_IOERR, "standard input");
	if (fcntl(STDOUT_FILENO, F_GETFD) == -1)
		err(EX_IOERR, "standard output");
}

int
main(int argc, char *argv[])
{
	struct keeper_options options = parse_options(argc, argv);

	check_descriptors();
	return keeper_run(&options);
}
