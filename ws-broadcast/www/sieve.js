/*
 * The part of the stream that a link asks for, as the link in a digest does:
 * stream?channel=ci&from=7&to=1006&class=danger. What does not fit never
 * becomes a card, so that it pushes none out that does.
 */

import { isObject, string } from "./blocks.js";
import { CLASS_WORDS } from "./card.js";
import { deliveryOf } from "./deliveries.js";
import { element, foreignName } from "./dom.js";
import { CLASSES, classOf } from "./record.js";

const LONGEST = 300;

const whole = new Intl.NumberFormat("en");

function numberIn(parameters, name) {
	const text = parameters.get(name) ?? "";
	const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;

	return Number.isSafeInteger(value) ? value : null;
}

const bare = (channel) => channel.replace(/^#/, "").toLowerCase();

export class Sieve {
	#channel;
	#from;
	#to;
	#class;
	#counts = Object.fromEntries(CLASSES.map((name) => [name, 0]));

	constructor(query) {
		const parameters = new URLSearchParams(query);
		const name = parameters.get("class");

		this.#channel = (parameters.get("channel") ?? "").slice(0, LONGEST);
		this.#from = numberIn(parameters, "from");
		this.#to = numberIn(parameters, "to");
		this.#class = CLASSES.includes(name) ? name : null;
		this.words = (parameters.get("q") ?? "").slice(0, LONGEST);
	}

	/* Does it hold anything back? */
	/* The first record wanted, or null. */
	get from() {
		return this.#from;
	}

	get isSet() {
		return this.#channel !== "" || this.#from !== null ||
		    this.#to !== null || this.#class !== null;
	}

	get shownClass() {
		return this.#class;
	}

	/* How many passed, by class. */
	get counts() {
		return this.#counts;
	}

	forget() {
		for (const name of CLASSES)
			this.#counts[name] = 0;
	}

	passes(record, key) {
		return this.#fitsRange(record, key) && this.#fitsChannel(record) &&
		    (this.#class === null || classOf(record) === this.#class);
	}

	count(record) {
		this.#counts[classOf(record)]++;
	}

	/* A report is looked for where its message is. */
	#fitsRange(record, key) {
		const seq = deliveryOf(record)?.of ??
		    (Number.isSafeInteger(record?.seq) ? record.seq : key);

		return seq >= (this.#from ?? seq) && seq <= (this.#to ?? seq);
	}

	#fitsChannel(record) {
		const wanted = bare(this.#channel);

		if (wanted === "")
			return true;
		const { names } = isObject(record) ? record : {};

		return [record?.channel, names?.channel].some((name) =>
		    bare(string(name)) === wanted);
	}

	/* What it lets through, in words. */
	describe() {
		const parts = [];

		if (this.#channel !== "")
			parts.push(element("span", "", "channel ",
			    foreignName(this.#channel, "sieve-channel")));
		if (this.#from !== null || this.#to !== null)
			parts.push(this.#rangeWords());
		if (this.#class !== null)
			parts.push(CLASS_WORDS[this.#class].word);
		return parts.flatMap((part, i) => i > 0 ? [", ", part] : [part]);
	}

	#rangeWords() {
		const [from, to] = [this.#from, this.#to].map((seq) =>
		    seq === null ? null : whole.format(seq));

		if (to === null)
			return `records from ${from} on`;
		return from === null ? `records up to ${to}` :
		    from === to ? `record ${from}` : `records ${from} to ${to}`;
	}

	/* What of it the server has forgotten, when its memory begins there. */
	missing(first) {
		if (!Number.isSafeInteger(first) || first <= (this.#from ?? 1))
			return "";
		return this.#to !== null && this.#to < first ?
		    "All of it is older than the server's memory." :
		    `The server's memory begins with record ${whole.format(first)}.`;
	}
}
