"""A whole run of the master: from an experiment to a whole run folder and an exit code."""

from __future__ import annotations

import contextlib
import json
import resource
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import numpy as np
import structlog
from grpc_health.v1 import _async as health
from grpc_health.v1 import health_pb2_grpc

from common.datasets.base import Dataset
from common.errors import GradcodeError, InvalidSpec, ProtocolError
from common.experiment import Experiment, check_experiment
from common.folder import RunFolder, SavedModel
from common.models.base import Model
from common.version import __version__
from common.wire import rpc
from common.wire.control import Ending
from master import build
from master.access import Admission
from master.arithmetic import Arithmetic
from master.checkpoint import Checkpoint
from master.checkpointer import Checkpointer
from master.commands import Finish
from master.control import Control
from master.control import RunFacts as FixedFacts
from master.driver import Driver
from master.events import StopRequested
from master.gate import Gate
from master.http import LoopLag, start_http
from master.metrics import MasterMetrics
from master.page_face import PageFace
from master.page_feed import PageFacts, PageFeed
from master.page_security import PageSecurity
from master.resume import Begun, RunFacts, begin, facts_of, locate
from master.scrape import MAX_PLACES
from master.securing import Entrance, Security
from master.service import TrainingFace, listen
from master.settings import RunSettings
from master.snapshot import Snapshot
from master.status import RunStatus, run_status
from master.watchers import Watchers

log = structlog.get_logger("gradcode.master")

GRACE_SECONDS = 1.0
"""So long links may take to close at the end."""


@dataclass(frozen=True)
class MasterOptions:
    """Where a master listens and writes.

    Attributes:
        listen: HOST:PORT, port 0 takes a free one.
        metrics: HOST:PORT of the status page, /metrics and /healthz, or ``off``.
        runs: parent of run folders. folder: the run's own folder instead, or None; if it holds a run of the
            same experiment that has not ended, that goes on.
        resume: without ``folder``, the newest such run among ``runs`` goes on, if there is one.
        security: whom it lets in. page: TLS and a password for the address of metrics.
        announce: file to write the real addresses to, or None.
        metrics_places: most places with metrics of their own; above that the slowest.
    """

    listen: str = "127.0.0.1:7070"
    metrics: str = "127.0.0.1:9100"
    runs: Path = Path("runs")
    folder: Path | None = None
    resume: bool = False
    security: Security = field(default_factory=Security)
    page: PageSecurity = field(default_factory=PageSecurity)
    announce: Path | None = None
    metrics_places: int = MAX_PLACES

    def check(self) -> None:
        """Refuse to listen to strangers, and what cannot be.

        Raises:
            InvalidSpec: an address beyond loopback that is not secured, or fewer than no places.
        """
        if self.metrics_places < 0:
            raise InvalidSpec("metrics_places", "must be at least 0", self.metrics_places)
        self.security.check(self.listen)


