"""The methods of the Web API. Each takes a call and returns its answer's
members, or raises the error."""
import copy
import operator
from dataclasses import dataclass
from typing import Callable

from .errors import SlackError
from .workspace import (APP, BOT, BOT_USER, DOMAIN, TEAM, decode_cursor,
                        encode_cursor)

METHODS = {}
HISTORY = {"channel": "channels:history", "group": "groups:history",
           "im": "im:history", "mpim": "mpim:history"}
READ = {"channel": "channels:read", "group": "groups:read",
        "im": "im:read", "mpim": "mpim:read"}
LIST_TYPES = {"public_channel": "channel", "private_channel": "group",
              "im": "im", "mpim": "mpim"}


@dataclass
class Method:
    function: Callable
    scopes: tuple           # any of them is enough
    tokens: tuple
    post_only: bool
    by_channel: dict | None     # the scope by the channel's type

    def scopes_for(self, call):
        channel = call.fake.workspace.channels.get(call.text("channel"))
        if self.by_channel and channel is not None:
            return (self.by_channel[channel.type],)
        return self.scopes


def method(name, *scopes, tokens=("bot",), post_only=False, by_channel=None):
    def register(function):
        METHODS[name] = Method(function, scopes, tokens, post_only,
                               by_channel)
        return function
    return register


@method("apps.connections.open", "connections:write", tokens=("app",),
        post_only=True)
def apps_connections_open(call):
    mode = call.fake.sockets
    if not mode.enabled:
        raise SlackError(mode.settings.disabled_error)
    return {"url": mode.new_url(call.request)}


@method("auth.test", tokens=("bot", "app"))
def auth_test(call):
    answer = {"url": f"https://{DOMAIN}.slack.com/", "team": "Harbour QA",
              "team_id": TEAM}
    if call.token.name == "app":
        return {"app_name": "Ultron", "app_id": APP}
    return answer | {"user": "ultron", "user_id": BOT_USER, "bot_id": BOT,
                     "is_enterprise_install": False}


@method("users.info", "users:read")
def users_info(call):
    user = call.fake.workspace.users.get(call.needed("user"))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": user}


@method("bots.info", "users:read")
def bots_info(call):
    bot = call.fake.workspace.bots.get(call.text("bot"))
    if bot is None:
        raise SlackError("bot_not_found")
    return {"bot": bot}


def visible_channel(call):
    """The channel, if the bot may know of it."""
    channel = call.fake.workspace.channels.get(call.needed("channel"))
    if channel is None or (channel.type != "channel"
                           and BOT_USER not in channel.members):
        raise SlackError("channel_not_found")
    return channel


def joined_channel(call):
    channel = visible_channel(call)
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    return channel


@method("conversations.info", "channels:read", by_channel=READ)
def conversations_info(call):
    return {"channel": visible_channel(call).describe()}


@method("conversations.list", *READ.values())
def conversations_list(call):
    return list_channels(call, listed=False, joined_only=False)


@method("users.conversations", *READ.values())
def users_conversations(call):
    return list_channels(call, listed=True, joined_only=True)


def list_channels(call, listed, joined_only):
    """A page; archived ones are taken out after the paging, as Slack does."""
    types = call.text("types", "public_channel").split(",")
    if not set(types) <= set(LIST_TYPES):
        raise SlackError("invalid_types")
    kinds = [LIST_TYPES[name] for name in types]
    found = [c for c in call.fake.workspace.channels.values()
             if c.type in kinds and (BOT_USER in c.members or not (
                 joined_only or c.type != "channel"))]
    first = page_start(call, "offset")
    limit = page_limit(call, 100)
    page = found[first:first + limit]
    if call.true("exclude_archived"):
        page = [c for c in page if not c.archived]
    more = first + limit < len(found)
    cursor = encode_cursor(f"offset:{first + limit}") if more else ""
    return {"channels": [c.describe(listed) for c in page],
            "response_metadata": {"next_cursor": cursor}}


def page_start(call, word):
    """The number in the cursor, 0 where there is none."""
    cursor = call.text("cursor")
    if not cursor:
        return 0
    found, _, number = (decode_cursor(cursor) or "").partition(":")
    if found != word or not number.isdigit():
        raise SlackError("invalid_cursor")
    return int(number)


def page_limit(call, default):
    limit = call.number("limit", default)
    if not 0 < limit <= 1000:
        raise SlackError("invalid_limit")
    return min(limit, call.fake.settings.history_limit or limit)


def in_window(call, messages):
    """Those between oldest and latest."""
    oldest = call.text("oldest", "0") or "0"
    latest = call.text("latest") or None
    inclusive = call.true("inclusive")

    def fits(message):
        ts = as_number(message["ts"])
        low, high = as_number(oldest), latest and as_number(latest)
        if ts == low or ts == high:
            return inclusive
        return ts > low and (high is None or ts < high)
    return [message for message in messages if fits(message)]


def as_number(ts):
    """A ts in microseconds: text of whatever precision, without rounding."""
    seconds, _, rest = str(ts).partition(".")
    try:
        return int(seconds) * 1000000 + int(rest.ljust(6, "0")[:6])
    except ValueError:
        raise SlackError("invalid_ts_oldest") from None


def after_cursor(call, word, messages, is_left):
    """What the cursor leaves of the messages."""
    cursor = call.text("cursor")
    if not cursor:
        return messages
    found, _, ts = (decode_cursor(cursor) or "").partition(":")
    if found != f"{word}{call.fake.cursor_age}":
        raise SlackError("invalid_cursor")
    return [m for m in messages if is_left(as_number(m["ts"]),
                                           as_number(ts))]


def shown(call, messages):
    """Copies of them; what an app put beside a message only if asked for."""
    messages = copy.deepcopy(messages)
    if not call.true("include_all_metadata"):
        for message in messages:
            message.get("metadata", {}).pop("event_payload", None)
    return messages


def page_of(call, word, messages, limit):
    page, more = messages[:limit], len(messages) > limit
    answer = {"messages": shown(call, page), "has_more": more}
    if more:
        cursor = encode_cursor(f"{word}{call.fake.cursor_age}:"
                               f"{messages[limit]['ts']}")
        answer["response_metadata"] = {"next_cursor": cursor}
    return answer


@method("conversations.history", *HISTORY.values(), by_channel=HISTORY)
def conversations_history(call):
    """Newest first, within a page at least: see --from-oldest."""
    channel = joined_channel(call)
    messages = list(call.fake.workspace.history(channel.id))
    messages = in_window(call, messages)
    forward = (call.fake.settings.from_oldest and call.text("oldest")
               and not call.text("latest"))
    if not forward:
        messages.reverse()
    messages = after_cursor(call, "next_ts", messages,
                            operator.ge if forward else operator.le)
    answer = page_of(call, "next_ts", messages, page_limit(call, 100))
    if forward:
        answer["messages"].reverse()
    return {**answer, "pin_count": 0, "channel_actions_ts": None,
            "channel_actions_count": 0}


@method("conversations.replies", *HISTORY.values(), by_channel=HISTORY)
def conversations_replies(call):
    """Oldest first; the parent is the first of every page."""
    channel = joined_channel(call)
    thread = call.fake.workspace.thread(channel.id, call.needed("ts"))
    if thread is None:
        raise SlackError("thread_not_found")
    parent, replies = thread[0], in_window(call, thread[1:])
    replies = after_cursor(call, "thread_ts", replies, operator.ge)
    limit = page_limit(call, 1000)
    answer = page_of(call, "thread_ts", replies, max(1, limit - 1))
    answer["messages"][:0] = shown(call, [parent])
    return answer
