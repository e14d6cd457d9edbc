/*
 * A record as a card needs it. Every member may be missing or of a type nobody
 * expected: what is not as it should be counts as not there.
 */

import { isObject, list, string } from "./blocks.js";
import { deliveryOf, seqOf } from "./deliveries.js";
import { linkTarget } from "./dom.js";
import { memberText } from "./json.js";

export const CLASSES = ["success", "warning", "danger"];

const KEPT_CHARACTERS = 256 * 1024;	/* of a line, for as long as its card */
const EXACT_CHARACTERS = 1024 * 1024;	/* beyond it speed goes before digits */
const NAMES_KEPT = 2000;

/* Lines of the channel's own life, which nobody wrote. */
const SYSTEM = /^(?:channel|group|bot)_(?!message)|^(?:un)?pinned_item$/;

/* Events about the workspace itself: nothing anybody said. */
const HOUSEKEEPING = new Set(["user_change", "channel_rename", "group_rename",
    "channel_archive", "channel_unarchive", "channel_id_changed",
    "member_joined_channel", "member_left_channel"]);

const CARRIED = new Set(["message_changed", "message_deleted"]);

const object = (value) => isObject(value) ? value : {};

export function isHousekeeping(record) {
	return HOUSEKEEPING.has(record?.type);
}

/* The class the record goes under: what is out of order is a warning. */
export function classOf(record) {
	if (deliveryOf(record)?.status === "failed")
		return record.class === "danger" ? "danger" : "warning";
	if (CLASSES.includes(record?.class))
		return record.class;
	return record === null || !isObject(record) || record.type === "error" ||
	    isObject(record.error) ? "warning" : "success";
}

/*
 * Remember what ids are called, so that a mention of somebody who has written
 * before shows a name. The oldest ones are forgotten.
 */
export function learnNames(names, record) {
	const known = object(record?.names);
	const profile = object(record?.user_profile);

	for (const [id, name] of [
	    [record?.user, known.user || profile.display_name],
	    [record?.channel, known.channel]])
		if (string(id) !== "" && string(name) !== "")
			names.set(id, name);
	while (names.size > NAMES_KEPT)
		names.delete(names.keys().next().value);
}

/* A copy of its own: a part of a frame would keep the whole frame alive. */
function keep(text) {
	return new TextDecoder().decode(new TextEncoder().encode(
	    text.slice(0, KEPT_CHARACTERS)));
}

/* What there is to show of a record; null where the line is none. */
export function viewOf(line, record, key) {
	if (!isObject(record))
		return unreadable(line, key, "the line is no JSON object");
	const inner = newState(record);
	const files = filesOf(record, inner);
	const delivery = deliveryOf(record);

	return {
		key,
		id: record.type === "api_message" ? string(record.id) : "",
		isRelayed: record.type === "api_message",
		delivery,
		class: classOf(record),
		...headingOf(record, inner, delivery),
		channel: channelOf(record, inner),
		time: timeOf(record),
		marks: marksOf(record, inner),
		isSystem: SYSTEM.test(string(record.subtype)),
		isDeleted: record.subtype === "message_deleted",
		text: string(inner.text),
		blocks: list(inner.blocks),
		attachments: list(inner.attachments),
		before: textBefore(record, inner),
		badLine: badLineOf(record),
		files,
		matches: list(record.matches).filter((match) =>
		    counts(match, record)).map((match) => matchOf(match, files)),
		limits: list(record.limits).filter(isObject).map(limitOf),
		error: errorOf(record.error),
		command: commandOf(record.command),
		answerTo: record.type === "reply" ? seqOf(record.of) : null,
		permalink: linkTarget(string(record.permalink)),
		notify: toldOf(record, list(record.notify)),
		held: toldOf(record, Object.keys(object(record.held))),
		rule: string(record.rule),
		payload: payloadOf(line, record),
		line: keep(line),
		lineLength: line.length,
	};
}

/* The view of a line that can be shown as it stands only. */
export function unreadable(line, key, reason) {
	return {
		key, class: "warning", heading: "unreadable record", byline: "",
		channel: "", time: null, marks: [], text: "", blocks: [],
		attachments: [], before: "", badLine: keep(line), files: [],
		matches: [], limits: [], notify: [], held: [], rule: "",
		command: null, answerTo: null, permalink: null,
		error: { stage: "dashboard", reason },
		payload: null, line: keep(line), lineLength: line.length,
	};
}

/* An edit carries the message as it is now, a deletion the one that was. */
function newState(record) {
	if (!CARRIED.has(record.subtype))
		return record;
	return object(record.subtype === "message_changed" ? record.message :
	    record.previous_message);
}

function headingOf(record, inner, delivery) {
	const author = authorOf(record, inner);
	const title = string(record.title);

	if (delivery !== null)
		return { heading: deliveryHeading(delivery, title), byline: "" };
	if (record.type === "error")
		return { heading: badLineOf(record) === "" ? "trouble" :
		    "unreadable record", byline: "" };
	if (record.type === "reply")
		return { heading: "Ultron", byline: "" };
	if (title !== "")
		return { heading: title, byline: author };
	if (author !== "")
		return { heading: author, byline: "" };
	return { heading: string(record.type).replaceAll("_", " ") || "record",
		byline: "" };
}

function deliveryHeading({ status, purpose, messages }, title) {
	const what = purpose !== "digest" ? title || "a message" :
	    messages === null ? "a digest" : `a digest of ${messages} messages`;

	return status === "failed" ? `Not in Slack: ${what}` : `In Slack: ${what}`;
}

