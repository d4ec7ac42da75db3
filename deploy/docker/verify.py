"""Runs the containers of docker-compose.yml for real and checks what they promise.

Builds the image, starts a master, six workers and Prometheus, kills, pauses, throttles and restarts
containers while it asks the master how the run goes, asks Prometheus every query of dashboards and rules,
takes everything down, and ends with a table of what it checked. Needs docker with compose, and Python 3.11;
nothing of gradcode.

    python3 deploy/docker/verify.py [--keep] [--most-megabytes 450]

Exit codes: 0 all holds, 1 something does not, 2 docker or compose is missing.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable

import engine
from engine import Failure, Project, docker, eventually
from queries import ask_every_query

N_WORKERS = 6
N_DEFAULT = 8
"""Workers that docker-compose.yml starts unless told otherwise."""
N_ROUNDS = 5
"""So many rounds more mean that the run proceeds."""
ROUND_SECONDS = 60.0
"""Within which they must be done; far more than they take."""


class Checks:
    """What was checked, and what came of it.

    Args:
        project: what runs. most_megabytes: of the image.
    """

    def __init__(self, project: Project, most_megabytes: float) -> None:
        self.project = project
        self.most_megabytes = most_megabytes
        self.rows: list[tuple[str, str, str, float]] = []

    def check(self, what: str, how: Callable[[], str]) -> bool:
        """Do ``how``, which tells what it saw or raises Failure; False if it did not hold."""
        print(f".. {what}", flush=True)
        began = time.monotonic()
        try:
            holds, seen = True, how()
        except Failure as failure:
            holds, seen = False, str(failure)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            holds, seen = False, f"an answer that was not expected: {error!r}"
        verdict = "left out" if seen.startswith("left out: ") else "holds" if holds else "FAILS"
        self.rows.append((verdict, what, seen.removeprefix("left out: "), time.monotonic() - began))
        print(f"   {verdict}: {self.rows[-1][2]}", flush=True)
        return holds

    def table(self) -> str:
        """All of it, a line each, and how many of each verdict there are."""
        width = max(len(what) for _, what, _, _ in self.rows)
        lines = [
            f"{verdict:<8}  {what:<{width}}  {seconds:5.1f} s  {seen}"
            for verdict, what, seen, seconds in self.rows
        ]
        verdicts = [row[0] for row in self.rows]
        counts = ", ".join(f"{verdicts.count(each)} {each}" for each in ("holds", "FAILS", "left out"))
        return "\n".join([*lines, "", counts])

    @property
    def failed(self) -> bool:
        """Whether anything does not hold."""
        return any(row[0] == "FAILS" for row in self.rows)

    # ---- before it runs ---------------------------------------------------------------------------------

    def image_is_built(self) -> str:
        """Built, small enough, and not for root."""
        self.project.compose("build", seconds=1800)
        facts = self.project_image()
        megabytes = facts["Size"] / 1e6
        if megabytes >= self.most_megabytes:
            raise Failure(f"{megabytes:.0f} MB, which is not under {self.most_megabytes:g} MB")
        if facts["Config"]["User"] in ("", "0", "root"):
            raise Failure("it runs as root")
        return f"{megabytes:.0f} MB, user {facts['Config']['User']}"

    def project_image(self) -> dict:
        """What docker knows of the image."""
        return json.loads(docker("image", "inspect", "gradcode"))[0]

    def starts(self) -> str:
        """Master, workers and Prometheus; all healthy."""
        services = ["master", "operator", "worker", "prometheus"]
        self.project.compose("up", "-d", "--scale", f"worker={N_WORKERS}", *services)
        self.all_healthy(N_WORKERS)
        return f"1 master, {N_WORKERS} workers, Prometheus"

    def all_healthy(self, n_workers: int) -> None:
        """Wait until every container's health check says so."""
        for service, n_containers in (("master", 1), ("worker", n_workers), ("prometheus", 1)):
            containers = self.project.containers(service)
            if len(containers) != n_containers:
                raise Failure(f"{len(containers)} containers of {service}, not {n_containers}")
            for each in containers:
                eventually(f"{service} healthy", lambda each=each: self.project.state(each) == "healthy", 90)

    def grafana(self) -> str:
        """Starts, and shows its dashboards to anybody; left out where its image is not to be had."""
        image = next(
            line.split("image:")[1].strip() for line in self.compose_lines() if "grafana/grafana:" in line
        )
        if not docker("image", "ls", "-q", image):
            try:
                docker("pull", "-q", image, seconds=300)
            except Failure:
                return f"left out: {image} cannot be pulled here"
        self.project.compose("up", "-d", "--scale", f"worker={N_WORKERS}", "grafana")
        url = f"http://127.0.0.1:{self.project.ports['GRAFANA_PORT']}/api/search?type=dash-db"
        found = eventually("dashboards in Grafana", lambda: engine.fetch(url), 90)
        return f"{len(found)} dashboards for anybody who looks"

    @staticmethod
    def compose_lines() -> list[str]:
        """Of docker-compose.yml."""
        return (engine.ROOT / "docker-compose.yml").read_text(encoding="utf-8").splitlines()

    # ---- how they run -----------------------------------------------------------------------------------

    def restricted(self) -> str:
        """Nobody is root, no root file system can be written to, no port is open to others."""
        for service in ("master", "worker"):
            for each in self.project.containers(service):
                script = "import os; print(os.getuid()); open('/opt/gradcode/written', 'w')"
                answer = docker("exec", each, "python", "-c", script, ok=False)
                if answer != "10001":
                    raise Failure(f"{service} runs as {answer}")
                facts = self.project.look(each)
                if not facts["HostConfig"]["ReadonlyRootfs"]:
                    raise Failure(f"{service} can write to its file system")
                if not facts["HostConfig"]["Memory"] or not facts["HostConfig"]["NanoCpus"]:
                    raise Failure(f"{service} has no limits")
        hosts = set()
        for service in ("master", "worker", "prometheus"):
            for each in self.project.containers(service):
                ports = self.project.look(each)["NetworkSettings"]["Ports"].values()
                hosts |= {binding["HostIp"] for bindings in ports if bindings for binding in bindings}
        if hosts != {"127.0.0.1"}:
            raise Failure(f"ports are open on {sorted(hosts)}")
        return "user 10001, read-only, limits on CPU and memory, ports on 127.0.0.1"

    def secured(self) -> str:
        """Nobody is let in without a certificate, or in a role that is not its own; no one has the key."""
        worker, master = self.project.containers("worker")[0], self.project.master
        for who, arguments, said in (
            (worker, ("--tls", engine.TLS), "this certificate is not an operator's"),
            (worker, (), "the master speaks TLS"),
        ):
            asked = (
                "sh",
                "-c",
                'gradcode status master:7070 "$@" 2>&1; echo "exit code $?"',
                "sh",
                *arguments,
            )
            answer = docker("exec", who, *asked)
            if said not in answer or not answer.endswith("exit code 2"):
                raise Failure(f"status with {arguments} is answered: {answer[-200:]}")
        for each in (master, worker, *self.project.containers("operator")):
            if docker("exec", each, "find", "/var/lib/gradcode", "-name", "ca-key.pem"):
                raise Failure("the authority's key is in reach of others")
        return "no certificate, wrong role: refused; the authority's key is with nobody"

    def rounds_proceed(self, n_linked: int | None = None) -> str:
        """`N_ROUNDS` more have taken a step, most of all took one, and so many workers are linked."""

        def now() -> dict:
            return self.project.status()["status"]

        def steps(status: dict) -> int:
            return status["rounds_exact"] + status["rounds_approximate"]

        if n_linked is not None:
            eventually(f"{n_linked} workers linked", lambda: now()["n_linked"] == n_linked, 60)
        before = now()
        after = eventually(
            f"{N_ROUNDS} more rounds with a step",
            lambda: (found := now()) and steps(found) >= steps(before) + N_ROUNDS and found,
            ROUND_SECONDS,
        )
        exact, approximate, failed = (
            after[f"rounds_{outcome}"] - before[f"rounds_{outcome}"]
            for outcome in ("exact", "approximate", "failed")
        )
        counts = f"{exact} exact, {approximate} approximate, {failed} failed"
        if failed > exact + approximate:
            raise Failure(f"most rounds take no step: {counts}")
        return f"{after['n_linked']} of {after['n_places']} linked; rounds: {counts}"

    def page(self) -> str:
        """The master's port answers on this machine."""
        health = engine.fetch(f"http://127.0.0.1:{self.project.ports['PAGE_PORT']}/healthz")
        if health["phase"] != "running":
            raise Failure(f"the run is {health['phase']}")
        return f"/healthz: {health['phase']}, round {health['round']}"

    # ---- what befalls workers ---------------------------------------------------------------------------

    def killed(self) -> str:
        """SIGKILL from outside: rounds go on; started again, it has a place again."""
        victim = self.project.containers("worker")[1]
        docker("kill", victim)
        try:
            seen = self.rounds_proceed(N_WORKERS - 1)
        finally:
            docker("start", victim)
        eventually("the worker has a place again", lambda: self.project.worker_at(victim), 60)
        return seen

    def dies(self) -> str:
        """Its process dies by itself: docker starts it again."""
        victim = self.project.containers("worker")[2]
        before = self.project.look(victim)["RestartCount"]
        docker("exec", victim, "python", "-c", KILL.format(module="worker"), ok=False)
        eventually("docker starts it again", lambda: self.project.look(victim)["RestartCount"] > before, 30)
        eventually("the worker has a place again", lambda: self.project.worker_at(victim), 60)
        return self.rounds_proceed(N_WORKERS)

    def leaves(self) -> str:
        """SIGTERM: it finishes its round and ends with 0, in time."""
        leaver = self.project.containers("worker")[3]
        began = time.monotonic()
        docker("stop", leaver)
        took = time.monotonic() - began
        try:
            code = self.project.look(leaver)["State"]["ExitCode"]
            if code != 0:
                raise Failure(f"it ended with {code}")
            seen = self.rounds_proceed(N_WORKERS - 1)
        finally:
            docker("start", leaver)
        eventually("the worker has a place again", lambda: self.project.worker_at(leaver), 60)
        return f"ended with 0 after {took:.1f} s; {seen}"

    def paused(self) -> str:
        """Frozen: the master notices and goes on; then it has a place again."""
        frozen = self.project.containers("worker")[4]
        docker("pause", frozen)
        try:
            seen = self.rounds_proceed(N_WORKERS - 1)
        finally:
            docker("unpause", frozen)
        eventually("the worker has a place again", lambda: self.project.worker_at(frozen), 60)
        return seen

    def throttled(self) -> str:
        """With little CPU a quick worker is a straggler, and rounds go on without waiting for it."""
        known = {each: self.project.worker_at(each) for each in self.project.containers("worker")}
        slow = min(known, key=lambda each: known[each]["straggles"] if known[each] else N_ROUNDS * 1000)
        docker("update", "--cpus", "0.02", slow)
        try:
            before = self.project.worker_at(slow) or {}

            def straggles() -> tuple[int, int] | None:
                now = self.project.worker_at(slow) or before
                found = now["straggles"] - before["straggles"], now["rounds"] - before["rounds"]
                return found if found[0] >= N_ROUNDS and 2 * found[0] > found[1] else None

            n_straggles, n_rounds = eventually("it straggles in most rounds", straggles, 90)
            seen = self.rounds_proceed()
        finally:
            docker("update", "--cpus", "0.5", slow)
        eventually("the worker has a place", lambda: self.project.worker_at(slow), 60)
        share = (
            f"{before['straggles']} of {before['rounds']} rounds before, {n_straggles} of {n_rounds} since"
        )
        return f"straggled in {share}; {seen}"

    def spare(self) -> str:
        """--scale during the run: one more waits as a spare, and takes the place of one that goes."""
        services = ["master", "operator", "worker", "prometheus"]
        self.project.compose("up", "-d", "--no-recreate", "--scale", f"worker={N_WORKERS + 1}", *services)
        eventually("a spare is there", lambda: self.project.status()["status"]["n_spares"] == 1, 60)
        gone, newcomer = self.project.containers("worker")[0], self.project.containers("worker")[-1]
        docker("stop", gone)
        place = eventually("it has the place", lambda: self.project.worker_at(newcomer), 30)["place"]
        seen = self.rounds_proceed(N_WORKERS)
        self.project.compose("up", "-d", "--no-recreate", "--scale", f"worker={N_WORKERS}", *services)
        return f"it took place {place}; {seen}"

    # ---- what Prometheus knows --------------------------------------------------------------------------

    def targets(self) -> str:
        """It scrapes the master and every worker."""

        def up() -> bool:
            found = self.project.prometheus("query", query="sum by (job) (up)")["result"]
            counts = {each["metric"]["job"]: int(each["value"][1]) for each in found}
            return counts == {"gradcode-master": 1, "gradcode-worker": N_WORKERS}

        eventually(f"1 master and {N_WORKERS} workers are up", up, 60)
        return f"1 master and {N_WORKERS} workers are up"

    def queries(self) -> str:
        """Every query of dashboards and rules."""
        return ask_every_query(self.project)

    # ---- what befalls the master ------------------------------------------------------------------------

    def master_restarted(self) -> str:
        """SIGTERM and a start: the run is left in order, and goes on where it was."""
        old = self.project.status()["status"]
        docker("stop", "-t", "20", self.project.master, seconds=60)
        code = self.project.look(self.project.master)["State"]["ExitCode"]
        docker("start", self.project.master)
        if code != 130:
            raise Failure(f"the master ended with {code}, not 130")
        return f"it ended with 130; {self.same_run(old)}"

    def master_dies(self) -> str:
        """Its process is killed: the run goes on from its checkpoint, history has every round once."""
        # Older than a checkpoint is.
        time.sleep(12)
        old = self.project.status()["status"]
        docker("exec", self.project.master, "python", "-c", KILL.format(module="master"), ok=False)
        seen = self.same_run(old)
        records = docker("exec", self.project.master, "python", "-c", COUNT, old["run_folder"])
        return f"{records} whole records, each of the next round; {seen}"

    def chaos(self) -> str:
        """The profile's two workers straggle: one all the time, one whenever it freezes."""
        self.project.down()
        services = ["master", "operator", "worker", "worker-slow", "worker-freezing"]
        self.project.compose("--profile", "chaos", "up", "-d", *services)
        (slow,), (freezing,) = (self.project.containers(each) for each in services[-2:])
        eventually("all ten have a place", lambda: self.project.worker_at(freezing), 120)
        n_linked = self.project.status()["status"]["n_linked"]
        if n_linked != N_DEFAULT + 2:
            raise Failure(f"{n_linked} are linked, not {N_DEFAULT + 2}")
        place = (self.project.worker_at(freezing) or {"place": None})["place"]
        if place != N_DEFAULT + 1:
            raise Failure(f"the freezing worker has place {place}, not the last one")
        eventually("it is frozen", lambda: self.project.worker_at(freezing) is None, 60)
        eventually("it is back", lambda: self.project.worker_at(freezing), 30)
        at = self.project.worker_at(slow) or {"straggles": 0, "rounds": 0}
        if 2 * at["straggles"] <= at["rounds"]:
            raise Failure(f"the slow worker straggled in {at['straggles']} of {at['rounds']} rounds")
        straggled = f"the slow one straggled in {at['straggles']} of {at['rounds']} rounds"
        return f"place {place} froze and came back; {straggled}; {self.rounds_proceed()}"

    def same_run(self, old: dict) -> str:
        """Wait until the run ``old`` goes on, with all workers, from not long before where it was."""

        def goes_on() -> bool:
            now = self.project.status()["status"]
            return now["run"] == old["run"] and now["phase"] == "running"

        eventually("the run goes on", goes_on, 120)
        round_now = self.project.status()["status"]["round"]
        seconds_back = 15.0
        least = old["round"] * (1.0 - seconds_back / max(old["elapsed_seconds"], seconds_back))
        if round_now < 0.5 * least:
            raise Failure(f"it goes on with round {round_now}, and was in round {old['round']}")
        return f"round {old['round']} before, {round_now} after; {self.rounds_proceed(N_WORKERS)}"

    def new_run(self, old: str) -> str:
        """Wait for another run than ``old``, with all workers."""

        def begun() -> bool:
            now = self.project.status()["status"]
            return now["run"] != old and now["phase"] == "running"

        eventually("another run begins", begun, 120)
        return self.rounds_proceed(N_WORKERS)

    def in_folder(self, folder: str, name: str) -> dict:
        """A JSON file of a run folder."""
        return dict(json.loads(docker("exec", self.project.master, "cat", f"{folder}/{name}")))

    def stopped(self) -> str:
        """gradcode stop: the master ends with 0 and stays away, the workers wait for the next run."""
        master = self.project.master
        old = self.project.status()["status"]["run"]
        self.project.gradcode("stop", "--reason=verified")
        eventually("the master has ended", lambda: not self.project.look(master)["State"]["Running"], 30)
        code = self.project.look(master)["State"]["ExitCode"]
        if code != 0:
            raise Failure(f"the master ended with {code}")
        docker("start", master)
        return f"the master ended with 0; next run: {self.new_run(old)}"

    def taken_down(self) -> str:
        """Nothing of it is left."""
        self.project.down()
        left = self.project.left()
        if left:
            raise Failure(f"there is still a {left[0]}")
        return "no container, volume or network is left"


