"""A server for network tests: answers each connection or datagram with its name and who asked.

argv: NAME, then ports as ``tcp:80``, ``udp:53`` or ``tcp4:80`` (IPv4 alone).  Prints "up" when all
are bound.  TCP answers at once and then echoes what comes, until its end.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading


def bind(protocol: str, port: int) -> socket.socket:
    kind = socket.SOCK_DGRAM if protocol.startswith("udp") else socket.SOCK_STREAM
    family = socket.AF_INET if protocol.endswith("4") else socket.AF_INET6
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind(("", port))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def serve(name: str, client: socket.socket, address: str) -> None:
    with client:
        client.sendall(f"{name} {address}\n".encode())
        while data := client.recv(65536):
            client.sendall(data)


def main() -> None:
    name, *ports = sys.argv[1:]
    waiting = selectors.DefaultSelector()
    for text in ports:
        protocol, _, number = text.partition(":")
        waiting.register(bind(protocol, int(number)), selectors.EVENT_READ)
    print("up", flush=True)
    while True:
        for key, _ in waiting.select():
            server = key.fileobj
            assert isinstance(server, socket.socket)
            if server.type == socket.SOCK_DGRAM:
                _, source = server.recvfrom(65536)
                server.sendto(f"{name} {plain(source[0])}\n".encode(), source)
                continue
            client, source = server.accept()
            threading.Thread(
                target=serve, args=(name, client, plain(source[0])), daemon=True
            ).start()


def plain(address: str) -> str:
    return address.removeprefix("::ffff:")


if __name__ == "__main__":
    main()
