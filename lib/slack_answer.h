/* What an answer of Slack's Web API means for who called the method. */
#ifndef LIB_SLACK_ANSWER_H
#define LIB_SLACK_ANSWER_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "http_client.h"
#include "slack_api.h"

/* With room for what the reply points to. */
struct slack_judgement {
	struct slack_reply reply;
	cJSON *json;		/* for the caller to delete */
	char error[256];
	char needed[256];
	bool is_rate;		/* Slack wants a pause: no reply yet */
	bool is_for_all;	/* of the method, not of one channel */
	int pause_s;		/* so long, if it does not say it */
	bool is_unknown;	/* an error that is not known here */
};

/* The answer to a call of the method; it is borrowed by the reply. */
void slack_answer_judge(struct slack_judgement *judgement, const char *method,
    const struct http_answer *answer);

/* The same of the answer to the bytes of a file. */
void slack_answer_judge_upload(struct slack_judgement *judgement,
    const struct http_answer *answer);

#endif
