/*
 * The three columns. Records wait in a bounded line and become cards some times
 * a second, a few at a time: what would be pushed out again before anybody
 * could see it never becomes a card. A column stands still while somebody
 * reads it.
 */

import { cardOf, classSign, showReports } from "./card.js";
import { element } from "./dom.js";
import { CLASSES, unreadable, viewOf } from "./record.js";

const CARDS_KEPT = 200;			/* in a column, and as many waiting */
const CHARACTERS_WAITING = 16 * 1024 * 1024;
const BUILDING_MS = 12;			/* at a time, for each column */
const AT_TOP_PX = 8;
const REPORTS_SHOWN = 4;		/* on a card */

const numbers = new Intl.NumberFormat("en");

function divider(words) {
	return element("li", "item divider-item", element("p", "gap", words));
}

/* One record of a shape that no card can show must not stop the column. */
function cardOrWords(line, record, key, names) {
	try {
		return cardOf(viewOf(line, record, key), names);
	} catch (error) {
		return cardOf(unreadable(line, key, String(error)), names);
	}
}

/* Whether people have marked text below this node. */
function holdsSelection(node) {
	const selection = getSelection();

	return !selection.isCollapsed && node.contains(selection.anchorNode);
}

/* The records on the board by their seq, and what was reported of each. */
class Reported {
	#slots = new Map();	/* seq: { column, item, reports by purpose } */

	expect(seq, column) {
		if (seq !== null)
			this.#slots.set(seq, { column, item: null,
				reports: new Map() });
	}

	show(seq, item) {
		const slot = this.#slots.get(seq);

		if (slot === undefined)
			return;
		slot.item = item;
		item.dataset.seq = seq;
		this.#draw(slot);
	}

	/* What Slack shows is only believed where nothing was reported. */
	tell(report, isEcho) {
		const slot = this.#slots.get(report.of);
		const { purpose } = report;

		if (slot === undefined || isEcho && slot.reports.has(purpose) ||
		    !slot.reports.has(purpose) && slot.reports.size >= REPORTS_SHOWN)
			return;
		slot.reports.set(purpose, report);
		this.#draw(slot);
	}

	#draw({ item, reports }) {
		if (item !== null && reports.size > 0)
			showReports(item, [...reports.values()]);
	}

	forget(seq) {
		this.#slots.delete(seq);
	}

	columnOf(seq) {
		return this.#slots.get(seq)?.column;
	}
}

const seqOf = (record) => Number.isSafeInteger(record?.seq) ? record.seq : null;

class Column {
	#name;
	#names;
	#reported;
	#heading;
	#list;
	#fresh;			/* the button "n new" */
	#footer;
	#waiting = [];		/* { key, line, record } or { gap }, oldest first */
	#characters = 0;	/* in the lines that wait */
	#passed = 0;		/* fell out of the waiting line since the last card */
	#arrived = 0;		/* since the column last stood at its newest */
	#gone = 0;
	#wanted = "";

