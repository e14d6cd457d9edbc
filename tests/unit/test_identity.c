/*
 * Who we are is asked until Slack says it, and nobody else is taken for us.
 *
 * modules: slack-reader/identity.c tests/unit/stub_slack.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../slack-reader/identity.h"
#include "stub_slack.h"

#define ALL_SCOPES "channels:history,groups:history,im:history," \
	"mpim:history,channels:read,groups:read,im:read,mpim:read," \
	"users:read,files:read,chat:write,files:write,im:write"
#define WHO "{\"ok\":true,\"user_id\":\"UBOT\",\"bot_id\":\"BBOT\"}"

struct scene {
	struct stub_parts parts;
	struct identity *identity;
	const char *const *answers;	/* the last one again and again */
	const char *headers;
	size_t at;
	int known;
	int failed;
	char sentence[512];
};

static void
answer(const char *method, const char *arguments, struct stub_answer *out,
    void *arg)
{
	struct scene *scene = arg;

	assert_string_equal(method, "auth.test");
	assert_string_equal(arguments, "");
	buffer_append_string(&out->body, scene->answers[scene->at]);
	if (scene->answers[scene->at + 1] != NULL)
		scene->at++;
	if (scene->headers != NULL)
		out->headers = scene->headers;
}

static void
be_known(void *arg)
{
	((struct scene *)arg)->known++;
}

static void
be_failed(const char *sentence, void *arg)
{
	struct scene *scene = arg;

	scene->failed++;
	snprintf(scene->sentence, sizeof scene->sentence, "%s", sentence);
	identity_free(scene->identity);
	scene->identity = NULL;
}

static bool
is_over(void *arg)
{
	struct scene *scene = arg;

	return scene->known + scene->failed > 0;
}

static void
open_scene(struct scene *scene, const char *const *answers,
    const char *headers)
{
	*scene = (struct scene){ .answers = answers, .headers = headers };
	stub_open(&scene->parts, answer, scene);
	scene->identity = identity_new(&(struct identity_settings){
		.api = scene->parts.api,
		.timers = scene->parts.timers,
		.bot_token = "xoxb-secret",
		.known = be_known,
		.failed = be_failed,
		.arg = scene,
	    });
	assert_true(stub_run(&scene->parts, is_over, scene));
}

static void
close_scene(struct scene *scene)
{
	identity_free(scene->identity);
	stub_close(&scene->parts);
}

/* What a scene says on standard error. */
static void
read_report(const char *const *answers, const char *headers, char *report,
    size_t size)
{
	struct scene scene;
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	size_t length;

	dup2(fileno(file), STDERR_FILENO);
	open_scene(&scene, answers, headers);
	close_scene(&scene);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	length = fread(report, 1, size - 1, file);
	report[length] = '\0';
	fclose(file);
}

static size_t
count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		if (*text == '\n')
			count++;
	return count;
}

static void
asks_until_slack_answers(void **state)
{
	static const char *const answers[] = { "<html>no</html>",
	    "{\"ok\":false,\"error\":\"internal_error\"}",
	    "{\"ok\":true,\"user_id\":7}", WHO, NULL };
	char report[1024];
	struct scene scene;

	(void)state;
	open_scene(&scene, answers, NULL);
	assert_int_equal(scene.known, 1);
	assert_int_equal(stub_calls(&scene.parts, NULL), 4);
	close_scene(&scene);
	read_report(answers, NULL, report, sizeof report);
	assert_int_equal(count_lines(report), 1);
	assert_non_null(strstr(report, "trying again"));
	assert_null(strstr(report, "secret"));
}

static void
gives_up_on_a_bad_token_and_says_which(void **state)
{
	static const char *const answers[] = {
		"{\"ok\":false,\"error\":\"invalid_auth\"}", NULL };
	struct scene scene;

	(void)state;
	open_scene(&scene, answers, NULL);
	assert_int_equal(scene.failed, 1);
	assert_int_equal(scene.known, 0);
	assert_non_null(strstr(scene.sentence, "SLACK_BOT_TOKEN"));
	assert_null(strstr(scene.sentence, "secret"));
	close_scene(&scene);
}

static void
names_each_scope_that_is_missing(void **state)
{
	static const char *const answers[] = { WHO, NULL };
	char report[4096];

	(void)state;
	read_report(answers, "x-oauth-scopes: " ALL_SCOPES "\r\n", report,
	    sizeof report);
	assert_string_equal(report, "");
	read_report(answers, "x-oauth-scopes: channels:historyx, im:history,"
	    "groups:history,mpim:history,groups:read,channels:read,mpim:read,"
	    "im:read,users:read.email\r\n", report, sizeof report);
	assert_int_equal(count_lines(report), 6);
	assert_non_null(strstr(report, "channels:history: "));
	assert_non_null(strstr(report, "users:read: "));
	assert_non_null(strstr(report, "files:read: "));
	/* not said is not missing */
	read_report(answers, NULL, report, sizeof report);
	assert_string_equal(report, "");
}

static const char *const no_members[] = { NULL };