# The first process is docker's init; the one to kill is the role's own. With it goes the one that kills.
KILL = (
    "import os, pathlib, signal; "
    "pids = [int(path.parent.name) for path in pathlib.Path('/proc').glob('[0-9]*/cmdline') "
    "if path.read_bytes().split(bytes(1))[1:3] == [b'-m', b'{module}']]; "
    "[os.kill(pid, signal.SIGKILL) for pid in pids]; assert pids"
)
COUNT = (
    "import json, pathlib, sys; "
    "lines = (pathlib.Path(sys.argv[1]) / 'history.jsonl').read_text().splitlines(); "
    "rounds = [json.loads(line)['round'] for line in lines]; "
    "assert rounds == list(range(len(rounds))), 'a round is missing or there twice'; "
    "print(len(rounds))"
)


def all_checks(checks: Checks) -> None:
    """Everything in order; what cannot run without the image or the start is not tried without."""
    if not checks.check("the image builds, is small and is not for root", checks.image_is_built):
        return
    if not checks.check("compose up: all are healthy", checks.starts):
        return
    for what, how in (
        ("containers are restricted", checks.restricted),
        ("all speak TLS, and nobody else is let in", checks.secured),
        ("rounds proceed", lambda: checks.rounds_proceed(N_WORKERS)),
        ("the master answers on this machine", checks.page),
        ("a worker's container is killed and started again", checks.killed),
        ("a worker's process dies", checks.dies),
        ("a worker's container is stopped", checks.leaves),
        ("a worker's container is paused", checks.paused),
        ("a worker has 2 % of a CPU", checks.throttled),
        ("--scale adds a spare that takes over", checks.spare),
        ("Prometheus scrapes all", checks.targets),
        ("every query of dashboards and rules has an answer", checks.queries),
        ("Grafana shows the dashboards", checks.grafana),
        ("the master's container is restarted", checks.master_restarted),
        ("the master's process dies", checks.master_dies),
        ("gradcode stop ends the run", checks.stopped),
        ("--profile chaos adds two real stragglers", checks.chaos),
    ):
        checks.check(what, how)


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Run the containers for real and check what they promise.")
    parser.add_argument("--keep", action="store_true", help="leave them running if something does not hold")
    parser.add_argument(
        "--most-megabytes", type=float, default=450.0, help="of the image (default: %(default)s)"
    )
    given = parser.parse_args(argv)
    try:
        project = Project()
        version = engine.run(*project.command, "version", "--short")
        server = docker("version", "--format", "{{.Server.Version}}")
        print(f"docker {server}, compose {version}, project {project.name}")
    except Failure as failure:
        print(f"verify: {failure}", file=sys.stderr)
        return 2
    checks = Checks(project, given.most_megabytes)
    # Then what was started is taken down, as it is for Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        all_checks(checks)
    finally:
        if given.keep and checks.failed:
            print(f"left running as {project.name}")
        else:
            checks.check("taken down", checks.taken_down)
        print(f"\n{checks.table()}")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
