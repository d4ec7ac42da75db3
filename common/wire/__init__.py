"""What master and worker say to each other: frames as plain values, their bytes, and the gRPC methods."""
