#include "program.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define URL_BYTES_MAX 1000
#define OPTIONS_MAX 40
#define WIDTH 79
#define KEY_HELP 0x10000
#define KEY_VERSION 0x10001

/* Length of the word at text, with all that stands in its brackets. */
static size_t
measure_word(const char *text)
{
	size_t length = 0;

	for (int depth = 0; text[length] != '\0' && (depth > 0 ||
	    strchr(" \n", text[length]) == NULL); length++)
		depth += text[length] == '[' ? 1 : text[length] == ']' ? -1 : 0;
	return length;
}

/* Print words in lines of 79 columns, `indent` blanks before all but one. */
static void
print_wrapped(FILE *stream, const char *text, int indent, int column)
{
	const char *gap = "";

	for (text += strspn(text, " \n"); *text != '\0';
	    text += strspn(text, " \n")) {
		int width = (int)measure_word(text);

		if (column + 1 + width > WIDTH && *gap != '\0') {
			fprintf(stream, "\n%*s", indent, "");
			column = indent;
			gap = "";
		}
		fprintf(stream, "%s%.*s", gap, width, text);
		column += (int)strlen(gap) + width;
		gap = " ";
		text += width;
	}
	fputc('\n', stream);
}

static void
print_synopsis(const struct program *program, FILE *stream)
{
	int indent = fprintf(stream, "usage: %s ", program->name);

	print_wrapped(stream, program->synopsis, indent, indent);
}

/* Does the option's key work as a short option? */
static bool
is_letter(int key)
{
	return key > ' ' && key < 127;
}

static void
print_option(const struct program_option *option)
{
	char left[64], letter[8] = "    ";

	if (is_letter(option->key))
		snprintf(letter, sizeof letter, "-%c, ", option->key);
	snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
	    option->argument != NULL ? " " : "",
	    option->argument != NULL ? option->argument : "");
	printf("  %-26s %s\n", left, option->help);
}

static void
print_help(const struct program *program)
{
	static const struct program_option common[] = {
		{ "help", KEY_HELP, NULL, "show this and exit" },
		{ "version", KEY_VERSION, NULL, "show the version and exit" },
	};

	print_synopsis(program, stdout);
	putchar('\n');
	print_wrapped(stdout, program->purpose, 0, 0);
	putchar('\n');
	for (const struct program_option *option = program->options;
	    option->name != NULL; option++)
		print_option(option);
	print_option(&common[0]);
	print_option(&common[1]);
	printf("\nexample: %s\nmanual:  man %s (in the source tree: man"
	    " man/%s.1)\n", program->example, program->name, program->name);
}

void
program_usage(const struct program *program, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vwarnx(format, arguments);
	va_end(arguments);
	print_synopsis(program, stderr);
	exit(EX_USAGE);
}

static size_t
fill_options(const struct program *program, struct option *options,
    char *letters)
{
	size_t count = 0;

	for (const struct program_option *option = program->options;
	    option->name != NULL && count < OPTIONS_MAX; option++) {
		options[count++] = (struct option){ option->name,
		    option->argument != NULL ? required_argument : no_argument,
		    NULL, option->key };
		if (is_letter(option->key)) {
			*letters++ = (char)option->key;
			if (option->argument != NULL)
				*letters++ = ':';
		}
	}
	*letters = '\0';
	return count;
}

/* One write a line: those of several programs meet in one log. */
static void
write_whole_lines(void)
{
	if (optind == 1)
		setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
}

int
program_option(const struct program *program, int argc, char *argv[])
{
	write_whole_lines();
	struct option options[OPTIONS_MAX + 3] = { 0 };
	char letters[2 * OPTIONS_MAX + 1];
	size_t count = fill_options(program, options, letters);

	options[count++] = (struct option){ "help", no_argument, NULL,
	    KEY_HELP };
	options[count] = (struct option){ "version", no_argument, NULL,
	    KEY_VERSION };

	int key = getopt_long(argc, argv, letters, options, NULL);
	switch (key) {
	case KEY_HELP:
		print_help(program);
		exit(fflush(stdout) == 0 ? EX_OK : EX_IOERR);
	case KEY_VERSION:
		printf("%s (Ultron) %s\n", program->name, ULTRON_VERSION);
		exit(fflush(stdout) == 0 ? EX_OK : EX_IOERR);
	case '?':	/* getopt_long has said why */
		print_synopsis(program, stderr);
		exit(EX_USAGE);
	default:
		return key;
	}
}

void
program_no_arguments(const struct program *program, int argc, char *argv[])
{
	if (optind < argc)
		program_usage(program, "unexpected argument: %s", argv[optind]);
}

int64_t
program_count(const struct program *program, const char *option,
    const char *text, int64_t least, int64_t most)
{
	char *end;

	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || value < least ||
	    value > most)
		program_usage(program,
		    "--%s: expected a whole number from %lld to %lld: %s",
		    option, (long long)least, (long long)most, text);
	return value;
}

/* The factor a suffix stands for, or 0. */
static int64_t
find_factor(const char *suffix)
{
	static const struct {
		const char *suffix;
		int64_t factor;
	} known[] = {
		{ "", 1 }, { "B", 1 }, { "K", 1 << 10 }, { "KiB", 1 << 10 },
		{ "M", 1 << 20 }, { "MiB", 1 << 20 }, { "G", 1 << 30 },
		{ "GiB", 1 << 30 },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(suffix, known[i].suffix) == 0)
			return known[i].factor;
	return 0;
}

int64_t
program_bytes(const struct program *program, const char *option,
    const char *text, int64_t least, int64_t most)
{
	char *end;

	errno = 0;
	long long value = strtoll(text, &end, 10);
	int64_t factor = find_factor(end);
	if (end == text || factor == 0 || errno != 0 || value < 0 ||
	    value > most / factor || value * factor < least)
		program_usage(program, "--%s: expected bytes from %lld to %lld,"
		    " such as 32MiB: %s", option, (long long)least,
		    (long long)most, text);
	return value * factor;
}

const char *
program_url(const struct program *program, const char *option,
    const char *text)
{
	if ((strncmp(text, "http://", 7) != 0 &&
	    strncmp(text, "https://", 8) != 0) || strlen(text) > URL_BYTES_MAX ||
	    strpbrk(text, "<>| \t\r\n") != NULL)
		program_usage(program, "--%s: expected http(s)://host[:port]:"
		    " %s", option, text);
	return text;
}

double
program_seconds(const struct program *program, const char *option,
    const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || isnan(value) || value < least ||
	    value > most)
		program_usage(program, "--%s: expected a number from %g to %g: %s",
		    option, least, most, text);
	return value;
}

int
program_failure(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EIO:
	case EINTR:
	case EAGAIN:
		return EX_TEMPFAIL;
	default:
		return EX_CONFIG;
	}
}
