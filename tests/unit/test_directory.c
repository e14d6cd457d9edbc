/*
 * Names are looked up once, kept in a file, and never waited for in vain.
 *
 * modules: slack-reader/directory.c slack-reader/name_cache.c
 * modules: tests/unit/stub_slack.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/clock.h"
#include "../../slack-reader/directory.h"
#include "../../slack-reader/name_cache.h"
#include "stub_slack.h"

struct scene {
	struct stub_parts parts;
	struct directory *directory;
	struct record *record;
	char folder[32];
	char path[64];
	const char *failure;	/* instead of every answer */
	bool is_silent;		/* no answer at all */
	int changes;
	int wanted;
	char shown[512];
};

/* Users, channels and what Slack says about them. */
static const struct thing {
	const char *argument;
	const char *id;
	const char *answer;
} things[] = {
	{ "user", "U1", "{\"ok\":true,\"user\":{\"id\":\"U1\",\"name\":\"n\","
	    "\"real_name\":\"r\",\"profile\":{\"display_name\":\"Ada \\\"A\\\""
	    "\",\"real_name\":\"p\"}}}" },
	{ "user", "U2", "{\"ok\":true,\"user\":{\"name\":\"n\",\"real_name\":"
	    "\"r\",\"profile\":{\"display_name\":\"\",\"real_name\":"
	    "\"Bob\"}}}" },
	{ "user", "U3", "{\"ok\":true,\"user\":{\"name\":\"n\",\"real_name\":"
	    "\"Cy\",\"profile\":null}}" },
	{ "user", "U4", "{\"ok\":true,\"user\":{\"name\":\"dee\","
	    "\"real_name\":7,\"profile\":[]}}" },
	{ "user", "U5", "{\"ok\":true,\"user\":[]}" },
	{ "user", "U6", "{\"ok\":false,\"error\":\"user_not_found\"}" },
	{ "channel", "C1", "{\"ok\":true,\"channel\":{\"id\":\"C1\","
	    "\"name\":\"general\"}}" },
	{ "channel", "D1", "{\"ok\":true,\"channel\":{\"id\":\"D1\","
	    "\"is_im\":true,\"user\":\"U1\"}}" },
	{ "channel", "D2", "{\"ok\":true,\"channel\":{\"user\":7}}" },
};

static void
answer(const char *method, const char *arguments, struct stub_answer *out,
    void *arg)
{
	struct scene *scene = arg;

	assert_true(strcmp(method, "users.info") == 0 ||
	    strcmp(method, "conversations.info") == 0);
	out->is_withheld = scene->is_silent;
	if (scene->failure != NULL) {
		buffer_append_string(&out->body, scene->failure);
		return;
	}
	for (size_t i = 0; i < sizeof things / sizeof *things; i++)
		if (stub_has(arguments, things[i].argument, things[i].id))
			buffer_append_string(&out->body, things[i].answer);
	if (out->body.length == 0)
		buffer_append_string(&out->body,
		    "{\"ok\":false,\"error\":\"user_not_found\"}");
}

static void
note_change(void *arg)
{
	((struct scene *)arg)->changes++;
}

static bool
has_changed(void *arg)
{
	struct scene *scene = arg;

	return scene->changes >= scene->wanted;
}

static void
start(struct scene *scene)
{
	scene->directory = directory_open(&(struct directory_settings){
		.api = scene->parts.api,
		.timers = scene->parts.timers,
		.bot_token = "xoxb-secret",
		.path = scene->path,
		.changed = note_change,
		.arg = scene,
	    });
}

static void
prepare(struct scene *scene)
{
	static const char *const own[] = { RECORD_NAMES, NULL };

	*scene = (struct scene){ .folder = "/tmp/test_directory.XXXXXX" };
	assert_non_null(mkdtemp(scene->folder));
	snprintf(scene->path, sizeof scene->path, "%s/names.ndjson",
	    scene->folder);
	stub_open(&scene->parts, answer, scene);
	scene->record = record_new("test", own);
	start(scene);
}

static void
clean_up(struct scene *scene)
{
	directory_free(scene->directory);
	record_free(scene->record);
	stub_close(&scene->parts);
	unlink(scene->path);
	assert_int_equal(rmdir(scene->folder), 0);
}

static void
restart(struct scene *scene)
{
	directory_free(scene->directory);
	start(scene);
}

static struct record *
event(struct scene *scene, const char *text)
{
	assert_int_equal(record_parse(scene->record, text, strlen(text)), 0);
	return scene->record;
}

static bool
look_up(struct scene *scene, const char *text)
{
	return directory_look_up(scene->directory, event(scene, text));
}

/* Look up, and wait for so many answers. */
static void
look_up_wholly(struct scene *scene, const char *text, int answers)
{
	scene->wanted = scene->changes + answers;
	look_up(scene, text);
	assert_true(stub_run(&scene->parts, has_changed, scene));
}

