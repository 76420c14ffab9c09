"""What a command makes of the frames of its program's streams (drivers/console/hostrun/streams.h), whatever pieces they come in."""
import os
import socket
import struct
import subprocess
import time

import pytest
from kpio import hostrun
from kpio.errors import KpioError

LIMIT = 300


def frame(kind, data):
    return struct.pack("<II", kind, len(data)) + data


@pytest.fixture
def session():
    wrote = []
    near, far = socket.socketpair()
    with near, far, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        made = hostrun.Session(process, near, False, lambda number, data: wrote.append((number, bytes(data))))
        made.input_ended = True  # of these tests' own
        yield made, far, wrote
        process.stdin.close()


def test_frames_may_come_in_any_pieces(session):
    made, far, wrote = session
    for byte in frame(1, b"out") + frame(2, b"error") + frame(1, b"") + frame(3, struct.pack("<I", 0x1700)):
        far.send(bytes([byte]))
        assert made.status is None and made.step(time.monotonic() + LIMIT)
    assert made.status == 0x1700 and [part for part in wrote if part[1]] == [(1, b"out"), (2, b"error")]


def test_many_frames_in_one_piece(session):
    made, far, wrote = session
    far.sendall(b"".join(frame(1, b"%d" % number) for number in range(1000)) + frame(3, bytes(4)))
    assert made.follow(time.monotonic() + LIMIT) and made.status == 0
    assert wrote == [(1, b"%d" % number) for number in range(1000)]


def test_why_it_was_not_started(session):
    made, far, _ = session
    far.sendall(frame(4, b"a job: ENOMEM"))
    with pytest.raises(KpioError, match="could not be started: a job: ENOMEM; the guest has too little memory"):
        made.follow(time.monotonic() + LIMIT)


def test_a_guest_that_ends_before(session):
    made, far, _ = session
    far.sendall(frame(1, b"a part")[:10])
    far.close()
    with pytest.raises(KpioError, match="the guest ended before the program did"):
        made.follow(time.monotonic() + LIMIT)


def test_the_deadline(session):
    assert not session[0].follow(time.monotonic() + 0.01) and session[0].status is None


def test_input_goes_in_frames_and_ends(session, monkeypatch):
    made, far, _ = session
    reader, writer = os.pipe()
    monkeypatch.setattr(hostrun, "INPUT", reader)
    made.input_ended = False
    os.write(writer, b"line\n")
    os.close(writer)
    while not made.input_ended or made.input:
        assert made.step(time.monotonic() + LIMIT)
    assert far.recv(100) == struct.pack("<I", 5) + b"line\n" + bytes(4)
    os.close(reader)
