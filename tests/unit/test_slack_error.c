/* Every error that Slack's pages name has its class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "buffer.h"
#include "slack_error.h"

static const struct {
	enum slack_verdict verdict;
	const char *errors;		/* with a blank behind each */
} classes[] = {
	{ SLACK_RETRY, "service_unavailable request_timeout"
	    " team_added_to_org org_login_required migration_in_progress " },
	{ SLACK_IN_DOUBT, "fatal_error file_update_failed internal_error " },
	{ SLACK_FORBIDDEN, "invalid_auth not_authed account_inactive"
	    " token_revoked token_expired not_allowed_token_type missing_scope"
	    " no_permission access_denied accesslimited"
	    " team_access_not_granted enterprise_is_restricted"
	    " ekm_access_denied two_factor_setup_required"
	    " user_removed_from_team team_disabled method_deprecated"
	    " deprecated_endpoint unknown_method team_not_found"
	    " app_access_restricted file_uploads_disabled"
	    " file_uploads_except_images_disabled storage_limit_reached " },
	{ SLACK_NO_TARGET, "channel_not_found not_in_channel is_archived"
	    " restricted_action restricted_action_read_only_channel"
	    " restricted_action_thread_only_channel"
	    " restricted_action_non_threadable_channel"
	    " restricted_action_thread_locked cannot_reply_to_message"
	    " messages_tab_disabled user_not_found user_disabled"
	    " user_not_visible thread_not_found file_not_found"
	    " file_deleted posting_to_channel_denied"
	    " slack_connect_file_link_sharing_blocked"
	    " slack_connect_blocked_file_type " },
	{ SLACK_BAD_REQUEST, "msg_too_long no_text invalid_blocks"
	    " invalid_blocks_format msg_blocks_too_long too_many_attachments"
	    " attachment_payload_limit_exceeded markdown_text_conflict"
	    " invalid_arguments invalid_arg_name invalid_array_arg invalid_json"
	    " json_not_object invalid_charset invalid_form_data"
	    " invalid_post_type missing_post_type missing_argument"
	    " metadata_too_large metadata_must_be_sent_from_app"
	    " invalid_metadata_format invalid_metadata_schema"
	    " file_upload_size_restricted file_type_not_allowed"
	    " snippet_too_large unknown_snippet_type channels_limit_exceeded"
	    " alt_txt_too_large too_many_users " },
};

static void
expect(const char *error, enum slack_verdict wanted)
{
	enum slack_verdict verdict;
	bool is_known = slack_error_judge("chat.postMessage", error, &verdict);

	if (!is_known || verdict != wanted)
		fail_msg("%s: known %d, verdict %d", error, is_known, verdict);
}

static void
every_error_has_its_class(void **state)
{
	char error[64];

	(void)state;
	for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
		for (const char *at = classes[i].errors; *at != '\0';) {
			size_t length = strcspn(at, " ");

			assert_true(length < sizeof error);
			memcpy(error, at, length);
			error[length] = '\0';
			expect(error, classes[i].verdict);
			at += length + 1;
		}
}

static void
a_post_is_in_doubt_where_a_look_is_not(void **state)
{
	enum slack_verdict verdict;

	(void)state;
	slack_error_judge("files.completeUploadExternal", "internal_error",
	    &verdict);
	assert_int_equal(verdict, SLACK_IN_DOUBT);
	slack_error_judge("files.info", "internal_error", &verdict);
	assert_int_equal(verdict, SLACK_RETRY);
}

static void
what_refuses_all_is_told_from_what_refuses_one(void **state)
{
	static const char *const all[] = { "invalid_auth", "not_authed",
	    "account_inactive", "token_revoked", "token_expired",
	    "not_allowed_token_type", "user_removed_from_team",
	    "team_disabled", "two_factor_setup_required", "access_denied" };
	static const char *const one[] = { "missing_scope", "no_permission",
	    "restricted_action", "channel_not_found", "internal_error", "",
	    "file_uploads_disabled", "unknown_method" };

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		assert_true(slack_error_is_auth(all[i]));
	for (size_t i = 0; i < sizeof one / sizeof one[0]; i++)
		assert_false(slack_error_is_auth(one[i]));
}

static void
what_is_not_known_is_permanent_for_this_request(void **state)
{
	enum slack_verdict verdict;

	(void)state;
	assert_false(slack_error_judge("users.info", "new_word", &verdict));
	assert_int_equal(verdict, SLACK_BAD_REQUEST);
}

static void
rates_ask_for_a_pause(void **state)
{
	bool is_for_all = true;
	int pause_s = 0;

	(void)state;
	assert_true(slack_error_is_rate("ratelimited", &pause_s,
	    &is_for_all));
	assert_int_equal(pause_s, 30);
	assert_false(is_for_all);
	assert_true(slack_error_is_rate("rate_limited", &pause_s,
	    &is_for_all));
	assert_true(slack_error_is_rate("message_limit_exceeded", &pause_s,
	    &is_for_all));
	assert_int_equal(pause_s, 60);
	assert_true(is_for_all);
	assert_false(slack_error_is_rate("internal_error", &pause_s,
	    &is_for_all));
}

static void
a_missing_scope_is_named(void **state)
{
	struct buffer sentence = { 0 };

	(void)state;
	slack_error_advise(&sentence, "missing_scope", false, "files:read");
	assert_non_null(strstr(buffer_string(&sentence), "files:read"));
	buffer_free(&sentence);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_its_class),
		cmocka_unit_test(a_post_is_in_doubt_where_a_look_is_not),
		cmocka_unit_test(
		    what_refuses_all_is_told_from_what_refuses_one),
		cmocka_unit_test(
		    what_is_not_known_is_permanent_for_this_request),
		cmocka_unit_test(rates_ask_for_a_pause),
		cmocka_unit_test(a_missing_scope_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