/* What the event's `names` are, "" where it has none. */
static const char *
names(struct scene *scene, const char *text)
{
	struct buffer out = { 0 };
	const char *found;

	directory_add_names(scene->directory, event(scene, text));
	record_write(scene->record, &out);
	found = strstr(buffer_string(&out), "\"names\":");
	snprintf(scene->shown, sizeof scene->shown, "%s", found == NULL ? ""
	    : found + strlen("\"names\":"));
	if (strchr(scene->shown, '\n') != NULL)
		*(strchr(scene->shown, '\n') - 1) = '\0';
	buffer_free(&out);
	return scene->shown;
}

static void
looks_up_what_it_does_not_know(void **state)
{
	static const char text[] = "{\"user\":\"U1\",\"channel\":\"C1\"}";
	struct scene scene;

	(void)state;
	prepare(&scene);
	assert_string_equal(names(&scene, text), "");
	assert_true(look_up(&scene, text));
	assert_true(look_up(&scene, text));	/* it is under way */
	scene.wanted = 2;
	assert_true(stub_run(&scene.parts, has_changed, &scene));
	assert_false(look_up(&scene, text));
	assert_string_equal(names(&scene, text),
	    "{\"user\":\"Ada \\\"A\\\"\",\"channel\":\"general\"}");
	assert_string_equal(directory_channel(scene.directory, "C1"),
	    "general");
	assert_string_equal(directory_channel(scene.directory, "C7"), "C7");
	assert_int_equal(stub_calls(&scene.parts, NULL), 2);
	clean_up(&scene);
}

static void
takes_the_best_name_there_is(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	look_up_wholly(&scene, "{\"user\":\"U2\"}", 1);
	assert_string_equal(names(&scene, "{\"user\":\"U2\"}"),
	    "{\"user\":\"Bob\"}");
	look_up_wholly(&scene, "{\"message\":{\"user\":\"U3\"}}", 1);
	assert_string_equal(names(&scene, "{\"message\":{\"user\":\"U3\"}}"),
	    "{\"user\":\"Cy\"}");
	look_up_wholly(&scene, "{\"previous_message\":{\"user\":\"U4\"}}", 1);
	assert_string_equal(names(&scene, "{\"user\":\"U4\"}"),
	    "{\"user\":\"dee\"}");
	look_up_wholly(&scene, "{\"user\":\"U5\"}", 1);
	assert_string_equal(names(&scene, "{\"user\":\"U5\"}"), "");
	clean_up(&scene);
}

static void
needs_no_lookup_for_a_bot_that_says_its_name(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	assert_false(look_up(&scene, "{\"bot_id\":\"B1\",\"username\":\"ci\","
	    "\"user\":\"U1\"}"));
	assert_string_equal(names(&scene, "{\"bot_id\":\"B1\",\"username\":"
	    "\"ci\"}"), "{\"user\":\"ci\"}");
	assert_string_equal(names(&scene, "{\"bot_profile\":{\"name\":"
	    "\"jenkins\"}}"), "{\"user\":\"jenkins\"}");
	clean_up(&scene);
}

static void
names_a_dialogue_by_who_is_in_it(void **state)
{
	static const char text[] = "{\"channel\":\"D1\"}";
	struct scene scene;

	(void)state;
	prepare(&scene);
	look_up_wholly(&scene, text, 1);
	assert_string_equal(names(&scene, text), "");
	look_up_wholly(&scene, text, 1);
	assert_string_equal(names(&scene, text),
	    "{\"channel\":\"@Ada \\\"A\\\"\"}");
	look_up_wholly(&scene, "{\"channel\":\"D2\"}", 1);
	assert_string_equal(names(&scene, "{\"channel\":\"D2\"}"), "");
	clean_up(&scene);
}

static void
does_not_ask_again_what_does_not_exist(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	look_up_wholly(&scene, "{\"user\":\"U6\"}", 1);
	assert_false(look_up(&scene, "{\"user\":\"U6\"}"));
	stub_run_ms(&scene.parts, 20);
	assert_int_equal(stub_calls(&scene.parts, NULL), 1);
	clean_up(&scene);
}

static void
asks_for_nothing_that_is_no_id(void **state)
{
	static const char *const texts[] = {
		"{\"user\":7,\"channel\":null}", "{}",
		"{\"user\":{\"id\":\"U1\"},\"channel\":[]}",
		"{\"user\":\"\",\"channel\":\"../x\"}",
		"{\"user\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
	};
	struct scene scene;

	(void)state;
	prepare(&scene);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_false(look_up(&scene, texts[i]));
		assert_string_equal(names(&scene, texts[i]), "");
	}
	stub_run_ms(&scene.parts, 20);
	assert_int_equal(stub_calls(&scene.parts, NULL), 0);
	clean_up(&scene);
}

