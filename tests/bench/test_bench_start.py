"""The section about the start of a board: every step is seen, in its order; and the proxy that sees TLS records."""

import socket

from ujobs_lab.bench import start
from ujobs_lab.bench.records import records
from ujobs_tools.host.processes import wait_until

HANDSHAKE, DATA = b"\x16\x03\x03\x00\x02ab", b"\x17\x03\x03\x01\x00" + bytes(256)


def test_a_start_from_reset_to_the_first_publish() -> None:
    found = start.measure(rounds=1)
    steps = found["steps"]
    assert all(taken > 0 for taken in steps.values()), "no step comes before the one in front of it"
    assert abs(sum(steps.values()) - found["all"]) < 0.001
    assert steps["Wi-Fi"] >= 200, "what the virtual board's access point takes"
    (sheet,) = start.sheets(found)
    assert [row[0] for row in sheet.rows if row] == [*steps, "reset to first publish"]


def test_records_are_counted_wherever_the_stream_is_cut() -> None:
    stream = HANDSHAKE + DATA + DATA
    with socket.create_server(("127.0.0.1", 0)) as server:
        for cut in (1, 4, 9, len(HANDSHAKE + DATA) + 3):
            with records(server.getsockname()[1]) as found, socket.create_connection(("127.0.0.1", found.port)) as near:
                far = server.accept()[0]
                with far, far.makefile("rb") as received:
                    for piece in (stream[:cut], stream[cut:]):
                        near.sendall(piece)
                        assert received.read(len(piece)) == piece
                    far.sendall(DATA)
                    assert near.recv(len(DATA), socket.MSG_WAITALL) == DATA, "which is not the client's"
                    wait_until(lambda found=found: len(found.sent) == 2, "both records", 5)
                assert found.connected <= found.sent[0] <= found.sent[1]
                found.forget()
                assert (found.connected, found.sent) == (0.0, [])
