/*
 * classifier: adds to each record its class, SUCCESS, WARNING or DANGER, and
 * the rule that decided.
 */
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "program.h"
#include "record_loop.h"
#include "rules.h"
#include "signals.h"

static const struct program_option option_list[] = {
	{ "classes", 'c', "FILE", "rules, the first that fits decides" },
	{ "explain", 'e', NULL, "say on stderr which rule decided" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "classifier",
	.synopsis = "--classes FILE [--explain]",
	.purpose = "Sort records into success, warning and danger by the rules"
	    " in FILE.",
	.example = "classifier --classes classes.conf < day.ndjson |"
	    " jq .class",
	.options = option_list,
};

struct options {
	const char *path;
	bool explain;
};

struct classifier {
	struct options options;
	struct rules *rules;
};

static struct options
parse_options(int argc, char *argv[])
{
	struct options options = { 0 };
	int key;

	while ((key = program_option(&program, argc, argv)) != -1) {
		if (key == 'c')
			options.path = optarg;
		else
			options.explain = true;
	}
	program_no_arguments(&program, argc, argv);
	if (options.path == NULL)
		program_usage(&program, "--classes FILE is needed");
	return options;
}

static void
explain(const struct classifier *classifier, const struct record *record,
    const struct verdict *verdict)
{
	int64_t seq;

	if (record_integer(record, RECORD_SEQ, &seq))
		fprintf(stderr, "seq %" PRId64 ": ", seq);
	fprintf(stderr, "%s by %s:%zu: %s\n", verdict->class,
	    classifier->options.path, verdict->line, verdict->rule);
}

static void
classify(struct record *record, void *arg)
{
	struct classifier *classifier = arg;
	struct verdict verdict = rules_apply(classifier->rules, record);

	record_add_string(record, RECORD_CLASS, verdict.class);
	record_add_string(record, RECORD_RULE, verdict.rule);
	if (classifier->options.explain)
		explain(classifier, record, &verdict);
}

static void
reload(void *arg)
{
	struct classifier *classifier = arg;
	struct rules *rules = rules_load(classifier->options.path);

	if (rules == NULL) {
		warnx("keeping the rules read before");
		return;
	}
	rules_free(classifier->rules);
	classifier->rules = rules;
}

int
main(int argc, char *argv[])
{
	static const char *const own[] = { RECORD_CLASS, RECORD_RULE, NULL };
	static const struct filter filter = {
		.name = "classifier", .own = own, .handle = classify,
		.reload = reload,
	};
	struct classifier classifier = {
		.options = parse_options(argc, argv),
	};

	classifier.rules = rules_load(classifier.options.path);
	if (classifier.rules == NULL)
		return EX_CONFIG;

	int status = record_loop(&filter, &classifier);
	rules_free(classifier.rules);
	if (signals_want_stop())
		signals_die();
	return status;
}
