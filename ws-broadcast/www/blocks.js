/*
 * Slack's blocks and attachments as nodes. The common types have a form of
 * their own; a type that is not known yet, or comes in an unexpected shape, is
 * searched for the strings that people would see.
 */

import { element, foreign, foreignName, link, linkTarget } from "./dom.js";
import { address, dateNode, emojiNode, markup, mention } from "./markup.js";

const DEEPEST = 32;
const MOST_NODES = 600;
const MOST_CHARACTERS = 12000;
const HUMAN = ["title", "subtitle", "pretext", "text", "body", "label",
	"hint", "description", "details", "output", "raw_text", "value",
	"alt_text", "fallback", "name"];
const COLOURS = { good: "#2f9e6e", warning: "#c98a12", danger: "#d6454d" };

export const isObject = (value) => typeof value === "object" &&
    value !== null && !Array.isArray(value);
export const list = (value) => Array.isArray(value) ? value : [];
export const string = (value) => typeof value === "string" ? value : "";

/* What one card may take: blocks can be nested and repeated without end. */
class Room {
	constructor(names) {
		this.names = names;
		this.left = MOST_NODES;
		this.characters = MOST_CHARACTERS;
		this.depth = 0;
	}

	/* As much of a text as there is room for. */
	take(value) {
		const text = string(value);
		const kept = text.slice(0, Math.max(0, this.characters));

		this.characters -= text.length;
		return kept.length < text.length ? `${kept}…` : kept;
	}

	/* Run make for one more node, unless there is no room for it. */
	within(make) {
		if (this.left-- <= 0 || this.depth >= DEEPEST)
			return [];
		this.depth++;
		const made = make();
		this.depth--;
		return made;
	}
}

/* A text object, or a bare string, as nodes. */
function textNodes(value, room, bare = "plain_text") {
	const text = room.take(typeof value === "string" ? value : value?.text);

	if (text === "")
		return [];
	if ((value.type ?? bare) === "mrkdwn")
		return [markup(text, room.names)];
	return [plain(text)];
}

