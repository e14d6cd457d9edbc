#include "upload.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "memory.h"
#include "record.h"

#define FILE_ID_BYTES_MAX 64

struct upload {
	struct upload_settings settings;
	struct slack_call *call;
	char *file;
	unsigned limited;	/* in the steps that are done */
};

static void
free_upload(struct upload *upload)
{
	free(upload->file);
	free(upload);
}

void
upload_cancel(struct upload *upload)
{
	if (upload == NULL)
		return;
	if (upload->call != NULL)
		slack_api_cancel(upload->call);
	free_upload(upload);
}

static void
finish(struct upload *upload, const struct slack_reply *reply)
{
	const struct upload_settings settings = upload->settings;

	free_upload(upload);
	settings.done(reply, settings.arg);
}

/* What was not shown yet can be begun anew without harm. */
static void
fail(struct upload *upload, const struct slack_reply *reply,
    const char *otherwise)
{
	struct slack_reply failure = *reply;

	if (failure.verdict == SLACK_IN_DOUBT || failure.verdict == SLACK_OK)
		failure.verdict = SLACK_RETRY;
	if (*failure.error == '\0')
		failure.error = otherwise;
	failure.limited += upload->limited;
	finish(upload, &failure);
}

static void
end_call(struct upload *upload, const struct slack_reply *reply)
{
	upload->call = NULL;
	if (reply->verdict == SLACK_OK)
		upload->limited += reply->limited;
}

static void
take_completion(const struct slack_reply *reply, void *arg)
{
	struct upload *upload = arg;
	struct slack_reply whole = *reply;

	whole.limited += upload->limited;
	upload->call = NULL;
	finish(upload, &whole);
}

static void
append_files(struct buffer *json, const struct upload *upload)
{
	const char *title = upload->settings.post->title;

	buffer_append_string(json, "[{\"id\":");
	buffer_append_json(json, upload->file, strlen(upload->file));
	buffer_append_string(json, ",\"title\":");
	buffer_append_json(json, title, strlen(title));
	buffer_append_string(json, "}]");
}

static void
show(struct upload *upload)
{
	const struct upload_settings *settings = &upload->settings;
	struct buffer arguments = { 0 }, files = { 0 };

	append_files(&files, upload);
	slack_api_argument(&arguments, "files", buffer_string(&files));
	slack_api_argument(&arguments, "channel_id", settings->channel);
	if (settings->thread != NULL)
		slack_api_argument(&arguments, "thread_ts", settings->thread);
	if (*settings->post->text != '\0')
		slack_api_argument(&arguments, "initial_comment",
		    settings->post->text);
	upload->call = slack_api_call(settings->api, &(struct slack_request){
		.method = "files.completeUploadExternal",
		.token = settings->token,
		.arguments = buffer_string(&arguments),
		.key = settings->channel,
	    }, take_completion, upload);
	buffer_free(&files);
	buffer_free(&arguments);
}

static void
take_bytes_answer(const struct slack_reply *reply, void *arg)
{
	struct upload *upload = arg;

	end_call(upload, reply);
	if (reply->verdict != SLACK_OK)
		fail(upload, reply, "the upload failed");
	else if (upload->settings.uploaded(upload->file,
	    upload->settings.arg))
		show(upload);
	else
		finish(upload, NULL);
}

/* It goes into the outbox. */
static bool
is_file_id(const char *text)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	return length > 0 && length <= FILE_ID_BYTES_MAX &&
	    text[length] == '\0';
}

static void
take_address(const struct slack_reply *reply, void *arg)
{
	struct upload *upload = arg;
	const struct compose_post *post = upload->settings.post;
	const char *url = json_string(reply->json, "upload_url");
	const char *file = json_string(reply->json, "file_id");

	end_call(upload, reply);
	if (reply->verdict == SLACK_OK && url != NULL && file != NULL &&
	    is_file_id(file)) {
		upload->file = xstrdup(file);
		upload->call = slack_api_upload(upload->settings.api,
		    &(struct slack_upload){ url, post->content, post->length },
		    take_bytes_answer, upload);
	}
	if (upload->call == NULL)
		fail(upload, reply, "no address to upload to that is safe");
}

struct upload *
upload_start(const struct upload_settings *settings)
{
	struct upload *upload = xcalloc(1, sizeof *upload);
	struct buffer arguments = { 0 };
	char length[24];

	upload->settings = *settings;
	snprintf(length, sizeof length, "%zu", settings->post->length);
	slack_api_argument(&arguments, "filename", settings->post->filename);
	slack_api_argument(&arguments, "length", length);
	upload->call = slack_api_call(settings->api, &(struct slack_request){
		.method = "files.getUploadURLExternal",
		.token = settings->token,
		.arguments = buffer_string(&arguments),
	    }, take_address, upload);
	buffer_free(&arguments);
	return upload;
}
