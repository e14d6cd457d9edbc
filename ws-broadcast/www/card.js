/* One record as one card. */

import { attachmentsNodes, blocksNodes } from "./blocks.js";
import { reportWords } from "./deliveries.js";
import { drawing, element, foreign, foreignName, link, linkTarget, visible }
	from "./dom.js";
import { highlight, placesOf } from "./highlight.js";
import { prettyJson } from "./json.js";
import { markup, mention } from "./markup.js";

export const CLASS_WORDS = {
	success: { icon: "✓", word: "Success" },
	warning: { icon: "!", word: "Warning" },
	danger: { icon: "✕", word: "Danger" },
};

const DAY = new Intl.DateTimeFormat("en",
    { day: "numeric", month: "short", timeZone: "UTC" });

const TEXT_SHOWN = 8000;	/* characters; the raw record has the rest */
const LONG_TEXT = 900;
const LONG_LINES = 14;
const MATCHES_SHOWN = 6;
const FILES_SHOWN = 20;
const USERS_SHOWN = 5;
const BELL = "M8 1a1 1 0 0 0-1 1v.6A4.5 4.5 0 0 0 3.5 7v3L2 12.5h12L12.5 10" +
    "V7A4.5 4.5 0 0 0 9 2.6V2a1 1 0 0 0-1-1zM6.3 13.5a1.7 1.7 0 0 0 3.4 0z";
const PAYLOAD_OPEN = 2000;	/* characters; a longer one is opened by hand */

/* The sign of a class: a shape and a word, never a colour alone. */
export function classSign(name, isWordShown) {
	const { icon, word } = CLASS_WORDS[name];
	const shape = element("span", "class-icon", icon);

	shape.setAttribute("aria-hidden", "true");
	return element("span", `class-sign class-${name}`, shape,
	    element("span", isWordShown ? "class-word" : "visually-hidden", word));
}

/* The card of a view (record.js), as an item of a column's list. */
export function cardOf(view, names) {
	const article = element("article", "message-card",
	    headOf(view),
	    ...errorOf(view),
	    ...failureOf(view),
	    ...bodyOf(view, names),
	    ...matchesOf(view),
	    ...filesOf(view),
	    ...answerOf(view, names),
	    ...payloadOf(view),
	    footOf(view, names));
	const item = element("li", `item item-${view.class}`, article);

	article.tabIndex = -1;
	article.setAttribute("aria-labelledby", `card-${view.key}`);
	article.classList.toggle("is-system", view.isSystem === true);
	item.dataset.key = view.key;
	return item;
}

function headOf(view) {
	const heading = element("h3", "heading",
	    classSign(view.class, false), " ", foreignName(view.heading));

	heading.id = `card-${view.key}`;
	return element("div", "head", heading,
	    ...(view.byline ? [foreignName(view.byline, "byline")] : []),
	    ...(view.channel ? [foreignName(view.channel, "channel")] : []),
	    ...view.marks.map((mark) => element("span",
	    `tag tag-${mark.replaceAll(" ", "-")}`, mark)),
	    ...timeOf(view.time));
}

function dayWords(iso, today) {
	if (iso.slice(0, 10) === today.slice(0, 10))
		return "";
	return iso.slice(0, 4) === today.slice(0, 4) ?
	    DAY.format(new Date(iso)) : iso.slice(0, 10);
}

/* UTC to see, the day where it is not today; the reader's own time on hover */
function timeOf(time) {
	if (time === null)
		return [];
	const iso = time.toISOString();
	const day = dayWords(iso, new Date().toISOString());
	const node = element("time", "time", day, day ? " " : "",
	    iso.slice(11, 19), element("span", "zone", " UTC"));

	node.dateTime = iso;
	node.title = `${time.toLocaleString()} your time`;
	return [node];
}

function errorOf({ error, badLine, limits }) {
	const nodes = [];

	if (error)
		nodes.push(element("p", "trouble",
		    foreignName(error.stage, "stage"), ": ", foreign(error.reason)));
	if (badLine)
		nodes.push(element("pre", "code bad-line",
		    foreign(cut(badLine, 600))));
	for (const limit of (limits ?? []).slice(0, 5))
		nodes.push(element("p", "trouble", "Scan cut short: ",
		    foreign(limit)));
	return nodes;
}

/* A message that did not get to Slack, and the way to its card. */
function failureOf({ delivery }) {
	if (delivery?.status !== "failed")
		return [];
	return [element("p", "trouble", foreign(delivery.reason)),
	    ...(delivery.of === null ? [] :
	    [jumpTo(delivery.of, "Go to the message")])];
}

