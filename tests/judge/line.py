"""The pipeline under torment: run.sh, its processes, and what comes out.

Each start of run.sh has a file of its own for what it wrote, a Segment, so
that the oracle knows what came after what kind of end.
"""
import asyncio
import contextlib
import dataclasses
import os
import pathlib
import signal
import time

from events import find_id

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STAGES = ("attach-fetch", "slack-bot", "scanner", "classifier", "ws-broadcast",
          "slack-send", "stats")
NAMES = ("slack-reader", *STAGES, *(f"keep-{stage}" for stage in STAGES))
MARKER = "ULTRON_JUDGE"         # in the environment of all that is ours
BLOCK = 1 << 20
RESTART_SECONDS = 0.2           # when run.sh ended though nobody asked it to
END_SECONDS = 30


@dataclasses.dataclass
class Segment:
    """What one start of run.sh wrote."""
    path: pathlib.Path
    ended: str = ""             # "clean" or "killed" or "by itself"
    status: int | None = None
    restarts: int = 0           # of the whole line, by run.sh


class Line:
    def __init__(self, folder, state, command, environment):
        self.folder, self.state = folder, state
        self.command = command
        self.marker = f"{os.getpid()}-{time.time_ns()}"
        self.environment = {**environment, MARKER: self.marker}
        self.segments = []
        self.process = None
        self.failure = asyncio.get_running_loop().create_future()
        self.unasked_ends = []      # what run.sh was not to do
        self._is_end_wanted = True
        self._is_over = False
        self._supervisor = None
        self._waiting = {}          # futures by id, for what is to come out
        self._reading = None        # descriptor
        self._over = None           # future: the end of what it wrote
        self._rest = b""
        self._file = None
        self._is_paused = False

    @property
    def log_path(self):
        return self.folder / "log"

    # Starts and ends

    async def start(self):
        await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise())

    async def _spawn(self):
        segment = Segment(
            self.folder / f"out-{len(self.segments) + 1:04}.ndjson")
        self.segments.append(segment)
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        try:
            with open(self.log_path, "ab") as log:
                log.write(b"--- start %d\n" % len(self.segments))
                log.flush()
                self.process = await asyncio.create_subprocess_exec(
                    *map(str, self.command), cwd=ROOT,
                    stdin=asyncio.subprocess.DEVNULL, stdout=write_end,
                    stderr=log, env=self.environment, start_new_session=True)
        finally:
            os.close(write_end)
        self._is_end_wanted = False
        self._listen(read_end, segment)

    async def _supervise(self):
        """As the machine's own supervisor: what ends is started again."""
        while True:
            status = await self.process.wait()
            segment = self.segments[-1]
            segment.status = status
            if not self._is_end_wanted:
                segment.ended = "by itself"
                self.unasked_ends.append((time.monotonic(), status))
                await asyncio.sleep(RESTART_SECONDS)
            await self._hear_end()
            if self._is_over:
                return
            await self._spawn()

    async def stop(self, seconds=END_SECONDS, again=True):
        """Ask it to end; returns its status. Then it is started again."""
        self._is_end_wanted, self._is_over = True, not again
        process, segment = self.process, self.segments[-1]
        segment.ended = "clean"
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(process.wait(), seconds)
        except asyncio.TimeoutError:
            segment.ended = "killed"
            self.kill_all()
            return None
        if status != 0:
            segment.ended = "killed"
        if not again:
            await self._supervisor
        return status

    def kill_run(self):
        """Only the shell; the others have to notice."""
        self._is_end_wanted = True
        self.segments[-1].ended = "killed"
        self._signal(self.process.pid, signal.SIGKILL)

    def kill_all(self):
        """As in a power cut. Returns when nobody is left."""
        self._is_end_wanted = True
        self.segments[-1].ended = "killed"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while (pids := self.find_all()) and time.monotonic() < end:
            for pid in pids:
                self._signal(pid, signal.SIGKILL)
            time.sleep(0.002)

    async def end(self):
        """Whatever happens: nobody is left behind."""
        if self._supervisor is not None:
            self._supervisor.cancel()
        if self.process is not None:
            self.kill_all()
            await self.process.wait()
        self._close()

    # Processes

    @staticmethod
    def _signal(pid, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def find_all(self):
        """Every process that has our marker, whoever its parent is."""
        wanted = f"{MARKER}={self.marker}".encode()
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (path / "environ").read_bytes() and \
                        not is_dead(path):
                    found.append(int(path.name))
        return found

    def pid(self, name):
        """Of slack-reader, a stage, a keep ("keep-scanner") or run.sh; None
        where it does not live now."""
        if name == "run.sh":
            return self.process.pid
        running = self.state / "running"
        try:
            if name in STAGES:
                text = (running / f"{name}.status").read_text().split("\t")[1]
            else:
                text = (running / f"{name}.pid").read_text()
            pid = int(text)
            path = pathlib.Path(f"/proc/{pid}")
            is_ours = self.marker.encode() in (path / "environ").read_bytes()
        except (OSError, ValueError, IndexError):
            return None
        return pid if pid > 0 and is_ours and not is_dead(path) else None

    def send(self, name, number):
        """Signal a process; returns its pid, or None where it is not there."""
        pid = self.pid(name)
        if pid is not None:
            self._signal(pid, number)
        return pid

    # What comes out

    def expect(self, event_id):
        """A future that is done when that id comes out."""
        return self._waiting.setdefault(
            event_id, asyncio.get_running_loop().create_future())

    def forget(self, event_id):
        self._waiting.pop(event_id, None)

    def pause_reading(self):
        self._is_paused = True
        if self._reading is not None:
            asyncio.get_running_loop().remove_reader(self._reading)

    def resume_reading(self):
        self._is_paused = False
        if self._reading is not None:
            asyncio.get_running_loop().add_reader(self._reading, self._read)

    def _listen(self, descriptor, segment):
        self._file = open(segment.path, "wb", buffering=0)
        self._rest = b""
        self._reading = descriptor
        self._over = asyncio.get_running_loop().create_future()
        if not self._is_paused:
            self.resume_reading()

    def _read(self):
        try:
            block = os.read(self._reading, BLOCK)
        except BlockingIOError:
            return
        if not block:
            self._close()
            return
        try:
            self._file.write(block)
        except OSError as error:
            self._close()
            self.failure.set_exception(error)
            return
        if not self._waiting:
            self._rest = b""
            return
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._note(line)

    def _note(self, line):
        event_id = find_id(line)
        future = self._waiting.pop(event_id, None)
        if future is not None and not future.done():
            future.set_result(time.monotonic())

    async def _hear_end(self):
        if self._reading is None:
            return
        self.resume_reading()
        try:
            await asyncio.wait_for(asyncio.shield(self._over), END_SECONDS)
        except asyncio.TimeoutError:
            self._close()

    def _close(self):
        if self._reading is None:
            return
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        self._reading = None
        self._file.close()
        if not self._over.done():
            self._over.set_result(None)


def is_dead(path):
    """A zombie, or gone."""
    try:
        stat = (path / "stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b") ")[2][:1] in (b"Z", b"X")
