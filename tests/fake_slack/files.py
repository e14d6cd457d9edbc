"""Files: what the workspace knows of them, their download, their upload.

A file's `conduct` says what its download does:
  login: true (302 to the login page) or "direct" (the page at once)
  fail: [{"status", "retry_after", "body", …}, …]: one answer each, then fine
  rate: bytes a second      endless: true      cut: end after so many bytes
  elsewhere: true (302 to another host)        delay: seconds before it begins
  mimetype: another one     unsized: true (no Content-Length)
  loop: true (302 to itself)
"""
import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote

from aiohttp import web

from . import faults
from .workspace import DOMAIN, TEAM

CHUNK = 65536
STUB = {"mode": "file_access", "file_access": "check_file_info",
        "created": 0, "timestamp": 0, "user": ""}
PRETTY = {"text/plain": ("text", "Plain Text"), "image/png": ("png", "PNG"),
          "application/json": ("json", "JSON"),
          "application/zip": ("zip", "Zip"), "text/html": ("html", "HTML")}


@dataclass
class File:
    id: str
    about: dict                 # the whole file object
    content: bytes = b""
    conduct: dict = field(default_factory=dict)
    stub: dict | None = None    # what an event shows of it instead
    shared: bool = True

    def in_event(self):
        return dict(self.stub or self.about)

    def posted(self):
        """What a test wants to know of a file the bot has posted."""
        about = {"id": self.id, "name": self.about.get("name"),
                 "title": self.about.get("title"), "text": None,
                 "bytes": len(self.content)}
        try:
            return about | {"text": self.content.decode()}
        except UnicodeDecodeError:
            return about