function jumpTo(seq, words) {
	const button = element("button", "btn btn-link btn-sm jump",
	    `${words}, #${seq}`);

	button.type = "button";
	button.addEventListener("click", () => button.dispatchEvent(
	    new CustomEvent("jump", { bubbles: true, detail: seq })));
	return button;
}

/* Show what is known of its way to Slack on a card that was made. */
export function showReports(item, reports) {
	const foot = item.querySelector(".foot");
	const nodes = reports.map(reportNode);

	foot.querySelectorAll(".report").forEach((node) => node.remove());
	foot.prepend(...nodes);
}

function reportNode(report) {
	const { sign, words, time, more } = reportWords(report);
	const iso = time?.toISOString();
	const node = element("p", `report report-${report.status}`,
	    `${sign} `, foreign(words), ...(time === null ? [] :
	    [" ", element("time", "", iso.slice(11, 19)),
	    element("span", "zone", " UTC")]),
	    more === "" ? "" : `, ${more}`);

	if (time !== null) {
		node.querySelector("time").dateTime = iso;
		node.title = `${iso.slice(0, 10)}, ${time.toLocaleString()} ` +
		    "your time";
	}
	return node;
}

function cut(text, length) {
	return text.length <= length ? text :
	    `${text.slice(0, length)}… (${text.length - length} more characters)`;
}

/* Letters and digits alone, to see whether two forms say the same. */
function essence(node) {
	return node.textContent.replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();
}

/* Slack's blocks repeat the text more often than not: show the fuller one. */
function saidOnce(text, blocks) {
	const inText = essence(text), inBlocks = essence(blocks);

	if (inBlocks === "" || inText.includes(inBlocks) && inText !== inBlocks)
		return [text];
	return inText === "" || inBlocks.includes(inText) ?
	    [blocks] : [text, blocks];
}

function bodyOf(view, names) {
	const text = element("div", "text",
	    markup(cut(view.text, TEXT_SHOWN), names));
	const blocks = element("div", "text blocks",
	    ...blocksNodes(view.blocks, names));
	const attached = element("div", "text attachments",
	    ...attachmentsNodes(view.attachments, names));
	const parts = [...saidOnce(text, blocks), attached]
	    .filter((part) => part.childNodes.length > 0);
	const body = element(view.isDeleted ? "del" : "div", "body", ...parts);

	if (parts.length === 0)
		return beforeOf(view, names);
	body.dir = "auto";
	highlight(body, placesOf(view.matches, view.text));
	return [...folded(body), ...beforeOf(view, names)];
}

/* A long text shows its beginning, and all of it when asked. */
function folded(body) {
	const words = body.textContent;

	if (words.length < LONG_TEXT && words.split("\n").length < LONG_LINES)
		return [body];
	const button = element("button", "btn btn-link btn-sm unfold",
	    "Show all");
	button.type = "button";
	button.setAttribute("aria-expanded", "false");
	button.addEventListener("click", () => {
		const isFolded = body.classList.toggle("is-folded");
		button.textContent = isFolded ? "Show all" : "Show less";
		button.setAttribute("aria-expanded", String(!isFolded));
	});
	body.classList.add("is-folded");
	return [body, button];
}

function beforeOf(view, names) {
	return view.before ? [disclosure("Before the edit", () => {
		const node = element("div", "text",
		    markup(cut(view.before, TEXT_SHOWN), names));
		node.dir = "auto";
		return node;
	})] : [];
}

/* Those that would read the same as one, with their `count`. */
function distinct(matches) {
	const found = new Map();

	for (const match of matches) {
		const key = JSON.stringify([match.pattern, match.place, match.line,
			match.excerpt, match.isSubscribed]);
		found.set(key, { ...match, count:
		    (found.get(key)?.count ?? 0) + 1 });
	}
	return [...found.values()];
}

/* One of each pattern first: a stack trace must not bury a crash. */
function mostTelling(matches) {
	const patterns = new Set();
	const first = new Set(matches.filter(({ pattern }) =>
	    !patterns.has(pattern) && patterns.add(pattern)));

	return [...first, ...matches.filter((match) => !first.has(match))];
}

/* What somebody subscribed to, and is told of. */
function bellOf({ isSubscribed }) {
	if (!isSubscribed)
		return [];
	return [drawing("bell", BELL),
	    element("span", "visually-hidden", "Subscribed: "), " "];
}

function matchesOf({ matches }) {
	const shown = mostTelling(distinct(matches)).slice(0, MATCHES_SHOWN);
	const rest = shown.reduce((left, { count }) => left - count,
	    matches.length);
	const items = shown.map((match) => element("li", "", ...bellOf(match),
	    foreignName(match.pattern, "pattern"), " ",
	    match.count > 1 ? `×${match.count} ` : "",
	    element("span", "where", foreignName(match.place),
	    match.line === null ? "" : ` line ${match.line}`), " ",
	    element("q", "excerpt", foreign(match.excerpt))));

	if (rest > 0)
		items.push(element("li", "where", rest === 1 ? "1 more match" :
		    `${rest} more matches`));
	return items.length > 0 ? [named("ul", "matches", "Matches", items)] : [];
}

