"""Generated from protos/gradcode/v1 by ``python -m common.wire.generate``."""