function authorOf(record, inner) {
	const profile = object(inner.user_profile);

	return string(object(record.names).user) || string(inner.username) ||
	    string(object(inner.bot_profile).name) ||
	    string(profile.display_name) || string(profile.real_name) ||
	    string(inner.user) || string(inner.bot_id);
}

function channelOf(record, inner) {
	const name = string(object(record.names).channel);

	return name !== "" ? `#${name.replace(/^#/, "")}` :
	    string(record.channel) || string(inner.channel);
}

/* When it was said, else when it was received, else null. */
function timeOf(record) {
	const ts = /^\d{1,11}(\.\d+)?$/.test(record.ts) ?
	    Number(record.ts) * 1000 : string(record.received) || NaN;
	const date = new Date(ts);

	return Number.isNaN(date.getTime()) ? null : date;
}

function marksOf(record, inner) {
	const thread = string(inner.thread_ts);

	return [
		inner.subtype === "bot_message" || inner.bot_id ? "bot" : null,
		thread !== "" && thread !== inner.ts ? "thread reply" : null,
		record.subtype === "message_deleted" ? "deleted" : null,
		inner.subtype === "tombstone" ? "deleted" : null,
		record.subtype === "message_changed" ? changeOf(record, inner) : null,
		record.subtype !== "message_changed" && inner.edited ?
		    "edited" : null,
		inner.subtype === "ekm_access_denied" ? "withheld" : null,
		record.own === true ? "by Ultron" : null,
		record.backfill === true ? "fetched later" : null,
		record.type === "api_message" ? "by HTTP" : null,
		record.type === "slash_commands" ? "slash command" :
		    isObject(record.command) ? "command" : null,
		record.type === "reply" ? "answer" : null,
		record.type === "delivery" ? "delivery" : null,
		record.type === "late_file" ? "late file" : null,
	].filter((mark) => mark !== null);
}

/* Slack says "changed" for an unfurled link, too. */
function changeOf(record, inner) {
	const before = object(record.previous_message).text;

	return inner.edited || before !== undefined && before !== inner.text ?
	    "edited" : "updated by Slack";
}

function textBefore(record, inner) {
	const before = string(object(record.previous_message).text);

	return record.subtype === "message_changed" && before !== inner.text ?
	    before : "";
}

function badLineOf(record) {
	if (typeof record.line === "string")
		return keep(record.line);
	if (typeof record.line_base64 !== "string")
		return "";
	try {
		const bytes = atob(record.line_base64.slice(0, 65536));
		return new TextDecoder().decode(
		    Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
	} catch {
		return record.line_base64;
	}
}

function filesOf(record, inner) {
	const fetched = new Map(list(record.fetched).filter(isObject)
	    .map((part) => [part.file, part]));
	const files = list(inner.files).filter(isObject).map((file) => {
		const part = fetched.get(file.id);

		fetched.delete(file.id);
		return fileOf(file, object(part));
	});

	return [...files, ...Array.from(fetched.values(), (part) =>
	    fileOf({ id: part.file }, part))];
}

function fileOf(file, part) {
	return {
		id: string(file.id),
		name: string(file.name) || string(file.title) || string(file.id) ||
		    "file",
		title: string(file.title),
		address: string(file.permalink),
		size: [file.size, part.bytes].find(Number.isFinite) ?? null,
		kind: string(file.pretty_type) || string(file.mimetype) ||
		    string(part.mimetype) || string(file.filetype),
		status: string(part.status) || absence(file),
		reason: string(part.reason),
	};
}

/* Why there is nothing to be fetched, in Slack's own words. */
function absence(file) {
	return ["tombstone", "hidden_by_limit", "external"].includes(file.mode) ?
	    file.mode.replaceAll("_", " ") : "";
}

/* What somebody wants to know of one class only counts in that class. */
function counts(match, record) {
	return isObject(match) && (!isObject(match.for) ||
	    match.only === undefined || match.only === record.class);
}

/* Those users of whose matches one counts, as slack-send sees it. */
function toldOf(record, users) {
	const told = new Set(list(record.matches).filter((match) =>
	    counts(match, record)).flatMap((match) =>
	    Object.keys(object(match.for))));

	return users.filter((id) => told.has(id));
}

function matchOf(match, files) {
	const where = string(match.where);

	return {
		pattern: string(match.pattern) || "pattern",
		where,
		place: placeOf(where, files),
		line: Number.isSafeInteger(match.line) ? match.line : null,
		excerpt: string(match.excerpt),
		isSubscribed: isObject(match.for),
		start: match.start,
		end: match.end,
	};
}

/* file:F1!a.zip!b.log with the file's name, the way to its inside as arrows */
function placeOf(where, files) {
	const [id, ...inside] = where.startsWith("file:") ?
	    where.slice(5).split("!") : [];
	const file = files.find((one) => one.id === id);

	return id === undefined ? where : [file?.name ?? id, ...inside].join(" › ");
}

function limitOf(limit) {
	return [limit.pattern, limit.where, limit.reason].map(string)
	    .filter((part) => part !== "").join(", ");
}

function errorOf(error) {
	return isObject(error) ? { stage: string(error.stage) || "pipeline",
		reason: string(error.reason) || "no reason given" } : null;
}

function commandOf(command) {
	return isObject(command) ? { answer: string(command.reply),
		isLater: command.later === true } : null;
}

/* { text, isJson }: as it came, so that no number loses its last digits. */
function payloadOf(line, record) {
	const { payload } = record;

	if (payload === undefined || payload === null || payload === "")
		return null;
	if (typeof payload !== "string")
		return { text: keep(line.length <= EXACT_CHARACTERS ?
		    memberText(line, "payload") ?? "" :
		    JSON.stringify(payload)), isJson: true };
	return { text: keep(payload), isJson: /^\s*[{[]/.test(payload) };
}
