"""Lets a simulated crowd verify a project through the real server, and says what came of it.

Works on a copy of a project, of which scripts/make_verify_project.py makes a large one. What is
true is drawn for each task with its score as the probability. 200 volunteers join over HTTP: eight
in ten are good (88 % of yes and 90 % of no right, 8 % not sure), one in ten says yes half of the
time where there is nothing, one in ten does not look and guesses. One more says yes to everything
in no time, sends every answer twice, and votes on tasks that he was not offered. An expert (98 %
right) answers what the crowd does not agree about.

The same volunteers are asked ten times about each task, for comparison: the majority of ten plain
votes. Errors of volunteers are independent of one another here, which real ones are not.

usage: scripts/simulate_verify.py PROJECT [--volunteers N] [--seed N] [--program FILE]
"""

import argparse
import asyncio
import csv
import json
import math
import random
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from load_verify import Client, Server

PACK = 20
TRAINING, CONTROLS = 10, 100
PLAIN_VOTES = 10
MOST_VOTES = 15
LONGEST_SECONDS = 900


@dataclass
class Skill:
    """How somebody answers: chances of the right answer, and of "not sure" before all else."""

    sensitivity: float
    specificity: float
    unsure: float = 0.0
    milliseconds: int = 2500

    def answer(self, truth: bool, chance: random.Random) -> str:
        """One answer."""
        if chance.random() < self.unsure:
            return "unsure"
        right = chance.random() < (self.sensitivity if truth else self.specificity)
        return "yes" if right == truth else "no"


GOOD = Skill(0.88, 0.9, 0.08)
BIASED = Skill(0.95, 0.5)
CARELESS = Skill(0.5, 0.5)
STUFFER = Skill(1.0, 0.0, milliseconds=90)
EXPERT = Skill(0.98, 0.98)


def crowd(count: int) -> list:
    """Everybody but the expert."""
    kinds = [BIASED, CARELESS] + 8 * [GOOD]
    return [kinds[i % len(kinds)] for i in range(count)] + [STUFFER]


class Session(Client):
    """Somebody at work."""

    def __init__(self, port: int, skill: Skill, truth: dict, chance: random.Random):
        super().__init__(port)
        self.skill, self.truth, self.chance = skill, truth, chance
        self.outcomes = {}

    async def change(self, path: str, body: dict) -> dict:
        """A request that must be answered; waits where told to."""
        while True:
            status, content = await self.ask("POST", f"/api/v1/{path}", body)
            if status != 429:
                break
            await asyncio.sleep(1)
        if status >= 400:
            raise SystemExit(f"{path}: {status} {content[:300]}")
        answer = json.loads(content)
        self.csrf = answer.get("csrf", self.csrf)
        return answer

    async def send(self, tasks: list, version: int) -> None:
        """Answers tasks, and counts what became of the answers."""
        votes = [
            {
                "id": uuid.UUID(int=self.chance.getrandbits(128)).hex,
                "task": task,
                "answer": self.skill.answer(self.truth[task], self.chance),
                "question_version": version,
                "milliseconds": self.skill.milliseconds,
            }
            for task in tasks
        ]
        for result in (await self.change("votes", {"votes": votes}))["results"]:
            outcome = result["outcome"]
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    async def work(self, until: float, tiring: bool = True) -> None:
        """Takes and answers packs until there is nothing left to do."""
        while time.monotonic() < until:
            pack = await self.change("packs", {"size": PACK})
            tasks = [task["task"] for task in pack["tasks"]]
            if not tasks:
                if pack["nothing_left"] != "all_held":
                    return
                await asyncio.sleep(0.5)
                continue
            if tiring:
                await asyncio.sleep(self.chance.uniform(0, 3))
            await self.send(tasks, pack["question_version"])
            if self.skill is STUFFER:
                await self.send(tasks, pack["question_version"])
                await self.send(self.chance.sample(sorted(self.truth), 10), 1)


