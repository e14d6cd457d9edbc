/*
 * JSON as it stands in the line. Numbers beyond 2^53, escapes and the order of
 * members are what somebody may be looking for, so nothing here parses and
 * prints: text goes in and comes out with line breaks added.
 */

const STRING = /"(?:[^"\\]|\\.)*"?/sy;
const SCALAR = /[^\s"{}[\],:]+/y;

function tokenAt(text, at) {
	const first = text[at];

	if ("{}[],:".includes(first))
		return first;
	const pattern = first === '"' ? STRING : SCALAR;
	pattern.lastIndex = at;
	return pattern.exec(text)?.[0] ?? first;
}

function* tokens(text) {
	for (let at = 0; at < text.length;) {
		if (" \t\r\n".includes(text[at])) {
			at++;
			continue;
		}
		const token = tokenAt(text, at);
		yield [token, at];
		at += token.length;
	}
}

/* The text of one member of an object, the last of that name, or null. */
export function memberText(text, name) {
	let depth = 0, expectsName = false, previous = "", start = -1, found = null;

	for (const [token, at] of tokens(text)) {
		if (depth === 1 && (token === "," || token === "}") && start >= 0) {
			found = text.slice(start, at).trim();
			start = -1;
		}
		if (token === "{" || token === "[")
			depth++;
		else if (token === "}" || token === "]")
			depth--;
		if (depth === 1 && token === ":" && expectsName &&
		    nameIs(previous, name))
			start = at + 1;
		expectsName = depth === 1 && (expectsName && token === ":" ? false :
		    token === "{" || token === "," || token[0] === '"' && expectsName);
		previous = token;
	}
	return found;
}

function nameIs(token, name) {
	if (!token.includes("\\"))
		return token === `"${name}"`;
	try {
		return JSON.parse(token) === name;
	} catch {
		return false;
	}
}

/* The JSON text with line breaks and indents; may be cut or no JSON at all. */
export function prettyJson(text) {
	const out = [];
	let depth = 0, previous = "";

	for (const [token] of tokens(text)) {
		const opened = previous === "{" || previous === "[";
		const closes = token === "}" || token === "]";

		if (closes)
			depth = Math.max(0, depth - 1);
		if (closes ? !opened : opened || previous === ",")
			out.push("\n", "  ".repeat(Math.min(depth, 40)));
		out.push(token === ":" ? ": " : token);
		if (token === "{" || token === "[")
			depth++;
		previous = token;
	}
	return out.join("");
}