static void
does_not_hold_up_events_while_slack_fails(void **state)
{
	struct scene scene;
	char text[64];
	size_t calls;

	(void)state;
	prepare(&scene);
	scene.failure = "{\"ok\":false,\"error\":\"internal_error\"}";
	assert_true(look_up(&scene, "{\"user\":\"U1\"}"));
	scene.wanted = 1;
	assert_true(stub_run(&scene.parts, has_changed, &scene));
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof text, "{\"user\":\"V%d\"}", i);
		assert_false(look_up(&scene, text));
		stub_run_ms(&scene.parts, 1);
	}
	calls = stub_calls(&scene.parts, NULL);
	assert_in_range(calls, 1, 30);

	scene.failure = NULL;
	for (int i = 0; i < 3000 && names(&scene, "{\"user\":\"U1\"}")[0] ==
	    '\0'; i++) {
		look_up(&scene, "{\"user\":\"U1\"}");
		stub_run_ms(&scene.parts, 5);
	}
	assert_string_equal(names(&scene, "{\"user\":\"U1\"}"),
	    "{\"user\":\"Ada \\\"A\\\"\"}");
	clean_up(&scene);
}

static void
holds_up_no_event_for_a_name_it_may_not_ask_for(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	scene.failure = "{\"ok\":false,\"error\":\"missing_scope\","
	    "\"needed\":\"users:read\"}";
	look_up_wholly(&scene, "{\"user\":\"U1\"}", 1);
	assert_false(look_up(&scene, "{\"user\":\"U1\"}"));
	assert_false(look_up(&scene, "{\"user\":\"U2\"}"));
	clean_up(&scene);
}

static void
bounds_what_is_under_way(void **state)
{
	struct scene scene;
	char text[64];

	(void)state;
	prepare(&scene);
	scene.is_silent = true;
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "{\"user\":\"V%d\"}", i);
		assert_int_equal(look_up(&scene, text), i < 3);
	}
	stub_run_ms(&scene.parts, 50);
	assert_int_equal(stub_calls(&scene.parts, NULL), 3);
	clean_up(&scene);
}

static void
keeps_names_in_a_file(void **state)
{
	static const char text[] = "{\"user\":\"U1\",\"channel\":\"D1\"}";
	struct scene scene;

	(void)state;
	prepare(&scene);
	look_up_wholly(&scene, text, 2);
	look_up_wholly(&scene, "{\"user\":\"U6\"}", 1);
	restart(&scene);
	assert_false(look_up(&scene, text));
	assert_string_equal(names(&scene, text), "{\"user\":\"Ada \\\"A\\\"\","
	    "\"channel\":\"@Ada \\\"A\\\"\"}");
	stub_run_ms(&scene.parts, 20);
	assert_int_equal(stub_calls(&scene.parts, NULL), 3);
	clean_up(&scene);
}

