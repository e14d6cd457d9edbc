#include "slack_error.h"

#include <stddef.h>
#include <string.h>

#include "buffer.h"
#include "slack_pace.h"

struct kind {
	const char *error;
	enum slack_verdict verdict;
};

/* What is not here is permanent, for these arguments. */
static const struct kind kinds[] = {
	{ "internal_error", SLACK_RETRY },
	{ "service_unavailable", SLACK_RETRY },
	{ "request_timeout", SLACK_RETRY },
	{ "team_added_to_org", SLACK_RETRY },
	{ "org_login_required", SLACK_RETRY },
	{ "migration_in_progress", SLACK_RETRY },

	{ "fatal_error", SLACK_IN_DOUBT },
	{ "file_update_failed", SLACK_IN_DOUBT },

	{ "invalid_auth", SLACK_FORBIDDEN },
	{ "not_authed", SLACK_FORBIDDEN },
	{ "account_inactive", SLACK_FORBIDDEN },
	{ "token_revoked", SLACK_FORBIDDEN },
	{ "token_expired", SLACK_FORBIDDEN },
	{ "not_allowed_token_type", SLACK_FORBIDDEN },
	{ "missing_scope", SLACK_FORBIDDEN },
	{ "no_permission", SLACK_FORBIDDEN },
	{ "access_denied", SLACK_FORBIDDEN },
	{ "accesslimited", SLACK_FORBIDDEN },
	{ "team_access_not_granted", SLACK_FORBIDDEN },
	{ "enterprise_is_restricted", SLACK_FORBIDDEN },
	{ "ekm_access_denied", SLACK_FORBIDDEN },
	{ "two_factor_setup_required", SLACK_FORBIDDEN },
	{ "user_removed_from_team", SLACK_FORBIDDEN },
	{ "team_disabled", SLACK_FORBIDDEN },
	{ "forbidden_team", SLACK_FORBIDDEN },
	{ "method_deprecated", SLACK_FORBIDDEN },
	{ "deprecated_endpoint", SLACK_FORBIDDEN },
	{ "unknown_method", SLACK_FORBIDDEN },
	{ "team_not_found", SLACK_FORBIDDEN },
	{ "app_access_restricted", SLACK_FORBIDDEN },
	{ "file_uploads_disabled", SLACK_FORBIDDEN },
	{ "file_uploads_except_images_disabled", SLACK_FORBIDDEN },
	{ "storage_limit_reached", SLACK_FORBIDDEN },

	{ "channel_not_found", SLACK_NO_TARGET },
	{ "not_in_channel", SLACK_NO_TARGET },
	{ "is_archived", SLACK_NO_TARGET },
	{ "restricted_action", SLACK_NO_TARGET },
	{ "restricted_action_read_only_channel", SLACK_NO_TARGET },
	{ "restricted_action_thread_only_channel", SLACK_NO_TARGET },
	{ "restricted_action_non_threadable_channel", SLACK_NO_TARGET },
	{ "restricted_action_thread_locked", SLACK_NO_TARGET },
	{ "cannot_reply_to_message", SLACK_NO_TARGET },
	{ "messages_tab_disabled", SLACK_NO_TARGET },
	{ "method_not_supported_for_channel_type", SLACK_NO_TARGET },
	{ "posting_to_channel_denied", SLACK_NO_TARGET },
	{ "slack_connect_file_link_sharing_blocked", SLACK_NO_TARGET },
	{ "slack_connect_blocked_file_type", SLACK_NO_TARGET },
	{ "user_not_found", SLACK_NO_TARGET },
	{ "user_disabled", SLACK_NO_TARGET },
	{ "user_not_visible", SLACK_NO_TARGET },
	{ "bot_not_found", SLACK_NO_TARGET },
	{ "message_not_found", SLACK_NO_TARGET },
	{ "thread_not_found", SLACK_NO_TARGET },
	{ "file_not_found", SLACK_NO_TARGET },
	{ "file_deleted", SLACK_NO_TARGET },
	{ "cannot_dm_bot", SLACK_NO_TARGET },

	{ "msg_too_long", SLACK_BAD_REQUEST },
	{ "no_text", SLACK_BAD_REQUEST },
	{ "invalid_blocks", SLACK_BAD_REQUEST },
	{ "invalid_blocks_format", SLACK_BAD_REQUEST },
	{ "msg_blocks_too_long", SLACK_BAD_REQUEST },
	{ "too_many_attachments", SLACK_BAD_REQUEST },
	{ "attachment_payload_limit_exceeded", SLACK_BAD_REQUEST },
	{ "markdown_text_conflict", SLACK_BAD_REQUEST },
	{ "invalid_arguments", SLACK_BAD_REQUEST },
	{ "invalid_arg_name", SLACK_BAD_REQUEST },
	{ "invalid_array_arg", SLACK_BAD_REQUEST },
	{ "invalid_json", SLACK_BAD_REQUEST },
	{ "json_not_object", SLACK_BAD_REQUEST },
	{ "invalid_charset", SLACK_BAD_REQUEST },
	{ "invalid_form_data", SLACK_BAD_REQUEST },
	{ "invalid_post_type", SLACK_BAD_REQUEST },
	{ "missing_post_type", SLACK_BAD_REQUEST },
	{ "missing_argument", SLACK_BAD_REQUEST },
	{ "missing_args", SLACK_BAD_REQUEST },
	{ "insecure_request", SLACK_BAD_REQUEST },
	{ "invalid_cursor", SLACK_BAD_REQUEST },
	{ "invalid_limit", SLACK_BAD_REQUEST },
	{ "invalid_ts_latest", SLACK_BAD_REQUEST },
	{ "invalid_ts_oldest", SLACK_BAD_REQUEST },
	{ "invalid_metadata_format", SLACK_BAD_REQUEST },
	{ "invalid_metadata_schema", SLACK_BAD_REQUEST },
	{ "as_user_not_supported", SLACK_BAD_REQUEST },
	{ "duplicate_channel_not_found", SLACK_BAD_REQUEST },
	{ "duplicate_message_not_found", SLACK_BAD_REQUEST },
	{ "file_upload_size_restricted", SLACK_BAD_REQUEST },
	{ "file_type_not_allowed", SLACK_BAD_REQUEST },
	{ "blocked_file_type", SLACK_BAD_REQUEST },
	{ "missing_file_data", SLACK_BAD_REQUEST },
	{ "snippet_too_large", SLACK_BAD_REQUEST },
	{ "unknown_snippet_type", SLACK_BAD_REQUEST },
	{ "unknown_subtype", SLACK_BAD_REQUEST },
	{ "alt_txt_too_large", SLACK_BAD_REQUEST },
	{ "channels_limit_exceeded", SLACK_BAD_REQUEST },
	{ "too_many_users", SLACK_BAD_REQUEST },
	{ "not_enough_users", SLACK_BAD_REQUEST },
	{ "users_list_not_supplied", SLACK_BAD_REQUEST },
	{ "invalid_user_combination", SLACK_BAD_REQUEST },
};

