/* The face of a program: options, --help, --version, wrong use. */
#ifndef LIB_PROGRAM_H
#define LIB_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

/* One long option. key is what program_option returns, a letter works short. */
struct program_option {
	const char *name;
	int key;
	const char *argument;	/* its name in the help, NULL: takes none */
	const char *help;	/* one line; may hold the default */
};

struct program {
	const char *name;
	const char *synopsis;	/* behind the name, as in the man page */
	const char *purpose;	/* what it turns into what, one sentence */
	const char *example;	/* one pipeline */
	const struct program_option *options;	/* ended by name NULL */
};

/*
 * The key of the next option, its argument in optarg; -1 after the last one.
 * --help and --version print and exit 0; wrong use prints the reason and the
 * synopsis and exits EX_USAGE.
 */
int program_option(const struct program *program, int argc, char *argv[]);

/* Exit EX_USAGE if words are left behind the options. */
void program_no_arguments(const struct program *program, int argc,
    char *argv[]);

/* Print the reason and the synopsis, exit EX_USAGE. */
void program_usage(const struct program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/*
 * With what to end after a file could not be used, with errno `error`: EX_CONFIG
 * where somebody has to mend rights or names, EX_TEMPFAIL where it may pass by
 * itself, as a full disk.
 */
int program_failure(int error);

/*
 * The argument of an option as a number within limits; suffixes KiB, MiB, GiB
 * where bytes are meant, decimals where seconds are. Wrong use exits EX_USAGE.
 */
int64_t program_count(const struct program *program, const char *option,
    const char *text, int64_t least, int64_t most);
int64_t program_bytes(const struct program *program, const char *option,
    const char *text, int64_t least, int64_t most);
double program_seconds(const struct program *program, const char *option,
    const char *text, double least, double most);

/*
 * The argument of an option as an address that can stand in a message of
 * Slack. Wrong use exits EX_USAGE.
 */
const char *program_url(const struct program *program, const char *option,
    const char *text);

#endif