def chi_square_exceeds(statistic: float, freedom: int) -> float:
    """Probability of a larger statistic by chance (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))


def inclusion(database) -> tuple:
    """Whether sites came into the sample as often as their recorded probability says.

    From west to east in tenths of each stratum. Returns how many records are wrong, the statistic
    with its degrees of freedom, and the probability of a larger one by chance.
    """
    wrong = database.execute(
        "SELECT count(*) FROM task t JOIN stratum s ON s.wave = t.wave AND s.name = t.stratum"
        " WHERE t.inclusion IS NOT NULL AND abs(t.inclusion * s.population - s.sampled) > 1e-9"
    ).fetchone()[0]
    strata = {}
    for stratum, drawn, population, sampled in database.execute(
        "SELECT t.stratum, t.inclusion IS NOT NULL, s.population, s.sampled FROM task t"
        " JOIN stratum s ON s.wave = t.wave AND s.name = t.stratum"
        " WHERE t.kind = 'site' ORDER BY t.stratum, t.lon"
    ):
        strata.setdefault((stratum, population, sampled), []).append(drawn)
    statistic, freedom = 0.0, 0
    for (_, population, sampled), drawn in strata.items():
        share = sampled / population
        if share == 1 or sampled < 50:
            continue
        for tenth in range(10):
            part = drawn[tenth * len(drawn) // 10 : (tenth + 1) * len(drawn) // 10]
            expected = len(part) * share
            statistic += (sum(part) - expected) ** 2 / (expected * (1 - share))
        freedom += 9
    return wrong, statistic, freedom, chi_square_exceeds(statistic, freedom)


def gold(database, truth: dict, file: Path, chance: random.Random) -> set:
    """Writes a table of gold, and returns its tasks."""
    sites = database.execute("SELECT id, site_id FROM task WHERE kind = 'site' ORDER BY number")
    chosen = chance.sample(sites.fetchall(), TRAINING + CONTROLS)
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["site_id", "answer", "purpose", "note"])
        for i, (task, site) in enumerate(chosen):
            purpose = "training" if i < TRAINING else "control"
            table.writerow([site, "yes" if truth[task] else "no", purpose, ""])
    return {task for task, _ in chosen}


def plain(truth: dict, tasks: list, skills: list, chance: random.Random) -> float:
    """Share of tasks that the majority of ten votes has right; a tie is half right."""
    right = 0.0
    for task in tasks:
        votes = [s.answer(truth[task], chance) for s in chance.sample(skills, PLAIN_VOTES)]
        lead = votes.count("yes") - votes.count("no")
        right += 0.5 if lead == 0 else (lead > 0) == truth[task]
    return right / len(tasks)


async def verify(server: Server, port: int, skills: list, truth: dict, seed: int) -> tuple:
    """Everybody at work, then the expert. Returns the stuffer's outcomes."""
    until = time.monotonic() + LONGEST_SECONDS
    people = [
        Session(port, skill, truth, random.Random(seed * 1000 + i))
        for i, skill in enumerate(skills)
    ]
    for number, person in enumerate(people):
        invited = {"invite": server.invite, "nickname": f"volunteer {number}", "consent": True}
        await person.change("join", invited)
    await asyncio.gather(*(person.work(until) for person in people))
    expert = Session(port, EXPERT, truth, random.Random(seed))
    account = {"token": server.setup, "name": "expert", "password": "a long enough password"}
    await expert.change("setup", account)
    await expert.work(until, tiring=False)
    return people[-1].outcomes, expert.outcomes.get("accepted", 0)