#define KINDS (sizeof kinds / sizeof kinds[0])

/* Without a connection nothing goes: who calls it cannot call otherwise. */
static bool
is_fatal_to_connection(const char *method, const char *error)
{
	return strcmp(method, "apps.connections.open") == 0 &&
	    (strcmp(error, "missing_args") == 0 ||
	    strcmp(error, "insecure_request") == 0);
}

/* It may have got as far as showing the message (Slack's own words). */
static bool
is_doubtful_post(const char *method, const char *error)
{
	return slack_pace_find(method)->group != NULL &&
	    strcmp(error, "internal_error") == 0;
}

bool
slack_error_judge(const char *method, const char *error,
    enum slack_verdict *verdict)
{
	if (is_fatal_to_connection(method, error)) {
		*verdict = SLACK_FORBIDDEN;
		return true;
	}
	if (is_doubtful_post(method, error)) {
		*verdict = SLACK_IN_DOUBT;
		return true;
	}
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(kinds[i].error, error) == 0) {
			*verdict = kinds[i].verdict;
			return true;
		}
	*verdict = SLACK_BAD_REQUEST;
	return strncmp(error, "metadata_", strlen("metadata_")) == 0;
}

bool
slack_error_is_auth(const char *error)
{
	static const char *const errors[] = { "invalid_auth", "not_authed",
	    "account_inactive", "token_revoked", "token_expired",
	    "not_allowed_token_type", "access_denied", "accesslimited",
	    "app_access_restricted", "team_access_not_granted",
	    "team_not_found", "forbidden_team", "team_disabled",
	    "user_removed_from_team", "two_factor_setup_required",
	    "ekm_access_denied" };

	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (strcmp(errors[i], error) == 0)
			return true;
	return false;
}

bool
slack_error_is_rate(const char *error, int *default_s, bool *is_for_all)
{
	static const struct {
		const char *error;
		int default_s;
		bool is_for_all;
	} rates[] = {
		{ "ratelimited", 30, false },
		{ "rate_limited", 30, false },
		{ "message_limit_exceeded", 60, true },
	};

	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
		if (strcmp(rates[i].error, error) == 0) {
			*default_s = rates[i].default_s;
			*is_for_all = rates[i].is_for_all;
			return true;
		}
	return false;
}

/* Errors that a person must mend: what is wrong, and where the cure is. */
enum cure {
	CURE_NEW_TOKEN,
	CURE_OTHER_TOKEN,
	CURE_SCOPE,
	CURE_REINSTALL,
	CURE_ADMINISTRATOR,
	CURE_SERVER,
	CURE_UPDATE,
};

struct advice {
	const char *error;
	const char *trouble;
	enum cure cure;
};

