/*
 * Nodes. Whatever came from outside enters the page through foreign(): as text,
 * with the characters that would hide something or turn it around made visible.
 */

const HIDDEN = new RegExp("[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f" +
    "\\u061c\\u200b\\u200e\\u200f\\u2028\\u2029\\u202a-\\u202e\\u2060" +
    "\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb]", "g");

const HIDDEN_NAMES = new Map(Object.entries({
	"\u061c": "ALM", "\u200b": "ZWSP", "\u200e": "LRM", "\u200f": "RLM",
	"\u2028": "LSEP", "\u2029": "PSEP", "\u202a": "LRE", "\u202b": "RLE",
	"\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u2060": "WJ",
	"\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI",
	"\ufeff": "BOM", "\u007f": "DEL",
}));

export function element(name, className, ...children) {
	const node = document.createElement(name);

	if (className)
		node.className = className;
	node.append(...children);
	return node;
}

function nameOf(character) {
	const code = character.charCodeAt(0);

	if (code < 0x20)
		return String.fromCharCode(0x2400 + code);
	return HIDDEN_NAMES.get(character) ?? codePoint(character);
}

function codePoint(character) {
	const hex = character.charCodeAt(0).toString(16).toUpperCase();

	return `U+${hex.padStart(4, "0")}`;
}

/* A hidden character as a mark of its own, which also isolates its neighbours */
function mark(character) {
	const node = element("span", "hidden-character", nameOf(character));

	node.title = codePoint(character);
	return node;
}

/* The text as nodes: a text node, and a mark for each hidden character. */
export function foreign(text) {
	const nodes = document.createDocumentFragment();
	let end = 0;

	text = text.replaceAll("\r\n", "\n");
	for (const found of text.matchAll(HIDDEN)) {
		if (found.index > end)
			nodes.append(text.slice(end, found.index));
		nodes.append(mark(found[0]));
		end = found.index + 1;
	}
	if (end < text.length)
		nodes.append(end === 0 ? text : text.slice(end));
	return nodes;
}

/* A drawing of one path, 16 by 16, in the colour of the words around it. */
export function drawing(className, path) {
	const [svg, line] = ["svg", "path"].map((name) =>
	    document.createElementNS("http://www.w3.org/2000/svg", name));

	svg.setAttribute("class", className);
	svg.setAttribute("viewBox", "0 0 16 16");
	svg.setAttribute("aria-hidden", "true");
	line.setAttribute("d", path);
	svg.append(line);
	return svg;
}

/* A name from outside: isolated, so that it turns nothing around it. */
export function foreignName(text, className = "") {
	return element("bdi", className, foreign(text));
}

/* The text as one string with hidden characters named, for attributes. */
export function visible(text) {
	return text.replace(HIDDEN, (character) => `[${nameOf(character)}]`);
}

/* The address in a form fit for a link, or null where it is not to be one. */
export function linkTarget(address) {
	let url;

	try {
		url = new URL(address);
	} catch {
		return null;
	}
	return ["http:", "https:", "mailto:"].includes(url.protocol) ?
	    url.href : null;
}

/* A link that opens beside the stream and tells the other side nothing. */
export function link(target, ...children) {
	const node = element("a", "", ...children);

	node.href = target;
	node.target = "_blank";
	node.rel = "noopener noreferrer";
	node.title = visible(target);
	return node;
}
