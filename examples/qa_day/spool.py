"""The spool: contents by hash, links by file id, and Slack's file objects."""
import hashlib
import os
import pathlib
import shutil

from .slack import DAY, PEOPLE, TEAM
from .variety import generator

# by the end of the name: mimetype, filetype, pretty_type
TYPES = {
    ".txt": ("text/plain", "text", "Plain Text"),
    ".log": ("text/plain", "text", "Plain Text"),
    ".crash": ("text/plain", "text", "Plain Text"),
    ".md": ("text/markdown", "markdown", "Markdown"),
    ".csv": ("text/csv", "csv", "CSV"),
    ".json": ("application/json", "json", "JSON"),
    ".har": ("application/json", "json", "JSON"),
    ".xml": ("application/xml", "xml", "XML"),
    ".gz": ("application/gzip", "gzip", "Gzip"),
    ".zip": ("application/zip", "zip", "Zip"),
    ".png": ("image/png", "png", "PNG"),
    ".mp4": ("video/mp4", "mp4", "MPEG 4 Video"),
    ".pdf": ("application/pdf", "pdf", "PDF"),
}

ID_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def file_id(name):
    return "F0" + "".join(generator("file " + name).choices(ID_LETTERS, k=9))


def file_object(name, size, who, mode="hosted", **more):
    """What Slack says of a file in a message's files[]."""
    mimetype, filetype, pretty = next(
        kind for end, kind in TYPES.items() if name.lower().endswith(end))
    identifier = more.pop("id", None) or file_id(name)
    created = int(DAY.timestamp()) + 7 * 3600
    base = f"https://files.slack.com/files-pri/{TEAM}-{identifier}"
    url_name = "".join(letter if letter.isascii() and (letter.isalnum() or
                       letter in "._-") else "_" for letter in name)
    return {
        "id": identifier, "created": created, "timestamp": created,
        "name": name, "title": more.pop("title", name), "mimetype": mimetype,
        "filetype": filetype, "pretty_type": pretty, "user": PEOPLE[who][0],
        "user_team": TEAM, "editable": mode == "snippet", "size": size,
        "mode": mode, "is_external": False, "external_type": "",
        "is_public": True, "public_url_shared": False,
        "display_as_bot": False, "username": "",
        "url_private": f"{base}/{url_name}",
        "url_private_download": f"{base}/download/{url_name}",
        "permalink": f"https://harbour-qa.slack.com/files/{PEOPLE[who][0]}/"
                     f"{identifier}/{url_name}",
        "file_access": "visible", **more}


def snippet_members(content):
    """A snippet shows its first lines in the message itself."""
    lines = content.decode().splitlines()
    return {"preview": "\n".join(lines[:5]), "lines": len(lines),
            "lines_more": max(0, len(lines) - 5),
            "preview_is_truncated": len(lines) > 5}


class Spool:
    """Writes the folder as attach-fetch would have left it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "ids").mkdir(parents=True)

    def file(self, name, content, who, mode="hosted", **more):
        """Keep the content; returns the file object that refers to it."""
        if mode == "snippet":
            more = {**snippet_members(content), **more}
        described = file_object(name, len(content), who, mode, **more)
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / digest).write_bytes(content)
        os.symlink(f"../{digest}", self.folder / "ids" / described["id"])
        return described
