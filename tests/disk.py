"""A small disk that a test can fill."""
import os
import pathlib
import subprocess

import pytest


class Disk:
    """A small disk, in a mount namespace of its own."""

    def __init__(self, path, size):
        self.path = path
        self.children = []
        self.enter = ["nsenter", "-m"]
        mount = ("mount -t tmpfs -o size=%d,mode=700 tmpfs \"$0\" && echo up"
                 " && exec sleep 600" % size)
        for how in (["-m"], ["-rm"]):
            self.holder = subprocess.Popen(
                ["unshare", *how, "sh", "-c", mount, path],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if self.holder.stdout.readline() == b"up\n":
                break
            self.stop()
        else:
            pytest.skip("no mount namespace can be made here")
        if how == ["-rm"]:
            self.enter += ["-U", "--preserve-credentials"]
        self.enter += ["-t", str(self.holder.pid)]
        self.root = pathlib.Path(f"/proc/{self.holder.pid}/root{path}")

    def fill(self, leave=0):
        disk = os.statvfs(self.root)
        with open(self.root / "filler", "ab") as filler:
            filler.write(bytes(disk.f_bavail * disk.f_frsize - leave))

    def clear(self):
        (self.root / "filler").unlink()

    def start(self, command, env):
        """Start it so that it sees the disk; it goes with the disk."""
        child = subprocess.Popen(
            [*self.enter, *map(str, command)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **env})
        self.children.append(child)
        return child

    def stop(self):
        for child in [*self.children, self.holder]:
            if child.poll() is None:
                child.kill()
                child.communicate()
