"""Puts load on a verification server of this machine, and counts what came of it.

Starts `kilnsight verify serve` on a copy of a project, lets volunteers join, take packs, load the
pictures and send answers for a while, kills the server in the middle and starts it again, and then
compares what was acknowledged with what the project holds. Only the loopback address is asked.

So many volunteers at once means: each takes a pack of 20 tasks, loads its 40 pictures, needs about
a second for an answer, and sends the pack. 300 of them send 15 packs, take 15 others and load 600
pictures a second. At the end all send what they have at the same instant, as after a network
failure; that is counted apart. Six in seven answers are right, so that most tasks are decided, as
with people.

usage: scripts/load_verify.py PROJECT [--volunteers N] [--seconds N] [--program FILE] [--no-kill]
       scripts/make_verify_project.py makes a large project for it
"""

import argparse
import asyncio
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

PACK = 20
# From a picture's appearing to the answer: a quick volunteer needs about a second.
SECONDS_PER_ANSWER = 1.0
# The server closes a connection that is silent for longer; a browser notices, and opens another.
IDLE_SECONDS = 10
RIGHT = 6 / 7


class Server:
    """The program under load."""

    def __init__(self, program: str, project: Path, port: int):
        self.command = [
            program,
            "verify",
            "serve",
            str(project),
            "--listen",
            f"127.0.0.1:{port}",
            "--joins-per-hour",
            "100000",
        ]
        self.process = None
        self.invite = None
        self.setup = None
        self.cpu_seconds = 0.0

    def start(self) -> None:
        """Starts it, and waits until it listens."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"#code=(\S+)", line):
                self.invite = found.group(1)
            if found := re.search(r"#setup=(\S+)", line):
                self.setup = found.group(1)
            if "Ctrl-C" in line:
                return
        raise SystemExit("the server did not start")

    def kill(self) -> None:
        """Ends it without a warning, as a power cut would."""
        ticks = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        self.cpu_seconds += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Client:
    """A volunteer's browser: one connection, a cookie, a token."""

    def __init__(self, port: int):
        self.port = port
        self.streams = None
        self.used = 0.0
        self.cookie = ""
        self.csrf = ""

    async def ask(self, method: str, path: str, body=None):
        """One request; raises OSError where there is no answer."""
        try:
            return await self.ask_once(method, path, body)
        except (OSError, EOFError, ValueError, IndexError) as error:
            if self.streams:
                self.streams[1].close()
            self.streams = None
            raise OSError(str(error)) from error

    async def ask_once(self, method: str, path: str, body):
        """One request on the open connection."""
        if self.streams and time.monotonic() - self.used > IDLE_SECONDS:
            self.streams[1].close()
            self.streams = None
        self.used = time.monotonic()
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        data = b"" if body is None else json.dumps(body).encode()
        head = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Content-Length: {len(data)}",
        ]
        if method == "POST":
            head += ["Content-Type: application/json", f"X-CSRF-Token: {self.csrf}"]
        if self.cookie:
            head.append(f"Cookie: {self.cookie}")
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + data)
        status = int((await reader.readline()).split()[1])
        length = 0
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            if name.lower() == "content-length":
                length = int(value)
            if name.lower() == "set-cookie":
                self.cookie = value.split(";")[0].strip()
        content = await reader.readexactly(length)
        return status, content


def answer(task: str, chance: random.Random) -> str:
    """What a volunteer says: whether it is one follows from the id of the task."""
    yes = int(task[:8], 16) % 2 == 0
    right = chance.random() < RIGHT
    return "unsure" if chance.random() < 0.05 else "yes" if yes == right else "no"


class Tally:
    """What was seen."""

    def __init__(self):
        self.posting = []
        self.last = []
        self.leasing = []
        self.chips = []
        self.kept = {}
        self.lost_replies = 0
        self.slowed = 0
        self.wrong = []