static const struct advice advices[] = {
	{ "invalid_auth", "the token is wrong or was revoked, or this"
	    " address is not on the workspace's list of allowed ones",
	    CURE_NEW_TOKEN },
	{ "not_authed", "no token came with the call", CURE_NEW_TOKEN },
	{ "account_inactive", "the app was uninstalled, or who made the token"
	    " is deactivated", CURE_REINSTALL },
	{ "token_revoked", "the token was revoked", CURE_NEW_TOKEN },
	{ "token_expired", "the token has expired, because the app rotates its"
	    " tokens, which Ultron does not follow: use an app without token"
	    " rotation", CURE_NEW_TOKEN },
	{ "not_allowed_token_type", "a token of this kind is not allowed"
	    " there", CURE_OTHER_TOKEN },
	{ "missing_scope", "the token lacks", CURE_SCOPE },
	{ "no_permission", "the app or the bot may not do that",
	    CURE_REINSTALL },
	{ "access_denied", "the workspace denies the app access",
	    CURE_ADMINISTRATOR },
	{ "accesslimited", "the workspace limits the app's access",
	    CURE_ADMINISTRATOR },
	{ "team_access_not_granted", "the organisation has not granted the"
	    " app this workspace", CURE_ADMINISTRATOR },
	{ "enterprise_is_restricted", "the organisation may not use this"
	    " method", CURE_ADMINISTRATOR },
	{ "ekm_access_denied", "the organisation has suspended access to its"
	    " messages (key management)", CURE_ADMINISTRATOR },
	{ "two_factor_setup_required", "the workspace demands two-factor"
	    " authentication, which the token's owner has not set up",
	    CURE_ADMINISTRATOR },
	{ "user_removed_from_team", "the token's owner or the bot was removed"
	    " from the workspace", CURE_REINSTALL },
	{ "team_disabled", "the workspace is disabled", CURE_ADMINISTRATOR },
	{ "forbidden_team", "the app is forbidden in this workspace",
	    CURE_ADMINISTRATOR },
	{ "method_deprecated", "Slack has retired the method", CURE_UPDATE },
	{ "deprecated_endpoint", "Slack has retired the method",
	    CURE_UPDATE },
	{ "unknown_method", "the server does not know the method",
	    CURE_SERVER },
	{ "team_not_found", "the workspace is not to be found any more",
	    CURE_REINSTALL },
	{ "app_access_restricted", "the workspace restricts who may use the"
	    " app", CURE_ADMINISTRATOR },
	{ "file_uploads_disabled", "nobody may upload files to the workspace",
	    CURE_ADMINISTRATOR },
	{ "file_uploads_except_images_disabled", "nobody may upload files but"
	    " pictures to the workspace", CURE_ADMINISTRATOR },
	{ "storage_limit_reached", "the workspace has no room for more files",
	    CURE_ADMINISTRATOR },
	{ "missing_args", "the server wants other arguments", CURE_SERVER },
	{ "insecure_request", "the server wants another kind of request",
	    CURE_SERVER },
	{ NULL, "Slack does not allow it", CURE_REINSTALL },
};

static void
append_scope(struct buffer *sentence, bool is_app, const char *needed)
{
	if (needed != NULL)
		buffer_printf(sentence, " the scope %s", needed);
	else
		buffer_append_string(sentence, is_app ?
		    " the scope connections:write" : " a scope");
	buffer_append_string(sentence, is_app ? "; make a new one with it"
	    " under Basic Information, App-Level Tokens" : "; add it under"
	    " OAuth & Permissions and reinstall the app");
}

static const char *
describe_cure(enum cure cure, bool is_app)
{
	switch (cure) {
	case CURE_NEW_TOKEN:
		return is_app ? "make a new one under Basic Information,"
		    " App-Level Tokens" : "copy it anew from OAuth &"
		    " Permissions, after reinstalling the app";
	case CURE_OTHER_TOKEN:
		return is_app ? "it takes an app-level token (xapp-…), made"
		    " under Basic Information, App-Level Tokens" : "it takes"
		    " the bot token (xoxb-…) from OAuth & Permissions";
	case CURE_REINSTALL:
		return "compare the app's scopes with the manual, reinstall"
		    " the app and take its new tokens";
	case CURE_ADMINISTRATOR:
		return "ask an administrator of the workspace";
	case CURE_SERVER:
		return "check SLACK_API_URL";
	default:
		return "look for a newer Ultron";
	}
}

void
slack_error_advise(struct buffer *sentence, const char *error, bool is_app,
    const char *needed)
{
	const struct advice *advice = advices;

	while (advice->error != NULL && strcmp(advice->error, error) != 0)
		advice++;
	buffer_append_string(sentence, advice->trouble);
	if (advice->cure == CURE_SCOPE)
		append_scope(sentence, is_app, needed);
	else
		buffer_printf(sentence, "; %s", describe_cure(advice->cure,
		    is_app));
}
