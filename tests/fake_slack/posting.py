"""The methods that change something: posts, channels, uploads."""
import asyncio
import json
import re

from .errors import SlackError
from .methods import joined_channel, method, visible_channel
from .workspace import APP, BOT, BOT_USER, DOMAIN, TEAM

CONVERSATION = re.compile(r"^[CGDZ][A-Z0-9]{8,}$")
BLOCKS_MAX, ATTACHMENTS_MAX, BLOCKS_TEXT_MAX = 50, 100, 13200
SNIPPET_MAX = 1 << 20
EVENT_TYPE = re.compile(r"^[A-Za-z0-9_]{1,255}$")
METADATA_MAX = 8000


def by_the_bot(fake, **members):
    bot = fake.workspace.bots[BOT]
    profile = {"id": BOT, "app_id": APP, "user_id": BOT_USER, "deleted":
               False, "name": bot["name"], "team_id": TEAM, "icons": {}}
    return {"type": "message", "user": BOT_USER, "bot_id": BOT,
            "app_id": APP, "team": TEAM, "bot_profile": profile, **members}


def target_channel(call):
    """The channel to post to: an ID, a name, or a user's."""
    workspace = call.fake.workspace
    name = call.text("channel")
    if not name:
        raise SlackError("channel_not_found")
    if name in workspace.users:
        return workspace.open_im(name)
    for channel in workspace.channels.values():
        if channel.name and name in (channel.name, f"#{channel.name}"):
            call.arguments["channel"] = channel.id
    channel = visible_channel(call)
    public = (channel.type == "channel"
              and "chat:write.public" in call.token.scopes)
    if BOT_USER not in channel.members and not public:
        raise SlackError("not_in_channel")
    check_open(channel)
    return channel


def check_open(channel):
    """May anything be posted there?"""
    if channel.archived:
        raise SlackError("is_archived")
    if channel.refuses:
        raise SlackError(channel.refuses)


@method("chat.postMessage", "chat:write")
def chat_post_message(call):
    content = read_content(call)
    channel = target_channel(call)
    thread = call.text("thread_ts")
    if thread:
        content |= thread_members(call, channel, thread)
    limited = call.fake.limits.check_post(channel.id)
    if limited is not None:
        return limited
    message = by_the_bot(call.fake, ts=call.fake.workspace.new_ts(),
                         **content)
    call.fake.note_post(channel.id, message)
    call.fake.tell(channel.id, message)
    return {"channel": channel.id, "ts": message["ts"], "message": message}


def thread_members(call, channel, thread):
    parent = channel.messages.get(thread)
    if parent is None:
        raise SlackError("thread_not_found")
    members = {"thread_ts": parent.get("thread_ts", thread),
               "parent_user_id": parent.get("user")}
    if call.true("reply_broadcast"):
        members |= {"subtype": "thread_broadcast", "root": dict(parent)}
    return members


def read_content(call):
    """text, blocks and attachments of a post, as they are allowed."""
    text, markdown = call.text("text"), call.text("markdown_text")
    blocks, attachments = call.json("blocks"), call.json("attachments")
    if markdown and (text or blocks):
        raise SlackError("markdown_text_conflict")
    if not (text or markdown or blocks or attachments):
        raise SlackError("no_text")
    if len(text) > call.fake.settings.text_limit or len(markdown) > 12000:
        raise SlackError("msg_too_long")
    check_blocks(blocks)
    if attachments and len(attachments) > ATTACHMENTS_MAX:
        raise SlackError("too_many_attachments")
    content = {"text": text or markdown, **read_metadata(call)}
    if blocks:
        content["blocks"] = blocks
    if attachments:
        content["attachments"] = attachments
    if call.text("username"):
        content |= {"username": call.text("username"),
                    "subtype": "bot_message"}
    return content


