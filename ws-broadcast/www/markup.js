/*
 * Slack's mrkdwn as nodes. Three characters come escaped (&amp; &lt; &gt;) and
 * are undone once, after the <...> tokens have been cut out; marks count at the
 * borders of words only. No node is ever made from a string of HTML.
 */

import { element, foreign, foreignName, link, linkTarget, visible }
	from "./dom.js";
import { emoji } from "./emoji.js";

const FENCE = "```";
const DEEPEST = 6;
const FARTHEST = 1000;	/* how far off the end of a mark is looked for */
const SPECIAL = /[<`:*_~]/g;
const TOKEN = /<([^<>\n]{1,4000})>/y;
const CODE = /`([^`\n]{1,2000})`/y;
const EMOJI = /:([\p{L}\p{N}_+'-]{1,80}):(?::(skin-tone-[2-6]):)?/uy;
const SLACKS_OWN = /^(?:[@#][A-Za-z0-9]|![a-z]|[a-z][a-z0-9+.-]*:)/i;
const WORD = /[\p{L}\p{N}]/u;
const MARKS = { "*": "strong", "_": "em", "~": "s" };

export function unescape(text) {
	return text.replace(/&(amp|lt|gt);/g,
	    (_, name) => ({ amp: "&", lt: "<", gt: ">" })[name]);
}

/*
 * mrkdwn as nodes. names maps ids of users, channels and groups to what people
 * call them; an id that is not in it stays an id.
 */
export function markup(text, names = new Map()) {
	const nodes = document.createDocumentFragment();
	const parts = text.split(FENCE);

	for (let i = 0; i < parts.length; i++) {
		if (i % 2 === 1 && i < parts.length - 1)
			nodes.append(block(parts[i]));
		else if (i % 2 === 1)
			appendLines(nodes, FENCE + parts[i], names);
		else
			appendLines(nodes, trimAtBlocks(parts, i), names);
	}
	return nodes;
}

/* A block brings its own line breaks: the ones in the text would double them */
function trimAtBlocks(parts, i) {
	let text = parts[i];

	if (i > 0)
		text = text.replace(/^\n/, "");
	if (i < parts.length - 2)
		text = text.replace(/\n$/, "");
	return text;
}

function block(text) {
	const bare = text.replace(/^\n/, "").replace(/\n$/, "")
	    .replace(/<([^<>|\n]+)(?:\|([^<>\n]*))?>/g, (whole, target, label) =>
	    SLACKS_OWN.test(target) ? label || target : whole);

	return element("pre", "code", foreign(unescape(bare)));
}

function appendLines(parent, text, names) {
	let quote = null, first = true;

	for (const line of text.split("\n")) {
		const quoted = /^(?:&gt;|>)\s?(.*)$/s.exec(line);

		if (quoted && quote === null) {
			quote = parent.appendChild(element("blockquote", "quote"));
			first = true;
		} else if (!quoted && quote !== null) {
			quote = null;
			first = true;
		}
		const target = quote ?? parent;
		if (!first)
			target.append("\n");
		appendInline(target, quoted ? quoted[1] : line, names, 0);
		first = false;
	}
}

function appendInline(parent, text, names, depth) {
	let end = 0;

	SPECIAL.lastIndex = 0;
	for (let found; (found = SPECIAL.exec(text)) !== null;) {
		const at = found.index;
		const made = special(text, at, names, depth);

		if (made === null) {
			SPECIAL.lastIndex = at + 1;
			continue;
		}
		if (at > end)
			parent.append(foreign(unescape(text.slice(end, at))));
		parent.append(made.node);
		end = SPECIAL.lastIndex = at + made.length;
	}
	if (end < text.length)
		parent.append(foreign(unescape(text.slice(end))));
}

/* What begins at this character, with its length in the text, or null. */
function special(text, at, names, depth) {
	switch (text[at]) {
	case "<":
		return tokenAt(text, at, names);
	case "`":
		return codeAt(text, at);
	case ":":
		return emojiAt(text, at);
	default:
		return depth < DEEPEST ? markAt(text, at, names, depth) : null;
	}
}

function match(pattern, text, at) {
	pattern.lastIndex = at;
	return pattern.exec(text);
}

function codeAt(text, at) {
	const found = match(CODE, text, at);

	return found && { length: found[0].length,
		node: element("code", "code", foreign(unescape(found[1]))) };
}

function emojiAt(text, at) {
	const found = match(EMOJI, text, at);
	const isClock = found !== null && /^\d/.test(found[1]) &&
	    /\d/.test(text[at - 1] ?? "");
	const node = found && !isClock ?
	    emojiNode(found[1], found[2], found[0]) : null;

	return node && { length: found[0].length, node };
}

/* The emoji of a short code, or null where the table does not have it. */
export function emojiNode(name, tone, code = `:${name}:`) {
	const picture = emoji(name, tone);

	if (picture === null)
		return null;
	const node = element("span", "emoji", picture);
	node.setAttribute("role", "img");
	node.setAttribute("aria-label", name.replaceAll("_", " "));
	node.title = code;
	return node;
}

function markAt(text, at, names, depth) {
	const mark = text[at];
	const before = at > 0 ? text[at - 1] : "";
	const end = WORD.test(before) || before === mark ? -1 :
	    endOfMark(text, at, mark);

	if (end < 0)
		return null;
	const place = SPECIAL.lastIndex;
	const node = element(MARKS[mark], "");
	appendInline(node, text.slice(at + 1, end), names, depth + 1);
	SPECIAL.lastIndex = place;
	return { length: end + 1 - at, node };
}

/* Where the mark that opens at this place closes on its line, or -1. */
function endOfMark(text, at, mark) {
	if ((text[at + 1] ?? " ").trim() === "")
		return -1;
	for (let end = text.indexOf(mark, at + 1);
	    end >= 0 && end - at < FARTHEST; end = text.indexOf(mark, end + 1)) {
		const closes = end > at + 1 && text[end - 1].trim() !== "" &&
		    text[end - 1] !== mark && !WORD.test(text[end + 1] ?? "");
		if (closes)
			return end;
	}
	return -1;
}

function tokenAt(text, at, names) {
	const found = match(TOKEN, text, at);
	const node = found && token(found[1], names);

	return node && { length: found[0].length, node };
}

/*
 * The inside of <...>: what it points at, and what it calls it. Null where it
 * is no token of Slack's: then the brackets are text like any other.
 */
function token(inside, names) {
	const bar = inside.indexOf("|");
	const target = unescape(bar < 0 ? inside : inside.slice(0, bar));
	const label = unescape(bar < 0 ? "" : inside.slice(bar + 1));

	if (!SLACKS_OWN.test(target))
		return null;
	switch (target[0]) {
	case "@":
		return mention("@", target.slice(1), label, names);
	case "#":
		return mention("#", target.slice(1), label, names);
	case "!":
		return command(target.slice(1), label, names);
	default:
		return address(target, label);
	}
}

/* Somebody or something with an id, by its name where that is known. */
export function mention(sign, id, label, names) {
	const name = names.get(id) || label || id;
	const bare = name.startsWith(sign) ? name.slice(1) : name;
	const node = foreignName(sign + bare, "mention");

	node.title = visible(id);
	return node;
}

/* <!here>, <!subteam^S1|@qa>, <!date^1763800000^{date}|22 November> */
function command(target, label, names) {
	const [name, ...rest] = target.split("^");

	if (name === "date")
		return dateNode(Number(rest[0]), label);
	if (name === "subteam")
		return mention("@", rest[0] ?? "", label, names);
	return foreignName("@" + (label || name).replace(/^@/, ""),
	    "mention mention-all");
}

/* A point in time: UTC, with the reader's own time as its title. */
export function dateNode(seconds, fallback = "") {
	const date = new Date(seconds * 1000);

	if (Number.isNaN(date.getTime()))
		return foreignName(fallback);
	const iso = date.toISOString();
	const node = element("time", "", foreign(fallback ||
	    `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`));
	node.dateTime = iso;
	node.title = date.toLocaleString();
	return node;
}

/*
 * A link, or plain text where the address is none that people may follow. A
 * label that looks like one address and leads to another has both shown.
 */
export function address(target, label) {
	const href = linkTarget(target);

	if (href === null)
		return foreignName(label ? `${label} (${target})` : target);
	const node = link(href, foreign(label || target.replace(/^mailto:/, "")));
	if (!pretends(label, href))
		return node;
	return element("bdi", "", node,
	    element("span", "leads-to", " → ", foreign(new URL(href).host)));
}

function pretends(label, href) {
	const named = /(?:^|\/\/|\s)((?:[\w-]+\.)+[a-z]{2,})(?=[/:?#\s]|$)/i
	    .exec(label)?.[1]?.toLowerCase();
	const host = new URL(href).hostname;

	return named !== undefined && !href.startsWith("mailto:") &&
	    host !== named && host !== `www.${named}`;
}
