/*
 * The connection to the server, kept up. Turns frames into calls of a handler:
 *
 *	hello(told)         the server's first word on each connection
 *	forget()            before that: a new run began, what is shown is past
 *	record(line, record, key)
 *	                    a record, each key once within one run; record is
 *	                    null where the line cannot be read
 *	gap(from, to)       these records are not to be had
 *	stats(object)       the totals
 *	state(name, wait)   connecting, live, stale, ended or reconnecting, the
 *	                    last with the seconds left
 */

const TICK_MS = 1000;
const HELLO_MS = 15000;		/* from the first byte asked for to "hello" */
const STALE_MS = 45000;		/* two of the server's pings missed */
const DEAD_MS = 60000;
const STABLE_MS = 3000;		/* alive this long, or news: wait as at first */
const WAIT_LEAST_MS = 300;	/* the server needs some time to start */
const WAIT_FIRST_MS = 1500;
const WAIT_MOST_MS = 30000;

/* The server's rule for the KEY of a record that follows another one. */
export function keyAfter(previous, seq) {
	return Number.isSafeInteger(seq) && seq > previous ? seq : previous + 1;
}

/* How long to wait before attempt n (from 0): back soon after a restart, but
 * spread, so that viewers of one server do not all come in the same moment. */
export function waitBefore(attempt, random = Math.random) {
	const most = Math.min(WAIT_MOST_MS, WAIT_FIRST_MS * 2 ** attempt);

	return WAIT_LEAST_MS + random() * (most - WAIT_LEAST_MS);
}

export class Connection {
	#address;
	#handler;
	#socket = null;
	#run = null;
	#last = null;		/* handed on, or told to be missing, up to this */
	#previous = 0;		/* KEY before the coming record's, by the server */
	#attempts = 0;
	#ended = false;
	#retryAt = 0;
	#timer = undefined;
	#openedAt = 0;
	#helloAt = 0;
	#heardAt = 0;
	#isNews = false;	/* something came over this connection */

	constructor(address, handler) {
		this.#address = address;
		this.#handler = handler;
	}

	start() {
		setInterval(() => this.#tick(), TICK_MS);
		addEventListener("online", () => this.retryNow());
		addEventListener("pageshow", (event) => {
			if (event.persisted)
				this.retryNow();
		});
		document.addEventListener("visibilitychange", () => {
			if (document.visibilityState === "visible")
				this.retryNow();
		});
		this.#connect();
	}

	/* Do not wait any longer, if waiting. */
	retryNow() {
		clearTimeout(this.#timer);
		if (this.#socket === null)
			this.#connect();
	}

	#connect() {
		const address = new URL(this.#address);

		if (this.#run !== null && this.#last !== null) {
			address.searchParams.set("after", this.#last);
			address.searchParams.set("run", this.#run);
		}
		this.#openedAt = this.#heardAt = performance.now();
		this.#helloAt = 0;
		this.#ended = this.#isNews = false;
		this.#handler.state("connecting");
		this.#socket = new WebSocket(address);
		this.#socket.onmessage = (event) => this.#hear(event.data);
		this.#socket.onclose = () => this.#lose();
	}

	/* A dead peer would make close() wait for its answer: turn away at once. */
	#lose() {
		const lived = this.#isNews || this.#helloAt > 0 &&
		    performance.now() - this.#helloAt > STABLE_MS;

		this.#socket.onmessage = this.#socket.onclose = null;
		this.#socket.close();
		this.#socket = null;
		this.#attempts = lived ? 0 : this.#attempts;
		this.#waitToRetry(waitBefore(this.#attempts++));
	}

	/* To the millisecond: the ticks would add up to a second. */
	#waitToRetry(wait) {
		this.#retryAt = performance.now() + wait;
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.retryNow(), wait);
		this.#tick();
	}

	#tick() {
		const now = performance.now();

		if (this.#socket === null)
			this.#countDown(now);
		else if (this.#helloAt === 0 && now - this.#openedAt > HELLO_MS)
			this.#lose();
		else if (now - this.#heardAt > DEAD_MS)
			this.#lose();
		else
			this.#showLife(now);
	}

	/* A timer that comes late, after a sleep, is not waited for. */
	#countDown(now) {
		if (now >= this.#retryAt)
			this.retryNow();
		else
			this.#handler.state("reconnecting",
			    Math.ceil((this.#retryAt - now) / 1000));
	}

	#showLife(now) {
		if (this.#helloAt === 0)
			this.#handler.state("connecting");
		else if (now - this.#heardAt > STALE_MS)
			this.#handler.state("stale");
		else
			this.#handler.state(this.#ended ? "ended" : "live");
	}

	#hear(frame) {
		this.#heardAt = performance.now();
		if (typeof frame !== "string")
			return;
		for (const line of frame.split("\n")) {
			if (line[0] === "[")
				this.#takeNotice(line);
			else if (line !== "")
				this.#takeRecord(line);
		}
	}

	#takeRecord(line) {
		const record = parse(line);
		const key = keyAfter(this.#previous, record?.seq);

		this.#previous = key;
		if (this.#last !== null && key <= this.#last)
			return;
		this.#last = key;
		this.#isNews = true;
		this.#handler.record(line, record, key);
	}

	#takeNotice(line) {
		const notice = parse(line);
		const told = notice?.[1] ?? {};

		switch (notice?.[0]) {
		case "hello":
			this.#greet(told);
			break;
		case "gap":
			this.#skip(told);
			break;
		case "stats":
			this.#handler.stats(told);
			break;
		case "end":
			this.#ended = true;
			this.#handler.state("ended");
			break;
		default:	/* a ping, or news for a later dashboard */
			break;
		}
	}

	#greet(hello) {
		if (this.#run !== null && hello.run !== this.#run) {
			this.#last = null;
			this.#handler.forget();
		}
		this.#run = hello.run ?? null;
		this.#previous = Number.isSafeInteger(hello.next) ?
		    hello.next - 1 : this.#last ?? 0;
		/* where memory is empty, next is a guess, not where we began */
		if (hello.first <= hello.last)
			this.#last ??= this.#previous;
		this.#helloAt = performance.now();
		this.#handler.hello(hello);
		this.#handler.state("live");
	}

	#skip({from, to}) {
		if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to))
			return;
		this.#last = Math.max(to, this.#last ?? to);
		this.#previous = to;
		this.#handler.gap(from, to);
	}
}

function parse(line) {
	try {
		return JSON.parse(line);
	} catch {
		return null;
	}
}