def read_metadata(call):
    """{"event_type", "event_payload"}: what an app keeps beside a message."""
    given = call.arguments.get("metadata")
    if given in (None, ""):
        return {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            raise SlackError("invalid_metadata_format") from None
    if not isinstance(given, dict):
        raise SlackError("invalid_metadata_format")
    kind, payload = given.get("event_type"), given.get("event_payload")
    if not (isinstance(kind, str) and EVENT_TYPE.match(kind)
            and isinstance(payload, dict)):
        raise SlackError("invalid_metadata_schema")
    if len(json.dumps(given)) > METADATA_MAX:
        raise SlackError("metadata_too_large")
    return {"metadata": {"event_type": kind, "event_payload": payload}}


def check_blocks(blocks):
    if blocks is None:
        return
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    if len(blocks) > BLOCKS_MAX:
        raise SlackError("invalid_blocks")
    texts = [len(str((block.get("text") or {}).get("text", "")))
             for block in blocks if isinstance(block.get("text"), dict)]
    if any(size > 3000 for size in texts):
        raise SlackError("invalid_blocks")
    if sum(texts) > BLOCKS_TEXT_MAX:
        raise SlackError("msg_blocks_too_long")


@method("chat.getPermalink")
def chat_get_permalink(call):
    channel, ts = visible_channel(call), call.needed("message_ts")
    message = channel.messages.get(ts)
    if message is None:
        raise SlackError("message_not_found")
    link = (f"https://{DOMAIN}.slack.com/archives/{channel.id}/"
            f"p{ts.replace('.', '')}")
    thread = message.get("thread_ts", ts)
    if thread != ts:
        link += f"?thread_ts={thread}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


@method("conversations.open", "im:write", "mpim:write")
def conversations_open(call):
    workspace = call.fake.workspace
    if call.text("channel"):
        return {"channel": visible_channel(call).describe()}
    users = [user for user in call.text("users").split(",") if user]
    if not users:
        raise SlackError("users_list_not_supplied")
    if len(users) > 8:
        raise SlackError("too_many_users")
    for user in users:
        if user not in workspace.users:
            raise SlackError("user_not_found")
        if workspace.users[user]["deleted"]:
            raise SlackError("user_disabled")
    if len(users) > 1:
        channel = workspace.add_channel(
            workspace.new_id("C"), "mpdm-" + "--".join(users), type="mpim",
            members=[*users, BOT_USER])
        return {"channel": channel.describe()}
    channel = workspace.open_im(users[0])
    if call.true("return_im"):
        return {"channel": channel.describe()}
    return {"channel": {"id": channel.id}}


@method("conversations.join", "channels:join")
def conversations_join(call):
    channel = visible_channel(call)
    if channel.type != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    if channel.archived:
        raise SlackError("is_archived")
    if BOT_USER in channel.members:
        call.warnings.append("already_in_channel")
    channel.members.add(BOT_USER)
    return {"channel": channel.describe()}


@method("files.info", "files:read")
def files_info(call):
    file = call.fake.files.files.get(call.needed("file"))
    if file is None or (file.stub or {}).get("file_access") in (
            "access_denied", "file_not_found"):
        raise SlackError("file_not_found")
    if file.about.get("mode") == "tombstone":
        raise SlackError("file_deleted")
    return {"file": file.about, "comments": [],
            "response_metadata": {"next_cursor": ""}}


@method("files.getUploadURLExternal", "files:write")
def files_get_upload_url_external(call):
    filename, length = call.text("filename"), call.number("length", 0)
    if not filename or length < 1:
        raise SlackError("missing_argument")
    if call.text("snippet_type") and length > SNIPPET_MAX:
        raise SlackError("snippet_too_large")
    if length > call.fake.settings.upload_limit:
        raise SlackError("file_upload_size_restricted")
    url, file = call.fake.files.new_upload(call.request, filename, length)
    return {"upload_url": url, "file_id": file.id}


@method("files.completeUploadExternal", "files:write")
def files_complete_upload_external(call):
    wanted = call.json("files")
    if not isinstance(wanted, list) or not wanted:
        raise SlackError("invalid_arguments")
    files = [uploaded_file(call, one) for one in wanted]
    channels = [share_target(call, name) for name in share_names(call)]
    for channel in channels:
        limited = call.fake.limits.check_post(channel.id, of_workspace=False)
        if limited is not None:
            return limited
    for file, one in zip(files, wanted):
        file.about["title"] = one.get("title") or file.about["name"]
        file.shared = True
    loop = asyncio.get_running_loop()
    for channel in channels:    # Slack shares a moment later
        loop.call_later(call.fake.settings.share_delay, share, call, files,
                        channel)
    return {"files": [{"id": file.id, "title": file.about["title"]}
                      for file in files]}


def uploaded_file(call, one):
    file = call.fake.files.files.get(
        one.get("id") if isinstance(one, dict) else None)
    if file is None or not file.content or file.shared:
        raise SlackError("file_not_found")
    return file


def share_names(call):
    if call.text("channel_id"):
        return [call.text("channel_id")]
    names = [name for name in call.text("channels").split(",") if name]
    if len(names) > 100:
        raise SlackError("channels_limit_exceeded")
    return names


def share_target(call, name):
    if not CONVERSATION.match(name):
        raise SlackError("invalid_arguments", response_metadata={
            "messages": ["[ERROR] failed to match pattern: "
                         f"{CONVERSATION.pattern} [json-pointer:"
                         "/channel_id]"]})
    call.arguments["channel"] = name
    channel = joined_channel(call)
    check_open(channel)
    return channel


def share(call, files, channel):
    """The message that shows uploaded files, by the bot."""
    fake, ts = call.fake, call.fake.workspace.new_ts()
    members = {"subtype": "file_share", "ts": ts, "upload": True,
               "text": call.text("initial_comment"), "display_as_bot": False}
    thread = call.text("thread_ts")
    if thread in channel.messages:
        members["thread_ts"] = thread
    for file in files:
        place = "public" if channel.type == "channel" else "private"
        shares = file.about.setdefault("shares", {})
        shares.setdefault(place, {}).setdefault(channel.id, []).append(
            {"ts": ts, "channel_name": channel.name, "team_id": TEAM})
    message = by_the_bot(fake, files=[dict(f.about) for f in files],
                         **members)
    fake.note_post(channel.id, message, files)
    fake.tell(channel.id, message)


@method("rtm.connect")
@method("rtm.start")
def rtm_connect(call):
    """For classic apps only."""
    raise SlackError("not_allowed_token_type")


@method("files.upload")
def files_upload(call):
    raise SlackError("method_deprecated")


