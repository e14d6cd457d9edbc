/*
 * Finds matches in what a card shows and marks them there. The scanner speaks
 * of bytes in the message's plain text; the card has nodes, in which emoji,
 * names and links look different. So the matched words are looked up, and what
 * cannot be found stays a line in the card's list of matches.
 */

import { element } from "./dom.js";
import { unescape } from "./markup.js";

const MOST_MARKS = 40;
const MOST_CHARACTERS = 256 * 1024;
const CLEANED = /[\u0000-\u001f\u007f]/g;	/* a blank in an excerpt */

/* The text as the scanner sees it: the rules of lib/slack_markup.c. */
function plainText(text) {
	return unescape(text.replace(/<([^<>|]+)(?:\|([^<>]*))?>/g, plainToken));
}

function plainToken(token, target, label = "") {
	const sign = target[0] === "#" ? "#" : "@";

	if (/^[@#!]./.test(target)) {
		const caret = target.indexOf("^");
		const bare = target[0] === "!" && caret >= 0 &&
		    caret + 1 < target.length ? target.slice(caret) : target;
		if (label === "")
			return sign + bare.slice(1);
		return target[0] === "!" || label[0] === sign ?
		    label : sign + label;
	}
	if (!/^[a-z][a-z0-9+.-]*:/i.test(target))
		return token;
	return target.endsWith(label) ? target : `${label} (${target})`;
}

/*
 * The words of a match and how often they stand before it, or null where
 * start and end do not fit its excerpt.
 */
function placed(match, bytes) {
	const { start, end, excerpt } = match;

	if (!(start >= 0 && end > start && end <= bytes.length))
		return null;
	const decoder = new TextDecoder();
	const words = decoder.decode(bytes.subarray(start, end));

	if (!excerpt.includes(words.replace(CLEANED, " ")))
		return null;
	const before = decoder.decode(bytes.subarray(0, start));
	return { words, nth: before.split(words).length - 1 };
}

/* What each match in the text is to be looked up by. */
export function placesOf(matches, text) {
	const inText = matches.filter((match) => match.where === "text")
	    .slice(0, MOST_MARKS);
	const bytes = inText.length > 0 ?
	    new TextEncoder().encode(plainText(
	    text.slice(0, MOST_CHARACTERS))) : null;

	return inText.map((match) => ({
		match,
		...placed(match, bytes) ??
		    { words: match.excerpt.replace(/^…|…$/g, ""), nth: 0 },
	})).filter(({ words }) => words.trim() !== "");
}

/* An emoji stands for its code and is marked whole. */
function segmentsOf(root) {
	const walker = document.createTreeWalker(root,
	    NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, (node) =>
	    node.parentNode.className === "emoji" ? NodeFilter.FILTER_REJECT :
	    node.nodeType === Node.TEXT_NODE || node.className === "emoji" ?
	    NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP);
	const segments = [];
	let at = 0;

	for (let node; (node = walker.nextNode()) !== null;) {
		const words = node.title ?? node.data;
		segments.push({ node, words, at });
		at += words.length;
	}
	return segments;
}

function nthIndex(whole, words, nth) {
	let found = whole.indexOf(words);

	for (let next; nth > 0 && found >= 0; nth--) {
		next = whole.indexOf(words, found + words.length);
		if (next < 0)
			break;
		found = next;
	}
	return found;
}

/* Ranges in order, those that touch made one. */
function merged(ranges) {
	const out = [];

	for (const range of ranges.sort((a, b) => a.start - b.start)) {
		const last = out.at(-1);
		if (last && range.start < last.end)
			last.end = Math.max(last.end, range.end);
		else
			out.push(range);
	}
	return out;
}

function wrap({ node, words, at }, range) {
	const mark = element("mark", "match");

	mark.title = range.pattern;
	if (node.nodeType === Node.TEXT_NODE) {
		const from = Math.max(0, range.start - at);
		const to = Math.min(words.length, range.end - at);
		node.splitText(to);
		node = node.splitText(from);
	}
	node.replaceWith(mark);
	mark.append(node);
}

/* Mark the places below root. */
export function highlight(root, places) {
	const segments = segmentsOf(root);
	const whole = segments.map(({ words }) => words).join("");
	const ranges = places.map(({ words, nth, match }) => {
		const start = nthIndex(whole, words, nth);
		return { start, end: start + words.length, pattern: match.pattern };
	}).filter(({ start }) => start >= 0);

	/* from the end, so that what is split stays valid in front of it */
	for (const range of merged(ranges).reverse())
		for (const segment of segments)
			if (segment.at < range.end &&
			    segment.at + segment.words.length > range.start)
				wrap(segment, range);
}
