#!/usr/bin/env python3
"""A name server on 127.0.0.1:53 that knows one name and one IPv4 address; everything else does not exist.

    resolver.py NAME ADDRESS
"""

import socket
import struct
import sys

NO_SUCH_NAME = 3
TYPE_A = 1


def main():
    wanted, address = sys.argv[1], socket.inet_aton(sys.argv[2])
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        query, client = server.recvfrom(512)
        end, labels = 12, []
        while query[end]:
            labels.append(query[end + 1 : end + 1 + query[end]].decode())
            end += 1 + query[end]
        end += 5
        (kind,) = struct.unpack(">H", query[end - 4 : end - 2])
        known = ".".join(labels).lower() == wanted
        answer = known and kind == TYPE_A
        header = query[:2] + struct.pack(">HHHHH", 0x8580 | (0 if known else NO_SUCH_NAME), 1, int(answer), 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, TYPE_A, 1, 60, 4) + address if answer else b""
        server.sendto(header + query[12:end] + record, client)


main()
