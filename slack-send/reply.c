#include "reply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "forward.h"
#include "markup.h"
#include "subscriptions.h"

#define TO "to"
#define REPLY "reply"
#define TARGET_BYTES_MAX 255
#define TS_BYTES_MAX 32
#define TERM_CHARACTERS 80

static int64_t
find_seq(const struct record *record)
{
	int64_t seq;

	return record_integer(record, RECORD_SEQ, &seq) && seq > 0 ? seq : 0;
}

static const char *
check_length(const char *text, size_t most)
{
	return text != NULL && *text != '\0' && strlen(text) <= most ? text
	    : NULL;
}

/* ts of a thread, or NULL. */
static const char *
check_thread(const char *ts)
{
	return check_length(ts, TS_BYTES_MAX) != NULL &&
	    ts[strspn(ts, "0123456789.")] == '\0' ? ts : NULL;
}

bool
reply_read(struct outbox_message *message, struct record *record)
{
	const cJSON *command = record_object(record, RECORD_COMMAND);
	bool is_late = record_is(record, RECORD_TYPE, REPLY);

	*message = (struct outbox_message){
		.seq = find_seq(record), .purpose = OUTBOX_REPLY_PURPOSE,
		.channel = check_length(is_late ? record_string(record, TO)
		    : json_string(command, TO), TARGET_BYTES_MAX),
		.mrkdwn = check_length(is_late
		    ? record_string(record, RECORD_TEXT)
		    : json_string(command, REPLY), 1024 * 1024),
		.thread = check_thread(is_late
		    ? record_string(record, RECORD_THREAD_TS)
		    : json_string(command, RECORD_THREAD_TS)),
	};
	return message->channel != NULL && message->mrkdwn != NULL;
}

/* --- quarantine -------------------------------------------------------------*/

static void
word_notice(struct buffer *text, const char *user, const char *term)
{
	buffer_printf(text, "<@%s>! I look for ", user);
	markup_append_term(text, term, TERM_CHARACTERS);
	buffer_append_string(text, " no more: again and again it took too long"
	    " to search. Say it in simpler words, and `forward` it again.");
}

void
reply_read_notices(struct record *record,
    void (*take)(const struct outbox_message *message, void *arg), void *arg)
{
	const cJSON *pattern, *owner;

	cJSON_ArrayForEach(pattern, record_array(record, RECORD_QUARANTINE)) {
		const char *term = json_string(pattern, "pattern");

		cJSON_ArrayForEach(owner, json_get(pattern, "for")) {
			struct buffer text = { 0 }, id = { 0 };

			if (term == NULL || !cJSON_IsNumber(owner) ||
			    !forward_is_user(owner->string))
				continue;
			word_notice(&text, owner->string, term);
			buffer_printf(&id, "quarantine/%.0f/%s",
			    owner->valuedouble, owner->string);
			take(&(struct outbox_message){
				.seq = find_seq(record), .purpose = OUTBOX_NOTICE_PURPOSE,
				.id = buffer_string(&id),
				.channel = owner->string, .title = term,
				.mrkdwn = buffer_string(&text) }, arg);
			buffer_free(&text);
			buffer_free(&id);
		}
	}
}

/* --- mutes ------------------------------------------------------------------*/

static struct subscription *
read_mute(const cJSON *text)
{
	struct subscription *line;
	const char *reason;

	if (!cJSON_IsString(text))
		return NULL;
	line = subscription_parse(text->valuestring,
	    strlen(text->valuestring), &reason);
	if (line != NULL && line->kind == SUBSCRIPTION_MUTE)
		return line;
	free(line);
	return NULL;
}

/* Whoever mutes anew ends the mute before in the same record. */
static bool
is_muted_anew(const cJSON *lines, const char *user)
{
	bool is_muted = false;
	const cJSON *text;

	cJSON_ArrayForEach(text, lines) {
		struct subscription *line = read_mute(text);

		is_muted |= line != NULL && line->to == 0 &&
		    strcmp(line->user, user) == 0;
		free(line);
	}
	return is_muted;
}

void
reply_read_mutes(struct record *record,
    void (*hold)(const char *user, int64_t due_us, void *arg), void *arg)
{
	const cJSON *lines = record_array(record, RECORD_SUBSCRIPTIONS), *text;

	cJSON_ArrayForEach(text, lines) {
		struct subscription *line = read_mute(text);

		if (line != NULL && line->to == 0)
			hold(line->user, forward_due_us(
			    (double)line->until_s), arg);
		else if (line != NULL && !is_muted_anew(lines, line->user))
			hold(line->user, 0, arg);
		free(line);
	}
}
