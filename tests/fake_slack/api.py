"""The Web API's frame: arguments, tokens, scopes, rates; methods.py has the
methods themselves."""
import asyncio
import json
import time
from dataclasses import dataclass

from aiohttp import web

from . import faults
from .errors import SlackError
from .methods import METHODS

NEVER_AS_PARAMETER = ("apps.connections.open",)


@dataclass
class Token:
    name: str               # "app" or "bot": what the log says
    value: str
    scopes: list
    error: str | None = None    # such as token_revoked


@dataclass
class Call:
    """One request, as the methods see it."""
    fake: object
    request: web.Request
    arguments: dict
    token: Token | None
    warnings: list

    def text(self, name, default=""):
        value = self.arguments.get(name, default)
        return default if value is None else str(value)

    def number(self, name, default):
        try:
            return int(self.arguments.get(name) or default)
        except ValueError:
            raise SlackError("invalid_arguments") from None

    def true(self, name, default=False):
        value = self.arguments.get(name, default)
        return value in (True, 1, "1", "true", "True")

    def json(self, name):
        """An argument that is JSON, itself or in a form's string."""
        value = self.arguments.get(name)
        if isinstance(value, str):
            try:
                return json.loads(value)
            except ValueError:
                raise SlackError("invalid_arguments") from None
        return value

    def needed(self, name):
        value = self.text(name)
        if not value:
            raise SlackError("invalid_arguments", response_metadata={
                "messages": [f"[ERROR] missing required field: {name}"]})
        return value


class Api:
    def __init__(self, fake):
        self.fake = fake

    async def handle(self, request):
        """The handler of /api/METHOD."""
        method = request.match_info["method"]
        began = time.monotonic()
        entry = {"method": method, "verb": request.method, "token": None}
        try:
            response = await self._answer(method, request, entry)
        except (asyncio.CancelledError, ConnectionError):
            self._log(entry, began, status=None)
            raise
        self._log(entry, began, status=response.status)
        return response

    def _log(self, entry, began, status):
        channel = entry.get("arguments", {}).get("channel") or entry.get(
            "arguments", {}).get("channel_id")
        self.fake.limits.count(entry["method"], channel, status,
                               entry.get("error"))
        self.fake.log.add("api", **entry, status=status,
                          seconds=time.monotonic() - began)

    async def _answer(self, method, request, entry):
        arguments, problem, warnings = await read_arguments(request)
        token, via = self._token(method, request, arguments)
        entry |= {"token": token.name if token else via and "unknown",
                  "via": via, "arguments": loggable(arguments)}
        call = Call(self.fake, request, arguments, token, warnings)
        fault = self.fake.faults.take(method)
        if fault is None:
            return self._carry_out(method, call, problem, via, entry)
        entry["fault"] = True
        response = self._carry_out(method, call, problem, via, entry) if (
            fault.get("after")) else None
        spoilt = await faults.suffer(fault, request, response)
        if spoilt is not None:
            entry["error"] = fault.get("error")
            return spoilt
        if response is not None:
            return response
        return self._carry_out(method, call, problem, via, entry)

    def _carry_out(self, method, call, problem, via, entry):
        """Do what is asked for; returns the answer."""
        limited = self.fake.limits.check(method)
        if limited is not None:
            entry["error"] = "ratelimited"
            return limited
        answer = self._call(method, call, problem, via)
        if isinstance(answer, web.Response):
            entry["error"] = "ratelimited"
            return answer
        entry |= {"ok": answer["ok"], "error": answer.get("error")}
        return self._respond(method, answer, call.token, call.warnings)

    def _call(self, method, call, problem, via):
        try:
            if problem:
                raise SlackError(problem)
            self._admit(method, call, via)
            answer = METHODS[method].function(call)
        except SlackError as error:
            return error.answer
        if isinstance(answer, web.Response):
            return answer
        return {"ok": True, **answer}

    def _admit(self, method, call, via):
        """Is the method known, the token good for it, the scope there?"""
        if method not in METHODS:
            raise SlackError("unknown_method", req_method=method)
        about = METHODS[method]
        if about.post_only and call.request.method != "POST":
            raise SlackError("insecure_request")
        token = call.token
        if token is None:
            raise SlackError("invalid_auth" if via else "not_authed")
        if token.error:
            raise SlackError(token.error)
        if token.name not in about.tokens:
            raise SlackError("not_allowed_token_type")
        scopes = about.scopes_for(call)
        if scopes and not set(scopes) & set(token.scopes):
            raise SlackError("missing_scope", needed=scopes[0],
                             provided=",".join(token.scopes))

    def _token(self, method, request, arguments):
        """The token the request has, and where: header or parameter."""
        header = request.headers.get("Authorization", "")
        parameter = arguments.pop("token", None)
        value, via = None, None
        if header.startswith("Bearer "):
            value, via = header[len("Bearer "):], "header"
        elif parameter and method not in NEVER_AS_PARAMETER:
            value, via = parameter, "parameter"
        return self.fake.token_of(value), via

    def _respond(self, method, answer, token, warnings):
        headers = {"x-slack-req-id": "0123456789abcdef", "x-slack-backend":
                   "r", "Referrer-Policy": "no-referrer"}
        if token is not None:
            headers["x-oauth-scopes"] = ",".join(token.scopes)
        if method in METHODS and METHODS[method].scopes:
            headers["x-accepted-oauth-scopes"] = ",".join(
                METHODS[method].scopes)
        if warnings and answer["ok"]:
            answer = {**answer, "warning": ",".join(warnings),
                      "response_metadata": {
                          **answer.get("response_metadata", {}),
                          "warnings": warnings}}
        text = json.dumps(answer)
        if method == "apps.connections.open":
            text = text.replace("/", "\\/")     # as PHP writes it
        return web.Response(text=text, headers=headers,
                            content_type="application/json",
                            charset="utf-8")


def loggable(arguments):
    return {name: value if len(str(value)) < 20000 else "…"
            for name, value in arguments.items()}


async def read_arguments(request):
    """Query, form or JSON: the arguments, what is wrong, and warnings."""
    arguments = dict(request.query)
    if request.method != "POST":
        return arguments, None, []
    kind = request.content_type
    if kind == "application/json":
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError:
            return arguments, "invalid_json", []
        if not isinstance(body, dict):
            return arguments, "json_not_object", []
        warnings = [] if request.charset else ["missing_charset"]
        return arguments | body, None, warnings
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        arguments |= dict(await request.post())
        return arguments, None, (["superfluous_charset"]
                                 if request.charset else [])
    if await request.read():
        return arguments, "invalid_post_type", []
    return arguments, None, []