class Master:
    """The run, its server and its folder.

    Args:
        experiment: what to run. options: where to listen and write.
    """

    def __init__(self, experiment: Experiment, options: MasterOptions) -> None:
        options.check()
        check_experiment(experiment)
        self.experiment = experiment
        self.options = options
        self.address = ""
        self.metrics_address = ""
        self.folder: RunFolder
        self.driver: Driver
        self._dataset: Dataset
        self._model: Model
        self._settings: RunSettings
        self._arithmetic: Arithmetic
        self._path: Path | None
        self._facts: RunFacts
        self._checkpointer: Checkpointer

    def prepare(self) -> None:
        """Read the data and build the parts; may take seconds. Nothing is written before this succeeds.

        Raises:
            InvalidSpec, InvalidData: the experiment, its data or its folder cannot be used.
            RunIsOver: the folder holds a run that has ended.
        """
        options = self.options
        self._path = locate(self.experiment, options.folder, options.runs, options.resume)
        self._dataset = build.build_dataset(self.experiment)
        self._facts = facts_of(self._path, self._dataset.digest)
        self._model = build.build_model(self.experiment, self._dataset)
        settings = build.build_settings(self.experiment, self._dataset, self._model.n_parameters)
        # Workers must not be able to guess which of their answers will be looked at.
        self._settings = replace(settings, audit_seed=secrets.randbits(63))
        if self.experiment.workers != "joined":
            self._settings.make_code(self.experiment.workers)
        self._arithmetic = build.build_arithmetic(self.experiment, self._dataset, self._model)

    async def run(self, opened: Callable[[], None] = lambda: None) -> int:
        """Serve until the run has ended. Returns the exit code; the folder is whole whatever happens.

        ``opened`` is called when addresses and folder are there.

        Raises:
            InvalidSpec: an address or the folder cannot be used.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._open(stack)
            opened()
            self.driver.begin()
            try:
                finish = await self.driver.finished
            except BaseException as error:
                said = str(error) if isinstance(error, GradcodeError) else f"the master broke: {error!r}"
                self._write_end(Finish(said, 3))
                raise
            await self._checkpointer.close()
            self._write_end(finish)
            log.info("the run is over", run=self.driver.run, reason=finish.reason, exit_code=finish.exit_code)
            return finish.exit_code

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        """Bind addresses, then make the folder, then let workers in."""
        metrics = MasterMetrics(
            self._status, max_places=self.options.metrics_places, traffic=lambda: self.driver.traffic
        )
        limits = build.build_limits(self.experiment)

        def count(error: ProtocolError) -> None:
            metrics.protocol_error(error.kind)

        entrance = Entrance(self.options.security, count)
        interceptors = [Gate(limits, count), entrance.interceptor]
        server = grpc.aio.server(interceptors=interceptors, options=rpc.server_options(limits.connections))
        self.address = await listen(server, self.options.listen, entrance.credentials)
        page = PageFace(PageFeed(self._page_facts()), self._status)
        if self.options.metrics != "off":
            http = await start_http(
                self.options.metrics, metrics, self._status, self._exit_code, page, self.options.page
            )
            stack.push_async_callback(http.stop)
            self.metrics_address = http.address
        begun = self._begin()
        stack.callback(self.folder.close)
        watchers = Watchers(begun.facts.run)
        self._checkpointer = Checkpointer(begun.checkpoints, metrics.checkpoints, self.folder.sync)
        orders = build.build_orders(self.experiment, self._dataset, self._model)
        self.driver = Driver(
            begun.facts.run,
            self.experiment.name,
            self._settings,
            self._arithmetic,
            orders,
            self.folder,
            metrics,
            listeners=(watchers.hear_record, page.hear_record),
            origin=begun.origin,
            keep=self._keep,
            limits=limits,
        )
        stack.callback(self.driver.close)
        self._add_services(server, watchers, entrance.admission)
        entrance.open(server)
        stack.push_async_callback(entrance.close)
        await server.start()
        stack.push_async_callback(server.stop, GRACE_SECONDS)
        stack.callback(lambda: watchers.end(self._ending()))
        stack.push_async_callback(page.end)
        lag = LoopLag(metrics)
        lag.start()
        stack.push_async_callback(lag.stop)
        self._announce()

    def _page_facts(self) -> PageFacts:
        begun = self._facts.started_unix_seconds
        return PageFacts(self._facts.run, self.experiment.name, self.experiment.rounds, __version__, begun)

    def _begin(self) -> Begun:
        """Open the folder; the optimiser stands where the run goes on."""
        optimizer, digest = self._arithmetic.optimizer, self._dataset.digest
        at = (self._path, self.options.runs)
        begun = begin(self.experiment, self._facts, *at, digest, optimizer.restore)
        self.folder, self._facts = begun.folder, begun.facts
        return begun

    def _keep(self, snapshot: Snapshot) -> None:
        """Have a checkpoint written. No step is being taken now, so the optimiser's state fits."""
        self._checkpointer.take(
            Checkpoint(
                run=self._facts.run,
                written_unix_seconds=time.time(),
                mark=self.folder.mark(),
                snapshot=snapshot,
                optimizer=self._arithmetic.optimizer.state(),
            )
        )

    def _add_services(self, server: grpc.aio.Server, watchers: Watchers, admission: Admission) -> None:
        face = TrainingFace(self.driver, self._dataset, admission)
        begun = self._facts.started_unix_seconds
        fixed = FixedFacts(self.experiment.rounds, str(self.folder.path), begun, __version__)
        control = Control(self.driver, fixed, time.monotonic)
        healthy = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
        server.add_generic_rpc_handlers(
            (
                rpc.training_handler(face.session, face.fetch_rows),
                rpc.control_handler(
                    control.status, control.workers, control.stop, control.scale, watchers.watch
                ),
            )
        )

    def _status(self) -> RunStatus:
        return run_status(self.driver.training, time.monotonic())

    def _exit_code(self) -> int | None:
        ending = self._ending()
        return None if ending is None else ending.exit_code

    def _ending(self) -> Ending | None:
        ending = self.driver.training.ending
        return None if ending is None else Ending(*ending)

    def interrupt(self) -> None:
        """End the run in order: the folder is whole, workers are told."""
        self.driver.dispatch(StopRequested("interrupted", 130))

    def _announce(self) -> None:
        log.info(
            "the master listens",
            run=self.driver.run,
            address=self.address,
            metrics=self.metrics_address or "off",
            folder=str(self.folder.path),
        )
        warning = self.options.security.warning(self.address)
        if warning is not None:
            log.warning(warning, address=self.address)
        if self.options.announce is not None:
            facts = {
                "address": self.address,
                "metrics": self.metrics_address,
                "folder": str(self.folder.path),
            }
            fresh = self.options.announce.with_suffix(".new")
            fresh.write_text(json.dumps(facts))
            fresh.replace(self.options.announce)

    def _write_end(self, finish: Finish) -> None:
        """Parameters and summary."""
        data, shape = self._dataset, self._model.shape
        self.folder.write_parameters(
            SavedModel(
                model=shape.name,
                parameters=np.asarray(self._arithmetic.optimizer.parameters),
                n_features=shape.n_features,
                n_outputs=shape.n_outputs,
                intercept=shape.intercept,
                classes=np.asarray(data.classes) if data.classes else None,
                mean=data.mean,
                scale=data.scale,
                feature_names=data.feature_names,
                target=self.experiment.data.target or "",
            )
        )
        self.folder.finish(
            finish.reason,
            finish.exit_code,
            score=self.driver.training.chronicle.score,
            score_name=self._model.score_name,
            round_trip_seconds=self.driver.training.experience.paces.typical_round_trip(),
            peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
