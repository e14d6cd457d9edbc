/*
 * The figures on top. Where the server tells the pipeline's totals, those; else
 * what this page has counted itself since it was opened.
 */

import { isObject, list } from "./blocks.js";
import { sizeWords } from "./card.js";
import { isQuiet } from "./deliveries.js";
import { element } from "./dom.js";
import { CLASSES, classOf } from "./record.js";

const WINDOW_S = 60;

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

const number = (value) => Number.isFinite(value) ? value : 0;

/* Records within the last minute, by the second they came in. */
class Rate {
	#counts = new Array(WINDOW_S).fill(0);
	#second = 0;
	#began = performance.now() / 1000;

	count(now) {
		this.#forward(now);
		this.#counts[this.#second % WINDOW_S]++;
	}

	/* records a second, over a minute or as long as the page is open */
	value(now) {
		this.#forward(now);
		const seconds = Math.min(WINDOW_S, Math.max(1, now - this.#began));
		return this.#counts.reduce((sum, n) => sum + n, 0) / seconds;
	}

	#forward(now) {
		const second = Math.floor(now);
		const from = Math.max(this.#second + 1, second - WINDOW_S + 1);

		for (let empty = from; empty <= second; empty++)
			this.#counts[empty % WINDOW_S] = 0;
		this.#second = Math.max(this.#second, second);
	}
}

function rateWords(rate) {
	return rate >= 1 || rate === 0 ? `${short.format(rate)}/s` :
	    `${short.format(rate * 60)}/min`;
}

/* Reports of what went well, and echoes, which the shipped rules call success. */
function quietIn(told) {
	return number(told.deliveries?.sent) + number(told.deliveries?.digest) +
	    number(told.echoes);
}

export class Totals {
	#node;
	#values = new Map();
	#told = null;
	#rate = new Rate();
	#liveAfter = Infinity;
	#own;

	constructor(node) {
		this.#node = node;
		this.forget();
	}

	forget() {
		this.#own = { records: 0, files: 0, matches: 0, errors: 0,
			missing: 0, classes: { success: 0, warning: 0, danger: 0 } };
		this.#told = null;
	}

	/* Records up to this KEY are old news, which say nothing of the rate. */
	startAfter(key) {
		this.#liveAfter = Number.isSafeInteger(key) ? key : 0;
	}

	count(record, key) {
		const own = this.#own;

		own.records++;
		own.classes[classOf(record)] += isQuiet(record) ? 0 : 1;
		own.files += list(record?.files).length;
		own.matches += list(record?.matches).length;
		own.errors += isObject(record) && !isObject(record.error) ? 0 : 1;
		if (key > this.#liveAfter)
			this.#rate.count(performance.now() / 1000);
	}

	miss(records) {
		this.#own.missing += records;
	}

	tell(stats) {
		if (isObject(stats))
			this.#told = stats;
	}

	/* How many records of each class there were that are worth a card. */
	get classes() {
		const told = this.#told?.classes;

		if (!isObject(told))
			return this.#own.classes;
		const counts = Object.fromEntries(CLASSES.map((name) =>
		    [name, number(told[name])]));
		counts.success = Math.max(0, counts.success -
		    quietIn(this.#told));
		return counts;
	}

	draw() {
		const figures = this.#told === null ? this.#counted() :
		    this.#toldFigures(this.#told);

		if (this.#own.missing > 0)
			figures.push(["Missed", whole.format(this.#own.missing)]);
		this.#node.title = this.#told === null ?
		    "Counted since this page was opened" : "";
		this.#arrange(figures.map(([label]) => label));
		for (const [label, value] of figures)
			this.#set(label, value);
	}

	#counted() {
		const own = this.#own;

		return [
			["Records", whole.format(own.records)],
			["Rate", rateWords(this.#rate.value(performance.now() / 1000))],
			["Matches", whole.format(own.matches)],
			["Files", whole.format(own.files)],
			["Errors", whole.format(own.errors)],
		];
	}

	#toldFigures(told) {
		const latency = told.latency_ms?.p99;
		const figures = [
			["Messages", whole.format(number(told.total_msg_count))],
			["Rate", rateWords(number(told.rate_1m))],
			["Files", whole.format(
			    number(told.total_attachments_downloaded))],
			["Scanned", sizeWords(number(told.bytes_scanned))],
			["Errors", whole.format(number(told.errors))],
		];

		if (Number.isFinite(latency))
			figures.push(["p99", `${short.format(latency)} ms`]);
		return figures;
	}

	#set(label, value) {
		if (!this.#values.has(label)) {
			const node = element("dd", "");
			this.#values.set(label, node);
			this.#node.append(element("div", "total",
			    element("dt", "", label), node));
		}
		const node = this.#values.get(label);
		if (node.textContent !== value)
			node.textContent = value;
	}

	/* The figures in their order, begun anew where these are others. */
	#arrange(labels) {
		if (labels.join() === [...this.#values.keys()].join())
			return;
		this.#values.clear();
		this.#node.replaceChildren();
	}
}