	constructor(name, names, reported, onChange) {
		this.#name = name;
		this.#names = names;
		this.#reported = reported;
		this.count = element("span", "count", "0");
		this.#list = element("ol", "cards list-unstyled");
		this.#footer = element("p", "gone", "Nothing yet");
		this.scroller = element("div", "scroller", this.#list,
		    this.#footer);
		this.#fresh = element("button", "btn btn-sm fresh");
		this.#heading = element("h2", "column-name",
		    classSign(name, true));
		this.node = element("section", `column column-${name}`,
		    element("div", "column-head", this.#heading, this.count),
		    this.#fresh, this.scroller);
		this.#prepare(onChange);
	}

	#prepare(onChange) {
		this.#heading.id = `column-${this.#name}`;
		this.node.dataset.class = this.#name;
		this.node.setAttribute("aria-labelledby", this.#heading.id);
		this.scroller.tabIndex = 0;
		this.scroller.setAttribute("role", "group");
		this.scroller.setAttribute("aria-label",
		    `${this.#name} messages, newest first`);
		this.#fresh.type = "button";
		this.#fresh.hidden = true;
		this.#fresh.addEventListener("click", () => this.toNewest());
		this.scroller.addEventListener("scroll", onChange,
		    { passive: true });
		this.scroller.addEventListener("focusout", onChange);
	}

	take(entry) {
		this.#waiting.push(entry);
		this.#reported.expect(seqOf(entry.record), this.#name);
		this.#characters += entry.line?.length ?? 0;
		this.#arrived += entry.line === undefined ? 0 : 1;
		while (this.#waiting.length > CARDS_KEPT ||
		    this.#characters > CHARACTERS_WAITING &&
		    this.#waiting.length > 1)
			this.#letPass();
	}

	#letPass() {
		const { line, record } = this.#waiting.shift();

		if (line === undefined)
			return;
		this.#reported.forget(seqOf(record));
		this.#characters -= line.length;
		this.#passed++;
		this.#gone++;
	}

	forget() {
		for (const { record } of this.#waiting)
			this.#reported.forget(seqOf(record));
		for (const item of this.#list.children)
			this.#forgetItem(item);
		this.#waiting = [];
		this.#characters = this.#passed = this.#arrived = this.#gone = 0;
		this.#list.replaceChildren();
		this.scroller.scrollTop = 0;
		this.#showRest();
	}

	/* Somebody is reading here: nothing may move under their eyes. */
	#isRead() {
		const focused = document.activeElement;

		return this.scroller.scrollTop > AT_TOP_PX ||
		    document.scrollingElement.scrollTop > AT_TOP_PX ||
		    this.#list.contains(focused) || holdsSelection(this.#list);
	}

	/* Make cards of what waits; true where there is more to be made. */
	flush(isPaused) {
		const isStill = isPaused || this.#isRead();

		if (!isStill) {
			this.#build(performance.now() + BUILDING_MS);
			this.#arrived = 0;
		}
		this.#showRest();
		return !isStill && this.#waiting.length > 0;
	}

	toNewest() {
		this.scroller.focus({ preventScroll: true });
		getSelection().removeAllRanges();
		this.#build(Infinity);
		this.#arrived = 0;
		this.scroller.scrollTop = document.scrollingElement.scrollTop = 0;
		this.#showRest();
	}

	/* Make cards until then, but one at least. */
	#build(until) {
		const nodes = [];

		if (this.#waiting.length === 0)
			return;
		do
			nodes.unshift(this.#nodeOf(this.#waiting.shift()));
		while (this.#waiting.length > 0 && performance.now() < until);
		if (this.#passed > 0 && this.#list.firstChild !== null)
			nodes.push(divider(`${numbers.format(this.#passed)} ` +
			    "more went by, faster than cards can be made"));
		this.#passed = 0;
		this.#list.prepend(...nodes);
		this.#list.classList.toggle("is-calm", nodes.length <= 3);
		this.#trim();
	}

	#nodeOf({ key, line, record, gap }) {
		if (line === undefined)
			return divider(gap);
		this.#characters -= line.length;
		const item = cardOrWords(line, record, key, this.#names);
		this.#reported.show(seqOf(record), item);
		this.#sift(item);
		return item;
	}

	#trim() {
		while (this.#list.childElementCount > CARDS_KEPT) {
			const last = this.#list.lastElementChild;
			this.#gone += last.dataset.key === undefined ? 0 : 1;
			this.#forgetItem(last);
			last.remove();
		}
	}

	#forgetItem(item) {
		if (item.dataset.seq !== undefined)
			this.#reported.forget(Number(item.dataset.seq));
	}

	/* Put the focus on the card of this seq, whatever the filter says. */
	reveal(seq) {
		const find = () => this.#list.querySelector(`[data-seq="${seq}"]`);

		if (find() === null)
			this.toNewest();
		const item = find();
		if (item === null)
			return;
		item.hidden = false;
		item.firstElementChild.focus({ preventScroll: true });
		item.scrollIntoView({ block: "center" });
	}

	#showRest() {
		const isFilled = this.#list.firstChild !== null;
		const fresh = this.#arrived > 0 ?
		    `↑ ${numbers.format(this.#arrived)} new` : "";

		setText(this.#footer, this.#gone > 0 ?
		    `${numbers.format(this.#gone)} older no longer shown here` :
		    isFilled ? "" : "Nothing yet");
		this.#fresh.hidden = fresh === "";
		setText(this.#fresh, fresh);
	}

	/* Show only the cards that have the wanted words. */
	filter(wanted) {
		this.#wanted = wanted;
		for (const item of this.#list.children)
			this.#sift(item);
	}

	#sift(item) {
		item.hidden = this.#wanted !== "" &&
		    !item.textContent.toLowerCase().includes(this.#wanted);
	}

	/* Put the focus on the card that is this many further down. */
	step(by) {
		const cards = [...this.#list.querySelectorAll(
		    ".item:not([hidden]) > article")];
		const now = cards.indexOf(document.activeElement?.closest("article"));
		const card = cards[Math.max(0, Math.min(cards.length - 1,
		    now + by))];

		card?.focus({ preventScroll: true });
		card?.scrollIntoView({ block: "nearest" });
	}
}

function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

export class Board {
	#node;
	#columns;
	#buttons;
	#reported = new Reported();
	#isPaused = false;
	#schedule;

	/* schedule() asks for a call of draw() before long. */
	constructor(node, switchNode, names, schedule) {
		this.#node = node;
		this.#schedule = schedule;
		this.#columns = new Map(CLASSES.map((name) =>
		    [name, new Column(name, names, this.#reported, schedule)]));
		this.#buttons = new Map(CLASSES.map((name) =>
		    [name, this.#switchButton(name)]));
		node.append(...Array.from(this.#columns.values(),
		    (column) => column.node));
		switchNode.append(...this.#buttons.values());
		node.addEventListener("keydown", (event) => this.#press(event));
		node.addEventListener("jump", (event) =>
		    this.#jump(event.target, event.detail));
		document.addEventListener("selectionchange", schedule);
		document.addEventListener("scroll", schedule, { passive: true });
		this.show(node.dataset.shown);
	}

	#switchButton(name) {
		const button = element("button", "btn btn-sm",
		    classSign(name, true), " ", element("span", "count", "0"));

		button.type = "button";
		button.addEventListener("click", () => this.show(name));
		return button;
	}

	/* Where there is room for one column only, show this one. */
	show(name) {
		this.#node.dataset.shown = name;
		for (const [other, button] of this.#buttons)
			button.setAttribute("aria-pressed", String(other === name));
	}

	add(name, entry) {
		this.#columns.get(name).take(entry);
		this.#schedule();
	}

	/* What became of a message: on its card, if it has one still. */
	report(report, isEcho) {
		this.#reported.tell(report, isEcho);
	}

	#jump(button, seq) {
		const name = this.#reported.columnOf(seq);

		if (name === undefined) {
			button.textContent = `Message #${seq} is no longer shown here`;
			document.getElementById("announcement").textContent =
			    button.textContent;
			return;
		}
		this.show(name);
		this.#columns.get(name).reveal(seq);
	}

	addGap(words) {
		for (const name of CLASSES)
			this.add(name, { gap: words });
	}

	forget() {
		for (const column of this.#columns.values())
			column.forget();
	}

	draw(counts) {
		let hasMore = false;

		for (const [name, column] of this.#columns) {
			const count = numbers.format(counts[name]);
			hasMore = column.flush(this.#isPaused) || hasMore;
			setText(column.count, count);
			setText(this.#buttons.get(name).lastElementChild, count);
		}
		if (hasMore)
			this.#schedule();
	}

	filter(wanted) {
		for (const column of this.#columns.values())
			column.filter(wanted.trim().toLowerCase());
	}

	pause(isPaused) {
		this.#isPaused = isPaused;
		this.#schedule();
	}

	#go(name) {
		this.show(name);
		this.#columns.get(name).scroller.focus();
	}

	#press(event) {
		const name = event.target.closest(".column")?.dataset.class;

		if (name === undefined || event.ctrlKey || event.altKey ||
		    event.metaKey || event.target.closest("button, pre"))
			return;
		const move = this.#moveOf(event.key, name);
		if (move === undefined)
			return;
		event.preventDefault();
		move();
	}

	#moveOf(key, name) {
		const column = this.#columns.get(name);
		const beside = (by) => () => this.#go(
		    CLASSES.at((CLASSES.indexOf(name) + by) % CLASSES.length));
		const moves = {
			j: () => column.step(1), ArrowDown: () => column.step(1),
			k: () => column.step(-1), ArrowUp: () => column.step(-1),
			h: beside(-1), ArrowLeft: beside(-1),
			l: beside(1), ArrowRight: beside(1),
			1: () => this.#go(CLASSES[0]),
			2: () => this.#go(CLASSES[1]),
			3: () => this.#go(CLASSES[2]),
			p: () => document.getElementById("pause").click(),
			"/": () => document.getElementById("filter").focus(),
			Escape: () => column.toNewest(),
		};

		return Object.hasOwn(moves, key) ? moves[key] : undefined;
	}
}