class Files:
    def __init__(self, fake):
        self.fake = fake
        self.files = {}
        self.uploads = {}       # what upload URLs wait for, by their end
        self.elsewhere_url = ""

    # What there is

    def add(self, name, content, user="U0HUMAN001", mode="hosted", id=None,
            stub=False, conduct=None, mimetype="text/plain", **more):
        """A new file. mode: hosted, snippet, external, tombstone,
        hidden_by_limit or access_denied; stub: as of Slack Connect."""
        id = id or self.fake.workspace.new_id("F")
        about = self._describe(id, name, content, user, mimetype) | more
        file = File(id, about, content, conduct or {})
        if mode == "external":
            self._make_external(about)
        elif mode in ("tombstone", "hidden_by_limit"):
            file.about = {"id": id, "mode": mode, "name": name} if (
                mode == "hidden_by_limit") else {"id": id, "mode": mode}
        elif mode == "access_denied":
            file.stub = {"id": id, **STUB, "file_access": "access_denied"}
        else:
            about["mode"] = mode
        if stub:
            file.stub = {"id": id, **STUB}
        self.files[id] = file
        return file

    def _describe(self, id, name, content, user, mimetype):
        created = int(float(self.fake.workspace.new_ts()))
        kind, pretty = PRETTY.get(mimetype, ("binary", "Binary"))
        path = f"{self.fake.base_url}/files-pri/{TEAM}-{id}"
        end = quote(name or "file", safe="")
        return {
            "id": id, "created": created, "timestamp": created, "name": name,
            "title": name, "mimetype": mimetype, "filetype": kind,
            "pretty_type": pretty, "user": user, "user_team": TEAM,
            "editable": False, "size": len(content), "mode": "hosted",
            "is_external": False, "external_type": "", "is_public": True,
            "public_url_shared": False, "display_as_bot": False,
            "username": "", "url_private": f"{path}/{end}",
            "url_private_download": f"{path}/download/{end}",
            "permalink": f"https://{DOMAIN}.slack.com/files/{user}/{id}/{end}",
            "has_rich_preview": False, "file_access": "visible"}

    def _make_external(self, about):
        url = f"{self.elsewhere_url}/elsewhere/{about['id']}"
        about |= {"mode": "external", "is_external": True,
                  "external_type": "gdrive", "external_url": url,
                  "url_private": url}
        del about["url_private_download"]

    # Download

    async def download(self, request):
        """The handler of /files-pri/TEAM-FILE/…"""
        id = request.match_info["id"].partition("-")[2]
        file = self.files.get(id)
        entry = {"file": id, "token": self._token_name(request),
                 "range": request.headers.get("Range")}
        fault = self.fake.faults.take("download")
        response = None
        if fault is not None:
            response = await faults.suffer(fault, request)
        if response is None:
            response = await self._answer(file, request, entry)
        else:
            self._log(entry, response.status)
        return response

    def _log(self, entry, status, **more):
        self.fake.log.add("download", **entry, status=status, **more)

    def _token_name(self, request):
        header = request.headers.get("Authorization")
        if header is None:
            return None
        token = self.fake.token_of(header.removeprefix("Bearer "))
        return token.name if token else "unknown"

    def _may(self, request):
        header = request.headers.get("Authorization", "")
        token = self.fake.token_of(header.removeprefix("Bearer "))
        return (token is not None and token.name == "bot"
                and not token.error and "files:read" in token.scopes)

    async def _answer(self, file, request, entry):
        conduct = file.conduct if file else {}
        if conduct.get("delay"):
            await asyncio.sleep(conduct["delay"])
        if file is None or not self._may(request) or conduct.get("login"):
            return self._to_login(request, conduct, entry)
        if conduct.get("fail"):
            failure = conduct["fail"].pop(0)
            self._log(entry, failure.get("status", 503))
            return faults.answer({"status": 503, "body": "empty", **failure})
        target = self._redirect(file, request)
        if target:
            self._log(entry, 302, to=target)
            return web.Response(status=302, headers={"Location": target})
        return await self._stream(file, request, entry)

    def _to_login(self, request, conduct, entry):
        """The trap: no 401, but 200 and a page in the end."""
        if conduct.get("login") == "direct":
            self._log(entry, 200, login=True)
            return web.Response(text=faults.LOGIN_PAGE,
                                content_type="text/html")
        self._log(entry, 302, login=True)
        target = f"/?redir={quote(request.path, safe='')}"
        return web.Response(status=302, headers={
            "Location": f"{request.scheme}://{request.host}{target}"})

    def _redirect(self, file, request):
        if file.conduct.get("loop"):
            return str(request.url)
        if file.conduct.get("elsewhere"):
            return f"{self.elsewhere_url}/elsewhere/{file.id}"
        return None

    async def _stream(self, file, request, entry):
        conduct = file.conduct
        response = web.StreamResponse()
        response.content_type = conduct.get(
            "mimetype", file.about.get("mimetype") or
            "application/octet-stream")
        if not conduct.get("unsized") and not conduct.get("endless"):
            response.content_length = len(file.content)
        await response.prepare(request)
        sent = 0
        try:
            async for part in self._parts(file):
                await response.write(part)
                sent += len(part)
            if conduct.get("cut") is not None:
                request.transport.abort()
                raise ConnectionResetError
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self._log(entry, 200, bytes=sent, aborted=True)
            raise
        self._log(entry, 200, bytes=sent, aborted=False)
        return response

    async def _parts(self, file):
        """The content in pieces, at the pace that is set."""
        conduct, at = file.conduct, 0
        rate = conduct.get("rate")
        content = file.content[:conduct.get("cut")]
        step = min(CHUNK, max(1, int(rate / 10))) if rate else CHUNK
        while at < len(content) or conduct.get("endless"):
            yield content[at:at + step] or b"endless " * (step // 8 + 1)
            at += step
            await asyncio.sleep(step / rate if rate else 0)

    async def login(self, request):
        """The workspace's front page."""
        self.fake.log.add("login_page", authorization=bool(
            request.headers.get("Authorization")))
        return web.Response(text=faults.LOGIN_PAGE, content_type="text/html")

    async def elsewhere(self, request):
        """Another host: it should never see a token."""
        seen = "Authorization" in request.headers
        self.fake.log.add("elsewhere", path=request.path, authorization=seen)
        if seen:
            self.fake.log.error("token sent to another host")
        file = self.files.get(request.match_info["id"])
        return web.Response(body=file.content if file else b"",
                            content_type="text/plain")

    # Upload

    def new_upload(self, request, filename, length):
        file = self.add(filename, b"", user="U0ULTRON01",
                        mimetype="text/plain", size=length)
        file.shared = False
        key = secrets.token_urlsafe(24)
        self.uploads[key] = (file, length)
        url = f"{request.scheme}://{request.host}/upload/v1/{key}"
        return url, file

    async def upload(self, request):
        """The handler of an upload URL: raw bytes, or a form with a file."""
        fault = self.fake.faults.take("upload")
        body = await self._body(request)
        if fault is None:
            return self._take_upload(request, body)
        response = self._take_upload(request, body) if (
            fault.get("after")) else None
        self.fake.log.add("upload_fault", after=bool(fault.get("after")))
        spoilt = await faults.suffer(fault, request, response)
        for answer in (spoilt, response):
            if answer is not None:
                return answer
        return self._take_upload(request, body)

    def _take_upload(self, request, body):
        file, length = self.uploads.pop(request.match_info["key"],
                                        (None, 0))
        if file is None:
            self.fake.log.error("upload URL unknown or used")
            return web.Response(status=404, text="Not Found")
        authorized = "Authorization" in request.headers
        if authorized:
            self.fake.log.error("token sent to an upload URL")
        self.fake.log.add(
            "upload", status=200 if len(body) == length else 400,
            file=file.id, bytes=len(body), authorization=authorized,
            sha256=hashlib.sha256(body).hexdigest())
        if len(body) != length:
            self.fake.log.error("upload of another length", said=length,
                                came=len(body))
            return web.Response(status=400, text="Bad Request")
        file.content = body
        return web.Response(text=f"OK - {len(body)}")

    async def _body(self, request):
        if request.content_type != "multipart/form-data":
            return await request.read()
        for part in (await request.post()).values():
            if isinstance(part, web.FileField):
                return part.file.read()
            return part.encode() if isinstance(part, str) else part
        return b""


def routes(files):
    return [web.get("/files-pri/{id}/download/{name}", files.download),
            web.get("/files-pri/{id}/{name}", files.download),
            web.post("/upload/v1/{key}", files.upload),
            web.get("/", files.login)]