async def volunteer(
    number: int, port: int, server: Server, tally: Tally, until: float, chance: random.Random
) -> None:
    """Joins, and works until time is up; what was sent without an answer is sent again."""
    client = Client(port)
    await asyncio.sleep(chance.uniform(0, 5))

    async def persist(method, path, body=None, times=None):
        while True:
            begun = time.perf_counter()
            try:
                status, content = await client.ask(method, path, body)
            except OSError:
                tally.lost_replies += 1
                await asyncio.sleep(chance.uniform(0.2, 1.0))
                continue
            if status in (429, 503):
                tally.slowed += 1
                await asyncio.sleep(1)
                continue
            if times is not None:
                times.append(time.perf_counter() - begun)
            return status, content

    joining = {"invite": server.invite, "nickname": f"volunteer {number}", "consent": True}
    status, content = await persist("POST", "/api/v1/join", joining)
    if status != 201:
        tally.wrong.append(("join", status, content[:200]))
        return
    client.csrf = json.loads(content)["csrf"]
    while time.time() < until:
        status, content = await persist(
            "POST", "/api/v1/packs", {"size": PACK, "resume": True}, tally.leasing
        )
        pack = json.loads(content)
        if status != 200 or not pack["tasks"]:
            tally.wrong.append(("pack", status, content[:200]))
            return
        for task in pack["tasks"]:
            for scale in ("close", "context"):
                status, _ = await persist(
                    "GET", f"/api/v1/chips/{task['looks'][0][scale]['chip']}", times=tally.chips
                )
                if status != 200:
                    tally.wrong.append(("chip", status, b""))
        thinking = chance.uniform(0.8, 1.2) * SECONDS_PER_ANSWER * len(pack["tasks"])
        left = until - time.time()
        in_time = thinking < left
        await asyncio.sleep(max(0.0, min(left, thinking)))
        votes = [
            {
                "id": uuid.UUID(int=chance.getrandbits(128)).hex,
                "task": task["task"],
                "answer": answer(task["task"], chance),
                "question_version": pack["question_version"],
                "hash": task["looks"][0]["close"]["hash"],
                "milliseconds": int(SECONDS_PER_ANSWER * 1000),
            }
            for task in pack["tasks"]
        ]
        status, content = await persist(
            "POST", "/api/v1/votes", {"votes": votes}, tally.posting if in_time else tally.last
        )
        if status != 200:
            tally.wrong.append(("votes", status, content[:200]))
            return
        for result in json.loads(content)["results"]:
            if result["kept"]:
                tally.kept[result["id"]] = True
            else:
                tally.wrong.append(("vote", result["outcome"], b""))


def quantiles(name: str, seconds: list) -> None:
    """Prints how long requests took."""
    ordered = sorted(seconds)
    if not ordered:
        print(f"{name}: none")
        return
    at = [
        1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        for share in (0.5, 0.9, 0.99)
    ]
    print(
        f"{name}: {len(ordered)} requests, median {at[0]:.1f} ms, p90 {at[1]:.1f} ms, "
        f"p99 {at[2]:.1f} ms, longest {1000 * ordered[-1]:.1f} ms"
    )


async def run(options, server: Server, port: int) -> Tally:
    """All volunteers at once, and the kill in the middle."""
    tally = Tally()
    until = time.time() + options.seconds
    chance = random.Random(options.seed)
    work = [
        asyncio.create_task(
            volunteer(n, port, server, tally, until, random.Random(chance.random()))
        )
        for n in range(options.volunteers)
    ]
    await asyncio.sleep(options.seconds / 2)
    if options.kill:
        server.kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.start)
        print("killed and started again")
    _, late = await asyncio.wait(work, timeout=options.seconds)
    for task in late:
        task.cancel()
    for task in work:
        if task.done() and not task.cancelled() and task.exception():
            raise task.exception()
    return tally


def main() -> None:
    """Reads the arguments, runs, and tells."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path)
    parser.add_argument("--program", default="target/release/kilnsight")
    parser.add_argument("--volunteers", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-kill", dest="kill", action="store_false", help="let the server live")
    options = parser.parse_args()
    options.seconds = min(options.seconds, 600)
    options.volunteers = min(options.volunteers, 2000)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        project = Path(folder) / "project"
        shutil.copytree(options.project, project)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = Server(options.program, project, port)
        begun = time.monotonic()
        server.start()
        try:
            tally = asyncio.run(run(options, server, port))
        finally:
            server.kill()
        seconds = time.monotonic() - begun
        with sqlite3.connect(project / "project.sqlite") as database:
            stored = [
                row[0] for row in database.execute("SELECT id FROM vote WHERE state = 'counted'")
            ]
            again = database.execute(
                "SELECT count(*) - count(DISTINCT body ->> '$.id') FROM event WHERE kind = 'vote'"
            )
            twice = again.fetchone()[0]
    quantiles("posting a pack", tally.posting)
    quantiles("posting at the same instant, at the end", tally.last)
    quantiles("getting a pack", tally.leasing)
    quantiles("loading a picture", tally.chips)
    stored = set(stored)
    lost = [vote for vote in tally.kept if vote not in stored]
    print(f"votes: {len(tally.kept)} acknowledged, {len(stored)} stored, {len(lost)} lost")
    print(f"votes counted twice: {twice}")
    print(f"requests: {tally.lost_replies} without an answer, {tally.slowed} told to wait")
    own = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    print(
        f"processor time: server {server.cpu_seconds:.0f} s, volunteers {own:.0f} s, "
        f"in {seconds:.0f} s on {os.cpu_count()} cores"
    )
    print(f"gone wrong: {len(tally.wrong)}")
    for what in tally.wrong[:5]:
        print("  ", *what)
    if lost or twice:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