/* Plain text in which emoji codes alone mean something. */
function plain(text) {
	const nodes = document.createDocumentFragment();

	for (const part of text.split(/(:[\w+'-]{1,80}:)/)) {
		const node = part[0] === ":" && part.length > 2 ?
		    emojiNode(part.slice(1, -1)) : null;
		nodes.append(node ?? foreign(part));
	}
	return nodes;
}

function paragraph(className, children) {
	return children.length > 0 ? [element("p", className, ...children)] : [];
}

function section(block, room) {
	return [
		...paragraph("", textNodes(block.text, room, "mrkdwn")),
		...fields(list(block.fields).flatMap((field) =>
		    paragraph("field", textNodes(field, room, "mrkdwn")))),
		...(isObject(block.accessory) ? one(block.accessory, room) : []),
	];
}

function fields(nodes) {
	return nodes.length > 0 ? [element("div", "fields", ...nodes)] : [];
}

function context(block, room) {
	const parts = list(block.elements).flatMap((part) =>
	    part?.type === "image" ? picture(part, room) :
	    textNodes(part, room, "mrkdwn"));

	return paragraph("context", parts.flatMap((part, i) =>
	    i > 0 ? [" ", part] : [part]));
}

/* Pictures are not loaded: they would need Slack's token, or tell a stranger */
function picture(block, room) {
	const words = string(block.title?.text) || string(block.title) ||
	    string(block.alt_text) || "image";
	const href = linkTarget(string(block.image_url));

	return room.within(() => [element("span", "picture", "🖼 ",
	    href ? link(href, foreign(words)) : foreign(words))]);
}

function actions(block, room) {
	return paragraph("actions", list(block.elements).flatMap((part) =>
	    button(part, room)));
}

function button(part, room) {
	const label = textNodes(part?.text ?? part?.placeholder, room);
	const href = linkTarget(string(part?.url));

	if (label.length === 0)
		return [];
	return [href ? link(href, ...label) :
	    element("span", "pretend-button", ...label)];
}

function table(block, room) {
	const rows = list(block.rows).slice(0, 50).map((row) =>
	    element("tr", "", ...list(row).slice(0, 20).map((cell) =>
	    element("td", "", ...(cell?.type === "rich_text" ?
	    one(cell, room) : textNodes(cell?.text ?? cell, room))))));

	return [element("table", "cells", element("tbody", "", ...rows))];
}

function richText(block, room) {
	return list(block.elements).flatMap((part) => room.within(() =>
	    richPart(part, room)));
}

function richPart(part, room) {
	const leaves = () => list(part?.elements).flatMap((leaf) =>
	    richLeaf(leaf, room));

	switch (part?.type) {
	case "rich_text_preformatted":
		return [element("pre", "code", ...leaves())];
	case "rich_text_quote":
		return [element("blockquote", "quote", ...leaves())];
	case "rich_text_list":
		return [richList(part, room)];
	case "rich_text_section":
		return [element("div", "", ...leaves())];
	default:
		return anything(part, room);
	}
}

function richList(part, room) {
	const node = element(part.style === "ordered" ? "ol" : "ul",
	    `rich-list indent-${Math.min(Number(part.indent) || 0, 4)}`);

	for (const item of list(part.elements))
		node.append(element("li", "", ...room.within(() =>
		    richPart(item, room))));
	if (part.style === "ordered" && Number.isInteger(part.offset))
		node.start = part.offset + 1;
	return node;
}

const LEAVES = {
	text: (leaf, room) => foreign(room.take(leaf.text)),
	link: (leaf, room) => address(string(leaf.url), room.take(leaf.text)),
	emoji: (leaf) => emojiNode(string(leaf.name)) ??
	    foreign(fromHex(leaf.unicode) || `:${string(leaf.name)}:`),
	user: (leaf, room) => mention("@", string(leaf.user_id), "", room.names),
	usergroup: (leaf, room) =>
	    mention("@", string(leaf.usergroup_id), "", room.names),
	channel: (leaf, room) =>
	    mention("#", string(leaf.channel_id), "", room.names),
	team: (leaf, room) => mention("@", string(leaf.team_id), "", room.names),
	broadcast: (leaf) => foreignName("@" + string(leaf.range),
	    "mention mention-all"),
	date: (leaf) => dateNode(Number(leaf.timestamp), string(leaf.fallback)),
	color: (leaf) => foreign(string(leaf.value)),
};

function richLeaf(leaf, room) {
	if (!isObject(leaf))
		return [];
	if (!Object.hasOwn(LEAVES, leaf.type))
		return room.within(() => richPart(leaf, room));
	return room.within(() =>
	    [styled(LEAVES[leaf.type](leaf, room), leaf.style)]);
}

function styled(node, style) {
	const marks = { bold: "strong", italic: "em", strike: "s", code: "code" };

	for (const [mark, name] of Object.entries(marks))
		if (style?.[mark] === true)
			node = element(name, mark === "code" ? "code" : "", node);
	return node;
}

function fromHex(hex) {
	const points = string(hex).split("-").map((part) => parseInt(part, 16));

	return points.every((point) => point > 0x1f && point <= 0x10ffff) ?
	    String.fromCodePoint(...points.slice(0, 12)) : "";
}

/* The strings people would see in something of no known form. */
function anything(value, room) {
	if (typeof value === "string")
		return paragraph("", textNodes(value, room));
	if (Array.isArray(value))
		return value.flatMap((part) => one(part, room));
	if (!isObject(value))
		return [];
	if (typeof value.text === "string" && typeof value.type === "string" &&
	    ["mrkdwn", "plain_text"].includes(value.type))
		return paragraph("", textNodes(value, room));
	const inner = Object.keys(value).filter((name) => HUMAN.includes(name) ||
	    typeof value[name] === "object");
	return inner.flatMap((name) => room.within(() =>
	    anything(value[name], room)));
}

const FORMS = {
	section, context, actions, table,
	context_actions: actions,
	header: (block, room) => paragraph("header", textNodes(block.text, room)),
	markdown: (block, room) => paragraph("", textNodes(block.text, room)),
	rich_text: richText,
	image: picture,
	button,
	divider: () => [element("hr", "divider")],
};

function one(block, room) {
	const form = isObject(block) && Object.hasOwn(FORMS, block.type) ?
	    FORMS[block.type] : anything;

	return room.within(() => form(block, room));
}

function attachment(part, room) {
	const node = element("div", "attachment",
	    ...paragraph("", textNodes(part.pretext, room, "mrkdwn")),
	    ...paragraph("context", textNodes(part.author_name, room)),
	    ...attachmentTitle(part, room),
	    ...paragraph("", textNodes(part.text, room, "mrkdwn")),
	    ...fields(list(part.fields).flatMap((field) =>
	    attachmentField(field, room))),
	    ...list(part.blocks).flatMap((block) => one(block, room)),
	    ...list(part.message_blocks).flatMap((inner) =>
	    list(inner?.message?.blocks).flatMap((block) => one(block, room))),
	    ...list(part.files).flatMap((file) => paragraph("context",
	    textNodes(string(file?.name) || string(file?.title), room))),
	    ...actions({ elements: list(part.actions) }, room),
	    ...paragraph("context", textNodes(part.footer, room)));

	if (node.childNodes.length === 0)
		node.append(...paragraph("", textNodes(part.fallback, room)));
	setColour(node, string(part.color));
	return node.childNodes.length > 0 ? [node] : [];
}

function attachmentTitle(part, room) {
	const title = textNodes(part.title, room);
	const href = linkTarget(string(part.title_link) ||
	    string(part.from_url));

	return paragraph("header", href && title.length > 0 ?
	    [link(href, ...title)] : title);
}

function attachmentField(field, room) {
	const title = textNodes(field?.title, room);
	const value = textNodes(field?.value, room, "mrkdwn");

	return paragraph("field", title.length > 0 ?
	    [element("strong", "", ...title), " ", ...value] : value);
}

function setColour(node, colour) {
	const known = Object.hasOwn(COLOURS, colour) ? COLOURS[colour] :
	    `#${colour.replace(/^#/, "")}`;

	if (/^#[0-9a-f]{6}$/i.test(known))
		node.style.borderInlineStartColor = known;
}

/* The blocks of a message as nodes. */
export function blocksNodes(blocks, names) {
	const room = new Room(names);

	return blocks.flatMap((block) => one(block, room));
}

/* The attachments of a message as nodes, each in a frame of its own. */
export function attachmentsNodes(attachments, names) {
	const room = new Room(names);

	return attachments.filter(isObject).flatMap((part) =>
	    room.within(() => attachment(part, room)));
}
