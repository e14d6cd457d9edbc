/* The dashboard: what comes over the connection goes on the board. */

import { Board } from "./board.js";
import { Connection } from "./connection.js";
import { Deliveries } from "./deliveries.js";
import { classOf, isHousekeeping, learnNames } from "./record.js";
import { Sieve } from "./sieve.js";
import { Totals } from "./totals.js";

const TOTALS_MS = 1000;
const DRAW_EVERY_MS = 150;

const byId = (id) => document.getElementById(id);

/*
 * Call draw with the next frame, however often it is asked for, but not again
 * at once: a column that jumps more often is read by nobody, and layout would
 * leave no time for the records.
 */
function paced(draw) {
	let isAsked = false, earliest = 0;
	const frame = () => requestAnimationFrame((now) => {
		isAsked = false;
		earliest = now + DRAW_EVERY_MS;
		draw();
	});

	return () => {
		if (isAsked)
			return;
		isAsked = true;
		setTimeout(frame, Math.max(0, earliest - performance.now()));
	};
}

/* Shows the state, and says it aloud when it changes, not every second. */
class StateLine {
	#said = "";
	#wasLost = false;

	show(name, seconds) {
		const words = {
			connecting: "Connecting",
			live: "Live",
			stale: "Stale: no sign of life",
			ended: "Ended: no more records",
			reconnecting: `Reconnecting in ${seconds} s`,
		}[name];

		byId("connection").dataset.state = name;
		byId("connection-text").textContent = words;
		byId("connect-now").hidden = name !== "reconnecting";
		this.#announce(name, words);
	}

	#announce(name, words) {
		if (name === "connecting" || name === "reconnecting" &&
		    this.#wasLost)
			return;
		this.#wasLost = name === "reconnecting";
		if (this.#said === name)
			return;
		this.#said = name;
		byId("announcement").textContent = name === "reconnecting" ?
		    "Connection lost, trying again" : words;
	}
}

function wireTools(board, connection) {
	const pause = byId("pause");

	pause.addEventListener("click", () => {
		const isPaused = pause.getAttribute("aria-pressed") !== "true";
		pause.setAttribute("aria-pressed", String(isPaused));
		board.pause(isPaused);
	});
	byId("filter").addEventListener("input", (event) =>
	    board.filter(event.target.value));
	byId("connect-now").addEventListener("click", () =>
	    connection.retryNow());
	document.addEventListener("click", (event) => {
		if (!byId("help").contains(event.target))
			byId("help").open = false;
	});
}

/* Say which part of the stream is shown only, where a link asked for one. */
function showSieve(sieve, board) {
	const filter = byId("filter");

	filter.value = sieve.words;
	board.filter(sieve.words);
	byId("sieve").hidden = !sieve.isSet;
	byId("sieve-words").replaceChildren(...sieve.describe());
	if (sieve.shownClass !== null)
		board.show(sieve.shownClass);
}

function gapWords(from, to) {
	const numbers = new Intl.NumberFormat("en");
	const range = from === to ? `Record ${numbers.format(from)} is` :
	    `Records ${numbers.format(from)} to ${numbers.format(to)} are`;

	return `${range} missing: no longer in the server's memory`;
}

function start() {
	const names = new Map();
	const totals = new Totals(byId("totals"));
	const sieve = new Sieve(location.search);
	const schedule = paced(() => board.draw(sieve.isSet ? sieve.counts :
	    totals.classes));
	const board = new Board(byId("board"), byId("switch"), names, schedule);
	const deliveries = new Deliveries(board);
	const stateLine = new StateLine();
	const address = new URL("ws/slack", location.href);

	address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
	address.username = address.password = address.search = address.hash = "";
	if (sieve.from !== null)
		address.searchParams.set("from", sieve.from);
	const connection = new Connection(address, {
		state: (name, seconds) => stateLine.show(name, seconds),
		hello: (told) => {
			totals.startAfter(told.last);
			byId("sieve-missing").textContent = sieve.missing(told.first);
		},
		forget: () => {
			board.forget();
			deliveries.forget();
			sieve.forget();
			totals.forget();
		},
		gap: (from, to) => {
			board.addGap(gapWords(from, to));
			totals.miss(to - from + 1);
		},
		stats: (stats) => {
			totals.tell(stats);
			schedule();
		},
		record: (line, record, key) => {
			learnNames(names, record);
			totals.count(record, key);
			if (isHousekeeping(record))
				return;
			deliveries.take(record, () => {
				if (!sieve.passes(record, key))
					return;
				sieve.count(record);
				board.add(classOf(record), { key, line, record });
			});
		},
	});

	wireTools(board, connection);
	showSieve(sieve, board);
	totals.draw();
	setInterval(() => totals.draw(), TOTALS_MS);
	connection.start();
}

start();