static bool
ask(bool (*question)(const struct identity *identity, struct record *event),
    const struct identity *identity, const char *event)
{
	struct record *record = record_new("test", no_members);
	bool result;

	assert_int_equal(record_parse(record, event, strlen(event)), 0);
	result = question(identity, record);
	record_free(record);
	return result;
}

static void
knows_its_own(void **state)
{
	static const char *const own[] = {
		"{\"type\":\"message\",\"user\":\"UBOT\"}",
		"{\"type\":\"message\",\"subtype\":\"bot_message\","
		    "\"bot_id\":\"BBOT\"}",
		"{\"type\":\"message\",\"user\":\"U1\",\"bot_id\":\"BBOT\"}",
		"{\"type\":\"reaction_added\",\"user\":\"UBOT\"}",
		"{\"subtype\":\"message_changed\",\"message\":"
		    "{\"user\":\"UBOT\"},\"previous_message\":[]}",
		"{\"subtype\":\"message_changed\",\"message\":"
		    "{\"bot_id\":\"BBOT\"}}",
		"{\"subtype\":\"message_changed\",\"message\":7,"
		    "\"previous_message\":{\"user\":\"UBOT\"}}",
		"{\"subtype\":\"message_deleted\",\"previous_message\":"
		    "{\"user\":\"UBOT\"}}",
	};
	static const char *const foreign[] = {
		"{}", "{\"user\":null,\"bot_id\":7}",
		"{\"type\":\"message\",\"user\":\"UBOT2\"}",
		"{\"type\":\"message\",\"user\":\"BBOT\"}",
		"{\"type\":\"message\",\"user\":{\"id\":\"UBOT\"}}",
		"{\"type\":\"member_joined_channel\",\"user\":\"UBOT\"}",
		"{\"type\":\"member_left_channel\",\"user\":\"UBOT\"}",
		"{\"type\":\"message\",\"user\":\"U1\",\"message\":"
		    "{\"user\":\"UBOT\"}}",
		"{\"subtype\":\"message_changed\",\"message\":"
		    "{\"user\":\"U1\"},\"previous_message\":"
		    "{\"user\":\"UBOT\"}}",
		"{\"subtype\":\"message_deleted\",\"previous_message\":[]}",
	};
	static const char *const answers[] = { WHO, NULL };
	struct scene scene;

	(void)state;
	open_scene(&scene, answers, NULL);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		assert_true(ask(identity_is_own, scene.identity, own[i]));
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		assert_false(ask(identity_is_own, scene.identity,
		    foreign[i]));
	close_scene(&scene);
}

static void
knows_what_is_for_the_bot(void **state)
{
	static const char *const addressed[] = {
		"{\"text\":\"<@UBOT> help\"}",
		"{\"text\":\" \\n\\t<@UBOT|ultron>: help\"}",
		"{\"text\":\"help\",\"channel_type\":\"im\"}",
		"{\"subtype\":\"message_changed\","
		"\"message\":{\"text\":\"<@UBOT> help\"}}",
	};
	static const char *const others[] = {
		"{\"text\":\"help\",\"channel_type\":\"channel\"}",
		"{\"text\":\"hi <@UBOT>\"}", "{\"text\":\"<@UBOT2> help\"}",
		"{\"text\":\"<@UBOT\"}", "{\"text\":\"<@UBOT|x\"}",
		"{\"text\":null}", "{\"text\":7,\"channel_type\":[]}", "{}",
		"{\"text\":\"help\",\"channel_type\":\"mpim\"}",
		"{\"subtype\":\"message_changed\","
		"\"message\":{\"text\":\"help\"},"
		"\"previous_message\":{\"text\":\"<@UBOT> help\"}}",
		"{\"subtype\":\"message_changed\"}",
	};
	static const char *const answers[] = { WHO, NULL };
	struct scene scene;

	(void)state;
	open_scene(&scene, answers, NULL);
	for (size_t i = 0; i < sizeof addressed / sizeof *addressed; i++)
		assert_true(ask(identity_is_addressed, scene.identity,
		    addressed[i]));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(ask(identity_is_addressed, scene.identity,
		    others[i]));
	close_scene(&scene);
}

static void
takes_nobody_for_a_bot_without_bot_id(void **state)
{
	static const char *const answers[] = {
		"{\"ok\":true,\"user_id\":\"UBOT\"}", NULL };
	struct scene scene;

	(void)state;
	open_scene(&scene, answers, NULL);
	assert_false(ask(identity_is_own, scene.identity,
	    "{\"bot_id\":\"\",\"user\":\"U1\"}"));
	assert_true(ask(identity_is_own, scene.identity,
	    "{\"user\":\"UBOT\"}"));
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_until_slack_answers),
		cmocka_unit_test(gives_up_on_a_bad_token_and_says_which),
		cmocka_unit_test(names_each_scope_that_is_missing),
		cmocka_unit_test(knows_its_own),
		cmocka_unit_test(knows_what_is_for_the_bot),
		cmocka_unit_test(takes_nobody_for_a_bot_without_bot_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