function named(name, className, label, children) {
	const node = element(name, className, ...children);

	node.setAttribute("aria-label", label);
	return node;
}

function filesOf({ files }) {
	const items = files.slice(0, FILES_SHOWN).map(fileOf);

	if (files.length > FILES_SHOWN)
		items.push(element("li", "where",
		    `${files.length - FILES_SHOWN} more files`));
	return items.length > 0 ? [named("ul", "files", "Files", items)] : [];
}

function fileOf(file) {
	const name = foreignName(file.name, "file-name");
	const target = linkTarget(file.address);
	const facts = [file.size === null ? "" : sizeWords(file.size), file.kind]
	    .filter((fact) => fact !== "");

	name.title = visible(file.title);
	return element("li", "", target ? link(target, name) : name, " ",
	    element("span", "where", foreign(facts.join(" · "))), " ",
	    ...statusOf(file));
}

function statusOf({ status, reason }) {
	if (status === "")
		return [];
	const node = element("span",
	    `fetch ${status === "ok" ? "fetch-ok" : "fetch-not-ok"}`,
	    status === "ok" ? "✓ " : "", foreign(status));

	return reason ? [node, " ", foreignName(reason, "reason")] : [node];
}

export function sizeWords(bytes) {
	const units = ["B", "kB", "MB", "GB", "TB"];
	let unit = 0;

	for (; bytes >= 1000 && unit < units.length - 1; unit++)
		bytes /= 1000;
	return `${unit === 0 || bytes >= 100 ? Math.round(bytes) :
	    bytes.toFixed(1)} ${units[unit]}`;
}

/* To a command; it opens by hand, since it stands in Slack, too. */
function answerOf({ command, answerTo }, names) {
	if (answerTo !== null)
		return [jumpTo(answerTo, "Go to the command")];
	if (command?.isLater)
		return [element("p", "where later", "The answer follows")];
	return command === null || command.answer === "" ? [] :
	    [disclosure("Answer", () => element("div", "answer",
	    markup(cut(command.answer, TEXT_SHOWN), names)))];
}

function footOf(view, names) {
	const facts = element("p", "facts", ...factsOf(view, names));

	return element("div", "foot",
	    ...(view.isRelayed ? [element("p", "report",
	    "No word from Slack yet")] : []),
	    disclosure("Record", () => pre(prettyJson(view.line),
	    view.lineLength - view.line.length)),
	    ...(view.id ? [foreignName(view.id, "tag id")] : []),
	    facts);
}

/* A short one stands open, in a few lines that scroll. */
function payloadOf({ payload }) {
	if (!payload)
		return [];
	const make = () => pre(payload.isJson ? prettyJson(payload.text) :
	    payload.text, 0, "Payload");
	const node = disclosure("Payload", make,
	    payload.text.length <= PAYLOAD_OPEN);

	node.classList.add("payload");
	return [node];
}

function factsOf(view, names) {
	const facts = [];

	for (const [word, users] of [["tells ", view.notify],
	    ["holds back for ", view.held]])
		if (users.length > 0)
			facts.push(element("span", "", word,
			    ...usersOf(users, names)));
	if (view.rule)
		facts.push(element("span", "rule", "rule ",
		    foreignName(view.rule)));
	if (view.permalink)
		facts.push(link(view.permalink, "Open in Slack"));
	facts.push(element("span", "key", `#${view.key}`));
	return facts.flatMap((fact, i) => i > 0 ? [" · ", fact] : [fact]);
}

function usersOf(users, names) {
	const nodes = users.slice(0, USERS_SHOWN).flatMap((id, i) =>
	    [i > 0 ? ", " : "", mention("@", id, "", names)]);

	return users.length > USERS_SHOWN ? [...nodes,
		` and ${users.length - USERS_SHOWN} more`] : nodes;
}

/* <details>, its inside made when it is first opened, which may be now. */
function disclosure(label, make, isOpen = false) {
	const node = element("details", "disclosure",
	    element("summary", "", label));

	node.open = isOpen;
	if (isOpen)
		node.append(make());
	else
		node.addEventListener("toggle", () => node.append(make()),
		    { once: true });
	return node;
}

function pre(text, missing = 0, label = "Source") {
	const node = element("pre", "code source", foreign(text),
	    missing > 0 ? `\n… ${missing} more characters` : "");

	node.tabIndex = 0;
	node.setAttribute("role", "region");
	node.setAttribute("aria-label", label);
	return node;
}
