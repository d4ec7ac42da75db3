from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("run", "run_name", "phase", "detail", "round", "rounds_planned", "loss", "score", "rounds_exact", "rounds_approximate", "rounds_failed", "deadline_seconds", "code", "epoch", "n_places", "n_linked", "n_spares", "run_folder", "started_unix_seconds", "elapsed_seconds", "package_version", "last_record_json", "n_wanted", "n_replans", "verify", "quarantined", "rounds_undone")
    RUN_FIELD_NUMBER: _ClassVar[int]
    RUN_NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_PLANNED_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_EXACT_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_APPROXIMATE_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FAILED_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    N_PLACES_FIELD_NUMBER: _ClassVar[int]
    N_LINKED_FIELD_NUMBER: _ClassVar[int]
    N_SPARES_FIELD_NUMBER: _ClassVar[int]
    RUN_FOLDER_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAST_RECORD_JSON_FIELD_NUMBER: _ClassVar[int]
    N_WANTED_FIELD_NUMBER: _ClassVar[int]
    N_REPLANS_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_UNDONE_FIELD_NUMBER: _ClassVar[int]
    run: str
    run_name: str
    phase: str
    detail: str
    round: int
    rounds_planned: int
    loss: float
    score: float
    rounds_exact: int
    rounds_approximate: int
    rounds_failed: int
    deadline_seconds: float
    code: str
    epoch: int
    n_places: int
    n_linked: int
    n_spares: int
    run_folder: str
    started_unix_seconds: float
    elapsed_seconds: float
    package_version: str
    last_record_json: str
    n_wanted: int
    n_replans: int
    verify: str
    quarantined: _containers.RepeatedScalarFieldContainer[str]
    rounds_undone: int
    def __init__(self, run: _Optional[str] = ..., run_name: _Optional[str] = ..., phase: _Optional[str] = ..., detail: _Optional[str] = ..., round: _Optional[int] = ..., rounds_planned: _Optional[int] = ..., loss: _Optional[float] = ..., score: _Optional[float] = ..., rounds_exact: _Optional[int] = ..., rounds_approximate: _Optional[int] = ..., rounds_failed: _Optional[int] = ..., deadline_seconds: _Optional[float] = ..., code: _Optional[str] = ..., epoch: _Optional[int] = ..., n_places: _Optional[int] = ..., n_linked: _Optional[int] = ..., n_spares: _Optional[int] = ..., run_folder: _Optional[str] = ..., started_unix_seconds: _Optional[float] = ..., elapsed_seconds: _Optional[float] = ..., package_version: _Optional[str] = ..., last_record_json: _Optional[str] = ..., n_wanted: _Optional[int] = ..., n_replans: _Optional[int] = ..., verify: _Optional[str] = ..., quarantined: _Optional[_Iterable[str]] = ..., rounds_undone: _Optional[int] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("place", "worker_name", "state", "chunks_finished", "load", "seconds_per_chunk", "last_seen_seconds", "straggles", "rounds")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    WORKER_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FINISHED_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    SECONDS_PER_CHUNK_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    STRAGGLES_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    place: int
    worker_name: str
    state: str
    chunks_finished: int
    load: int
    seconds_per_chunk: float
    last_seen_seconds: float
    straggles: int
    rounds: int
    def __init__(self, place: _Optional[int] = ..., worker_name: _Optional[str] = ..., state: _Optional[str] = ..., chunks_finished: _Optional[int] = ..., load: _Optional[int] = ..., seconds_per_chunk: _Optional[float] = ..., last_seen_seconds: _Optional[float] = ..., straggles: _Optional[int] = ..., rounds: _Optional[int] = ...) -> None: ...

class StopRunRequest(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class StopRunResponse(_message.Message):
    __slots__ = ("accepted",)
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    def __init__(self, accepted: bool = ...) -> None: ...

class ScaleRunRequest(_message.Message):
    __slots__ = ("n_workers",)
    N_WORKERS_FIELD_NUMBER: _ClassVar[int]
    n_workers: int
    def __init__(self, n_workers: _Optional[int] = ...) -> None: ...

class ScaleRunResponse(_message.Message):
    __slots__ = ("accepted", "reason")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    reason: str
    def __init__(self, accepted: bool = ..., reason: _Optional[str] = ...) -> None: ...

class WatchRoundsRequest(_message.Message):
    __slots__ = ("run", "after")
    RUN_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    run: str
    after: int
    def __init__(self, run: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class WatchRoundsResponse(_message.Message):
    __slots__ = ("run", "records_json", "missed", "ending")
    RUN_FIELD_NUMBER: _ClassVar[int]
    RECORDS_JSON_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    run: str
    records_json: _containers.RepeatedScalarFieldContainer[str]
    missed: int
    ending: RunEnding
    def __init__(self, run: _Optional[str] = ..., records_json: _Optional[_Iterable[str]] = ..., missed: _Optional[int] = ..., ending: _Optional[_Union[RunEnding, _Mapping]] = ...) -> None: ...

class RunEnding(_message.Message):
    __slots__ = ("reason", "exit_code")
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    exit_code: int
    def __init__(self, reason: _Optional[str] = ..., exit_code: _Optional[int] = ...) -> None: ...
