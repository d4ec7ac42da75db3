"""Whether the master or worker in this container is well; exit code 0 if so.

Arguments: ports that may serve /healthz; the first that answers decides. It runs every few seconds in every
container, so it imports no more than it must.
"""

import socket
import sys

ANSWER_SECONDS = 2.0
PORTS = ("9100", "9101")


def answer(port: int) -> str:
    """The first line of the answer at ``port``.

    Raises:
        OSError: nobody answers there in time.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        with connection.makefile("rb") as lines:
            return lines.readline(200).decode("latin-1").strip()


def main(ports: list[str]) -> int:
    """0 if one of ``ports`` answers that all is well; otherwise says what is wrong."""
    trouble = ""
    for port in ports:
        try:
            line = answer(int(port))
        except OSError as error:
            trouble = trouble or f"port {port}: {error}"
            continue
        if line.split()[1:2] == ["200"]:
            return 0
        trouble = f"port {port}: {line}"
        break
    print(trouble)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(PORTS)))
