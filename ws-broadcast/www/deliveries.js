/*
 * What became of messages to Slack. slack-send reports each outcome as a record
 * of its own, and Slack shows what was posted to everybody, us included: both
 * belong on the card of the message, not beside it.
 */

import { isObject, string } from "./blocks.js";

const HOLD_MS = 6000;		/* a report of a file comes so late, at the most */
const HELD_MOST = 200;
const POSTS_REMEMBERED = 1000;
const KEY = /^([1-9]\d{0,15})\/(relay|reply|forward|notice|digest)\/\d+(?:\/|$)/;
const GOOD = ["sent", "digest"];

const whole = new Intl.NumberFormat("en");

/* Slack's words for what is wrong, in ours. */
const REASONS = new Map(Object.entries({
	channel_not_found: "Slack knows no such channel, or the bot is not in it",
	not_in_channel: "the bot is not in the channel",
	is_archived: "the channel is archived",
	msg_too_long: "the text is too long for Slack",
	no_text: "there was nothing to say",
	restricted_action: "the workspace does not let the bot post there",
	user_not_found: "Slack knows no such person",
	missing_scope: "the bot was not given the right to do that",
	invalid_auth: "Slack refuses the bot's token",
	token_revoked: "the bot's token was revoked",
	account_inactive: "the bot was switched off",
}));

export const seqOf = (value) =>
    Number.isSafeInteger(value) && value > 0 ? value : null;

/* The reason, with what its first word means where that is a word of Slack's. */
function reasonWords(reason) {
	const words = REASONS.get(/^\w+/.exec(reason)?.[0]);

	if (reason === "")
		return "no reason given";
	return words === undefined || reason.includes(":") ? reason :
	    `${words} (${reason})`;
}

function timeOfTs(ts) {
	const date = new Date(/^\d{1,11}(\.\d+)?$/.test(ts) ? Number(ts) * 1000 :
	    NaN);

	return Number.isNaN(date.getTime()) ? null : date;
}

/*
 * The report that a record is, or null: { of, purpose, status, channel, ts,
 * time, attempts, messages, reason }, of the seq of the message or null.
 */
export function deliveryOf(record) {
	if (record?.type !== "delivery" ||
	    ![...GOOD, "failed"].includes(record.status))
		return null;
	const ts = string(record.slack_ts);

	return {
		of: seqOf(record.of),
		purpose: string(record.purpose) || "relay",
		status: record.status,
		channel: string(record.slack_channel),
		ts,
		time: timeOfTs(ts),
		attempts: seqOf(record.attempts) ?? 1,
		messages: seqOf(record.messages),
		reason: record.status === "failed" ?
		    reasonWords(string(record.reason)) : "",
	};
}

/* The same of a message that slack-send posted, as Slack shows it to us. */
function echoOf(record) {
	const { metadata } = record;

	if (!isOwnPost(record) || !isObject(metadata) ||
	    metadata.event_type !== "ultron_message")
		return null;
	const key = KEY.exec(string(metadata.event_payload?.key));

	return key && {
		of: seqOf(Number(key[1])), purpose: key[2], status: "sent",
		channel: string(record.channel), ts: string(record.ts),
		time: timeOfTs(string(record.ts)), attempts: 1, messages: null,
		reason: "",
	};
}

function isOwnPost(record) {
	return isObject(record) && record.type === "message" &&
	    record.own === true &&
	    [undefined, "bot_message", "file_share"].includes(record.subtype);
}

/* Is it about a message that has a card already, and nothing to worry about? */
export function isQuiet(record) {
	const delivery = deliveryOf(record);

	return delivery !== null ? delivery.status !== "failed" :
	    isObject(record) && echoOf(record) !== null;
}

/* A report in a few words: { sign, words, time, more }. */
export function reportWords({ status, purpose, time, reason, attempts }) {
	const whose = purpose === "relay" ? "" : `${purpose} `;
	const tries = attempts > 1 ? `after ${whole.format(attempts)} tries` : "";

	if (status === "failed")
		return { sign: "✕", words: `${whose}not in Slack: ${reason}`,
			time: null, more: tries };
	return { sign: "✓", time, more: tries, words: whose +
	    (status === "digest" ? "in a digest" : "in Slack") };
}

/*
 * Between the stream and the board: keeps reports and echoes off it. Of our own
 * posts some do not say whose echo they are, files for one; they wait for the
 * report that does.
 */
export class Deliveries {
	#board;
	#held = [];			/* { post, add, timer }, oldest first */
	#posts = new Set();		/* that reports have named */

	constructor(board) {
		this.#board = board;
	}

	/* add() puts the record on the board. */
	take(record, add) {
		const delivery = deliveryOf(record);
		const echo = delivery ?? !isObject(record) ? null : echoOf(record);

		if (delivery !== null)
			this.#takeReport(delivery, add);
		else if (echo !== null)
			this.#tell(echo, true);
		else if (isOwnPost(record))
			this.#hold(`${record.channel}/${record.ts}`, add);
		else
			add();
	}

	forget() {
		for (const { timer } of this.#held)
			clearTimeout(timer);
		this.#held = [];
		this.#posts.clear();
	}

	#takeReport(delivery, add) {
		this.#tell(delivery, false);
		if (delivery.ts !== "")
			this.#remember(`${delivery.channel}/${delivery.ts}`);
		if (delivery.status === "failed")
			add();
	}

	/* A digest is none of the messages in it: each of them has its report. */
	#tell(report, isEcho) {
		if (report.of !== null && report.purpose !== "digest")
			this.#board.report(report, isEcho);
	}

	#remember(post) {
		this.#held = this.#held.filter((held) => {
			if (held.post === post)
				clearTimeout(held.timer);
			return held.post !== post;
		});
		this.#posts.add(post);
		if (this.#posts.size > POSTS_REMEMBERED)
			this.#posts.delete(this.#posts.values().next().value);
	}

	#hold(post, add) {
		if (this.#posts.has(post))
			return;
		this.#held.push({ post, add,
			timer: setTimeout(() => this.#release(), HOLD_MS) });
		if (this.#held.length > HELD_MOST)
			this.#release();
	}

	/* The oldest is nobody's echo. */
	#release() {
		const { timer, add } = this.#held.shift();

		clearTimeout(timer);
		add();
	}
}