static void
write_file(const struct scene *scene, const char *text)
{
	int fd = open(scene->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
uses_an_old_name_and_asks_for_it_anew(void **state)
{
	static const int64_t ages_s[] = { DIRECTORY_AGE_S + 10, -3600 };
	struct scene scene;
	char line[128];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		prepare(&scene);
		snprintf(line, sizeof line, "{\"id\":\"U1\",\"name\":\"old\","
		    "\"at\":%" PRId64 "}\n", clock_now_us() / 1000000 -
		    ages_s[i]);
		write_file(&scene, line);
		restart(&scene);
		assert_string_equal(names(&scene, "{\"user\":\"U1\"}"),
		    "{\"user\":\"old\"}");
		scene.wanted = 1;
		assert_false(look_up(&scene, "{\"user\":\"U1\"}"));
		assert_true(stub_run(&scene.parts, has_changed, &scene));
		assert_string_equal(names(&scene, "{\"user\":\"U1\"}"),
		    "{\"user\":\"Ada \\\"A\\\"\"}");
		clean_up(&scene);
	}
}

static void
reads_what_is_good_of_a_hostile_file(void **state)
{
	struct scene scene;
	struct buffer text = { 0 };

	(void)state;
	prepare(&scene);
	buffer_append_string(&text, "{\"id\":\"U1\",\"name\":\"good\",\"at\":"
	    "1}\nnothing\n{\"id\":7,\"name\":\"x\",\"at\":1}\n\n{\"id\":"
	    "\"U2\",\"name\":\"\",\"at\":1}\n{\"id\":\"../\",\"name\":\"x\","
	    "\"at\":1}\n{\"id\":\"U3\",\"name\":\"x\",\"at\":1e9}\n{\"id\":"
	    "\"U4\",\"name\":\"");
	memset(buffer_reserve(&text, 100000), 'a', 100000);
	text.length += 100000;
	buffer_append_string(&text, "\",\"at\":1}\n\xff\xfe\n{\"id\":\"U5\","
	    "\"name\":\"last\",\"at\":1}");
	write_file(&scene, buffer_string(&text));
	buffer_free(&text);
	restart(&scene);
	assert_string_equal(names(&scene, "{\"user\":\"U1\"}"),
	    "{\"user\":\"good\"}");
	assert_string_equal(names(&scene, "{\"user\":\"U5\"}"),
	    "{\"user\":\"last\"}");
	assert_string_equal(names(&scene, "{\"user\":\"U3\"}"), "");
	clean_up(&scene);
}

static void
notices_new_names(void **state)
{
	static const char text[] = "{\"user\":\"U1\",\"channel\":\"C1\"}";
	struct scene scene;

	(void)state;
	prepare(&scene);
	look_up_wholly(&scene, text, 2);
	directory_notice(scene.directory, event(&scene, "{\"type\":"
	    "\"user_change\",\"user\":{\"id\":\"U1\",\"profile\":"
	    "{\"display_name\":\"Countess\"}}}"));
	directory_notice(scene.directory, event(&scene, "{\"type\":"
	    "\"channel_rename\",\"channel\":{\"id\":\"C1\",\"name\":\"all\","
	    "\"created\":1}}"));
	assert_string_equal(names(&scene, text),
	    "{\"user\":\"Countess\",\"channel\":\"all\"}");
	directory_notice(scene.directory, event(&scene, "{\"type\":"
	    "\"message\",\"subtype\":\"channel_name\",\"channel\":\"C1\","
	    "\"name\":\"every\",\"old_name\":\"all\"}"));
	assert_string_equal(names(&scene, text),
	    "{\"user\":\"Countess\",\"channel\":\"every\"}");
	directory_notice(scene.directory, event(&scene, "{\"type\":"
	    "\"channel_id_changed\",\"old_channel_id\":\"C1\","
	    "\"new_channel_id\":\"C9\"}"));
	directory_notice(scene.directory, event(&scene, "{\"type\":"
	    "\"user_change\",\"user\":{\"id\":\"U1\"}}"));
	assert_string_equal(names(&scene, text), "");
	/* of the many users nobody asked for */
	directory_notice(scene.directory, event(&scene, "{\"type\":"
	    "\"user_change\",\"user\":{\"id\":\"U9\",\"name\":\"x\"}}"));
	assert_string_equal(names(&scene, "{\"user\":\"U9\"}"), "");
	clean_up(&scene);
}

static void
forgets_the_name_that_was_not_used_for_longest(void **state)
{
	struct name_cache *cache = name_cache_new(3);

	(void)state;
	name_cache_put(cache, "U1", "one", 1);
	name_cache_put(cache, "U2", NULL, 2);
	name_cache_put(cache, "U3", "three", 3);
	assert_string_equal(name_cache_find(cache, "U1")->name, "one");
	name_cache_put(cache, "U3", "third", 4);
	name_cache_put(cache, "U4", "four", 5);
	assert_null(name_cache_find(cache, "U2"));
	assert_string_equal(name_cache_find(cache, "U1")->name, "one");
	assert_string_equal(name_cache_find(cache, "U3")->name, "third");
	assert_int_equal(name_cache_find(cache, "U3")->at_s, 4);
	name_cache_forget(cache, "U1");
	assert_null(name_cache_find(cache, "U1"));
	name_cache_free(cache);
}

static void
survives_a_folder_that_cannot_be_written(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene);
	assert_int_equal(rmdir(scene.folder), 0);
	look_up_wholly(&scene, "{\"user\":\"U1\"}", 1);
	directory_free(scene.directory);
	assert_int_equal(mkdir(scene.folder, 0700), 0);
	start(&scene);
	clean_up(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_up_what_it_does_not_know),
		cmocka_unit_test(takes_the_best_name_there_is),
		cmocka_unit_test(needs_no_lookup_for_a_bot_that_says_its_name),
		cmocka_unit_test(names_a_dialogue_by_who_is_in_it),
		cmocka_unit_test(does_not_ask_again_what_does_not_exist),
		cmocka_unit_test(asks_for_nothing_that_is_no_id),
		cmocka_unit_test(does_not_hold_up_events_while_slack_fails),
		cmocka_unit_test(
		    holds_up_no_event_for_a_name_it_may_not_ask_for),
		cmocka_unit_test(bounds_what_is_under_way),
		cmocka_unit_test(keeps_names_in_a_file),
		cmocka_unit_test(uses_an_old_name_and_asks_for_it_anew),
		cmocka_unit_test(reads_what_is_good_of_a_hostile_file),
		cmocka_unit_test(notices_new_names),
		cmocka_unit_test(
		    forgets_the_name_that_was_not_used_for_longest),
		cmocka_unit_test(survives_a_folder_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