def told(database, truth: dict, asked: list, seconds: float) -> dict:
    """What came of it, from the database."""
    rows = {
        task: (status, by)
        for task, status, by in database.execute("SELECT task, status, decided_by FROM verdict")
    }
    votes = dict(
        database.execute("SELECT task, count(*) FROM vote WHERE stream <> 'expert' GROUP BY task")
    )
    late = database.execute(
        "SELECT v.task, count(*) FROM vote v JOIN"
        " (SELECT body ->> '$.task' AS task, min(seq) AS seq FROM event WHERE kind = 'decision'"
        " GROUP BY 1) d ON d.task = v.task AND v.seq > d.seq"
        " WHERE v.stream IN ('priority', 'probability') GROUP BY v.task"
    ).fetchall()
    decided = [t for t in asked if rows[t][0] in ("confirmed", "rejected")]
    right = sum((rows[t][0] == "confirmed") == truth[t] for t in decided)
    in_all = sum(votes.values())
    sites = database.execute("SELECT id, inclusion FROM task WHERE kind = 'site'").fetchall()
    return {
        "tasks": len(asked),
        "decided": len(decided),
        "by expert": sum(rows[t][1] == "expert" for t in asked),
        "right": right / len(asked),
        "right of decided": right / max(len(decided), 1),
        "votes": in_all,
        "votes on tasks": sum(votes.get(t, 0) for t in asked),
        "share": in_all / (PLAIN_VOTES * len(asked)),
        "most": max(votes.get(t, 0) for t in asked),
        "late": (len(late), max((n for _, n in late), default=0)),
        "by the sample": sum((rows[t][0] == "confirmed") / p for t, p in sites if p),
        "true": sum(truth[t] for t, _ in sites),
        "seconds": seconds,
    }


def main() -> None:
    """Reads the arguments, runs, and tells."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path)
    parser.add_argument("--program", default="target/release/kilnsight")
    parser.add_argument("--volunteers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    skills = crowd(min(options.volunteers, 1000))
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        project, table = Path(folder) / "project", Path(folder) / "gold.csv"
        shutil.copytree(options.project, project)
        database = sqlite3.connect(project / "project.sqlite")
        scores = database.execute("SELECT id, score FROM task ORDER BY number").fetchall()
        truth = {task: chance.random() < score for task, score in scores}
        known = gold(database, truth, table, chance)
        database.close()
        subprocess.run(
            [options.program, "verify", "gold", str(project), str(table)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = Server(options.program, project, port)
        server.start()
        begun = time.monotonic()
        try:
            stuffed, by_expert = asyncio.run(verify(server, port, skills, truth, options.seed))
            seconds = time.monotonic() - begun
        finally:
            server.kill()
        database = sqlite3.connect(project / "project.sqlite")
        asked = [task for task, _ in scores if task not in known]
        found = told(database, truth, asked, seconds)
        wrong, statistic, freedom, by_chance = inclusion(database)
        database.close()
        replay = subprocess.run(
            [options.program, "verify", "replay", str(project)], capture_output=True, text=True
        )
    same = "is what follows" in replay.stdout or "are what follows" in replay.stdout
    majority = plain(truth, asked, skills, chance)
    late_tasks, late_most = found["late"]
    print(f"{found['tasks']} tasks, {len(skills)} volunteers, {found['seconds']:.0f} s")
    print(
        f"right: {found['right']:.2%} of all tasks ({found['decided']} decided, "
        f"{found['by expert']} of them by the expert in {by_expert} answers; "
        f"{found['right of decided']:.2%} of the decided ones)"
    )
    print(f"majority of {PLAIN_VOTES} plain votes: {majority:.2%} of all tasks")
    print(
        f"votes: {found['votes on tasks'] / found['tasks']:.2f} on a task, {found['most']} at most;"
        f" with training and controls {found['votes']}, {found['share']:.1%} of "
        f"{PLAIN_VOTES * found['tasks']}"
    )
    print(f"votes that came after the decision: on {late_tasks} tasks, {late_most} at most")
    print(f"who stuffed: {', '.join(f'{n} {what}' for what, n in sorted(stuffed.items()))}")
    print(
        f"sample: {wrong} probabilities are wrong; chi-square {statistic:.1f} with {freedom} "
        f"degrees of freedom, p = {by_chance:.2f}"
    )
    print(f"sites: {found['by the sample']:.0f} by the sample, {found['true']} in truth")
    print(f"replay: {'the same bytes' if same else replay.stdout + replay.stderr}")
    good = (
        found["right"] >= majority
        and found["votes on tasks"] <= 0.55 * PLAIN_VOTES * found["tasks"]
        and found["most"] <= MOST_VOTES
        and wrong == 0
        and by_chance > 0.001
        and same
    )
    if not good:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
