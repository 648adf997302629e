"""A gRPC server, and the calls that are made to it through another address.

grpc_calls.py serve           writes the port that it listens on, and ends with its standard input
grpc_calls.py call ADDRESS    makes the calls, and writes what has become of them as JSON
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent import futures

import grpc


def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    """One message, one answer; metadata both ways."""
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-seen", metadata.get("x-mine", "")),))
    context.set_trailing_metadata((("x-length", str(len(request))),))
    return request


def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.NOT_FOUND, f"no such thing: {request.decode()}")


def count(request: bytes, context: grpc.ServicerContext):
    """One message, many answers."""
    for number in range(int(request)):
        yield str(number).encode()


def total(requests, context: grpc.ServicerContext) -> bytes:
    """Many messages, one answer."""
    return str(sum(len(each) for each in requests)).encode()


def chat(requests, context: grpc.ServicerContext):
    """An answer to each message, as it comes."""
    for each in requests:
        yield each.upper()


def give_up(requests, context: grpc.ServicerContext) -> bytes:
    """Ends in an error after the first message, whatever follows."""
    next(requests)
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")


def wait(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Never answers; ends with its call."""
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(20)
    return b""


def serve() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "GiveUp": grpc.stream_unary_rpc_method_handler(give_up),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Calls", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None).wait()


def outcome(call) -> str:
    """The status in which a call ends."""
    try:
        call()
        return "OK"
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"


def conversation(chat) -> list[str]:
    """Says the next word only when the last one has been answered."""
    answered = threading.Semaphore(1)

    def words():
        for word in (b"one", b"two", b"three"):
            answered.acquire()
            yield word

    heard = []
    for answer in chat(words(), timeout=10):
        heard.append(answer.decode())
        answered.release()
    return heard


def call(address: str) -> dict[str, object]:
    with grpc.insecure_channel(
        address, (("grpc.max_receive_message_length", -1),)
    ) as channel:
        echo = channel.unary_unary("/test.Calls/Echo")
        answer, made = echo.with_call(b"hello", metadata=(("x-mine", "1"),), timeout=10)
        large = bytes(range(256)) * 8192
        total = channel.stream_unary("/test.Calls/Total")
        wait = channel.unary_unary("/test.Calls/Wait")
        return {
            "echo": answer.decode(),
            "initial": dict(made.initial_metadata()).get("x-seen"),
            "trailing": dict(made.trailing_metadata()).get("x-length"),
            "large": echo(large, timeout=20) == large,
            "count": len(
                list(channel.unary_stream("/test.Calls/Count")(b"1000", timeout=10))
            ),
            "total": int(total((b"x" * 10_000 for _ in range(100)), timeout=10)),
            "chat": conversation(channel.stream_stream("/test.Calls/Chat")),
            "fail": outcome(
                lambda: channel.unary_unary("/test.Calls/Fail")(b"it", timeout=10)
            ),
            "unknown": outcome(
                lambda: channel.unary_unary("/test.Calls/None")(b"", timeout=10)
            ).split(":")[0],
            "give up": outcome(
                lambda: channel.stream_unary("/test.Calls/GiveUp")(
                    iter([b"a", b"b"]), timeout=10
                )
            ),
            "deadline": outcome(lambda: wait(b"", timeout=0.5)).split(":")[0],
            "again": echo(b"again", timeout=10).decode(),
        }


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        print(json.dumps(call(sys.argv[2])))
