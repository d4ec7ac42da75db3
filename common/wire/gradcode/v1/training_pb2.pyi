from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Dtype(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[Dtype]
    DTYPE_FLOAT32: _ClassVar[Dtype]
    DTYPE_FLOAT64: _ClassVar[Dtype]
    DTYPE_INT32: _ClassVar[Dtype]
    DTYPE_INT64: _ClassVar[Dtype]
DTYPE_UNSPECIFIED: Dtype
DTYPE_FLOAT32: Dtype
DTYPE_FLOAT64: Dtype
DTYPE_INT32: Dtype
DTYPE_INT64: Dtype

class SessionRequest(_message.Message):
    __slots__ = ("hello", "ready", "chunk_finished", "message_frame", "drain", "goodbye", "partial_sum", "alive", "checksum")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FINISHED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FRAME_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_SUM_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    ready: Ready
    chunk_finished: ChunkFinished
    message_frame: MessageFrame
    drain: Drain
    goodbye: Goodbye
    partial_sum: PartialSum
    alive: Alive
    checksum: int
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., ready: _Optional[_Union[Ready, _Mapping]] = ..., chunk_finished: _Optional[_Union[ChunkFinished, _Mapping]] = ..., message_frame: _Optional[_Union[MessageFrame, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., partial_sum: _Optional[_Union[PartialSum, _Mapping]] = ..., alive: _Optional[_Union[Alive, _Mapping]] = ..., checksum: _Optional[int] = ...) -> None: ...

class SessionResponse(_message.Message):
    __slots__ = ("welcome", "start_round", "parameters_frame", "next_chunk", "collect", "stop_round", "drain", "goodbye", "prefetch", "alive", "ask_partial_sum", "checksum")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    START_ROUND_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FRAME_FIELD_NUMBER: _ClassVar[int]
    NEXT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    COLLECT_FIELD_NUMBER: _ClassVar[int]
    STOP_ROUND_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    ASK_PARTIAL_SUM_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    start_round: StartRound
    parameters_frame: ParametersFrame
    next_chunk: NextChunk
    collect: Collect
    stop_round: StopRound
    drain: Drain
    goodbye: Goodbye
    prefetch: Prefetch
    alive: Alive
    ask_partial_sum: AskPartialSum
    checksum: int
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., start_round: _Optional[_Union[StartRound, _Mapping]] = ..., parameters_frame: _Optional[_Union[ParametersFrame, _Mapping]] = ..., next_chunk: _Optional[_Union[NextChunk, _Mapping]] = ..., collect: _Optional[_Union[Collect, _Mapping]] = ..., stop_round: _Optional[_Union[StopRound, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., prefetch: _Optional[_Union[Prefetch, _Mapping]] = ..., alive: _Optional[_Union[Alive, _Mapping]] = ..., ask_partial_sum: _Optional[_Union[AskPartialSum, _Mapping]] = ..., checksum: _Optional[int] = ...) -> None: ...

class Stamp(_message.Message):
    __slots__ = ("run", "epoch", "round", "incarnation")
    RUN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    run: str
    epoch: int
    round: int
    incarnation: int
    def __init__(self, run: _Optional[str] = ..., epoch: _Optional[int] = ..., round: _Optional[int] = ..., incarnation: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_major", "protocol_minor", "package_version", "worker_name")
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKER_NAME_FIELD_NUMBER: _ClassVar[int]
    protocol_major: int
    protocol_minor: int
    package_version: str
    worker_name: str
    def __init__(self, protocol_major: _Optional[int] = ..., protocol_minor: _Optional[int] = ..., package_version: _Optional[str] = ..., worker_name: _Optional[str] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ("incarnation", "epoch")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    epoch: int
    def __init__(self, incarnation: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class ChunkFinished(_message.Message):
    __slots__ = ("stamp", "chunk", "seconds", "loss_sum", "rows", "finite", "heard", "heard_seconds", "digest")
    STAMP_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    LOSS_SUM_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FINITE_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    HEARD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    chunk: int
    seconds: float
    loss_sum: float
    rows: int
    finite: bool
    heard: int
    heard_seconds: float
    digest: bytes
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ..., chunk: _Optional[int] = ..., seconds: _Optional[float] = ..., loss_sum: _Optional[float] = ..., rows: _Optional[int] = ..., finite: bool = ..., heard: _Optional[int] = ..., heard_seconds: _Optional[float] = ..., digest: _Optional[bytes] = ...) -> None: ...

class MessageFrame(_message.Message):
    __slots__ = ("stamp", "message", "offset", "total_bytes", "dtype", "data")
    STAMP_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    message: int
    offset: int
    total_bytes: int
    dtype: Dtype
    data: bytes
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ..., message: _Optional[int] = ..., offset: _Optional[int] = ..., total_bytes: _Optional[int] = ..., dtype: _Optional[_Union[Dtype, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PartialSum(_message.Message):
    __slots__ = ("stamp", "number", "value")
    STAMP_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    number: int
    value: float
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ..., number: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...

class Alive(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "retry")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    reason: str
    retry: bool
    def __init__(self, reason: _Optional[str] = ..., retry: bool = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("run", "run_name", "protocol_major", "protocol_minor", "place", "incarnation", "order")
    RUN_FIELD_NUMBER: _ClassVar[int]
    RUN_NAME_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    run: str
    run_name: str
    protocol_major: int
    protocol_minor: int
    place: int
    incarnation: int
    order: WorkOrder
    def __init__(self, run: _Optional[str] = ..., run_name: _Optional[str] = ..., protocol_major: _Optional[int] = ..., protocol_minor: _Optional[int] = ..., place: _Optional[int] = ..., incarnation: _Optional[int] = ..., order: _Optional[_Union[WorkOrder, _Mapping]] = ...) -> None: ...

class WorkOrder(_message.Message):
    __slots__ = ("epoch", "code", "model", "n_parameters", "n_parts", "data", "messages", "on_request", "compute_dtype", "wire_dtype", "delays", "max_frame_bytes", "scheduled", "memory_bytes", "commits")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    N_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    N_PARTS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    ON_REQUEST_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_DTYPE_FIELD_NUMBER: _ClassVar[int]
    WIRE_DTYPE_FIELD_NUMBER: _ClassVar[int]
    DELAYS_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    code: str
    model: ModelShape
    n_parameters: int
    n_parts: int
    data: DataOrder
    messages: _containers.RepeatedCompositeFieldContainer[MessageOrder]
    on_request: bool
    compute_dtype: Dtype
    wire_dtype: Dtype
    delays: Delays
    max_frame_bytes: int
    scheduled: bool
    memory_bytes: int
    commits: bool
    def __init__(self, epoch: _Optional[int] = ..., code: _Optional[str] = ..., model: _Optional[_Union[ModelShape, _Mapping]] = ..., n_parameters: _Optional[int] = ..., n_parts: _Optional[int] = ..., data: _Optional[_Union[DataOrder, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[MessageOrder, _Mapping]]] = ..., on_request: bool = ..., compute_dtype: _Optional[_Union[Dtype, str]] = ..., wire_dtype: _Optional[_Union[Dtype, str]] = ..., delays: _Optional[_Union[Delays, _Mapping]] = ..., max_frame_bytes: _Optional[int] = ..., scheduled: bool = ..., memory_bytes: _Optional[int] = ..., commits: bool = ...) -> None: ...

class ModelShape(_message.Message):
    __slots__ = ("name", "n_features", "n_outputs", "intercept")
    NAME_FIELD_NUMBER: _ClassVar[int]
    N_FEATURES_FIELD_NUMBER: _ClassVar[int]
    N_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    INTERCEPT_FIELD_NUMBER: _ClassVar[int]
    name: str
    n_features: int
    n_outputs: int
    intercept: bool
    def __init__(self, name: _Optional[str] = ..., n_features: _Optional[int] = ..., n_outputs: _Optional[int] = ..., intercept: bool = ...) -> None: ...

class DataOrder(_message.Message):
    __slots__ = ("digest", "n_features", "sparse", "ranges")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    N_FEATURES_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    digest: str
    n_features: int
    sparse: bool
    ranges: _containers.RepeatedCompositeFieldContainer[RowRange]
    def __init__(self, digest: _Optional[str] = ..., n_features: _Optional[int] = ..., sparse: bool = ..., ranges: _Optional[_Iterable[_Union[RowRange, _Mapping]]] = ...) -> None: ...

class RowRange(_message.Message):
    __slots__ = ("chunk", "begin", "end")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    chunk: int
    begin: int
    end: int
    def __init__(self, chunk: _Optional[int] = ..., begin: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class MessageOrder(_message.Message):
    __slots__ = ("number", "terms")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    number: int
    terms: Terms
    def __init__(self, number: _Optional[int] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ...) -> None: ...

class Terms(_message.Message):
    __slots__ = ("chunks", "parts", "coefficients")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    COEFFICIENTS_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedScalarFieldContainer[int]
    parts: _containers.RepeatedScalarFieldContainer[int]
    coefficients: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, chunks: _Optional[_Iterable[int]] = ..., parts: _Optional[_Iterable[int]] = ..., coefficients: _Optional[_Iterable[float]] = ...) -> None: ...

class Delays(_message.Message):
    __slots__ = ("distribution", "seconds", "mean_seconds", "shape", "factors", "interruptions", "seed", "varies", "burst_share", "burst_rounds", "burst_factor")
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    MEAN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTIONS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    VARIES_FIELD_NUMBER: _ClassVar[int]
    BURST_SHARE_FIELD_NUMBER: _ClassVar[int]
    BURST_ROUNDS_FIELD_NUMBER: _ClassVar[int]
    BURST_FACTOR_FIELD_NUMBER: _ClassVar[int]
    distribution: str
    seconds: float
    mean_seconds: float
    shape: float
    factors: _containers.RepeatedCompositeFieldContainer[PlaceFactor]
    interruptions: _containers.RepeatedCompositeFieldContainer[Interruption]
    seed: int
    varies: str
    burst_share: float
    burst_rounds: float
    burst_factor: float
    def __init__(self, distribution: _Optional[str] = ..., seconds: _Optional[float] = ..., mean_seconds: _Optional[float] = ..., shape: _Optional[float] = ..., factors: _Optional[_Iterable[_Union[PlaceFactor, _Mapping]]] = ..., interruptions: _Optional[_Iterable[_Union[Interruption, _Mapping]]] = ..., seed: _Optional[int] = ..., varies: _Optional[str] = ..., burst_share: _Optional[float] = ..., burst_rounds: _Optional[float] = ..., burst_factor: _Optional[float] = ...) -> None: ...

class PlaceFactor(_message.Message):
    __slots__ = ("place", "factor")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    place: int
    factor: float
    def __init__(self, place: _Optional[int] = ..., factor: _Optional[float] = ...) -> None: ...

class Interruption(_message.Message):
    __slots__ = ("place", "kind", "at_seconds", "for_seconds")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    AT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FOR_SECONDS_FIELD_NUMBER: _ClassVar[int]
    place: int
    kind: str
    at_seconds: float
    for_seconds: float
    def __init__(self, place: _Optional[int] = ..., kind: _Optional[str] = ..., at_seconds: _Optional[float] = ..., for_seconds: _Optional[float] = ...) -> None: ...

class Prefetch(_message.Message):
    __slots__ = ("run", "data", "compute_dtype")
    RUN_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_DTYPE_FIELD_NUMBER: _ClassVar[int]
    run: str
    data: DataOrder
    compute_dtype: Dtype
    def __init__(self, run: _Optional[str] = ..., data: _Optional[_Union[DataOrder, _Mapping]] = ..., compute_dtype: _Optional[_Union[Dtype, str]] = ...) -> None: ...

class StartRound(_message.Message):
    __slots__ = ("stamp", "run_seconds", "total_bytes", "dtype")
    STAMP_FIELD_NUMBER: _ClassVar[int]
    RUN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    run_seconds: float
    total_bytes: int
    dtype: Dtype
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ..., run_seconds: _Optional[float] = ..., total_bytes: _Optional[int] = ..., dtype: _Optional[_Union[Dtype, str]] = ...) -> None: ...

class ParametersFrame(_message.Message):
    __slots__ = ("stamp", "offset", "total_bytes", "dtype", "data")
    STAMP_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    offset: int
    total_bytes: int
    dtype: Dtype
    data: bytes
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ..., offset: _Optional[int] = ..., total_bytes: _Optional[int] = ..., dtype: _Optional[_Union[Dtype, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class NextChunk(_message.Message):
    __slots__ = ("stamp", "chunks")
    STAMP_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    chunks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ..., chunks: _Optional[_Iterable[int]] = ...) -> None: ...

class Collect(_message.Message):
    __slots__ = ("stamp", "request", "terms", "n_parts")
    STAMP_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    N_PARTS_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    request: int
    terms: Terms
    n_parts: int
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ..., request: _Optional[int] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ..., n_parts: _Optional[int] = ...) -> None: ...

class AskPartialSum(_message.Message):
    __slots__ = ("stamp", "number", "terms", "n_parts", "index")
    STAMP_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    N_PARTS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    number: int
    terms: Terms
    n_parts: int
    index: int
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ..., number: _Optional[int] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ..., n_parts: _Optional[int] = ..., index: _Optional[int] = ...) -> None: ...

class StopRound(_message.Message):
    __slots__ = ("stamp",)
    STAMP_FIELD_NUMBER: _ClassVar[int]
    stamp: Stamp
    def __init__(self, stamp: _Optional[_Union[Stamp, _Mapping]] = ...) -> None: ...

class FetchRowsRequest(_message.Message):
    __slots__ = ("run", "digest", "begin", "end", "checksum")
    RUN_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    run: str
    digest: str
    begin: int
    end: int
    checksum: int
    def __init__(self, run: _Optional[str] = ..., digest: _Optional[str] = ..., begin: _Optional[int] = ..., end: _Optional[int] = ..., checksum: _Optional[int] = ...) -> None: ...

class FetchRowsResponse(_message.Message):
    __slots__ = ("header", "data", "checksum")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    header: RowsHeader
    data: bytes
    checksum: int
    def __init__(self, header: _Optional[_Union[RowsHeader, _Mapping]] = ..., data: _Optional[bytes] = ..., checksum: _Optional[int] = ...) -> None: ...

class RowsHeader(_message.Message):
    __slots__ = ("n_rows", "n_features", "sparse", "x_dtype", "y_dtype", "n_nonzero", "total_bytes", "sha256")
    N_ROWS_FIELD_NUMBER: _ClassVar[int]
    N_FEATURES_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    X_DTYPE_FIELD_NUMBER: _ClassVar[int]
    Y_DTYPE_FIELD_NUMBER: _ClassVar[int]
    N_NONZERO_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    n_rows: int
    n_features: int
    sparse: bool
    x_dtype: Dtype
    y_dtype: Dtype
    n_nonzero: int
    total_bytes: int
    sha256: bytes
    def __init__(self, n_rows: _Optional[int] = ..., n_features: _Optional[int] = ..., sparse: bool = ..., x_dtype: _Optional[_Union[Dtype, str]] = ..., y_dtype: _Optional[_Union[Dtype, str]] = ..., n_nonzero: _Optional[int] = ..., total_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...
